"""Commands that need no mesh, in this process and on the real command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from soundsage.services.cli import COMMANDS, main, soundsage


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Return the path of a configuration of a mesh that does not run."""
    file = tmp_path / "mesh.toml"
    file.write_text(f'[mesh]\nrun_dir = "{tmp_path}/r"\nstate_dir = "{tmp_path}/s"\n', encoding="utf-8")
    return str(file)


def code_of(*arguments: str) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    """Every command says what it does."""
    command = soundsage.get_command(click.Context(soundsage), name)
    assert command is not None
    assert command.get_short_help_str()


def test_status_loads_no_library_that_it_does_not_need() -> None:
    """Status loads no library that it does not need, since people wait for it."""
    program = "import sys; import soundsage.services.cli.status; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "numba", "onnxruntime", "sounddevice", "librosa", "scipy", "torch"} & set(loaded)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nope",), "No such command"),
        (("bypass", "perhaps"), "perhaps"),
        (("gain", "loud"), "loud"),
        (("strategy", "set", "flatt"), "did you mean flat?"),
        (("config", "check", "/nowhere.toml"), "/nowhere.toml cannot be read"),
    ],
)
def test_a_wrong_argument_is_one_line_and_2(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument is one line and 2."""
    assert code_of(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("soundsage: ")
    assert said in line


def test_all_mistakes_of_a_configuration_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All mistakes of a configuration are told at once."""
    file = tmp_path / "wrong.toml"
    file.write_text("[renderer]\nmeter_hz = 0\nsink = 'null'\n[captur]\n", encoding="utf-8")
    assert code_of("config", "check", str(file)) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("renderer.meter_hz", "renderer.sinks?", "capture?"))


def test_what_is_set_without_a_mesh_is_kept_for_the_next(config: str, tmp_path: Path) -> None:
    """What is set without a mesh is kept for the next, each thing beside the other."""
    assert code_of("gain", "-3.5", "--config", config) == 0
    assert code_of("bypass", "on", "--config", config) == 0
    assert code_of("strategy", "set", "flat", "--config", config) == 0
    assert json.loads((tmp_path / "s" / "renderer.json").read_text()) == {"bypass": True, "gain_db": -3.5}
    assert json.loads((tmp_path / "s" / "strategy.json").read_text()) == {"strategy": "flat"}


def test_a_gain_that_hurts_is_refused_and_not_kept(config: str, tmp_path: Path) -> None:
    """A gain that hurts is refused and not kept."""
    assert code_of("gain", "40", "--config", config) == 2
    assert not (tmp_path / "s" / "renderer.json").exists()


def test_the_status_of_no_mesh_is_stopped_and_no_failure(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The status of no mesh is stopped and no failure."""
    assert code_of("status", "--json", "--config", config) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"


def test_the_log_of_nobody_names_those_who_logged(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of nobody names those who logged."""
    (tmp_path / "s" / "logs").mkdir(parents=True)
    (tmp_path / "s" / "logs" / "bus.log").write_text("1\n2\n3\n", encoding="utf-8")
    assert code_of("logs", "bsu", "--config", config) == 2
    assert "bus" in capsys.readouterr().err
    assert code_of("logs", "bus", "-n", "2", "--config", config) == 0
    assert capsys.readouterr().out == "2\n3\n"


def test_devices_and_doctor_answer_in_json(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Devices and doctor answer in JSON, and on a machine that runs these tests nothing is broken."""
    assert code_of("devices", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"sources", "sinks"}
    assert code_of("doctor", "--json", "--config", config) == 0
    assert {finding["verdict"] for finding in json.loads(capsys.readouterr().out)} <= {"fine", "poor"}


def test_a_log_is_followed_as_it_grows(config: str, tmp_path: Path) -> None:
    """A log is followed as it grows, also when it is rotated."""
    log = tmp_path / "s" / "logs" / "bus.log"
    log.parent.mkdir(parents=True)
    log.write_text("first line\n", encoding="utf-8")
    command = [sys.executable, "-m", "soundsage.services.cli", "logs", "bus", "-f", "--config", config]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follow:
        assert follow.stdout is not None
        assert follow.stdout.readline() == "first line\n"
        with log.open("a", encoding="utf-8") as out:
            out.write("second line\n")
        assert follow.stdout.readline() == "second line\n"
        log.write_text("new\n", encoding="utf-8")
        assert follow.stdout.readline() == "new\n"
        follow.terminate()

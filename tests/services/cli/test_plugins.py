"""The plugins commands, and a new plugin from its writing to its own test in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from distributions import write_distribution

from soundsage.services.cli import plugins as module
from soundsage.services.cli.plugins import plugins
from soundsage.services.cli.scaffold import TEMPLATE_KINDS
from soundsage.shared.contracts import Decision, StrategyContext, StrategyRecord
from soundsage.shared.dsp.bands import EqBand
from soundsage.shared.errors import InputError, PluginError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.plugins import Plugins

QUIET = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
HERE = Path(sysconfig.get_paths()["purelib"])


def run(*arguments: str) -> str:
    """Return what a plugins command prints."""
    result = CliRunner().invoke(plugins, arguments)
    if result.exception:
        raise result.exception
    return result.output


def output_of(command: list[Any], folder: Path) -> str:
    """Return what a command prints in a folder, once it has ended well."""
    done = subprocess.run(command, cwd=folder, env=QUIET, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_list_names_every_plugin_with_kind_and_distribution() -> None:
    """The list says kind, name, distribution and summary, for people and as JSON."""
    listed = json.loads(run("list", "--json"))
    rows = {(row["kind"], row["name"]): row for row in listed["plugins"]}

    assert rows["monitor", "jsonl"]["distribution"].startswith("soundsage ")
    assert {"source", "sink", "feature_extractor", "eq_strategy"} <= {kind for kind, _ in rows}
    assert listed["failures"] == {}
    for (kind, name), row in rows.items():
        assert any(
            line.startswith(kind) and f" {name} " in line and line.endswith(row["summary"])
            for line in run("list").splitlines()
        )


def test_info_tells_the_options_with_defaults_and_meaning() -> None:
    """Options are shown as they are written on the command line."""
    lines = [line.strip() for line in run("info", "file").splitlines()]

    assert "?loop=False: Begin again at the end, without a gap." in lines


def test_a_name_of_two_kinds_is_shown_for_both() -> None:
    """`null` is a source and a sink."""
    assert [line.partition(":")[0] for line in run("info", "null").splitlines() if "null:" in line] == [
        "source null",
        "sink null",
    ]


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    """A misspelt name is the user's mistake."""
    with pytest.raises(InputError, match=r"got 'genre-presets'; did you mean genre-preset\?"):
        run("info", "genre-presets")


def test_check_tells_every_rule_of_a_plugin_that_keeps_them() -> None:
    """Each rule is a line, and all are kept."""
    lines = run("check", "console").splitlines()

    assert lines[0] == "monitor console"
    assert "  ok        It can be shown a message of every type." in lines
    assert not [line for line in lines[1:] if not line.startswith("  ok")]


def test_check_opens_what_a_target_names(tmp_path: Path) -> None:
    """A target behind the colon is what is opened."""
    file = tmp_path / "log.jsonl"

    run("check", f"jsonl:{file}")

    assert file.read_text(encoding="utf-8")


class Loud:
    """A strategy beyond the limit."""

    def decide(self, context: StrategyContext) -> Decision:
        """Return twice 20 dB at one frequency."""
        del context
        return Decision((EqBand("peaking", 1000.0, 20.0, 1.0),) * 2, "loud")

    @staticmethod
    @hookimpl
    def soundsage_eq_strategies() -> list[StrategyRecord]:
        """Return it."""
        return [StrategyRecord(name="loud", summary="too loud", make=Loud)]


def test_check_fails_for_a_plugin_that_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken rule is told with what was found, and the exit code is 1."""
    found = Plugins(())
    found._manager.register(Loud(), "loud")
    monkeypatch.setattr(module, "installed_plugins", lambda: found)

    result = CliRunner().invoke(plugins, ["check", "--here", "loud"])

    assert isinstance(result.exception, PluginError)
    assert str(result.exception) == "plugin loud breaks 1 rule"
    assert (
        "broken    Its curves are finite and move no audible frequency by more than 24 dB. no signal: the curve"
        in result.output
    )


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ("ctypes.string_at(0)", "took its process down with signal 11"),
        ("os._exit(3)", "took its process down with exit code 3"),
    ],
)
def test_a_plugin_that_takes_its_process_down_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, told: str
) -> None:
    """A plugin that crashes or exits while it is checked fails the check, and takes nobody along."""
    source = f"""
        import ctypes, os
        from soundsage.shared.contracts import StrategyRecord
        from soundsage.shared.hookspecs import hookimpl

        class Wild:
            def decide(self, context):
                {deed}

        @hookimpl
        def soundsage_eq_strategies():
            return [StrategyRecord(name="wild", summary="takes its process down", make=Wild)]
    """
    monkeypatch.setenv("PYTHONPATH", str(write_distribution(tmp_path / "site", "wild", {"wild": source})))

    result = CliRunner().invoke(plugins, ["check", "wild"])

    assert result.exit_code != 0
    assert told in str(result.exception)


@pytest.mark.parametrize("name", ["Warm", "3d", "", "warm_tone", "../warm", "warm:1"])
def test_a_name_that_no_plugin_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """A name becomes a module and a class, and stands on the command line."""
    with pytest.raises(InputError, match="plugin name must be"):
        run("new", name, "--dir", str(tmp_path))


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    """What somebody wrote is never overwritten."""
    run("new", "warm", "--dir", str(tmp_path))

    with pytest.raises(InputError, match="is there already"):
        run("new", "warm", "--dir", str(tmp_path), "--kind", "effect")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a new environment that sees what is installed here, so that it needs no network."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    theirs = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    # Also follows the .pth files here, by which SoundSage itself may be installed.
    (Path(theirs) / "here.pth").write_text(f"import site; site.addsitedir({str(HERE)!r})\n", encoding="utf-8")
    return python


@pytest.mark.timeout(300)
def test_a_new_plugin_of_every_kind_installs_and_passes_its_own_test(tmp_path: Path, environment: Path) -> None:
    """`pip install -e .` finds it by its entry point, its own test passes, and so does `plugins check`."""
    for kind in TEMPLATE_KINDS:
        run("new", f"my-{kind}", "--kind", kind, "--dir", str(tmp_path))
    folders = [tmp_path / f"soundsage-my-{kind}" for kind in TEMPLATE_KINDS]
    install = [environment, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    output_of([*install, *(f"--editable={folder}" for folder in folders)], tmp_path)

    for kind, folder in zip(TEMPLATE_KINDS, folders, strict=True):
        assert "2 passed" in output_of([environment, "-m", "pytest", "-q"], folder)
        check = [environment, "-m", "soundsage.services.cli", "plugins", "check", f"my-{kind}"]
        assert f"my-{kind}" in output_of(check, tmp_path)


def test_what_is_written_is_well_formed(tmp_path: Path) -> None:
    """A new plugin is clean under ruff and mypy with the strictest settings that a stranger may have."""
    for kind in TEMPLATE_KINDS:
        run("new", f"my-{kind}", "--kind", kind, "--dir", str(tmp_path))

    ruff = [sys.executable, "-m", "ruff"]
    strict = [
        "--select=E,F,I,B,UP,D,ANN,PL,SIM,RUF",
        "--ignore=D105,D107,PLR2004",
        "--config=lint.pydocstyle.convention='numpy'",
    ]
    mypy = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path / 'cache'}"]
    for folder in tmp_path.glob("soundsage-*"):
        for command in (
            [*ruff, "check", "--isolated", "--line-length=120", *strict],
            [*ruff, "format", "--isolated", "--line-length=120", "--check"],
            mypy,
        ):
            assert "error" not in output_of([*command, "."], folder)

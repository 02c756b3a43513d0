"""The bus commands, against real sockets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from soundsage.services.cli.bus import bus
from soundsage.shared import wire
from soundsage.shared.errors import InputError, MeshError
from soundsage.shared.messages import AudioBlock, Meter, ServiceState, StreamEnded

if TYPE_CHECKING:
    from tests.services.cli.conftest import Mesh

SAMPLES = np.full((2, 256), 0.5, np.float32)
PERIOD_S = 0.01


def meter(n: int) -> Meter:
    """Return a meter that says which it is."""
    return Meter(stream="main", time_s=float(n), level_db=(-20.0, -21.0), peak_db=(-17.0, float("-inf")))


def block(n: int) -> AudioBlock:
    """Return the n-th block of a stream."""
    return AudioBlock(stream="main", sample_rate=48_000, start=256 * n, samples=SAMPLES)


def state(n: int) -> ServiceState:
    """Return what a service says that lost three messages."""
    return ServiceState(
        service="features", pid=1, state="ready", text="", settings={}, rev=n, lost=3, stale=1, malformed=0
    )


def test_echo_prints_one_json_object_a_line_with_envelope_and_message(mesh: Mesh) -> None:
    """Echo --json prints one JSON object a line, with the fields of envelope and message."""
    mesh.say(meter)

    result = mesh.run(bus, "echo", "meter", "--json", "-n", "3", "--duration", "10")

    lines = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert [line["time_s"] for line in lines] == [lines[0]["seq"] + n for n in range(3)]
    assert {key: lines[0][key] for key in ("topic", "schema", "source", "stream", "level_db", "peak_db")} == {
        "topic": "meter/main",
        "schema": "meter/v1",
        "source": "tester",
        "stream": "main",
        "level_db": [-20.0, -21.0],
        "peak_db": [-17.0, None],
    }


def test_echo_hears_the_audio_plane_and_describes_its_samples(mesh: Mesh) -> None:
    """Audio blocks come from the audio plane; their samples are described unless asked for."""
    mesh.say(block, audio=True)

    described = mesh.run(bus, "echo", "audio_block/main", "--json", "-n", "1", "--duration", "10")
    whole = mesh.run(bus, "echo", "audio_block", "--json", "--samples", "-n", "1", "--duration", "10")

    assert json.loads(described.output)["samples"] == {"n_channels": 2, "n_samples": 256, "rms": 0.5, "peak": 0.5}
    assert json.loads(whole.output)["samples"] == SAMPLES.tolist()


def test_echo_ends_with_the_duration_when_nothing_comes(mesh: Mesh) -> None:
    """A topic on which nothing is said costs the duration and prints nothing."""
    result = mesh.run(bus, "echo", "eq_curve", "--duration", "0.1")

    assert (result.exit_code, result.output) == (0, "")


def test_a_stream_is_not_one_whose_name_begins_alike(mesh: Mesh) -> None:
    """A topic of stream `main` is not one of stream `main2`."""
    mesh.say(lambda n: StreamEnded(stream="main2", start=n), audio=True)

    result = mesh.run(bus, "echo", "stream_ended/main", "--duration", "0.3")

    assert result.output == ""


def test_list_shows_the_topics_of_both_planes(mesh: Mesh) -> None:
    """The list holds topics of both planes with publisher, schema, rate and size."""
    mesh.say(meter)
    mesh.say(block, audio=True)

    lines = mesh.run(bus, "list", "--duration", "0.5").output.splitlines()

    rows = {line.split()[0]: line.split() for line in lines}
    assert lines[0].split() == ["topic", "publisher", "schema", "rate", "size"]
    assert rows["meter/main"][1:3] == ["tester", "meter/v1"]
    assert rows["audio_block/main"][1:3] == ["tester", "audio_block/v1"]
    assert int(rows["audio_block/main"][5]) > SAMPLES.nbytes


def test_hz_measures_the_rate(mesh: Mesh) -> None:
    """The rate is at most that of the clock behind the messages, and not far below."""
    mesh.say(meter)

    line = mesh.run(bus, "hz", "meter/main", "--duration", "1").output.splitlines()[0]

    assert line.startswith("meter/main: ")
    assert 0.2 / PERIOD_S < float(line.split()[1]) < 1.5 / PERIOD_S


def test_bandwidth_counts_all_bytes_of_a_message(mesh: Mesh) -> None:
    """The size of an audio block is that of its samples and a small envelope."""
    mesh.say(block, audio=True)

    words = mesh.run(bus, "bw", "audio_block", "--duration", "0.5").output.splitlines()[0].split()

    assert SAMPLES.nbytes < int(words[words.index("max") + 1]) < SAMPLES.nbytes + 300


def test_delay_tells_age_from_latency_since_capture(mesh: Mesh) -> None:
    """The latency since capture is the age and the time between capture and publication."""
    mesh.say(meter, lag_ns=70_000_000)

    words = mesh.run(bus, "delay", "meter", "--duration", "0.5").output.split()

    age_ms, latency_ms = (float(words[index + 1]) for index, word in enumerate(words) if word == "p50")
    assert latency_ms == pytest.approx(age_ms + 70.0, abs=0.02)


def test_drops_counts_gaps_and_repeats_what_services_lost(mesh: Mesh) -> None:
    """Every gap is counted at the topic, and the losses of a service are its own."""
    mesh.say(meter, every=3)
    mesh.say(state)

    lines = mesh.run(bus, "drops", "--duration", "0.6").output.splitlines()

    totals = {line.split()[0]: line.split()[1:] for line in lines if line and not line.endswith(":")}
    heard, lost = map(int, totals["meter/main"])
    assert lost == 2 * (heard - 1) > 0
    assert totals["features"] == ["3", "1", "0"]
    assert "features: lost 3, stale 1, malformed 0" in lines
    assert "meter/main: lost 2" in lines


def test_a_malformed_message_is_named_and_echo_goes_on(mesh: Mesh) -> None:
    """A message that cannot be read costs a line on standard error and nothing else."""
    good = wire.encode(block(0), source="x", epoch=1, seq=0, t_capture_ns=0, t_publish_ns=0)
    bad = [[b"audio_block/main/", good[0], b"short"], [b"audio_block/main/", b"\xc1"]]
    mesh.send(lambda n: bad[n % 2], audio=True)

    result = mesh.run(bus, "echo", "audio_block", "--duration", "0.3")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "refused a message on audio_block/main: audio_block/v1 must be readable" in result.stderr


def test_an_unknown_kind_is_refused_with_the_nearest_names(mesh: Mesh) -> None:
    """A kind that nobody says is refused with those that it may have meant."""
    error = mesh.run(bus, "hz", "genre_posteriors/main").exception

    assert isinstance(error, InputError)
    assert str(error).endswith("did you mean genre_posterior?")


@pytest.mark.parametrize(
    "command", [["list"], ["echo", "meter"], ["hz", "meter"], ["bw", "meter"], ["delay", "meter"], ["drops"]]
)
def test_without_a_mesh_every_command_says_so(tmp_path: Path, command: list[str]) -> None:
    """Where no mesh runs, one line says how to start one."""
    config = tmp_path / "soundsage.toml"
    config.write_text(f'[mesh]\nrun_dir = "{tmp_path}"\n', encoding="utf-8")

    error = CliRunner().invoke(bus, [*command, "--config", str(config)]).exception

    assert isinstance(error, MeshError)
    assert str(error) == "no mesh runs here; start one with `soundsage up`"


def test_a_reader_that_has_seen_enough_ends_echo_without_a_word(mesh: Mesh) -> None:
    """A closed pipe ends the command with exit code 0 and nothing on standard error."""
    mesh.say(meter)
    program = "from soundsage.services.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "bus", "echo", "meter", "--config", str(mesh.config), "--duration", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()

    assert first.startswith(b"meter/main #")
    assert (process.returncode, complaint) == (0, b"")


def test_each_command_says_in_its_help_what_it_does() -> None:
    """Every command of the group has a help text."""
    assert all(command.help for command in bus.commands.values())

"""The monitors that come with SoundSage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from soundsage.plugins.monitors import console, jsonl
from soundsage.shared.contracts import MonitorRecord
from soundsage.shared.errors import InputError
from soundsage.shared.messages import Error, Message, Meter, RenderMeter
from soundsage.shared.plugins import installed_plugins

ERROR = Error(service="capture", code="DeviceError", text="gone")
METER = Meter(stream="main", time_s=1.5, level_db=(-20.0,), peak_db=(float("-inf"),))


def record(name: str) -> MonitorRecord:
    """Return an installed monitor."""
    return installed_plugins().find("monitors", MonitorRecord, name)


def show(target: str, name: str, *messages: Message) -> None:
    """Show messages to a monitor from opening to closing."""
    monitor = record(name).open(target)
    for message in messages:
        monitor.observe("topic/main", message, 1.25)
    monitor.close()


def test_the_monitors_are_found_as_plugins() -> None:
    """Both monitors are registered by entry point."""
    assert {console.__name__, jsonl.__name__} == {
        "soundsage.plugins.monitors.console",
        "soundsage.plugins.monitors.jsonl",
    }
    assert {"console", "jsonl"} <= {each.name for each in installed_plugins().records("monitors", MonitorRecord)}


def test_console_prints_a_line_for_each_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Each message is one line with latency, topic and fields."""
    show("", "console", ERROR, METER)

    assert capsys.readouterr().out.splitlines() == [
        "     1.2 ms  topic/main  service=capture code=DeviceError text=gone",
        "     1.2 ms  topic/main  stream=main time_s=1.5 level_db=[-20] peak_db=[-inf]",
    ]


def test_console_prints_only_the_kind_that_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    """With a target it prints that kind alone."""
    show("meter", "console", ERROR, METER)

    assert "stream=main" in capsys.readouterr().out.splitlines()[0]


def test_console_refuses_a_kind_that_does_not_exist() -> None:
    """A kind that nobody says is the user's mistake."""
    with pytest.raises(InputError, match=r"console kind must be one of audio_block, .*, got 'metre'"):
        record("console").open("metre")


def test_jsonl_writes_an_object_a_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    """Each message is one JSON object; what JSON cannot say is null; a second run appends."""
    file = tmp_path / "log.jsonl"
    show(str(file), "jsonl", METER)
    show(str(file), "jsonl", ERROR)

    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {
        "topic": "topic/main",
        "schema": "meter/v1",
        "latency_ms": 1.25,
        "stream": "main",
        "time_s": 1.5,
        "level_db": [-20.0],
        "peak_db": [None],
    }
    assert lines[1]["code"] == "DeviceError"


def test_jsonl_writes_arrays_as_lists(tmp_path: Path) -> None:
    """A float32 array becomes a list of numbers."""
    file = tmp_path / "log.jsonl"
    empty = np.zeros(0, np.float32)
    meter = RenderMeter(
        stream="main",
        time_s=1.0,
        sink="null",
        rendered_samples=1,
        strategy="flat",
        bands=(),
        preamp_db=0.0,
        bypass=False,
        gain_db=0.0,
        level_db=(),
        peak_db=(),
        lost_blocks=0,
        late_blocks=0,
        underruns=0,
        buffer_ms=0.0,
        render_latency_ms=np.array([0.25, 0.5], np.float32),
        curve_latency_ms=empty,
        curve_compute_ms=empty,
    )

    show(str(file), "jsonl", meter)

    assert json.loads(file.read_text(encoding="utf-8"))["render_latency_ms"] == [0.25, 0.5]


@pytest.mark.parametrize("target", ["", "/nowhere/log.jsonl"])
def test_jsonl_refuses_a_file_that_cannot_be_written(target: str) -> None:
    """A missing or impossible file name is the user's mistake."""
    with pytest.raises(InputError, match=r"must name a file|cannot be written"):
        record("jsonl").open(target)

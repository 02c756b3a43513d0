"""The source `device`, on a sound server that really runs."""

from __future__ import annotations

import os
import re
import time

import numpy as np
import pytest
from soundserver import SoundServer, residue, sine

from soundsage.plugins.portaudio import find
from soundsage.plugins.pulse import Node, Nodes
from soundsage.plugins.sinks.device import DeviceOptions as SinkOptions
from soundsage.plugins.sinks.device import soundsage_sinks
from soundsage.plugins.sources.device import DeviceOptions, feeds_back, soundsage_sources
from soundsage.shared.contracts import Source
from soundsage.shared.errors import DeviceError, InputError

SAMPLE_RATE = 44_100
BLOCK_SIZE = 441
# What the contract says of a device that is gone, and what a new stream takes on a busy machine.
GONE_S = 1.0
PATIENCE_S = 10.0


def opened(target: str) -> Source:
    """Open a device as the capture service does."""
    (record,) = soundsage_sources()
    return record.open(target, DeviceOptions(), BLOCK_SIZE)


def captured(source: Source, duration_s: float) -> np.ndarray:
    """Return what a source hears from now on."""
    blocks: list[np.ndarray] = []
    end = time.monotonic() + duration_s + PATIENCE_S
    while sum(block.shape[1] for block in blocks) < duration_s * source.sample_rate:
        assert time.monotonic() < end, "the source fell silent"
        block = source.read(0.1)
        if block is not None:
            blocks.append(block.samples)
    return np.concatenate(blocks, axis=1)


def time_to_fault(source: Source, match: str) -> float:
    """Return how long it takes until a read raises."""
    begin = time.monotonic()
    while time.monotonic() < begin + PATIENCE_S:
        try:
            source.read(0.1)
        except DeviceError as error:
            assert re.search(match, str(error))  # noqa: PT017  it ends the loop, and its time counts
            return time.monotonic() - begin
    pytest.fail("no read raised")


def test_what_plays_on_a_sink_is_captured_from_its_monitor(sound: SoundServer) -> None:
    """What plays on a sink is captured from its monitor without a gap and without a change."""
    sound.load_sink("music", rate=SAMPLE_RATE)
    with sound.playing(sine(441, 10, SAMPLE_RATE), SAMPLE_RATE, "music"):
        source = opened("music.monitor")
        heard = captured(source, 3.0)
        source.close()
    heard = heard[:, SAMPLE_RATE:]  # the player had to start
    amplitude, distance = residue(heard[0], 441, SAMPLE_RATE)

    assert amplitude == pytest.approx(0.3, abs=1e-4)
    assert distance < 1e-4
    np.testing.assert_array_equal(heard[0], heard[1])


@pytest.mark.parametrize(("sample_rate", "n_channels"), [(96_000, 1), (44_100, 2), (48_000, 6)])
def test_a_node_is_captured_in_its_own_format(sound: SoundServer, sample_rate: int, n_channels: int) -> None:
    """A node is captured at its own rate with its own channels, and its time is that of the machine."""
    sound.load_sink("odd", rate=sample_rate, channels=n_channels)
    source = opened("odd.monitor")
    before_ns = time.monotonic_ns()
    block = None
    while block is None:
        assert time.monotonic_ns() < before_ns + PATIENCE_S * 1e9
        block = source.read(0.1)
    source.close()

    assert (source.sample_rate, source.n_channels) == (sample_rate, n_channels)
    assert block.samples.shape == (n_channels, BLOCK_SIZE)
    assert block.samples.dtype == np.float32
    assert block.t_capture_ns <= time.monotonic_ns()


def test_a_sink_that_was_idle_is_captured_though_it_rendered_ahead(sound: SoundServer) -> None:
    """A null sink that was idle has rendered two seconds ahead; its monitor is captured when it comes to that."""
    sound.load("module-null-sink", sink_name="lazy", rate=SAMPLE_RATE)
    source = opened("lazy.monitor")

    assert captured(source, 0.5).shape[0] == 2
    source.close()


def test_without_a_name_the_default_is_captured(sound: SoundServer) -> None:
    """Without a name the default source is captured, and a new default is told, so that it is opened instead."""
    source = opened("")
    captured(source, 0.1)
    with sound.client() as pulse:
        pulse.source_default_set(next(found for found in pulse.source_list() if found.name == "other.monitor"))

    assert time_to_fault(source, "is not the default any more") < GONE_S
    source.close()
    source = opened("")
    captured(source, 0.1)
    source.close()


def test_a_source_that_is_unplugged_is_told_and_can_be_opened_again(sound: SoundServer) -> None:
    """An unplugged source raises within a second, cannot be opened while it is away, and can when it is back."""
    module = sound.load_sink("usb", rate=SAMPLE_RATE)
    source = opened("usb.monitor")
    captured(source, 0.2)
    sound.unload(module)
    assert time_to_fault(source, r"source usb\.monitor is gone") < GONE_S
    source.close()
    with pytest.raises(DeviceError, match=r"usb\.monitor does not exist"):
        opened("usb.monitor")
    sound.load_sink("usb", rate=48_000)
    source = opened("usb.monitor")
    captured(source, 0.2)
    source.close()

    assert source.sample_rate == 48_000


def test_a_stream_that_is_moved_is_told(sound: SoundServer) -> None:
    """A capture that somebody moves to another source is told, since it would go on with another sound."""
    source = opened("speakers.monitor")
    captured(source, 0.2)
    with sound.client() as pulse:
        (stream,) = pulse.source_output_list()
        pulse.source_output_move(stream.index, pulse.get_source_by_name("other.monitor").index)

    assert time_to_fault(source, "moved our stream away") < GONE_S
    source.close()


def test_a_change_of_the_default_sink_moves_no_named_source(sound: SoundServer) -> None:
    """A capture of a named source stays there when the default changes."""
    source = opened("speakers.monitor")
    captured(source, 0.3)
    sound.set_default("other")
    captured(source, 0.5)
    with sound.client() as pulse:
        (stream,) = pulse.source_output_list()
        assert stream.source == pulse.get_source_by_name("speakers.monitor").index
    source.close()


def test_a_sound_server_that_dies_is_told(sound: SoundServer) -> None:
    """The end of the sound server is told within a second, and there is nothing to open."""
    source = opened("speakers.monitor")
    captured(source, 0.1)
    sound.process.kill()

    assert time_to_fault(source, "speakers|sound server") < GONE_S
    source.close()
    with pytest.raises(DeviceError):
        opened("speakers.monitor")


@pytest.mark.usefixtures("sound")
def test_opening_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening leaves the environment as it was, though the node is chosen through it."""
    monkeypatch.setenv("PULSE_SOURCE", "what-the-user-set")
    before = dict(os.environ)
    source = opened("speakers.monitor")
    captured(source, 0.1)
    source.close()

    assert dict(os.environ) == before


def test_devices_are_listed_with_their_format_and_the_default(sound: SoundServer) -> None:
    """Devices are listed as they are written on the command line, with their format, the default marked."""
    sound.load_sink("music", rate=SAMPLE_RATE, channels=6)
    (record,) = soundsage_sources()
    found = {info.spec: info for info in record.devices()}

    assert (found["device:music.monitor"].sample_rate, found["device:music.monitor"].n_channels) == (SAMPLE_RATE, 6)
    assert [info.spec for info in found.values() if info.is_default] == ["device:speakers.monitor"]


@pytest.mark.usefixtures("sound")
def test_a_wrong_name_is_refused_with_the_nearest_ones() -> None:
    """A wrong name is refused with the nearest ones."""
    (record,) = soundsage_sources()
    with pytest.raises(InputError, match=r"source speaker\.monitor does not exist; nearest are speakers\.monitor"):
        record.check("speaker.monitor", DeviceOptions(), "null")


def test_without_a_sound_server_a_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a sound server a node is refused, with one line."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    (record,) = soundsage_sources()
    with pytest.raises(InputError):
        record.check("speakers.monitor", DeviceOptions(), "null")


@pytest.mark.usefixtures("sound")
def test_capturing_what_is_rendered_is_refused() -> None:
    """The monitor of the sink that is rendered to is refused, named or the default, also with feedback allowed."""
    (record,) = soundsage_sources()
    for options in (DeviceOptions(), DeviceOptions(allow_feedback=True)):
        for target in ("speakers.monitor", ""):
            for sink in ("device", "device:speakers"):
                with pytest.raises(InputError, match="must not be the monitor of the sink"):
                    record.check(target, options, sink)
        record.check("speakers.monitor", options, "device:other")
        record.check("speakers.monitor", options, "file:out.wav")


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("alias", ["pulse", "default", "index"])
def test_no_other_name_of_the_default_hides_feedback(alias: str) -> None:
    """The default is refused by each name and index that PortAudio has for it, as the source and as the sink."""
    alias = str(find("source", "pulse").device) if alias == "index" else alias
    (record,) = soundsage_sources()
    for source, sink in (("speakers.monitor", f"device:{alias}"), (alias, "device:speakers"), (alias, "device")):
        with pytest.raises(InputError, match="must not be the monitor of the sink"):
            record.check(source, DeviceOptions(), sink)
    record.check("other.monitor", DeviceOptions(), f"device:{alias}")


@pytest.mark.usefixtures("sound")
def test_what_we_render_to_cannot_be_opened_as_a_source() -> None:
    """The monitor of a sink that we play into cannot be opened, and can when we stopped."""
    (sinks,) = soundsage_sinks()
    sink = sinks.open("speakers", SinkOptions(), SAMPLE_RATE, 2)
    with pytest.raises(DeviceError, match=r"source speakers\.monitor is what SoundSage renders"):
        opened("speakers.monitor")
    opened("other.monitor").close()
    sink.close()
    opened("speakers.monitor").close()


def test_a_microphone_beside_a_loudspeaker_must_be_allowed(sound: SoundServer) -> None:
    """A microphone beside a loudspeaker must be allowed, since it may howl; beside a file it need not be."""
    sound.load("module-null-source", source_name="microphone")
    (record,) = soundsage_sources()
    with pytest.raises(InputError, match="--allow-feedback"):
        record.check("microphone", DeviceOptions(), "device:speakers")
    record.check("microphone", DeviceOptions(allow_feedback=True), "device:speakers")
    record.check("microphone", DeviceOptions(), "null")


@pytest.mark.parametrize(
    ("source", "sink", "path"),
    [
        ("device:a.monitor", "device:a", "monitor"),
        ("device:a.monitor", "device", "monitor"),
        ("device:a.monitor", "device:b", None),
        ("device", "device", "microphone"),
        ("device:hw:1", "device:a", "microphone"),
        ("device", "file:out.wav", None),
        ("tone", "device", None),
        ("system", "device", None),
    ],
)
def test_who_hears_whom(source: str, sink: str, path: str | None) -> None:
    """The monitor hears its sink, a microphone may hear every loudspeaker, and nothing else hears anything."""
    sinks = {name: Node(name, name, 48_000, 2) for name in ("a", "b")}
    sources = {f"{name}.monitor": Node(f"{name}.monitor", name, 48_000, 2, name) for name in sinks}
    sources["mic"] = Node("mic", "mic", 48_000, 1)

    assert feeds_back(source, sink, Nodes(sources, sinks, "mic", "a")) == path


def test_without_a_sound_server_every_device_may_hear_every_other() -> None:
    """Where nobody knows better, a device may hear another."""
    assert feeds_back("device:1", "device:2", None) == "microphone"

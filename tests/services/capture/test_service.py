"""Capture over real sockets, with sources of the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from distributions import plugins_with
from wiring import Stage, next_of

from soundsage.services.capture import service
from soundsage.shared.config import CaptureConfig
from soundsage.shared.contracts import SourceBlock, SourceRecord
from soundsage.shared.errors import DeviceError, EndOfStream, MediaError
from soundsage.shared.messages import AudioBlock, Error, StreamEnded
from soundsage.shared.transport import Inbox


class Scripted:
    """A source that does, read by read, what a test says, and then nothing comes."""

    sample_rate: Any = 48_000
    n_channels: Any = 2

    def __init__(self, *steps: object) -> None:
        self.closed = 0
        self._steps = iter(steps)

    def read(self, timeout_s: float) -> Any:
        """Return the next step, or raise it."""
        step = next(self._steps, None)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, np.ndarray):
            return SourceBlock(step, time.monotonic_ns())
        if step is None:
            threading.Event().wait(timeout_s)
        return step

    def close(self) -> None:
        """Count."""
        self.closed += 1


def samples(value: float, n_samples: int = 256) -> np.ndarray:
    """Return two channels of a constant."""
    return np.full((2, n_samples), value, np.float32)


class Hearing:
    """What renderer and features would hear, subscribed as they are."""

    def __init__(self, stage: Stage) -> None:
        self.inbox: Inbox = stage.inbox(stage.endpoints.audio, "audio_block/main", "stream_ended/main")
        self._other = stage.inbox(stage.endpoints.audio, "audio_block/main")

    def block(self) -> AudioBlock:
        """Return the next block."""
        return next_of(self.inbox, AudioBlock)[1]


Playing = Callable[..., Hearing]


@pytest.fixture
def playing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Playing:
    """Return a function that runs capture on sources that are opened one after another, or on a specification."""
    monkeypatch.setattr(service, "RETRY_S", 0.02)

    def play(*sources: object, spec: str = "scripted", block_size: int = 256) -> Hearing:
        waiting = iter(sources)

        def open_next(_target: str, _options: msgspec.Struct, _block_size: int) -> Any:
            source = next(waiting, sources[-1])
            if isinstance(source, BaseException):
                raise source
            return source

        record = SourceRecord(name="scripted", summary="for tests", open=open_next, check=lambda *_: None)
        plugins = plugins_with(sources=[record])
        monkeypatch.setattr(service, "installed_plugins", lambda: plugins)
        hearing = Hearing(stage)
        stage.run(service.run, capture=CaptureConfig(source=spec, block_size=block_size))
        return hearing

    return play


def test_a_tone_is_heard_without_a_gap(playing: Playing) -> None:
    """From the first block on, sequence and start count up, and the samples are those of the tone."""
    hearing = playing(spec="tone:1000?level_db=-20&sample_rate=96000", block_size=128)
    heard = [next_of(hearing.inbox, AudioBlock) for _ in range(40)]
    blocks = [block for _, block in heard]
    tone = np.concatenate([block.samples for block in blocks], axis=1)
    expected = 0.1 * np.sqrt(2.0) * np.sin(2 * np.pi * 1000 * np.arange(tone.shape[1]) / 96_000)

    assert [received.envelope.seq for received, _ in heard] == list(range(40))
    assert [block.start for block in blocks] == list(range(0, 40 * 128, 128))
    assert {block.sample_rate for block in blocks} == {96_000}
    np.testing.assert_allclose(tone[0], expected, atol=1e-6)
    assert hearing.inbox.lost == 0


def test_a_block_carries_the_time_of_its_capture(playing: Playing) -> None:
    """The stamp is the source's, before the message was sent."""
    block = SourceBlock(samples(0.5), time.monotonic_ns() - 1_000_000)
    received, _ = next_of(playing(Scripted(block)).inbox, AudioBlock)

    assert received.envelope.t_capture_ns == block.t_capture_ns
    assert received.envelope.t_publish_ns > block.t_capture_ns


def test_silence_is_captured_in_its_format(playing: Playing, stage: Stage) -> None:
    """The null source has the channels and the rate that were asked for, and the state says so."""
    hearing = playing(spec="null?sample_rate=44100&n_channels=3")

    assert hearing.block().samples.shape == (3, 256)
    state = stage.state("ready", lambda each: "n_channels" in each.settings)
    assert (state.settings["sample_rate"], state.settings["n_channels"]) == (44_100, 3)


def test_a_file_is_played_to_its_end_and_the_end_is_said_again_and_again(
    playing: Playing, stage: Stage, tmp_path: Path
) -> None:
    """All samples arrive, then the end with their number, also for who comes later."""
    sound = (0.1 * np.random.default_rng(440).standard_normal((1000, 2))).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 48_000, subtype="FLOAT")
    hearing = playing(spec=f"file:{tmp_path / 'a.wav'}")
    heard = [hearing.block() for _ in range(4)]
    late = stage.inbox(stage.endpoints.audio, "stream_ended/main")

    np.testing.assert_array_equal(np.concatenate([block.samples for block in heard], axis=1), sound.T)
    assert next_of(hearing.inbox, StreamEnded)[1].start == 1000
    assert next_of(late, StreamEnded)[1].start == 1000
    assert next_of(late, StreamEnded)[1].start == 1000
    assert stage.ask("capture", "get")["state"] == "ended"


def test_a_device_that_goes_and_comes_back_goes_on_in_the_stream(playing: Playing, stage: Stage) -> None:
    """While it is away the state says why; then blocks follow on those before, in the same epoch."""
    first, second = Scripted(samples(0.1), DeviceError("unplugged")), Scripted(samples(0.2))
    hearing = playing(first, DeviceError("no such device"), DeviceError("no such device"), second)
    before, after = next_of(hearing.inbox, AudioBlock), next_of(hearing.inbox, AudioBlock)

    assert stage.state("waiting").text == "unplugged"
    assert stage.state("waiting").text == "no such device"
    assert stage.state("ready")
    assert after[1].start == before[1].start + 256
    assert after[0].envelope.seq == before[0].envelope.seq + 1
    assert after[0].envelope.epoch == before[0].envelope.epoch
    assert first.closed == 1


def test_a_device_may_come_back_in_another_format(playing: Playing) -> None:
    """Each block says its own rate and channels."""
    second = Scripted(np.zeros((1, 64), np.float32))
    second.sample_rate, second.n_channels = 44_100, 1
    hearing = playing(Scripted(samples(0.1), DeviceError("unplugged")), second)

    assert hearing.block().sample_rate == 48_000
    assert (block := hearing.block()).sample_rate == 44_100
    assert block.samples.shape == (1, 64)
    assert block.start == 256


@pytest.mark.parametrize(
    "nonsense",
    [
        "a block",
        SourceBlock(np.zeros((2, 256)), 1),
        SourceBlock(np.zeros(256, np.float32), 1),
        SourceBlock(np.zeros((65, 256), np.float32), 1),
        SourceBlock([[0.0]], 1),  # type: ignore[arg-type]
        SourceBlock(samples(0.0), None),  # type: ignore[arg-type]
        ValueError("broken"),
        SystemExit(1),
        EOFError(),
    ],
    ids=["text", "float64", "one axis", "channels", "list", "no time", "error", "exit", "end of file"],
)
def test_a_source_that_talks_nonsense_is_opened_again(playing: Playing, stage: Stage, nonsense: object) -> None:
    """It is a strike that everybody hears of, and the blocks of the next try are heard."""
    bad = Scripted(nonsense)
    hearing = playing(bad, Scripted(samples(0.5)))

    assert hearing.block().samples[0, 0] == 0.5
    assert "strike 1 of 3" in next_of(stage.heard, Error)[1].text
    assert bad.closed == 1


def test_a_source_without_a_format_is_refused(playing: Playing, stage: Stage) -> None:
    """What it says of itself is checked as all else."""
    bad = Scripted(samples(0.1))
    bad.sample_rate = "fast"
    hearing = playing(bad, Scripted(samples(0.5)))

    assert hearing.block().samples[0, 0] == 0.5
    assert "strike 1 of 3" in next_of(stage.heard, Error)[1].text


def test_a_source_is_left_out_after_three_strikes(playing: Playing, stage: Stage) -> None:
    """Then capture has failed, says why, and still answers."""
    playing(*[Scripted(ValueError("broken")) for _ in range(4)])
    state = stage.state("failed")

    assert "raised ValueError: broken (strike 3 of 3)" in state.text
    assert stage.ask("capture", "get")["state"] == "failed"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("sonw", "source must be one of"),
        ("tone:high", "tone must be a frequency"),
        ("null?speed=2", "null options must be those of"),
        ("file:/nonexistent.wav", "/nonexistent.wav"),
        ("", "source must be one of"),
    ],
)
def test_a_source_that_cannot_be_is_a_failed_service(playing: Playing, stage: Stage, spec: str, reason: str) -> None:
    """It says so, and tries no more."""
    playing(spec=spec)

    assert reason in stage.state("failed").text


def test_a_file_that_cannot_be_read_on_is_a_failed_service(playing: Playing, stage: Stage) -> None:
    """What was read is heard, and then why there is no more."""
    hearing = playing(Scripted(samples(0.1), MediaError("a.wav is damaged")))

    assert hearing.block()
    assert stage.state("failed").text == "a.wav is damaged"


def test_a_source_that_cannot_be_closed_hurts_nobody(playing: Playing) -> None:
    """The next one is opened all the same."""

    class Stuck(Scripted):
        def close(self) -> None:
            raise RuntimeError("stuck")

    hearing = playing(Stuck(DeviceError("gone")), Scripted(samples(0.5)))

    assert hearing.block().samples[0, 0] == 0.5


def test_an_end_follows_a_device_that_was_away(playing: Playing) -> None:
    """The end counts all samples of the stream."""
    hearing = playing(Scripted(samples(0.1), DeviceError("gone")), Scripted(samples(0.2), EndOfStream("over")))

    assert next_of(hearing.inbox, StreamEnded)[1].start == 512


def test_capture_stops_while_it_waits_for_receivers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody who listens, it still answers, and ends when it is told to."""
    monkeypatch.setattr(service, "RECEIVERS_S", 1000.0)
    stop = stage.run(service.run, capture=CaptureConfig(source="null"))

    assert stage.ask("capture", "get")["state"] == "starting"
    stop.set()

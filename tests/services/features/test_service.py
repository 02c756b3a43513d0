"""Features over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import examples
import numpy as np
import pytest
from distributions import plugins_with
from wiring import TIMEOUT_S, Stage, next_of

from soundsage.services.features import service
from soundsage.services.features.core import Measuring
from soundsage.shared.config import FeaturesConfig
from soundsage.shared.contracts import ExtractorRecord
from soundsage.shared.messages import AudioBlock, Error, FeatureVector, Meter
from soundsage.shared.plugins import installed_plugins
from soundsage.shared.transport import Publisher

N_BLOCK = 4096
N_BLOCKS = 44  # 3.75 s at 48 kHz: some hops after the first window


@dataclass(frozen=True)
class Window:
    """A window with anything in it."""

    features: Any
    bands_db: Any
    level_db: Any = -20.0
    end_s: Any = 1.0


class Answering:
    """An extractor that answers each block with what a function returns."""

    def __init__(self, answer: Callable[[np.ndarray], Any]) -> None:
        self._answer = answer

    def process(self, samples: np.ndarray) -> Any:
        """Return the answer."""
        return self._answer(samples)

    def flush(self) -> list[Any]:
        """Return nothing more."""
        return []


GOOD = Window(np.ones(1, np.float32), np.ones(1, np.float32))


def leave(_samples: np.ndarray) -> None:
    """Leave, as a library may that believes to own the process."""
    raise SystemExit(3)


def good(_samples: np.ndarray) -> list[Window]:
    """Answer as an extractor should."""
    return [GOOD]


def measuring(stage: Stage, monkeypatch: pytest.MonkeyPatch, answer: Callable[[np.ndarray], Any]) -> Publisher:
    """Run the service with an extractor that answers so, and return the audio plane."""
    record = ExtractorRecord(
        name="answering",
        summary="for tests",
        feature_set="tests/1",
        feature_names=("one",),
        make=lambda _rate: Answering(answer),
    )
    plugins = plugins_with(feature_extractors=[record])
    monkeypatch.setattr(service, "installed_plugins", lambda: plugins)
    return listening(stage, FeaturesConfig(extractor="answering"))


def listening(stage: Stage, config: FeaturesConfig) -> Publisher:
    """Run the service, and return the audio plane once it listens and we hear it."""
    audio = stage.audio()
    stage.run(service.run, features=config)
    assert audio.await_receivers(1, TIMEOUT_S)
    stage.state("ready")
    return audio


def stream(n_blocks: int = N_BLOCKS) -> list[AudioBlock]:
    """Return noise in large blocks."""
    return [examples.block(start, N_BLOCK) for start in range(0, n_blocks * N_BLOCK, N_BLOCK)]


def test_each_hop_of_a_stream_is_a_vector(stage: Stage) -> None:
    """The vectors are those of the kernel on the same blocks, stamped with the capture of the last block."""
    record = installed_plugins().find("feature_extractors", ExtractorRecord, "soundsage-80")
    kernel = Measuring(record)
    expected = [(block.start, *window) for block in stream() for window in kernel.process(block)]
    audio = listening(stage, FeaturesConfig())
    for block in stream():
        audio.send(block, t_capture_ns=block.start + 1)
    heard = [next_of(stage.heard, FeatureVector) for _ in expected]

    assert len(expected) > 10
    for (received, vector), (start, time_s, window) in zip(heard, expected, strict=True):
        assert vector.time_s == time_s
        assert vector.feature_set == record.feature_set
        assert received.envelope.t_capture_ns == start + 1
        np.testing.assert_array_equal(vector.features, window.features)
        np.testing.assert_array_equal(vector.bands_db, window.bands_db)
    assert {vector.hop_compute_ms >= vector.compute_ms >= 0 for _, vector in heard} == {True}


def test_levels_are_those_of_the_sound(stage: Stage) -> None:
    """Noise at -20 dBFS is metered so, as often as it was asked for, at the end of the block that made it due."""
    audio = listening(stage, FeaturesConfig(meter_hz=10.0))
    for block in stream(8):
        audio.send(block)
    received, meter = next_of(stage.heard, Meter)

    assert meter.level_db == pytest.approx((-20.0, -20.0), abs=0.2)
    assert meter.time_s == pytest.approx(2 * N_BLOCK / 48_000)
    assert all(peak_db > level_db for peak_db, level_db in zip(meter.peak_db, meter.level_db, strict=True))
    assert received.topic == "meter/main"


def test_a_gap_begins_the_window_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost block there is a new extractor."""
    n_made = 0

    def make(_rate: int) -> Answering:
        nonlocal n_made
        n_made += 1
        return Answering(lambda _: [Window(np.full(1, n_made, np.float32), np.zeros(1, np.float32))])

    record = ExtractorRecord(
        name="counting", summary="for tests", feature_set="tests/1", feature_names=("one",), make=make
    )
    plugins = plugins_with(feature_extractors=[record])
    monkeypatch.setattr(service, "installed_plugins", lambda: plugins)
    audio = listening(stage, FeaturesConfig(extractor="counting"))
    for block in (examples.block(0), examples.block(256), examples.block(1024), examples.block(1280)):
        audio.send(block)

    assert [next_of(stage.heard, FeatureVector)[1].features[0] for _ in range(4)] == [1, 1, 2, 2]


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_block_that_is_not_finite_is_survived(stage: Stage, odd: float) -> None:
    """It is neither measured nor metered, and the next blocks are."""
    audio = listening(stage, FeaturesConfig(meter_hz=20.0))
    bad = examples.block(0, N_BLOCK)
    bad.samples[0, 7] = odd
    audio.send(bad)
    for block in stream(4)[1:]:
        audio.send(block)
    meter = next_of(stage.heard, Meter)[1]

    assert meter.time_s == pytest.approx(2 * N_BLOCK / 48_000)
    assert np.isfinite((*meter.level_db, *meter.peak_db)).all()
    assert stage.ask("features", "get")["state"] == "ready"


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: 1 / 0,
        lambda _: None,
        lambda _: ["window"],
        lambda _: [Window(np.array([np.nan], np.float32), np.ones(1, np.float32))],
        lambda _: [Window(np.ones(1), np.ones(1, np.float32))],
        lambda _: [Window(None, None)],
        lambda _: [Window(np.ones(1, np.float32), np.ones(1, np.float32), level_db="loud")],
        lambda _: [Window(np.ones(1, np.float32), np.ones(1, np.float32), end_s=None)],
        leave,
    ],
    ids=["raises", "none", "text", "NaN", "float64", "empty", "level", "time", "exits"],
)
def test_an_extractor_that_fails_is_a_strike_and_then_works(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answer: Callable[[np.ndarray], Any]
) -> None:
    """Whatever it answers, everybody is told, the state says so, and the next block is measured."""
    answers = iter([answer])

    def first_bad(samples: np.ndarray) -> Any:
        return next(answers, good)(samples)

    audio = measuring(stage, monkeypatch, first_bad)
    audio.send(examples.block(0))
    audio.send(examples.block(256))

    assert "strike 1 of 3" in next_of(stage.heard, Error)[1].text
    assert stage.state("waiting")
    assert stage.state("ready").text == ""
    assert next_of(stage.heard, FeatureVector)[1].features[0] == 1.0


def test_an_extractor_is_left_out_after_three_strikes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked a fourth time, the state keeps saying why, and levels are metered all the same."""
    n_asked = 0

    def fail(_samples: np.ndarray) -> Any:
        nonlocal n_asked
        n_asked += 1
        raise ValueError("broken")

    audio = measuring(stage, monkeypatch, fail)
    for start in range(0, 40 * 256, 256):
        audio.send(examples.block(start))
    next_of(stage.heard, Meter)

    assert n_asked == 3
    assert "strike 3 of 3" in stage.ask("features", "get")["text"]


def test_what_is_no_block_is_passed_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Junk and stale blocks are counted and change nothing."""
    audio = measuring(stage, monkeypatch, lambda _: [GOOD])
    audio.socket.send_multipart([b"audio_block/main/", b"junk"])
    old = examples.frames_of(examples.block(), source="tester", t_publish_ns=time.monotonic_ns() - 10**9)
    audio.socket.send_multipart([b"audio_block/main/", *old])
    audio.send(examples.block())

    assert next_of(stage.heard, FeatureVector)
    assert stage.state("ready", lambda each: (each.stale, each.malformed) == (1, 1))


def test_an_extractor_that_is_not_installed_is_a_failed_service(stage: Stage) -> None:
    """The state says what there is."""
    stage.run(service.run, features=FeaturesConfig(extractor="soundsage-8"))

    assert "did you mean soundsage-80?" in stage.state("failed").text

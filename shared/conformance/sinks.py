"""Rules for sinks."""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np

from soundsage.shared.contracts import Sink, SinkRecord
from soundsage.shared.errors import DeviceError, InputError

from .examples import SAMPLE_RATE
from .rules import LeftOut, Subject, require, rule

BLOCK_SIZE = 256
N_BLOCKS = 50
CLOSE_S = 2.0
FORMATS = ((SAMPLE_RATE, 2), (44_100, 1))


@rule("sinks")
def it_takes_blocks_in_any_format(subject: Subject[SinkRecord]) -> None:
    """It takes stereo at 48 kHz and mono at 44.1 kHz, in blocks of any size."""
    for sample_rate, n_channels in FORMATS:
        with _opened(subject, sample_rate, n_channels) as sink:
            for n_samples in (BLOCK_SIZE, 1, 4 * BLOCK_SIZE):
                sink.write(np.zeros((n_channels, n_samples), np.float32))


@rule("sinks")
def it_keeps_none_of_the_callers_memory(subject: Subject[SinkRecord]) -> None:
    """Once a write is over, nothing refers to the samples any more."""
    with _opened(subject, *FORMATS[0]) as sink:
        samples = np.full((FORMATS[0][1], BLOCK_SIZE), 0.25, np.float32)
        references = sys.getrefcount(samples)
        sink.write(samples)
        require(sys.getrefcount(samples) == references, "it still holds the samples or a view of them")
        require((samples == np.float32(0.25)).all(), "it wrote to the samples")


@rule("sinks")
def it_never_waits(subject: Subject[SinkRecord]) -> None:
    """A write takes less time than the sound in it lasts."""
    with _opened(subject, *FORMATS[0]) as sink:
        samples = np.zeros((FORMATS[0][1], BLOCK_SIZE), np.float32)
        took_s = statistics.median(_time_of_write(sink, samples) for _ in range(N_BLOCKS))
        require(took_s < BLOCK_SIZE / SAMPLE_RATE, f"took {took_s * 1e3:.1f} ms")


@rule("sinks")
def it_says_how_it_is(subject: Subject[SinkRecord]) -> None:
    """Its underruns are a count and its buffer is a length of time."""
    with _opened(subject, *FORMATS[0]) as sink:
        sink.write(np.zeros((FORMATS[0][1], BLOCK_SIZE), np.float32))
        require(isinstance(sink.underruns, int) and sink.underruns >= 0, f"underruns: {sink.underruns!r}")
        require(math.isfinite(sink.buffer_ms) and sink.buffer_ms >= 0, f"buffer_ms: {sink.buffer_ms!r}")


@rule("sinks")
def it_closes_in_time(subject: Subject[SinkRecord]) -> None:
    """It closes within 2 s."""
    with _opened(subject, *FORMATS[0]) as sink:
        sink.write(np.zeros((FORMATS[0][1], BLOCK_SIZE), np.float32))
        begin_s = time.monotonic()
    took_s = time.monotonic() - begin_s
    require(took_s < CLOSE_S + 0.5, f"took {took_s:.1f} s")


@contextlib.contextmanager
def _opened(subject: Subject[SinkRecord], sample_rate: int, n_channels: int) -> Iterator[Sink]:
    """Open the sink on the target, on nothing, or on a new file; a device only when the user named it."""
    record = subject.record
    if record.devices is not list and not subject.target:
        raise LeftOut(f"it opens devices; name one: `soundsage plugins check {record.name}:TARGET`")
    options = record.options()
    new_file = str(subject.folder / f"{sample_rate}.wav")
    for target in [subject.target] if subject.target else ["", new_file]:
        try:
            record.check(target, options)
            sink = record.open(target, options, sample_rate, n_channels)
        except (InputError, DeviceError) as error:
            refusal = error
            continue
        with contextlib.closing(sink):
            yield sink
        return
    raise LeftOut(str(refusal))


def _time_of_write(sink: Sink, samples: np.ndarray) -> float:
    begin_s = time.perf_counter()
    sink.write(samples)
    return time.perf_counter() - begin_s

"""Rules for sources."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np

from soundsage.shared.contracts import Source, SourceBlock, SourceRecord
from soundsage.shared.errors import DeviceError, EndOfStream, InputError

from .rules import LeftOut, Subject, require, rule

BLOCK_SIZE = 256
N_BLOCKS = 4
PATIENCE_S = 2.0
SINK = "null"


@rule("sources")
def its_blocks_are_samples(subject: Subject[SourceRecord]) -> None:
    """Its blocks are finite float32, contiguous, of shape (n_channels, n_samples)."""
    with _opened(subject) as source:
        for block in _blocks(source):
            samples = block.samples
            require(samples.dtype == np.float32, f"samples must be float32, got {samples.dtype}")
            require(samples.ndim == 2, f"must have 2 axes, got {samples.shape}")  # noqa: PLR2004  and time
            require(samples.shape[0] == source.n_channels, f"got {samples.shape[0]} of {source.n_channels} channels")
            require(0 < samples.shape[1] <= BLOCK_SIZE, f"got {samples.shape[1]} samples of at most {BLOCK_SIZE}")
            require(samples.flags.c_contiguous, "samples must be contiguous")
            require(np.isfinite(samples).all(), "samples must be finite")


@rule("sources")
def its_blocks_are_given_away(subject: Subject[SourceRecord]) -> None:
    """No two blocks share memory, and none changes later."""
    with _opened(subject) as source:
        blocks = _blocks(source)
        copies = [block.samples.copy() for block in blocks]
        source.read(0.0)
        for index, block in enumerate(blocks):
            require(np.array_equal(block.samples, copies[index]), f"block {index} changed")
            for other in blocks[index + 1 :]:
                require(
                    not np.shares_memory(block.samples, other.samples), f"block {index} shares memory with a later one"
                )


@rule("sources")
def its_clock_is_that_of_the_machine(subject: Subject[SourceRecord]) -> None:
    """Each block is stamped with the monotonic clock, of the moment when its last sample was there."""
    with _opened(subject) as source:
        begin_ns = time.monotonic_ns()
        stamps = [block.t_capture_ns for block in _blocks(source)]
        end_ns = time.monotonic_ns()
    # A device may hold sound that it captured while it was opened.
    oldest_ns = begin_ns - round(PATIENCE_S * 1e9)
    require(all(oldest_ns <= stamp <= end_ns for stamp in stamps), f"got {stamps} between {begin_ns} and {end_ns}")


@rule("sources")
def it_waits_no_longer_than_it_is_told(subject: Subject[SourceRecord]) -> None:
    """A read that may not wait returns at once."""
    with _opened(subject) as source:
        _blocks(source)
        begin_s = time.monotonic()
        with contextlib.suppress(EndOfStream):
            source.read(0.0)
        took_s = time.monotonic() - begin_s
        require(took_s < 0.1, f"took {took_s * 1e3:.0f} ms")  # noqa: PLR2004  a scheduler may be late, never this late


@rule("sources")
def it_can_be_closed_twice(subject: Subject[SourceRecord]) -> None:
    """It may be closed at any time, also twice."""
    with _opened(subject) as source:
        source.close()


@contextlib.contextmanager
def _opened(subject: Subject[SourceRecord]) -> Iterator[Source]:
    """Open the source; a device only when the user named it, since opening one may disturb what plays."""
    record = subject.record
    if record.devices is not list and not subject.target:
        raise LeftOut(f"it opens devices; name one: `soundsage plugins check {record.name}:TARGET`")
    options = record.options()
    try:
        record.check(subject.target, options, SINK)
        source = record.open(subject.target, options, BLOCK_SIZE)
    except (InputError, DeviceError) as error:
        raise LeftOut(str(error)) from error
    try:
        yield source
    finally:
        source.close()


def _blocks(source: Source) -> list[SourceBlock]:
    end_s = time.monotonic() + PATIENCE_S
    blocks: list[SourceBlock] = []
    while len(blocks) < N_BLOCKS and (left_s := end_s - time.monotonic()) > 0:
        try:
            block = source.read(left_s)
        except EndOfStream:
            break
        if block is not None:
            blocks.append(block)
    require(blocks, f"no block came within {PATIENCE_S:g} s")
    return blocks

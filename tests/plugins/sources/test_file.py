"""The source `file`."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsage.plugins.sources.file import FileOptions, soundsage_sources
from soundsage.shared.contracts import Source
from soundsage.shared.errors import EndOfStream, InputError, MediaError

SAMPLE_RATE = 48_000
BLOCK_SIZE = 480


@pytest.fixture
def music(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Write a fifth of a second and a bit of noise."""
    samples = np.random.default_rng(440).uniform(-0.5, 0.5, (2, 20 * BLOCK_SIZE + 100)).astype(np.float32)
    path = tmp_path / "music?.wav"
    soundfile.write(path, samples.T, SAMPLE_RATE, subtype="FLOAT")
    return path, samples


def opened(path: Path, *, loop: bool = False) -> Source:
    """Open a file as the capture service does."""
    (record,) = soundsage_sources()
    record.check(str(path), FileOptions(loop=loop), "device")
    return record.open(str(path), FileOptions(loop=loop), BLOCK_SIZE)


def test_a_file_is_played_whole_and_then_ends(music: tuple[Path, np.ndarray]) -> None:
    """A file is played whole, its last block shorter, and then raises EndOfStream."""
    path, samples = music
    source = opened(path)
    blocks = [source.read(1.0) for _ in range(21)]
    with pytest.raises(EndOfStream):
        source.read(1.0)
    source.close()

    assert [block.samples.shape[1] for block in blocks if block] == [BLOCK_SIZE] * 20 + [100]
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks if block], axis=1), samples)


def test_a_file_plays_in_real_time(music: tuple[Path, np.ndarray]) -> None:
    """No block of a file comes before its last sample would be heard, counted from the first read."""
    source = opened(music[0])
    begin_ns = time.monotonic_ns()
    stamps = [block.t_capture_ns for _ in range(20) if (block := source.read(1.0))]
    source.close()

    assert all(stamp - begin_ns >= n * 10_000_000 for n, stamp in enumerate(stamps, start=1))


def test_a_read_that_may_not_wait_returns_none_and_loses_nothing(music: tuple[Path, np.ndarray]) -> None:
    """A read that may not wait returns None, and the block comes later."""
    path, samples = music
    source = opened(path)

    assert source.read(0.0) is None
    block = source.read(1.0)
    source.close()
    assert block is not None
    np.testing.assert_array_equal(block.samples, samples[:, :BLOCK_SIZE])


def test_a_loop_goes_on_without_a_seam(music: tuple[Path, np.ndarray]) -> None:
    """A loop goes on with the first sample right behind the last one, in full blocks."""
    path, samples = music
    source = opened(path, loop=True)
    blocks = [block.samples for _ in range(25) if (block := source.read(1.0))]
    source.close()

    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), np.tile(samples, 2)[:, : 25 * BLOCK_SIZE])


def test_damage_on_the_way_is_told_with_its_place(tmp_path: Path) -> None:
    """Damage on the way is an error with the file and the place."""
    path = tmp_path / "cut.flac"
    soundfile.write(path, np.random.default_rng(440).uniform(-0.5, 0.5, SAMPLE_RATE), SAMPLE_RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    source = opened(path)
    with pytest.raises(MediaError, match=r"cut\.flac is damaged 0\.\d s after its start"):
        [source.read(1.0) for _ in range(100)]
    source.close()


def test_closing_twice_is_allowed(music: tuple[Path, np.ndarray]) -> None:
    """Closing twice is allowed, and a read that follows does not wait."""
    source = opened(music[0])
    source.read(1.0)
    source.close()
    source.close()


@pytest.mark.parametrize(("target", "reason"), [("", "must name a file"), ("/nowhere/a.wav", "does not exist")])
def test_what_cannot_be_played_is_refused_before_the_start(target: str, reason: str) -> None:
    """What cannot be played is refused before anything starts."""
    (record,) = soundsage_sources()
    with pytest.raises(InputError, match=reason):
        record.check(target, FileOptions(), "null")

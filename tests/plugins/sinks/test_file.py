"""The sinks `file` and `null`."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsage.plugins.sinks import null
from soundsage.plugins.sinks.file import FORMATS, FileSink, soundsage_sinks
from soundsage.shared.audiofile import open_audio
from soundsage.shared.errors import InputError, MediaError
from soundsage.shared.spec import NoOptions

SAMPLE_RATE = 48_000
BLOCK_SIZE = 480
PATIENCE_S = 20.0


def opened(path: Path, sample_rate: int = SAMPLE_RATE, n_channels: int = 2) -> FileSink:
    """Open a file as the renderer does."""
    (record,) = soundsage_sinks()
    record.check(str(path), NoOptions())
    return record.open(str(path), NoOptions(), sample_rate, n_channels)


def noise(n_samples: int) -> np.ndarray:
    """Return stereo noise, shape (2, n_samples)."""
    return np.random.default_rng(440).uniform(-0.5, 0.5, (2, n_samples)).astype(np.float32)


def write_until_it_fails(sink: FileSink) -> str:
    """Write noise until the sink raises, and return what it says."""
    block, end = noise(BLOCK_SIZE), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            sink.write(block)
        except MediaError as error:
            return str(error)
        while sink._fault is None and sink._n_taken - sink._n_written > SAMPLE_RATE:
            os.sched_yield()
    return "nothing"


def sound_in(path: Path) -> np.ndarray:
    """Return all samples of a file that plays to its end."""
    audio = open_audio(path, 480)
    try:
        return np.concatenate(list(audio), axis=1)
    finally:
        audio.close()


def test_a_wav_file_holds_exactly_what_was_written(tmp_path: Path) -> None:
    """A WAV file holds exactly what was written, beyond full scale, too, though the caller reuses its memory."""
    samples = 4 * noise(10 * BLOCK_SIZE + 7)
    sink = opened(tmp_path / "out.wav")
    block = np.empty((2, BLOCK_SIZE), np.float32)
    for start in range(0, samples.shape[1], BLOCK_SIZE):
        part = samples[:, start : start + BLOCK_SIZE]
        block[:, : part.shape[1]] = part
        sink.write(block[:, : part.shape[1]])
        block.fill(np.nan)
    sink.close()

    np.testing.assert_array_equal(sound_in(tmp_path / "out.wav"), samples)
    assert sink.underruns == 0


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_keeps_the_length_and_the_rate(tmp_path: Path, suffix: str) -> None:
    """Every format keeps the length and the rate, and says by its content what its extension says."""
    path = tmp_path / f"out{suffix}"
    sink = opened(path)
    for _ in range(100):
        sink.write(noise(BLOCK_SIZE))
    sink.close()

    info = soundfile.info(str(path))
    assert (info.format, info.subtype) == FORMATS[suffix]
    assert (info.samplerate, info.channels, info.frames) == (SAMPLE_RATE, 2, 100 * BLOCK_SIZE)


def test_writing_never_waits_for_the_disk(tmp_path: Path) -> None:
    """While the disk takes nothing at all writes return at once, and after ten seconds of sound they say so."""
    sink = opened(tmp_path / "out.wav")
    awake = threading.Event()
    put = sink._put
    sink._put = lambda frames: awake.wait() and put(frames)  # as a disk that sleeps
    times_s = []
    for _ in range(1_000):
        begin = time.perf_counter()
        sink.write(noise(BLOCK_SIZE))
        times_s.append(time.perf_counter() - begin)
    with pytest.raises(MediaError, match="too slowly: 10 s wait"):
        sink.write(noise(BLOCK_SIZE))
    awake.set()
    sink.close()

    assert max(times_s) < 0.1
    assert sound_in(tmp_path / "out.wav").shape[1] == 1_001 * BLOCK_SIZE


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny file system takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this container does not allow mounting")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".opus", ".mp3"])
def test_a_full_disk_is_told_and_what_was_written_is_kept(tiny_disk: Path, suffix: str) -> None:
    """A full disk is told with one line; what was written before can be played to its end."""
    path = tiny_disk / f"out{suffix}"
    sink = opened(path)
    said = write_until_it_fails(sink)
    sink.close()

    assert "cannot be written further: the disk is full; free some space; what was written before is kept" in said
    assert "\n" not in said
    assert sound_in(path).shape[1] > BLOCK_SIZE


def test_a_full_disk_leaves_a_flac_file_that_begins_to_play(tiny_disk: Path) -> None:
    """A FLAC file cannot be finished on a full disk, but it begins to play."""
    path = tiny_disk / "out.flac"
    sink = opened(path)
    write_until_it_fails(sink)
    sink.close()
    audio = open_audio(path, 480)

    assert next(iter(audio)).shape == (2, 480)
    audio.close()


def test_a_disk_that_is_full_from_the_start_leaves_no_file(tiny_disk: Path) -> None:
    """On a disk that is full from the start the file is removed again."""
    (tiny_disk / "ballast").write_bytes(b"\0" * (256 << 10))
    path = tiny_disk / "out.wav"
    with pytest.raises(MediaError, match="disk"):
        opened(path)

    assert not path.exists()


def test_closing_tells_what_failed_last(tiny_disk: Path) -> None:
    """What fails after the last write is told when the file is closed, once."""
    sink = opened(tiny_disk / "out.wav")
    sink.write(noise(300_000))
    with pytest.raises(MediaError, match="the disk is full"):
        sink.close()
    sink.close()


def test_an_impossible_format_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    """A format that a file cannot hold is refused before the file that was there is touched."""
    path = tmp_path / "out.mp3"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"cannot hold 8 channels at 48000 Hz.*write \.wav"):
        opened(path, SAMPLE_RATE, 8)

    assert path.read_bytes() == b"precious"


def test_a_wav_file_ends_before_its_header_overflows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WAV file that would outgrow its header is finished there, and that is told."""
    monkeypatch.setattr("soundsage.plugins.sinks.file.MAX_WAV_BYTES", 100_000)
    path = tmp_path / "out.wav"
    sink = opened(path)

    assert "a WAV file holds 4 GiB at most; write .flac" in write_until_it_fails(sink)
    sink.close()
    assert sound_in(path).shape[1] == 100_000 // 8 // BLOCK_SIZE * BLOCK_SIZE


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("", "must name a file"),
        ("{folder}", "must be a regular file"),
        ("{folder}/nowhere/a.wav", "directory .*nowhere does not exist"),
        ("{folder}/a.xyz", r"must be one of \.wav, \.flac, \.ogg, \.opus, \.mp3, got \.xyz"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_start(tmp_path: Path, target: str, reason: str) -> None:
    """What cannot be written is refused before anything starts, and nothing is left behind."""
    (record,) = soundsage_sinks()
    with pytest.raises(InputError, match=reason):
        record.check(target.format(folder=tmp_path), NoOptions())

    assert not list(tmp_path.iterdir())


def test_a_disk_that_may_not_be_written_is_refused_before_the_start(tiny_disk: Path) -> None:
    """A disk that may not be written is refused before anything starts."""
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    (record,) = soundsage_sinks()
    with pytest.raises(InputError, match="cannot be written"):
        record.check(str(tiny_disk / "a.wav"), NoOptions())


def test_the_null_sink_takes_everything_and_has_no_target() -> None:
    """The sink `null` takes everything, never runs dry, and has no target."""
    (record,) = null.soundsage_sinks()
    record.check("", NoOptions())
    sink = record.open("", NoOptions(), SAMPLE_RATE, 2)
    sink.write(noise(BLOCK_SIZE))
    sink.close()

    assert (sink.underruns, sink.buffer_ms) == (0, 0.0)
    with pytest.raises(InputError, match="must have no target, got x"):
        record.check("x", NoOptions())

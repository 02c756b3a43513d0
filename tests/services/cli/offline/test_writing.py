"""Sound files that come to be whole or not at all, and the same each time."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsage.services.cli.offline.steady import make_steady
from soundsage.services.cli.offline.writing import FORMATS, NewSound, output_format
from soundsage.shared.audiofile import AudioFile, open_audio
from soundsage.shared.errors import InputError, MediaError

SAMPLE_RATE = 48_000
NOISE = 0.1 * np.random.default_rng(440).standard_normal((2, 2 * SAMPLE_RATE + 17)).astype(np.float32)


def written(path: Path, subtype: str = "FLOAT") -> Path:
    """Return a WAV file of noise."""
    soundfile.write(path, NOISE.T, SAMPLE_RATE, subtype=subtype, format="WAV")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Iterator[AudioFile]:
    """Yield an open file of noise."""
    with closing(open_audio(written(tmp_path / "in.wav"), 256)) as opened:
        yield opened


@contextmanager
def no_file_larger_than(n_bytes: int) -> Iterator[None]:
    """Let writes beyond a size fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_keeps_length_and_rate_and_is_the_same_each_time(
    suffix: str, source: AudioFile, tmp_path: Path
) -> None:
    """Written twice, the bytes are the same, and what is read back is as long as what was written."""
    outputs = [tmp_path / f"{name}{suffix}" for name in ("first", "second")]
    for output in outputs:
        with NewSound(output, source) as sound:
            for block in np.array_split(NOISE, 100, axis=1):
                sound.write(block)

    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    read, sample_rate = soundfile.read(outputs[0])
    assert (read.T.shape, sample_rate) == (NOISE.shape, SAMPLE_RATE)


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_the_time_of_day_is_taken_out_of_a_file_with_floats(container: str, tmp_path: Path) -> None:
    """Two files that differ in the time of the chunk `PEAK` alone become the same, and stay readable."""
    file = tmp_path / "a"
    soundfile.write(file, NOISE.T, SAMPLE_RATE, subtype="FLOAT", format=container)
    content = bytearray(file.read_bytes())
    peak = content.index(b"PEAK")
    content[peak + 12 : peak + 16] = b"\1\2\3\4"
    other = tmp_path / "b"
    other.write_bytes(content)

    make_steady(file)
    make_steady(other)

    assert file.read_bytes() == other.read_bytes()
    assert np.array_equal(soundfile.read(other, dtype="float32")[0], NOISE.T)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_the_pages_of_an_ogg_file_get_one_number_and_remain_valid(subtype: str, tmp_path: Path) -> None:
    """The sound is the same before and after, although the reader checks every page's checksum."""
    file = tmp_path / "a.ogg"
    soundfile.write(file, NOISE.T, SAMPLE_RATE, subtype=subtype, format="OGG")
    before, _ = soundfile.read(file)

    make_steady(file)

    assert np.array_equal(soundfile.read(file)[0], before)


@pytest.mark.parametrize(
    ("subtype", "suffix", "expected"),
    [
        ("PCM_16", ".wav", ("WAV", "PCM_16")),
        ("PCM_16", ".flac", ("FLAC", "PCM_16")),
        ("FLOAT", ".flac", ("FLAC", "PCM_24")),
        ("FLOAT", ".WAV", ("WAV", "FLOAT")),
        ("PCM_24", ".ogg", ("OGG", "VORBIS")),
    ],
)
def test_samples_are_as_fine_as_the_inputs_where_the_container_can(
    subtype: str, suffix: str, expected: tuple[str, str], tmp_path: Path
) -> None:
    """The extension chooses the container, the input the kind of samples."""
    assert output_format(tmp_path / f"out{suffix}", written(tmp_path / "in.wav", subtype)) == expected


def test_a_failure_leaves_what_was_there_and_nothing_else(source: AudioFile, tmp_path: Path) -> None:
    """Whatever goes wrong, an older output stays as it was and no unfinished file remains."""
    output = tmp_path / "out.wav"
    output.write_bytes(b"older")

    def interrupted() -> None:
        with NewSound(output, source) as sound:
            sound.write(NOISE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert output.read_bytes() == b"older"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.wav", "out.wav"]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_full_disk_is_one_error_and_leaves_nothing(suffix: str, source: AudioFile, tmp_path: Path) -> None:
    """When the disk takes no more, the unfinished file goes."""

    def write_much() -> None:
        with NewSound(tmp_path / f"out{suffix}", source) as sound:
            for _ in range(100):
                sound.write(NOISE[:, :4096])

    with no_file_larger_than(20_000), pytest.raises(MediaError, match="cannot be written"):
        write_much()

    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_the_input_is_never_the_output(source: AudioFile, tmp_path: Path) -> None:
    """Not under its own name, and not under another one either."""
    link = tmp_path / "link.wav"
    link.symlink_to(source.path)
    before = source.path.read_bytes()

    for output in (source.path, link):
        with pytest.raises(InputError, match="must be another file than the input"):
            NewSound(output, source)

    assert source.path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.m4a", "extension of .* must be one of .wav, .flac"),
        ("out", "got none"),
        ("nowhere/out.wav", "does not exist"),
        (".", "must be a regular file|extension"),
    ],
)
def test_an_output_that_cannot_be_is_refused(name: str, reason: str, source: AudioFile, tmp_path: Path) -> None:
    """A name that cannot be written is the user's mistake."""
    with pytest.raises(InputError, match=reason):
        NewSound(tmp_path / name, source)

    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_a_rate_that_the_format_cannot_have_is_refused(tmp_path: Path) -> None:
    """Opus knows five rates; the message says what to write instead."""
    soundfile.write(tmp_path / "in.wav", NOISE.T, 44_100)

    with (
        closing(open_audio(tmp_path / "in.wav", 256)) as source,
        pytest.raises(InputError, match=r"cannot hold 2 channels at 44100 Hz: .*; write \.wav"),
    ):
        NewSound(tmp_path / "out.opus", source)

    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]

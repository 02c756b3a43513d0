"""Files of every format, whole, cut and damaged."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundsage.shared.audiofile import open_audio
from soundsage.shared.errors import InputError, MediaError

SAMPLE_RATE = 48_000
DURATION_S = 2.0
# Container and codec of each extension, and how far a sample may be off: the step of 16 bits, or what a coder loses.
SNDFILE = {
    "wav": ("WAV", "PCM_16", 2**-15),
    "flac": ("FLAC", "PCM_16", 2**-15),
    "mp3": ("MP3", "MPEG_LAYER_III", 0.02),
    "ogg": ("OGG", "VORBIS", 0.02),
    "opus": ("OGG", "OPUS", 0.05),  # libsndfile garbles the last 3 ms of what it encodes
}
FFMPEG = {"m4a": ("aac", 0.02), "webm": ("libopus", 0.02)}
TOLERANCES = {name: tolerance for name, (*_, tolerance) in (SNDFILE | FFMPEG).items()}


def music() -> np.ndarray:
    """Return a different sine in each channel, faded in and out lest a coder rings at the ends."""
    time_s = np.arange(round(DURATION_S * SAMPLE_RATE)) / SAMPLE_RATE
    sines = np.stack([np.sin(2 * np.pi * frequency_hz * time_s) for frequency_hz in (440, 660)])
    return (0.3 * sines * np.clip(np.minimum(time_s, DURATION_S - time_s) / 0.2, 0, 1)).astype(np.float32)


def write(path: Path, samples: np.ndarray) -> Path:
    """Write samples in the format of the extension."""
    extension = path.suffix[1:]
    if extension in SNDFILE:
        container, subtype, _ = SNDFILE[extension]
        soundfile.write(path, samples.T, SAMPLE_RATE, format=container, subtype=subtype)
    else:
        write_with_ffmpeg(path, samples, FFMPEG[extension][0])
    return path


def write_with_ffmpeg(path: Path, samples: np.ndarray, codec: str) -> None:
    """Write samples as FFmpeg does."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=SAMPLE_RATE, layout="stereo", bit_rate=256_000)
        for start in range(0, samples.shape[1], 960):
            part = np.ascontiguousarray(samples[:, start : start + 960])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read(path: Path, block_size: int = 480) -> np.ndarray:
    """Return all samples of a file."""
    audio = open_audio(path, block_size)
    try:
        return np.concatenate(list(audio), axis=1)
    finally:
        audio.close()


def pages(ogg: bytes) -> list[bytes]:
    """Return the pages of an Ogg file (RFC 3533, section 6)."""
    found = []
    while ogg:
        n_segments = ogg[26]
        size = 27 + n_segments + sum(ogg[27 : 27 + n_segments])
        found.append(ogg[:size])
        ogg = ogg[size:]
    return found


@pytest.mark.parametrize("extension", TOLERANCES)
def test_every_format_is_read_sample_for_sample(tmp_path: Path, extension: str) -> None:
    """Every format is read sample for sample: as many as were written, at the same times."""
    written = music()
    found = read(write(tmp_path / f"a.{extension}", written))

    assert found.dtype == np.float32
    assert found.shape == written.shape
    np.testing.assert_allclose(found, written, atol=TOLERANCES[extension])


@pytest.mark.parametrize("extension", TOLERANCES)
def test_a_file_says_its_format_and_length(tmp_path: Path, extension: str) -> None:
    """A file says its format and length, to the frame of its coder."""
    audio = open_audio(write(tmp_path / f"a.{extension}", music()), 480)
    audio.close()

    assert (audio.sample_rate, audio.n_channels) == (SAMPLE_RATE, 2)
    assert audio.duration_s == pytest.approx(DURATION_S, abs=0.03)


@pytest.mark.parametrize("extension", TOLERANCES)
def test_a_file_in_a_loop_has_no_seam(tmp_path: Path, extension: str) -> None:
    """A file in a loop is followed by itself: the first sample comes right behind the last one."""
    path = write(tmp_path / f"a.{extension}", music())
    once = read(path)
    audio = open_audio(path, 1_000, loop=True)
    blocks = [block for _, block in zip(range(250), audio, strict=False)]
    audio.close()
    found = np.concatenate(blocks, axis=1)

    assert {block.shape[1] for block in blocks} == {1_000}
    np.testing.assert_array_equal(found, np.tile(once, 3)[:, : found.shape[1]])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block_size=st.integers(1, 5_000), n_samples=st.integers(1, 20_000))
def test_the_block_size_does_not_change_the_samples(tmp_path: Path, block_size: int, n_samples: int) -> None:
    """The block size does not change the samples, and only the last block is shorter."""
    samples = np.random.default_rng(440).uniform(-1, 1, (1, n_samples)).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples.T, SAMPLE_RATE, subtype="FLOAT")
    audio = open_audio(path, block_size)
    blocks = list(audio)
    audio.close()

    assert all(block.shape[1] == block_size for block in blocks[:-1])
    assert 0 < blocks[-1].shape[1] <= block_size
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), samples)


def test_no_two_blocks_share_memory(tmp_path: Path) -> None:
    """No two blocks share memory, since each is given away."""
    audio = open_audio(write(tmp_path / "a.wav", music()), 480)
    first, second, *_ = list(audio)
    audio.close()

    assert not np.shares_memory(first, second)


@pytest.mark.parametrize(("extension", "lie"), [("flac", "wav"), ("m4a", "mp3"), ("mp3", "raw"), ("wav", "txt")])
def test_the_content_counts_and_not_the_extension(tmp_path: Path, extension: str, lie: str) -> None:
    """The content counts, and not the extension."""
    path = write(tmp_path / f"a.{extension}", music())
    whole = read(path)

    np.testing.assert_array_equal(read(path.rename(tmp_path / f"b.{lie}")), whole)


def test_a_colon_or_a_scheme_in_a_name_is_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A colon in a name is part of it, though FFmpeg would take what is before it for a protocol."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "http:a.m4a", music())

    assert read(Path("http:a.m4a")).shape == music().shape


@pytest.mark.parametrize("n_cut", [1, 2])
@pytest.mark.parametrize("codec", ["libsndfile", "ffmpeg"])
def test_opus_cut_from_the_middle_of_a_track_plays(tmp_path: Path, codec: str, n_cut: int) -> None:
    """Opus cut from the middle of a track, whose first page counts from somewhere, plays as the rest of that track."""
    path = tmp_path / "a.opus"
    samples = np.tile(music(), 2)
    if codec == "ffmpeg":
        write_with_ffmpeg(path, samples, "libopus")
    else:
        write(path, samples)
    whole = read(path)
    head, tags, *rest = pages(path.read_bytes())
    path.write_bytes(b"".join([head, tags, *rest[n_cut:]]))
    found = read(path)

    assert 0 < found.shape[1] < whole.shape[1]
    # A decoder that begins in the middle takes up to 80 ms to converge (RFC 7845, section 4.6).
    tail = found.shape[1] - SAMPLE_RATE // 10
    np.testing.assert_allclose(found[:, -tail:], whole[:, -tail:], atol=0.02)


def test_what_libsndfile_refuses_is_left_to_ffmpeg(tmp_path: Path) -> None:
    """What libsndfile refuses is left to FFmpeg: here Opus in Matroska."""
    path = write(tmp_path / "a.webm", music())

    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(path)
    assert read(path).shape == music().shape


@pytest.mark.parametrize("extension", ["wav", "mp3", "ogg", "opus", "webm"])
def test_a_file_that_ends_early_plays_to_where_it_ends(tmp_path: Path, extension: str) -> None:
    """A file that ends early plays to where it ends, if its format is made for that."""
    samples = np.tile(music(), 3)
    path = write(tmp_path / f"a.{extension}", samples)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    n_samples = read(path).shape[1]

    assert 0 < n_samples < samples.shape[1]


@pytest.mark.parametrize("extension", ["flac", "m4a"])
def test_damage_in_the_middle_is_told_with_its_place(tmp_path: Path, extension: str) -> None:
    """Damage in the middle is told, with the file and the place, after what comes before it was played."""
    path = write(tmp_path / f"a.{extension}", np.tile(music(), 3))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = np.random.default_rng(440).bytes(400)
    path.write_bytes(content)
    audio = open_audio(path, 480)
    blocks = []

    with pytest.raises(
        MediaError, match=rf"a\.{extension} is damaged [23]\.\d s after its start: .+; use an intact copy"
    ):
        blocks.extend(audio)
    audio.close()


def test_samples_that_are_no_numbers_are_damage(tmp_path: Path) -> None:
    """Samples that are no finite numbers are damage, and reach nobody."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full((9_000, 1), np.nan, np.float32), SAMPLE_RATE, subtype="FLOAT")
    audio = open_audio(path, 480)

    with pytest.raises(MediaError, match="no finite numbers"):
        list(audio)
    audio.close()


@pytest.mark.parametrize("extension", [*TOLERANCES, "raw", "txt", "m3u8"])
def test_noise_in_a_file_is_refused(tmp_path: Path, extension: str) -> None:
    """A file of random bytes is refused with one line, whatever it calls itself."""
    path = tmp_path / f"a.{extension}"
    path.write_bytes(np.random.default_rng(440).bytes(20_000))

    with pytest.raises(InputError, match=r"a\.\w+ cannot be decoded: [^\n]+$"):
        open_audio(path, 480)


def test_headers_without_samples_are_refused(tmp_path: Path) -> None:
    """A file of headers without samples is refused."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((0, 2)), SAMPLE_RATE)

    with pytest.raises(InputError, match="it holds no sound"):
        open_audio(path, 480)


def test_a_picture_is_refused(tmp_path: Path) -> None:
    """A film without sound is refused, and the reason given."""
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode(None))

    with pytest.raises(InputError, match="no audio stream"):
        open_audio(path, 480)


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    """A playlist opens nothing else: FFmpeg would follow it to any file or address."""
    write(tmp_path / "a.wav", music())
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.wav\n#EXT-X-ENDLIST\n")

    with pytest.raises(InputError, match="cannot be decoded"):
        open_audio(path, 480)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _path: None, "does not exist"),
        (lambda path: path.mkdir(), "must be a regular file"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.symlink_to(path), "cannot be opened"),
    ],
    ids=["missing", "directory", "empty", "circular"],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: object, reason: str) -> None:
    """What is no file is refused with one line."""
    path = tmp_path / "a.wav"
    make(path)  # type: ignore[operator]

    with pytest.raises(InputError, match=reason):
        open_audio(path, 480)


def test_a_format_beyond_ours_is_refused(tmp_path: Path) -> None:
    """A file with more channels or samples a second than a message can hold is refused."""
    soundfile.write(tmp_path / "many.wav", np.zeros((10, 65)), SAMPLE_RATE)
    soundfile.write(tmp_path / "slow.wav", np.zeros((10, 1)), 500)

    with pytest.raises(InputError, match="must have 1 to 64 channels, got 65"):
        open_audio(tmp_path / "many.wav", 480)
    with pytest.raises(InputError, match=r"must lie in \[1000, 768000\] Hz, got 500"):
        open_audio(tmp_path / "slow.wav", 480)


def test_a_file_may_be_removed_while_it_plays(tmp_path: Path) -> None:
    """A file may be removed while it plays in a loop, since it is not opened again."""
    path = write(tmp_path / "a.m4a", music())
    audio = open_audio(path, 48_000, loop=True)
    path.unlink()
    n_samples = sum(block.shape[1] for _, block in zip(range(10), audio, strict=False))
    audio.close()

    assert n_samples == 10 * 48_000

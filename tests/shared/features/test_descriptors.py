"""The descriptors of each frame against librosa, fed float64 with the same settings, and against theory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import librosa
import numpy as np
import pytest

from soundsage.shared.features import FMAX_HZ, HOP_LENGTH, N_FFT, SAMPLE_RATE
from soundsage.shared.features.analyser import Analyser
from soundsage.shared.features.descriptors import DESCRIPTOR_NAMES, FLOOR_POWER, N_DESCRIPTORS, ROLLOFF_SHARE
from soundsage.shared.features.filterbanks import (
    CONTRAST_EDGES_HZ,
    N_BINS,
    N_MELS,
    N_MFCC,
    Matrix,
    bin_frequencies_hz,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]

# Of the largest value of a descriptor. Both sides are float64 and differ by the order of additions alone; the
# logarithm of an almost empty bin enlarges that.
TOLERANCE = 1e-8


def rows_of(samples: npt.NDArray[np.floating]) -> Matrix:
    """Return the rows of all frames, shape (n_frames, ROW_LENGTH)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), N_FFT)[::HOP_LENGTH].copy()
    analyser = Analyser(len(frames))
    for newest, frame in enumerate(frames):
        analyser.hop(frame, 0, newest)
    return analyser.rows


def column(rows: Matrix, name: str) -> Matrix:
    """Return one descriptor of all frames, shape (n_frames,)."""
    return rows[:, DESCRIPTOR_NAMES.index(name)]


def sine(frequency_hz: float, amplitude: float = 0.5) -> Matrix:
    """Return half a second of a sine."""
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE)


def decibels(power: Matrix) -> Matrix:
    """Return a power in dB as librosa does, with our floor and no other clip."""
    return np.asarray(librosa.power_to_db(power, amin=FLOOR_POWER, top_db=None))


def reference_of(samples: Sound) -> dict[str, Matrix]:
    """Return every descriptor but the level as librosa has it, each of shape (n_frames,) or (n, n_frames)."""
    signal = samples.astype(np.float64)
    magnitude = np.abs(librosa.stft(signal, n_fft=N_FFT, hop_length=HOP_LENGTH, center=False))
    cut, freq = magnitude[:N_BINS], bin_frequencies_hz()
    # librosa's chroma wants the whole spectrum: what is not analysed is empty.
    power = np.concatenate((cut, np.zeros_like(magnitude[N_BINS:]))) ** 2
    mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmax=FMAX_HZ, dtype=np.float64) @ power
    spectral = librosa.feature
    return {
        "mfcc": spectral.mfcc(S=decibels(mel), n_mfcc=N_MFCC + 1)[1:],
        "chroma": spectral.chroma_stft(S=power, sr=SAMPLE_RATE, tuning=0.0, dtype=np.float64),
        "contrast": spectral.spectral_contrast(S=cut, sr=SAMPLE_RATE, freq=freq),
        "centroid_hz": spectral.spectral_centroid(S=cut, freq=freq)[0],
        "bandwidth_hz": spectral.spectral_bandwidth(S=cut, freq=freq)[0],
        "rolloff_hz": spectral.spectral_rolloff(S=cut, freq=freq, roll_percent=ROLLOFF_SHARE)[0],
        "flatness": spectral.spectral_flatness(S=cut, amin=FLOOR_POWER)[0],
        "zero_crossing_rate": spectral.zero_crossing_rate(
            signal, frame_length=N_FFT, hop_length=HOP_LENGTH, center=False, threshold=0.0
        )[0],
        "onset_db": librosa.onset.onset_strength(S=decibels(mel), sr=SAMPLE_RATE, center=False),
        "slope_db_per_octave": spectral.poly_features(S=decibels(cut**2)[1:], freq=np.log2(freq[1:]), order=1)[0],
    }


@pytest.fixture
def unclipped_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the hidden clip, 80 dB below the loudest of all frames, out of librosa's contrast."""
    unclipped = functools.partial(librosa.power_to_db, amin=FLOOR_POWER**0.5, top_db=None)
    monkeypatch.setattr("librosa.feature.spectral.power_to_db", unclipped)


@pytest.mark.usefixtures("unclipped_contrast")
def test_every_descriptor_is_librosas(sound: Sound) -> None:
    """All 39 descriptors with a counterpart in librosa equal it on every frame."""
    rows = rows_of(sound)

    for name, reference in reference_of(sound).items():
        columns = [n for n, full in enumerate(DESCRIPTOR_NAMES) if full.startswith(name)]
        expected = np.atleast_2d(reference)
        assert len(columns) == len(expected)
        np.testing.assert_allclose(
            rows[:, columns].T, expected, rtol=0.0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name
        )


def test_the_level_is_librosas_rms(sound: Sound) -> None:
    """The level of a frame is its RMS in dB."""
    rms = librosa.feature.rms(
        y=sound.astype(np.float64), frame_length=N_FFT, hop_length=HOP_LENGTH, center=False, dtype=np.float64
    )[0]

    np.testing.assert_allclose(column(rows_of(sound), "level_db"), 20 * np.log10(rms), atol=1e-9)


def test_there_are_forty_descriptors_with_different_names() -> None:
    """The descriptors are forty and no name occurs twice."""
    assert len(set(DESCRIPTOR_NAMES)) == len(DESCRIPTOR_NAMES) == N_DESCRIPTORS == 40


@pytest.mark.parametrize("frequency_hz", [110.0, 440.0, 1000.0, 5000.0])
def test_a_sine_has_its_centroid_at_its_frequency(frequency_hz: float) -> None:
    """The centroid of a sine lies within half a bin of its frequency and nothing spreads around it."""
    rows = rows_of(sine(frequency_hz))

    np.testing.assert_allclose(column(rows, "centroid_hz"), frequency_hz, atol=6.0)
    assert (column(rows, "bandwidth_hz") < 60.0).all()
    assert (column(rows, "flatness") < 1e-3).all()


def test_a_sine_crosses_zero_twice_a_period() -> None:
    """A sine of 1 kHz crosses zero 2000 times a second."""
    rates = column(rows_of(sine(1000.0)), "zero_crossing_rate")

    np.testing.assert_allclose(rates, 2000.0 / SAMPLE_RATE, atol=1.0 / N_FFT)


@pytest.mark.parametrize(("frequency_hz", "name"), [(440.0, "chroma_a"), (523.25, "chroma_c"), (1480.0, "chroma_fs")])
def test_a_note_is_the_strongest_of_its_chroma(frequency_hz: float, name: str) -> None:
    """A note has chroma 1 at its pitch class and less at all others."""
    rows = rows_of(sine(frequency_hz))
    chroma = [n for n, full in enumerate(DESCRIPTOR_NAMES) if full.startswith("chroma")]

    np.testing.assert_allclose(column(rows, name), 1.0)
    assert (np.sort(rows[:, chroma], axis=1)[:, -2] < 0.9).all()


def test_the_contrast_of_a_note_is_largest_in_its_band() -> None:
    """A note in faint noise stands out in the octave that holds it."""
    signal = sine(1000.0) + 1e-3 * np.random.default_rng(440).standard_normal(SAMPLE_RATE // 2)
    rows = rows_of(signal)
    contrast = np.stack([column(rows, f"contrast_{edge}_hz") for edge in CONTRAST_EDGES_HZ])

    assert (contrast.argmax(axis=0) == CONTRAST_EDGES_HZ.index(800)).all()


def test_an_onset_is_where_the_level_jumps() -> None:
    """A jump of 20 dB is an onset of about 20 dB, spread over the frames that it crosses, and the fall is none."""
    signal = 0.01 * np.random.default_rng(440).standard_normal(SAMPLE_RATE)
    signal[8000:14000] *= 10.0
    onsets = column(rows_of(signal), "onset_db")
    begins = (8000 - N_FFT) // HOP_LENGTH + 1

    np.testing.assert_allclose(onsets[begins : begins + 5].sum(), 20.0, atol=6.0)
    assert onsets.argmax() in range(begins, begins + 5)
    assert onsets[0] == 0.0


def test_an_analyser_reset_forgets_the_frame_before() -> None:
    """After a reset the first frame has no onset."""
    analyser, frame = Analyser(2), sine(440.0)[:N_FFT]
    analyser.hop(0.01 * frame, 0, 0)
    analyser.reset()
    analyser.hop(frame, 0, 1)

    np.testing.assert_array_equal(column(analyser.rows, "onset_db"), 0.0)


def test_a_frame_is_left_as_it_was() -> None:
    """Describing a frame does not write to it."""
    frame = sine(440.0)[:N_FFT]
    kept = frame.copy()
    Analyser(1).hop(frame, 0, 0)

    np.testing.assert_array_equal(frame, kept)

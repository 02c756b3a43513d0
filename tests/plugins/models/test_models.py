"""The models that come with SoundSage, as their manifests describe them: nothing here knows how they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundsage.services.cli
from soundsage.plugins.backends.onnx import load
from soundsage.plugins.models.eq import soundsage_eq_models
from soundsage.plugins.models.genre import soundsage_genre_models
from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ
from soundsage.shared.features import BAND_FREQUENCIES_HZ, FEATURE_NAMES, FEATURE_SET, WindowFeatures, windows_of
from soundsage.shared.manifest import Manifest, load_manifest
from soundsage.training.card import eq_card, genre_card
from soundsage.training.degrade import equalised

(GENRE_RECORD,) = soundsage_genre_models()
(EQ_RECORD,) = soundsage_eq_models()
GENRE, EQ = load_manifest(GENRE_RECORD.manifest), load_manifest(EQ_RECORD.manifest)
DEMO = Path(soundsage.services.cli.__file__).parent / "demo" / "demo.opus"
SAMPLE_RATE = 48_000
TIME_S = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
EVERY_S = 43


def outputs_of(manifest: Manifest, file: Path, values: dict[str, float]) -> np.ndarray:
    """Return the outputs of a model for named values."""
    scaled = (np.array([values[name] for name in manifest.inputs]) - manifest.mean) / manifest.scale
    return load(file.with_name(manifest.onnx)).run(scaled[np.newaxis].astype(np.float32))[0]


def values_of(window: WindowFeatures) -> dict[str, float]:
    """Return what is known of a window by the names that manifests use."""
    bands = (f"band:{frequency_hz:.1f}" for frequency_hz in BAND_FREQUENCIES_HZ)
    return dict(zip(FEATURE_NAMES, window.features.tolist(), strict=True)) | dict(
        zip(bands, window.bands_db.tolist(), strict=True)
    )


def posterior_of(window: WindowFeatures) -> np.ndarray:
    """Return the probabilities of the genres."""
    logits = outputs_of(GENRE, GENRE_RECORD.manifest, values_of(window)) / GENRE.temperature
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def state_of(window: WindowFeatures) -> str:
    """Return what the manifest's gate says of a window."""
    gate = GENRE.gate
    assert gate is not None
    if window.level_db < gate.silence_below_db:
        return "silence"
    values = values_of(window)
    scaled = (np.array([values[name] for name in GENRE.inputs]) - GENRE.mean) / GENRE.scale
    precision = np.array(gate.precision).reshape(len(scaled), -1)
    if np.sqrt(scaled @ precision @ scaled) > gate.not_music_above:
        return "not_music"
    return "genre" if posterior_of(window).max() >= gate.uncertain_below else "uncertain"


def coloured(slope_db: float, rms: float) -> np.ndarray:
    """Return noise whose spectrum falls or rises by so many dB per octave."""
    spectrum = np.fft.rfft(np.random.default_rng(441).standard_normal(len(TIME_S)))
    frequencies = np.maximum(np.fft.rfftfreq(len(TIME_S)), 1 / len(TIME_S))
    noise = np.fft.irfft(spectrum * frequencies ** (slope_db / 6.02))
    return rms * noise / noise.std()


def sine(frequency_hz: float) -> np.ndarray:
    """Return a sine at -10 dBFS."""
    return 0.3 * np.sin(2 * np.pi * frequency_hz * TIME_S)


def hum(frequency_hz: float) -> np.ndarray:
    """Return eight harmonics that fall off, over a faint hiss."""
    harmonics = sum(np.sin(2 * np.pi * frequency_hz * k * TIME_S) / k for k in range(1, 9))
    return 0.05 * harmonics + coloured(0.0, 1e-4)


NO_MUSIC = {
    "digital silence": np.zeros(len(TIME_S)),
    "dither of 16 bits": coloured(0.0, 2**-16),
    "white noise at -60 dBFS": coloured(0.0, 1e-3),
    "white noise at -20 dBFS": coloured(0.0, 0.1),
    "pink noise at -20 dBFS": coloured(-3.0, 0.1),
    "pink noise at -50 dBFS": coloured(-3.0, 0.003),
    "brown noise": coloured(-6.0, 0.1),
    **{f"sine of {frequency_hz} Hz": sine(frequency_hz) for frequency_hz in (50, 100, 440, 1000, 3000, 8000)},
    "sine in dither": sine(440) + coloured(0.0, 2**-16),
    "hum of 50 Hz": hum(50),
    "hum of 60 Hz": hum(60),
}


@pytest.fixture(scope="module")
def demo() -> np.ndarray:
    """Return the music of the demo, shape (2, n_samples), float32."""
    samples, _ = soundfile.read(DEMO, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T)


@pytest.mark.parametrize("name", NO_MUSIC)
def test_what_is_no_music_has_no_genre(name: str) -> None:
    """Silence, noise, tones and hum are anything but `genre`, in every window."""
    windows = windows_of(NO_MUSIC[name][np.newaxis].astype(np.float32), SAMPLE_RATE)[::EVERY_S]

    assert windows
    assert "genre" not in {state_of(window) for window in windows}


def test_digital_silence_and_dither_are_silence() -> None:
    """Level alone tells them."""
    for name in ("digital silence", "dither of 16 bits"):
        (window, *_) = windows_of(NO_MUSIC[name][np.newaxis].astype(np.float32), SAMPLE_RATE)
        assert state_of(window) == "silence"


def test_music_is_music(demo: np.ndarray) -> None:
    """At least nine tenths of the demo are a genre or uncertain."""
    states = [state_of(window) for window in windows_of(demo, SAMPLE_RATE)[::EVERY_S]]

    assert np.isin(states, ("genre", "uncertain")).mean() >= 0.9


def test_the_genre_does_not_depend_on_the_level(demo: np.ndarray) -> None:
    """Music that is turned down by 20 dB gets the same probabilities to a thousandth."""
    loud, quiet = (windows_of(gain * demo[:, : 4 * SAMPLE_RATE], SAMPLE_RATE)[0] for gain in (1.0, np.float32(0.1)))

    np.testing.assert_allclose(posterior_of(quiet), posterior_of(loud), atol=1e-3)


def test_the_proposal_leans_against_an_equalisation(demo: np.ndarray) -> None:
    """Brightened music is proposed less treble against bass than the same music made dull."""
    tilt_db = np.linspace(-5.0, 5.0, len(GRAPHIC_FREQUENCIES_HZ))
    slopes = []
    for gains_db in (tilt_db, -tilt_db):
        windows = windows_of(equalised(demo, SAMPLE_RATE, gains_db), SAMPLE_RATE)[::EVERY_S]
        proposals = []
        for window in windows:
            posterior = dict(zip((f"posterior:{label}" for label in GENRE.labels), posterior_of(window), strict=True))
            proposals.append(outputs_of(EQ, EQ_RECORD.manifest, values_of(window) | posterior))
        slopes.append(np.polyfit(np.arange(10), np.mean(proposals, axis=0), 1)[0])

    assert slopes[0] < slopes[1] - 0.05


@pytest.mark.parametrize(("manifest", "record"), [(GENRE, GENRE_RECORD), (EQ, EQ_RECORD)])
def test_a_manifest_is_small_and_of_our_features(manifest: Manifest, record: object) -> None:
    """Fewer than 200 kB, and the feature set is the kernel's."""
    assert record.manifest.stat().st_size < 200_000  # type: ignore[attr-defined]
    assert manifest.feature_set == FEATURE_SET
    assert manifest.data["licences"]


def test_the_eq_model_speaks_of_the_ten_octaves() -> None:
    """Its labels are the frequencies of the graphic equaliser."""
    assert tuple(map(float, EQ.labels)) == GRAPHIC_FREQUENCIES_HZ


@pytest.mark.parametrize(("manifest", "record", "card"), [(GENRE, GENRE_RECORD, genre_card), (EQ, EQ_RECORD, eq_card)])
def test_every_figure_of_a_card_is_that_of_its_manifest(manifest: Manifest, record: object, card: object) -> None:
    """The card is what its writer makes of the manifest: no figure was put in by hand."""
    text = record.manifest.with_name("CARD.md").read_text()  # type: ignore[attr-defined]

    assert text == card(manifest.data, manifest.metrics)  # type: ignore[operator]


@pytest.mark.parametrize("record", [GENRE_RECORD, EQ_RECORD])
def test_a_card_names_the_music_of_the_demo_that_was_in_training(record: object) -> None:
    """Every title of the demo's licence file is in the card: who runs the demo sees answers to training examples."""
    card = record.manifest.with_name("CARD.md").read_text()  # type: ignore[attr-defined]

    for title in ("Metallius", "ContententNumber2"):
        assert title in card
        assert title in DEMO.with_name("LICENCE.md").read_text()

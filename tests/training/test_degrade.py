"""Random equalisations."""

from __future__ import annotations

import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ, design, graphic_bands, response_db
from soundsage.training.degrade import LIMIT_DB, equalised, random_gains_db

SAMPLE_RATE = 48_000


def test_a_curve_through_its_opposite_is_the_sound_itself() -> None:
    """Gains and then their negatives leave a sound as it was, to float32."""
    generator = np.random.default_rng(440)
    samples = (0.1 * generator.standard_normal((2, SAMPLE_RATE))).astype(np.float32)
    gains_db = random_gains_db(generator)

    there_and_back = equalised(equalised(samples, SAMPLE_RATE, gains_db), SAMPLE_RATE, -gains_db)
    np.testing.assert_allclose(there_and_back, samples, atol=1e-6)


def test_an_impulse_shows_the_response_of_the_curve() -> None:
    """The spectrum of an impulse through a curve is the response that the bands were designed to."""
    impulse = np.zeros((1, SAMPLE_RATE), np.float32)
    impulse[0, 0] = 1.0
    gains_db = random_gains_db(np.random.default_rng(440))
    spectrum_db = 20 * np.log10(np.abs(np.fft.rfft(equalised(impulse, SAMPLE_RATE, gains_db)[0])))
    frequencies_hz = np.round(GRAPHIC_FREQUENCIES_HZ).astype(int)
    expected_db = response_db(design(graphic_bands(gains_db.tolist()), SAMPLE_RATE), frequencies_hz, SAMPLE_RATE)

    np.testing.assert_allclose(spectrum_db[frequencies_hz], expected_db, atol=0.01)


def test_random_curves_stay_within_the_limit_and_lean_nowhere() -> None:
    """No band exceeds the limit, and over many curves every band is as often raised as lowered."""
    generator = np.random.default_rng(440)
    curves_db = np.stack([random_gains_db(generator) for _ in range(4000)])

    assert np.abs(curves_db).max() <= LIMIT_DB
    # Five standard errors of the mean of 4000 gains of about 2.3 dB.
    assert np.abs(curves_db.mean(axis=0)).max() < 0.2

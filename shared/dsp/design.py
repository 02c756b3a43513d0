"""Design bands as digital second-order sections that keep the shape of their analogue prototype up to 20 kHz.

Conventions
-----------
A section is a row ``(b0, b1, b2, a0, a1, a2)`` of float64 with ``a0 = 1``, as in scipy. Angular frequencies ``w`` are
in radians per sample. The prototypes are those of R. Bristow-Johnson's Audio EQ Cookbook, whose bilinear designs are
wrong near Nyquist by several dB; here the magnitude is matched instead.

Notes
-----
The method is M. Vicanek's, "Matched Second Order Digital Filters" (2016). The poles are those of the prototype mapped
by ``z = exp(s)``. The squared magnitude of a section is a ratio of two forms in ``phi0 = cos^2(w/2)``,
``phi1 = sin^2(w/2)`` and ``phi2 = 4 phi0 phi1``; the numerator's three coefficients follow from three conditions:

* bell: unity at 0 Hz, its gain at its frequency, and a maximum there;
* shelf: the prototype's magnitude at 0 Hz, at Nyquist and at the corner (no higher than a quarter of the sample rate).

Only boosts whose poles lie below their zeros are designed. A cut is the exact inverse of the boost, and a high shelf is
a low shelf of the opposite gain, lifted by its own: that is more accurate than designing each, and g after -g is unity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .bands import N_SECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .bands import EqBand

    FloatArray = npt.NDArray[np.float64]
    ComplexArray = npt.NDArray[np.complex128]

HIGHEST_FREQUENCY = 0.49
"""Highest frequency of a band, as a fraction of the sample rate, that is still rendered."""

_UNITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def design_band(band: EqBand, sample_rate: int) -> FloatArray:
    """Return the section that renders a band.

    Parameters
    ----------
    band : EqBand
        What to render.
    sample_rate : int
        In Hz, above 0.

    Returns
    -------
    ndarray of shape (6,), float64
        ``(b0, b1, b2, 1, a1, a2)``, stable and minimum phase. Exactly unity for 0 dB, and for a band at or above
        ``HIGHEST_FREQUENCY * sample_rate``: a band that the rate cannot hold is left out, never moved.

    Raises
    ------
    ValueError
        If ``sample_rate`` is not positive, or the section comes out unstable.

    Notes
    -----
    Error against ``analogue_response`` up to 20 kHz at 44.1 kHz, bands up to 16 kHz: at most 0.7 dB for bells within
    +-6 dB at any q; at most 0.4 dB for shelves within +-6 dB and 1 dB within +-24 dB for q up to 1. The corner of a
    shelf with a higher q overshoots, and near Nyquist the overshoot is not matched: 1 dB off at q 2 within +-6 dB.

    Examples
    --------
    >>> from soundsage.shared.dsp import EqBand
    >>> design_band(EqBand("peaking", 1000.0, 0.0, 1.0), 48_000).tolist()
    [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    if sample_rate <= 0:
        raise ValueError(f"sample_rate must be positive, got {sample_rate}")
    if band.gain_db == 0.0 or band.frequency_hz >= HIGHEST_FREQUENCY * sample_rate:
        return np.array(_UNITY)
    section = _section_of(band, 2.0 * math.pi * band.frequency_hz / sample_rate)
    if not is_stable(section):
        raise ValueError(f"band must have a stable section at {sample_rate} Hz, got {band}")
    return section


def design(bands: Sequence[EqBand], sample_rate: int) -> FloatArray:
    """Return the whole rack that renders these bands.

    Parameters
    ----------
    bands : sequence of at most 16 EqBand
        In any order.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray of shape (N_SECTIONS, 6), float64
        One section for each band in its order; the unused ones are unity.

    Raises
    ------
    ValueError
        If there are more bands than sections, or ``sample_rate`` is not positive.
    """
    if len(bands) > N_SECTIONS:
        raise ValueError(f"bands must be at most {N_SECTIONS}, got {len(bands)}")
    sos = np.tile(_UNITY, (N_SECTIONS, 1))
    for index, band in enumerate(bands):
        sos[index] = design_band(band, sample_rate)
    return sos


def is_stable(section: FloatArray) -> bool:
    """Return whether a section is finite and its poles lie inside the unit circle (Jury's criterion).

    Parameters
    ----------
    section : ndarray of shape (6,), float64
        ``(b0, b1, b2, 1, a1, a2)``.

    Returns
    -------
    bool
        False also where a coefficient is not finite.
    """
    a1, a2 = float(section[4]), float(section[5])
    return bool(np.isfinite(section).all()) and abs(a2) < 1.0 and abs(a1) < 1.0 + a2


def response(sos: FloatArray, frequencies_hz: npt.ArrayLike, sample_rate: int) -> ComplexArray:
    """Return the complex frequency response of sections in series.

    Parameters
    ----------
    sos : ndarray of shape (n_sections, 6), float64
        Sections.
    frequencies_hz : array-like of float, any shape
        Where to evaluate, in Hz.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray of the shape of ``frequencies_hz``, complex128
        Linear gain and phase.
    """
    delay = np.exp(-2j * np.pi * np.asarray(frequencies_hz, dtype=np.float64) / sample_rate)
    total = np.ones(delay.shape, dtype=np.complex128)
    for b0, b1, b2, a0, a1, a2 in sos:
        total *= (b0 + delay * (b1 + delay * b2)) / (a0 + delay * (a1 + delay * a2))
    return total


def response_db(sos: FloatArray, frequencies_hz: npt.ArrayLike, sample_rate: int) -> FloatArray:
    """Return the magnitude of ``response`` in dB.

    Parameters
    ----------
    sos : ndarray of shape (n_sections, 6), float64
        Sections.
    frequencies_hz : array-like of float, any shape
        Where to evaluate, in Hz.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray of the shape of ``frequencies_hz``, float64
        In dB.

    Notes
    -----
    The squared magnitude of ``c0 + c1/z + c2/z^2`` is a polynomial in ``sin(w/2)^2`` (Vicanek 2016), which takes
    a tenth of the time of the complex response.
    """
    frequencies_hz = np.asarray(frequencies_hz, dtype=np.float64)
    sine_squared = np.sin(np.pi * frequencies_hz.ravel() / sample_rate) ** 2
    basis = np.stack((1.0 - sine_squared, sine_squared, 4.0 * sine_squared * (1.0 - sine_squared)))
    power = (_power_form(sos[:, :3]) @ basis).prod(axis=0) / (_power_form(sos[:, 3:]) @ basis).prod(axis=0)
    return np.asarray(10.0 * np.log10(power)).reshape(frequencies_hz.shape)


def _power_form(coefficients: FloatArray) -> FloatArray:
    """Return the weights of the three basis functions, shape (n_sections, 3), for rows ``c0, c1, c2``."""
    c0, c1, c2 = coefficients.T
    return np.stack(((c0 + c1 + c2) ** 2, (c0 - c1 + c2) ** 2, -4.0 * c0 * c2), axis=1)


def analogue_response(band: EqBand, frequencies_hz: npt.ArrayLike) -> ComplexArray:
    """Return the response of the band's analogue prototype, which the digital section is measured against.

    Parameters
    ----------
    band : EqBand
        The band.
    frequencies_hz : array-like of float, any shape
        Where to evaluate, in Hz.

    Returns
    -------
    ndarray of the shape of ``frequencies_hz``, complex128
        Linear gain and phase.

    Notes
    -----
    With ``A = 10^(gain_db / 40)`` and s in units of the band's frequency, as in the Audio EQ Cookbook.
    """
    s = 1j * np.asarray(frequencies_hz, dtype=np.float64) / band.frequency_hz
    amplitude = 10.0 ** (band.gain_db / 40.0)
    if band.kind == "peaking":
        return np.asarray((s * s + s * amplitude / band.q + 1.0) / (s * s + s / (amplitude * band.q) + 1.0))
    if band.kind == "low_shelf":
        return _low_shelf_response(s, amplitude, band.q)
    return np.asarray(amplitude**2 * _low_shelf_response(s, 1.0 / amplitude, band.q))


def _low_shelf_response(s: npt.ArrayLike, amplitude: float, q: float) -> ComplexArray:
    s = np.asarray(s, dtype=np.complex128)
    slope = s * math.sqrt(amplitude) / q
    return np.asarray(amplitude * (s * s + slope + amplitude) / (amplitude * s * s + slope + 1.0))


def _section_of(band: EqBand, w: float) -> FloatArray:
    amplitude = 10.0 ** (abs(band.gain_db) / 40.0)
    is_boost = band.gain_db > 0.0
    if band.kind == "peaking":
        boost = _bell_boost(w, amplitude, band.q)
        return boost if is_boost else _inverse(boost)
    boost = _low_shelf_boost(w, amplitude, band.q)
    if band.kind == "low_shelf":
        return boost if is_boost else _inverse(boost)
    lifted = _inverse(boost) if is_boost else boost
    lifted[:3] *= 10.0 ** (band.gain_db / 20.0)
    return lifted


def _bell_boost(w: float, amplitude: float, q: float) -> FloatArray:
    a1, a2 = _poles(w, amplitude * q)
    at_dc, at_nyquist, bend = _denominator_form(a1, a2)
    phi0, phi1, phi2 = _phi(w)
    squared_gain = amplitude**4
    level = (at_dc * phi0 + at_nyquist * phi1 + bend * phi2) * squared_gain
    slope = (at_nyquist - at_dc + 4.0 * (phi0 - phi1) * bend) * squared_gain
    numerator_bend = (level - slope * phi1 - at_dc) / (4.0 * phi1 * phi1)
    numerator_nyquist = slope + at_dc + 4.0 * (phi1 - phi0) * numerator_bend
    return _section(at_dc, numerator_nyquist, numerator_bend, a1, a2)


def _low_shelf_boost(w: float, amplitude: float, q: float) -> FloatArray:
    a1, a2 = _poles(w / math.sqrt(amplitude), q)
    at_dc, at_nyquist, bend = _denominator_form(a1, a2)
    # Above a quarter of the sample rate, errors grow between the corner and the zeros rather than at the corner.
    corner = min(w, 0.5 * math.pi)
    phi0, phi1, phi2 = _phi(corner)
    s = 1j * np.array([0.0, corner, math.pi]) / w
    squared = np.abs(_low_shelf_response(s, amplitude, q)) ** 2
    numerator_dc, numerator_nyquist = at_dc * squared[0], at_nyquist * squared[2]
    level = (at_dc * phi0 + at_nyquist * phi1 + bend * phi2) * squared[1]
    numerator_bend = (level - numerator_dc * phi0 - numerator_nyquist * phi1) / phi2
    return _section(numerator_dc, numerator_nyquist, numerator_bend, a1, a2)


def _poles(w: float, q: float) -> tuple[float, float]:
    damping = 0.5 / q
    decay = math.exp(-damping * w)
    if damping <= 1.0:
        return -2.0 * decay * math.cos(math.sqrt(1.0 - damping**2) * w), decay**2
    # Two real poles, summed without cosh: it overflows where the product is small.
    spread = math.sqrt(damping**2 - 1.0)
    return -(math.exp((spread - damping) * w) + math.exp(-(spread + damping) * w)), decay**2


def _denominator_form(a1: float, a2: float) -> tuple[float, float, float]:
    return (1.0 + a1 + a2) ** 2, (1.0 - a1 + a2) ** 2, -4.0 * a2


def _phi(w: float) -> tuple[float, float, float]:
    phi1 = math.sin(0.5 * w) ** 2
    return 1.0 - phi1, phi1, 4.0 * (1.0 - phi1) * phi1


def _section(at_dc: float, at_nyquist: float, bend: float, a1: float, a2: float) -> FloatArray:
    root_dc, root_nyquist = math.sqrt(at_dc), math.sqrt(at_nyquist)
    mean = 0.5 * (root_dc + root_nyquist)
    b0 = 0.5 * (mean + math.sqrt(mean**2 + bend))
    return np.array([b0, 0.5 * (root_dc - root_nyquist), -0.25 * bend / b0, 1.0, a1, a2])


def _inverse(section: FloatArray) -> FloatArray:
    b0, b1, b2, _, a1, a2 = section
    return np.asarray(np.array([1.0, a1, a2, b0, b1, b2]) / b0)

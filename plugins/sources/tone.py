"""Source `tone[:HZ]`, `tone:sweep`, `tone:noise`: test signals whose every sample is known.

Conventions
-----------
Levels are RMS in dBFS, as the meters show them; the peak of a sine lies 3.01 dB above. The phase never jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

import msgspec
import numpy as np

from soundsage.plugins.pacing import Pacer
from soundsage.shared.contracts import SourceBlock, SourceRecord
from soundsage.shared.errors import InputError
from soundsage.shared.hookspecs import hookimpl

__all__ = ["ToneOptions", "signal_of", "soundsage_sources"]

DEFAULT_HZ = 440.0
SWEEP_FROM_HZ, SWEEP_TO_HZ, SWEEP_S = 20.0, 20_000.0, 10.0
# A power of two for the transform: 10.9 s at 48 kHz, longer than a listener recognises a noise again.
NOISE_SAMPLES = 1 << 19
NOISE_FROM_HZ = 10.0
SEED = 440
# Half a decibel more than the peak of a sine, and the peak of the noise, which has a crest of 13 to 14 dB.
MAX_SINE_DB, MAX_NOISE_DB = -3.1, -15.0

Signal = Callable[[int, int], np.ndarray]


class ToneOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The format and level of the signal.

    Attributes
    ----------
    level_db : float
        RMS, dBFS; at most -3.1 for sines and -15 for noise, lest they clip.
    sample_rate : int
        Hz.
    n_channels : int
    """

    level_db: Annotated[float, msgspec.Meta(ge=-120.0, le=MAX_SINE_DB)] = -20.0
    sample_rate: Annotated[int, msgspec.Meta(ge=8_000, le=192_000)] = 48_000
    n_channels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2


def signal_of(target: str, options: ToneOptions) -> Signal:
    """Return the signal as a function of time.

    Parameters
    ----------
    target : str
        A frequency in Hz, `sweep` (exponential, 20 Hz to 20 kHz or 0.45 of the sample rate in 10 s, again and again),
        `noise` (pink, another in each channel), or nothing for 440 Hz.
    options : ToneOptions

    Returns
    -------
    callable
        `signal(start, n_samples)` returns those samples, shape (n_channels, n_samples), float32.

    Raises
    ------
    InputError
        If the target is none of these, or the signal would clip.
    """
    if target == "noise":
        return _noise(options)
    cycles_at = _sweep_cycles(options) if target == "sweep" else _tone_cycles(target, options)
    amplitude = np.sqrt(2.0) * 10.0 ** (options.level_db / 20.0)

    def sine(start: int, n_samples: int) -> np.ndarray:
        cycles = cycles_at(np.arange(start, start + n_samples, dtype=np.float64))
        mono = (amplitude * np.sin(2.0 * np.pi * (cycles % 1.0))).astype(np.float32)
        return np.tile(mono, (options.n_channels, 1))

    return sine


def _tone_cycles(target: str, options: ToneOptions) -> Callable[[np.ndarray], np.ndarray]:
    try:
        frequency_hz = float(target) if target else DEFAULT_HZ
    except ValueError:
        raise InputError(f"tone must be a frequency in Hz, sweep or noise, got {target}") from None
    if not 0.0 < frequency_hz < options.sample_rate / 2:
        raise InputError(f"tone must lie above 0 and below {options.sample_rate / 2:g} Hz, got {target}")
    return lambda n: n * frequency_hz / options.sample_rate


def _sweep_cycles(options: ToneOptions) -> Callable[[np.ndarray], np.ndarray]:
    """Return the phase in cycles of a sine whose frequency grows exponentially and begins again (Farina 2000)."""
    n_sweep = round(SWEEP_S * options.sample_rate)
    ratio = min(SWEEP_TO_HZ, 0.45 * options.sample_rate) / SWEEP_FROM_HZ
    scale = SWEEP_FROM_HZ * SWEEP_S / np.log(ratio)

    def cycles(n: np.ndarray) -> np.ndarray:
        n_done, within = np.divmod(n, n_sweep)
        return np.asarray(n_done * scale * (ratio - 1.0) + scale * (ratio ** (within / n_sweep) - 1.0))

    return cycles


def _noise(options: ToneOptions) -> Signal:
    """Return pink noise: white noise with a spectrum shaped to a power of 1/f, which makes it repeat seamlessly."""
    if options.level_db > MAX_NOISE_DB:
        raise InputError(f"level_db of noise must be at most {MAX_NOISE_DB:g}, got {options.level_db:g}")
    generator = np.random.default_rng(SEED)
    spectrum = np.fft.rfft(generator.standard_normal((options.n_channels, NOISE_SAMPLES)), axis=1)
    frequencies_hz = np.fft.rfftfreq(NOISE_SAMPLES, 1.0 / options.sample_rate)
    spectrum *= np.where(frequencies_hz >= NOISE_FROM_HZ, 1.0 / np.sqrt(np.maximum(frequencies_hz, NOISE_FROM_HZ)), 0.0)
    noise = np.fft.irfft(spectrum, axis=1)
    noise *= 10.0 ** (options.level_db / 20.0) / np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
    period = noise.astype(np.float32)
    return lambda start, n_samples: period[:, np.arange(start, start + n_samples) % NOISE_SAMPLES]


class ToneSource:
    """A test signal that plays."""

    def __init__(self, signal: Signal, options: ToneOptions, block_size: int) -> None:
        self.sample_rate = options.sample_rate
        self.n_channels = options.n_channels
        self._signal = signal
        self._block_size = block_size
        self._start = 0
        self._next: np.ndarray | None = None
        self._pacer = Pacer(options.sample_rate)

    def read(self, timeout_s: float) -> SourceBlock | None:
        """Return the next block when it is due; it is computed before, lest that counts as latency."""
        if self._next is None:
            self._next = self._signal(self._start, self._block_size)
        t_capture_ns = self._pacer.wait(self._block_size, timeout_s)
        if t_capture_ns is None:
            return None
        samples, self._next = self._next, None
        self._start += self._block_size
        return SourceBlock(samples, t_capture_ns)

    def close(self) -> None:
        """End a read that is under way."""
        self._pacer.close()


def _open(target: str, options: msgspec.Struct, block_size: int) -> ToneSource:
    tone = cast("ToneOptions", options)
    return ToneSource(signal_of(target, tone), tone, block_size)


def _check(target: str, options: msgspec.Struct, sink: str) -> None:  # noqa: ARG001  a signal suits any sink
    signal_of(target, cast("ToneOptions", options))


@hookimpl
def soundsage_sources() -> list[SourceRecord]:
    """Return this source."""
    return [
        SourceRecord(
            name="tone",
            summary="a test signal: tone:440, tone:sweep, tone:noise; ?level_db=-20",
            open=_open,
            check=_check,
            options=ToneOptions,
        )
    ]

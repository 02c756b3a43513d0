"""What the features cost: one hop of the stream, and the same descriptors of a whole window recomputed with librosa.

``python -m soundsage.shared.features.bench`` prints medians and 99th percentiles in milliseconds. A hop is measured
twice: right after another, and after a sleep, as it runs live, when others have had the caches. The recomputation is
kept cheap: one spectrum for all descriptors, fixed tuning, warmed up. It is what a service pays that calls librosa on
the last three seconds at every update. Statistics are part of the hop and left out of the recomputation.
Set ``OPENBLAS_NUM_THREADS=1`` to compare on one core: small products on several threads wait for each other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .descriptors import FLOOR_POWER, ROLLOFF_SHARE
from .filterbanks import FMAX_HZ, HOP_LENGTH, N_BINS, N_FFT, N_MELS, N_MFCC, SAMPLE_RATE, slope_weights
from .stream import WINDOW_S, FeatureStream

if TYPE_CHECKING:
    from collections.abc import Callable

_N_HOPS = 2000
_N_SLEEPS = 200
_N_WINDOWS = 50
_SLEEP_S = 0.020
_SEED = 440


def main() -> None:
    """Measure both ways and print them with their ratio."""
    noise = 0.1 * np.random.default_rng(_SEED).standard_normal(round(WINDOW_S * SAMPLE_RATE)).astype(np.float32)
    one_hop = _one_hop(noise)
    hop_ms = _time_ms(one_hop, _N_HOPS)
    _print("stream, one hop", hop_ms)
    _print("after 20 ms of sleep", _time_ms(one_hop, _N_SLEEPS, _SLEEP_S))
    window_ms = _time_ms(lambda: _recompute(noise), _N_WINDOWS)
    _print("librosa, one window", window_ms)
    print(f"ratio of medians     {np.median(window_ms) / np.median(hop_ms):8.1f}")  # noqa: T201 - a command line tool


def _one_hop(noise: npt.NDArray[np.float32]) -> Callable[[], object]:
    """Return a call that pushes one hop through a stream whose window is full."""
    stream = FeatureStream(SAMPLE_RATE)
    stream.process(noise[np.newaxis])
    hop = noise[np.newaxis, :HOP_LENGTH]
    return lambda: stream.process(hop)


def _recompute(samples: npt.NDArray[np.float32]) -> None:
    """Compute the descriptors of a whole window with librosa from one spectrum."""
    import librosa

    magnitude = np.abs(librosa.stft(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, center=False))
    mel = librosa.feature.melspectrogram(S=magnitude**2, sr=SAMPLE_RATE, n_mels=N_MELS, fmax=FMAX_HZ)
    mel_db = librosa.power_to_db(mel, amin=FLOOR_POWER, top_db=None)
    spectrum_db = librosa.power_to_db(magnitude**2, amin=FLOOR_POWER, top_db=None)
    librosa.feature.mfcc(S=mel_db, n_mfcc=N_MFCC + 1)
    librosa.feature.chroma_stft(S=magnitude**2, sr=SAMPLE_RATE, tuning=0.0)
    librosa.feature.spectral_contrast(S=magnitude, sr=SAMPLE_RATE)
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE)
    librosa.feature.spectral_bandwidth(S=magnitude, sr=SAMPLE_RATE, centroid=centroid)
    librosa.feature.spectral_rolloff(S=magnitude, sr=SAMPLE_RATE, roll_percent=ROLLOFF_SHARE)
    librosa.feature.spectral_flatness(S=magnitude)
    librosa.feature.zero_crossing_rate(samples, frame_length=N_FFT, hop_length=HOP_LENGTH, center=False)
    librosa.feature.rms(y=samples, frame_length=N_FFT, hop_length=HOP_LENGTH, center=False)
    librosa.onset.onset_strength(S=mel_db, sr=SAMPLE_RATE, center=False)
    np.einsum("f,ft->t", slope_weights(), spectrum_db[:N_BINS])


def _time_ms(call: Callable[[], object], repeats: int, sleep_s: float = 0.0) -> npt.NDArray[np.float64]:
    """Return the durations of calls in ms, shape (repeats,), after one that warms up, each after a sleep if asked."""
    call()
    durations = np.empty(repeats)
    for i in range(repeats):
        if sleep_s:
            time.sleep(sleep_s)
        start = time.perf_counter()
        call()
        durations[i] = time.perf_counter() - start
    return 1e3 * durations


def _print(name: str, durations_ms: npt.NDArray[np.float64]) -> None:
    p50, p99, longest = np.quantile(durations_ms, (0.5, 0.99, 1.0))
    print(f"{name:20s} {p50:8.3f} p50 {p99:8.3f} p99 {longest:8.3f} max  ms")  # noqa: T201 - a command line tool


if __name__ == "__main__":
    main()

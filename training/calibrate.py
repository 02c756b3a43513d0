"""Make confidence honest, on artists that the model never heard: temperature, threshold, and what is no music.

Conventions
-----------
Logits have shape `(n, n_labels)`, labels shape `(n,)`. Everything here is given held-out rows only.
"""

from __future__ import annotations

import numpy as np

from soundsage.shared.manifest import Gate

__all__ = [
    "SILENCE_BELOW_DB",
    "distances_of",
    "gate_of",
    "log_posterior",
    "precision_of",
    "temperature_of",
    "thresholds_of",
]

SILENCE_BELOW_DB = -60.0
"""Windows below this level are silence, dBFS."""

_MUSIC_SHARE = 0.995
_RIGHT_SHARE = 0.5
_SIGNIFICANT_DIGITS = 5
_TEMPERATURES = np.geomspace(0.25, 16.0, 241)


def log_posterior(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the logarithms of the probabilities, of the shape of the logits, float64."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    normalised: np.ndarray = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return normalised


def temperature_of(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the least log-loss.

    Notes
    -----
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; searched on a grid of 1.8 % steps.
    """
    rows = np.arange(len(labels))
    losses = [-log_posterior(logits, temperature)[rows, labels].mean() for temperature in _TEMPERATURES]
    return round(float(_TEMPERATURES[int(np.argmin(losses))]), 4)


def precision_of(scaled: np.ndarray) -> np.ndarray:
    """Return the inverse of the Ledoit-Wolf covariance of scaled inputs, shape (n_inputs, n_inputs), rounded."""
    from sklearn.covariance import LedoitWolf

    return _rounded(LedoitWolf(assume_centered=True).fit(scaled.astype(np.float64)).precision_)


def distances_of(scaled: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the Mahalanobis distance of each row of scaled inputs from their mean, shape (n,)."""
    rows = scaled.astype(np.float64)
    squared: np.ndarray = np.einsum("ij,ij->i", rows @ precision, rows)
    distances: np.ndarray = np.sqrt(squared.clip(min=0.0))
    return distances


def gate_of(
    logits: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    distances: np.ndarray,
    precision: np.ndarray,
) -> Gate:
    """Return when an answer is no genre.

    Parameters
    ----------
    logits, labels, distances : ndarray
        Of held-out rows of music; the distances to the training rows of their fold.
    temperature : float
    precision : ndarray of shape (n_inputs, n_inputs)
        Of the model that is shipped.
    """
    not_music_above, uncertain_below = thresholds_of(logits, labels, temperature, distances)
    return Gate(
        silence_below_db=SILENCE_BELOW_DB,
        not_music_above=not_music_above,
        uncertain_below=uncertain_below,
        precision=tuple(precision.ravel().tolist()),
    )


def thresholds_of(
    logits: np.ndarray, labels: np.ndarray, temperature: float, distances: np.ndarray
) -> tuple[float, float]:
    """Return the distance above which a row is no music, and the confidence below which an answer is uncertain.

    Parameters
    ----------
    logits, labels, distances : ndarray
        Of held-out rows of music; the distances to the training rows of their fold.
    temperature : float

    Notes
    -----
    Music is what lies as near as 99.5 % of held-out music. An answer is uncertain below the confidence at which, by
    isotonic regression, half of the answers are right.
    """
    posterior = np.exp(log_posterior(logits, temperature))
    not_music_above = round(float(np.quantile(distances, _MUSIC_SHARE)), 2)
    return not_music_above, _uncertain_below(posterior.max(axis=1), posterior.argmax(axis=1) == labels)


def _uncertain_below(confidence: np.ndarray, is_right: np.ndarray) -> float:
    from sklearn.isotonic import IsotonicRegression

    grid = np.linspace(0.0, 1.0, 101)
    share = IsotonicRegression(out_of_bounds="clip").fit(confidence, is_right.astype(float)).predict(grid)
    sure = grid[share >= _RIGHT_SHARE]
    return float(sure[0].round(2)) if len(sure) else 1.0


def _rounded(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix with so many significant digits that a manifest stays small."""
    magnitude = np.floor(np.log10(np.maximum(np.abs(matrix), 1e-12)))
    factor = 10.0 ** (_SIGNIFICANT_DIGITS - 1 - magnitude)
    # Through text, so that the number in the manifest is this one and not its neighbour.
    return np.array(
        [float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in (np.round(matrix * factor) / factor).ravel()]
    ).reshape(matrix.shape)

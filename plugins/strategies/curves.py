"""How much the spectrum of each genre differs from that of all music, and the gentle curves that follow.

Conventions
-----------
Ten gains in dB for `GRAPHIC_FREQUENCIES_HZ`. Offsets are what is typical of the genre less what is typical of all
music, band power relative to 1 kHz.

Notes
-----
All music: A. Elowsson and A. Friberg, "Long-term Average Spectrum in Popular Music and its Relation to the Level of
the Percussion", AES 142 (2017), 12,345 tracks. Below 150 Hz and above 5 kHz hip-hop, rock, pop and electronic music
are louder than jazz and folk, and between them all genres fall alike: P. Pestana et al., "Spectral Characteristics of
Popular Commercial Recordings 1950-2010", AES 135 (2013). What no measurement supports is marked below; a genre without
any evidence stays flat.
"""

from __future__ import annotations

import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ

from .smoothing import LIMIT_DB

__all__ = ["CURVES_DB", "FLAT_DB"]

FLAT_DB = np.zeros(len(GRAPHIC_FREQUENCIES_HZ))

# Elowsson and Friberg, third-octave band power at the ten frequencies.
_ALL_MUSIC_DB = np.array([-19.6, -5.0, 1.3, 2.2, 1.7, 0.0, -3.1, -7.4, -13.1, -20.1])
# K-weighting of ITU-R BS.1770: its high-pass at 38 Hz and its shelf of 4 dB above 1.7 kHz.
_K_WEIGHT_DB = np.array([-7.9, -2.7, -0.8, -0.2, 0.0, 0.7, 2.9, 3.8, 4.0, 4.0])

# Third-octave medians of 109 rock and 41 pop albums on CD.
_ROCK_DB = np.array([-15.7, 0.2, 3.0, 1.1, 0.4, 0.0, 0.2, -2.4, -7.8, -18.2])
_POP_DB = np.array([-13.5, 2.0, 0.1, -0.6, -0.5, 0.0, -2.7, -6.0, -9.0, -20.1])

_OFFSETS_DB = {
    "Rock": _ROCK_DB - _ALL_MUSIC_DB,
    "Pop": _POP_DB - _ALL_MUSIC_DB,
    # Low end relative to 125 Hz as engineers aim for it; its heights as in recent masters. Reasoned, not measured.
    "Hip-Hop": np.array([12.0, 11.3, 0.0, 0.0, 0.0, 0.0, 0.5, 0.9, 4.4, 2.0]),
    "Electronic": np.array([8.0, 10.3, 0.0, 0.0, 0.0, 0.0, 0.5, 0.9, 4.4, 4.4]),
    # Offsets to a common curve by region. Reasoned, not measured.
    "Jazz": np.array([-3.0, 1.3, 1.3, 2.6, 2.6, 1.8, 1.8, 0.0, -1.4, -3.7]),
    "Classical": np.array([-3.6, 1.1, 1.1, 2.9, 2.9, 2.6, 2.6, 0.0, -4.2, -8.4]),
    # The outer ends that Pestana found weaker; the amounts are ours.
    "Folk": np.array([-5.0, -4.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, -3.0, -4.0]),
}

# A master already has its genre's spectrum: lean towards it, do not impose it.
_LEAN = 0.3


def _at_equal_loudness(gains_db: np.ndarray) -> np.ndarray:
    """Return the gains shifted so that music of the average spectrum keeps its K-weighted power."""
    power = 10.0 ** ((_ALL_MUSIC_DB + _K_WEIGHT_DB) / 10.0)
    louder_db = 10.0 * np.log10(np.sum(power * 10.0 ** (gains_db / 10.0)) / power.sum())
    shifted: np.ndarray = np.clip(gains_db - louder_db, -LIMIT_DB, LIMIT_DB)
    return shifted


CURVES_DB: dict[str, np.ndarray] = {
    genre: _at_equal_loudness(np.clip(_LEAN * offsets_db, -LIMIT_DB, LIMIT_DB))
    for genre, offsets_db in _OFFSETS_DB.items()
}
"""Gains of each genre that there is evidence for, shape (10,), within `LIMIT_DB`."""

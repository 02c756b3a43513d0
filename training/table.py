"""What the feature kernel says about every excerpt, in one table that fits into a file.

Conventions
-----------
One row per window, in the order of tracks; `track_of_row` points into `tracks`. Rows of untouched music are
`ROW_INTERVAL_S` apart. Rows of equalised music follow those of their track, each from a random place through a random
curve.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ
from soundsage.shared.errors import InputError
from soundsage.shared.features import (
    BAND_FREQUENCIES_HZ,
    FEATURE_NAMES,
    FEATURE_SET,
    HOP_LENGTH,
    SAMPLE_RATE,
    WINDOW_S,
    WindowFeatures,
    windows_of,
)

from .data import GENRES, Track, decoded
from .degrade import equalised, random_gains_db

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = [
    "FeatureTable",
    "load_table",
    "rows_of",
    "save_table",
    "subset",
    "table_of",
    "untouched",
    "untouched_rows_of",
]

ROW_INTERVAL_S = 2.0
_HEARD_S = WINDOW_S + 0.02
_EXCERPT_S = _HEARD_S + 0.2
_Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
_HOPS_PER_ROW = round(ROW_INTERVAL_S * SAMPLE_RATE / HOP_LENGTH)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureTable:
    """Windows of many tracks.

    Attributes
    ----------
    tracks : tuple of Track
    track_of_row : ndarray of shape (n_rows,), int64
    features : ndarray of shape (n_rows, 80), float32
    bands_db : ndarray of shape (n_rows, 24), float32
    gains_db : ndarray of shape (n_rows, 10), float32
        The curve that the music went through; zeros where it is untouched.
    """

    tracks: tuple[Track, ...]
    track_of_row: np.ndarray
    features: np.ndarray
    bands_db: np.ndarray
    gains_db: np.ndarray

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        n_rows = len(self.track_of_row)
        widths = {
            "features": len(FEATURE_NAMES),
            "bands_db": len(BAND_FREQUENCIES_HZ),
            "gains_db": len(GRAPHIC_FREQUENCIES_HZ),
        }
        for name, width in widths.items():
            array = getattr(self, name)
            if array.shape != (n_rows, width) or not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite of shape ({n_rows}, {width}), got shape {array.shape}")

    @property
    def label_of_track(self) -> np.ndarray:
        """Index of each track's genre in `GENRES`, shape (n_tracks,), int64."""
        return np.array([GENRES.index(track.genre) for track in self.tracks], dtype=np.int64)

    @property
    def label_of_row(self) -> np.ndarray:
        """Index of each row's genre, shape (n_rows,), int64."""
        labels: np.ndarray = self.label_of_track[self.track_of_row]
        return labels

    @property
    def is_untouched(self) -> np.ndarray:
        """Whether each row is of music as it is, shape (n_rows,), bool."""
        return np.asarray(~self.gains_db.any(axis=1))

    @property
    def sha256(self) -> str:
        """Of tracks and numbers: two tables with one sum are the same data."""
        digest = hashlib.sha256(msgspec.json.encode(self.tracks))
        for array in (self.track_of_row, self.features, self.bands_db, self.gains_db):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def table_of(
    folder: Path,
    tracks: Sequence[Track],
    *,
    n_equalised: int = 12,
    seed: int = 440,
    progress: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Return the table of a folder's tracks; those shorter than a window are left out.

    Parameters
    ----------
    folder : Path
    tracks : sequence of Track
    n_equalised : int
        Equalised rows of each track, besides those of the untouched music.
    seed : int
        For places and curves.
    progress : callable
        Is told how many tracks are done.

    Raises
    ------
    InputError
        If a track cannot be decoded, or none is long enough.
    """
    generator = np.random.default_rng(seed)
    kept: list[Track] = []
    parts: list[_Rows] = []
    for done, track in enumerate(tracks, start=1):
        samples, sample_rate = decoded(folder, track)
        if samples.shape[1] > _EXCERPT_S * sample_rate:
            kept.append(track)
            parts.append(_untouched(samples, sample_rate))
            parts += [_equalised(samples, sample_rate, generator) for _ in range(n_equalised)]
        progress(done)
    if not kept:
        raise InputError(f"tracks in {folder} must be longer than {_EXCERPT_S} s, got none")
    counts = [
        sum(len(part[0]) for part in parts[i : i + 1 + n_equalised]) for i in range(0, len(parts), 1 + n_equalised)
    ]
    features, bands_db, gains_db = (np.concatenate(column) for column in zip(*parts, strict=True))
    return FeatureTable(tuple(kept), np.repeat(np.arange(len(kept)), counts), features, bands_db, gains_db)


def _untouched(samples: np.ndarray, sample_rate: int) -> _Rows:
    windows = windows_of(samples, sample_rate)[::_HOPS_PER_ROW]
    return _stacked(windows, np.zeros(len(GRAPHIC_FREQUENCIES_HZ)))


def _equalised(samples: np.ndarray, sample_rate: int, generator: np.random.Generator) -> _Rows:
    """Return the row of a random place of a track through a random curve."""
    n_samples = round(_EXCERPT_S * sample_rate)
    start = generator.integers(samples.shape[1] - n_samples)
    gains_db = random_gains_db(generator)
    excerpt = equalised(samples[:, start : start + n_samples], sample_rate, gains_db)
    # The filters' own beginning is left out with the first samples.
    return _stacked(windows_of(excerpt[:, -round(_HEARD_S * sample_rate) :], sample_rate)[:1], gains_db)


def _stacked(windows: Sequence[WindowFeatures], gains_db: np.ndarray) -> _Rows:
    return (
        np.stack([window.features for window in windows]),
        np.stack([window.bands_db for window in windows]),
        np.tile(gains_db.astype(np.float32), (len(windows), 1)),
    )


def subset(table: FeatureTable, is_kept: Callable[[Track], bool]) -> FeatureTable:
    """Return the rows of the tracks for which `is_kept` is true."""
    kept = np.array([is_kept(track) for track in table.tracks], dtype=bool)
    renumbered = np.cumsum(kept) - 1
    rows = np.flatnonzero(kept[table.track_of_row])
    tracks = tuple(track for track, keep in zip(table.tracks, kept, strict=True) if keep)
    return dataclasses.replace(
        _with_rows(table, rows), tracks=tracks, track_of_row=renumbered[table.track_of_row[rows]]
    )


def rows_of(table: FeatureTable, tracks: np.ndarray) -> np.ndarray:
    """Return the indices of the rows of some tracks."""
    return np.flatnonzero(np.isin(table.track_of_row, tracks))


def untouched_rows_of(table: FeatureTable, tracks: np.ndarray) -> np.ndarray:
    """Return the indices of the untouched rows of some tracks."""
    return np.flatnonzero(np.isin(table.track_of_row, tracks) & table.is_untouched)


def untouched(table: FeatureTable) -> FeatureTable:
    """Return the table without its equalised rows."""
    return _with_rows(table, np.flatnonzero(table.is_untouched))


def save_table(table: FeatureTable, file: Path) -> None:
    """Write a table, with the licence and source of each track, to an `.npz` file."""
    np.savez_compressed(
        file,
        feature_set=np.array(FEATURE_SET),
        tracks=np.frombuffer(msgspec.json.encode(table.tracks), dtype=np.uint8),
        track_of_row=table.track_of_row.astype(np.int32),
        features=table.features,
        bands_db=table.bands_db,
        gains_db=table.gains_db,
    )


def load_table(file: Path) -> FeatureTable:
    """Return a table that `save_table` wrote.

    Raises
    ------
    InputError
        If it is missing, damaged or of other features.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if str(arrays["feature_set"]) != FEATURE_SET:
                raise InputError(f"table {file} must hold {FEATURE_SET}, got {arrays['feature_set']}; extract it again")
            tracks = msgspec.json.decode(arrays["tracks"].tobytes(), type=tuple[Track, ...])
            return FeatureTable(
                tracks,
                arrays["track_of_row"].astype(np.int64),
                arrays["features"],
                arrays["bands_db"],
                arrays["gains_db"],
            )
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        raise InputError(f"table {file} cannot be read: {error}; extract it again") from error


def _with_rows(table: FeatureTable, rows: np.ndarray) -> FeatureTable:
    return FeatureTable(
        table.tracks, table.track_of_row[rows], table.features[rows], table.bands_db[rows], table.gains_db[rows]
    )

"""What the feature kernel says about every excerpt, in one table that fits into a file.

Conventions
-----------
One row per window, `ROW_INTERVAL_S` apart, in the order of tracks and time. `track_of_row` points into `tracks`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from soundsage.shared.errors import InputError
from soundsage.shared.features import (
    BAND_FREQUENCIES_HZ,
    FEATURE_NAMES,
    FEATURE_SET,
    HOP_LENGTH,
    SAMPLE_RATE,
    windows_of,
)

from .data import GENRES, Track, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["FeatureTable", "load_table", "save_table", "subset", "table_of"]

ROW_INTERVAL_S = 1.0
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
    """

    tracks: tuple[Track, ...]
    track_of_row: np.ndarray
    features: np.ndarray
    bands_db: np.ndarray

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        n_rows = len(self.track_of_row)
        widths = {"features": len(FEATURE_NAMES), "bands_db": len(BAND_FREQUENCIES_HZ)}
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
    def sha256(self) -> str:
        """Of tracks and numbers: two tables with one sum are the same data."""
        digest = hashlib.sha256(msgspec.json.encode(self.tracks))
        for array in (self.track_of_row, self.features, self.bands_db):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def table_of(folder: Path, tracks: Sequence[Track], progress: Callable[[int], None] = lambda _: None) -> FeatureTable:
    """Return the table of a folder's tracks; those shorter than a window are left out.

    Parameters
    ----------
    folder : Path
    tracks : sequence of Track
    progress : callable
        Is told how many tracks are done.

    Raises
    ------
    InputError
        If a track cannot be decoded, or none is long enough.
    """
    kept: list[Track] = []
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    counts: list[int] = []
    for done, track in enumerate(tracks, start=1):
        windows = windows_of(*decoded(folder, track))[::_HOPS_PER_ROW]
        if windows:
            kept.append(track)
            counts.append(len(windows))
            rows += [(window.features, window.bands_db) for window in windows]
        progress(done)
    if not kept:
        raise InputError(f"tracks in {folder} must be longer than a window, got none")
    features, bands_db = (np.stack(column) for column in zip(*rows, strict=True))
    return FeatureTable(tuple(kept), np.repeat(np.arange(len(kept)), counts), features, bands_db)


def subset(table: FeatureTable, is_kept: Callable[[Track], bool]) -> FeatureTable:
    """Return the rows of the tracks for which `is_kept` is true."""
    kept = np.array([is_kept(track) for track in table.tracks], dtype=bool)
    renumbered = np.cumsum(kept) - 1
    rows = kept[table.track_of_row]
    tracks = tuple(track for track, keep in zip(table.tracks, kept, strict=True) if keep)
    return FeatureTable(tracks, renumbered[table.track_of_row[rows]], table.features[rows], table.bands_db[rows])


def save_table(table: FeatureTable, file: Path) -> None:
    """Write a table, with the licence and source of each track, to an `.npz` file."""
    np.savez_compressed(
        file,
        feature_set=np.array(FEATURE_SET),
        tracks=np.frombuffer(msgspec.json.encode(table.tracks), dtype=np.uint8),
        track_of_row=table.track_of_row.astype(np.int32),
        features=table.features,
        bands_db=table.bands_db,
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
            return FeatureTable(tracks, arrays["track_of_row"].astype(np.int64), arrays["features"], arrays["bands_db"])
    except (OSError, KeyError, ValueError, msgspec.DecodeError) as error:
        raise InputError(f"table {file} cannot be read: {error}; extract it again") from error

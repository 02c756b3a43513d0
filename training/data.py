"""A folder of labelled excerpts: its index, its licences, its artists, its sound.

Conventions
-----------
A folder holds `index.csv` with at least the columns `file, genre, artist, licence, source`; `file` is relative to the
folder. A column `licence_evidence` may say how sure the licence is. Sound is float32 of shape
`(n_channels, n_samples)`.
"""

from __future__ import annotations

import contextlib
import csv
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from soundsage.shared.audiofile import open_audio
from soundsage.shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["GENRES", "LICENCES", "Track", "artist_key", "decoded", "read_index", "source_key", "with_licences"]

GENRES = ("Classical", "Electronic", "Experimental", "Folk", "Hip-Hop", "Jazz", "Pop", "Rock")
"""The genres, in the order of the model's outputs."""

LICENCES = ("all", "confirmed", "commercial")
"""What `with_licences` can keep."""

_COLUMNS = ("file", "genre", "artist", "licence", "source")
_DOUBTS = ("not opened", "to be rechecked")
_NON_COMMERCIAL = ("-nc", "noncommercial", "per-track", "(file tag)", "(repo list)", "see ")
_BLOCK_SIZE = 48_000


class Track(msgspec.Struct, frozen=True):
    """One excerpt.

    Attributes
    ----------
    file : str
        Relative to the folder of the index.
    genre : str
        One of `GENRES`.
    artist, licence, source : str
        As the index says.
    licence_evidence : str
        Where the licence was read; empty if the index does not say.
    """

    file: str
    genre: str
    artist: str
    licence: str
    source: str
    licence_evidence: str = ""


def read_index(folder: Path) -> tuple[Track, ...]:
    """Return the tracks of a folder in the order of their files.

    Parameters
    ----------
    folder : Path
        Holds `index.csv`.

    Returns
    -------
    tuple of Track
        At least one.

    Raises
    ------
    InputError
        If the index is missing, lacks a column, is empty, names an unknown genre or an empty artist.
    """
    file = folder / "index.csv"
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"index {file} cannot be read: {reason}; name a folder with an index.csv") from error
    tracks = sorted((_track(file, row) for row in rows), key=lambda track: track.file)
    if not tracks:
        raise InputError(f"index {file} must have at least one row, got none")
    return tuple(tracks)


def with_licences(tracks: Iterable[Track], licences: str) -> tuple[Track, ...]:
    """Return the tracks whose licence is good enough.

    Parameters
    ----------
    tracks : iterable of Track
    licences : {'all', 'confirmed', 'commercial'}
        All that the index states; those not marked there as yet to be checked; of these, those that also do not forbid
        commercial use, as far as the index names a licence.

    Raises
    ------
    InputError
        If none is left.
    """
    if licences not in LICENCES:
        raise InputError(f"licences must be one of {', '.join(LICENCES)}, got {licences!r}")
    kept = tuple(track for track in tracks if licences == "all" or not is_doubtful(track))
    if licences == "commercial":
        kept = tuple(track for track in kept if not any(mark in track.licence.lower() for mark in _NON_COMMERCIAL))
    if not kept:
        raise InputError(f"tracks with {licences} licences must be at least one, got none; choose --licences all")
    return kept


def is_doubtful(track: Track) -> bool:
    """Return whether the index says that the licence of this very file is yet to be checked."""
    return any(doubt in track.licence_evidence.lower() for doubt in _DOUBTS)


def artist_key(artist: str) -> str:
    """Return what two spellings of one artist have in common.

    Examples
    --------
    >>> artist_key("Jason Shaw (audionautix)") == artist_key("Jason  Shaw")
    True
    >>> artist_key("(unknown loop)")
    '(unknown loop)'
    """
    name = " ".join(artist.split()).casefold()
    return name.partition(" (")[0] or name


def source_key(source: str) -> str:
    """Return the collection that a source stands in: a package or a repository.

    Examples
    --------
    >>> source_key("Debian package some-music:usr/share/a.ogg")
    'Debian package some-music'
    """
    return source.partition(":")[0]


def decoded(folder: Path, track: Track) -> tuple[np.ndarray, int]:
    """Return the sound of a track and its sample rate in Hz.

    Returns
    -------
    samples : ndarray of shape (n_channels, n_samples), float32
    sample_rate : int

    Raises
    ------
    InputError
        If it cannot be decoded.
    """
    with contextlib.closing(open_audio(folder / track.file, _BLOCK_SIZE)) as sound:
        return np.concatenate(list(sound), axis=1), sound.sample_rate


def _track(file: Path, row: dict[str, str | None]) -> Track:
    missing = [column for column in _COLUMNS if not (row.get(column) or "").strip()]
    if missing:
        raise InputError(f"rows of {file} must have {', '.join(_COLUMNS)}, got {row.get('file')} without {missing[0]}")
    values = {column: (row.get(column) or "").strip() for column in (*_COLUMNS, "licence_evidence")}
    if values["genre"] not in GENRES:
        raise InputError(f"genre of {values['file']} must be one of {', '.join(GENRES)}, got {values['genre']!r}")
    return Track(**values)

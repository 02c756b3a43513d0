"""Write the card of a model: what it is for, what it was trained on, what it is worth, and what it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .data import GENRES, Track, artist_key, is_doubtful
from .repair import LARGE_DB

__all__ = ["data_of", "eq_card", "figure", "genre_card"]

_TEMPLATES = Path(__file__).with_name("cards")
_FEW_ARTISTS = 6
_DEMO = {
    "sawsquarenoise: Metallius": "github beat-feet/beat-feet:songs/original/spacejacked_09_metallius.mp3",
    "Boomboxhead (gm3): ContententNumber2": "github gm3/cc0-beats:2023/Boomboxhead-ContententNumber2.mp3",
}
_GENRE_ROWS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "mean_recall": "mean recall",
    "top_3": "right genre among the first three",
    "log_loss": "log-loss, nats",
}


def data_of(tracks: Sequence[Track], **named: str | int) -> dict[str, Any]:
    """Return what a manifest says of its training data.

    Parameters
    ----------
    tracks : sequence of Track
    **named : str or int
        Check sums and settings.
    """
    return {
        "n_tracks": len(tracks),
        "n_artists": len({artist_key(track.artist) for track in tracks}),
        "demo": [title for title, source in _DEMO.items() if source in {track.source for track in tracks}],
        "n_unconfirmed": sum(is_doubtful(track) for track in tracks),
        **named,
        "licences": dict(Counter(track.licence for track in tracks).most_common()),
    }


def genre_card(data: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return the card of a genre model as Markdown."""
    genres = metrics["genres"]
    return _filled(
        "genre",
        **{name: metrics[name] for name in ("n_inputs", "n_parameters", "n_folds", "majority_genre")},
        **{
            name: metrics[name]
            for name in ("majority_accuracy", "leaking", "refused", "uncertain", "sure_accuracy", "outliers_as_genre")
        },
        n_genres=len(GENRES),
        chance=1 / len(GENRES),
        permuted=figure(metrics["permuted_mean_recall"]),
        source_accuracy=figure(metrics["source_disjoint"]["accuracy"]),
        source_macro_f1=figure(metrics["source_disjoint"]["macro_f1"]),
        worth=_lines(
            (title, figure(metrics["tracks"][name]), figure(metrics["windows"][name]))
            for name, title in _GENRE_ROWS.items()
        ),
        genres=_lines(
            (genre, f"{row['recall']:.2f}", row["n_tracks"], row["n_artists"]) for genre, row in genres.items()
        ),
        weak=", ".join(genre for genre, row in genres.items() if row["n_artists"] < _FEW_ARTISTS) or "None",
        few=_FEW_ARTISTS,
        data=_data_section(data),
    )


def eq_card(data: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return the card of an EQ model as Markdown."""
    return _filled(
        "eq",
        **{name: metrics[name] for name in ("n_inputs", "n_parameters", "n_bands")},
        heard_low=metrics["heard_hz"][0],
        heard_high=metrics["heard_hz"][-1],
        worth=_lines(
            (method, *(figure(row[name]) for name in ("left", "removed", "added")))
            for method, row in metrics["methods"].items()
        ),
        large=figure(metrics["large"]["model"]["removed"]),
        large_before=metrics["large"]["nothing"]["left"][0],
        large_db=LARGE_DB,
        genres=_lines(
            (genre, f"{row['removed']:.2f}", f"{row['added']:.2f}") for genre, row in metrics["genres"].items()
        ),
        data=_data_section(data),
    )


def figure(triple: Sequence[float]) -> str:
    """Return a value with its interval.

    Examples
    --------
    >>> figure([0.5, 0.4, 0.6])
    '0.500 [0.400, 0.600]'
    """
    value, low, high = triple
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _data_section(data: Mapping[str, Any]) -> str:
    demo = ", ".join(data["demo"]) or "none"
    return _filled("data", **{**data, "demo": demo, "licences": _lines(data["licences"].items())}).rstrip()


def _filled(template: str, **values: object) -> str:
    return (_TEMPLATES / f"{template}.md").read_text(encoding="utf-8").format(**values)


def _lines(rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)

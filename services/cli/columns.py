"""Lay rows of text out in columns."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns"]


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Return one line a row, with columns as wide as their longest cell.

    Parameters
    ----------
    rows : sequence of sequence of str
        All of the same length.
    right : sequence of int
        Indices of the columns that are aligned to the right, for numbers.

    Examples
    --------
    >>> columns([("topic", "rate"), ("meter/main", "10.0")], right=[1])
    ['topic       rate', 'meter/main  10.0']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if index in right else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]

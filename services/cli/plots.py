"""Draw bars and curves in characters.

Conventions
-----------
A character cell holds eighths: `▁` to `█` fill it from below, `▏` to `█` from the left. What fills it from above is the
rest from below in reversed colours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from soundsage.shared.dsp import EqBand, design, response_db

__all__ = ["curve_db", "draw_curve", "frequency_axis", "horizontal_bar"]

FROM_BELOW = " ▁▂▃▄▅▆▇█"
FROM_LEFT = " ▏▎▍▌▋▊▉█"
EIGHTHS = 8
LOWEST_HZ, HIGHEST_HZ = 20.0, 20_000.0
SAMPLE_RATE = 48_000
TICKS = {
    31.5: "31",
    63: "63",
    125: "125",
    250: "250",
    500: "500",
    1e3: "1k",
    2e3: "2k",
    4e3: "4k",
    8e3: "8k",
    16e3: "16k",
}
STEP_DB = 3.0


def horizontal_bar(fraction: float, width: int, style: str) -> Text:
    """Return a bar of `width` characters that is filled to a fraction of it."""
    n_eighths = round(min(max(fraction, 0.0), 1.0) * width * EIGHTHS)
    whole, rest = divmod(n_eighths, EIGHTHS)
    filled = "█" * whole + (FROM_LEFT[rest] if rest else "")
    return Text(filled.ljust(width), style)


def curve_db(bands: Sequence[EqBand], preamp_db: float, width: int) -> np.ndarray:
    """Return the gain of a curve at `width` frequencies, evenly spaced by ear from 20 Hz to 20 kHz, in dB."""
    frequencies_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, width)
    return np.asarray(response_db(design(bands, SAMPLE_RATE), frequencies_hz, SAMPLE_RATE) + preamp_db)


def draw_curve(gains_db: np.ndarray, height: int, above: str, below: str) -> list[Text]:
    """Return the rows of a curve that is filled from 0 dB, each with its level in front.

    Parameters
    ----------
    gains_db : ndarray of shape (width,)
    height : int
        Rows; the upper half is above 0 dB.
    above, below : str
        Styles of what is louder and softer than 0 dB.
    """
    half = max(1, height // 2)
    limit_db = STEP_DB * max(1, int(np.ceil(np.abs(gains_db).max(initial=0.0) / STEP_DB - 1e-6)))
    row_db = limit_db / half
    rows = []
    for row in range(2 * half):
        top_db = limit_db - row * row_db
        line = Text.assemble((_level(row, half, limit_db), "dim"))
        for gain_db in gains_db:
            line.append(*_cell(float(gain_db), top_db, row_db, above, below))
        rows.append(line)
    return rows


def _level(row: int, half: int, limit_db: float) -> str:
    labels = {0: f"{limit_db:+3.0f} ", half: "  0 ", 2 * half - 1: f"{-limit_db:+3.0f} "}
    return labels.get(row, "    ")


def _cell(gain_db: float, top_db: float, row_db: float, above: str, below: str) -> tuple[str, str]:
    bottom_db = top_db - row_db
    is_upper = bottom_db >= -row_db / 2
    filled_db = gain_db - bottom_db if is_upper else top_db - gain_db
    n_eighths = round(min(max(filled_db / row_db, 0.0), 1.0) * EIGHTHS)
    if is_upper or not n_eighths:
        return FROM_BELOW[n_eighths], above
    return FROM_BELOW[EIGHTHS - n_eighths], f"{below} reverse"


def frequency_axis(width: int) -> Text:
    """Return the line below a curve of this width, with the octaves that there is room for."""
    line = [" "] * (width + 4)
    free = 0
    for frequency_hz, label in TICKS.items():
        place = (
            4 + round(np.log(frequency_hz / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ) * (width - 1)) - len(label) // 2
        )
        if place >= free and place + len(label) <= len(line):
            line[place : place + len(label)] = label
            free = place + len(label) + 1
    return Text("".join(line), "dim")

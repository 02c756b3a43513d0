"""Messages as plain data: what people and JSON can read."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from .messages import AudioBlock, Message

__all__ = ["line_of", "plain"]


def plain(message: Message, *, with_samples: bool = False) -> dict[str, Any]:
    """Return the fields of a message, with arrays as lists.

    Parameters
    ----------
    message : Message
    with_samples : bool
        False puts format and level in the place of an audio block's samples, which are hundreds of numbers.

    Examples
    --------
    >>> plain(AudioBlock(stream="main", sample_rate=48_000, start=0, samples=np.zeros((2, 256), np.float32)))["samples"]
    {'n_channels': 2, 'n_samples': 256, 'rms': 0.0, 'peak': 0.0}
    """
    fields: dict[str, Any] = msgspec.to_builtins(message, enc_hook=_listed, str_keys=True)
    if isinstance(message, AudioBlock) and not with_samples:
        fields["samples"] = _described(message.samples)
    return fields


def line_of(fields: dict[str, Any]) -> str:
    """Return fields as `name=value` on one line, floats with 4 significant digits.

    Examples
    --------
    >>> line_of({"stream": "main", "time_s": 1.23456, "level_db": [-20.0, -20.5]})
    'stream=main time_s=1.235 level_db=[-20 -20.5]'
    """
    return " ".join(f"{name}={_text(value)}" for name, value in fields.items())


def _listed(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"value must be an array, got {type(value).__name__}")


def _described(samples: np.ndarray) -> dict[str, Any]:
    n_channels, n_samples = samples.shape
    wide = samples.astype(np.float64)
    rms, peak = (np.sqrt(np.mean(wide**2)), np.max(np.abs(wide))) if samples.size else (0.0, 0.0)
    return {"n_channels": n_channels, "n_samples": n_samples, "rms": float(rms), "peak": float(peak)}


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{line_of(value)}}}"
    return str(value)

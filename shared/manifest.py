"""What lies beside a model: which numbers it takes, how they are scaled, what it answers, and what it was trained on.

Conventions
-----------
A model is one ONNX file with one input, shape `(n, n_inputs)`, and one output, shape `(n, n_labels)`, float32. Scaling,
softmax and limits stay outside it, so that the same file runs on any accelerator. Inputs are named: a feature by its
name, a band of the spectrum `band:FREQUENCY`, a probability of the genre model `posterior:LABEL`.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .dsp.bands import N_SECTIONS
from .errors import ModelError

__all__ = ["Gate", "Manifest", "load_manifest", "sha256_of"]

MAX_MANIFEST_BYTES = 1 << 20
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Names = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=4096)]
Numbers = Annotated[tuple[float, ...], Meta(max_length=4096)]


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a genre model's answer is no genre.

    Attributes
    ----------
    silence_below_db : float
        Level of the window, dBFS.
    not_music_above : float
        Mahalanobis distance of the scaled inputs from the training data.
    uncertain_below : float
        Largest probability.
    precision : tuple of float
        Inverse covariance of the scaled inputs, row by row, `n_inputs**2` values.
    """

    silence_below_db: float
    not_music_above: Annotated[float, Meta(gt=0)]
    uncertain_below: Annotated[float, Meta(ge=0, le=1)]
    precision: Annotated[tuple[float, ...], Meta(max_length=1 << 16)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model.

    Attributes
    ----------
    name, version : str
    task : str
        `genre`: labels are genres, outputs are logits. `eq`: labels are frequencies in Hz, outputs are gains in dB.
    onnx : str
        File name beside the manifest.
    sha256 : str
        Of that file.
    feature_set : str
        The extractor's, which the names of the inputs belong to.
    inputs : tuple of str
        In the order of the ONNX input.
    mean, scale : tuple of float
        Each input becomes `(value - mean) / scale`.
    labels : tuple of str
    temperature : float
        Logits are divided by it before the softmax.
    limit_db : float
        Gains are kept within it.
    gate : Gate or None
    data, metrics : dict
        What it was trained and tested on, with licences, split and intervals: for people.
    licence : str
    """

    name: Name
    version: Name
    task: Literal["genre", "eq"]
    onnx: Name
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    feature_set: Name
    inputs: Names
    mean: Numbers
    scale: Numbers
    labels: Names
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    limit_db: Annotated[float, Meta(gt=0, le=24)] = 6.0
    gate: Gate | None = None
    data: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        for name in ("mean", "scale"):
            if len(getattr(self, name)) != len(self.inputs):
                raise ValueError(f"{name} must have {len(self.inputs)} values, got {len(getattr(self, name))}")
        if min(self.scale, default=1.0) <= 0:
            raise ValueError(f"scale must be above 0, got {min(self.scale)}")
        if self.gate is not None and len(self.gate.precision) != len(self.inputs) ** 2:
            raise ValueError(f"precision must have {len(self.inputs) ** 2} values, got {len(self.gate.precision)}")
        if Path(self.onnx).name != self.onnx or "\0" in self.onnx:
            raise ValueError(f"onnx must be a file name, got {self.onnx!r}")
        if self.task == "eq":
            _require_frequencies(self.labels)


def _require_frequencies(labels: tuple[str, ...]) -> None:
    if len(labels) > N_SECTIONS:
        raise ValueError(f"labels must be at most {N_SECTIONS}, got {len(labels)}")
    for label in labels:
        if not _is_number(label):
            raise ValueError(f"labels must be frequencies in Hz, got {label!r}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def load_manifest(file: Path) -> Manifest:
    """Return the manifest in a JSON file, once the ONNX file beside it is the one it speaks of.

    Raises
    ------
    ModelError
        If either is missing, malformed or not as described.
    """
    try:
        if file.stat().st_size > MAX_MANIFEST_BYTES:
            raise ModelError(f"manifest must have at most {MAX_MANIFEST_BYTES} bytes, got {file}")
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
        found = sha256_of(file.parent / manifest.onnx)
    except OSError as error:
        raise ModelError(f"model {file} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"manifest {file} must be valid: {error}") from error
    if found != manifest.sha256:
        raise ModelError(f"{file.parent / manifest.onnx} must have SHA-256 {manifest.sha256[:12]}…, got {found[:12]}…")
    return manifest


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()

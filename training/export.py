"""Write a model as everything else reads it: an ONNX file of dense layers, a manifest, a card.

Conventions
-----------
The ONNX file has one input `inputs`, shape `(n, n_inputs)`, and one output `outputs`, shape `(n, n_outputs)`, float32.
Scaling, softmax and limits are left to the reader of the manifest. The same weights give the same bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from soundsage.shared.errors import InputError
from soundsage.shared.manifest import Manifest, load_manifest, sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import onnx

    from .network import Layer

__all__ = ["ONNX_NAME", "onnx_of", "write_model"]

ONNX_NAME = "model.onnx"

# The newest that runtimes of the last years and compilers for accelerators all read.
_OPSET, _IR_VERSION = 17, 8


def onnx_of(layers: Sequence[Layer]) -> onnx.ModelProto:
    """Return dense layers with ReLU between them as an ONNX model."""
    from onnx import checker, helper

    nodes, initializers = [], []
    value = "inputs"
    for index, (weight, bias) in enumerate(layers):
        is_last = index == len(layers) - 1
        names = [f"weight_{index}", f"bias_{index}"]
        initializers += [_tensor(names[0], weight), _tensor(names[1], bias)]
        dense = "outputs" if is_last else f"dense_{index}"
        nodes.append(helper.make_node("Gemm", [value, *names], [dense], f"dense_{index}", transB=1))
        if not is_last:
            value = f"relu_{index}"
            nodes.append(helper.make_node("Relu", [dense], [value], f"relu_{index}"))
    graph = helper.make_graph(
        nodes,
        "soundsage",
        [_rows("inputs", layers[0][0].shape[1])],
        [_rows("outputs", layers[-1][0].shape[0])],
        initializers,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, producer_name="soundsage", ir_version=_IR_VERSION, opset_imports=[opset])
    checker.check_model(model, full_check=True)
    return model


def write_model(folder: Path, manifest: Manifest, layers: Sequence[Layer], card: str) -> Manifest:
    """Write `model.onnx`, `manifest.json` and `CARD.md` into a folder, and return the manifest as it is read back.

    Parameters
    ----------
    folder : Path
        Is made if it is not there; files of these names are replaced.
    manifest : Manifest
        Its `onnx` and `sha256` are set to those of the file.
    layers : sequence of Layer
    card : str
        Markdown.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / ONNX_NAME, onnx_of(layers).SerializeToString(deterministic=True))
        manifest = msgspec.structs.replace(manifest, onnx=ONNX_NAME, sha256=sha256_of(folder / ONNX_NAME))
        _replace(folder / "manifest.json", _json(manifest))
        _replace(folder / "CARD.md", card.encode())
    except OSError as error:
        raise InputError(f"model cannot be written to {folder}: {error.strerror}; name another folder") from error
    return load_manifest(folder / "manifest.json")


def _rows(name: str, length: int) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", length])


def _tensor(name: str, array: np.ndarray) -> onnx.TensorProto:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name)


def _json(manifest: Manifest) -> bytes:
    """Return a manifest that a person can read: indented, but for long rows of numbers."""
    lines: list[bytes] = []
    for name, value in msgspec.to_builtins(manifest).items():
        is_long = isinstance(value, dict) and name != "gate"
        encoded = msgspec.json.encode(value)
        if is_long:
            encoded = msgspec.json.format(encoded, indent=2).replace(b"\n", b"\n  ")
        lines.append(b"  " + msgspec.json.encode(name) + b": " + encoded)
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _replace(file: Path, contents: bytes) -> None:
    """Write a file whole or not at all."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    beside.write_bytes(contents)
    beside.replace(file)

"""Small models for tests: a manifest and an ONNX file that compute something that a test can say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from soundsage.shared.features import FEATURE_NAMES, FEATURE_SET

__all__ = ["GENRES", "write_linear", "write_model"]

GENRES = ("rock", "jazz", "classical")


def write_linear(file: Path, weights: np.ndarray, bias: np.ndarray) -> None:
    """Write a model of one linear layer: inputs times weights, shape (n_inputs, n_outputs), plus bias."""
    n_inputs, n_outputs = weights.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["inputs", "weights", "bias"], ["outputs"])],
        "linear",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", n_inputs])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", n_outputs])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, file)


def write_model(
    folder: Path, task: str, labels: tuple[str, ...], inputs: tuple[str, ...] = FEATURE_NAMES[:2], **told: Any
) -> Path:
    """Write a model whose first input is its first output, and all else 0, and return its manifest.

    `told` is what the manifest says instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.zeros((len(inputs), len(labels)))
    weights[0, 0] = 1.0
    write_linear(folder / "model.onnx", weights, np.zeros(len(labels)))
    manifest = {
        "name": f"tiny-{task}",
        "version": "1",
        "task": task,
        "onnx": "model.onnx",
        "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        "feature_set": FEATURE_SET,
        "inputs": inputs,
        "mean": [0.0] * len(inputs),
        "scale": [1.0] * len(inputs),
        "labels": labels,
        **told,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder / "manifest.json"

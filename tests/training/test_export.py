"""Models in files."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from soundsage.shared.errors import InputError
from soundsage.shared.manifest import Manifest, load_manifest
from soundsage.training.export import onnx_of, write_model
from soundsage.training.network import Layer, forward


def layers() -> tuple[Layer, ...]:
    """Return three random layers, 5-7-6-3."""
    generator = np.random.default_rng(440)
    sizes = (5, 7, 6, 3)
    return tuple(
        (generator.standard_normal((after, before)).astype(np.float32), generator.standard_normal(after).astype("f4"))
        for before, after in itertools.pairwise(sizes)
    )


def manifest() -> Manifest:
    """Return a manifest that fits them."""
    return Manifest(
        name="model",
        version="1",
        task="genre",
        onnx="model.onnx",
        sha256="0" * 64,
        feature_set="set",
        inputs=tuple("abcde"),
        mean=(0.1,) * 5,
        scale=(1.0,) * 5,
        labels=tuple("xyz"),
        metrics={"accuracy": [0.5, 0.4, 0.6]},
    )


@pytest.mark.parametrize("n_rows", [1, 17])
def test_the_onnx_file_answers_as_the_network_does(tmp_path: Path, n_rows: int) -> None:
    """For any number of rows, ONNX Runtime agrees with the weights to float32."""
    import onnxruntime

    write_model(tmp_path, manifest(), layers(), "card")
    session = onnxruntime.InferenceSession((tmp_path / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    inputs = np.random.default_rng(440).standard_normal((n_rows, 5)).astype(np.float32)

    (outputs,) = session.run(None, {"inputs": inputs})
    np.testing.assert_allclose(outputs, forward(layers(), inputs), rtol=1e-4, atol=1e-5)


def test_a_model_is_dense_layers_and_nothing_else() -> None:
    """Scaling and softmax are not in the graph: accelerators get only what all of them can do."""
    model = onnx_of(layers())

    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    assert model.opset_import[0].version == 17


def test_the_same_weights_give_the_same_bytes() -> None:
    """A file can be compared by its sum."""
    assert onnx_of(layers()).SerializeToString(deterministic=True) == onnx_of(layers()).SerializeToString(
        deterministic=True
    )


def test_what_is_written_can_be_loaded(tmp_path: Path) -> None:
    """The manifest names the file that lies beside it, in a folder that was not there before."""
    written = write_model(tmp_path / "new" / "folder", manifest(), layers(), "# Card\n")

    assert load_manifest(tmp_path / "new" / "folder" / "manifest.json") == written
    assert (tmp_path / "new" / "folder" / "CARD.md").read_text() == "# Card\n"
    assert sorted(file.name for file in (tmp_path / "new" / "folder").iterdir()) == [
        "CARD.md",
        "manifest.json",
        "model.onnx",
    ]


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    """A file where the folder should be is an error that says what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="name another folder") as caught:
        write_model(tmp_path / "file", manifest(), layers(), "card")
    assert "\n" not in str(caught.value)

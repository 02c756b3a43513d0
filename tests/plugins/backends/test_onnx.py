"""The backend `onnxruntime`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from soundsage.plugins.backends.onnx import OnnxSession, load, soundsage_inference_backends
from soundsage.shared.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]], dtype=np.float32)


def write_model(
    file: Path,
    weights: np.ndarray = WEIGHTS,
    n_outputs_named: int = 1,
    element: int = TensorProto.FLOAT,
) -> Path:
    """Write a model that multiplies its input with a matrix."""
    names = [f"output_{i}" for i in range(n_outputs_named)]
    nodes = [helper.make_node("MatMul", ["inputs", "weights"], [name]) for name in names]
    shape = ["n", weights.shape[1]]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("inputs", element, ["n", weights.shape[0]])],
        [helper.make_tensor_value_info(name, element, shape) for name in names],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(file))
    return file


def test_a_product_comes_back_for_each_row(tmp_path: Path) -> None:
    """The output is that of the model, for any number of rows."""
    session = load(write_model(tmp_path / "model.onnx"))
    inputs = np.random.default_rng(440).standard_normal((5, 3)).astype(np.float32)

    np.testing.assert_allclose(session.run(inputs), inputs @ WEIGHTS, rtol=1e-6)
    np.testing.assert_allclose(session.run(inputs[:1]), inputs[:1] @ WEIGHTS, rtol=1e-6)


def test_the_answer_is_the_same_every_time(tmp_path: Path) -> None:
    """Two runs give the same bits."""
    session = load(write_model(tmp_path / "model.onnx"))
    inputs = np.random.default_rng(440).standard_normal((64, 3)).astype(np.float32)

    np.testing.assert_array_equal(session.run(inputs), session.run(inputs))


def test_an_answer_stays_what_it_was_when_the_next_is_made(tmp_path: Path) -> None:
    """Neither another run nor the caller's reuse of the inputs changes what was given away."""
    session = load(write_model(tmp_path / "model.onnx"))
    inputs = np.ones((1, 3), np.float32)
    first = session.run(inputs)
    inputs[:] = 2.0
    second = session.run(inputs)

    np.testing.assert_array_equal(second, inputs @ WEIGHTS)
    np.testing.assert_array_equal(first, second / 2)


@pytest.mark.parametrize("n_rows", [0, 1, 3, 2])
def test_any_number_of_rows_may_follow_any_other(tmp_path: Path, n_rows: int) -> None:
    """Rows that came before leave nothing behind, and rows need not lie side by side in memory."""
    session = load(write_model(tmp_path / "model.onnx"))
    inputs = np.random.default_rng(441).standard_normal((8, 3)).astype(np.float32)
    session.run(inputs[:2])
    session.run(inputs)

    np.testing.assert_allclose(session.run(inputs[: 2 * n_rows : 2]), inputs[: 2 * n_rows : 2] @ WEIGHTS, rtol=1e-5)
    np.testing.assert_allclose(session.run(np.asfortranarray(inputs)), inputs @ WEIGHTS, rtol=1e-5)


def test_a_model_that_answers_another_number_of_rows_is_an_error_and_no_answer(tmp_path: Path) -> None:
    """A mean over all rows is no answer for each of them."""
    file = tmp_path / "model.onnx"
    node = helper.make_node("ReduceMean", ["inputs"], ["outputs"], axes=[0])
    named = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("inputs", "outputs")]
    graph = helper.make_graph([node], "mean", named[:1], named[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))

    with pytest.raises(ModelError, match=r"model\.onnx cannot run"):
        load(file).run(np.ones((4, 3), np.float32))


@pytest.mark.parametrize("contents", [None, b"", b"no model at all"])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, contents: bytes | None) -> None:
    """Missing, empty and foreign files give a ModelError of one line that names the file."""
    file = tmp_path / "model.onnx"
    if contents is not None:
        file.write_bytes(contents)

    with pytest.raises(ModelError, match=r"model\.onnx cannot be") as caught:
        load(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "inputs",
    [np.zeros((1, 4), np.float32), np.zeros(3, np.float32), np.zeros((1, 3))],
)
def test_inputs_of_another_shape_or_type_are_refused(tmp_path: Path, inputs: np.ndarray) -> None:
    """Only float32 rows of the model's length are taken."""
    session = load(write_model(tmp_path / "model.onnx"))

    with pytest.raises(ModelError, match=r"must be float32 of shape \(n, 3\)"):
        session.run(inputs)


def test_an_output_that_is_not_finite_is_an_error_and_no_answer(tmp_path: Path) -> None:
    """Infinity in the weights surfaces as a ModelError."""
    session = load(write_model(tmp_path / "model.onnx", np.full((3, 2), np.inf, np.float32)))

    with pytest.raises(ModelError, match="must be finite"):
        session.run(np.ones((1, 3), np.float32))


def test_a_model_with_two_outputs_is_refused(tmp_path: Path) -> None:
    """A model has one output."""
    with pytest.raises(ModelError, match="must have one output, got 2"):
        load(write_model(tmp_path / "model.onnx", n_outputs_named=2))


def test_a_model_of_another_type_is_refused(tmp_path: Path) -> None:
    """A model takes float32."""
    file = write_model(tmp_path / "model.onnx", WEIGHTS.astype(np.float64), element=TensorProto.DOUBLE)

    with pytest.raises(ModelError, match="must be float32"):
        load(file)


def test_a_closed_session_runs_no_more(tmp_path: Path) -> None:
    """Closing twice is fine, running afterwards is an error."""
    session = OnnxSession(write_model(tmp_path / "model.onnx"))
    session.close()
    session.close()

    with pytest.raises(ModelError, match="closed"):
        session.run(np.ones((1, 3), np.float32))


def test_the_backend_is_there_on_every_machine() -> None:
    """The record says that it is available."""
    (record,) = soundsage_inference_backends()

    assert (record.name, record.priority, record.is_available()) == ("onnxruntime", 10, True)

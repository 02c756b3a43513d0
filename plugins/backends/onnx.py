"""The backend `onnxruntime`: models on the processor, on one thread.

The models are small: a second thread would cost more to wake than it computes, and one that spins takes a core from the
sound. Answers are the same every time.

Input and output are bound to memory that stays: binding them anew for each run takes longer than the models compute,
when the process has slept and its caches are empty.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from soundsage.shared.contracts import BackendRecord, InferenceSession
from soundsage.shared.errors import ModelError
from soundsage.shared.hookspecs import hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    import onnxruntime

__all__ = ["OnnxSession", "load", "soundsage_inference_backends"]

_ONLY_ERRORS = 3


class OnnxSession:
    """A model loaded into ONNX Runtime.

    Parameters
    ----------
    onnx_file : Path
        One input and one output, both float32 with two axes, the first of any length.

    Raises
    ------
    ModelError
        If the file is missing, is no model, or has other inputs and outputs.

    """

    def __init__(self, onnx_file: Path) -> None:
        self._file = onnx_file
        self._session: onnxruntime.InferenceSession | None = _open(onnx_file)
        self._input, self.n_inputs = _only(onnx_file, "input", self._session.get_inputs())
        self._output, self.n_outputs = _only(onnx_file, "output", self._session.get_outputs())
        self._bound: _Bound | None = None

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the output of the model; one run at a time.

        Parameters
        ----------
        inputs : ndarray of shape (n, n_inputs), float32
            Rows, scaled as the manifest says.

        Returns
        -------
        ndarray of shape (n, n_outputs), float32

        Raises
        ------
        ModelError
            If the inputs do not fit, the session is closed, or the output is not finite.

        """
        if self._session is None:
            raise ModelError(f"model {self._file} must be open to run, got a closed session; load it again")
        if inputs.dtype != np.float32 or inputs.ndim != 2 or inputs.shape[1] != self.n_inputs:  # noqa: PLR2004  rows
            raise ModelError(
                f"inputs of {self._file} must be float32 of shape (n, {self.n_inputs}), "
                f"got {inputs.dtype} of shape {inputs.shape}"
            )
        output = self._run(inputs)
        # In Python: on one row, and with empty caches, NumPy's own test costs three times as much.
        if not all(map(math.isfinite, output.ravel().tolist())):
            raise ModelError(f"output of {self._file} must be finite of shape ({len(inputs)}, {self.n_outputs})")
        return output

    def close(self) -> None:
        """Give the model's memory back; may be called twice."""
        self._session = self._bound = None

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        try:
            if self._bound is None or len(self._bound.inputs) != len(inputs):
                outputs = np.empty((len(inputs), self.n_outputs), np.float32)
                self._bound = _Bound(
                    self._session, (self._input, np.empty(inputs.shape, np.float32)), (self._output, outputs)
                )
            return self._bound.run(inputs)
        except Exception as error:  # its errors share no other class
            raise ModelError(f"model {self._file} cannot run: {_line(error)}") from error


class _Bound:
    """A session that takes its input from one place and leaves its output in another.

    Parameters
    ----------
    session : InferenceSession
    named_inputs, named_outputs : tuple of str and ndarray
        What the model calls them, and where they are.

    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        named_inputs: tuple[str, np.ndarray],
        named_outputs: tuple[str, np.ndarray],
    ) -> None:
        import onnxruntime

        binding = session.io_binding()
        for bind, (name, array) in ((binding.bind_input, named_inputs), (binding.bind_output, named_outputs)):
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self.inputs, self._outputs = named_inputs[1], named_outputs[1]
        # The objects beneath, since the public ones check at each run what only concerns graphics cards.
        self._run = session._sess.run_with_iobinding  # noqa: SLF001
        self._arguments = binding._iobinding, onnxruntime.RunOptions()  # noqa: SLF001  made once, as it is costly

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs of inputs of the shape that was bound."""
        self.inputs[...] = inputs
        self._run(*self._arguments)
        return self._outputs.copy()


def load(onnx_file: Path) -> InferenceSession:
    """Return a session of the model in a file.

    Raises
    ------
    ModelError
        If the file is missing, is no model, or has other inputs and outputs than one of each.

    """
    return OnnxSession(onnx_file)


@hookimpl
def soundsage_inference_backends() -> list[BackendRecord]:
    """Return the one backend that every machine has."""
    return [
        BackendRecord(
            name="onnxruntime",
            summary="ONNX Runtime on the processor, one thread",
            load=load,
            is_available=lambda: True,
            priority=10,
        )
    ]


def _open(onnx_file: Path) -> onnxruntime.InferenceSession:
    # Loading it takes a while, and most processes run no model.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ONLY_ERRORS
    try:
        return onnxruntime.InferenceSession(onnx_file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise ModelError(f"model {onnx_file} cannot be read: {error.strerror}") from error
    except Exception as error:
        # ONNX Runtime's own errors share no class but this one.
        raise ModelError(f"model {onnx_file} cannot be loaded: {_line(error)}") from error


def _only(onnx_file: Path, what: str, nodes: list[onnxruntime.NodeArg]) -> tuple[str, int]:
    """Return the name and the length of the second axis of the only input or output."""
    if len(nodes) != 1:
        raise ModelError(f"model {onnx_file} must have one {what}, got {len(nodes)}")
    node = nodes[0]
    if node.type != "tensor(float)" or len(node.shape) != 2 or not isinstance(node.shape[1], int):  # noqa: PLR2004
        raise ModelError(
            f"{what} of model {onnx_file} must be float32 of shape (n, fixed), got {node.type} {node.shape}"
        )
    return node.name, node.shape[1]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

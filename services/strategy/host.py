"""Keep a strategy plugin in a child process that can be killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from multiprocessing import Pipe

import msgspec

from soundsage.shared.contracts import Decision, StrategyContext
from soundsage.shared.errors import PluginError

from .pipe import MAX_BYTES, Answer, decode_answer, encode_context

__all__ = ["StrategyHost"]

START_S = 15.0
EXIT_S = 0.05


class StrategyHost:
    """One child with one strategy.

    Parameters
    ----------
    name : str
    deadline_s : float
        A decision that takes longer is the child's last.

    Attributes
    ----------
    name : str
    """

    def __init__(self, name: str, deadline_s: float) -> None:
        self.name = name
        self._deadline_s = deadline_s
        self._is_ready = False
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.child", name, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._start_due_s = time.monotonic() + START_S

    def is_ready(self) -> bool:
        """Return whether the strategy is loaded; never waits.

        Raises
        ------
        PluginError
            If it cannot be loaded, or takes too long.
        """
        if not self._is_ready and (self._connection.poll(0) or time.monotonic() > self._start_due_s):
            self._receive(0.0, f"start within {START_S:g} s")
            self._is_ready = True
        return self._is_ready

    def decide(self, context: StrategyContext) -> tuple[Decision, float]:
        """Return the strategy's decision, and the computing that it took in ms.

        Raises
        ------
        PluginError
            If it raised, answered nonsense, died or overran its deadline; after the last two the child is gone.
        """
        try:
            self._connection.send_bytes(encode_context(context))
        except OSError as error:
            raise PluginError(f"strategy {self.name} died with exit code {self._exit_code()}") from error
        answer = self._receive(self._deadline_s, f"decide within {self._deadline_s * 1e3:g} ms")
        return answer.decision, answer.compute_ms

    def is_alive(self) -> bool:
        """Return whether the child is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """Kill the child."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, timeout_s: float, what: str) -> Answer:
        if not self._connection.poll(timeout_s):
            self.close()
            raise PluginError(f"strategy {self.name} must {what}, took longer and was stopped")
        try:
            answer = decode_answer(self._connection.recv_bytes(MAX_BYTES))
        except (EOFError, OSError) as error:
            raise PluginError(f"strategy {self.name} died with exit code {self._exit_code()}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PluginError(f"strategy {self.name} must answer with valid bands: {error}") from error
        if answer.error is not None:
            raise PluginError(f"strategy {self.name} failed: {answer.error}")
        return answer

    def _exit_code(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_S)
        self.close()
        return self._process.returncode

"""Keep a strategy plugin in a child process that can be killed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time

import msgspec

from soundsage.shared.contracts import Decision
from soundsage.shared.errors import PluginError
from soundsage.shared.messages import GenrePosterior

from .pipe import MAX_BYTES, Answer, Told, decode_answer, encode_told

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
        self._child, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        if not self._is_ready:
            try:
                self._receive(0.0)
            except BlockingIOError:
                if time.monotonic() > self._start_due_s:
                    raise self._late(f"start within {START_S:g} s") from None
            else:
                self._is_ready = True
        return self._is_ready

    def tell(self, message: Told) -> None:
        """Pass on a message for the decision to come.

        Raises
        ------
        PluginError
            If the child is gone, or has not even read what it was told before.
        """
        packet = encode_told(message)
        if len(packet) > MAX_BYTES:
            raise PluginError(f"strategy {self.name} must be told at most {MAX_BYTES} bytes, got {len(packet)}")
        try:
            self._child.settimeout(self._deadline_s)
            self._child.send(packet)
        except TimeoutError:
            raise self._late(f"read within {self._deadline_s * 1e3:g} ms") from None
        except OSError as error:
            raise self._death() from error

    def decide(self, posterior: GenrePosterior) -> tuple[Decision, float]:
        """Return the strategy's decision, and the computing that it took in ms.

        Raises
        ------
        PluginError
            If it raised, answered nonsense, died or overran its deadline; after the last two the child is gone.
        """
        self.tell(posterior)
        try:
            answer = self._receive(self._deadline_s)
        except TimeoutError:
            raise self._late(f"decide within {self._deadline_s * 1e3:g} ms") from None
        return answer.decision, answer.compute_ms

    def is_alive(self) -> bool:
        """Return whether the child is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """Kill the child."""
        self._child.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, timeout_s: float) -> Answer:
        try:
            self._child.settimeout(timeout_s)
            packet = self._child.recv(MAX_BYTES)
        except (TimeoutError, BlockingIOError):
            raise
        except OSError as error:
            raise self._death() from error
        if not packet:
            raise self._death()
        try:
            answer = decode_answer(packet)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PluginError(f"strategy {self.name} must answer with valid bands: {error}") from error
        if answer.error is not None:
            raise PluginError(f"strategy {self.name} failed: {answer.error}")
        return answer

    def _late(self, what: str) -> PluginError:
        self.close()
        return PluginError(f"strategy {self.name} must {what}, took longer and was stopped")

    def _death(self) -> PluginError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_S)
        self.close()
        return PluginError(f"strategy {self.name} died with exit code {self._process.returncode}")

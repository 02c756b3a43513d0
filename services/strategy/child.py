"""Run one strategy plugin: messages in by a socket, a decision out for each posterior.

Started by the strategy service as `python -m soundsage.services.strategy.child NAME FILE_DESCRIPTOR PARENT`, which
kills it when it overruns its deadline.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import time

from soundsage.shared.contracts import EqStrategy, StrategyContext, StrategyRecord
from soundsage.shared.errors import SoundSageError
from soundsage.shared.messages import MAX_TEXT, GenrePosterior
from soundsage.shared.plugins import guarded, installed_plugins
from soundsage.shared.realtime import outside_realtime

from .core import Correlation
from .pipe import MAX_BYTES, Answer, decode_told, encode_answer

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main(name: str, file_descriptor: int, parent: int) -> None:
    """Answer until the socket is closed."""
    _die_with(parent)
    with socket.socket(fileno=file_descriptor) as service:
        try:
            with outside_realtime():
                record = installed_plugins().find("eq_strategies", StrategyRecord, name)
                strategy = guarded("it", record.make)
        except SoundSageError as error:
            service.send(_refusal(error))
            return
        service.send(encode_answer(Answer()))
        gc.freeze()  # what is loaded by now stays, and the collector need not walk through it between two hops
        _answer(strategy, service)


def _answer(strategy: EqStrategy, service: socket.socket) -> None:
    correlation = Correlation()
    while packet := service.recv(MAX_BYTES):
        message = decode_told(packet)
        if not isinstance(message, GenrePosterior):
            correlation.keep(message)
            continue
        try:
            answer = guarded("it", _decided, strategy, StrategyContext(message, *correlation.of(message)))
        except SoundSageError as error:
            answer = _refusal(error)
        service.send(answer)


def _decided(strategy: EqStrategy, context: StrategyContext) -> bytes:
    begin_s = time.perf_counter()
    decision = strategy.decide(context)
    compute_ms = (time.perf_counter() - begin_s) * 1e3
    answer = encode_answer(Answer(decision.bands, decision.cause, compute_ms))
    if len(answer) > MAX_BYTES:
        raise ValueError(f"decision must have at most {MAX_BYTES} bytes, got {len(answer)}")
    return answer


def _refusal(error: SoundSageError) -> bytes:
    return encode_answer(Answer(error=str(error)[:MAX_TEXT]))


def _die_with(parent: int) -> None:
    """Let no plugin that hangs outlive a service that was killed; only Linux can do that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the service, which then closes the socket
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it was watched
        sys.exit()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

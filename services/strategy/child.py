"""Run one strategy plugin: contexts in by a pipe, decisions out.

Started by the strategy service as `python -m soundsage.services.strategy.child NAME FILE_DESCRIPTOR PARENT`, which
kills it when it overruns its deadline.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from multiprocessing.connection import Connection

from soundsage.shared.contracts import EqStrategy, StrategyContext, StrategyRecord
from soundsage.shared.errors import SoundSageError
from soundsage.shared.messages import MAX_TEXT
from soundsage.shared.plugins import guarded, installed_plugins

from .pipe import MAX_BYTES, Answer, decode_context, encode_answer

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main(name: str, file_descriptor: int, parent: int) -> None:
    """Answer until the pipe is closed."""
    _die_with(parent)
    with Connection(file_descriptor) as connection:
        try:
            record = installed_plugins().find("eq_strategies", StrategyRecord, name)
            strategy = guarded("it", record.make)
        except SoundSageError as error:
            connection.send_bytes(encode_answer(Answer(error=str(error)[:MAX_TEXT])))
            return
        connection.send_bytes(encode_answer(Answer()))
        _answer(strategy, connection)


def _answer(strategy: EqStrategy, connection: Connection) -> None:
    while True:
        try:
            context = decode_context(connection.recv_bytes(MAX_BYTES))
        except (EOFError, OSError):
            return
        try:
            answer = guarded("it", _decided, strategy, context)
        except SoundSageError as error:
            answer = encode_answer(Answer(error=str(error)[:MAX_TEXT]))
        connection.send_bytes(answer)


def _decided(strategy: EqStrategy, context: StrategyContext) -> bytes:
    begin_s = time.perf_counter()
    decision = strategy.decide(context)
    compute_ms = (time.perf_counter() - begin_s) * 1e3
    return encode_answer(Answer(decision.bands, decision.cause, compute_ms))


def _die_with(parent: int) -> None:
    """Let no plugin that hangs outlive a service that was killed; only Linux can do that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the service, which then closes the pipe
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it was watched
        sys.exit()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

"""The yardstick of `soundsage bench`: the mesh's hops and sizes in bare pyzmq, with nothing computed on the way.

Started by the bench as `python -m soundsage.services.cli.relay ROLE PLAN`. It imports `zmq` itself, since what it is to
show is pyzmq without our transport: no messages, no counting, no requests, one blocking receive per hop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import msgspec
import zmq

__all__ = ["ROLES", "Plan"]

ROLES = ("proxy", "renderer", "strategy", "broker", "features", "source")
STAMP_BYTES = 8
HOP = b"\x01"
QUEUE = 1000
SETTLE_S = 2.0  # what piled up while the processes started is no latency


class Plan(msgspec.Struct, frozen=True):
    """What the relay imitates.

    Attributes
    ----------
    run_dir : str
    block_s, hop_s : float
        Time between blocks, and between those blocks that complete a hop.
    duration_s : float
        How long the last process measures.
    sizes : dict of list of int
        Bytes of each frame behind the topic, by kind of message.
    context_bytes, answer_bytes : int
        What goes through the pipe to the strategy's child and back.
    """

    run_dir: str
    block_s: float
    hop_s: float
    duration_s: float
    sizes: dict[str, list[int]]
    context_bytes: int
    answer_bytes: int

    def endpoint(self, name: str) -> str:
        """Return the address of a socket in the run directory."""
        return f"ipc://{self.run_dir}/{name}"

    def frames(self, kind: str, stamp: bytes) -> list[bytes]:
        """Return a message of the right size that carries a stamp."""
        first, *others = self.sizes[kind]
        return [f"{kind}/".encode(), stamp.ljust(first, b"\x00"), *map(bytes, others)]


class Hop:
    """The sockets of one process: what it hears and what it says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._context = zmq.Context()

    def hear(self, endpoint: str, *kinds: str) -> zmq.Socket[bytes]:
        """Return a receiver of these kinds."""
        socket = self._context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, QUEUE)
        for kind in kinds:
            socket.setsockopt(zmq.SUBSCRIBE, f"{kind}/".encode())
        socket.connect(self._plan.endpoint(endpoint))
        return socket

    def say(self, endpoint: str, *, bind: bool = False) -> zmq.Socket[bytes]:
        """Return a publisher."""
        socket = self._context.socket(zmq.PUB)
        (socket.bind if bind else socket.connect)(self._plan.endpoint(endpoint))
        return socket


def _proxy(plan: Plan) -> None:
    context = zmq.Context()
    publishers, receivers, tap = context.socket(zmq.XSUB), context.socket(zmq.XPUB), context.socket(zmq.PUB)
    for socket, name in ((publishers, "in"), (receivers, "out"), (tap, "tap")):
        socket.bind(plan.endpoint(name))
    zmq.proxy(publishers, receivers, tap)


def _source(plan: Plan) -> None:
    out = Hop(plan).say("audio", bind=True)
    begin_s = time.monotonic()
    n_hops = 0
    for n_blocks in range(1, sys.maxsize):
        time.sleep(max(0.0, begin_s + n_blocks * plan.block_s - time.monotonic()))
        hop = int(n_blocks * plan.block_s / plan.hop_s) > n_hops
        n_hops += hop
        stamp = time.monotonic_ns().to_bytes(STAMP_BYTES, "little") + (HOP if hop else b"\x00")
        out.send_multipart(plan.frames("audio_block", stamp))


def _features(plan: Plan) -> None:
    hop = Hop(plan)
    audio, out = hop.hear("audio", "audio_block"), hop.say("in")
    while True:
        stamp = audio.recv_multipart()[1]
        if stamp[STAMP_BYTES : STAMP_BYTES + 1] == HOP:
            out.send_multipart(plan.frames("feature_vector", stamp[:STAMP_BYTES]))


def _broker(plan: Plan) -> None:
    hop = Hop(plan)
    inbox, out = hop.hear("out", "feature_vector"), hop.say("in")
    while True:
        stamp = inbox.recv_multipart()[1][:STAMP_BYTES]
        out.send_multipart(plan.frames("eq_proposal", stamp))
        out.send_multipart(plan.frames("genre_posterior", stamp))


def _strategy(plan: Plan) -> None:
    hop = Hop(plan)
    inbox, out = hop.hear("out", "feature_vector", "eq_proposal", "genre_posterior"), hop.say("in")
    ours, theirs = Pipe()
    command = [sys.executable, "-m", __spec__.name, "child", str(theirs.fileno()), str(plan.answer_bytes)]
    subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    while True:
        topic, stamp, *_ = inbox.recv_multipart()
        if topic.startswith(b"genre_posterior"):
            ours.send_bytes(bytes(plan.context_bytes))
            ours.recv_bytes()
            out.send_multipart(plan.frames("eq_curve", stamp[:STAMP_BYTES]))


def _child(file_descriptor: int, answer_bytes: int) -> None:
    with Connection(file_descriptor) as connection:
        while True:
            try:
                connection.recv_bytes()
                connection.send_bytes(bytes(answer_bytes))
            except (EOFError, OSError):
                return


def _renderer(plan: Plan) -> None:
    hop = Hop(plan)
    audio, curves = hop.hear("audio", "audio_block"), hop.hear("out", "eq_curve")
    poller = zmq.Poller()
    poller.register(audio, zmq.POLLIN)
    poller.register(curves, zmq.POLLIN)
    latency_ms: dict[str, list[float]] = {"render": [], "curve": []}
    curves.poll()
    begin_ns = time.monotonic_ns() + int(SETTLE_S * 1e9)
    end_ns = begin_ns + int(plan.duration_s * 1e9)
    now_ns = 0
    while now_ns < end_ns:
        for socket, _ in poller.poll(100):
            stamp_ns = int.from_bytes(socket.recv_multipart()[1][:STAMP_BYTES], "little")
            now_ns = time.monotonic_ns()
            if now_ns > begin_ns:
                latency_ms["render" if socket is audio else "curve"].append((now_ns - stamp_ns) / 1e6)
    sys.stdout.write(json.dumps(latency_ms))


if __name__ == "__main__":
    if sys.argv[1] == "child":
        _child(int(sys.argv[2]), int(sys.argv[3]))
    else:
        globals()[f"_{sys.argv[1]}"](msgspec.json.decode(sys.argv[2], type=Plan))

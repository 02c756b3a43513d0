"""Watch a stream of ours from the sound server's side, which moves streams rather than ending them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from soundsage.plugins.pulse import Kind, connected, feedback_at, own_streams, render_default
from soundsage.shared.errors import DeviceError

if TYPE_CHECKING:
    import pulsectl

__all__ = ["Watch"]

# The server tells of changes at once; this only bounds what happens should it not.
LOOK_S = 0.25
# Until a stream that was opened must be known to the server.
APPEAR_S = 2.0


class Watch:
    """Tell once when a stream no longer is where it was put.

    A node that goes away does not end its streams: the server moves them to the default, and a capture goes on with
    another sound. It also takes streams along when the default changes; those are put back, after which it leaves them
    alone.

    Parameters
    ----------
    kind : {"source", "sink"}
    mark : str
        The stream's `STREAM_MARK`.
    node : str
        Where it belongs.
    is_default : bool
        Whether that is so because it is the default; then a new default is told as well.
    tell : callable
        Called with one line, from another thread.
    """

    def __init__(self, kind: Kind, mark: str, node: str, tell: Callable[[str], None], *, is_default: bool) -> None:
        self._kind = kind
        self._mark = mark
        self._node = node
        self._is_default = is_default
        self._tell = tell
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{kind}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with connected() as pulse:
                self._watch(pulse)
        except DeviceError as error:
            if not self._closed.is_set():
                self._tell(str(error))

    def _watch(self, pulse: pulsectl.Pulse) -> None:
        import pulsectl

        def wake(_event: pulsectl.PulseEventInfo) -> None:
            raise pulsectl.PulseLoopStop

        pulse.event_mask_set("source", "sink", "source_output", "sink_input", "server")
        pulse.event_callback_set(wake)
        appear_by = time.monotonic() + APPEAR_S
        while not self._closed.is_set():
            streams = own_streams(pulse, self._kind, self._mark)
            if streams or time.monotonic() > appear_by:
                appear_by = 0.0
                fault = self._fault(pulse, streams)
                if fault is not None:
                    self._tell(fault)
                    return
            pulse.event_listen(timeout=LOOK_S)

    def _fault(self, pulse: pulsectl.Pulse, streams: list[pulsectl.PulseSinkInputInfo]) -> str | None:
        nodes = self._nodes(pulse)
        if self._node not in nodes:
            return f"{self._kind} {self._node} is gone; plug it in or name another one"
        if not streams:
            return f"the sound server ended our stream at {self._kind} {self._node}"
        if self._is_default and self._default(pulse) != self._node:
            return f"{self._kind} {self._node} is not the default any more"
        for stream in streams:
            place = getattr(stream, self._kind)
            if place != nodes[self._node] and not self._put_back(pulse, stream.index, place, nodes):
                return f"the sound server moved our stream away from {self._kind} {self._node}"
        # Of two streams that came at once, the sink gives way: silence is better than a loudspeaker that howls.
        return feedback_at(pulse, self._kind, self._node) if self._kind == "sink" else None

    def _put_back(self, pulse: pulsectl.Pulse, stream: int, place: int, nodes: dict[str, int]) -> bool:
        """Move a stream back if it was taken along to a new default, and return whether it was."""
        import pulsectl

        info = pulse.server_info()
        default = info.default_source_name if self._kind == "source" else info.default_sink_name
        if place != nodes.get(default):
            return False
        move = pulse.source_output_move if self._kind == "source" else pulse.sink_input_move
        try:
            move(stream, nodes[self._node])
        except pulsectl.PulseOperationFailed:
            return False
        return True

    def _nodes(self, pulse: pulsectl.Pulse) -> dict[str, int]:
        return {
            info.name: info.index for info in (pulse.source_list() if self._kind == "source" else pulse.sink_list())
        }

    def _default(self, pulse: pulsectl.Pulse) -> str | None:
        return pulse.server_info().default_source_name if self._kind == "source" else render_default(pulse)

"""Keep a mesh: start its processes, wait until they are ready, watch over them, and stop them all.

The processes belong to supervisord; when their keeper dies the sound goes on, and `soundsage down` ends it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from soundsage.shared.config import Config
from soundsage.shared.errors import MeshError
from soundsage.shared.messages import ServiceState
from soundsage.shared.transport import Context

from .deaths import DeathWatch
from .files import MeshFiles
from .heard import Heard, listen
from .supervision import start_supervisord
from .units import Unit

__all__ = ["Keeper", "Screen"]

READY_WAIT_S = 60.0
END_WAIT_S = 15.0
LOOK_S = 0.05
DEATHS_WITHOUT_READY = 3
DEATHS_A_MINUTE = 20
SOURCE, SINK, SUPERVISORD = "capture", "renderer", "supervisord"
UP = frozenset({"ready", "waiting", "ended"})


class Screen(Protocol):
    """Where the person sees what goes on."""

    def show(self, heard: Heard) -> None:
        """Show it, if it is time to."""


class Keeper:
    """Runs one mesh.

    Parameters
    ----------
    config : Config
        Resolved and checked, and written where the services read it.
    files : MeshFiles
    units : sequence of Unit
    stop : Event
        Set when the person wants it to end.
    ready_wait_s : float
        How long the services may take until they are ready.
    """

    def __init__(
        self,
        config: Config,
        files: MeshFiles,
        units: Sequence[Unit],
        stop: threading.Event,
        ready_wait_s: float = READY_WAIT_S,
    ) -> None:
        self.heard = Heard()
        self._config = config
        self._files = files
        self._units = units
        self._stop = stop
        self._ready_wait_s = ready_wait_s
        self._since_ready: Counter[str] = Counter()
        self._deaths: deque[tuple[float, str]] = deque()

    def run(self, screen: Screen, duration_s: float | None, when_ready: Callable[[], None]) -> None:
        """Run the mesh until it is stopped, its source is over or its time is.

        Raises
        ------
        MeshError
            If a service fails, keeps dying or does not become ready.
        """
        with (
            start_supervisord(self._units, self._files, self._stop.is_set) as self._supervisord,
            DeathWatch(self._files) as self._watch,
            Context() as context,
            listen(context, self._config.mesh.endpoints) as self._inbox,
        ):
            if self._stop.is_set():
                return
            self._start(screen)
            if self._stop.is_set():
                return
            when_ready()
            self._attend(screen, duration_s)

    def _start(self, screen: Screen) -> None:
        self._launch(unit for unit in self._units if not unit.after_ready)
        waiting = [unit for unit in self._units if unit.after_ready]
        deadline_s = time.monotonic() + self._ready_wait_s
        while (missing := self._not_ready()) and not self._stop.is_set():
            if waiting and not missing - {unit.name for unit in waiting}:
                self._launch(waiting)
                waiting = []
            if time.monotonic() > deadline_s:
                names = ", ".join(sorted(missing))
                raise MeshError(f"{names} did not become ready within {self._ready_wait_s:g} s; see `soundsage logs`")
            self._turn(screen)

    def _launch(self, units: Iterable[Unit]) -> None:
        for unit in units:
            self._supervisord.start(unit.name)
        self._watch.look()

    def _not_ready(self) -> set[str]:
        up = {name for name, state in self.heard.services.items() if state.state in UP}
        return {unit.name for unit in self._units} - up

    def _attend(self, screen: Screen, duration_s: float | None) -> None:
        ended_s: float | None = None
        while not self._stop.is_set() and not self._is_over(duration_s):
            self._turn(screen)
            if ended_s is None and self._state_of(SOURCE) == "ended":
                ended_s = time.monotonic()
            if ended_s is not None and time.monotonic() > ended_s + END_WAIT_S:
                raise MeshError(
                    f"{SINK} did not finish within {END_WAIT_S:g} s of the source's end; see `soundsage logs {SINK}`"
                )

    def _is_over(self, duration_s: float | None) -> bool:
        since_s = self.heard.rendered_since_s
        is_late = duration_s is not None and since_s is not None and time.monotonic() >= since_s + duration_s
        return is_late or self._state_of(SINK) == "ended"

    def _state_of(self, service: str) -> str | None:
        state = self.heard.services.get(service)
        return state.state if state else None

    def _turn(self, screen: Screen) -> None:
        self._stop.wait(LOOK_S)  # not for the next message: who wakes for each takes time from those who make them
        while (received := self._inbox.next()) is not None:
            self.heard.take(received)
            if isinstance(received.message, ServiceState):
                self._judge(received.message)
        self._count_deaths()
        screen.show(self.heard)

    def _judge(self, state: ServiceState) -> None:
        if state.state == "failed":
            raise MeshError(state.text or f"{state.service} failed; see `soundsage logs {state.service}`")
        if state.state in UP:
            self._since_ready[state.service] = 0

    def _count_deaths(self) -> None:
        now_s = time.monotonic()
        for name in self._watch.dead():
            self._deaths.append((now_s, name))
            self._since_ready[name] += 1
            self.heard.deaths[name] += 1
            if name == SUPERVISORD:
                raise MeshError(f"{SUPERVISORD} died, and nobody would restart a service; run `soundsage up` again")
            if self._since_ready[name] >= DEATHS_WITHOUT_READY:
                raise self._gave_up(name, f"died {DEATHS_WITHOUT_READY} times without becoming ready")
        while self._deaths and self._deaths[0][0] < now_s - 60:
            self._deaths.popleft()
        for name, n_deaths in Counter(name for _, name in self._deaths).items():
            if n_deaths >= DEATHS_A_MINUTE:
                raise self._gave_up(name, f"died {n_deaths} times within a minute")
        for name in self._watch.given_up:
            raise self._gave_up(name, "keeps dying as soon as it starts")

    def _gave_up(self, name: str, what: str) -> MeshError:
        return MeshError(f"{name} {what}: {self._files.last_line(name)}; see `soundsage logs {name}`")

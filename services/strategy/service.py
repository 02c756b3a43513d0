"""In: `GenrePosterior`, `FeatureVector`, `EqProposal`. Out: an `EqCurve` for each posterior. Drops nothing."""

from __future__ import annotations

import threading
import time

from soundsage.shared.config import Config, StrategyConfig
from soundsage.shared.contracts import Decision, StrategyRecord
from soundsage.shared.errors import PluginError
from soundsage.shared.messages import EqProposal, FeatureVector, GenrePosterior
from soundsage.shared.node import Node
from soundsage.shared.plugins import Guard, installed_plugins
from soundsage.shared.settings import StrategySettings

from .core import Steering, curve_of
from .host import StrategyHost

__all__ = ["run"]


def run(config: Config, stop: threading.Event) -> None:
    """Decide a curve for each posterior until told to stop."""
    defaults = StrategySettings(config.strategy.name)
    with Node("strategy", config.mesh, stop, defaults, accept=_must_be_installed) as node:
        inbox = node.events(FeatureVector, EqProposal, GenrePosterior)
        deciding = Deciding(config.strategy, node)
        try:
            while not stop.is_set():
                received = node.receive((inbox,))
                deciding.follow_settings()
                if received is None:
                    continue
                match received.message:
                    case GenrePosterior() as posterior:
                        deciding.publish_curve(posterior, received.envelope.t_capture_ns)
                    case FeatureVector() | EqProposal() as measured:
                        deciding.pass_on(measured)
        finally:
            deciding.close()


def _must_be_installed(settings: StrategySettings) -> None:
    installed_plugins().find("eq_strategies", StrategyRecord, settings.strategy)


class Deciding:
    """Holds the strategy that decides now, and the one that takes over once it is loaded."""

    def __init__(self, config: StrategyConfig, node: Node[StrategySettings]) -> None:
        self._config = config
        self._node = node
        self._steering: dict[str, Steering] = {}
        self._now: StrategyHost | None = None
        self._next: StrategyHost | None = None
        self._guard = Guard("")
        self._commanded = False
        self._wanted = ""

    def follow_settings(self) -> None:
        """Start the strategy that the user wants, and hand over to it when it is ready; never waits."""
        if self._node.settings.strategy != self._wanted:
            self._commanded = bool(self._wanted)
            self._wanted = self._node.settings.strategy
            self._guard = Guard(f"strategy {self._wanted}")
            self._start()
        if self._next is None:
            return
        try:
            if self._next.is_ready():
                self._close(self._now)
                self._now, self._next = self._next, None
                self._node.set_state("ready")
        except PluginError as error:
            self._fail(error)

    def pass_on(self, measured: FeatureVector | EqProposal) -> None:
        """Tell the strategy what its next decision may rest on."""
        if self._now is not None:
            try:
                self._now.tell(measured)
            except PluginError as error:
                self._fail(error)

    def publish_curve(self, posterior: GenrePosterior, t_capture_ns: int) -> None:
        """Publish the curve that follows from a posterior: flat while no strategy can decide."""
        strategy, decision, compute_ms = self._decide(posterior)
        steering = self._steering.setdefault(posterior.stream, Steering(self._config.limit_db))
        commanded = self._commanded and self._next is None and self._now is not None
        begin_s = time.perf_counter()
        steered = steering.steer(posterior.time_s, decision.bands, commanded=commanded)
        compute_ms += (time.perf_counter() - begin_s) * 1e3
        curve = curve_of(posterior, strategy, decision.cause, steered, compute_ms, commanded=commanded)
        self._node.publish(curve, t_capture_ns)
        self._commanded = self._commanded and not commanded

    def close(self) -> None:
        """Stop the children."""
        self._close(self._now)
        self._close(self._next)

    def _decide(self, posterior: GenrePosterior) -> tuple[str, Decision, float]:
        """Return who decided, what, and the computing that it took in ms."""
        if self._now is None:
            reason = "is left out" if self._guard.is_quarantined else "is starting"
            return self._wanted, Decision((), f"flat: strategy {self._wanted} {reason}"), 0.0
        try:
            return self._now.name, *self._now.decide(posterior)
        except PluginError as error:
            if self._now.name == self._wanted:
                self._fail(error)
            return self._wanted, Decision((), f"flat: {error}"), 0.0

    def _fail(self, error: PluginError) -> None:
        """Count a strike and try again, until there were too many."""
        self._node.report(self._guard.strike(str(error)), "waiting")
        self._close(self._now)
        self._close(self._next)
        self._now = self._next = None
        if self._guard.is_quarantined:
            self._node.set_state(
                "ready", f"flat: strategy {self._wanted} is left out after {self._guard.strikes} strikes"
            )
        else:
            self._start()

    def _start(self) -> None:
        self._close(self._next)
        self._next = StrategyHost(self._wanted, self._config.deadline_ms / 1e3)

    @staticmethod
    def _close(host: StrategyHost | None) -> None:
        if host is not None:
            host.close()

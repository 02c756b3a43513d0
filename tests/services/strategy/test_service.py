"""The strategy service over real sockets, with its strategies in real processes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import examples
import psutil
import pytest
from wiring import AGAIN_S, TIMEOUT_S, Stage, next_of

from soundsage.services.strategy import host as hosts
from soundsage.services.strategy import service
from soundsage.shared.config import StrategyConfig
from soundsage.shared.errors import InputError
from soundsage.shared.messages import EqCurve, Error, Message
from soundsage.shared.transport import wait


class Asking:
    """Says posteriors, a second of stream time apart, and hears the curve of each."""

    def __init__(self, stage: Stage, name: str = "evil", deadline_ms: float = 1000.0) -> None:
        self._stage = stage
        self._times_s = itertools.count(1000.0)
        self.errors: list[str] = []
        stage.run(service.run, strategy=StrategyConfig(name=name, deadline_ms=deadline_ms))
        stage.state("ready")
        stage.answer(examples.posterior(time_s=1.0, model="up"), EqCurve)

    def curve(self, way: str = "up") -> EqCurve:
        """Return the curve that follows from the next posterior, and keep the errors that come before it."""
        time_s = next(self._times_s)
        self._stage.events.send(examples.posterior(time_s=time_s, model=way))
        while not isinstance(message := next_of(self._stage.heard, Message)[1], EqCurve) or message.time_s != time_s:
            self.errors += [message.text] if isinstance(message, Error) else []
        return message

    def until(self, found: Callable[[EqCurve], bool], way: str = "up") -> list[EqCurve]:
        """Return the curves up to the first for which something holds."""
        curves, end_s = [self.curve(way)], time.monotonic() + TIMEOUT_S
        while not found(curves[-1]):
            assert time.monotonic() < end_s, curves[-1]
            wait((self._stage.heard,), AGAIN_S)  # a child that starts needs the processor too
            curves.append(self.curve(way))
        return curves


def gain(curve: EqCurve) -> float:
    """Return the gain of a curve's only band, 0 without one."""
    return curve.bands[0].gain_db if curve.bands else 0.0


def glides(curves: list[EqCurve]) -> bool:
    """Return whether no step is faster than half a dB for its second."""
    return all(abs(gain(b) - gain(a)) <= 0.5001 for a, b in itertools.pairwise(curves))


def test_a_curve_follows_from_each_posterior(stage: Stage) -> None:
    """It has the time, the capture and the computing of the posterior that it answers, and rises slowly."""
    asking = Asking(stage)
    curves = [asking.curve() for _ in range(14)]
    stage.events.send(examples.posterior(time_s=9999.0, model="up", compute_ms=7.0), t_capture_ns=77)
    received, last = next_of(stage.heard, EqCurve, lambda each: each.time_s == 9999.0)

    assert glides(curves)
    assert gain(curves[-1]) == 6.0
    assert received.envelope.t_capture_ns == 77
    assert (last.strategy, last.cause, last.automatic) == ("evil", "up", True)
    assert last.compute_ms > 7.0


@pytest.mark.parametrize("way", ["raises", "dies", "hangs"])
def test_after_a_failure_the_curve_glides_to_flat_and_comes_back(stage: Stage, way: str) -> None:
    """Its posterior has a curve too; there is a strike, and then another child decides."""
    asking = Asking(stage, deadline_ms=200.0 if way == "hangs" else 1000.0)
    up = asking.until(lambda each: gain(each) >= 2.0)
    failed = asking.curve(way)
    back = asking.until(lambda each: each.cause == "up")

    assert failed.cause.startswith("flat: strategy evil")
    assert ["strike 1 of 3" in each for each in asking.errors] == [True]
    assert glides([*up, failed, *back])
    assert stage.ask("strategy", "get")["state"] == "ready"


def test_a_strategy_is_left_out_after_three_strikes(stage: Stage) -> None:
    """The curve glides to flat and stays there, no fourth child is started, and the service goes on."""
    asking = Asking(stage)
    asking.until(lambda each: gain(each) >= 2.0)
    curves = asking.until(lambda each: "is left out" in each.cause, "raises")
    curves += [asking.curve() for _ in range(8)]

    assert glides(curves)
    assert gain(curves[-1]) == 0.0
    assert curves[-1].preamp_db == 0.0
    assert stage.ask("strategy", "get")["text"] == "flat: strategy evil is left out after 3 strikes"
    assert not psutil.Process().children()


def test_a_strategy_that_was_left_out_can_be_followed_by_another(stage: Stage) -> None:
    """The user sets another one, and it decides."""
    asking = Asking(stage, "broken")
    asking.until(lambda each: "is left out" in each.cause)
    stage.ask("strategy", "set", key="strategy", value="flat")
    last = asking.until(lambda each: each.strategy == "flat" and "starting" not in each.cause)[-1]

    assert last.cause == "flat: the strategy changes nothing"


def test_a_strategy_is_switched_while_posteriors_flow(stage: Stage) -> None:
    """Each posterior has its curve, the old strategy decides until the new one is there, and a command is at once."""
    asking = Asking(stage)
    asking.until(lambda each: gain(each) >= 2.0)
    stage.ask("strategy", "set", key="strategy", value="flat")
    curves = asking.until(lambda each: each.strategy == "flat")
    after = asking.curve()

    assert {each.strategy for each in curves[:-1]} == {"evil"}
    assert {each.cause for each in curves[:-1]} == {"up"}
    assert (curves[-1].automatic, curves[-1].bands) == (False, ())
    assert (after.automatic, after.strategy) == (True, "flat")
    assert stage.state("ready", lambda each: each.settings["strategy"] == "flat")


def test_a_strategy_is_switched_twice_and_no_child_stays(stage: Stage) -> None:
    """Who changes his mind at once gets what he wanted last."""
    asking = Asking(stage)
    for name in ("genre-preset", "proposal", "flat"):
        stage.ask("strategy", "set", key="strategy", value=name)
    asking.until(lambda each: each.strategy == "flat")

    assert len(psutil.Process().children()) == 1


def test_a_strategy_that_is_not_installed_cannot_be_set(stage: Stage) -> None:
    """The one that decides goes on, and nothing is kept."""
    asking = Asking(stage)
    with pytest.raises(InputError, match="did you mean flat"):
        stage.ask("strategy", "set", key="strategy", value="flatt")

    assert asking.curve().strategy == "evil"
    assert not Path(stage.mesh.state_dir).exists()


def test_a_killed_child_is_replaced(stage: Stage) -> None:
    """Whoever kills it, the next one decides, and no curve is missing."""
    asking = Asking(stage)
    asking.until(lambda each: each.cause == "up")
    (child,) = psutil.Process().children()
    child.kill()
    curves = asking.until(lambda each: each.cause == "up")

    assert "died with exit code -9" in curves[0].cause
    assert psutil.Process().children()[0].pid != child.pid


def test_a_strategy_that_is_never_ready_is_left_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile every posterior has a flat curve at once."""
    monkeypatch.setattr(hosts, "START_S", 0.1)
    asking = Asking(stage, "slow-to-start")
    curves = asking.until(lambda each: "is left out" in each.cause)

    assert {each.bands for each in curves} == {()}


def test_posteriors_of_several_streams_have_curves_of_their_own(stage: Stage) -> None:
    """One room does not move the curve of another."""
    asking = Asking(stage)
    asking.until(lambda each: gain(each) >= 2.0)
    other = stage.answer(examples.posterior(time_s=5.0, stream="kitchen", model="up"), EqCurve)

    assert (other.stream, gain(other)) == ("kitchen", 0.0)


@pytest.fixture
def process(run_dir: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Return a function that starts the service as a process, which is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        settings = (f"mesh.run_dir={str(run_dir)!r}", f"mesh.state_dir={str(run_dir)!r}", f"strategy.name={name}")
        command = [sys.executable, "-m", "soundsage.services.strategy", "--config", os.devnull]
        started.append(subprocess.Popen([*command, *(part for each in settings for part in ("--set", each))]))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("evil", signal.SIGKILL),
        ("slow-to-start", signal.SIGKILL),
        ("evil", signal.SIGINT),
        ("slow-to-start", signal.SIGTERM),
    ],
)
def test_no_child_outlives_the_service(
    stage: Stage, process: Callable[[str], subprocess.Popen[bytes]], name: str, number: signal.Signals
) -> None:
    """Killed or asked to stop, also while the strategy hangs at its start."""
    running = process(name)
    stage.answer(examples.posterior(model="up"), EqCurve, lambda each: name != "evil" or each.cause == "up")
    children = psutil.Process(running.pid).children()
    running.send_signal(number)
    running.wait(TIMEOUT_S)
    _, alive = psutil.wait_procs(children, TIMEOUT_S)

    assert len(children) == 1
    assert alive == []
    assert running.returncode == (-9 if number == signal.SIGKILL else 0)


def test_what_was_set_is_there_after_a_kill(stage: Stage, process: Callable[[str], subprocess.Popen[bytes]]) -> None:
    """The next process begins with the strategy that the user set."""
    first = process("evil")
    stage.ask("strategy", "set", key="strategy", value="flat")
    first.kill()
    first.wait()
    process("evil")

    assert stage.answer(
        examples.posterior(model="up"), EqCurve, lambda each: "starting" not in each.cause
    ).strategy == ("flat")

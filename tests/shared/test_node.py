"""A service's place in the mesh, over real sockets."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import examples
import msgspec
import pytest
from msgspec import Meta
from wiring import TIMEOUT_S, Stage, next_of

from soundsage.shared import node
from soundsage.shared.config import Config, MeshConfig
from soundsage.shared.errors import DeviceError, InputError, MeshError, RequestError
from soundsage.shared.messages import AudioBlock, Error, GenrePosterior, ServiceState
from soundsage.shared.node import Node, NoSettings
from soundsage.shared.transport import Context, EventProxy


class Sound(msgspec.Struct, frozen=True):
    """Settings as a service has them."""

    bypass: bool = False
    gain_db: Annotated[float, Meta(ge=-60, le=12)] = 0.0


def refuse_loud(settings: Sound) -> None:
    """Refuse what the type allows and the service could not follow."""
    if settings.gain_db > 6:
        raise InputError(f"gain_db must be at most 6, got {settings.gain_db:g}")


Body = Callable[[Node[Sound]], None]


@contextlib.contextmanager
def serving(
    stage: Stage, body: Body = lambda _: None, **commands: Callable[[dict[str, Any]], object]
) -> Iterator[None]:
    """Run a node that does nothing but receive, and its body once we hear it."""

    def service(config: Config, stop: threading.Event) -> None:
        with Node("tested", config.mesh, stop, Sound(), accept=refuse_loud, commands=commands) as tested:
            tested._commands["begin"] = lambda _: body(tested)
            tested.set_state("ready")
            while not stop.is_set():
                tested.receive((), 0.02)

    stop = stage.run(service)
    stage.state("ready")
    stage.ask("tested", "begin")
    yield
    stop.set()


def test_a_service_says_how_it_is_again_and_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any change, announcements come each second, with a larger revision, the process and the settings."""
    monkeypatch.setattr(node, "ANNOUNCE_S", 0.2)
    with serving(stage):
        first, second = stage.state("ready"), stage.state("ready")
        begin_s = time.monotonic()
        third = stage.state("ready")
        took_s = time.monotonic() - begin_s

    assert (first.service, first.pid, first.settings) == ("tested", os.getpid(), {"bypass": False, "gain_db": 0.0})
    assert first.rev < second.rev < third.rev
    assert 0.1 < took_s < 3.0


def test_announcements_are_a_second_apart() -> None:
    """Three of them fit into the lifespan of a state."""
    assert ServiceState.lifespan_ms / 1e3 >= node.ANNOUNCE_S * 3


def test_a_bus_that_comes_late_hears_at_once_how_everybody_is(
    context: Context, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service does not let its bus wait for the next announcement."""
    monkeypatch.setattr(node, "ANNOUNCE_S", 1000.0)
    mesh = MeshConfig(run_dir=str(run_dir), state_dir=str(run_dir))
    with Node("tested", mesh, threading.Event(), Sound()) as tested:
        tested.receive((), 0)
        for _ in range(2):
            before, end_s = tested._rev, time.monotonic() + TIMEOUT_S
            with EventProxy(context, tested.endpoints):
                while tested._rev == before and time.monotonic() < end_s:
                    tested.receive((), 0.01)

            assert tested._rev == before + 1


def test_a_change_is_announced_at_once_and_only_once(stage: Stage) -> None:
    """A state that is set again is no change."""

    def change(tested: Node[Sound]) -> None:
        tested.set_state("waiting", "no device")
        tested.set_state("waiting", "no device")
        tested.set_state("ready")

    with serving(stage, change):
        waiting = stage.state("waiting")
        ready = stage.state("ready")

    assert waiting.text == "no device"
    assert ready.rev == waiting.rev + 1


def test_a_state_s_text_is_one_line_that_a_message_can_hold(stage: Stage) -> None:
    """However long and broken an error's text is, it can be announced."""
    with serving(stage, lambda tested: tested.set_state("waiting", "a\nb\t c" + "x" * 2000)):
        text = stage.state("waiting").text

    assert text.startswith("a b c")
    assert len(text) == 1000


def test_get_tells_state_and_settings(stage: Stage) -> None:
    """Who cannot wait for an announcement asks."""
    with serving(stage):
        assert stage.ask("tested", "get") == {
            "state": "ready",
            "text": "",
            "pid": os.getpid(),
            "bypass": False,
            "gain_db": 0.0,
        }


def test_what_is_set_holds_is_announced_and_is_kept(stage: Stage) -> None:
    """The answer, the announcement and the next node all say it."""
    with serving(stage):
        assert stage.ask("tested", "set", key="gain_db", value=-3) == {"bypass": False, "gain_db": -3.0}
        assert stage.state("ready", lambda each: each.settings["gain_db"] == -3.0)
        assert stage.ask("tested", "get")["gain_db"] == -3.0

    again = Node("tested", stage.mesh, threading.Event(), Sound())
    assert again.settings == Sound(gain_db=-3.0)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"key": "gain_db", "value": 13}, "gain_db must be valid"),
        ({"key": "gain_db", "value": 7}, "gain_db must be at most 6"),
        ({"key": "volume", "value": 1}, "setting must be one of bypass, gain_db"),
        ({"key": "gain_db"}, "gain_db must be valid"),
        ({}, "setting must be one of"),
        ({"key": ["gain_db"], "value": 1}, "setting must be one of"),
        ({"key": "bypass", "value": {"a": [None]}}, "bypass must be valid"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused_and_changes_nothing(
    stage: Stage, arguments: dict[str, Any], reason: str
) -> None:
    """The client gets the reason, and the settings are what they were."""
    with serving(stage):
        with pytest.raises(InputError, match=reason):
            stage.ask("tested", "set", **arguments)
        assert stage.ask("tested", "get")["gain_db"] == 0.0
    assert not Path(stage.mesh.state_dir).exists()


def test_a_setting_that_cannot_be_kept_does_not_hold(stage: Stage) -> None:
    """The client is told, and the service goes on with what it had."""
    Path(stage.mesh.state_dir).touch()
    with serving(stage):
        with pytest.raises(RequestError, match="cannot be kept"):
            stage.ask("tested", "set", key="bypass", value=True)
        assert stage.ask("tested", "get")["bypass"] is False


def test_a_service_has_commands_of_its_own(stage: Stage) -> None:
    """Arguments come as they were sent; what is no command is refused with those there are."""
    with serving(stage, double=lambda arguments: 2 * arguments["n"]):
        assert stage.ask("tested", "double", n=21) == 42
        with pytest.raises(InputError, match="one of get, set, double, begin, got 'treble'"):
            stage.ask("tested", "treble")


def test_an_error_is_told_to_everybody_and_answered_for_until_the_end(stage: Stage) -> None:
    """A service that cannot go on says why, answers requests, and hands its error on when it is stopped."""

    def fail(_tested: Node[Sound]) -> None:
        raise DeviceError("no device\nat all")

    stop = stage.run(lambda config, stop: failing(config, stop, fail))
    error = next_of(stage.heard, Error)[1]
    state = stage.state("failed")
    answer = stage.ask("tested", "get")
    stop.set()

    assert (error.service, error.code, error.text) == ("tested", "DeviceError", "no device at all")
    assert state.text == answer["text"] == "no device at all"
    assert answer["state"] == "failed"


def failing(config: Config, stop: threading.Event, body: Body) -> None:
    """Run a node whose body fails."""
    with pytest.raises(DeviceError), Node("tested", config.mesh, stop, Sound()) as tested:
        body(tested)


def test_a_node_hears_the_first_inbox_first(stage: Stage) -> None:
    """Sound goes before all else that waits."""
    audio = stage.audio()
    order: list[type] = []

    def service(config: Config, stop: threading.Event) -> None:
        with Node("tested", config.mesh, stop, NoSettings()) as tested:
            inboxes = (tested.audio(AudioBlock, stream="main"), tested.events(GenrePosterior, stream="main"))
            tested.set_state("ready")
            while not stop.is_set():
                received = tested.receive(inboxes, 0.02)
                if received is not None:
                    order.append(type(received.message))
                    tested.publish(received.message, received.envelope.t_capture_ns)

    stage.run(service)
    assert audio.await_receivers(1, TIMEOUT_S)
    next_of(stage.heard, ServiceState, lambda state: state.service == "tested")  # from now on it is heard
    audio.send(examples.block(), t_capture_ns=77)
    received, _ = next_of(stage.heard, AudioBlock)

    assert received.envelope.source == "tested"
    assert received.envelope.t_capture_ns == 77
    assert stage.answer(examples.posterior(), GenrePosterior)
    assert order[0] is AudioBlock


def test_what_a_service_did_not_get_is_in_what_it_says(stage: Stage) -> None:
    """Lost, stale and malformed messages of all its inboxes, and malformed requests, are announced."""
    audio = stage.audio()

    def service(config: Config, stop: threading.Event) -> None:
        with Node("tested", config.mesh, stop, NoSettings()) as tested:
            inbox = tested.audio(AudioBlock, stream="main")
            tested.set_state("ready")
            while not stop.is_set():
                tested.receive((inbox,), 0.02)

    stage.run(service)
    assert audio.await_receivers(1, TIMEOUT_S)
    now_ns = time.monotonic_ns()
    for seq, t_publish_ns in ((0, now_ns), (3, now_ns), (4, now_ns - 10**9)):
        frames = examples.frames_of(examples.block(), seq=seq, t_publish_ns=t_publish_ns)
        audio.socket.send_multipart([b"audio_block/main/", *frames])
    audio.socket.send_multipart([b"audio_block/main/", b"junk"])

    assert stage.state("ready", lambda each: (each.lost, each.stale, each.malformed) == (2, 1, 1))


def test_a_second_bus_in_a_folder_that_is_gone_ends_with_one_line(run_dir: Path) -> None:
    """A node whose sockets cannot be bound raises MeshError and leaves nothing open."""
    mesh = MeshConfig(run_dir=str(run_dir / "gone"), state_dir=str(run_dir))
    with pytest.raises(MeshError, match="tested-requests"), Node("tested", mesh, threading.Event(), Sound()):
        pass


def test_a_bus_that_cannot_bind_fails_and_stops(run_dir: Path) -> None:
    """A bus without its address says so until it is stopped, and then its context ends."""
    (run_dir / "tap.sock").mkdir()
    stop = threading.Event()
    stop.set()
    mesh = MeshConfig(run_dir=str(run_dir), state_dir=str(run_dir))
    with pytest.raises(MeshError, match="tap"), Node("bus", mesh, stop, Sound()) as tested, tested.event_proxy():
        pass


def test_states_are_known_by_service(stage: Stage) -> None:
    """Each service announces under its own topic."""
    with serving(stage):
        received, _ = next_of(stage.heard, ServiceState)

    assert received.topic == "service_state/tested"

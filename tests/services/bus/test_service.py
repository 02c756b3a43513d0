"""The bus as a service."""

from __future__ import annotations

from pathlib import Path

import examples
from wiring import Stage, next_of

from soundsage.services.bus import service
from soundsage.shared.messages import GenrePosterior, ServiceState
from soundsage.shared.transport import Context


class StageWithoutBus(Stage):
    """A mesh in which the service under test is the bus."""

    def _make_bus(self) -> None:
        self.run(service.run)


def test_the_bus_brings_events_to_receivers_and_tap(run_dir: Path, context: Context) -> None:
    """An event reaches who asked for it, and the tap."""
    with StageWithoutBus(run_dir, context) as stage:
        inbox = stage.inbox(stage.endpoints.events_out, "genre_posterior")
        stage.until(lambda: stage.events.send(examples.posterior()), inbox.next)
        stage.events.send(examples.posterior(time_s=9.0))

        assert next_of(inbox, GenrePosterior, lambda each: each.time_s == 9.0)
        assert next_of(stage.heard, GenrePosterior, lambda each: each.time_s == 9.0)


def test_the_bus_says_how_much_passes(run_dir: Path, context: Context) -> None:
    """What came in is in its state, and only grows."""
    with StageWithoutBus(run_dir, context) as stage:
        first = stage.state("ready", lambda each: "bytes_received" in each.settings)
        for _ in range(100):
            stage.events.send(examples.posterior())
        least = int(str(first.settings["bytes_received"])) + 100 * 100
        state = next_of(
            stage.heard,
            ServiceState,
            lambda each: each.service == "bus" and int(str(each.settings.get("bytes_received", 0))) >= least,
        )[1]

    assert state.state == "ready"
    assert (state.lost, state.stale, state.malformed) == (0, 0, 0)


def test_junk_passes_the_bus_and_hurts_nobody(run_dir: Path, context: Context) -> None:
    """The bus does not look into what it forwards; who receives counts it."""
    with StageWithoutBus(run_dir, context) as stage:
        inbox = stage.inbox(stage.endpoints.events_out, "genre_posterior")
        stage.until(lambda: stage.events.send(examples.posterior()), inbox.next)
        stage.events.socket.send_multipart([b"genre_posterior/main/", b"junk"])
        stage.events.send(examples.posterior(time_s=9.0))
        next_of(inbox, GenrePosterior, lambda each: each.time_s == 9.0)

        assert inbox.malformed == 1
        assert stage.ask("bus", "get")["state"] == "ready"

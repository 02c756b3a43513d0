"""`up`, `status` and `down` over real processes that stand in for the services."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standins import SERVICES, Bench, Finished


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Yield a maker of meshes of whose processes and files nothing may be left."""
    with tempfile.TemporaryDirectory(prefix="ss") as folder:
        made: list[Bench] = []

        def make(**faults: str) -> Bench:
            made.append(Bench(Path(folder), **faults))
            return made[-1]

        yield make
        left = [(list(each.processes()), each.left) for each in made]
        if any(processes for processes, _ in left):
            made[-1].run("down")
        assert left == [([], [])] * len(made)


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    """Yield a mesh that runs, kept in the background."""
    with tempfile.TemporaryDirectory(prefix="ss") as folder:
        each = Bench(Path(folder))
        assert each.run("up", "--detach").code == 0
        yield each
        assert each.run("down").code == 0
        assert (list(each.processes()), each.left) == ([], [])


def only_line(finished: Finished) -> str:
    """Return the one line on standard error."""
    (line,) = finished.err.splitlines()
    return line


def test_status_knows_every_service_and_what_was_heard(running: Bench) -> None:
    """Status knows every service and what was heard."""
    status = running.status()
    assert [service["name"] for service in status["services"]] == list(SERVICES)
    assert {service["state"] for service in status["services"]} == {"ready"}
    assert status["state"] == "running"
    assert status["genre"]["genre"] == "jazz"
    assert status["latency_ms"]["capture_to_render"]["p50"] == pytest.approx(0.4)
    assert status["source"] == "null"


def test_a_killed_service_is_back_and_its_restart_is_counted(running: Bench) -> None:
    """A killed service is back and its restart is counted."""
    restarts = running.service("features")["restarts"]
    pid = running.kill("features")
    back = running.service("features")
    assert back["pid"] not in (0, pid)
    assert back["restarts"] == restarts + 1


def test_the_mesh_outlives_its_bus(running: Bench) -> None:
    """The mesh outlives its bus."""
    pids = {service["name"]: service["pid"] for service in running.status()["services"]}
    running.kill("bus")
    after = {service["name"]: service["pid"] for service in running.status()["services"]}
    assert {name for name, pid in after.items() if pid != pids[name]} == {"bus"}


def test_a_second_up_is_refused_with_the_pid_of_the_keeper(running: Bench) -> None:
    """A second up is refused with the pid of the keeper."""
    refused = running.run("up")
    assert refused.code == 1
    assert "already runs" in only_line(refused)
    assert "kept by pid" in only_line(refused)


def test_a_log_can_be_read_while_the_mesh_runs(running: Bench) -> None:
    """A log can be read while the mesh runs."""
    assert "became ready" in running.run("logs", "bus").out


def test_down_without_a_mesh_says_so_and_exits_with_1(bench: Callable[..., Bench]) -> None:
    """Down without a mesh says so and exits with 1."""
    each = bench()
    each.run_dir.mkdir()
    done = each.run("down")
    assert done.code == 1
    assert "no mesh runs" in only_line(done)
    assert each.status()["state"] == "stopped"


def test_up_ends_with_its_duration_and_keeps_its_strategy(bench: Callable[..., Bench]) -> None:
    """Up ends with its duration and keeps its strategy."""
    each = bench()
    assert each.run("up", "--strategy", "flat", "--duration", "0.1").code == 0
    assert '"flat"' in (each.state_dir / "strategy.json").read_text()


def test_a_service_that_keeps_dying_is_named_with_its_last_words(bench: Callable[..., Bench]) -> None:
    """A service that keeps dying is named with its last words."""
    done = bench(strategy="crash").run("up")
    assert done.code == 1
    assert "strategy" in only_line(done)
    assert "crashed on purpose" in only_line(done)


def test_a_renderer_that_ended_ends_up_with_0(bench: Callable[..., Bench]) -> None:
    """A renderer that ended ends up with 0."""
    assert bench(renderer="ended").run("up").code == 0


def test_a_service_that_failed_ends_up_with_its_line_alone_also_in_the_background(bench: Callable[..., Bench]) -> None:
    """A service that failed ends up with its line alone, also in the background."""
    done = bench(capture="failed").run("up", "--detach")
    assert done.code == 1
    assert only_line(done) == "soundsage: device must be there, got none"


def test_an_interrupt_stops_everything_and_is_no_failure(bench: Callable[..., Bench]) -> None:
    """An interrupt stops everything and is no failure."""
    up = bench().start()
    up.send_signal(signal.SIGINT)
    _, err = up.communicate(timeout=30)
    assert (up.returncode, err) == (0, "")


def test_a_mesh_without_its_keeper_plays_on_until_down(bench: Callable[..., Bench]) -> None:
    """A mesh without its keeper plays on until down."""
    each = bench()
    up = each.start()
    up.kill()
    up.communicate()
    assert each.status()["state"] == "unattended"
    refused = each.run("up")
    assert refused.code == 1
    assert "`soundsage down` stops it" in only_line(refused)
    assert each.run("down").code == 0


def test_a_mesh_without_keeper_and_supervisor_is_cleared_away_by_down(bench: Callable[..., Bench]) -> None:
    """A mesh without keeper and supervisor is cleared away by down."""
    each = bench()
    up = each.start()
    up.kill()
    up.communicate()
    os.kill(int((each.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    assert list(each.processes())
    assert each.run("down").code == 0


def test_a_mesh_whose_supervisor_was_killed_stops_and_says_so(bench: Callable[..., Bench]) -> None:
    """A mesh whose supervisor was killed stops and says so."""
    each = bench()
    up = each.start()
    os.kill(int((each.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    _, err = up.communicate(timeout=30)
    assert up.returncode == 1
    assert "supervisord died" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source", "nope"), "source must be one of"),
        (("--source", "file:/nowhere/a.flac"), "/nowhere/a.flac"),
        (("--sink", "nope"), "sink must be one of"),
        (("--strategy", "flatt"), "did you mean flat?"),
        (("--set", "features.extractor=nope"), "feature_extractor must be one of"),
        (("--set", "capture.block_size=1"), "capture.block_size"),
        (("--duration", "-1"), "--duration"),
    ],
)
def test_a_wrong_argument_is_one_line_and_2(bench: Callable[..., Bench], arguments: tuple[str, str], said: str) -> None:
    """A wrong argument is one line and 2, before anything starts."""
    each = bench()
    each.run_dir.mkdir()
    done = each.run("up", *arguments)
    assert done.code == 2
    assert said in only_line(done)


def test_a_run_directory_that_is_too_long_for_a_socket_is_one_line_and_1(bench: Callable[..., Bench]) -> None:
    """A run directory that is too long for a socket is one line and 1."""
    each = bench()
    each.run_dir.mkdir()
    done = each.run("up", "--set", f"mesh.run_dir={each.run_dir}/{'x' * 100}")
    assert done.code == 1
    assert "run directory must have at most" in only_line(done)

"""What holds for all tests, and sockets for those that need them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from wiring import Stage, ending_context, short_folder

from soundsage.shared.endpoints import Endpoints
from soundsage.shared.transport import Context

# The same examples every time, as all else is seeded; a busy machine is no failure.
hypothesis.settings.register_profile("soundsage", deadline=None, derandomize=True)
hypothesis.settings.load_profile("soundsage")

# Whoever is started in the background ignores these, and so would all that the tests start and mean to interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

REAL_TIME = {"mesh", "server", "sound", "stage"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test of real processes once more when it failed: it makes a claim on time, and the machine is shared."""
    for item in items:
        if REAL_TIME & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Yield a folder for sockets."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def endpoints(run_dir: Path) -> Endpoints:
    """Return the addresses of a mesh in that folder."""
    return Endpoints(run_dir)


@pytest.fixture
def context() -> Iterator[Context]:
    """Yield a context that must end."""
    with ending_context() as context:
        yield context


@pytest.fixture
def stage(run_dir: Path, context: Context) -> Iterator[Stage]:
    """Yield a mesh in which the test plays all services."""
    with Stage(run_dir, context) as stage:
        yield stage

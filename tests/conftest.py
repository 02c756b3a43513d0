"""What holds for all tests."""

from __future__ import annotations

import pytest

REAL_TIME = {"mesh", "server", "sound", "stage"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test of real processes once more when it failed: it makes a claim on time, on a machine shared with others."""
    for item in items:
        if REAL_TIME & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=1))

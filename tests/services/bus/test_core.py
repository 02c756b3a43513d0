"""What passes the bus, as numbers."""

from __future__ import annotations

from soundsage.services.bus.core import Traffic


def test_traffic_is_what_came_in_between_over_the_time_between() -> None:
    """1000 bytes in half a second are 2000 bytes per second."""
    assert Traffic(30, 3000, 10.5).bytes_per_s(Traffic(10, 2000, 10.0)) == 2000.0


def test_in_no_time_there_is_no_traffic() -> None:
    """Two looks at the same moment divide by nothing."""
    assert Traffic(30, 3000, 10.0).bytes_per_s(Traffic(10, 2000, 10.0)) == 0.0

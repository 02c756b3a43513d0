"""What the tests of several plugins need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from soundserver import SoundServer, require_sound_server, sound_server


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """Run a sound server with the sinks `speakers`, the default, and `other`; this process uses it."""
    require_sound_server()
    with sound_server("speakers", "other") as server:
        for name in ("PULSE_SOURCE", "PULSE_SINK", "PULSE_PROP"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PULSE_SERVER", server.env["PULSE_SERVER"])
        monkeypatch.setenv("HOME", server.env["HOME"])
        monkeypatch.setenv("XDG_RUNTIME_DIR", server.env["XDG_RUNTIME_DIR"])
        yield server

"""Ask whether a sound server runs."""

from __future__ import annotations

__all__ = ["sound_server"]

ANSWER_WAIT_S = 2.0


def sound_server() -> str | None:
    """Return the name of the PulseAudio or PipeWire server that answers, None if none does."""
    try:
        import pulsectl
    except (ImportError, OSError):
        return None
    try:
        with pulsectl.Pulse("soundsage", connect=False) as pulse:
            pulse.connect(autospawn=False, wait=False, timeout=ANSWER_WAIT_S)
            return str(pulse.server_info().server_name)
    except pulsectl.PulseError:
        return None

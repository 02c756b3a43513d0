"""Monitor `jsonl:PATH`: every message as a JSON object, one a line, at the end of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import msgspec

from soundsage.shared.contracts import MonitorRecord
from soundsage.shared.errors import InputError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.messages import Message
from soundsage.shared.plain import plain

__all__ = ["soundsage_monitors"]


class JsonlMonitor:
    """Appends what it sees to a file.

    Parameters
    ----------
    file : TextIO
        Line-buffered, so that a crash costs no line that was complete. Closed by `close`.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def observe(self, topic: str, message: Message, latency_ms: float) -> None:
        """Write the message on one line; numbers that JSON does not know become null."""
        fields = {"topic": topic, "schema": message.schema, "latency_ms": latency_ms, **plain(message)}
        self._file.write(f"{msgspec.json.encode(fields).decode()}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(target: str) -> JsonlMonitor:
    if not target:
        raise InputError("jsonl monitor must name a file, got none; write jsonl:PATH")
    try:
        return JsonlMonitor(Path(target).open("a", buffering=1, encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from error


@hookimpl
def soundsage_monitors() -> list[MonitorRecord]:
    """Return this monitor."""
    return [
        MonitorRecord(
            name="jsonl", summary="every message as a line of JSON at the end of a file; jsonl:PATH", open=_open
        )
    ]

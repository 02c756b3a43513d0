"""Rules for monitors."""

from __future__ import annotations

from soundsage.shared.contracts import Monitor, MonitorRecord
from soundsage.shared.errors import InputError

from .examples import messages
from .rules import LeftOut, Subject, rule


@rule("monitors")
def it_survives_every_message(subject: Subject[MonitorRecord]) -> None:
    """It can be shown a message of every type."""
    monitor = _opened(subject)
    for message in messages():
        monitor.observe(f"{message.schema.partition('/')[0]}/main", message, 1.5)
    monitor.close()


@rule("monitors")
def it_survives_seeing_nothing(subject: Subject[MonitorRecord]) -> None:
    """It can be closed without having seen anything."""
    _opened(subject).close()


def _opened(subject: Subject[MonitorRecord]) -> Monitor:
    """Open the monitor on the target, on nothing, or on a new file."""
    for target in [subject.target] if subject.target else ["", str(subject.folder / "monitor")]:
        try:
            return subject.record.open(target)
        except InputError as error:
            refusal = error
    raise LeftOut(str(refusal))

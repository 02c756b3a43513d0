"""Say what goes on, a line at a time, where nobody looks at a live view."""

from __future__ import annotations

import click

from .heard import Heard

__all__ = ["LineScreen"]

ORDINARY = frozenset({"starting", "ready"})


class LineScreen:
    """Prints a line when the genre changes, or a service is not simply ready."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def show(self, heard: Heard) -> None:
        """Print what is new."""
        for name, service in heard.services.items():
            if name in self._said or service.state not in ORDINARY:
                self._say(name, f"{service.state}{': ' if service.text else ''}{service.text}")
        for name, n_deaths in heard.deaths.items():
            self._say(f"{name} died", f"restarted {n_deaths} times" if n_deaths > 1 else "restarted")
        if heard.genre is not None:
            genre = heard.genre
            self._say("genre", genre.genre or genre.state.replace("_", " "))

    def _say(self, topic: str, text: str) -> None:
        if self._said.get(topic) != text:
            self._said[topic] = text
            click.echo(f"{topic}: {text}")

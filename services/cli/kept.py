"""What the user sets, as its owners keep it; for the time in which they do not run."""

from __future__ import annotations

from typing import Any

from soundsage.shared.config import Config
from soundsage.shared.kept import Kept
from soundsage.shared.settings import RendererSettings, StrategySettings
from soundsage.shared.transport import Client, Context

from .files import MeshFiles
from .supervisord import Supervisord

__all__ = ["keep", "set_or_keep"]


def keep(config: Config, service: str, key: str, value: object) -> None:
    """Change what a service keeps, while it does not run.

    Raises
    ------
    InputError
        If the setting cannot have this value.
    MeshError
        If it cannot be written.
    """
    defaults = StrategySettings(config.strategy.name) if service == "strategy" else RendererSettings()
    kept: Kept[Any] = Kept(MeshFiles.of(config.mesh).state_dir / f"{service}.json", defaults)
    kept.keep(kept.changed(key, value))


def set_or_keep(config: Config, service: str, key: str, value: object) -> bool:
    """Have the service take a setting, or change what it keeps; return whether it runs.

    Raises
    ------
    InputError
        If the setting cannot have this value.
    RequestError
        If the service does not answer.
    """
    files = MeshFiles.of(config.mesh)
    if files.keeper() is None and not Supervisord(files).answers:
        keep(config, service, key, value)
        return False
    with Context() as context, Client(context, config.mesh.endpoints.requests(service), service) as client:
        client.call("set", key=key, value=value)
    return True

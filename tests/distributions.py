"""Distributions for tests: plugins that Python finds as if they had been installed."""

from __future__ import annotations

import textwrap
import types
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from soundsage.shared.contracts import Record
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.plugins import ENTRY_POINT_GROUP, Plugins

__all__ = ["plugins_with", "write_distribution"]


def write_distribution(folder: Path, name: str, modules: Mapping[str, str], *, metadata: bool = True) -> Path:
    """Write modules and the entry points that name them, and return the folder to put on the path.

    Parameters
    ----------
    folder : Path
    name : str
        Of the distribution.
    modules : dict of str
        Source of each module, by its name; its entry point has the same name with dashes.
    metadata : bool
        Whether the distribution says its name and version, as all should.
    """
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    if metadata:
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    entries = [f"{module.replace('_', '-')} = {module}" for module in modules]
    (info / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINT_GROUP}]", *entries]) + "\n", encoding="utf-8")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return folder


def plugins_with(**records: list[Record]) -> Plugins:
    """Return what is installed, and a plugin whose hooks return these records, by kind."""
    plugins = Plugins(tuple(entry_points(group=ENTRY_POINT_GROUP)))
    module = types.ModuleType("testers")
    for kind, each in records.items():
        setattr(module, f"soundsage_{kind}", hookimpl(_returning(each)))
    plugins._register("testers", module)
    return plugins


def _returning(records: list[Record]) -> Callable[[], list[Record]]:
    return lambda: records

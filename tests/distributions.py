"""Distributions for tests: plugins that Python finds as if they had been installed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_distribution"]

GROUP = "soundsage.plugins"


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
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *entries]) + "\n", encoding="utf-8")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return folder

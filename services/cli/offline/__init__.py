"""Works on files with the cores of the services, in one process: without sockets, clocks or chance.

What the mesh does with a file that it plays is done here by the same functions in the same order, as fast as it goes.
"""

from __future__ import annotations

from .commands import analyze, enhance

__all__ = ["analyze", "enhance"]

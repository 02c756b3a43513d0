"""Run the command line as `python -m soundsage.services.cli`."""

from __future__ import annotations

from . import main

main()

"""Start the service as a process."""

from __future__ import annotations

from soundsage.shared.process import run_service

from .service import run

run_service("strategy", run)

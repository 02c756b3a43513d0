"""One line per event, `key=value`, on standard error; the supervisor keeps it in files."""

from __future__ import annotations

import logging
import sys

__all__ = ["set_up_logs"]


def set_up_logs(service: str, level: str) -> None:
    """Send the log of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {service}: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)

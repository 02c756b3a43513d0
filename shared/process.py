"""Run one service as a process of its own: arguments, log, signals, and one line when it cannot."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .config import Config, load_config
from .endpoints import make_private_dir
from .errors import SoundSageError
from .logs import set_up_logs
from .realtime import take_realtime

__all__ = ["run_service"]

log = logging.getLogger(__name__)


def run_service(service: str, run: Callable[[Config, threading.Event], None]) -> None:
    """Run `run(config, stop)` until it returns or a signal asks it to stop, and exit.

    Exits with 0 at the end, and with the error's exit code after one line on standard error.
    """
    parser = argparse.ArgumentParser(prog=f"python -m soundsage.services.{service}")
    parser.add_argument("--config", type=Path, help="TOML file; the default one where none is named")
    parser.add_argument("--realtime", type=int, metavar="PRIORITY", help="run before ordinary programs")
    parser.add_argument("--own-core", action="store_true", help="in real time on the core for sound")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", dest="settings")
    arguments = parser.parse_args()
    faulthandler.enable()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = load_config(arguments.config, arguments.settings)
        set_up_logs(service, config.mesh.log_level)
        wants_realtime = arguments.realtime and config.mesh.realtime
        if wants_realtime and not take_realtime(arguments.realtime, own_core=arguments.own_core):
            log.info("may not run in real time; see `soundsage doctor`")
        make_private_dir(config.mesh.endpoints.run_dir)
        run(config, stop)
    except SoundSageError as error:
        print(f"soundsage {service}: {error}", file=sys.stderr)  # noqa: T201  this is its command line
        sys.exit(error.exit_code)

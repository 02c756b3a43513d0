"""What holds for all tests."""

from __future__ import annotations

import signal

import hypothesis

# The same examples every time, as all else is seeded; a busy machine is no failure.
hypothesis.settings.register_profile("soundsage", deadline=None, derandomize=True)
hypothesis.settings.load_profile("soundsage")

# Whoever is started in the background ignores these, and so would all that the tests start and mean to interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

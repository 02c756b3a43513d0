"""What holds for all tests."""

from __future__ import annotations

import hypothesis

# The same examples every time, as all else is seeded; a busy machine is no failure.
hypothesis.settings.register_profile("soundsage", deadline=None, derandomize=True)
hypothesis.settings.load_profile("soundsage")

"""Streams of PortAudio, beyond what their users see."""

from __future__ import annotations

import subprocess
import sys

from soundserver import SoundServer

FORGETFUL = """
import gc
from soundsage.plugins.portaudio import find, open_stream

class User:
    n_calls = 0
    def __init__(self):
        place = find("source", "speakers.monitor")
        self.stream = open_stream(place, "mark", sample_rate=48_000, n_channels=2, block_size=480, latency="low",
                                  callback=self.take, finished=lambda: None)
    def take(self, *_):
        User.n_calls += 1

user = User()
del user
gc.collect()
before = User.n_calls
while User.n_calls < before + 5:
    pass
print("alive")
"""


def test_a_stream_that_is_forgotten_takes_nobody_with_it(sound: SoundServer) -> None:
    """A stream that is forgotten while it runs goes on: its thread would call what is no longer there."""
    process = sound.popen(sys.executable, "-c", FORGETFUL, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=20)

    assert output == b"alive\n"

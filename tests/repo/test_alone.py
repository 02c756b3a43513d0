"""A service runs without the others, as `services/README.md` says."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys

import pytest

ATTEMPTS = 60


@contextlib.contextmanager
def started(commands, env):
    """Run processes, and end them."""
    with contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
            stack.callback(process.terminate)
        yield


def test_one_service_is_heard_without_the_others(root, code_blocks, private_home):
    """With bus and source alone, `features` publishes the vectors that the last line of the page prints."""
    (block,) = code_blocks(root / "services" / "README.md", "sh")
    *services, listener = map(shlex.split, block.splitlines())
    services = [[sys.executable, *arguments] for _python, *arguments in services]
    with started(services, private_home):
        for _ in range(ATTEMPTS):  # each takes a moment, until the bus is there
            heard = subprocess.run(listener, env=private_home, capture_output=True, text=True, check=False)
            if heard.returncode == 0:
                break
        else:
            pytest.fail(heard.stderr)

    assert [line.split()[0] for line in heard.stdout.splitlines()] == ["feature_vector/main"] * 3

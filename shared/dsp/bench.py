"""Measure the rack against scipy, and how long its first block takes to come: ``python -m soundsage.shared.dsp.bench``.

Ten bands, two channels, 128 samples a block at 48 kHz. Both filters run in turns in one process, so that what disturbs
the machine disturbs both: compare the ratios, not the microseconds. scipy is needed here and nowhere else in this
folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import sosfilt

from .bands import graphic_bands
from .design import design
from .rack import Rack

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

SAMPLE_RATE = 48_000
N_CHANNELS = 2
BLOCK_SIZE = 128
N_BLOCKS = 20_000
GAINS_DB = (9.0, 9.0, 6.0, 3.0, 1.0, -3.0, 1.0, 3.0, -6.0, -9.0)
PERCENTILES = (50.0, 99.0, 99.9)

_FIRST_BLOCK = """
import time
start = time.perf_counter()
import numpy as np
from soundsage.shared.dsp.rack import Rack
samples = np.zeros((2, 128), dtype=np.float32)
Rack(48_000, 2).process(samples, samples)
print(time.perf_counter() - start)
"""


def measure_blocks() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the time of each block in the rack and in scipy.

    Returns
    -------
    rack_us, scipy_us : ndarray of shape (N_BLOCKS,), float64
        In microseconds.
    """
    samples = np.random.default_rng(440).standard_normal((N_CHANNELS, BLOCK_SIZE)).astype(np.float32)
    run_rack, run_scipy = _rack_step(samples), _scipy_step(samples)
    times = np.array([(_time_us(run_rack), _time_us(run_scipy)) for _ in range(N_BLOCKS)])
    return times[:, 0], times[:, 1]


def measure_first_block(cache_folder: str) -> float:
    """Return how long a new interpreter takes to import the rack and run one block.

    Parameters
    ----------
    cache_folder : str
        Where compiled code is looked for and kept.

    Returns
    -------
    float
        In s.
    """
    environment = os.environ | {"NUMBA_CACHE_DIR": cache_folder}
    command = [sys.executable, "-c", _FIRST_BLOCK]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure everything and write a table."""
    rack_us, scipy_us = measure_blocks()
    period_us = 1e6 * BLOCK_SIZE / SAMPLE_RATE
    lines = [f"{'':>8} {'rack us':>9} {'scipy us':>9} {'scipy/rack':>11} {'rack/period':>12}"]
    for percentile in PERCENTILES:
        rack, scipy = np.percentile(rack_us, percentile), np.percentile(scipy_us, percentile)
        lines.append(f"p{percentile:<7g} {rack:9.1f} {scipy:9.1f} {scipy / rack:11.1f} {rack / period_us:12.2%}")
    with tempfile.TemporaryDirectory() as cache_folder:
        lines.extend(
            f"first block with a {cache} cache: {measure_first_block(cache_folder):.2f} s" for cache in ("cold", "warm")
        )
    sys.stdout.write("\n".join(lines) + "\n")


def _rack_step(samples: npt.NDArray[np.float32]) -> Callable[[], None]:
    rack, out = Rack(SAMPLE_RATE, N_CHANNELS), np.empty_like(samples)
    rack.set_target(design(graphic_bands(GAINS_DB), SAMPLE_RATE))
    while not rack.settled:
        rack.process(samples, out)
    return lambda: rack.process(samples, out)


def _scipy_step(samples: npt.NDArray[np.float32]) -> Callable[[], None]:
    sos = design(graphic_bands(GAINS_DB), SAMPLE_RATE)[: len(GAINS_DB)]
    state, out = np.zeros((len(sos), N_CHANNELS, 2)), np.empty_like(samples)

    def step() -> None:
        filtered, state[:] = sosfilt(sos, samples.astype(np.float64), axis=-1, zi=state)
        out[:] = filtered

    return step


def _time_us(step: Callable[[], None]) -> float:
    start = time.perf_counter_ns()
    step()
    return (time.perf_counter_ns() - start) / 1000.0


if __name__ == "__main__":
    main()

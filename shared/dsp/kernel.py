"""Run the rack's sections over a block: the compiled inner loop, and the change from one curve to the next.

Conventions
-----------
``samples`` and ``out`` are ``(n_channels, n_samples)`` float32, C order; all arithmetic and state is float64. There are
three banks of sections, which take turns: the active one, the one that comes in, and the one that holds a target for
later with its state at zero. ``clock`` is the whole state machine, one int64 for each of the names below; it advances
by samples alone, so that nothing depends on where a stream is cut into blocks.

Notes
-----
Sections are transposed direct form II. Additions are never fused or reordered (no ``fastmath``), which is what makes
the output equal bit for bit whatever the block size and the channel. State below ``SMALLEST`` is set to zero every
``FLUSH_EVERY`` samples of the stream: rarely enough to cost nothing, often enough that no decaying tail reaches the
denormal numbers, which are slow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    SampleArray = npt.NDArray[np.float32]
    CountArray = npt.NDArray[np.int64]

PHASE, LEFT, ACTIVE, INCOMING, WAITING, HAS_WAITING, WAITING_WARM, POSITION, REFUSED, N_CLOCK = range(10)
"""Places in ``clock``: phase; samples left in it; the banks that are active, incoming and waiting; whether a target
waits; samples it is to be warmed for; samples since the start; input samples refused; and how many places there are."""

N_BANKS = 3

SETTLED, WARMING, FADING = range(3)
"""Phases: one bank runs; the incoming bank runs too, unheard; the output goes over from one to the other."""

FLUSH_EVERY = 64
FLUSH_MASK = FLUSH_EVERY - 1
SMALLEST = 1e-30
LARGEST = float(np.finfo(np.float32).max)

# One specialisation, compiled when this module is first imported and read from the cache afterwards; the private
# functions are compiled inside it and not one by one, which would take the import several times as long.
_SIGNATURE = (
    "void(float32[:,::1], float32[:,::1], float64[:,:,::1], int64[::1], float64[::1], float64[:,:,:,::1], float64[::1],"
    " int64[::1])"
)


@njit(nogil=True)
def _filter_sample(sos: FloatArray, n_sections: int, state: FloatArray, gain: float, x: float) -> float:
    y = x
    for index in range(n_sections):
        b0, b1, b2, a1, a2 = sos[index, 0], sos[index, 1], sos[index, 2], sos[index, 3], sos[index, 4]
        x = y
        y = b0 * x + state[index, 0]
        # In this order the next sample waits for one operation less.
        state[index, 0] = (b1 * x + state[index, 1]) - a1 * y
        state[index, 1] = b2 * x - a2 * y
    return y * gain


@njit(nogil=True)
def _flush(n_sections: int, state: FloatArray) -> None:
    for index in range(n_sections):
        for place in range(2):
            if abs(state[index, place]) < SMALLEST:
                state[index, place] = 0.0


@njit(nogil=True)
def _begin(clock: CountArray) -> None:
    clock[INCOMING], clock[WAITING] = clock[WAITING], clock[INCOMING]
    clock[HAS_WAITING] = 0
    clock[PHASE] = WARMING
    clock[LEFT] = clock[WAITING_WARM]


@njit(nogil=True)
def _advance(n_samples: int, n_fade: int, clock: CountArray) -> None:
    clock[POSITION] += n_samples
    if clock[PHASE] == SETTLED:
        return
    clock[LEFT] -= n_samples
    if clock[LEFT] > 0:
        return
    if clock[PHASE] == WARMING:
        clock[PHASE] = FADING
        clock[LEFT] = n_fade
    else:
        clock[PHASE] = SETTLED
        clock[ACTIVE], clock[INCOMING] = clock[INCOMING], clock[ACTIVE]


@njit(nogil=True)
def _run_channel(  # noqa: PLR0917 -- compiled code takes arrays, not objects
    samples: SampleArray,
    out: SampleArray,
    sos: FloatArray,
    n_sections: CountArray,
    gains: FloatArray,
    state: FloatArray,
    fade: FloatArray,
    clock: CountArray,
) -> None:
    phase, active, incoming = clock[PHASE], clock[ACTIVE], clock[INCOMING]
    sections, arriving_sections = sos[active], sos[incoming]
    memory, arriving_memory = state[active], state[incoming]
    position, into_fade = clock[POSITION], fade.size - clock[LEFT]
    refused = 0
    for index in range(samples.size):
        x = float(samples[index])
        if not math.isfinite(x):
            x = 0.0
            refused += 1
        y = _filter_sample(sections, n_sections[active], memory, gains[active], x)
        if phase != SETTLED:
            arriving = _filter_sample(arriving_sections, n_sections[incoming], arriving_memory, gains[incoming], x)
            if phase == FADING:
                y += fade[into_fade + index] * (arriving - y)
        if y > LARGEST:
            y = LARGEST
        elif y < -LARGEST:
            y = -LARGEST
        out[index] = y
        if (position + index) & FLUSH_MASK == 0:
            _flush(n_sections[active], memory)
            _flush(n_sections[incoming], arriving_memory)
    clock[REFUSED] += refused


@njit(_SIGNATURE, nogil=True, cache=True)
def process(  # noqa: PLR0917 -- compiled code takes arrays, not objects
    samples: SampleArray,
    out: SampleArray,
    sos: FloatArray,
    n_sections: CountArray,
    gains: FloatArray,
    state: FloatArray,
    fade: FloatArray,
    clock: CountArray,
) -> None:
    """Run a block through the active bank, and through a change if one is due.

    Parameters
    ----------
    samples, out : ndarray of shape (n_channels, n_samples), float32
        Input and output, full scale 1.0; they may be the same array.
    sos : ndarray of shape (3, n_sections, 5), float64
        ``(b0, b1, b2, a1, a2)`` of each section of each bank.
    n_sections : ndarray of shape (3,), int64
        How many sections of each bank run.
    gains : ndarray of shape (3,), float64
        Linear gain of each bank.
    state : ndarray of shape (n_channels, 3, n_sections, 2), float64
        Delay lines of each bank.
    fade : ndarray of shape (n_fade,), float64
        Share of the incoming bank in each sample of a crossfade.
    clock : ndarray of shape (N_CLOCK,), int64
        State machine, read and written.
    """
    n_channels, n_samples = samples.shape
    start = 0
    while start < n_samples:
        if clock[PHASE] == SETTLED and clock[HAS_WAITING] != 0:
            _begin(clock)
        stop = n_samples
        if clock[PHASE] != SETTLED:
            stop = min(stop, start + clock[LEFT])
        for channel in range(n_channels):
            _run_channel(
                samples[channel, start:stop],
                out[channel, start:stop],
                sos,
                n_sections,
                gains,
                state[channel],
                fade,
                clock,
            )
        _advance(stop - start, fade.size, clock)
        start = stop

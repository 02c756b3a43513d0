"""Run the rack's sections over a block: the compiled inner loop, and the change from one curve to the next.

Conventions
-----------
``samples`` and ``out`` are ``(n_channels, n_samples)`` float32, C order; all arithmetic and state is float64. There are
three banks of sections: rows 0 and 1 take turns as the active and the incoming one, row ``WAITING`` holds the latched
target. ``clock`` is the whole state machine, one int64 for each of the names below; it advances by samples alone, so that
nothing depends on where a stream is cut into blocks.

Notes
-----
Sections are transposed direct form II. Additions are never fused or reordered (no ``fastmath``), which is what makes the
output equal bit for bit whatever the block size and the channel. State below ``SMALLEST`` is set to zero every
``FLUSH_EVERY`` samples of the stream: rarely enough to cost nothing, often enough that no decaying tail reaches the
denormal numbers, which are slow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    SampleArray = npt.NDArray[np.float32]
    CountArray = npt.NDArray[np.int64]

PHASE, LEFT, ACTIVE, HAS_WAITING, WAITING_WARM, POSITION, REFUSED, N_CLOCK = range(8)
"""Places in ``clock``: phase, samples left in it, active bank, whether a target waits, samples it is to be warmed for,
samples since the start, input samples refused; and how many places there are."""

SETTLED, WARMING, FADING = range(3)
"""Phases: one bank runs; the incoming bank runs too, unheard; the output goes over from one to the other."""

WAITING = 2
"""Bank that holds the latched target."""

FLUSH_EVERY = 64
SMALLEST = 1e-30
LARGEST = float(np.finfo(np.float32).max)


def _filter(sos, n_sections, state, gain, x):  # type: ignore[no-untyped-def]  # typed by numba
    y = x
    for index in range(n_sections):
        b0, b1, b2, a1, a2 = sos[index, 0], sos[index, 1], sos[index, 2], sos[index, 3], sos[index, 4]
        x = y
        y = b0 * x + state[index, 0]
        state[index, 0] = b1 * x - a1 * y + state[index, 1]
        state[index, 1] = b2 * x - a2 * y
    return y * gain


def _flush(n_sections, state):  # type: ignore[no-untyped-def]  # typed by numba
    for index in range(n_sections):
        for place in range(2):
            if abs(state[index, place]) < SMALLEST:
                state[index, place] = 0.0


def _begin(sos, n_sections, gains, state, clock):  # type: ignore[no-untyped-def]  # typed by numba
    incoming = 1 - clock[ACTIVE]
    sos[incoming] = sos[WAITING]
    n_sections[incoming] = n_sections[WAITING]
    gains[incoming] = gains[WAITING]
    state[incoming] = 0.0
    clock[HAS_WAITING] = 0
    clock[PHASE] = WARMING
    clock[LEFT] = clock[WAITING_WARM]


def _advance(n_samples, n_fade, clock):  # type: ignore[no-untyped-def]  # typed by numba
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
        clock[ACTIVE] = 1 - clock[ACTIVE]


def _run_channel(samples, out, sos, n_sections, gains, state, fade, clock):  # type: ignore[no-untyped-def]  # typed by numba
    phase, active = clock[PHASE], clock[ACTIVE]
    incoming = 1 - active
    into_fade = fade.size - clock[LEFT]
    refused = 0
    for index in range(samples.size):
        x = float(samples[index])
        if not math.isfinite(x):
            x = 0.0
            refused += 1
        y = filter_sample(sos[active], n_sections[active], state[active], gains[active], x)
        if phase != SETTLED:
            arriving = filter_sample(sos[incoming], n_sections[incoming], state[incoming], gains[incoming], x)
            if phase == FADING:
                y += fade[into_fade + index] * (arriving - y)
        out[index] = min(max(y, -LARGEST), LARGEST)
        if (clock[POSITION] + index) % FLUSH_EVERY == 0:
            flush(n_sections[active], state[active])
            flush(n_sections[incoming], state[incoming])
    clock[REFUSED] += refused


def _process(samples, out, sos, n_sections, gains, state, fade, clock):  # type: ignore[no-untyped-def]  # typed by numba
    n_channels, n_samples = samples.shape
    start = 0
    while start < n_samples:
        if clock[PHASE] == SETTLED and clock[HAS_WAITING] != 0:
            begin(sos, n_sections, gains, state, clock)
        stop = n_samples
        if clock[PHASE] != SETTLED:
            stop = min(stop, start + clock[LEFT])
        for channel in range(n_channels):
            run_channel(
                samples[channel, start:stop],
                out[channel, start:stop],
                sos,
                n_sections,
                gains,
                state[channel],
                fade,
                clock,
            )
        advance(stop - start, fade.size, clock)
        start = stop


# Compiled inside the one kernel below, not one by one: the import would take several times as long.
filter_sample, flush, begin, advance, run_channel = (
    njit(function, nogil=True) for function in (_filter, _flush, _begin, _advance, _run_channel)
)

process = cast(
    "Callable[[SampleArray, SampleArray, FloatArray, CountArray, FloatArray, FloatArray, FloatArray, CountArray], None]",
    njit(
        "void(float32[:,::1], float32[:,::1], float64[:,:,::1], int64[::1], float64[::1], float64[:,:,:,::1],"
        " float64[::1], int64[::1])",
        nogil=True,
        cache=True,
    )(_process),
)
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
state : ndarray of shape (n_channels, 2, n_sections, 2), float64
    Delay line of the active and the incoming bank.
fade : ndarray of shape (n_fade,), float64
    Share of the incoming bank in each sample of a crossfade.
clock : ndarray of shape (N_CLOCK,), int64
    State machine, read and written.
"""

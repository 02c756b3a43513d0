"""The rack is exact at rest, silent while it changes, and indifferent to how the stream is cut."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from soundsage.shared.dsp import N_SECTIONS, EqBand, design, graphic_bands
from soundsage.shared.dsp.kernel import ACTIVE, INCOMING, N_BANKS, N_CLOCK, WAITING, process
from soundsage.shared.dsp.rack import Rack

Samples = npt.NDArray[np.float32]
Request = tuple[int, int, bool]

STEEP_DB = (9, 9, 6, 3, 0, -3, 0, 3, -6, -9)
SAMPLE_RATE = 8000  # changes take 960 samples, so that properties stay quick
CURVES = [
    design((), SAMPLE_RATE),
    design(graphic_bands(STEEP_DB), SAMPLE_RATE),
    design([EqBand("low_shelf", 200.0, -12.0, 0.71)] * N_SECTIONS, SAMPLE_RATE),
    design([EqBand("peaking", 50.0, 24.0, 20.0)], SAMPLE_RATE),
]


def noise(n_channels: int, n_samples: int) -> Samples:
    """Return white noise of 0.1 RMS, the same each time."""
    return (0.1 * np.random.default_rng(440).standard_normal((n_channels, n_samples))).astype(np.float32)


def play(rack: Rack, samples: Samples, cuts: tuple[int, ...] = ()) -> Samples:
    """Return what comes out of the rack when the stream is cut at these samples."""
    edges = [0, *sorted(cuts), samples.shape[1]]
    outs = []
    for start, stop in itertools.pairwise(edges):
        outs.append(np.empty((samples.shape[0], stop - start), dtype=np.float32))
        rack.process(np.ascontiguousarray(samples[:, start:stop]), outs[-1])
    return np.concatenate(outs, axis=1)


def play_with_changes(samples: Samples, requests: list[Request], cuts: list[int]) -> Samples:
    """Return the output with these changes, each a position, a curve and whether it is urgent, and these cuts."""
    rack = Rack(SAMPLE_RATE, samples.shape[0])
    outs, previous = [], 0
    for position, curve, is_urgent in [*sorted(requests), (samples.shape[1], -1, False)]:
        inside = tuple(cut - previous for cut in cuts if previous < cut < position)
        outs.append(play(rack, samples[:, previous:position], inside))
        if curve >= 0:
            rack.set_target(CURVES[curve], gain_db=-curve, urgent=is_urgent)
        previous = position
    return np.concatenate(outs, axis=1)


def settle(rack: Rack) -> None:
    """Play silence until the rack has settled."""
    while not rack.settled:
        play(rack, np.zeros((rack.n_channels, 64), dtype=np.float32))


def test_a_new_rack_is_a_relay() -> None:
    """A new rack is a relay."""
    samples = noise(2, 1000)

    assert play(Rack(48_000, 2), samples).tobytes() == samples.tobytes()


def test_a_flat_curve_at_0_db_is_bit_transparent_once_it_is_settled() -> None:
    """A flat curve at 0 dB is bit-transparent once it is settled."""
    rack = Rack(SAMPLE_RATE, 2)
    rack.set_target(CURVES[1])
    settle(rack)
    rack.set_target(design(graphic_bands([0.0] * 10), SAMPLE_RATE), gain_db=0.0)
    settle(rack)
    samples = noise(2, 1000)

    assert play(rack, samples).tobytes() == samples.tobytes()


def test_bypass_is_bit_exact_after_1000_toggles() -> None:
    """Bypass is bit-exact after 1000 toggles."""
    rack = Rack(SAMPLE_RATE, 1)
    samples = noise(1, 1000)
    for toggle in range(1000):
        rack.set_target(CURVES[1], gain_db=-6.0, bypass=toggle % 2 == 1, urgent=True)
        play(rack, samples[:, :400])
        assert rack.settled

    assert play(rack, samples).tobytes() == samples.tobytes()


@pytest.mark.parametrize("gain_db", [0.0, -6.0])
@pytest.mark.parametrize("curve", range(len(CURVES)))
def test_the_output_is_that_of_scipy_in_float64(curve: int, gain_db: float) -> None:
    """The output is that of scipy in float64 within -140 dBFS."""
    samples = noise(2, 4000)
    rack = Rack(SAMPLE_RATE, 2)
    rack.set_target(CURVES[curve], gain_db=gain_db)

    out = play(rack, samples)

    # The target runs from the first sample on, unheard, so it is heard as if it had always run. What is left is the
    # rounding of the output to float32, relative to its peak where the curve lifts it above full scale.
    expected = 10.0 ** (gain_db / 20.0) * signal.sosfilt(CURVES[curve], samples.astype(np.float64))
    error = np.max(np.abs(out - expected)[:, 960:])
    assert 20.0 * math.log10(error / max(1.0, np.max(np.abs(expected))) + 1e-20) <= -140.0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, len(CURVES) - 1), st.booleans()), max_size=6),
    st.lists(st.integers(0, 5000), max_size=40),
)
def test_cutting_the_stream_differently_changes_no_bit(requests: list[Request], cuts: list[int]) -> None:
    """Cutting the stream differently changes no bit, also with changes and changes during changes."""
    samples = noise(2, 5000)

    assert play_with_changes(samples, requests, cuts).tobytes() == play_with_changes(samples, requests, []).tobytes()


@given(st.lists(st.integers(0, 5000), max_size=40))
def test_cutting_a_stream_near_silence_changes_no_bit(cuts: list[int]) -> None:
    """Cutting a stream near silence changes no bit, where state is small enough to be set to zero."""
    samples = noise(1, 5000) * np.float32(1e-29)

    whole = play_with_changes(samples, [(0, 1, True)], [])

    assert play_with_changes(samples, [(0, 1, True)], cuts).tobytes() == whole.tobytes()


def test_blocks_of_one_sample_equal_the_whole() -> None:
    """Blocks of one sample equal the whole, through a change and after it."""
    samples, requests = noise(1, 2500), [(100, 1, False), (700, 3, True)]

    one_by_one = play_with_changes(samples, requests, list(range(2500)))

    assert one_by_one.tobytes() == play_with_changes(samples, requests, []).tobytes()


def test_each_channel_of_stereo_equals_a_mono_rack() -> None:
    """Each channel of stereo equals a mono rack, bit for bit, through a change and after it."""
    samples, requests = noise(2, 5000), [(100, 1, False), (3000, 2, True)]

    both = play_with_changes(samples, requests, [])

    for channel in range(2):
        alone = play_with_changes(samples[channel : channel + 1], requests, [])
        assert both[channel].tobytes() == alone[0].tobytes()


def test_in_place_equals_out_of_place() -> None:
    """In place equals out of place, also during a change."""
    samples = noise(2, 2000)
    apart, in_place = Rack(SAMPLE_RATE, 2), Rack(SAMPLE_RATE, 2)
    apart.set_target(CURVES[1])
    in_place.set_target(CURVES[1])
    expected = play(apart, samples)

    in_place.process(samples, samples)

    assert samples.tobytes() == expected.tobytes()


def click_residue_db(frequency_hz: float, *, urgent: bool, back: bool) -> float:
    """Return the loudest residue above 6 kHz after a change, relative to the output peak, over 24 phases of a tone."""
    sample_rate, n_before, n_phases = 48_000, 24_000, 24
    angles = 2.0 * np.pi * frequency_hz / sample_rate * np.arange(2 * n_before)
    phases = 2.0 * np.pi * np.arange(n_phases)[:, np.newaxis] / n_phases
    samples = (0.25 * np.sin(angles + phases)).astype(np.float32)
    curves = [design((), sample_rate), design(graphic_bands(STEEP_DB), sample_rate)]
    rack = Rack(sample_rate, n_phases)
    rack.set_target(curves[int(back)])
    before = play(rack, samples[:, :n_before])
    rack.set_target(curves[int(not back)], urgent=urgent)
    out = np.concatenate((before, play(rack, samples[:, n_before:])), axis=1).astype(np.float64)
    high_pass = signal.butter(8, 6000.0, "highpass", fs=sample_rate, output="sos")
    residue = signal.sosfilt(high_pass, out)[:, n_before : n_before + round(0.3 * sample_rate)]
    return float(20.0 * np.log10(np.max(np.abs(residue)) / np.max(np.abs(out))))


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize("frequency_hz", [60.0, 220.0, 1000.0])
def test_a_change_clicks_less_than_100_db_below_the_tone(frequency_hz: float, urgent: bool, back: bool) -> None:  # noqa: FBT001 -- parameters of the case
    """A change clicks less than 100 dB below the tone at its worst phase, to a steep curve and back."""
    assert click_residue_db(frequency_hz, urgent=urgent, back=back) <= -100.0


@pytest.mark.parametrize(("urgent", "n_samples"), [(True, 400), (False, 960)])
def test_a_change_takes_exactly_its_time(urgent: bool, n_samples: int) -> None:  # noqa: FBT001 -- parameter of the case
    """A change takes 50 ms if it is urgent and 120 ms if not."""
    rack = Rack(SAMPLE_RATE, 1)
    rack.set_target(CURVES[1], urgent=urgent)

    play(rack, noise(1, n_samples - 1))
    assert not rack.settled
    play(rack, noise(1, 1))
    assert rack.settled


def test_until_the_crossfade_begins_the_output_is_the_old_one() -> None:
    """Until the crossfade begins the output is the old one."""
    samples = noise(1, 200)
    rack = Rack(SAMPLE_RATE, 1)
    rack.set_target(CURVES[1], warm_samples=100)

    out = play(rack, samples)

    assert out[:, :100].tobytes() == samples[:, :100].tobytes()
    assert not np.array_equal(out[:, 100:], samples[:, 100:])


def test_of_several_changes_during_a_change_the_latest_wins() -> None:
    """Of several changes during a change the latest wins, and begins after the present one."""
    samples = noise(1, 4000)
    several, only_last = Rack(SAMPLE_RATE, 1), Rack(SAMPLE_RATE, 1)
    for rack in (several, only_last):
        rack.set_target(CURVES[1])
        play(rack, samples[:, :500])
    several.set_target(CURVES[2])
    several.set_target(CURVES[3], gain_db=-3.0)
    only_last.set_target(CURVES[3], gain_db=-3.0)

    assert play(several, samples).tobytes() == play(only_last, samples).tobytes()
    assert several.settled


def test_a_curve_does_not_remember_when_it_was_heard_before() -> None:
    """A curve does not remember when it was heard before: it begins as in a new rack, whatever ran until then."""
    samples = noise(1, 3000)
    used, new = Rack(SAMPLE_RATE, 1), Rack(SAMPLE_RATE, 1)
    for curve in (3, 1, 3, 2, 3, 0):
        used.set_target(CURVES[curve], warm_samples=0)
        play(used, samples)
    for rack in (used, new):
        rack.set_target(CURVES[3])

    assert play(used, samples).tobytes() == play(new, samples).tobytes()


def test_going_back_to_the_incoming_curve_drops_what_waited() -> None:
    """Going back to the curve that is coming in drops what waited."""
    rack = Rack(SAMPLE_RATE, 1)
    rack.set_target(CURVES[1])
    play(rack, noise(1, 500))
    rack.set_target(CURVES[2])
    rack.set_target(CURVES[1])

    play(rack, noise(1, 460))

    assert rack.settled


def test_the_same_target_again_changes_nothing() -> None:
    """The same target again changes nothing."""
    rack = Rack(SAMPLE_RATE, 1)
    rack.set_target(CURVES[1], gain_db=-2.0)
    settle(rack)

    rack.set_target(CURVES[1].copy(), gain_db=-2.0)

    assert rack.settled


def test_a_gain_alone_is_a_change() -> None:
    """A gain alone is a change, and applies exactly."""
    rack, samples = Rack(SAMPLE_RATE, 1), noise(1, 2000)
    rack.set_target(CURVES[0], gain_db=-6.0)
    assert not rack.settled
    settle(rack)

    np.testing.assert_allclose(play(rack, samples), samples * 10.0 ** (-6.0 / 20.0), rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("curve", [0, 1])
def test_a_sample_that_is_not_finite_counts_and_sounds_as_zero(curve: int, bad: float) -> None:
    """A sample that is not finite sounds as zero, leaves no trace in the filters, and is counted."""
    clean, dirty = noise(2, 3000), noise(2, 3000)
    clean[1, [100, 2000]] = 0.0
    dirty[1, [100, 2000]] = bad
    racks = Rack(SAMPLE_RATE, 2), Rack(SAMPLE_RATE, 2)
    for rack in racks:
        rack.set_target(CURVES[curve])

    assert play(racks[0], clean).tobytes() == play(racks[1], dirty).tobytes()
    assert [rack.n_refused for rack in racks] == [0, 2]


@given(st.lists(st.floats(width=32), min_size=1, max_size=200))
def test_the_output_is_finite_whatever_comes_in(values: list[float]) -> None:
    """The output is finite whatever comes in."""
    rack = Rack(SAMPLE_RATE, 1)
    rack.set_target(CURVES[3], gain_db=24.0, warm_samples=0)
    settle(rack)

    assert np.isfinite(play(rack, np.array([values * 10], dtype=np.float32))).all()


def test_in_silence_the_state_becomes_zero_instead_of_denormal() -> None:
    """In silence the state becomes zero instead of denormal."""
    sos = np.zeros((N_BANKS, N_SECTIONS, 5))
    sos[0] = CURVES[1][:, [0, 1, 2, 4, 5]]
    n_sections = np.array([10, 0, 0])
    state = np.zeros((1, N_BANKS, N_SECTIONS, 2))
    clock = np.zeros(N_CLOCK, dtype=np.int64)
    clock[[ACTIVE, INCOMING, WAITING]] = range(N_BANKS)
    samples = np.zeros((1, 40_000), dtype=np.float32)
    samples[0, 0] = 1.0

    process(samples, samples, sos, n_sections, np.ones(N_BANKS), state, np.ones(160), clock)

    assert not state.any()


@pytest.mark.parametrize(
    ("sos", "match"),
    [
        (np.ones((17, 6)), "sos must have shape"),
        (np.ones(6), "sos must have shape"),
        (np.array([[1.0, 0.0, 0.0, 1.0, -2.1, 1.1]]), r"sos\[0\] must be stable"),
        (np.array([[1.0, 0.0, 0.0, 2.0, 0.0, 0.0]]), r"sos\[0\] must be stable with a0 = 1"),
        (np.array([[math.nan, 0.0, 0.0, 1.0, 0.0, 0.0]]), r"sos\[0\] must be stable"),
    ],
)
def test_sections_that_cannot_run_are_refused(sos: npt.NDArray[np.float64], match: str) -> None:
    """Sections that cannot run are refused, and the rack stays as it was."""
    rack = Rack(SAMPLE_RATE, 1)

    with pytest.raises(ValueError, match=match):
        rack.set_target(sos)
    assert rack.settled


def test_nonsense_beside_the_sections_is_refused() -> None:
    """Nonsense beside the sections is refused."""
    rack = Rack(SAMPLE_RATE, 1)

    with pytest.raises(ValueError, match="gain_db must be finite, got nan"):
        rack.set_target(CURVES[1], gain_db=math.nan)
    with pytest.raises(ValueError, match="warm_samples must be at least 0, got -1"):
        rack.set_target(CURVES[1], warm_samples=-1)
    with pytest.raises(ValueError, match="sample_rate must be positive, got 0"):
        Rack(0, 1)
    with pytest.raises(ValueError, match="n_channels must be at least 1, got 0"):
        Rack(SAMPLE_RATE, 0)


def test_a_block_of_another_shape_or_type_is_refused() -> None:
    """A block of another shape or type is refused."""
    rack, stereo = Rack(SAMPLE_RATE, 2), noise(2, 8)

    with pytest.raises(ValueError, match=r"samples must have 2 channels, got shape \(1, 8\)"):
        rack.process(stereo[:1], stereo[:1])
    with pytest.raises(ValueError, match=r"out must have shape \(2, 8\), got \(2, 4\)"):
        rack.process(stereo, np.empty((2, 4), dtype=np.float32))
    with pytest.raises(TypeError):
        rack.process(stereo.astype(np.float64), np.empty((2, 8)))  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(TypeError):
        rack.process(stereo[:, ::2], np.empty((2, 4), dtype=np.float32))

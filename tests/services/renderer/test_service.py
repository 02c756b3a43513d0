"""The renderer over real sockets, into sinks of the test's own."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import examples
import msgspec
import numpy as np
import pytest
import soundfile
from distributions import plugins_with
from wiring import TIMEOUT_S, Stage, next_of

from soundsage.services.renderer import chain, output, reopening, service
from soundsage.shared.config import RendererConfig
from soundsage.shared.contracts import Chain, ChainStep, EffectRecord, SinkRecord
from soundsage.shared.errors import DeviceError, InputError, MediaError
from soundsage.shared.messages import AudioBlock, EqCurve, Error, RenderMeter, ServiceState, StreamEnded
from soundsage.shared.transport import Publisher

N = 256


class Collecting:
    """A sink that keeps what it gets, and raises what a test wants at a block."""

    def __init__(self, *errors: BaseException | None, at_close: BaseException | None = None) -> None:
        self.blocks: list[np.ndarray] = []
        self.formats: list[tuple[int, int]] = []
        self.closed = 0
        self.underruns: Any = 0
        self.buffer_ms: Any = 0.0
        self.got = threading.Event()
        self._errors = iter(errors)
        self._at_close = at_close

    def write(self, samples: np.ndarray) -> None:
        """Keep a block, or raise."""
        error = next(self._errors, None)
        if error is not None:
            raise error
        self.blocks.append(samples.copy())
        self.got.set()

    def close(self) -> None:
        """Count, or raise."""
        self.closed += 1
        if self._at_close is not None:
            raise self._at_close

    @property
    def sound(self) -> np.ndarray:
        """All that came."""
        return np.concatenate(self.blocks, axis=1)


class Halving:
    """An effect, or what a function computes instead."""

    def __init__(self, change: Callable[[np.ndarray], Any] | None = None) -> None:
        self._change = change

    def process(self, samples: np.ndarray) -> None:
        """Change a block."""
        if self._change is not None:
            self._change(samples)
        else:
            samples *= 0.5

    def latency(self) -> int:
        """Return no delay."""
        return 0

    def set_params(self, **params: float) -> None:
        """Take none."""

    def reset(self) -> None:
        """Forget nothing."""


class Stand:
    """The renderer and the test around it: it plays capture and strategy, and holds the sinks."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = stage
        self.sink = Collecting()
        self._monkeypatch = monkeypatch
        self._begun = 0

    def begin(self, *sinks: object, effect: Callable[..., Any] = Halving, **config: Any) -> Publisher:
        """Run the renderer into these sinks, opened one after another, and return the audio plane."""
        waiting = iter(sinks or (self.sink,))
        last = (sinks or (self.sink,))[-1]

        def open_next(_target: str, _options: msgspec.Struct, sample_rate: int, n_channels: int) -> Any:
            sink = next(waiting, last)
            if isinstance(sink, BaseException):
                raise sink
            if isinstance(sink, Collecting):
                sink.formats.append((sample_rate, n_channels))
            return sink

        plugins = plugins_with(
            sinks=[SinkRecord(name="collect", summary="for tests", open=open_next, check=lambda *_: None)],
            effects=[EffectRecord(name="tested", summary="for tests", prepare=effect)],
            effect_chains=[Chain(name="one", summary="for tests", steps=(ChainStep("tested", {}),))],
        )
        for module in (output, chain):
            self._monkeypatch.setattr(module, "installed_plugins", lambda: plugins)
        audio = self.stage.audio()
        self.stage.run(service.run, renderer=RendererConfig(**{"sinks": ("collect",), "meter_hz": 100.0, **config}))
        assert audio.await_receivers(2, TIMEOUT_S)
        self.stage.state("ready")
        return audio

    def play(self, audio: Publisher, *blocks: AudioBlock) -> RenderMeter:
        """Play blocks, and return the meter that follows on the last."""
        for block in blocks:
            audio.send(block)
        end_s = blocks[-1].start / blocks[-1].sample_rate + blocks[-1].duration_s
        return next_of(self.stage.heard, RenderMeter, lambda each: each.time_s >= end_s - 1e-9)[1]

    def heard(self) -> AudioBlock:
        """Return the next second's block, long enough for a change to be over."""
        self._begun += 1
        return examples.block(self._begun * 1_000_000, 4096)


@pytest.fixture
def stand(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """Yield what plays around the renderer; its collector is not ours."""
    monkeypatch.setattr(reopening, "RETRY_S", 0.02)
    yield Stand(stage, monkeypatch)
    gc.enable()


def stream(n_blocks: int, start: int = 0, size: int = 4096) -> list[AudioBlock]:
    """Return blocks that follow on each other."""
    return [examples.block(start + i * size, size) for i in range(n_blocks)]


def sound_of(blocks: list[AudioBlock]) -> np.ndarray:
    """Return the samples of blocks."""
    return np.concatenate([block.samples for block in blocks], axis=1)


def test_without_a_curve_what_comes_in_goes_out_bit_by_bit(stand: Stand) -> None:
    """In the same blocks, to a sink that was opened for the stream's format, and the meter says so."""
    audio = stand.begin()
    blocks = stream(10)
    meter = stand.play(audio, *blocks)

    np.testing.assert_array_equal(stand.sink.sound, sound_of(blocks))
    assert stand.sink.formats == [(48_000, 2)]
    assert meter.rendered_samples == 40_960
    assert (meter.lost_blocks, meter.late_blocks, meter.underruns) == (0, 0, 0)
    assert (meter.strategy, meter.bands, meter.bypass, meter.gain_db) == ("flat", (), False, 0.0)
    assert meter.level_db == pytest.approx((-20.0, -20.0), abs=0.3)


def test_each_block_is_measured_from_its_capture_on(stand: Stand) -> None:
    """The latencies of all meters together are one for each block, none negative and none longer than the test."""
    audio = stand.begin()
    captured_ns = time.monotonic_ns()
    for block in stream(5):
        audio.send(block, captured_ns)
    latencies: list[float] = []
    while len(latencies) < 5:
        latencies += next_of(stand.stage.heard, RenderMeter)[1].render_latency_ms.tolist()

    assert len(latencies) == 5
    assert all(0 < each < 1e3 * TIMEOUT_S for each in latencies)


def test_a_curve_is_followed_and_measured(stand: Stand) -> None:
    """The meter says which is in force, and how long it took from capture to here."""
    audio = stand.begin()
    blocks = iter(stream(60, size=256))
    meters: list[RenderMeter] = []

    def act() -> None:
        stand.stage.events.send(examples.curve(), time.monotonic_ns() - 5_000_000)
        audio.send(next(blocks))

    def found() -> RenderMeter | None:
        said = (received.message for received in stand.stage.heard.pending())
        meters.extend(message for message in said if isinstance(message, RenderMeter))
        return next((each for each in meters if each.bands), None)

    meter = stand.stage.until(act, found)

    assert (meter.bands, meter.preamp_db, meter.strategy) == (examples.curve().bands, -6.0, "stand-in")
    measured = [each for one in meters for each in one.curve_latency_ms.tolist()]
    assert measured
    assert min(measured) >= 5.0
    assert {each for one in meters for each in one.curve_compute_ms.tolist()} == {np.float32(0.1)}


def test_bypass_is_bit_exact_with_a_curve_in_force(stand: Stand) -> None:
    """The user says bypass, and once the change is over the input is the output; off again it is not."""
    audio = stand.begin()
    stand.stage.ask("renderer", "set", key="gain_db", value=-6.0)
    stand.stage.ask("renderer", "set", key="bypass", value=True)
    blocks = stream(8)
    meter = stand.play(audio, *blocks)
    np.testing.assert_array_equal(stand.sink.sound[:, 4096:], sound_of(blocks)[:, 4096:])
    assert (meter.bypass, meter.gain_db) == (True, -6.0)

    stand.stage.ask("renderer", "set", key="bypass", value=False)
    more = stream(8, start=8 * 4096)
    stand.play(audio, *more)
    np.testing.assert_allclose(stand.sink.sound[:, -4096:], 10 ** (-6 / 20) * more[-1].samples, rtol=1e-5)


def test_a_gain_that_was_kept_holds_from_the_first_sample(stand: Stand) -> None:
    """A restart is no burst of noise."""
    Path(stand.stage.mesh.state_dir).mkdir()
    (Path(stand.stage.mesh.state_dir) / "renderer.json").write_text('{"gain_db": -40}', encoding="utf-8")
    audio = stand.begin()
    (block,) = stream(1)
    stand.play(audio, block)

    np.testing.assert_allclose(stand.sink.sound, block.samples / 100, rtol=1e-5)


@pytest.mark.parametrize("value", [12.1, -60.1, "loud", math.nan, None])
def test_a_gain_that_cannot_be_is_refused(stand: Stand, value: object) -> None:
    """And changes nothing."""
    stand.begin()
    with pytest.raises(InputError, match="gain_db must be valid"):
        stand.stage.ask("renderer", "set", key="gain_db", value=value)
    assert stand.stage.ask("renderer", "get")["gain_db"] == 0.0


def test_lost_and_late_blocks_are_counted_and_late_ones_not_played(stand: Stand) -> None:
    """A gap costs what is missing and nothing else."""
    audio = stand.begin()
    now_ns = time.monotonic_ns()
    told = {"source": "capture", "epoch": 2}
    for seq, t_publish_ns, start in ((0, now_ns, 0), (1, now_ns - 10**9, 4096), (5, now_ns, 5 * 4096)):
        block = examples.block(start, 4096)
        frames = examples.frames_of(block, **told, seq=seq, t_publish_ns=t_publish_ns)
        audio.socket.send_multipart([b"audio_block/main/", *frames])
    meter = next_of(stand.stage.heard, RenderMeter, lambda each: each.rendered_samples == 8192)[1]

    assert (meter.lost_blocks, meter.late_blocks) == (3, 1)
    np.testing.assert_array_equal(
        stand.sink.sound,
        np.concatenate([examples.block(0, 4096).samples, examples.block(5 * 4096, 4096).samples], axis=1),
    )


def test_junk_between_blocks_is_not_heard(stand: Stand) -> None:
    """It is counted, and the blocks follow on each other."""
    audio = stand.begin()
    first, second = stream(2)
    audio.send(first)
    audio.socket.send_multipart([b"audio_block/main/", b"junk"])
    stand.play(audio, second)

    np.testing.assert_array_equal(stand.sink.sound, sound_of([first, second]))
    assert stand.stage.state("ready", lambda each: each.malformed == 1)


def test_samples_that_are_not_finite_are_survived(stand: Stand) -> None:
    """They are not heard, and what follows is."""
    audio = stand.begin()
    bad, good = stream(2)
    bad.samples[0, :10] = np.nan
    meter = stand.play(audio, bad, good)

    assert np.isfinite(stand.sink.sound).all()
    np.testing.assert_array_equal(stand.sink.blocks[-1], good.samples)
    assert all(math.isfinite(each) for each in (*meter.level_db, *meter.peak_db))


def test_another_format_opens_the_sink_again(stand: Stand) -> None:
    """Rate and channels may change in the middle of a stream."""
    first, second = Collecting(), Collecting()
    audio = stand.begin(first, second)
    stand.play(audio, *stream(2))
    mono = [examples.block(10_000 + i * 4096, 4096, n_channels=1, sample_rate=44_100) for i in range(2)]
    meter = stand.play(audio, *mono)

    assert (first.formats, second.formats) == ([(48_000, 2)], [(44_100, 1)])
    assert (first.closed, second.closed) == (1, 0)
    np.testing.assert_array_equal(second.sound, sound_of(mono))
    assert len(meter.level_db) == 1


def test_the_end_of_the_stream_closes_the_sink_and_is_a_state(stand: Stand) -> None:
    """Said twice it is one end; and a new block begins anew."""
    first, second = Collecting(), Collecting()
    audio = stand.begin(first, second)
    stand.play(audio, *stream(2))
    for _ in range(2):
        audio.send(StreamEnded(stream="main", start=8192))
    stand.stage.state("ended")
    assert first.closed == 1
    stand.play(audio, *stream(2, start=8192))

    assert second.formats == [(48_000, 2)]
    assert stand.stage.state("ready")


def test_a_renderer_that_was_just_restarted_hears_of_the_end(stand: Stand) -> None:
    """Without a block before, the end is the end: nobody waits for it for ever."""
    audio = stand.begin()
    audio.send(StreamEnded(stream="main", start=8192))

    assert stand.stage.state("ended")


def test_a_curve_that_nobody_holds_glides_to_flat(stand: Stand) -> None:
    """After the hold time, in sound and not by the clock, the input is the output."""
    audio = stand.begin(hold_s=0.2)
    blocks = iter(stream(2000, size=256))

    def act() -> None:
        stand.stage.events.send(examples.curve())
        audio.send(next(blocks))

    stand.stage.until(act, lambda: _meter_with_bands(stand))
    rest = [next(blocks) for _ in range(40)]
    long = [examples.block(rest[-1].start + N + i * 4096, 4096) for i in range(8)]
    meter = stand.play(audio, *rest, *long)

    assert (meter.bands, meter.strategy, meter.preamp_db) == ((), "flat", 0.0)
    np.testing.assert_array_equal(stand.sink.blocks[-1], long[-1].samples)


def _meter_with_bands(stand: Stand) -> RenderMeter | None:
    for received in stand.stage.heard.pending():
        if isinstance(received.message, RenderMeter) and received.message.bands:
            return received.message
    return None


def test_a_device_that_goes_is_opened_again_while_the_sound_goes_on(stand: Stand) -> None:
    """The other sink misses nothing, the state says why, and later blocks are heard on the new device."""
    gone, back = Collecting(None, DeviceError("unplugged")), Collecting()
    audio = stand.begin(gone, DeviceError("no such device"), DeviceError("no such device"), back)
    waiting = None
    blocks = iter(stream(4000, size=256))

    def act() -> None:
        audio.send(next(blocks))

    def found() -> ServiceState | None:
        for received in stand.stage.heard.pending():
            message = received.message
            if isinstance(message, ServiceState) and message.state == "waiting":
                return message
        return None

    waiting = stand.stage.until(act, found)
    stand.stage.until(act, lambda: back.got.is_set() or None)

    assert waiting.text in {"unplugged", "no such device"}
    assert len(gone.blocks) == 1
    assert gone.closed == 1
    assert stand.stage.ask("renderer", "get")["state"] in {"ready", "waiting"}


def test_a_device_that_is_not_there_at_first_is_waited_for(stand: Stand) -> None:
    """Blocks are rendered meanwhile, and heard once it is there."""
    back = Collecting()
    audio = stand.begin(DeviceError("no such device"), DeviceError("no such device"), back)
    blocks = iter(stream(4000, size=256))
    stand.stage.until(lambda: audio.send(next(blocks)), lambda: back.got.is_set() or None)

    assert back.formats == [(48_000, 2)]


def test_one_sink_that_is_missing_costs_the_other_nothing(stand: Stand) -> None:
    """Two sinks, one of them never there."""
    here = Collecting()
    audio = stand.begin(here, DeviceError("no such device"), sinks=("collect", "collect:2"))
    blocks = stream(10)
    stand.play(audio, *blocks)

    np.testing.assert_array_equal(here.sound, sound_of(blocks))


@pytest.mark.parametrize(
    "fault",
    [ValueError("broken"), SystemExit(), EOFError()],
    ids=["raises", "exits", "end of file"],
)
def test_a_sink_that_raises_is_opened_again(stand: Stand, fault: BaseException) -> None:
    """It is a strike, and the next blocks are heard."""
    bad, good = Collecting(fault), Collecting()
    audio = stand.begin(bad, good)
    blocks = iter(stream(4000, size=256))
    stand.stage.until(lambda: audio.send(next(blocks)), lambda: good.got.is_set() or None)

    assert bad.closed == 1


@pytest.mark.parametrize(
    ("name", "value"), [("underruns", "many"), ("buffer_ms", math.nan), ("buffer_ms", None), ("underruns", -1)]
)
def test_a_sink_that_measures_nonsense_is_opened_again(stand: Stand, name: str, value: object) -> None:
    """What the meter would say of it is checked when it is written to."""
    bad, good = Collecting(), Collecting()
    setattr(bad, name, value)
    audio = stand.begin(bad, good)
    blocks = iter(stream(4000, size=256))

    assert stand.stage.until(lambda: audio.send(next(blocks)), lambda: good.got.is_set() or None)


def test_a_sink_is_left_out_after_three_strikes(stand: Stand) -> None:
    """Then the renderer has failed, and says why."""
    audio = stand.begin(*[Collecting(ValueError("broken")) for _ in range(4)])
    blocks = iter(stream(4000, size=256))

    def found() -> ServiceState | None:
        for received in stand.stage.heard.pending():
            if isinstance(received.message, ServiceState) and received.message.state == "failed":
                return received.message
        return None

    assert "broken (strike 3 of 3)" in stand.stage.until(lambda: audio.send(next(blocks)), found).text


def test_a_file_that_cannot_be_written_on_is_a_failed_service(stand: Stand) -> None:
    """A full disk is not tried again."""
    sink = Collecting(None, MediaError("a.wav cannot be written: the disk is full"))
    audio = stand.begin(sink)
    for block in stream(3):
        audio.send(block)

    assert stand.stage.state("failed").text == "a.wav cannot be written: the disk is full"


def test_a_file_that_cannot_be_finished_is_a_failed_service(stand: Stand) -> None:
    """What fails at the end of the stream is said, and the other sink is finished all the same."""
    bad, good = Collecting(at_close=MediaError("a.wav cannot be finished")), Collecting()
    audio = stand.begin(bad, good, sinks=("collect", "collect:2"))
    stand.play(audio, *stream(2))
    audio.send(StreamEnded(stream="main", start=8192))

    assert stand.stage.state("failed").text == "a.wav cannot be finished"
    assert (bad.closed, good.closed) == (1, 1)


def test_a_file_holds_what_was_rendered(stand: Stand, tmp_path: Path) -> None:
    """The file sink in the place of ours, bit by bit."""
    audio = stand.begin(sinks=(f"file:{tmp_path / 'out.wav'}",))
    blocks = stream(5)
    stand.play(audio, *blocks)
    audio.send(StreamEnded(stream="main", start=5 * 4096))
    stand.stage.state("ended")
    written, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")

    assert rate == 48_000
    np.testing.assert_array_equal(written.T, sound_of(blocks))


def test_an_effect_of_the_chain_is_heard(stand: Stand) -> None:
    """After the equaliser."""
    audio = stand.begin(chain="one", effect=lambda *_: Halving())
    blocks = stream(2)
    stand.play(audio, *blocks)

    np.testing.assert_array_equal(stand.sink.sound, 0.5 * sound_of(blocks))


@pytest.mark.parametrize("change", [lambda _: 1 / 0, lambda samples: samples.fill(math.nan)], ids=["raises", "NaN"])
def test_an_effect_that_fails_is_not_heard(stand: Stand, change: Callable[[np.ndarray], Any]) -> None:
    """The samples are those before it, everybody is told three times, and the sound goes on."""
    audio = stand.begin(chain="one", effect=lambda *_: Halving(change))
    blocks = stream(8)
    for block in blocks:
        audio.send(block)
    strikes = [next_of(stand.stage.heard, Error)[1].text for _ in range(3)]
    next_of(stand.stage.heard, RenderMeter, lambda each: each.rendered_samples == 8 * 4096)

    assert ["strike 3 of 3" in each for each in strikes] == [False, False, True]
    np.testing.assert_array_equal(stand.sink.sound, sound_of(blocks))


def test_an_effect_that_cannot_be_made_costs_only_the_chain(stand: Stand) -> None:
    """The sound is heard without it, and everybody is told."""

    def broken(*_: int) -> Halving:
        raise RuntimeError("cannot be made")

    audio = stand.begin(chain="one", effect=broken)
    blocks = stream(2)
    stand.play(audio, *blocks)

    np.testing.assert_array_equal(stand.sink.sound, sound_of(blocks))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"sinks": ("nul",)}, "did you mean null?"),
        ({"sinks": ("null?speed=2",)}, "null options must be those of"),
    ],
    ids=["name", "options"],
)
def test_a_sink_that_cannot_be_is_a_failed_service(stand: Stand, config: dict[str, Any], reason: str) -> None:
    """Before the first block."""
    stand.stage.run(service.run, renderer=RendererConfig(**config))

    assert reason in stand.stage.state("failed").text


def test_a_chain_that_is_not_installed_is_a_failed_service(stand: Stand) -> None:
    """Who asks for effects and gets none is told."""
    audio = stand.begin(chain="two")
    audio.send(stream(1)[0])

    assert "got 'two'" in stand.stage.state("failed").text


def test_curves_of_another_stream_are_not_followed(stand: Stand) -> None:
    """The kitchen's curve is not heard here."""
    audio = stand.begin()
    other = examples.curve()
    stand.stage.events.send(EqCurve(**{**{n: getattr(other, n) for n in other.__struct_fields__}, "stream": "kitchen"}))
    blocks = stream(5)
    meter = stand.play(audio, *blocks)

    assert meter.bands == ()
    np.testing.assert_array_equal(stand.sink.sound, sound_of(blocks))

"""The conformance rules themselves: a good plugin keeps them, and each kind of bad plugin breaks the one it should."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import numpy as np
import pytest

from soundsage.shared import contracts
from soundsage.shared.conformance import RECORD_TYPES, examples, findings_of, rules_of
from soundsage.shared.contracts import (
    BackendRecord,
    Chain,
    ChainStep,
    Decision,
    EffectRecord,
    ExtractorRecord,
    GenreModelRecord,
    MonitorRecord,
    Record,
    SinkRecord,
    SourceBlock,
    SourceRecord,
    StrategyContext,
    StrategyRecord,
)
from soundsage.shared.dsp.bands import EqBand
from soundsage.shared.errors import InputError
from soundsage.shared.hookspecs import KINDS
from soundsage.shared.messages import MESSAGE_TYPES, Message, ServiceState


def broken(kind: str, record: object, target: str = "") -> dict[str, str]:
    """Return what was found where a record breaks a rule, by the rule's sentence."""
    return {each.rule: each.text for each in findings_of(kind, record, target) if each.outcome == "broken"}


def test_every_kind_has_rules() -> None:
    """There are rules for every hook, and each is a sentence."""
    assert set(RECORD_TYPES) == set(KINDS)
    for kind in KINDS:
        assert rules_of(kind)
        assert all(rule.sentence.endswith(".") for rule in rules_of(kind))


def test_there_is_an_example_of_every_message() -> None:
    """Monitors are shown each message type once."""
    assert sorted(message.schema for message in examples.messages()) == sorted(MESSAGE_TYPES)


def test_a_record_of_another_kind_is_told_apart() -> None:
    """An effect that a hook for sources returns breaks the only rule that it can be held to."""
    finding = findings_of("sources", EffectRecord(name="a", summary="b", prepare=Gain))[0]

    assert (finding.outcome, finding.text) == ("broken", "got EffectRecord")


@pytest.mark.parametrize("name", ["", "Warm", "a:b", "a b", "-a", "x" * 65])
def test_a_name_that_cannot_be_typed_is_found(name: str) -> None:
    """A name must stand on the command line as it is."""
    assert list(broken("eq_strategies", StrategyRecord(name=name, summary="a", make=Curve))) == [
        "Its name is of small letters, digits and hyphens, at most 64."
    ]


@pytest.mark.parametrize("summary", ["", "two\nlines", " a", "x" * 101])
def test_a_summary_that_is_no_line_is_found(summary: str) -> None:
    """A summary must fit into a list."""
    assert list(broken("eq_strategies", StrategyRecord(name="a", summary=summary, make=Curve))) == [
        "Its summary is one line of at most 100 characters."
    ]


class Curve:
    """A strategy that always wants the same."""

    def __init__(self, bands: tuple[EqBand, ...] = (), cause: str = "always") -> None:
        self.decision = Decision(bands, cause)

    def decide(self, context: StrategyContext) -> Decision:
        """Return it."""
        del context
        return self.decision


class Slow(Curve):
    """A strategy that thinks for too long."""

    def decide(self, context: StrategyContext) -> Decision:
        """Spend 15 ms."""
        end_s = time.perf_counter() + 0.015
        while time.perf_counter() < end_s:
            pass
        return super().decide(context)


class Scribbling(Curve):
    """A strategy that writes to the features."""

    def decide(self, context: StrategyContext) -> Decision:
        """Add one."""
        if context.features is not None:
            context.features.features[:] += 1
        return super().decide(context)


class Choosy(Curve):
    """A strategy that needs a proposal."""

    def decide(self, context: StrategyContext) -> Decision:
        """Fail without one."""
        if context.proposal is None:
            raise AttributeError("no proposal")
        return super().decide(context)


class Moody(Curve):
    """A strategy whose decisions depend on when it was made."""

    n_made = 0

    def __init__(self) -> None:
        Moody.n_made += 1
        super().__init__((EqBand("peaking", 1000.0, 1.0 if Moody.n_made % 2 else -1.0, 1.0),))


BELLS = (EqBand("peaking", 1000.0, 20.0, 1.0),)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Curve(BELLS[:1] * 17),
            "Any state, posterior or missing proposal gives at most 16 valid bands and a cause in words.",
        ),
        (
            lambda: Curve(cause=""),
            "Any state, posterior or missing proposal gives at most 16 valid bands and a cause in words.",
        ),
        (Choosy, "Any state, posterior or missing proposal gives at most 16 valid bands and a cause in words."),
        (lambda: Curve(BELLS * 2), "Its curves are finite and move no audible frequency by more than 24 dB."),
        (Slow, "A decision takes less than 10 ms."),
        (Scribbling, "Features are the same after a decision as before."),
        (Moody, "Two of them that are told the same decide the same."),
    ],
)
def test_a_strategy_that_misbehaves_is_found(make: Callable[[], Curve], sentence: str) -> None:
    """Each vice of a strategy breaks the rule against it."""
    assert sentence in broken("eq_strategies", StrategyRecord(name="evil", summary="evil", make=make))


def test_a_strategy_that_behaves_keeps_every_rule() -> None:
    """A strategy with one small band breaks nothing."""
    make = lambda: Curve((EqBand("peaking", 1000.0, 3.0, 1.0),))  # noqa: E731
    assert broken("eq_strategies", StrategyRecord(name="good", summary="good", make=make)) == {}


class Gain:
    """An effect that makes it quieter."""

    def __init__(self, sample_rate: int, n_channels: int, max_block: int) -> None:
        del sample_rate, max_block
        self.last = np.zeros((n_channels, 1), np.float32)

    def process(self, samples: np.ndarray) -> None:
        """Halve the samples."""
        samples *= 0.5

    def set_params(self, **params: float) -> None:
        """Take none."""

    def latency(self) -> int:
        """Return 0."""
        return 0

    def reset(self) -> None:
        """Forget the last sample."""
        self.last[:] = 0


class Noisy(Gain):
    """An effect that adds an offset."""

    def process(self, samples: np.ndarray) -> None:
        """Add 0.001."""
        samples += 1e-3


class Dividing(Gain):
    """An effect that divides by the level of the block."""

    def process(self, samples: np.ndarray) -> None:
        """Divide; silence gives NaN."""
        with np.errstate(invalid="ignore"):
            samples /= np.abs(samples).max()


class Remembering(Gain):
    """An effect whose reset forgets nothing."""

    def process(self, samples: np.ndarray) -> None:
        """Add the last sample of the block before."""
        last = samples[:, -1:].copy()
        samples[:, 1:] += 0.1 * samples[:, :-1].copy()
        samples[:, :1] += 0.1 * self.last
        self.last = last

    def reset(self) -> None:
        """Forget nothing."""


class Copying(Gain):
    """An effect that returns its output."""

    def process(self, samples: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """Return a copy."""
        return 0.5 * samples

    def latency(self) -> float:  # type: ignore[override]
        """Return no whole number."""
        return 0.5


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (Noisy, "Silence gives silence, below -120 dBFS."),
        (Dividing, "Quiet, loud and too loud input give finite output."),
        (Dividing, "However the stream is cut into blocks of at most max_block, the output is the same."),
        (Remembering, "After a reset it sounds as if it were new."),
        (Copying, "It changes the block in place and returns nothing."),
        (Copying, "Its latency is a whole number of samples, 0 or more."),
    ],
)
def test_an_effect_that_misbehaves_is_found(prepare: type[Gain], sentence: str) -> None:
    """Each vice of an effect breaks the rule against it."""
    assert sentence in broken("effects", EffectRecord(name="evil", summary="evil", prepare=prepare))


def test_an_effect_that_behaves_keeps_every_rule() -> None:
    """An effect that halves breaks nothing."""
    assert broken("effects", EffectRecord(name="gain", summary="half", prepare=Gain)) == {}


class Blocks:
    """A source whose blocks the test makes."""

    sample_rate = 48_000
    n_channels = 2
    memory = np.zeros((2, 256), np.float32)

    def __init__(self, make: Callable[[np.ndarray], np.ndarray], lag_ns: int = 0) -> None:
        self.make = make
        self.lag_ns = lag_ns

    def read(self, timeout_s: float) -> SourceBlock:
        """Return the block."""
        del timeout_s
        return SourceBlock(self.make(self.memory), time.monotonic_ns() + self.lag_ns)

    def close(self) -> None:
        """Do nothing."""


def source(make: Callable[[np.ndarray], np.ndarray], lag_ns: int = 0) -> SourceRecord:
    """Return the record of such a source."""
    return SourceRecord(name="evil", summary="evil", open=lambda *_: Blocks(make, lag_ns), check=lambda *_: None)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            source(lambda memory: memory.astype(np.float64)),
            "Its blocks are finite float32, contiguous, of shape (n_channels, n_samples).",
        ),
        (
            source(lambda memory: np.asfortranarray(memory.copy())),
            "Its blocks are finite float32, contiguous, of shape (n_channels, n_samples).",
        ),
        (
            source(lambda memory: memory[:1].copy()),
            "Its blocks are finite float32, contiguous, of shape (n_channels, n_samples).",
        ),
        (
            source(lambda memory: memory + np.float32("nan")),
            "Its blocks are finite float32, contiguous, of shape (n_channels, n_samples).",
        ),
        (source(lambda memory: memory), "No two blocks share memory, and none changes later."),
        (
            source(np.copy, 10**10),
            "Each block is stamped with the monotonic clock, of the moment when its last sample was there.",
        ),
    ],
)
def test_a_source_that_misbehaves_is_found(record: SourceRecord, sentence: str) -> None:
    """Each vice of a source breaks the rule against it."""
    assert sentence in broken("sources", record)


def test_a_source_that_behaves_keeps_every_rule() -> None:
    """A source of fresh zeros breaks nothing."""
    assert broken("sources", source(np.copy)) == {}


def test_a_source_with_devices_is_opened_only_by_name() -> None:
    """A source that lists devices is left alone until the user names a target, and then it is opened."""
    opened: list[str] = []

    def open_it(target: str, _options: msgspec.Struct, _block_size: int) -> Blocks:
        opened.append(target)
        return Blocks(np.copy)

    def no_devices() -> list[contracts.DeviceInfo]:
        return []

    record = dataclasses.replace(source(np.copy), open=open_it, devices=no_devices)

    without = findings_of("sources", record)
    assert not opened
    assert "left out" in {finding.outcome for finding in without}
    assert {finding.outcome for finding in findings_of("sources", record, "hw:0")} == {"held"}
    assert set(opened) == {"hw:0"}


def test_options_that_take_anything_are_found() -> None:
    """Options must have defaults and refuse what they do not know."""

    class Lax(msgspec.Struct, frozen=True):
        """Options that let misspellings pass."""

        loop: bool = False

    assert list(broken("sources", dataclasses.replace(source(np.copy), options=Lax))) == [
        "Its options all have defaults, and unknown ones are refused."
    ]


class Keeping:
    """A sink that keeps what it is given."""

    underruns = 0
    buffer_ms = 0.0

    def __init__(self, keep: Callable[[np.ndarray], object], close_s: float = 0.0) -> None:
        self.keep = keep
        self.kept: list[object] = []
        self.close_s = close_s

    def write(self, samples: np.ndarray) -> None:
        """Keep it."""
        self.kept.append(self.keep(samples))

    def close(self) -> None:
        """Do nothing."""


def sink(keep: Callable[[np.ndarray], object]) -> SinkRecord:
    """Return the record of such a sink."""
    return SinkRecord(name="evil", summary="evil", open=lambda *_: Keeping(keep), check=lambda *_: None)


def slowly(_samples: np.ndarray) -> None:
    """Take longer than a block of 5.3 ms lasts."""
    end_s = time.perf_counter() + 0.008
    while time.perf_counter() < end_s:
        pass


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (lambda samples: samples, "Once a write is over, nothing refers to the samples any more."),
        (lambda samples: samples[0], "Once a write is over, nothing refers to the samples any more."),
        (lambda samples: samples.fill(0), "Once a write is over, nothing refers to the samples any more."),
        (slowly, "A write takes less time than the sound in it lasts."),
    ],
)
def test_a_sink_that_misbehaves_is_found(keep: Callable[[np.ndarray], object], sentence: str) -> None:
    """Each vice of a sink breaks the rule against it."""
    assert sentence in broken("sinks", sink(keep))


def test_a_sink_that_copies_keeps_every_rule() -> None:
    """A sink that copies what it keeps breaks nothing."""
    assert broken("sinks", sink(np.copy)) == {}


def test_an_extractor_that_depends_on_blocks_is_found() -> None:
    """Features that depend on how the stream is cut, and that are not finite on silence, are both found."""

    @dataclasses.dataclass(frozen=True)
    class Window:
        features: np.ndarray
        bands_db: np.ndarray
        level_db: float
        end_s: float

    class Peaks:
        """One window a block."""

        def __init__(self, sample_rate: int) -> None:
            self.sample_rate = sample_rate
            self.n_samples = 0

        def process(self, samples: np.ndarray) -> list[contracts.WindowFeatures]:
            self.n_samples += samples.shape[1]
            with np.errstate(divide="ignore"):
                peak = np.log(np.abs(samples).max(keepdims=True)[0])
            return [Window(peak, np.zeros(1, np.float32), -20.0, self.n_samples / self.sample_rate)]

        def flush(self) -> list[contracts.WindowFeatures]:
            return []

    record = ExtractorRecord(name="peaks", summary="peaks", feature_set="peaks/1", feature_names=("peak",), make=Peaks)

    assert list(broken("feature_extractors", record)) == [
        "Silence, noise, full scale and beyond give as many finite float32 features as there are names.",
        "However the stream is cut into blocks, the features are the same, bit for bit.",
    ]


def test_a_model_whose_file_was_changed_is_found(tmp_path: Path) -> None:
    """A model whose ONNX file is another one than its manifest says cannot be used."""
    manifest = {
        "name": "m",
        "version": "1",
        "task": "genre",
        "onnx": "m.onnx",
        "sha256": "0" * 64,
        "feature_set": "none",
        "inputs": ["a"],
        "mean": [0.0],
        "scale": [1.0],
        "labels": ["x", "y"],
    }
    (tmp_path / "m.json").write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "m.onnx").write_bytes(b"other")

    found = broken("genre_models", GenreModelRecord(name="m", summary="m", manifest=tmp_path / "m.json"))

    assert (
        "SHA-256"
        in found["Its manifest is valid, and the ONNX file beside it is the one that the manifest was written for."]
    )


def test_a_backend_that_loads_anything_is_found() -> None:
    """A backend that takes noise for a model is found."""

    class Session:
        def run(self, inputs: np.ndarray) -> np.ndarray:
            return inputs

        def close(self) -> None:
            pass

    record = BackendRecord(name="any", summary="any", load=lambda _: Session(), is_available=lambda: True)

    found = broken("inference_backends", record)
    assert (
        found["A missing file, an empty one and one of noise raise ModelError."] == "a file that is missing was loaded"
    )


def test_a_monitor_that_chokes_on_a_message_is_found() -> None:
    """A monitor that fails at one message type is found, with what it raised."""

    class Choking:
        def observe(self, topic: str, message: Message, latency_ms: float) -> None:
            del topic, latency_ms
            if isinstance(message, ServiceState):
                raise ZeroDivisionError("rev")

        def close(self) -> None:
            pass

    record = MonitorRecord(name="choking", summary="chokes", open=lambda _: Choking())

    assert broken("monitors", record) == {
        "It can be shown a message of every type.": "the plugin raised ZeroDivisionError: rev"
    }


def test_a_monitor_that_needs_a_target_gets_a_file() -> None:
    """A monitor that refuses to open without a target is tried with a file of its own."""
    opened: list[str] = []

    def open_it(target: str) -> contracts.Monitor:
        if not target:
            raise InputError("needs a file")
        opened.append(target)
        raise InputError("does not like it")

    record = MonitorRecord(name="a", summary="b", open=open_it)

    assert {finding.text for finding in findings_of("monitors", record) if finding.outcome == "left out"} == {
        "does not like it"
    }
    assert not Path(opened[0]).parent.exists()


def test_a_chain_of_unknown_effects_is_found() -> None:
    """A chain names effects that are installed."""
    found = broken("effect_chains", Chain(name="a", summary="b", steps=(ChainStep("no-such-effect", {}),)))

    assert found == {
        "It names at least one effect, and all of them are installed.": "got no-such-effect, which no plugin offers"
    }


def test_a_command_without_help_is_found() -> None:
    """A command says what it does, and so do those in it."""
    assert broken("commands", click.Command("silent")) != {}
    assert broken("commands", click.Command("good", help="Do good.")) == {}


def test_a_plugin_that_ends_the_process_only_breaks_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """SystemExit in a plugin is a finding, and nothing a plugin prints is seen."""

    def leave() -> Curve:
        click.echo("bye")
        raise SystemExit(3)

    found = broken("eq_strategies", StrategyRecord(name="a", summary="b", make=leave))

    assert set(found.values()) == {"the plugin raised SystemExit: 3"}
    assert capsys.readouterr().out == ""


def test_a_callable_that_is_none_is_found() -> None:
    """A record whose function is none is found before it is called."""
    record: Record = StrategyRecord(name="a", summary="b", make=None)  # type: ignore[arg-type]

    assert broken("eq_strategies", record)["Each of its functions is one."] == "make must be callable, got None"

"""What a plugin of each kind is: the record its hook returns, and the object that the record makes.

Conventions
-----------
A record is frozen data plus one callable; nothing is opened until the callable is called. Samples are float32 of shape
`(n_channels, n_samples)` with full scale 1.0. Whoever returns an array gives it away and does not write to it again.
Everything a plugin returns is checked by the core; a plugin that raises anything, overruns its deadline or answers
nonsense is refused, counted, and after three strikes left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from .dsp.bands import EqBand
from .messages import EqProposal, FeatureVector, GenrePosterior, Message
from .spec import NoOptions

__all__ = [
    "API",
    "BackendRecord",
    "Chain",
    "ChainStep",
    "Decision",
    "DeviceInfo",
    "Effect",
    "EffectRecord",
    "EqModelRecord",
    "EqStrategy",
    "Extractor",
    "ExtractorRecord",
    "GenreModelRecord",
    "InferenceSession",
    "Monitor",
    "MonitorRecord",
    "Record",
    "Sink",
    "SinkRecord",
    "Source",
    "SourceBlock",
    "SourceRecord",
    "StrategyContext",
    "StrategyRecord",
    "WindowFeatures",
]

API = "1"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the records of all kinds have in common.

    Attributes
    ----------
    name : str
        What users call it; unique among the plugins of its kind.
    summary : str
        One line for `soundsage plugins list`.
    api : str
        The plugin interface it was written for; another than the core's is refused.
    """

    name: str
    summary: str
    api: str = API


@dataclass(frozen=True)
class SourceBlock:
    """Samples as they came from a source.

    Attributes
    ----------
    samples : ndarray of shape (n_channels, n_samples), float32
    t_capture_ns : int
        Monotonic clock, ns, at which the last sample was there.
    """

    samples: np.ndarray
    t_capture_ns: int


@dataclass(frozen=True)
class DeviceInfo:
    """A device that a source or sink could use.

    Attributes
    ----------
    spec : str
        What to write on the command line, such as `device:pulse`.
    description : str
    n_channels : int
        The most it has.
    sample_rate : int
        What it prefers, Hz.
    is_default : bool
    """

    spec: str
    description: str
    n_channels: int
    sample_rate: int
    is_default: bool = False


class Source(Protocol):
    """A stream of samples that has begun.

    `sample_rate` (Hz) and `n_channels` hold for its whole life. `read` waits at most `timeout_s` and returns None when
    nothing came; it raises `EndOfStream` after the last block, `MediaError` when a file cannot be read on, and
    `DeviceError` when the device is gone, after which the core closes it and opens it anew until it is back. `close`
    may be called at any time, also twice.
    """

    sample_rate: int
    n_channels: int

    def read(self, timeout_s: float) -> SourceBlock | None:
        """Return the next block."""

    def close(self) -> None:
        """Give the device back."""


class Sink(Protocol):
    """Where rendered samples go.

    `write` never waits: a device sink puts the block into a buffer that its own thread plays, a file sink hands it to a
    writer. It raises `DeviceError` when the device is gone, after which the core closes it and opens it anew, and
    `MediaError` when a file cannot be written on. `underruns` counts how often it ran dry,
    `buffer_ms` is the sound that waits in it. `close` plays or writes what is left, waiting at most 2 s.
    """

    underruns: int
    buffer_ms: float

    def write(self, samples: np.ndarray) -> None:
        """Take a block; the caller reuses its memory at once."""

    def close(self) -> None:
        """Finish, and give the device back."""


@dataclass(frozen=True, kw_only=True)
class SourceRecord(Record):
    """A kind of source, `NAME[:TARGET][?OPTION=VALUE...]` on the command line.

    Attributes
    ----------
    open : callable
        `open(target, options, block_size)` returns a running `Source`; raises `InputError` when it never can, and
        `DeviceError` when the device is not there now.
    check : callable
        `check(target, options, sink)` raises `InputError` when it cannot work, before anything starts; `sink` is the
        sink's specification, since capturing what we render is refused.
    options : type
        The struct that the options are read into; unknown ones are refused.
    devices : callable
        Returns what could be captured now.
    """

    open: Callable[[str, msgspec.Struct, int], Source]
    check: Callable[[str, msgspec.Struct, str], None]
    options: type[msgspec.Struct] = NoOptions
    devices: Callable[[], list[DeviceInfo]] = list


@dataclass(frozen=True, kw_only=True)
class SinkRecord(Record):
    """A kind of sink, `NAME[:TARGET][?OPTION=VALUE...]` on the command line.

    Attributes
    ----------
    open : callable
        `open(target, options, sample_rate, n_channels)` returns a running `Sink`; raises as a source does.
    check : callable
        `check(target, options)` raises `InputError` when it cannot work, before anything starts.
    options : type
    devices : callable
        Returns what could be rendered to now.
    """

    open: Callable[[str, msgspec.Struct, int, int], Sink]
    check: Callable[[str, msgspec.Struct], None]
    options: type[msgspec.Struct] = NoOptions
    devices: Callable[[], list[DeviceInfo]] = list


@runtime_checkable
class WindowFeatures(Protocol):
    """What an extractor measured over one window; the fields are those of `FeatureVector`."""

    @property
    def features(self) -> np.ndarray:
        """Shape (n_features,), float32."""

    @property
    def bands_db(self) -> np.ndarray:
        """Shape (n_bands,), float32, dB relative to their mean."""

    @property
    def level_db(self) -> float:
        """RMS level of the window, dBFS."""

    @property
    def end_s(self) -> float:
        """Stream time of the window's end, s."""


class Extractor(Protocol):
    """Turns a stream, cut anyhow, into one feature vector a hop."""

    def process(self, samples: np.ndarray) -> Sequence[WindowFeatures]:
        """Return what the samples complete."""

    def flush(self) -> Sequence[WindowFeatures]:
        """Return what the end of the stream completes."""


@dataclass(frozen=True, kw_only=True)
class ExtractorRecord(Record):
    """A feature set.

    Attributes
    ----------
    feature_set : str
        Name and version that models refer to.
    feature_names : tuple of str
    make : callable
        `make(sample_rate)` returns an `Extractor` for one stream.
    """

    feature_set: str
    feature_names: tuple[str, ...]
    make: Callable[[int], Extractor]


@dataclass(frozen=True, kw_only=True)
class GenreModelRecord(Record):
    """A genre model.

    Attributes
    ----------
    manifest : Path
        JSON file beside the ONNX file: labels, features, scaling, temperature, data, metrics.
    """

    manifest: Path


@dataclass(frozen=True, kw_only=True)
class EqModelRecord(Record):
    """An EQ model; as a genre model, with the frequencies of its gains for labels."""

    manifest: Path


@dataclass(frozen=True)
class StrategyContext:
    """What an EQ strategy may know when it decides.

    Attributes
    ----------
    posterior : GenrePosterior
    features : FeatureVector or None
        Those that the posterior came from.
    proposal : EqProposal or None
        What the EQ model made of the same.
    """

    posterior: GenrePosterior
    features: FeatureVector | None
    proposal: EqProposal | None


@dataclass(frozen=True)
class Decision:
    """What a strategy wants.

    Attributes
    ----------
    bands : tuple of EqBand
        Empty for flat.
    cause : str
        Why, in words for a person.
    """

    bands: tuple[EqBand, ...]
    cause: str


class EqStrategy(Protocol):
    """Decides what to do to the sound; runs in a process of its own, once a hop, under a deadline."""

    def decide(self, context: StrategyContext) -> Decision:
        """Return the curve for now."""


@dataclass(frozen=True, kw_only=True)
class StrategyRecord(Record):
    """An EQ strategy; `make()` returns an `EqStrategy` that may remember what it saw."""

    make: Callable[[], EqStrategy]


class Effect(Protocol):
    """Changes samples in place, without allocating, waiting or logging."""

    def process(self, samples: np.ndarray) -> None:
        """Change a block."""

    @property
    def set_params(self) -> Callable[..., None]:
        """A method that takes parameters by name, each a float, and changes to them without a click."""

    def latency(self) -> int:
        """Return the delay in samples."""

    def reset(self) -> None:
        """Forget all samples."""


@dataclass(frozen=True, kw_only=True)
class EffectRecord(Record):
    """An effect; `prepare(sample_rate, n_channels, max_block)` returns an `Effect`."""

    prepare: Callable[[int, int, int], Effect]


@dataclass(frozen=True)
class ChainStep:
    """One effect in a chain.

    Attributes
    ----------
    effect : str
        An effect plugin.
    params : dict of float
        What the effect's `set_params` takes.
    """

    effect: str
    params: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Chain(Record):
    """Effects in their order, after the EQ, under a name."""

    steps: tuple[ChainStep, ...]


class InferenceSession(Protocol):
    """A model that is loaded."""

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the output, shape (n, n_outputs), of inputs, shape (n, n_inputs), both float32."""

    def close(self) -> None:
        """Give the accelerator back."""


@dataclass(frozen=True, kw_only=True)
class BackendRecord(Record):
    """What models run on.

    Attributes
    ----------
    load : callable
        `load(onnx_file)` returns an `InferenceSession`; raises `ModelError`.
    is_available : callable
        Returns whether its hardware and libraries are here.
    priority : int
        Among those available the highest is taken when the configuration says `auto`.
    """

    load: Callable[[Path], InferenceSession]
    is_available: Callable[[], bool]
    priority: int = 0


class Monitor(Protocol):
    """Sees every message on the event plane."""

    def observe(self, topic: str, message: Message, latency_ms: float) -> None:
        """Look at a message."""

    def close(self) -> None:
        """Finish."""


@dataclass(frozen=True, kw_only=True)
class MonitorRecord(Record):
    """A monitor; `open(target)` returns a `Monitor`."""

    open: Callable[[str], Monitor]

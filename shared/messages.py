"""Everything that the services say to each other.

Conventions
-----------
Samples have full scale 1.0 and shape `(n_channels, n_samples)`, float32. Levels are dBFS, minus infinity at the lowest.
`time_s` and `start` count from the first sample of the stream, never from a wall clock. A message from a peer cannot be
invalid: all of it is checked when it is read, and how its fields fit each other already when it is made. Only samples
may be NaN or infinite. New fields have defaults; a field never changes its type.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
from msgspec import Meta

from .dsp.bands import N_SECTIONS, EqBand

__all__ = [
    "MAX_SAMPLE_RATE",
    "MAX_TEXT",
    "MESSAGE_TYPES",
    "MIN_SAMPLE_RATE",
    "AudioBlock",
    "EqCurve",
    "EqProposal",
    "Error",
    "FeatureVector",
    "GenrePosterior",
    "Message",
    "Meter",
    "RenderMeter",
    "ServiceState",
    "StreamEnded",
    "kind_of",
    "owner_of",
]

MAX_TEXT = 1000
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Labels = Annotated[tuple[Name, ...], Meta(max_length=512)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Finite = Annotated[float, Meta(ge=-1e12, le=1e12)]  # a bound is what keeps NaN out
Level = Annotated[float, Meta(le=1e12)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]
SampleRate = Annotated[int, Meta(ge=MIN_SAMPLE_RATE, le=MAX_SAMPLE_RATE)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Setting = bool | int | Finite | str | None

MAX_CHANNELS = 64
FLOAT32 = np.dtype(np.float32)
GenreState = Literal["genre", "uncertain", "speech", "not_music", "silence", "no_signal"]


class Message(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What all messages have in common.

    Attributes
    ----------
    schema : str
        Kind and version, such as `audio_block/v1`; the kind is the first part of the topic.
    lifespan_ms : int
        The age past which a receiver drops it.
    """

    schema: ClassVar[str] = ""
    lifespan_ms: ClassVar[int] = 1_000

    @property
    def topic(self) -> str:
        """`kind/stream`, or `kind/service` for what belongs to no stream."""
        return f"{kind_of(type(self))}/{getattr(self, owner_of(type(self)))}"


class AudioBlock(Message, frozen=True, kw_only=True, eq=False):
    """Samples that follow each other without a gap.

    Attributes
    ----------
    stream : str
        The stream they belong to.
    sample_rate : int
        Hz.
    start : int
        Index of the first sample since the stream began.
    samples : ndarray of shape (n_channels, n_samples), float32
        Full scale 1.0.
    """

    schema: ClassVar[str] = "audio_block/v1"
    lifespan_ms: ClassVar[int] = 500
    stream: Name
    sample_rate: SampleRate
    start: Count
    samples: np.ndarray

    def __post_init__(self) -> None:
        """Refuse samples that are no block."""
        if self.samples.ndim != 2 or self.samples.dtype != FLOAT32:  # noqa: PLR2004  channels and time
            raise ValueError(f"samples must be float32 with 2 axes, got {self.samples.dtype} {self.samples.shape}")
        if not 1 <= self.samples.shape[0] <= MAX_CHANNELS:
            raise ValueError(f"samples must have 1 to {MAX_CHANNELS} channels, got {self.samples.shape[0]}")

    @property
    def duration_s(self) -> float:
        """The block's length in s."""
        return float(self.samples.shape[1] / self.sample_rate)


class StreamEnded(Message, frozen=True, kw_only=True, eq=False):
    """The source has no more samples; `start` is where the next block would have begun."""

    schema: ClassVar[str] = "stream_ended/v1"
    lifespan_ms: ClassVar[int] = 10_000
    stream: Name
    start: Count


class Meter(Message, frozen=True, kw_only=True, eq=False):
    """Levels of the captured sound since the last meter.

    Attributes
    ----------
    level_db, peak_db : tuple of float
        RMS and sample peak of each channel, dBFS.
    """

    schema: ClassVar[str] = "meter/v1"
    stream: Name
    time_s: Seconds
    level_db: Annotated[tuple[Level, ...], Meta(max_length=MAX_CHANNELS)]
    peak_db: Annotated[tuple[Level, ...], Meta(max_length=MAX_CHANNELS)]


class FeatureVector(Message, frozen=True, kw_only=True, eq=False):
    """What the feature extractor measured over the window that ends at `time_s`.

    Attributes
    ----------
    feature_set : str
        Which features these are, with a version; a model names the set it was trained on.
    features : ndarray of shape (n_features,), float32
    bands_db : ndarray of shape (n_bands,), float32
        Level of each band of the window's spectrum, dB relative to their mean.
    level_db : float
        RMS level of the window, dBFS.
    compute_ms : float
        Computing between the last block that completed the hop and this message.
    hop_compute_ms : float
        The same with that for the hop's earlier blocks.
    """

    schema: ClassVar[str] = "feature_vector/v1"
    stream: Name
    time_s: Seconds
    feature_set: Name
    features: np.ndarray
    bands_db: np.ndarray
    level_db: Level
    compute_ms: Milliseconds
    hop_compute_ms: Milliseconds

    def __post_init__(self) -> None:
        """Refuse what a model could not take."""
        _require_finite_rows(features=self.features, bands_db=self.bands_db)


class GenrePosterior(Message, frozen=True, kw_only=True, eq=False):
    """What the genre model makes of one feature vector.

    Attributes
    ----------
    state : str
        Whether there is a genre to speak of; only `genre` comes with one.
    genre : str or None
        The most probable label, None unless `state` is `genre`.
    confidence : float
        The largest probability.
    posterior : tuple of float
        One probability a label, sum 1; both empty in state `no_signal`.
    skipped : int
        Feature vectors of this stream that were left out because newer ones had come, since the service began.
    compute_ms, hop_compute_ms : float
        Those of the features, with both models added.
    """

    schema: ClassVar[str] = "genre_posterior/v1"
    stream: Name
    time_s: Seconds
    model: Name
    backend: Name
    labels: Labels
    posterior: Annotated[tuple[Probability, ...], Meta(max_length=512)]
    state: GenreState
    genre: Name | None
    confidence: Probability
    skipped: Count
    compute_ms: Milliseconds
    hop_compute_ms: Milliseconds

    def __post_init__(self) -> None:
        """Refuse a posterior that does not fit its labels, and a genre without the state for it."""
        if len(self.posterior) != len(self.labels):
            raise ValueError(f"posterior must have {len(self.labels)} values, got {len(self.posterior)}")
        if (self.genre is not None) != (self.state == "genre"):
            raise ValueError(f"genre must be given exactly in state 'genre', got {self.genre!r} in {self.state!r}")


class EqProposal(Message, frozen=True, kw_only=True, eq=False):
    """What the EQ model would do to the sound of one feature vector.

    Attributes
    ----------
    frequencies_hz, gains_db : tuple of float
        A gain at the centre of each band.
    """

    schema: ClassVar[str] = "eq_proposal/v1"
    stream: Name
    time_s: Seconds
    model: Name
    frequencies_hz: Annotated[tuple[Finite, ...], Meta(max_length=N_SECTIONS)]
    gains_db: Annotated[tuple[Annotated[float, Meta(ge=-24, le=24)], ...], Meta(max_length=N_SECTIONS)]

    def __post_init__(self) -> None:
        """Refuse gains that do not fit their frequencies."""
        if len(self.gains_db) != len(self.frequencies_hz):
            raise ValueError(f"gains_db must have {len(self.frequencies_hz)} values, got {len(self.gains_db)}")


class EqCurve(Message, frozen=True, kw_only=True, eq=False):
    """What the renderer is to do, until the next curve.

    Attributes
    ----------
    strategy : str
        Who decided.
    cause : str
        Why, in words for a person.
    automatic : bool
        Whether the strategy decided by itself; a person's command is followed faster.
    bands : tuple of EqBand
        At most as many as the rack has sections.
    preamp_db : float
        Gain before the bands, never above 0: the headroom that they need.
    compute_ms : float
        All computing between the hop's last block and this curve.
    """

    schema: ClassVar[str] = "eq_curve/v1"
    stream: Name
    time_s: Seconds
    strategy: Name
    cause: Text
    automatic: bool
    bands: Annotated[tuple[EqBand, ...], Meta(max_length=N_SECTIONS)]
    preamp_db: Annotated[float, Meta(ge=-24, le=0)]
    compute_ms: Milliseconds


class RenderMeter(Message, frozen=True, kw_only=True, eq=False):
    """What the renderer did since the last meter.

    Attributes
    ----------
    rendered_samples : int
        Samples a channel handed to the sink since the stream began.
    bands, preamp_db, bypass, gain_db
        What is in force.
    level_db, peak_db : tuple of float
        Levels of each rendered channel, dBFS.
    lost_blocks, late_blocks : int
        Blocks that never came and blocks that came too old to be played, since the service began.
    underruns : int
        Times that the sink ran dry, since it was opened.
    buffer_ms : float
        Sound that waits in the sink.
    render_latency_ms : ndarray of shape (n_blocks,), float32
        For each block, from its capture until it was handed to the sink.
    curve_latency_ms, curve_compute_ms : ndarray of shape (n_curves,), float32
        For each curve, from the capture of the block that completed its hop until it was here, and the computing in it.
    """

    schema: ClassVar[str] = "render_meter/v1"
    stream: Name
    time_s: Seconds
    sink: Text
    rendered_samples: Count
    strategy: Name
    bands: Annotated[tuple[EqBand, ...], Meta(max_length=N_SECTIONS)]
    preamp_db: Finite
    bypass: bool
    gain_db: Finite
    level_db: Annotated[tuple[Level, ...], Meta(max_length=MAX_CHANNELS)]
    peak_db: Annotated[tuple[Level, ...], Meta(max_length=MAX_CHANNELS)]
    lost_blocks: Count
    late_blocks: Count
    underruns: Count
    buffer_ms: Milliseconds
    render_latency_ms: np.ndarray
    curve_latency_ms: np.ndarray
    curve_compute_ms: np.ndarray

    def __post_init__(self) -> None:
        """Refuse latencies that are no rows of numbers."""
        _require_finite_rows(
            render_latency_ms=self.render_latency_ms,
            curve_latency_ms=self.curve_latency_ms,
            curve_compute_ms=self.curve_compute_ms,
        )


class ServiceState(Message, frozen=True, kw_only=True, eq=False):
    """What a service says of itself, on every change and once a second.

    Attributes
    ----------
    state : str
        `ended`: a source that has no more, or a renderer that has rendered the last of it. `failed`: it cannot go on
        and a restart would not help.
    text : str
        One line for a person; empty when all is well.
    settings : dict
        What its owner keeps for the user, and what else is worth showing.
    rev : int
        Counts the changes; of two states of one epoch the larger holds.
    lost, stale, malformed : int
        Messages that never came, came too late, and were none, since the service began.
    """

    schema: ClassVar[str] = "service_state/v1"
    lifespan_ms: ClassVar[int] = 3_000
    service: Name
    pid: Count
    state: Literal["starting", "ready", "waiting", "ended", "failed", "stopped"]
    text: Text
    settings: Annotated[dict[Name, Setting], Meta(max_length=64)]
    rev: Count
    lost: Count
    stale: Count
    malformed: Count


class Error(Message, frozen=True, kw_only=True, eq=False):
    """Something went wrong in a service.

    Attributes
    ----------
    code : str
        Its class, such as `DeviceError`.
    text : str
        What, where, what to do.
    """

    schema: ClassVar[str] = "error/v1"
    lifespan_ms: ClassVar[int] = 10_000
    service: Name
    code: Name
    text: Text


MESSAGE_TYPES: dict[str, type[Message]] = {
    message_type.schema: message_type for message_type in Message.__subclasses__()
}


def _require_finite_rows(**arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        # Python's own sum: in a process that has slept, NumPy's costs three times as much for these few numbers.
        if array.ndim != 1 or array.dtype != FLOAT32 or not math.isfinite(sum(array.tolist())):
            raise ValueError(f"{name} must be finite float32 with 1 axis, got {array.dtype} {array.shape}")


@functools.cache
def kind_of(message_type: type[Message]) -> str:
    """Return the first part of the topic of such messages, such as `audio_block`."""
    return message_type.schema.partition("/")[0]


@functools.cache
def owner_of(message_type: type[Message]) -> str:
    """Return the field that is the last part of the topic of such messages: `stream`, or `service` without one."""
    return "stream" if "stream" in message_type.__struct_fields__ else "service"

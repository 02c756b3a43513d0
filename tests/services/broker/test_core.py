"""Features to a posterior and a proposal, by models of which a test can say what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import examples
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import GENRES

from soundsage.services.broker.core import EqModel, GenreModel, Inference, Loaded, newest_per_stream, no_signal
from soundsage.shared import wire
from soundsage.shared.errors import ModelError
from soundsage.shared.features import BAND_FREQUENCIES_HZ, FEATURE_NAMES, FEATURE_SET
from soundsage.shared.manifest import Gate, Manifest
from soundsage.shared.messages import FeatureVector

FREQUENCIES = ("100", "1000", "10000")
N_VALUES = len(FEATURE_NAMES) + len(BAND_FREQUENCIES_HZ)
OPEN_GATE = {"silence_below_db": -60.0, "not_music_above": 5.0, "uncertain_below": 0.5, "precision": (1.0, 0, 0, 1.0)}

Run = Callable[[np.ndarray], Any]


def loaded(run: Run, task: str = "genre", **told: Any) -> Loaded:
    """Return a model that a function computes, with the first two features for its inputs."""
    inputs = told.pop("inputs", FEATURE_NAMES[:2])
    manifest = Manifest(
        **{
            "name": f"tiny-{task}",
            "version": "1",
            "task": task,
            "onnx": "model.onnx",
            "sha256": "0" * 64,
            "feature_set": FEATURE_SET,
            "inputs": inputs,
            "mean": (0.0,) * len(inputs),
            "scale": (1.0,) * len(inputs),
            "labels": GENRES if task == "genre" else FREQUENCIES,
            **told,
        }
    )
    return Loaded(manifest, run, FEATURE_NAMES, "numpy")


def values(*first: float) -> np.ndarray:
    """Return features and bands, of which the first are these and all others 0."""
    each = np.zeros(N_VALUES)
    each[: len(first)] = first
    return each


def logits(*numbers: float) -> Run:
    """Return a model that always answers these."""
    return lambda _: np.array([numbers], np.float32)


@given(numbers=st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3))
def test_a_posterior_is_the_softmax_of_the_logits(numbers: list[float]) -> None:
    """Any finite logits give probabilities that sum to 1, in the order of the logits."""
    posterior, state = GenreModel(loaded(logits(*numbers))).infer(values(), -20.0)

    weights = np.exp(np.array(numbers) - max(numbers))
    np.testing.assert_allclose(posterior, weights / weights.sum(), rtol=1e-12)
    assert sum(posterior) == pytest.approx(1.0)
    assert state == "genre"


def test_a_temperature_makes_a_model_less_sure() -> None:
    """Logits are divided by it: the odds become their root."""
    cold, _ = GenreModel(loaded(logits(2.0, 0.0, 0.0))).infer(values(), -20.0)
    warm, _ = GenreModel(loaded(logits(2.0, 0.0, 0.0), temperature=2.0)).infer(values(), -20.0)

    assert cold[0] / cold[1] == pytest.approx(math.exp(2.0))
    assert warm[0] / warm[1] == pytest.approx(math.exp(1.0))


def test_inputs_are_picked_by_name_and_scaled() -> None:
    """Each becomes (value - mean) / scale, in the order of the manifest, as float32."""
    seen: list[np.ndarray] = []

    def run(inputs: np.ndarray) -> np.ndarray:
        seen.append(inputs)
        return np.zeros((1, 3), np.float32)

    names = (f"band:{BAND_FREQUENCIES_HZ[0]:.1f}", FEATURE_NAMES[1], FEATURE_NAMES[0])
    each = values(10.0, 20.0)
    each[len(FEATURE_NAMES)] = 30.0
    GenreModel(loaded(run, inputs=names, mean=(0.0, 10.0, 0.0), scale=(1.0, 2.0, 4.0))).infer(each, -20.0)

    assert seen[0].dtype == np.float32
    assert seen[0].tolist() == [[30.0, 5.0, 2.5]]


@pytest.mark.parametrize(
    ("level_db", "first", "numbers", "state"),
    [
        (-20.0, 0.0, (5.0, 0.0, 0.0), "genre"),
        (-61.0, 99.0, (5.0, 0.0, 0.0), "silence"),
        (-20.0, 5.1, (5.0, 0.0, 0.0), "not_music"),
        (-20.0, 4.9, (5.0, 0.0, 0.0), "genre"),
        (-20.0, 0.0, (0.1, 0.0, 0.0), "uncertain"),
        (-math.inf, 0.0, (5.0, 0.0, 0.0), "silence"),
    ],
)
def test_a_gate_says_when_there_is_no_genre(
    level_db: float, first: float, numbers: tuple[float, ...], state: str
) -> None:
    """Silence goes before unlike music, and that before uncertain."""
    model = GenreModel(loaded(logits(*numbers), gate=Gate(**OPEN_GATE)))  # type: ignore[arg-type]

    assert model.infer(values(first), level_db)[1] == state


@given(inputs=st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=2), x=st.floats(-1, 1))
def test_what_lies_farther_than_the_gate_allows_is_not_music(inputs: list[float], x: float) -> None:
    """The distance is Mahalanobis': the root of the quadratic form of the precision, also when that is not diagonal."""
    precision = np.array([[2.0, x], [x, 1.0]])
    distance = math.sqrt(np.array(inputs) @ precision @ np.array(inputs))
    assume(abs(distance - OPEN_GATE["not_music_above"]) > 1e-9)  # type: ignore[operator]
    gate = Gate(**{**OPEN_GATE, "precision": tuple(precision.ravel().tolist())})  # type: ignore[arg-type]
    _, state = GenreModel(loaded(logits(5.0, 0.0, 0.0), gate=gate)).infer(values(*inputs), -20.0)

    assert state == ("not_music" if distance > gate.not_music_above else "genre")


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((1, 2)),
        np.zeros((2, 3)),
        np.zeros(3),
        np.array([[0.0, np.nan, 0.0]]),
        np.array([[0.0, np.inf, 0.0]]),
        [[0.0, 0.0]],
    ],
    ids=["few", "rows", "one axis", "NaN", "infinity", "list"],
)
def test_a_model_that_answers_nonsense_is_refused(answer: Any) -> None:
    """Another shape and what is not finite is an error with the model's name, for both models."""
    for model in (GenreModel(loaded(lambda _: answer)), EqModel(loaded(lambda _: answer, "eq"))):
        with pytest.raises(ModelError, match=model.manifest.name):
            model.run(np.zeros(2))


def test_gains_are_kept_within_the_limit_of_the_manifest() -> None:
    """What a model wants beyond it is clipped."""
    model = EqModel(loaded(logits(99.0, -99.0, 1.5), "eq", limit_db=3.0))

    assert model.infer(values()) == (3.0, -3.0, 1.5)


def test_the_eq_model_may_know_the_posterior() -> None:
    """Its inputs are features, bands and the genre model's probabilities, by name."""
    eq = loaded(
        lambda inputs: np.repeat(inputs, 3, axis=1), "eq", inputs=("posterior:jazz",), mean=(0.0,), scale=(1.0,)
    )
    proposal, _ = Inference(loaded(logits(0.0, 50.0, 0.0)), eq).infer(examples.vector())

    assert proposal.gains_db == pytest.approx((1.0, 1.0, 1.0))
    assert proposal.frequencies_hz == (100.0, 1000.0, 10_000.0)


def test_an_answer_speaks_of_the_vector_that_it_answers() -> None:
    """Stream, time, model, backend and the time that was computed are in it."""
    inference = Inference(loaded(logits(0.0, 50.0, 0.0)), loaded(logits(1.0, 2.0, 3.0), "eq"))
    proposal, make = inference.infer(examples.vector(time_s=7.0, stream="kitchen"))
    posterior = make(5, 0.25)

    assert (proposal.stream, proposal.time_s, proposal.model) == ("kitchen", 7.0, "tiny-eq")
    assert (posterior.stream, posterior.time_s, posterior.model, posterior.backend) == (
        ("kitchen", 7.0, "tiny-genre", "numpy")
    )
    assert (posterior.genre, posterior.state, posterior.labels) == ("jazz", "genre", GENRES)
    assert posterior.confidence == max(posterior.posterior) == pytest.approx(1.0)
    assert (posterior.skipped, posterior.compute_ms, posterior.hop_compute_ms) == (5, 0.35, 0.45)


def test_an_answer_stays_what_it_was_when_the_next_vector_comes() -> None:
    """A posterior may be made after another vector was answered, and speaks of its own."""
    inference = Inference(
        loaded(lambda inputs: np.array([[inputs[0, 0], 0.0, 0.0]], np.float32)),
        loaded(lambda inputs: np.repeat(inputs[:, :1], 3, axis=1), "eq"),
    )
    first, second = (
        inference.infer(examples.vector(features=np.full(len(FEATURE_NAMES), value, np.float32)))
        for value in (2.0, -1.0)
    )

    assert (first[0].gains_db, second[0].gains_db) == ((2.0,) * 3, (-1.0,) * 3)
    assert first[1](0, 0.0).posterior[0] == pytest.approx(math.exp(2.0) / (math.exp(2.0) + 2.0))
    assert second[1](0, 0.0).posterior[0] == pytest.approx(math.exp(-1.0) / (math.exp(-1.0) + 2.0))


def test_without_a_genre_none_is_named() -> None:
    """Only the state genre comes with one, and the probabilities come in any state."""
    inference = Inference(
        loaded(logits(0.0, 50.0, 0.0), gate=Gate(**OPEN_GATE)),  # type: ignore[arg-type]
        loaded(logits(1.0, 2.0, 3.0), "eq"),
    )
    posterior = inference.infer(examples.vector(level_db=-99.0))[1](0, 0.0)

    assert (posterior.state, posterior.genre) == ("silence", None)
    assert len(posterior.posterior) == 3


@settings(max_examples=30)
@given(features=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=80, max_size=80))
def test_any_finite_features_give_messages_that_can_be_sent(features: list[float]) -> None:
    """Extreme features are an answer or a ModelError, and never a message that is none."""
    inference = Inference(
        loaded(lambda inputs: np.repeat(inputs[:, :1], 3, axis=1), gate=Gate(**OPEN_GATE)),  # type: ignore[arg-type]
        loaded(lambda inputs: np.repeat(inputs[:, :1], 3, axis=1), "eq"),
    )
    vector = examples.vector(features=np.array(features, np.float32))
    proposal, make = inference.infer(vector)
    for message in (proposal, make(0, 0.1)):
        assert examples.received(examples.frames_of(message))


@pytest.mark.parametrize(
    ("genre", "eq", "reason"),
    [
        ({"inputs": ("mood", "tempo")}, {}, "inputs of tiny-genre must be known, got mood, tempo"),
        ({"inputs": ("posterior:jazz",)}, {}, "inputs of tiny-genre must be known"),
        ({}, {"inputs": ("posterior:polka",)}, "inputs of tiny-eq must be known"),
        ({"task": "eq"}, {}, "task of tiny-genre must be genre, got eq"),
        ({}, {"task": "genre"}, "task of tiny-eq must be eq, got genre"),
        ({}, {"feature_set": "others/1"}, "feature_set of tiny-eq must be that of tiny-genre"),
    ],
    ids=str,
)
def test_models_that_do_not_fit_each_other_are_refused_when_they_are_loaded(
    genre: dict[str, Any], eq: dict[str, Any], reason: str
) -> None:
    """Unknown inputs, another task and another feature set are said before the first sound."""
    models = [
        loaded(logits(0, 0, 0), **{"task": task, "name": f"tiny-{task}", **told})
        for task, told in (("genre", genre), ("eq", eq))
    ]
    with pytest.raises(ModelError, match=reason):
        Inference(*models)


def test_features_of_another_set_are_refused() -> None:
    """The error says what to set."""
    inference = Inference(loaded(logits(0, 0, 0)), loaded(logits(0, 0, 0), "eq"))
    with pytest.raises(ModelError, match=r"got others/1; set features\.extractor"):
        inference.infer(examples.vector(feature_set="others/1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"features": np.zeros(79, np.float32)},
        {"bands_db": np.zeros(25, np.float32)},
        {"features": np.zeros(79, np.float32), "bands_db": np.zeros(25, np.float32)},
    ],
    ids=["few", "many", "as many in all"],
)
def test_features_of_another_number_are_refused(changes: dict[str, Any]) -> None:
    """Otherwise the bands would be taken for what they are not."""
    inference = Inference(loaded(logits(0, 0, 0)), loaded(logits(0, 0, 0), "eq"))
    with pytest.raises(ModelError, match="must be given"):
        inference.infer(examples.vector(**changes))


def received(message: Any) -> wire.Received:
    """Return the message as it comes from a socket."""
    return examples.received(examples.frames_of(message, t_capture_ns=int(1000 * message.time_s)))


@given(streams=st.lists(st.sampled_from(["a", "b", "c"])))
def test_the_newest_of_each_stream_is_answered_and_all_others_are_counted(streams: list[str]) -> None:
    """What is answered and what is left out is all that came."""
    waiting = [received(examples.vector(time_s=float(i), stream=stream)) for i, stream in enumerate(streams)]
    newest, n_skipped = newest_per_stream([*waiting, received(examples.posterior())])

    assert len(newest) + n_skipped == len(streams)
    last = {stream: float(i) for i, stream in enumerate(streams)}
    assert {vector.stream: vector.time_s for vector, _ in newest} == last
    assert all(isinstance(vector, FeatureVector) for vector, _ in newest)
    assert all(t_capture_ns == int(1000 * vector.time_s) for vector, t_capture_ns in newest)


def test_no_signal_is_a_message_that_names_no_genre() -> None:
    """It has neither labels nor probabilities."""
    message = no_signal("main", 3.0, "tiny-genre", "numpy", 7)

    assert (message.state, message.genre, message.posterior, message.skipped) == ("no_signal", None, (), 7)
    assert examples.received(examples.frames_of(message))

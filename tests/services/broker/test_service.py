"""The broker over real sockets, on ONNX Runtime and on backends of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import examples
import numpy as np
import pytest
from distributions import plugins_with
from models import GENRES, write_model
from wiring import TIMEOUT_S, Stage, next_of

from soundsage.services.broker import models, service
from soundsage.shared.config import BrokerConfig
from soundsage.shared.contracts import BackendRecord, EqModelRecord, GenreModelRecord
from soundsage.shared.errors import ModelError
from soundsage.shared.features import FEATURE_NAMES
from soundsage.shared.messages import EqProposal, Error, FeatureVector, GenrePosterior

FREQUENCIES = ("100", "1000", "10000")
CONFIG = BrokerConfig(genre_model="tiny-genre", eq_model="tiny-eq")


class Computing:
    """A session that a function computes."""

    def __init__(self, compute: Callable[[np.ndarray], Any]) -> None:
        self.run = compute

    def close(self) -> None:
        """Do nothing."""


def zeros(_inputs: np.ndarray) -> np.ndarray:
    """Answer as a model of three outputs may."""
    return np.zeros((1, 3), np.float32)


Answering = Callable[..., None]


@pytest.fixture
def answering(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answering:
    """Return a function that runs the broker on two small models, computed by a function where one is given."""

    def run(compute: Callable[[np.ndarray], Any] | None = None, config: BrokerConfig = CONFIG, **told: Any) -> None:
        genre = write_model(tmp_path / "genre", "genre", GENRES)
        eq = write_model(tmp_path / "eq", "eq", FREQUENCIES, **told)
        backend = BackendRecord(
            name="computing",
            summary="for tests",
            load=lambda _: Computing(compute or zeros),
            is_available=lambda: True,
            priority=99 if compute else -99,
        )
        plugins = plugins_with(
            genre_models=[GenreModelRecord(name="tiny-genre", summary="for tests", manifest=genre)],
            eq_models=[EqModelRecord(name="tiny-eq", summary="for tests", manifest=eq)],
            inference_backends=[backend],
        )
        monkeypatch.setattr(models, "installed_plugins", lambda: plugins)
        stage.run(service.run, broker=config)

    return run


def hot(first: float) -> np.ndarray:
    """Return features of which the first is this."""
    features = np.zeros(len(FEATURE_NAMES), np.float32)
    features[0] = first
    return features


def test_a_vector_is_answered_by_both_models(answering: Answering, stage: Stage) -> None:
    """Proposal and posterior are what ONNX Runtime computes, stamped with the vector's capture."""
    answering()
    stage.answer(examples.vector(), GenrePosterior)
    stage.events.send(examples.vector(time_s=9.0, features=hot(2.0)), t_capture_ns=77)
    proposed, proposal = next_of(stage.heard, EqProposal, lambda each: each.time_s == 9.0)
    answered, posterior = next_of(stage.heard, GenrePosterior, lambda each: each.time_s == 9.0)

    assert proposal.gains_db == (2.0, 0.0, 0.0)
    assert posterior.posterior[0] == pytest.approx(np.exp(2) / (np.exp(2) + 2))
    assert (posterior.backend, posterior.genre) == ("onnxruntime", GENRES[0])
    assert posterior.compute_ms > 0.1
    assert proposed.envelope.t_capture_ns == answered.envelope.t_capture_ns == 77


def test_the_state_names_models_and_backend(answering: Answering, stage: Stage) -> None:
    """Who is asked about the broker can say what runs."""
    answering()
    settings = stage.state("ready", lambda each: bool(each.settings)).settings

    assert settings == {"genre_model": "tiny-genre", "eq_model": "tiny-eq", "backend": "onnxruntime"}


def test_a_slow_model_answers_the_newest_and_counts_all_others(answering: Answering, stage: Stage) -> None:
    """While one vector is computed, 50 more come: each is answered or skipped, and the last is answered."""
    free, computing = threading.Event(), threading.Event()
    free.set()

    def wait(inputs: np.ndarray) -> np.ndarray:
        computing.set()
        free.wait(TIMEOUT_S)
        return zeros(inputs)

    answering(wait)
    stage.answer(examples.vector(time_s=0.0), GenrePosterior)
    stage.events.send(examples.vector(time_s=1.0))
    before = next_of(stage.heard, GenrePosterior, lambda each: each.time_s == 1.0)[1].skipped
    free.clear()
    computing.clear()
    stage.events.send(examples.vector(time_s=2.0))
    assert computing.wait(TIMEOUT_S)
    for i in range(50):
        stage.events.send(examples.vector(time_s=3.0 + i))
    next_of(stage.heard, FeatureVector, lambda each: each.time_s == 52.0)
    free.set()
    answers = [next_of(stage.heard, GenrePosterior)[1]]
    while answers[-1].time_s < 52.0:
        answers.append(next_of(stage.heard, GenrePosterior)[1])

    assert answers[0].time_s == 2.0
    assert len(answers) + answers[-1].skipped - before == 51
    assert answers[-1].skipped > before


def test_a_model_that_fails_is_a_strike_and_then_works(answering: Answering, stage: Stage) -> None:
    """Everybody is told, the state says so until the next answer."""
    answers = iter([np.full((1, 3), np.nan, np.float32), np.zeros((1, 2))])
    answering(lambda inputs: next(answers, zeros(inputs)))
    posterior = stage.answer(examples.vector(), GenrePosterior)

    assert posterior.state == "genre"
    assert stage.ask("broker", "get")["state"] == "ready"


@pytest.mark.parametrize("error", [ModelError("no power"), ValueError("x"), SystemExit(1), MemoryError()], ids=repr)
def test_a_model_is_left_out_after_three_strikes(answering: Answering, stage: Stage, error: BaseException) -> None:
    """It is not asked again, there is one error for each strike, and the service lives."""
    n_asked = 0

    def fail(_inputs: np.ndarray) -> Any:
        nonlocal n_asked
        n_asked += 1
        raise error

    answering(fail)
    last = stage.answer(examples.vector(), Error, lambda each: "strike 3 of 3" in each.text)
    for _ in range(20):
        stage.events.send(examples.vector())
    again = stage.ask("broker", "get")

    assert last.service == "broker"
    assert "strike 3 of 3" in again["text"]
    assert n_asked == 3
    assert not any(isinstance(each.message, Error) for each in stage.heard.pending())


def test_when_nothing_is_heard_that_is_said(
    answering: Answering, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a second without features there is a posterior that says no signal, with the last time, and again."""
    monkeypatch.setattr(service, "NO_SIGNAL_S", 0.1)
    answering()
    silent = next_of(stage.heard, GenrePosterior, lambda each: each.state == "no_signal")[1]
    stage.answer(examples.vector(time_s=5.0), GenrePosterior, lambda each: each.state == "genre")
    later = next_of(stage.heard, GenrePosterior, lambda each: each.state == "no_signal" and each.time_s > 0)[1]

    assert (silent.stream, silent.time_s, silent.labels, silent.genre) == ("main", 0.0, (), None)
    assert (later.time_s, later.model, later.backend) == (5.0, "tiny-genre", "onnxruntime")


def test_no_signal_is_said_after_one_second() -> None:
    """A listener would notice."""
    assert service.NO_SIGNAL_S == 1.0


def test_features_of_another_set_are_said_with_what_to_do(answering: Answering, stage: Stage) -> None:
    """The state says what to set."""
    answering()
    stage.answer(examples.vector(feature_set="others/1"), Error)

    assert "set features.extractor" in stage.state("waiting").text


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (BrokerConfig(genre_model="tiny-gerne", eq_model="tiny-eq"), "did you mean tiny-genre?"),
        (BrokerConfig(genre_model="tiny-genre", eq_model="x"), "got 'x'"),
        (BrokerConfig(genre_model="tiny-genre", eq_model="tiny-eq", backend="npu"), "got 'npu'"),
    ],
    ids=["genre", "eq", "backend"],
)
def test_a_model_that_is_not_installed_is_a_failed_service(
    answering: Answering, stage: Stage, config: BrokerConfig, reason: str
) -> None:
    """The state says what there is."""
    answering(config=config)

    assert reason in stage.state("failed").text


def test_a_model_that_cannot_be_loaded_is_a_failed_service(answering: Answering, stage: Stage, tmp_path: Path) -> None:
    """A manifest that speaks of another file is said with its path."""
    answering(sha256="0" * 64)

    assert f"{tmp_path / 'eq' / 'model.onnx'} must have SHA-256" in stage.state("failed").text


def test_junk_between_vectors_is_counted_and_changes_nothing(answering: Answering, stage: Stage) -> None:
    """The next vector is answered."""
    answering()
    stage.answer(examples.vector(), GenrePosterior)
    stage.events.socket.send_multipart([b"feature_vector/main/", b"junk"])
    stage.events.send(examples.vector(time_s=9.0))

    assert next_of(stage.heard, GenrePosterior, lambda each: each.time_s == 9.0)
    assert stage.state("ready", lambda each: each.malformed == 1)

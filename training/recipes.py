"""From a folder of labelled excerpts to a model in a folder: what the commands run.

Each recipe cross-validates on the feature table, trains on all of it, and writes model, manifest and card.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from soundsage.shared.dsp import GRAPHIC_FREQUENCIES_HZ
from soundsage.shared.errors import InputError
from soundsage.shared.features import FEATURE_NAMES, FEATURE_SET
from soundsage.shared.manifest import Manifest

from .calibrate import distances_of, gate_of, log_posterior, precision_of, temperature_of
from .card import data_of, eq_card, genre_card
from .data import GENRES
from .degrade import LIMIT_DB
from .eq import EQ_INPUTS, EqFit, eq_inputs, fit_eq
from .evaluate import (
    N_FOLDS,
    HeldOut,
    figures_of,
    gate_figures,
    held_out,
    leaking_accuracy,
    permuted_recall,
    recall_of_genres,
    source_disjoint,
    track_log_posterior,
)
from .export import ONNX_NAME, write_model
from .genre import GenreFit, fit_genre
from .network import n_parameters
from .outliers import outlier_features
from .repair import HEARD_HZ, LARGE_DB, EqAnswers, eq_held_out, held_out_posterior, repair_of, repair_of_genres
from .split import artists_of, checksum_of
from .table import FeatureTable, untouched

__all__ = ["train_eq", "train_genre"]

_LICENCE = "Apache-2.0"
_N_OUTLIERS = 300
_NO_SHA256 = "0" * 64

Say = Callable[[str], None]


def train_genre(
    table: FeatureTable, folder: Path, *, seed: int, n_epochs: int | None, licences: str, say: Say
) -> Manifest:
    """Write a genre model of a table, and return its manifest.

    Parameters
    ----------
    table : FeatureTable
    folder : Path
        Where the model goes.
    seed : int
    n_epochs : int or None
        Found by validation unless given.
    licences : str
        What was kept, for the manifest.
    say : callable
        Is told how far it is.
    """
    table_sha256, table = table.sha256, untouched(table)
    answers = held_out(
        table,
        artists_of(table.tracks),
        seed,
        n_epochs=n_epochs,
        progress=lambda done: say(f"fold {done} of {N_FOLDS} done"),
    )
    stop = int(np.median(answers.n_epochs))
    say(f"training on all {len(table.tracks)} tracks for {stop} epochs")
    fit = fit_genre(table, np.arange(len(table.tracks)), seed, n_epochs=stop)
    manifest = _genre_manifest(table, fit, answers)
    say("checking the protocol")
    metrics = _genre_metrics(table, answers, manifest, fit, seed=seed, n_epochs=n_epochs)
    data = _data(table, answers, table_sha256, licences, seed)
    manifest = msgspec.structs.replace(manifest, data=data, metrics=metrics)
    return write_model(folder, manifest, fit.layers, genre_card(data, metrics))


def train_eq(
    table: FeatureTable, folder: Path, *, seed: int, n_epochs: int | None, licences: str, say: Say
) -> Manifest:
    """Write an EQ model of a table, and return its manifest.

    Parameters
    ----------
    table : FeatureTable
        With untouched and equalised rows.
    folder : Path
        Where the model goes.
    seed : int
    n_epochs : int or None
        Found by validation unless given.
    licences : str
        What was kept, for the manifest.
    say : callable
        Is told how far it is.

    Raises
    ------
    InputError
        If the table has no equalised rows.
    """
    if table.is_untouched.all():
        raise InputError("table must have equalised rows, got none; make it again with `soundsage train features`")
    say("recognising genres without hearing the artist")
    genres = held_out(table, artists_of(table.tracks), seed, n_epochs=n_epochs)
    answers = eq_held_out(
        table, genres, seed, n_epochs=n_epochs, progress=lambda done: say(f"fold {done} of {N_FOLDS} done")
    )
    stop = int(np.median(answers.n_epochs))
    say(f"training on all {len(table.tracks)} tracks for {stop} epochs")
    inputs = eq_inputs(table, held_out_posterior(table, genres))
    fit = fit_eq(table, inputs, np.arange(len(table.tracks)), seed, n_epochs=stop)
    data = _data(table, genres, table.sha256, licences, seed)
    metrics = _eq_metrics(table, answers, fit)
    manifest = msgspec.structs.replace(_eq_manifest(fit), data=data, metrics=metrics)
    return write_model(folder, manifest, fit.layers, eq_card(data, metrics))


def _data(table: FeatureTable, answers: HeldOut, table_sha256: str, licences: str, seed: int) -> dict[str, Any]:
    return data_of(
        table.tracks,
        table_sha256=table_sha256,
        split_sha256=checksum_of(table.tracks, answers.folds),
        licences_kept=licences,
        seed=seed,
    )


def _eq_manifest(fit: EqFit) -> Manifest:
    return Manifest(
        name="soundsage-eq",
        version=version("soundsage"),
        task="eq",
        onnx=ONNX_NAME,
        sha256=_NO_SHA256,
        feature_set=FEATURE_SET,
        inputs=EQ_INPUTS,
        mean=tuple(fit.mean.tolist()),
        scale=tuple(fit.scale.tolist()),
        labels=tuple(f"{frequency_hz:g}" for frequency_hz in GRAPHIC_FREQUENCIES_HZ),
        limit_db=LIMIT_DB,
        licence=_LICENCE,
    )


def _eq_metrics(table: FeatureTable, answers: EqAnswers, fit: EqFit) -> dict[str, Any]:
    return {
        "protocol": f"{N_FOLDS}-fold cross-validation, artists disjoint, intervals by bootstrap over artists; dB",
        "n_inputs": len(EQ_INPUTS),
        "n_bands": len(GRAPHIC_FREQUENCIES_HZ),
        "n_parameters": n_parameters(fit.layers),
        "n_epochs": fit.n_epochs,
        "n_epochs_of_folds": list(answers.n_epochs),
        "heard_hz": list(HEARD_HZ),
        "methods": {name: repair_of(table, gains_db) for name, gains_db in answers.gains_db.items()},
        "large": {name: repair_of(table, gains_db, LARGE_DB) for name, gains_db in answers.gains_db.items()},
        "genres": repair_of_genres(table, answers.gains_db["model"]),
    }


def _genre_manifest(table: FeatureTable, fit: GenreFit, answers: HeldOut) -> Manifest:
    temperature = temperature_of(answers.logits, table.label_of_row)
    precision = precision_of(fit.scaled(table.features))
    return Manifest(
        name="soundsage-genre",
        version=version("soundsage"),
        task="genre",
        onnx=ONNX_NAME,
        sha256=_NO_SHA256,
        feature_set=FEATURE_SET,
        inputs=tuple(FEATURE_NAMES[index] for index in fit.selected),
        mean=tuple(fit.mean.tolist()),
        scale=tuple(fit.scale.tolist()),
        labels=GENRES,
        temperature=temperature,
        gate=gate_of(answers.logits, table.label_of_row, temperature, answers.distances, precision),
        licence=_LICENCE,
    )


def _genre_metrics(
    table: FeatureTable, answers: HeldOut, manifest: Manifest, fit: GenreFit, *, seed: int, n_epochs: int | None
) -> dict[str, Any]:
    artists = artists_of(table.tracks)
    artist_of_row = [artists[track] for track in table.track_of_row]
    tracks = track_log_posterior(table, answers.log_posterior)
    counts = np.bincount(table.label_of_track, minlength=len(GENRES))
    return {
        "protocol": f"{N_FOLDS}-fold cross-validation, artists disjoint, intervals by bootstrap over artists",
        "n_inputs": len(fit.selected),
        "n_parameters": n_parameters(fit.layers),
        "n_folds": N_FOLDS,
        "n_epochs": fit.n_epochs,
        "n_epochs_of_folds": list(answers.n_epochs),
        "tracks": figures_of(tracks, table.label_of_track, artists),
        "windows": figures_of(answers.log_posterior, table.label_of_row, artist_of_row),
        "genres": recall_of_genres(tracks, table.label_of_track, artists),
        "majority_genre": GENRES[int(counts.argmax())],
        "majority_accuracy": round(float(counts.max() / counts.sum()), 3),
        "permuted_mean_recall": permuted_recall(table, seed),
        "source_disjoint": source_disjoint(table, seed, n_epochs),
        "leaking": leaking_accuracy(table, seed, fit.n_epochs),
        **gate_figures(table, answers),
        "outliers_as_genre": _outliers_as_genre(fit, manifest, seed + 1),
    }


def _outliers_as_genre(fit: GenreFit, manifest: Manifest, seed: int) -> float:
    """Return the share of new noises, tones and hums that the shipped model gives a genre."""
    gate = manifest.gate
    if gate is None:
        raise ValueError("manifest must have a gate, got none")
    features = outlier_features(_N_OUTLIERS, seed)
    precision = np.array(gate.precision).reshape(len(fit.selected), -1)
    is_near = distances_of(fit.scaled(features), precision) <= gate.not_music_above
    posterior = np.exp(log_posterior(fit.logits(features), manifest.temperature))
    return round(float(np.mean(is_near & (posterior.max(axis=1) >= gate.uncertain_below))), 3)

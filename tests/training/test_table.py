"""Feature tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from soundsage.shared.errors import InputError
from soundsage.shared.features import windows_of
from soundsage.training.data import decoded, read_index
from soundsage.training.table import FeatureTable, load_table, save_table, subset, table_of, untouched


def test_untouched_rows_are_the_kernels_own(folder: Path) -> None:
    """A table holds what a live stream of the file would have said, every two seconds."""
    tracks = read_index(folder)
    table = table_of(folder, tracks[:1], n_equalised=0)
    windows = windows_of(*decoded(folder, tracks[0]))

    np.testing.assert_array_equal(table.features, [windows[0].features, windows[86].features])
    assert table.is_untouched.all()


def test_tracks_shorter_than_a_window_are_left_out(folder: Path) -> None:
    """The click of one second has no row and no place among the tracks."""
    table = table_of(folder, read_index(folder), n_equalised=1)

    assert [track.file for track in table.tracks] == ["a.wav", "b.wav"]
    assert table.track_of_row.tolist() == [0, 0, 0, 1, 1, 1]
    assert table.is_untouched.tolist() == [True, True, False] * 2


def test_the_same_seed_gives_the_same_table(folder: Path) -> None:
    """Places and curves depend on the seed alone."""
    tables = [table_of(folder, read_index(folder), n_equalised=2, seed=seed) for seed in (440, 440, 441)]

    assert tables[0].sha256 == tables[1].sha256 != tables[2].sha256


def test_an_equalisation_shows_in_the_band_levels(folder: Path) -> None:
    """White noise through a curve has the curve in its bands, compared with itself untouched."""
    table = table_of(folder, read_index(folder)[:1], n_equalised=8)
    touched = ~table.is_untouched
    # Octaves 125 Hz to 4 kHz lie at every third band from the sixth on; noise varies by under 1 dB in each.
    change_db = (table.bands_db[touched] - table.bands_db[~touched].mean(axis=0))[:, 5::3][:, :6]
    gains_db = table.gains_db[touched][:, 2:8]
    correlation = np.corrcoef(
        (change_db - change_db.mean(axis=1, keepdims=True)).ravel(),
        (gains_db - gains_db.mean(axis=1, keepdims=True)).ravel(),
    )[0, 1]

    assert correlation > 0.9


def test_a_table_survives_its_file(excerpts: FeatureTable, tmp_path: Path) -> None:
    """What is saved is what is loaded, to the last bit."""
    save_table(excerpts, tmp_path / "table.npz")

    assert load_table(tmp_path / "table.npz").sha256 == excerpts.sha256


@pytest.mark.parametrize("contents", [None, b"", b"no table"])
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path: Path, contents: bytes | None) -> None:
    """Missing, empty and foreign files are each an error that names the file."""
    file = tmp_path / "table.npz"
    if contents is not None:
        file.write_bytes(contents)

    with pytest.raises(InputError, match=r"table\.npz cannot be read") as caught:
        load_table(file)
    assert "\n" not in str(caught.value)


def test_a_table_of_other_features_is_refused(tmp_path: Path) -> None:
    """Features of another set would be read as ours."""
    np.savez(tmp_path / "table.npz", feature_set=np.array("other/v1"))

    with pytest.raises(InputError, match="must hold soundsage-80/v1, got other/v1"):
        load_table(tmp_path / "table.npz")


def test_parts_that_do_not_fit_are_refused(excerpts: FeatureTable) -> None:
    """A table with a column too few, or with a number that is none, is no table."""
    with pytest.raises(ValueError, match="features must be finite of shape"):
        dataclasses.replace(excerpts, features=excerpts.features[:, :79])
    with pytest.raises(ValueError, match="bands_db must be finite"):
        dataclasses.replace(excerpts, bands_db=excerpts.bands_db * np.nan)


def test_a_subset_keeps_the_rows_of_its_tracks(excerpts: FeatureTable) -> None:
    """Rows still belong to the track that they came from."""
    jazz = subset(excerpts, lambda track: track.genre == "Jazz")
    rows = excerpts.label_of_row == 5

    assert {track.genre for track in jazz.tracks} == {"Jazz"}
    np.testing.assert_array_equal(jazz.features, excerpts.features[rows])
    np.testing.assert_array_equal(jazz.label_of_row, excerpts.label_of_row[rows])


def test_every_track_of_the_excerpts_names_artist_licence_and_source(excerpts: FeatureTable) -> None:
    """The table that comes with the project says whose music it was made from."""
    assert len(excerpts.tracks) == len({track.file for track in excerpts.tracks})
    assert all(track.artist and track.licence and track.source for track in excerpts.tracks)
    assert untouched(excerpts).is_untouched.all()
    assert not excerpts.is_untouched.all()

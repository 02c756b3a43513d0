"""Indices of labelled excerpts."""

from __future__ import annotations

from pathlib import Path

import pytest

from soundsage.shared.errors import InputError
from soundsage.training.data import LICENCES, Track, artist_key, decoded, read_index, source_key, with_licences

HEADER = "file,genre,artist,licence,source,licence_evidence\n"


def track(licence: str, evidence: str = "") -> Track:
    """Return a track with this licence."""
    return Track("a.wav", "Rock", "artist", licence, "source", evidence)


def test_tracks_come_in_the_order_of_their_files(tmp_path: Path) -> None:
    """The order of the index does not matter, so that it cannot change a model."""
    rows = ["b.wav,Rock,B,CC0,s,\n", "a.wav,Jazz,A,CC BY 4.0,t,file tag\n"]
    (tmp_path / "index.csv").write_text(HEADER + "".join(rows))

    assert [track.file for track in read_index(tmp_path)] == ["a.wav", "b.wav"]
    assert read_index(tmp_path)[0] == Track("a.wav", "Jazz", "A", "CC BY 4.0", "t", "file tag")


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (None, "cannot be read"),
        ("", "at least one row"),
        (HEADER, "at least one row"),
        ("file,genre\na.wav,Rock\n", "a.wav without artist"),
        (HEADER + "a.wav,Rock,,CC0,s,\n", "a.wav without artist"),
        (HEADER + "a.wav,Polka,A,CC0,s,\n", "must be one of Classical"),
    ],
)
def test_an_index_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, contents: str | None, reason: str) -> None:
    """Missing, empty and incomplete indices and unknown genres are each an error that says what to do."""
    if contents is not None:
        (tmp_path / "index.csv").write_text(contents)

    with pytest.raises(InputError, match=reason) as caught:
        read_index(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("licence", "evidence", "kept"),
    [
        ("CC0", "repository", {"all", "confirmed", "commercial"}),
        ("CC BY-SA 4.0", "copyright entry NOT opened", {"all"}),
        ("CC BY 3.0", "list (to be rechecked before redistribution)", {"all"}),
        ("CC BY-NC 3.0", "file tag", {"all", "confirmed"}),
        ("Attribution-NonCommercial-ShareAlike", "file tag", {"all", "confirmed"}),
        ("CC (file tag)", "file tag", {"all", "confirmed"}),
    ],
)
def test_a_licence_is_kept_only_where_it_is_good_enough(licence: str, evidence: str, kept: set[str]) -> None:
    """Unconfirmed licences fall with `confirmed`, those that forbid commerce or do not say with `commercial`."""
    tracks = (track("CC0"), track(licence, evidence))

    assert {choice for choice in LICENCES if tracks[1] in with_licences(tracks, choice)} == kept


def test_no_track_left_is_an_error() -> None:
    """A filter that leaves nothing is refused, and so is an unknown one."""
    with pytest.raises(InputError, match="at least one"):
        with_licences([track("CC BY-NC 3.0")], "commercial")
    with pytest.raises(InputError, match="must be one of"):
        with_licences([track("CC0")], "free")


@pytest.mark.parametrize(
    ("one", "other"), [("Jason Shaw", "Jason Shaw (audionautix)"), ("AWOL", "Awol"), ("A  B", "A B")]
)
def test_spellings_of_one_artist_have_one_key(one: str, other: str) -> None:
    """An artist in two spellings would be in training and test."""
    assert artist_key(one) == artist_key(other)


def test_names_in_brackets_stay_apart() -> None:
    """A name that is all bracket is not shortened to nothing."""
    assert artist_key("(one loop)") != artist_key("(another loop)")


def test_a_collection_is_what_stands_before_the_path() -> None:
    """Two files of one package have one key."""
    assert source_key("Debian package p:usr/a.ogg") == source_key("Debian package p:usr/b.ogg") != source_key("q:a")


def test_a_track_is_decoded_whole(folder: Path) -> None:
    """All samples of the file come back, channels first."""
    samples, sample_rate = decoded(folder, read_index(folder)[0])

    assert (samples.shape, str(samples.dtype), sample_rate) == ((1, 5 * 22_050), "float32", 22_050)

"""Sources and sinks as people name them."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from soundsage.shared.errors import InputError
from soundsage.shared.spec import NoOptions, Spec, options_of, parse_spec


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options as a plugin has them."""

    loop: bool = False
    level_db: Annotated[float, Meta(ge=-120, le=0)] = -20.0


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("null", Spec("null", "", {})),
        ("tone:440", Spec("tone", "440", {})),
        ("tone?level_db=-30", Spec("tone", "", {"level_db": "-30"})),
        ("tone:?level_db=-30", Spec("tone", "", {"level_db": "-30"})),
        ("file:/music/a b.flac?loop=true", Spec("file", "/music/a b.flac", {"loop": "true"})),
        ("file:what?.ogg", Spec("file", "what?.ogg", {})),
        ("file:what?.ogg?loop=true&x=", Spec("file", "what?.ogg", {"loop": "true", "x": ""})),
        ("device:hw:0,0", Spec("device", "hw:0,0", {})),
        ("file:C:/a.wav", Spec("file", "C:/a.wav", {})),
        ("", Spec("", "", {})),
        ("file:ünïcode.wav", Spec("file", "ünïcode.wav", {})),
    ],
    ids=str,
)
def test_a_specification_has_name_target_and_options(text: str, spec: Spec) -> None:
    """A colon begins the target, and a question mark the options where they read so."""
    assert parse_spec(text) == spec


@given(text=st.text())
def test_any_text_is_a_specification(text: str) -> None:
    """Whatever a person writes, it has a name that the plugins are asked for."""
    spec = parse_spec(text)

    assert text.startswith(spec.name)


@given(path=st.text(st.characters(exclude_characters="?"), min_size=1))
def test_a_path_without_a_question_mark_is_the_target(path: str) -> None:
    """Nothing in a file's name is changed."""
    assert parse_spec(f"file:{path}") == Spec("file", path, {})


def test_options_have_the_types_of_the_plugin() -> None:
    """Texts become what the plugin's struct says."""
    assert options_of(parse_spec("file:a?loop=true&level_db=-3"), Options) == Options(loop=True, level_db=-3.0)
    assert options_of(parse_spec("file:a"), Options) == Options()


@pytest.mark.parametrize("query", ["lop=true", "loop=perhaps", "loop=", "level_db=1", "level_db=nan", "level_db=-inf"])
def test_options_that_cannot_be_are_refused(query: str) -> None:
    """An unknown option, another type and a value out of range are said with the plugin's name."""
    with pytest.raises(InputError, match="soundsage plugins info file"):
        options_of(parse_spec(f"file:a?{query}"), Options)


def test_a_plugin_without_options_takes_none() -> None:
    """Any option of a plugin that has none is unknown."""
    assert options_of(parse_spec("null"), NoOptions) == NoOptions()
    with pytest.raises(InputError, match="null options"):
        options_of(parse_spec("null?loop=true"), NoOptions)

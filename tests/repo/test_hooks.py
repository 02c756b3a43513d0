"""Every hook is documented with its signature, and a plugin that implements all of them is found by each."""

from __future__ import annotations

import inspect
import json
import re
import subprocess

import pytest

from soundsage.shared.hookspecs import KINDS, Hooks

EVERYTHING = """
from pathlib import Path

import click

from soundsage.shared import contracts
from soundsage.shared.hookspecs import hookimpl

SAID = {"name": "stranger", "summary": "one of each kind"}


def nothing(*_):
    raise AssertionError("a record is only listed")


@hookimpl
def soundsage_sources():
    return [contracts.SourceRecord(**SAID, open=nothing, check=nothing)]


@hookimpl
def soundsage_sinks():
    return [contracts.SinkRecord(**SAID, open=nothing, check=nothing)]


@hookimpl
def soundsage_feature_extractors():
    return [contracts.ExtractorRecord(**SAID, feature_set="stranger-1", feature_names=("loudness",), make=nothing)]


@hookimpl
def soundsage_genre_models():
    return [contracts.GenreModelRecord(**SAID, manifest=Path("genre.json"))]


@hookimpl
def soundsage_eq_models():
    return [contracts.EqModelRecord(**SAID, manifest=Path("eq.json"))]


@hookimpl
def soundsage_eq_strategies():
    return [contracts.StrategyRecord(**SAID, make=nothing)]


@hookimpl
def soundsage_effects():
    return [contracts.EffectRecord(**SAID, prepare=nothing)]


@hookimpl
def soundsage_effect_chains():
    return [contracts.Chain(**SAID, steps=())]


@hookimpl
def soundsage_inference_backends():
    return [contracts.BackendRecord(**SAID, load=nothing, is_available=nothing)]


@hookimpl
def soundsage_monitors():
    return [contracts.MonitorRecord(**SAID, open=nothing)]


@hookimpl
def soundsage_commands():
    return [click.Command("stranger", help="One of each kind.")]
"""


def _signature(hook: str) -> str:
    """Return a hook as the page writes it."""
    parameters = str(inspect.signature(getattr(Hooks, hook))).replace("(self)", "()").replace("(self, ", "(")
    return hook + re.sub(r"\b(contracts|click)\.|'", "", parameters)


def _singular(kind: str) -> str:
    """Return what one plugin of a kind is called."""
    return f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("s")


@pytest.fixture(scope="module")
def page(root):
    """Return the page on plugins."""
    return (root / "plugins" / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_is_documented_with_its_signature(page, kind):
    """Every hook has a row with its signature."""
    assert f"\n| `{_signature(f'soundsage_{kind}')}` |" in page


def test_no_hook_is_documented_that_does_not_exist(page):
    """No hook is documented that does not exist."""
    assert re.findall(r"^\| `soundsage_(\w+)\(", page, re.MULTILINE) == list(KINDS)


def test_every_hook_finds_what_a_stranger_installed(private_home, install_module):
    """A plugin that implements every hook is listed with one record of each kind, and nothing fails."""
    install_module("everything", EVERYTHING)
    done = subprocess.run(
        ["soundsage", "plugins", "list", "--json"], capture_output=True, text=True, check=True, env=private_home
    )
    found = json.loads(done.stdout)
    strangers = [each for each in found["plugins"] if each["name"] == "stranger"]

    assert [each["kind"] for each in strangers] == [_singular(kind) for kind in KINDS]
    assert {each["distribution"] for each in strangers if each["kind"] != "command"} == {"soundsage-everything 0.1"}
    assert found["failures"] == {}


def test_every_built_in_plugin_is_named_on_the_page(page, private_home):
    """The page names exactly the plugins that come with the package; commands are named by their recipes."""
    done = subprocess.run(
        ["soundsage", "plugins", "list", "--json"], capture_output=True, text=True, check=True, env=private_home
    )
    installed = {
        (each["kind"], each["name"])
        for each in json.loads(done.stdout)["plugins"]
        if each["distribution"].startswith("soundsage ")
    }
    rows = re.findall(r"^\| `soundsage_(\w+)\(.*\| (.*?) \|$", page, re.MULTILINE)

    assert installed == {
        (_singular(kind), name) for kind, cell in rows if kind != "commands" for name in re.findall(r"`([^`]+)`", cell)
    }

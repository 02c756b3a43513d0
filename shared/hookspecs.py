"""The hooks that a plugin may implement, each in the entry-point group `soundsage.plugins`.

Each is called once per process and returns records; what a record makes is described in `soundsage.shared.contracts`.
"""

from __future__ import annotations

from typing import Protocol

import click
import pluggy

from . import contracts

__all__ = ["KINDS", "Hooks", "hookimpl"]

hookspec = pluggy.HookspecMarker("soundsage")
hookimpl = pluggy.HookimplMarker("soundsage")


class Hooks(Protocol):
    """What the core asks of its plugins."""

    @hookspec
    def soundsage_sources(self) -> list[contracts.SourceRecord]:
        """Return sources: where sound comes from."""

    @hookspec
    def soundsage_sinks(self) -> list[contracts.SinkRecord]:
        """Return sinks: where sound goes."""

    @hookspec
    def soundsage_feature_extractors(self) -> list[contracts.ExtractorRecord]:
        """Return feature extractors: what models hear."""

    @hookspec
    def soundsage_genre_models(self) -> list[contracts.GenreModelRecord]:
        """Return genre models: features to posterior."""

    @hookspec
    def soundsage_eq_models(self) -> list[contracts.EqModelRecord]:
        """Return EQ models: features, band spectrum and posterior to gains."""

    @hookspec
    def soundsage_eq_strategies(self) -> list[contracts.StrategyRecord]:
        """Return EQ strategies: posterior, features and proposal to a curve."""

    @hookspec
    def soundsage_effects(self) -> list[contracts.EffectRecord]:
        """Return effects: what the renderer may do besides the EQ."""

    @hookspec
    def soundsage_effect_chains(self) -> list[contracts.Chain]:
        """Return chains: an order of effects under a name."""

    @hookspec
    def soundsage_inference_backends(self) -> list[contracts.BackendRecord]:
        """Return backends: what models run on."""

    @hookspec
    def soundsage_monitors(self) -> list[contracts.MonitorRecord]:
        """Return monitors: who watches the bus."""

    @hookspec
    def soundsage_commands(self) -> list[click.Command]:
        """Return commands that join the command line."""


KINDS = tuple(name.removeprefix("soundsage_") for name in vars(Hooks) if name.startswith("soundsage_"))

"""Find the effects of the configured chain, and prepare them for a format."""

from __future__ import annotations

from soundsage.shared.contracts import Chain, ChainStep, Effect, EffectRecord
from soundsage.shared.plugins import guarded, installed_plugins

from .core import GuardedEffect

__all__ = ["effects_of"]


def effects_of(chain: str, sample_rate: int, n_channels: int, max_block: int) -> tuple[GuardedEffect, ...]:
    """Return the effects of a chain in their order; none when the chain has no name.

    Raises
    ------
    InputError
        If the chain or one of its effects is not installed.
    PluginError
        If an effect cannot be prepared.
    """
    if not chain:
        return ()
    steps = installed_plugins().find("effect_chains", Chain, chain).steps
    return tuple(
        GuardedEffect(step.effect, _prepared(step, sample_rate, n_channels, max_block), (n_channels, max_block))
        for step in steps
    )


def _prepared(step: ChainStep, sample_rate: int, n_channels: int, max_block: int) -> Effect:
    record = installed_plugins().find("effects", EffectRecord, step.effect)
    effect = guarded(f"effect {step.effect}", record.prepare, sample_rate, n_channels, max_block)
    guarded(f"effect {step.effect}", effect.set_params, **step.params)
    return effect

"""Strategies that misbehave in every way, installed for child processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from distributions import write_distribution

EVIL = """
    import ctypes, math, os, sys, time
    import numpy as np
    from soundsage.shared.contracts import Decision, StrategyRecord
    from soundsage.shared.dsp import EqBand
    from soundsage.shared.hookspecs import hookimpl

    UP = (EqBand("peaking", 1000.0, 6.0, 1.0),)

    def unchecked(**fields):
        band = EqBand("peaking", 1000.0, 1.0, 1.0)
        for name, value in fields.items():
            import msgspec
            msgspec.structs.force_setattr(band, name, value)
        return band

    def cut(text):
        print(text, flush=True)
        return Decision(UP, text)

    WAYS = {
        "up": lambda: Decision(UP, "up"),
        "numpy": lambda: Decision((EqBand("peaking", np.float64(1000), np.float32(3), np.float64(1)),), "numpy"),
        "list": lambda: Decision(list(UP), "a list"),
        "prints": lambda: cut("to standard output"),
        "raises": lambda: 1 / 0,
        "exits": lambda: sys.exit(3),
        "ends": lambda: (_ for _ in ()).throw(EOFError()),
        "none": lambda: None,
        "text": lambda: "flat",
        "no band": lambda: Decision(("peaking",), "x"),
        "NaN": lambda: Decision((unchecked(gain_db=math.nan),), "x"),
        "loud": lambda: Decision((unchecked(gain_db=60.0),), "x"),
        "infinite": lambda: Decision((unchecked(frequency_hz=math.inf),), "x"),
        "kind": lambda: Decision((unchecked(kind="notch"),), "x"),
        "17 bands": lambda: Decision(UP * 17, "x"),
        "no cause": lambda: Decision(UP, None),
        "long cause": lambda: Decision(UP, "x" * 1001),
        "megabytes": lambda: Decision(UP, "x" * (4 << 20)),
        "huge number": lambda: Decision(UP, 2**70),
        "nested": lambda: Decision(nest(), "x"),
        "generator": lambda: Decision((band for band in UP), "x"),
        "hangs": lambda: time.sleep(1000),
        "spins": lambda: spin(),
        "dies": lambda: os._exit(3),
        "crashes": lambda: ctypes.string_at(0),
    }

    def repeated(vector):
        return vector and vector.features.tobytes().hex()

    def nest():
        inner = []
        inner.append(inner)
        return inner

    def spin():
        while True:
            pass

    class Evil:
        def decide(self, context):
            if context.posterior.model == "repeats":
                return Decision(UP, f"{repeated(context.features)} {context.proposal and context.proposal.gains_db}")
            return WAYS[context.posterior.model]()

    class Slow:
        def __init__(self):
            time.sleep(1000)

    class Broken:
        def __init__(self):
            raise RuntimeError("cannot be made")

    @hookimpl
    def soundsage_eq_strategies():
        return [
            StrategyRecord(name="evil", summary="as the posterior's model says", make=Evil),
            StrategyRecord(name="slow-to-start", summary="never ready", make=Slow),
            StrategyRecord(name="broken", summary="cannot be made", make=Broken),
        ]
"""


@pytest.fixture(autouse=True)
def _evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let child processes find the strategies, and leave no process behind."""
    write_distribution(tmp_path, "testers", {"strategy_evil": EVIL})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield
    assert not psutil.Process().children()

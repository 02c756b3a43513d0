"""Plugins that hurt nobody but themselves."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from distributions import write_distribution

from soundsage.shared.contracts import EffectRecord, SinkRecord, StrategyRecord
from soundsage.shared.errors import DeviceError, EndOfStream, InputError, PluginError
from soundsage.shared.plugins import MAX_STRIKES, Guard, Plugins, guarded, installed_plugins

GOOD = """
    from soundsage.shared.contracts import StrategyRecord
    from soundsage.shared.hookspecs import hookimpl

    @hookimpl
    def soundsage_eq_strategies():
        return [StrategyRecord(name="{name}", summary="for a test", make=object)]
"""
HEAD = """
    from soundsage.shared.contracts import *
    from soundsage.shared.contracts import EqStrategy
    from soundsage.shared.hookspecs import hookimpl
    import sys

    @hookimpl
    def soundsage_eq_strategies():
        {body}
"""

Installed = Callable[..., Plugins]


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installed]:
    """Return a function that installs modules, each as a plugin, and finds them."""
    before = set(sys.modules)
    sys.path.insert(0, str(tmp_path))

    def find(*, metadata: bool = True, **modules: str) -> Plugins:
        write_distribution(tmp_path, "testers", modules, metadata=metadata)
        (found,) = distributions(path=[str(tmp_path)])
        return Plugins(tuple(found.entry_points))

    yield find
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def names(plugins: Plugins) -> list[str]:
    """Return the names of the strategies that were found."""
    return [record.name for record in plugins.records("eq_strategies", StrategyRecord)]


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('at import')",
        "raise SystemExit(3)",
        "raise EOFError",
        "raise GeneratorExit",
        "import a_library_that_is_not_there",
        "def broken(:",
        "1 / 0",
    ],
)
def test_a_plugin_that_cannot_be_imported_is_left_out_by_name(
    installed: Installed, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    """Whatever its module raises, it is named once, and the others are there."""
    with caplog.at_level(logging.ERROR):
        plugins = installed(bad_plugin=source, good_plugin=GOOD.format(name="good"))

    assert names(plugins) == ["good"]
    assert list(plugins.failures) == ["bad-plugin"]
    assert plugins.failures["bad-plugin"].startswith("plugin bad-plugin at import raised ")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('in the hook')",
        "sys.exit()",
        "raise EOFError",
        "return None",
        "return StrategyRecord(name='bad', summary='', make=object)",
        "return (StrategyRecord(name='bad', summary='', make=object),)",
        "return ['bad']",
        "return [StrategyRecord]",
        "return [Chain(name='bad', summary='', steps=())]",
        "return [StrategyRecord(name=None, summary='', make=object)]",
        "return [StrategyRecord(name=['bad'], summary='', make=object)]",
        "return [StrategyRecord(name='bad')]",
        "return [StrategyRecord(name='bad', summary='', api='0', make=object)]",
        "return [StrategyRecord(name='bad', summary='', api=None, make=object)]",
        "yield StrategyRecord(name='bad', summary='', make=object)",
        "return [type('Bad', (), {'__repr__': lambda _: 1 / 0})()]",
    ],
)
def test_a_hook_that_answers_nonsense_is_left_out_by_name(installed: Installed, body: str) -> None:
    """Whatever it raises or returns, it is named with its hook, and the others are there."""
    plugins = installed(bad_plugin=HEAD.format(body=body), good_plugin=GOOD.format(name="good"))

    assert names(plugins) == ["good"]
    assert "soundsage_eq_strategies" in plugins.failures["bad-plugin"] or "API" in plugins.failures["bad-plugin"]


def test_a_plugin_of_another_api_is_told_to_be_updated(installed: Installed) -> None:
    """It may be older or newer than the core."""
    body = "return [StrategyRecord(name='bad', summary='', api='2', make=object)]"
    plugins = installed(bad_plugin=HEAD.format(body=body))
    assert names(plugins) == []

    assert plugins.failures["bad-plugin"] == "plugin bad-plugin must be written for API 1, got 2; update it"


def test_a_hook_with_other_parameters_is_left_out_with_all_of_its_plugin(installed: Installed) -> None:
    """A plugin that does not fit is left out whole, and not by half."""
    source = (
        HEAD.format(body="return [StrategyRecord(name='bad', summary='', make=object)]")
        + """
    @hookimpl
    def soundsage_sinks(unheard_of):
        return []
"""
    )
    plugins = installed(bad_plugin=source, good_plugin=GOOD.format(name="good"))

    assert names(plugins) == ["good"]
    assert "at registration" in plugins.failures["bad-plugin"]
    assert plugins.records("sinks", SinkRecord) == []


def test_a_plugin_that_implements_no_hook_is_none(installed: Installed) -> None:
    """A module without hooks offers nothing and fails nowhere."""
    plugins = installed(empty_plugin="")

    assert names(plugins) == []
    assert plugins.failures == {}


def test_of_two_plugins_of_one_name_the_first_holds(tmp_path: Path, installed: Installed) -> None:
    """The second is refused by name, and the first works."""
    plugins = installed(one_plugin=GOOD.format(name="one"))
    (found,) = distributions(path=[str(tmp_path)])
    twice = Plugins((*found.entry_points, *found.entry_points))

    assert names(plugins) == names(twice) == ["one"]
    assert "another plugin one-plugin" in twice.failures["one-plugin"]


def test_of_two_records_of_one_name_one_holds(installed: Installed) -> None:
    """Two plugins may both know a strategy of a name; there is one to choose."""
    plugins = installed(a_plugin=GOOD.format(name="same"), b_plugin=GOOD.format(name="same"))

    assert names(plugins) == ["same"]


def test_records_come_with_where_they_are_from(installed: Installed) -> None:
    """A plugin's distribution and version are known."""
    (entry,) = installed(a_plugin=GOOD.format(name="a")).entries("eq_strategies")

    assert (entry.plugin, entry.distribution) == ("a-plugin", "testers 1.0")


@pytest.mark.filterwarnings("ignore:Implicit None on return:DeprecationWarning")
def test_a_distribution_without_a_name_works(installed: Installed) -> None:
    """What its metadata lack costs a plugin nothing but its version."""
    assert names(installed(metadata=False, a_plugin=GOOD.format(name="a"))) == ["a"]


def test_a_name_that_is_not_there_is_refused_with_what_is_near(installed: Installed) -> None:
    """The error lists what there is, and guesses."""
    plugins = installed(a_plugin=GOOD.format(name="night"), b_plugin=GOOD.format(name="flat"))

    assert plugins.find("eq_strategies", StrategyRecord, "night").name == "night"
    with pytest.raises(InputError, match=r"one of flat, night, got 'nigth'; did you mean night\?"):
        plugins.find("eq_strategies", StrategyRecord, "nigth")
    with pytest.raises(InputError, match="effect must be one of none, got 'x'"):
        plugins.find("effects", EffectRecord, "x")


def test_our_own_plugins_are_found_in_the_same_way() -> None:
    """All that comes with SoundSage is an entry point, and none of them fails."""
    plugins = installed_plugins()

    assert {"flat", "genre-preset", "proposal"} <= set(names(plugins))
    assert plugins.failures == {}


def raising(error: BaseException) -> Callable[[], object]:
    """Return a function that raises."""

    def function() -> object:
        raise error

    return function


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), EOFError(), GeneratorExit(), MemoryError()], ids=repr
)
def test_whatever_a_plugin_raises_becomes_one_error(error: BaseException) -> None:
    """The error says who raised what."""
    with pytest.raises(PluginError, match=f"source x raised {type(error).__name__}"):
        guarded("source x", raising(error))


@pytest.mark.parametrize("error", [DeviceError("gone"), EndOfStream("over"), KeyboardInterrupt()], ids=repr)
def test_what_a_plugin_may_raise_is_left_as_it_is(error: BaseException) -> None:
    """The errors of the contracts mean what they say, and Ctrl-C is a person's."""
    with pytest.raises(type(error)):
        guarded("source x", raising(error))


def test_a_plugin_is_left_out_after_three_strikes() -> None:
    """Each failure is counted, also those that the contracts allow, and then it is not called again."""
    guard = Guard("extractor x")
    calls = 0

    def fail() -> None:
        nonlocal calls
        calls += 1
        raise (ValueError("wrong"), DeviceError("gone"), EOFError())[calls - 1]

    for strike in range(1, MAX_STRIKES + 1):
        assert not guard.is_quarantined
        with pytest.raises(PluginError, match=rf"\(strike {strike} of 3\)"):
            guard.call(fail)

    assert guard.is_quarantined
    with pytest.raises(PluginError, match="extractor x is left out after 3 strikes"):
        guard.call(fail)
    assert calls == MAX_STRIKES


def test_a_plugin_that_works_has_no_strike() -> None:
    """Arguments go in and the answer comes out."""
    guard = Guard("x")

    assert guard.call(divmod, 7, 2) == (3, 1)
    assert guard.strikes == 0

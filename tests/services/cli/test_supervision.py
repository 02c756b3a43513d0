"""What supervisord is told."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

from soundsage.services.cli.files import MeshFiles
from soundsage.services.cli.supervision import supervisor_config
from soundsage.services.cli.units import Unit, load_units
from soundsage.shared.realtime import MAX_PRIORITY, PLUGIN_PRIORITY

FILES = MeshFiles(Path("/run/a 100%"), Path("/state"))


def parsed(*units: Unit) -> configparser.RawConfigParser:
    """Return the configuration as supervisord reads it: comments by ` ;`, `%%` for `%`."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(" ;", " #"), strict=True)
    parser.read_string(supervisor_config(units, FILES))
    return parser


def test_every_service_of_the_mesh_has_a_unit() -> None:
    """Every service of the mesh has a unit, the bus stops last and the source first."""
    units = load_units()
    assert {unit.name for unit in units} == {"bus", "capture", "features", "broker", "strategy", "renderer"}
    by_stage = [unit.name for unit in sorted(units, key=lambda unit: unit.stage)]
    assert (by_stage[0], by_stage[1], by_stage[-1]) == ("bus", "renderer", "capture")


def test_a_process_is_told_its_configuration_even_where_paths_are_odd() -> None:
    """A process is told its configuration even where paths are odd."""
    command = shlex.split(parsed(Unit(name="bus", stage=0))["program:bus"]["command"])
    assert command[-4:] == ["-m", "soundsage.services.bus", "--config", "/run/a 100%/soundsage.toml"]


def test_nothing_starts_by_itself_and_everything_is_started_again() -> None:
    """Nothing starts by itself and everything is started again."""
    config = parsed(*load_units())
    programs = [config[section] for section in config.sections() if section.startswith("program:")]
    assert len(programs) == len(load_units())
    assert all((each["autostart"], each["autorestart"]) == ("false", "true") for each in programs)


def test_every_log_is_bounded() -> None:
    """Every log is bounded."""
    config = parsed(*load_units())
    for section in config.sections():
        if section == "supervisord" or section.startswith("program:"):
            sizes = [value for key, value in config[section].items() if key.endswith("logfile_maxbytes")]
            assert sizes == ["1MB"]


def test_no_plugin_and_no_decision_runs_before_sound() -> None:
    """Those that sound passes through have the highest priorities and the core, a strategy's child the lowest."""
    sound = [unit.realtime for unit in load_units() if unit.own_core]
    others = [unit.realtime for unit in load_units() if not unit.own_core]

    assert {unit.name for unit in load_units() if unit.own_core} == {"capture", "renderer"}
    assert MAX_PRIORITY > min(sound) > max(others) >= min(others) > PLUGIN_PRIORITY


def test_a_process_is_told_how_it_is_scheduled() -> None:
    """As numbers on its command line; without any it is an ordinary process."""
    sound = Unit(name="renderer", stage=0, realtime=31, own_core=True)

    assert sound.arguments[-3:] == ("--realtime", "31", "--own-core")
    assert Unit(name="bus", stage=0).arguments[-1] == "soundsage.services.bus"

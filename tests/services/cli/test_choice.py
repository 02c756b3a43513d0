"""What `auto` means, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from soundsage.services.cli import choice
from soundsage.shared.config import CaptureConfig, Config, RendererConfig
from soundsage.shared.errors import InputError
from soundsage.shared.plugins import installed_plugins
from soundsage.shared.spec import parse_spec


def config_of(source: str, *sinks: str) -> Config:
    """Return a configuration with this source and these sinks."""
    return Config(capture=CaptureConfig(source=source), renderer=RendererConfig(sinks=sinks))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Have a sound server answer or not."""
    monkeypatch.setattr(choice, "sound_server", lambda: request.param)


@pytest.mark.parametrize("server", ["PulseAudio"], indirect=True)
@pytest.mark.usefixtures("server")
def test_auto_is_the_system_into_its_device_where_a_sound_server_runs() -> None:
    """Auto is the system into its device where a sound server runs."""
    config, said = choice.resolve(config_of("auto", "auto"))
    assert (config.capture.source, config.renderer.sinks, said) == ("system", ("device",), "")


@pytest.mark.parametrize("server", [None], indirect=True)
@pytest.mark.usefixtures("server")
def test_auto_without_a_sound_server_is_the_demo_for_ever_into_a_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auto without a sound server is the demo for ever into a file, and says so."""
    monkeypatch.chdir(tmp_path)
    config, said = choice.resolve(config_of("auto", "auto"))
    source = parse_spec(config.capture.source)
    assert (source.name, source.options) == ("file", {"loop": "true"})
    assert config.renderer.sinks == ("null", f"file:{tmp_path}/soundsage-demo.wav")
    assert "no sound server runs" in said


@pytest.mark.parametrize("server", [None], indirect=True)
@pytest.mark.usefixtures("server")
def test_a_source_without_a_sink_and_a_sound_server_is_heard_by_nobody_and_says_so() -> None:
    """A source without a sink and a sound server is heard by nobody, and says so."""
    config, said = choice.resolve(config_of("tone", "auto"))
    assert config.renderer.sinks == ("null",)
    assert "goes nowhere" in said


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("file:a.wav?loop=true", "file:{here}/a.wav?loop=true"),
        ("file:/a.wav", "file:/a.wav"),
        ("file:../b/a.wav", "file:{here}/../b/a.wav"),
        ("file:", "file:"),
        ("device:a.wav", "device:a.wav"),
    ],
)
def test_a_file_is_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    """A file is found from any directory, and nothing but files is a path."""
    monkeypatch.chdir(tmp_path)
    config, _ = choice.resolve(config_of(given, "null"))
    assert config.capture.source == meant.format(here=tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("device:mic", "device:mic?allow_feedback=true"), ("device", "device?allow_feedback=true"), ("tone", "tone")],
)
def test_feedback_is_allowed_to_sources_that_ask(given: str, meant: str) -> None:
    """Feedback is allowed to sources that ask."""
    assert choice.allowing_feedback(config_of(given, "null"), installed_plugins()).capture.source == meant


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (config_of("nope", "null"), "source must be one of"),
        (config_of("null", "nope"), "sink must be one of"),
        (config_of("tone?loud=1", "null"), "tone options"),
    ],
)
def test_what_cannot_work_is_refused(config: Config, said: str) -> None:
    """What cannot work is refused."""
    with pytest.raises(InputError, match=said):
        choice.check(config, installed_plugins())

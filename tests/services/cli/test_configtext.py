"""A configuration that is written is the one that is read."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundsage.services.cli.configtext import config_text
from soundsage.shared.config import CaptureConfig, Config, MeshConfig, RendererConfig, load_config
from soundsage.shared.errors import InputError

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    source=texts,
    sinks=st.lists(texts, min_size=1, max_size=3),
    hold_s=st.floats(0.001, 3600),
    block=st.integers(16, 999),
)
def test_what_is_written_is_what_is_read(
    tmp_path: Path, source: str, sinks: list[str], hold_s: float, block: int
) -> None:
    """What is written is what is read, whatever a file is called."""
    config = Config(
        capture=CaptureConfig(source=source, block_size=block),
        renderer=RendererConfig(sinks=tuple(sinks), hold_s=hold_s),
    )
    file = tmp_path / "mesh.toml"
    file.write_text(config_text(config), encoding="utf-8", newline="")
    assert load_config(file) == config


def test_a_name_that_is_no_text_is_refused() -> None:
    """A name that is no text is refused, since the services could not read it."""
    config = Config(mesh=MeshConfig(run_dir="/home/\udcff"))
    with pytest.raises(InputError, match="UTF-8"):
        config_text(msgspec.structs.replace(config))

"""The wheel holds the four folders with their data, and works in an environment that has never seen the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

FOLDERS = ("plugins", "services", "shared", "training")


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """Return the wheel, built from the repository without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
            "--wheel-dir",
            folder,
            root,
        ],
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """Return the `bin` of a clean environment with the wheel, which borrows nothing but our dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for entry in _dependencies():
        (borrowed / entry.name).symlink_to(entry)
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "bin"


def _dependencies():
    """Yield all that is installed here, except SoundSage and what would make it importable."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "soundsage" not in entry.name and entry.suffix != ".pth":
            yield entry


def _files_of(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_the_four_folders_and_nothing_else(wheel, files):
    """Every file of the four folders is in the wheel, below `soundsage/`, and no other."""
    ours = {f"soundsage/{file}" for file in files if file.parts[0] in FOLDERS}

    assert _files_of(wheel) == ours


def test_the_wheel_holds_what_runs_need_besides_code(wheel):
    """The description of the processes, the demo excerpt and both models with their manifests are in the wheel."""
    names = _files_of(wheel)

    assert "soundsage/services/cli/units.toml" in names
    assert "soundsage/services/cli/demo/demo.opus" in names
    assert sum(name.startswith("soundsage/plugins/models/") and name.endswith(".onnx") for name in names) == 2
    assert sum(name.startswith("soundsage/plugins/models/") and name.endswith("manifest.json") for name in names) == 2


def test_an_installed_command_line_works_from_anywhere(environment, private_home):
    """`soundsage --help` and the list of plugins work from `/`, out of the clean environment."""

    def said_by(*command: object) -> str:
        env = {**private_home, "PYTHONPATH": ""}
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True, env=env).stdout

    where = said_by(environment / "python", "-c", "import soundsage.services.cli as cli; print(cli.__file__)")
    listed = said_by(environment / "soundsage", "plugins", "list", "--json")

    assert where.startswith(str(environment.parent))
    assert json.loads(listed)["failures"] == {}
    assert "Usage: soundsage" in said_by(environment / "soundsage", "--help")

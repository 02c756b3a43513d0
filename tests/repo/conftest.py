"""What the repository's promises are checked on: its files, its modules and its documents."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from soundsage.services.cli import soundsage

ROOT = Path(__file__).parents[2]
FOLDERS = ("plugins", "services", "shared", "training")


@dataclass(frozen=True)
class Module:
    """One Python file of the package.

    Attributes
    ----------
    name : str
        Dotted, below `soundsage`; a package is its `__init__`.
    file : Path
        Relative to the repository.
    tree : Module
    imports : tuple of str
        Absolute and dotted, wherever in the file they stand; of `from a import b` both `a` and `a.b`.
    """

    name: str
    file: Path
    tree: ast.Module
    imports: tuple[str, ...] = field(default=())

    @property
    def folder(self) -> str:
        """The top-level folder."""
        return self.name.partition(".")[0]


def _files() -> list[Path]:
    """Return all files of the repository, relative to it: those that git knows or would take."""
    if not (ROOT / ".git").exists():  # unpacked from an archive
        return sorted(_unpacked(ROOT))
    listing = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True)
    return [Path(name) for name in sorted(found.stdout.split("\0")) if name and (ROOT / name).exists()]


def _unpacked(folder: Path) -> Iterator[Path]:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    for entry in folder.iterdir():
        if any(fnmatch(entry.name, pattern) for pattern in ignored):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _unpacked(entry)
        else:
            yield entry.relative_to(ROOT)


def _imports(name: str, tree: ast.Module, *, is_package: bool) -> tuple[str, ...]:
    package = ["soundsage", *name.split(".")][: None if is_package else -1]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            found += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return tuple(found)


def module_of(file: Path, text: str) -> Module:
    """Return the module that a file of the package holds."""
    parts = file.with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    tree = ast.parse(text)
    return Module(name, file, tree, _imports(name, tree, is_package=is_package))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository."""
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Return all its files, relative to it."""
    return _files()


@pytest.fixture(scope="session")
def modules(files: list[Path]) -> list[Module]:
    """Return all modules of the package."""
    return [
        module_of(file, (ROOT / file).read_text(encoding="utf-8"))
        for file in files
        if file.suffix == ".py" and file.parts[0] in FOLDERS
    ]


@pytest.fixture(scope="session")
def make_module():
    """Return what makes a module of a name and a text."""
    return module_of


@pytest.fixture(scope="session")
def code_blocks():
    """Return what finds the code blocks of a language in a document."""

    def find(document: Path, language: str) -> list[str]:
        text = document.read_text(encoding="utf-8")
        found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
        return [textwrap.dedent(block) for _, block in found]

    return find


@pytest.fixture(scope="session")
def parse():
    """Return what has the command line read arguments as if it were to run them.

    It raises `ClickException` if a command or an option does not exist.
    """

    def read(arguments: list[str]) -> None:
        command: click.Command = soundsage
        while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            name, *arguments = arguments
            command, group = command.get_command(click.Context(command), name), command
            if command is None:
                raise click.UsageError(f"{group.name} has no command {name}")
        with contextlib.suppress(click.exceptions.Exit):  # as `--help` and `--version` end
            command.make_context(command.name, arguments)

    return read


@pytest.fixture
def private_home(tmp_path):
    """Return an environment without this user's files, whose plugins are those of the folder `plugins` besides ours."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "run").mkdir(mode=0o700)
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PYTHONPATH": str(tmp_path / "plugins"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture
def install_module(tmp_path):
    """Return what installs a module with entry points, as `pip` would, where `private_home` finds it."""

    def install(name: str, text: str) -> None:
        folder = tmp_path / "plugins"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        info = folder / f"soundsage_{name}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: soundsage-{name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[soundsage.plugins]\n{name} = {name}\n")

    return install

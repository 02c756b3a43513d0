"""What the documents tell people to type works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import click
import pytest

from soundsage.services.cli import soundsage
from soundsage.shared.messages import MESSAGE_TYPES

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "plugins/README.md", "services/README.md")
# Those that neither need a mesh, nor a device, nor minutes.
QUICK = (
    ["config", "check"],
    ["devices"],
    ["doctor"],
    ["gain"],
    ["bypass"],
    ["plugins", "check"],
    ["plugins", "list"],
    ["strategy"],
    ["down"],
)


def commands_of(blocks: list[str]) -> list[list[str]]:
    """Return the arguments of each command in blocks of shell, one a line, without comments and a final `&`."""
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [[word for word in line if word != "&"] for line in lines if line]


def paths_of(command: click.Command, before: str = "soundsage") -> list[str]:
    """Return what is typed to get at each command."""
    if not isinstance(command, click.Group):
        return [before]
    context = click.Context(command)
    names = command.list_commands(context)
    return [path for name in names for path in paths_of(command.get_command(context, name), f"{before} {name}")]


@pytest.fixture(scope="module")
def typed(root, code_blocks):
    """Return all commands that the documents tell people to type."""
    return [command for name in DOCUMENTS for command in commands_of(code_blocks(root / name, "sh"))]


def test_every_command_in_the_documents_exists_with_its_options(typed, parse, root, monkeypatch):
    """Every `soundsage` command in the documents is accepted by the command line, options and all."""
    monkeypatch.chdir(root)
    ours = [arguments for program, *arguments in typed if program == "soundsage"]

    assert len(ours) > 20
    for arguments in ours:
        parse(arguments)


def test_every_make_target_in_the_documents_exists(typed, root):
    """Every `make` target in the documents and in the workflow exists."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (root / "Makefile").read_text(), re.MULTILINE))
    asked = {arguments[0] for program, *arguments in typed if program == "make"}

    assert {"run", "test"} <= asked
    assert asked <= targets


def test_every_module_that_the_documents_start_exists(typed, private_home):
    """Every `python -m` in the documents names a module that can say how it is used."""
    modules = {arguments[1] for program, *arguments in typed if program == "python" and arguments[0] == "-m"}

    assert "soundsage.services.features" in modules
    for module in sorted(modules):
        subprocess.run([sys.executable, "-m", module, "--help"], check=True, capture_output=True, env=private_home)


def test_every_other_program_in_the_documents_is_known(typed):
    """The documents ask for no program that nobody checks."""
    assert {program for program, *_ in typed} <= {"soundsage", "make", "python", "pip", "git", "cd"}


def test_quick_commands_in_the_readme_run(root, code_blocks, private_home, install_module):
    """What neither needs a mesh, nor a device, nor minutes is run as it stands there, in order, and succeeds."""
    install_module("warm", code_blocks(root / "README.md", "python")[0])
    ran = []
    for program, *arguments in commands_of(code_blocks(root / "README.md", "sh")):
        quick = program == "soundsage" and any(arguments[: len(start)] == start for start in QUICK)
        if not quick or arguments == ["down"]:  # nothing runs here
            continue
        done = subprocess.run(
            [program, *arguments], cwd=root, env=private_home, capture_output=True, text=True, check=False
        )
        ran.append(arguments[0])
        assert done.returncode == 0, (arguments, done.stderr)

    assert {"config", "devices", "plugins", "strategy", "bypass", "gain"} <= set(ran)


def test_the_plugin_on_the_readme_has_ten_lines_and_keeps_the_rules(root, code_blocks, private_home, install_module):
    """The plugin on the README has at most ten lines, as on the page of plugins, and keeps the rules of its kind."""
    (text,) = code_blocks(root / "README.md", "python")
    install_module("warm", text)
    checked = subprocess.run(
        ["soundsage", "plugins", "check", "warm"], env=private_home, capture_output=True, text=True, check=False
    )

    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    assert code_blocks(root / "plugins" / "README.md", "python") == [text]
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("eq_strategy warm\n")


def test_the_package_of_the_plugin_on_the_readme_is_installed_by_pip(root, code_blocks, tmp_path):
    """`pip` makes of the two files on the README a package with this entry point."""
    folder = tmp_path / "soundsage-warm"
    folder.mkdir()
    (folder / "warm.py").write_text(code_blocks(root / "README.md", "python")[0])
    (folder / "pyproject.toml").write_text(code_blocks(root / "README.md", "toml")[0])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path / "site", folder], check=True)

    assert (tmp_path / "site" / "warm.py").is_file()
    (points,) = (tmp_path / "site").glob("soundsage_warm-*.dist-info/entry_points.txt")
    assert "warm = warm" in points.read_text()


def test_every_command_is_in_the_table_of_the_readme(root):
    """The table of the README names every command, and no other."""
    table = (root / "README.md").read_text().partition("### Commands")[2].partition("\n## ")[0]

    assert set(re.findall(r"`(soundsage [a-z ]+)`", table)) == set(paths_of(soundsage))


def test_every_picture_and_file_that_the_documents_point_to_is_there(root):
    """Every picture and every file that the documents point to is there."""
    for name in (*DOCUMENTS, "CHANGELOG.md", "shared/README.md"):
        text = (root / name).read_text()
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (root / name).parent.joinpath(target).exists(), (name, target)


def test_the_topics_in_the_readme_are_kinds_of_messages(typed):
    """Every topic that the documents listen to is a kind of message."""
    kinds = {schema.partition("/")[0] for schema in MESSAGE_TYPES}
    topics = [line[3] for line in typed if line[:2] == ["soundsage", "bus"] and len(line) > 3]

    assert topics
    assert {topic.partition("/")[0] for topic in topics} <= kinds

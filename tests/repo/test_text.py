"""What no file of the repository contains, and what every module does."""

from __future__ import annotations

import ast
import re
import stat
from collections import Counter

from soundsage.shared.messages import MESSAGE_TYPES

TOP_LEVEL = {
    ".ci", ".editable", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "compose",
    "plugins", "pyproject.toml", "services", "shared", "tests", "training",
}  # fmt: skip

# The one place that calls what strangers wrote; and ONNX Runtime's, whose errors share no other class.
MAY_CATCH_ALL = {"shared/plugins.py": 1, "plugins/backends/onnx.py": 2}
# Nobody reads these on the standard output of a service.
MAY_PRINT = ("services/cli/", "shared/process.py", "shared/dsp/bench.py", "shared/features/bench.py", "training/")


def _calls(module, *names: str) -> list[str]:
    """Return where a function that is called by one of these bare names is called."""
    return [
        f"{module.file}:{node.lineno}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def broad_excepts(module) -> list[str]:
    """Return where everything is caught and not raised again as it was."""
    return [
        f"{module.file}:{node.lineno}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_it_again(node)
    ]


def _is_broad(caught: ast.expr | None) -> bool:
    names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught else {"BaseException"}
    return bool(names & {"Exception", "BaseException"})


def _raises_it_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_the_top_level_holds_the_four_folders_and_little_else(files):
    """The top level holds the four folders, deployment, tests and the small files that every project has."""
    assert {file.parts[0] for file in files} == TOP_LEVEL


def test_the_link_of_the_editable_install_is_kept(root):
    """The link that an editable install goes through leads back to the repository."""
    link = root / ".editable" / "soundsage"

    assert stat.S_ISLNK(link.lstat().st_mode)
    assert str(link.readlink()) == ".."


def test_no_file_speaks_of_one_machine(files, root):
    """No file names a directory of the machine that it was written on."""
    private = re.compile(rb"/wor" + rb"k\b|\.\./shar" + rb"ed|/ro" + rb"ot/")
    naming = [
        str(file) for file in files if not (root / file).is_symlink() and private.search((root / file).read_bytes())
    ]

    assert naming == []


def test_every_module_has_a_docstring(modules):
    """Every module says what it is."""
    assert [str(module.file) for module in modules if not ast.get_docstring(module.tree)] == []


def test_everything_is_caught_only_where_plugins_are_called(modules):
    """`except Exception` and the like stand only in the plugin guard and where there is a reason."""
    catching = Counter(place.partition(":")[0] for module in modules for place in broad_excepts(module))

    assert catching == MAY_CATCH_ALL


def test_nothing_is_pickled_or_evaluated(modules):
    """Nothing is pickled, and no text is run as a program."""
    pickling = [str(module.file) for module in modules if {"pickle", "shelve", "marshal"} & set(module.imports)]
    evaluating = [place for module in modules for place in _calls(module, "eval", "exec", "compile")]

    assert pickling + evaluating == []


def test_only_command_lines_print(modules):
    """Services and plugins log; only what a person starts prints."""
    printing = [place for module in modules for place in _calls(module, "print") if not place.startswith(MAY_PRINT)]

    assert printing == []


def test_every_service_is_in_the_table_of_services(root):
    """Each service has one row, which names the messages that its first line names."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", (root / "services" / "README.md").read_text(), re.MULTILINE))
    shells = {file.parent.name: file for file in sorted((root / "services").glob("*/service.py"))}
    kinds = {message_type.__name__ for message_type in MESSAGE_TYPES.values()}

    assert set(rows) == set(shells)
    for name, file in shells.items():
        says = ast.get_docstring(ast.parse(file.read_text()))
        assert says.startswith("In: ")
        assert set(re.findall(r"`(\w+)`", says)) & kinds <= set(re.findall(r"`(\w+)`", rows[name])), name

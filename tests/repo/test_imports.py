"""Imports point one way, and a message crosses where an import may not."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

# What each folder may import of the others, by module; the more special pattern counts.
MAY_IMPORT = {
    "shared": (),
    "plugins": ("soundsage.shared",),
    "services": ("soundsage.shared",),
    "training": ("soundsage.shared",),
    # Composes the pure cores in one process: the reference for the mesh.
    "services.cli.offline*": (
        "soundsage.shared",
        "soundsage.services.*.core",
        "soundsage.services.broker.models",
        "soundsage.services.renderer.chain",
    ),
}

# What each folder may import of others' libraries.
LIBRARIES = {
    "shared": {"msgspec", "numba", "numpy", "pluggy"},
    "plugins": {"click", "msgspec", "numpy", "onnxruntime", "pulsectl", "samplerate", "sounddevice", "soundfile"},
    "services": {"msgspec", "numpy"},
    "training": {"click", "modal", "msgspec", "numpy", "onnx", "onnxruntime", "scipy", "sklearn", "torch"},
    "services.cli": {"click", "msgspec", "numpy", "psutil", "pulsectl", "rich", "supervisor"},
    # A bare relay is what the mesh is compared with, so it has nothing of ours in it.
    "services.cli.relay": {"msgspec", "zmq"},
    "services.cli.doctor": {"click", "msgspec", "onnxruntime", "sounddevice"},  # tells whether they work here
    "services.cli.offline*": {"click", "msgspec", "numpy", "soundfile"},
    "shared.transport": {"zmq"},
    "shared.hookspecs": {"click", "pluggy"},  # commands are click's
    "shared.plugins": {"click", "pluggy"},
    "shared.audiofile": {"av", "numpy", "soundfile"},  # one decoder for sources, files and training
    "shared.features*": {"numba", "numpy", "soxr"},
    "shared.conformance*": {"click", "msgspec", "numpy", "pytest"},  # tests that third parties run
    # The references that we compare ourselves with.
    "shared.features.bench": {"librosa", "numpy", "soxr"},
    "shared.dsp.bench": {"numpy", "scipy"},
}

# A core has neither clock, file, socket, thread nor log.
IMPURE = {
    "asyncio",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "queue",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
}


def _rule(rules, name: str):
    """Return the most special rule for a module; a pattern without a star also covers what is below it."""
    fitting = [
        pattern
        for pattern in rules
        if fnmatch(name, pattern) or (not pattern.endswith("*") and name.startswith(f"{pattern}."))
    ]
    return rules[max(fitting, key=len)]


def _is_below(name: str, patterns) -> bool:
    return any(fnmatch(name, pattern) or fnmatch(name, f"{pattern}.*") for pattern in patterns)


def _own(module) -> tuple[str, ...]:
    """Return what belongs to the same part: a service's own folder, else the whole top-level folder."""
    parts = module.name.split(".")
    depth = 2 if module.folder == "services" else 1
    return (".".join(["soundsage", *parts[:depth]]),)


def misdirected(modules) -> list[str]:
    """Return each import that goes where it may not, as `file: import`."""
    return [
        f"{module.file}: {name}"
        for module in modules
        for name in module.imports
        if name.startswith("soundsage.")
        and name.count(".") > 1
        and not _is_below(name, (*_own(module), *_rule(MAY_IMPORT, module.name)))
    ]


def libraries(module) -> set[str]:
    """Return the libraries that a module imports."""
    return {name.partition(".")[0] for name in module.imports} - sys.stdlib_module_names - {"soundsage", "__future__"}


def test_every_import_goes_where_it_may(modules):
    """Every import goes where it may."""
    assert misdirected(modules) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("shared/a.py", "from soundsage.services.bus import core"),
        ("shared/dsp/a.py", "from ...plugins.sinks import null"),
        ("plugins/sinks/a.py", "import soundsage.services.bus.core"),
        ("services/bus/a.py", "from soundsage.plugins.sinks import null"),
        ("services/bus/a.py", "from ..features import core"),
        ("services/bus/a.py", "def f():\n    from soundsage.services.features.core import x"),
        ("services/cli/offline.py", "from soundsage.services.features.service import run"),
        ("training/a.py", "from soundsage.services.features.core import x"),
    ],
)
def test_an_import_that_goes_where_it_may_not_is_found(make_module, file, text):
    """An import that goes where it may not is found."""
    assert misdirected([make_module(Path(file), text)])


def test_only_the_transport_imports_zmq(modules):
    """Only the transport imports zmq, and the bare relay that it is compared with."""
    having = {str(module.file) for module in modules if "zmq" in libraries(module)}

    assert having - {"services/cli/relay.py"} == {"shared/transport.py"}


def test_every_library_is_imported_only_where_it_belongs(modules):
    """Every library is imported only where it belongs."""
    strangers = {
        str(module.file): found for module in modules if (found := libraries(module) - _rule(LIBRARIES, module.name))
    }

    assert strangers == {}


def test_every_core_is_pure(modules):
    """Every core knows neither clock, file, socket, thread nor log."""
    cores = [module for module in modules if fnmatch(module.name, "services.*.core")]

    assert len(cores) >= 6
    assert {str(core.file): set(core.imports) & IMPURE for core in cores if set(core.imports) & IMPURE} == {}


def test_no_plugin_imports_another(modules, root):
    """No plugin imports another one; what several need is beside them."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    plugins = set(project["entry-points"]["soundsage.plugins"].values())
    crossing = [
        f"{module.file}: {name}"
        for module in modules
        for name in module.imports
        if f"soundsage.{module.name}" in plugins and name in plugins and name != f"soundsage.{module.name}"
    ]

    assert crossing == []


def test_nothing_is_imported_by_a_bare_folder_name(modules, files, root, make_module):
    """Nothing is imported as `shared.x`, which would be a second module of the same file."""
    tests = [
        make_module(file, (root / file).read_text())
        for file in files
        if file.suffix == ".py" and file.parts[0] == "tests"
    ]
    bare = [
        f"{module.file}: {name}"
        for module in (*modules, *tests)
        for name in module.imports
        if name.partition(".")[0] in {"plugins", "services", "shared", "training"}
    ]

    assert bare == []


def _leaves(module, level: int) -> bool:
    """Return whether a relative import of this level goes above the module's part."""
    depth = module.name.count(".") + (module.file.name == "__init__.py")
    border = 2 if module.folder == "services" and depth > 1 else 1
    return level > 0 and depth - level + 1 < border


def test_a_relative_import_stays_in_its_part(modules):
    """A relative import stays in its service, or in its top-level folder: what crosses a border is absolute."""
    leaving = [
        f"{module.file}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and _leaves(module, node.level)
    ]

    assert leaving == []


def test_what_runs_live_needs_no_training_library(private_home):
    """All services, all installed plugins and the command line are imported without torch, sklearn or librosa."""
    program = """
import importlib, pkgutil, sys
import soundsage.services, soundsage.plugins
for package in (soundsage.services, soundsage.plugins):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
heavy = {"torch", "sklearn", "modal", "onnx", "librosa"} & set(sys.modules)
sys.exit(f"imported {sorted(heavy)}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=private_home
    )

    assert (done.returncode, done.stderr) == (0, "")

"""Write a plugin that works, for somebody to change."""

from __future__ import annotations

import re
import string
from importlib import resources
from pathlib import Path

from soundsage.shared.errors import InputError

__all__ = ["TEMPLATE_KINDS", "write_plugin"]

TEMPLATE_KINDS = {
    "eq-strategy": "An EQ strategy for SoundSage: a little more bass, the surer the genre.",
    "effect": "An effect for SoundSage: a gain that changes without a click.",
    "source": "A source for SoundSage: a click each second.",
    "sink": "A sink for SoundSage: remembers the loudest sample.",
    "monitor": "A monitor for SoundSage: prints each change of genre.",
}
"""What a new plugin can be, and what it is until somebody changes it."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")


def write_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write a package with one plugin and its test, and return its folder, `soundsage-NAME`.

    Raises
    ------
    InputError
        If the name cannot be a plugin's, or the folder is there already or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"plugin name must be of small letters, digits and hyphens and begin with a letter, got {name!r}"
        )
    module = f"soundsage_{name.replace('-', '_')}"
    names = {
        "name": name,
        "distribution": f"soundsage-{name}",
        "module": module,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "description": TEMPLATE_KINDS[kind],
    }
    folder = parent / names["distribution"]
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}.py": f"{kind}.py",
        f"test_{module}.py": f"test-{kind}.py",
    }
    texts = {file: _filled(template, names) for file, template in templates.items()}
    try:
        folder.mkdir(parents=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise InputError(f"{folder} is there already; choose another name or --dir") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}; choose another --dir") from error
    return folder


def _filled(template: str, names: dict[str, str]) -> str:
    file = resources.files(__package__) / "templates" / f"{template}.tmpl"
    return string.Template(file.read_text(encoding="utf-8")).substitute(names)

"""Every example of a deployment says what it is for and works as far as it can be tried without its machine."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
import yaml

from soundsage.shared.config import load_config
from soundsage.shared.errors import ConfigError

CONFIGURATIONS = ("desktop.toml", "file-to-file.toml", "raspberry-pi.toml")
OTHERS = ("Dockerfile", "broken.toml", "docker-compose.yaml", "kubernetes.yaml", "soundsage.service")


def test_every_example_is_tried_here(root):
    """Every file of `compose/` is one of those that are tried here."""
    assert {file.name for file in (root / "compose").iterdir()} == {*CONFIGURATIONS, *OTHERS}


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *OTHERS])
def test_every_example_says_in_two_lines_what_it_is_for(root, name):
    """Every example begins with two lines of comment, and no more."""
    lines = (root / "compose" / name).read_text().splitlines()

    assert [line[:2] for line in lines[:2]] == ["# ", "# "]
    assert lines[2] == ""


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_example_configuration_loads(root, name):
    """Every example configuration loads."""
    load_config(root / "compose" / name)


def test_the_broken_configuration_fails_with_all_its_mistakes_at_once(root, private_home):
    """The broken configuration fails with exactly the messages that stand in it, and exit code 2."""
    file = root / "compose" / "broken.toml"
    expected = re.findall(r"# expect: (.*)$", file.read_text(), re.MULTILINE)
    with pytest.raises(ConfigError) as raised:
        load_config(file)
    said = str(raised.value).splitlines()

    assert len(said) == len(expected) > 0
    for line, text in zip(said, expected, strict=True):
        assert line.startswith(f"{file}: {text}")
    done = subprocess.run(
        ["soundsage", "config", "check", str(file)], capture_output=True, text=True, check=False, env=private_home
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"soundsage: {raised.value}\n"


def test_the_commands_of_the_image_exist(root, parse):
    """The command that the image runs, and those that are run while it is built, exist with their options."""
    text = (root / "compose" / "Dockerfile").read_text()
    built = re.findall(r"^RUN soundsage (.*)$", text, re.MULTILINE)

    assert built
    for line in built:
        parse(shlex.split(line))
    assert yaml.safe_load(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1]) == ["soundsage"]
    parse(yaml.safe_load(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1]))


def test_the_image_copies_what_the_package_is_built_from(root):
    """All that the image copies is there, and the four folders are among it."""
    copied = re.findall(r"^COPY (.*) /src/\S*$", (root / "compose" / "Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]

    assert {"plugins", "services", "shared", "training", "pyproject.toml"} <= set(names)
    assert all((root / name).exists() for name in names)


def test_the_command_of_the_compose_file_exists(root, parse):
    """The command of the Compose file exists with its options, and its image is the one beside it."""
    service = yaml.safe_load((root / "compose" / "docker-compose.yaml").read_text())["services"]["soundsage"]

    parse(service["command"])
    assert (root / "compose" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_the_daemon_set_runs_a_command_that_exists_with_a_configuration_that_loads(root, tmp_path, parse):
    """The DaemonSet runs a command that exists, with a configuration that loads and lies where it is looked for."""
    configuration, daemon_set = yaml.safe_load_all((root / "compose" / "kubernetes.yaml").read_text())
    container = daemon_set["spec"]["template"]["spec"]["containers"][0]
    ((name, text),) = configuration["data"].items()
    file = tmp_path / name
    file.write_text(text)

    load_config(file)
    parse([str(file) if argument == f"/etc/soundsage/{name}" else argument for argument in container["args"]])
    assert f"/etc/soundsage/{name}" in container["args"]
    assert configuration["metadata"]["name"] in str(daemon_set["spec"]["template"]["spec"]["volumes"])


def test_the_unit_runs_a_command_that_exists(root, parse):
    """The systemd unit runs a command that exists with its options."""
    text = (root / "compose" / "soundsage.service").read_text()
    program, *arguments = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1])

    assert program.endswith("/bin/soundsage")
    parse(arguments)

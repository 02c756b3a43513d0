"""The protocol page says what the messages are."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import msgspec
import msgspec.inspect
import pytest

from soundsage.shared.dsp import EqBand
from soundsage.shared.endpoints import Endpoints
from soundsage.shared.messages import MESSAGE_TYPES, GenrePosterior
from soundsage.shared.requests import Reply, Request
from soundsage.shared.settings import RendererSettings, StrategySettings
from soundsage.shared.transport import Context, EventProxy, Publisher
from soundsage.shared.wire import Envelope

TYPES = {
    msgspec.inspect.AnyType: "any",
    msgspec.inspect.BoolType: "boolean",
    msgspec.inspect.CustomType: "array",
    msgspec.inspect.DictType: "map",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.LiteralType: "string",
    msgspec.inspect.NoneType: "nil",
    msgspec.inspect.StrType: "string",
    msgspec.inspect.StructType: "map",
}


@pytest.fixture(scope="module")
def page(root):
    """Return the protocol page."""
    return (root / "shared" / "README.md").read_text()


def rows_after(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table after a heading, without its head."""
    lines = page[page.index(heading) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def documented(page: str, heading: str) -> dict[str, str]:
    """Return the type of each field in the table after a heading."""
    return {name.strip("`"): type_name for name, type_name, _unit, _meaning, _since in rows_after(page, heading)}


def type_name_of(info: msgspec.inspect.Type) -> str:
    """Return what the page calls a type."""
    if isinstance(info, msgspec.inspect.Metadata):
        return type_name_of(info.type)
    if isinstance(info, msgspec.inspect.UnionType):
        return " or ".join(type_name_of(each) for each in info.types)
    if isinstance(info, (msgspec.inspect.VarTupleType, msgspec.inspect.ListType)):
        return f"[{type_name_of(info.item_type)}]"
    return TYPES[type(info)]


def actual(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the type of each field of a struct."""
    return {field.name: type_name_of(msgspec.inspect.type_info(field.type)) for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("schema", MESSAGE_TYPES)
def test_every_message_is_described_with_its_fields_and_types(page, schema):
    """Every message is described with exactly its fields, in their order, with their types."""
    described = documented(page, f"### `{schema}`")

    assert list(described.items()) == list(actual(MESSAGE_TYPES[schema]).items())


def test_no_message_is_described_that_does_not_exist(page):
    """No message is described that does not exist."""
    assert re.findall(r"^### `(\w+/v\d+)`$", page, re.MULTILINE) == list(MESSAGE_TYPES)


@pytest.mark.parametrize("schema", MESSAGE_TYPES)
def test_every_message_is_described_with_its_lifespan(page, schema):
    """Every message is described with its lifespan."""
    paragraph = page.partition(f"### `{schema}`")[2].partition("|")[0]

    assert f"lifespan {MESSAGE_TYPES[schema].lifespan_ms} ms" in paragraph


@pytest.mark.parametrize(("heading", "struct"), [("A band:", EqBand), ("\nRequest:", Request), ("\nReply:", Reply)])
def test_bands_and_requests_are_described_with_their_fields(page, heading, struct):
    """A band, a request and a reply are described with exactly their fields."""
    assert documented(page, heading) == actual(struct)


def test_the_envelope_is_described_with_its_fields(page):
    """The envelope is described with exactly its fields."""
    described = documented(page, "### Envelope")

    assert described.pop("body") == "map"
    assert described == {
        field.name: type_name_of(msgspec.inspect.type_info(field.type))
        for field in msgspec.structs.fields(Envelope)
        if field.name != "body"
    }


def test_every_setting_is_described_with_its_owner(page):
    """Every setting that a user can change is described with its owner and its type."""
    described = {
        (owner.strip("`"), key.strip("`"), kind) for owner, key, kind, _meaning, _since in rows_after(page, "## State")
    }

    assert described == {
        (owner, key, kind)
        for owner, settings in (("strategy", StrategySettings), ("renderer", RendererSettings))
        for key, kind in actual(settings).items()
    }


def test_no_field_is_newer_than_the_protocol(page):
    """The page has a version, and no field came with a later one."""
    version = float(re.search(r"^# The SoundSage protocol, version (\d+\.\d+)$", page, re.MULTILINE)[1])
    since = [float(found) for found in re.findall(r"\| (\d+\.\d+) \|$", page, re.MULTILINE)]

    assert since
    assert max(since) <= version


def test_the_listener_on_the_page_hears_a_message(root, code_blocks, tmp_path):
    """The listener on the page, which has nothing of ours in it, prints a posterior that is published."""
    (program,) = code_blocks(root / "shared" / "README.md", "python")
    (tmp_path / "soundsage").mkdir()
    endpoints = Endpoints(tmp_path / "soundsage")
    context = Context()
    posterior = GenrePosterior(
        stream="main",
        time_s=3.0,
        model="m",
        backend="b",
        labels=("Jazz", "Rock"),
        posterior=(0.75, 0.25),
        state="genre",
        genre="Jazz",
        confidence=0.75,
        skipped=0,
        compute_ms=0.1,
        hop_compute_ms=0.1,
    )
    with (
        EventProxy(context, endpoints),
        Publisher(context, endpoints.events_in, source="broker", epoch=1) as publisher,
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        ) as listener,
    ):
        try:
            # Of the proxy itself, which mirrors to the tap, and of the listener.
            assert publisher.await_receivers(2, 20.0)
            publisher.send(posterior)
            heard = listener.stdout.readline()
        finally:
            listener.kill()
    context.term()

    assert heard == "3.0 genre Jazz 0.75\n"

"""Requests and replies as bytes."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundsage.shared import requests
from soundsage.shared.errors import WireError
from soundsage.shared.requests import Reply, Request

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(number=st.integers(0, 2**63 - 1), arguments=st.dictionaries(st.text(), PLAIN, max_size=4))
def test_a_request_is_read_as_it_was_written(number: int, arguments: dict[str, object]) -> None:
    """decode(encode(request)) is the request."""
    request = Request(number, number, "set", arguments)

    assert requests.decode_request(requests.encode(request)) == request


@given(value=PLAIN, error=st.none() | st.text())
def test_a_reply_is_read_as_it_was_written(value: object, error: str | None) -> None:
    """decode(encode(reply)) is the reply."""
    reply = Reply(7, value, error)

    assert requests.decode_reply(requests.encode(reply)) == reply


def test_msgpack_writes_requests_that_we_read() -> None:
    """A client in any language can ask."""
    data = msgpack.packb({"id": 1, "deadline_ns": 2, "command": "get"})

    assert requests.decode_request(data) == Request(1, 2, "get")


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"id": -1, "deadline_ns": 2, "command": "get"},
        {"id": 1, "deadline_ns": 2**63, "command": "get"},
        {"id": 1, "deadline_ns": 2, "command": ""},
        {"id": 1, "deadline_ns": 2, "command": "x" * 65},
        {"id": 1, "deadline_ns": 2, "command": "get", "arguments": []},
        {"id": 1, "deadline_ns": 2, "command": "get", "arguments": {1: 2}},
        ["get"],
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(told: object) -> None:
    """A request has an id, a deadline, a command and named arguments."""
    with pytest.raises(WireError, match="request must be readable"):
        requests.decode_request(msgpack.packb(told))

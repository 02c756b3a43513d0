"""What a request and its answer look like on the wire."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from .errors import WireError

__all__ = ["MAX_REQUEST_BYTES", "Reply", "Request", "decode_reply", "decode_request", "encode"]

MAX_REQUEST_BYTES = 1 << 20
T = TypeVar("T")


class Request(msgspec.Struct, frozen=True):
    """One command to one service.

    Attributes
    ----------
    id : int
        Comes back in the reply.
    deadline_ns : int
        Monotonic clock, ns; past it nobody waits for the answer, and the command is not carried out.
    command : str
    arguments : dict
    """

    id: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    deadline_ns: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    command: Annotated[str, Meta(min_length=1, max_length=64)]
    arguments: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True):
    """The answer to one request: a value, or the reason why there is none.

    Attributes
    ----------
    id : int
        The request's.
    value : object
    error : str or None
        Why there is no value.
    code : str or None
        The class of the error.
    """

    id: int
    value: Any = None
    error: str | None = None
    code: str | None = None


encode = msgspec.msgpack.Encoder().encode


def decode_request(data: bytes) -> Request:
    """Return the request that the bytes hold.

    Raises
    ------
    WireError
        If they hold none.
    """
    return _decode(data, Request)


def decode_reply(data: bytes) -> Reply:
    """Return the reply that the bytes hold.

    Raises
    ------
    WireError
        If they hold none.
    """
    return _decode(data, Reply)


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)[:200].encode("unicode_escape").decode()
        raise WireError(f"{kind.__name__.lower()} must be readable, got {data[:16].hex()}: {reason}") from error

"""Bytes in, bytes out: however they are cut on their way, the same answers come, and none breaks the connection."""

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth.testing import FakeExbo
from exbo_oauth.testing.connection import Connection, Home

FAKE = FakeExbo(clock=lambda: 1_795_461_998.411943)
REQUESTS = (
    b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"GET /oauth/user?x=1 HTTP/1.1\r\nhost: a\r\nAuthorization: Bearer x\r\nAccept: application/json\r\n\r\n"
    b"\r\n\r\nPOST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;note=x\r\nabc\r\n0\r\nA: b\r\n\r\n"
    b"HEAD /oauth/user HTTP/1.1\r\nHost: localhost:1\r\n\r\n"
    b"\r\nGET /last HTTP/1.0\r\n\r\n"
)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.said += data

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def said_to(pieces: list[bytes]) -> list[str]:
    """The statuses of the answers, and whether the connection was closed."""

    async def scenario() -> Wire:
        wire, connection = Wire(), Connection(Home(FAKE, frozenset(), "127.0.0.1:1"))
        connection.connection_made(wire)
        for piece in filter(None, pieces):
            connection.data_received(piece)
        return wire

    wire = asyncio.run(scenario())
    statuses = re.findall(r"HTTP/1\.1 (\d{3}) ", wire.said.decode("latin-1"))
    return [*statuses, *(["closed"] if wire.closed else [])]


@given(st.lists(st.integers(0, len(REQUESTS)), max_size=30).map(sorted))
def test_cuts_make_no_difference(cuts: list[int]) -> None:
    edges = [0, *cuts, len(REQUESTS)]
    assert said_to([REQUESTS[start:end] for start, end in pairwise(edges)]) == [
        "400",
        "401",
        "404",
        "302",
        "404",
        "closed",
    ]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_answered_refused_or_waited_for(pieces: list[bytes]) -> None:
    outcome = said_to(pieces)
    assert outcome in ([], ["closed"]) or outcome[-1] == "closed" or set(outcome) <= {"200", "302", "400", "404", "405"}


@pytest.mark.parametrize("ends", [b"\r", b"\n", b"\r\n", b"\r\n\r\n"])
def test_empty_lines_are_waited_through(ends: bytes) -> None:
    assert said_to([ends]) == []
    assert said_to([ends, ends, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"]) == ["404"]


@pytest.mark.parametrize("size", [b"-1", b"+1", b"0x1", b"", b"1_0", b"f" * 21])
def test_chunk_sizes_are_plain_hexadecimal(size: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert said_to([head + size + b"\r\n"]) == ["400", "closed"]

"""Requests out of bytes: however the bytes are cut on their way, the same requests come out."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth.testing.framing import BadRequest, Framing

REQUESTS = (
    b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"GET /oauth/user?x=1 HTTP/1.1\r\nAuthorization: Bearer x\r\nauthorization: second\r\n\r\n"
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;note=x\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    b"\r\nGET /last HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
)


def requests(pieces: list[bytes]) -> list[tuple[str, str, bytes, bool]]:
    framing, found = Framing(), []
    for piece in pieces:
        framing.feed(piece)
        while (request := framing.next_request()) is not None:
            found.append((request.method, request.target, request.content, request.closes))
    return found


@given(st.lists(st.integers(0, len(REQUESTS)), max_size=30).map(sorted))
def test_cuts_make_no_difference(cuts: list[int]) -> None:
    edges = [0, *cuts, len(REQUESTS)]
    pieces = [REQUESTS[start:end] for start, end in pairwise(edges)]
    assert requests(pieces) == [
        ("POST", "/oauth/token", b"hello", False),
        ("GET", "/oauth/user?x=1", b"", False),
        ("POST", "/c", b"abcde", False),
        ("GET", "/last", b"", False),
    ]


def test_of_a_repeated_header_the_first_counts_and_all_are_kept() -> None:
    framing = Framing()
    framing.feed(b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n")
    request = framing.next_request()
    assert request is not None
    assert (request.header("a"), request.headers) == ("1", (("A", "1"), ("a", "2")))


def test_leave_to_send_is_given_once_a_request() -> None:
    framing = Framing()
    framing.feed(b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n")
    assert framing.next_request() is None
    assert [framing.expects_continue() for _ in range(2)] == [True, False]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused_or_unfinished(data: bytes) -> None:
    with suppress(BadRequest):
        requests([data])


@pytest.mark.parametrize("size", [b"-1", b"+1", b"0x1", b"", b"1_0", b"f" * 17])
def test_chunk_sizes_are_plain_hexadecimal(size: bytes) -> None:
    with pytest.raises(BadRequest, match="malformed chunk"):
        requests([b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n"])

"""Answers of unusual size and make."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from exbo_oauth import MalformedResponseError, OutcomeUnknownError, ServerError, TransportError

from .calls import CALLS, unprepared
from .conftest import Surface
from .raw import Connection, answer, raw_server

LARGE = b'{"access_token": "' + b"x" * 2**20 + b'"}'
TOKEN = b'{"token_type": "Bearer", "expires_in": 60, "access_token": "a.b.c", "refresh_token": "r"}'


def _chunked(body: bytes, *headers: str, end: bytes = b"0\r\n\r\n") -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]).encode()
    pieces = [body[start : start + 4096] for start in range(0, len(body), 4096)]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def _endless(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while not connection.over.is_set():
        connection.send(b" " * 65536)


TOO_LARGE: dict[str, Callable[[Connection], None]] = {
    "of known length": lambda connection: connection.send(answer("200 OK", LARGE)),
    "in chunks": lambda connection: connection.send(_chunked(LARGE)),
    "in endless chunks": lambda connection: connection.send(_chunked(LARGE * 4, end=b"")),
    "up to the end of the connection": _endless,
    "gzip": lambda connection: connection.send(answer("200 OK", gzip.compress(LARGE), "Content-Encoding: gzip")),
    "gzip in chunks": lambda connection: connection.send(_chunked(gzip.compress(LARGE), "Content-Encoding: gzip")),
    "deflate": lambda connection: connection.send(answer("200 OK", zlib.compress(LARGE), "Content-Encoding: deflate")),
    "deflate without its header": lambda connection: connection.send(
        answer("200 OK", _headerless(LARGE), "Content-Encoding: deflate")
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("make", TOO_LARGE)
def test_an_answer_over_one_mebibyte_is_refused(surface: Surface, make: str, call: str) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(MalformedResponseError, match="1048576 bytes") as caught:
            await unprepared(call)(client)
        assert ("probably spent" in str(caught.value)) is (call in ("code", "refresh"))

    with raw_server(TOO_LARGE[make]) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)
        assert len(server.requests) == 1


def test_a_client_goes_on_working_after_an_answer_it_refused(surface: Surface) -> None:
    def serve(connection: Connection) -> None:
        connection.send(answer("200 OK", LARGE if connection.number == 1 else TOKEN))

    async def scenario(client: Any) -> Any:
        with pytest.raises(MalformedResponseError):
            await client.get_app_token()
        return await client.get_app_token()

    with raw_server(serve) as server:
        assert surface.call(surface.client(base_url=server.base_url), scenario).access_token == "a.b.c"


def test_a_server_error_stays_one_whatever_its_size(surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(ServerError):
            await client.get_user_token("a-code")

    with raw_server(lambda connection: connection.send(answer("500 Oh", LARGE))) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)


@pytest.mark.parametrize("size", [2**20 - 1, 2**20])
def test_an_answer_up_to_one_mebibyte_is_read(surface: Surface, size: int) -> None:
    body = TOKEN + b" " * (size - len(TOKEN))
    with raw_server(lambda connection: connection.send(_chunked(body))) as server:
        result = surface.call(surface.client(base_url=server.base_url), lambda client: client.get_app_token())
    assert result.access_token == "a.b.c"


def _headerless(body: bytes) -> bytes:
    """What many servers take "deflate" for."""
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(body) + deflater.flush()


COMPRESSED = {
    "gzip": (gzip.compress(TOKEN), ["gzip"]),
    "x-gzip": (gzip.compress(TOKEN), ["x-gzip"]),
    "deflate": (zlib.compress(TOKEN), ["deflate"]),
    "deflate without its header": (_headerless(TOKEN), ["Deflate"]),
    "twice": (gzip.compress(_headerless(TOKEN)), ["deflate, gzip"]),
    "twice, in two lines": (gzip.compress(gzip.compress(TOKEN)), ["gzip", "gzip"]),
    "in a way that nobody knows": (gzip.compress(TOKEN), ["identity, rot13, gzip"]),
    "not at all": (TOKEN, ["gzip"]),
    "not at all, though without a header": (TOKEN, ["deflate"]),
}


@pytest.mark.parametrize("way", COMPRESSED)
def test_a_compressed_answer_is_read_though_nobody_asked_for_it(surface: Surface, way: str) -> None:
    body, codings = COMPRESSED[way]
    reply = answer("200 OK", body, *(f"Content-Encoding: {coding}" for coding in codings))
    with raw_server(lambda connection: connection.send(reply)) as server:
        result = surface.call(surface.client(base_url=server.base_url), lambda client: client.get_app_token())
    assert b"accept-encoding: identity" in server.requests[0].lower()
    assert result.access_token == "a.b.c"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("body", "coding"),
    [
        pytest.param(b"\x00 no gzip", "gzip", id="garbage"),
        pytest.param(gzip.compress(TOKEN)[:-30], "gzip", id="cut, then complete"),
        pytest.param(_headerless(TOKEN)[:-30], "deflate", id="cut, without a header"),
    ],
)
def test_a_complete_answer_that_cannot_be_decoded_is_malformed(
    surface: Surface, call: str, body: bytes, coding: str
) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(MalformedResponseError, match="not JSON"):
            await unprepared(call)(client)

    reply = answer("200 OK", body, f"Content-Encoding: {coding}")
    with raw_server(lambda connection: connection.send(reply)) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)
        assert len(server.requests) == 1


CUT = {
    "no answer at all": b"",
    "half a status line": b"HTTP/1.1 2",
    "half of the headers": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "half of the body": answer("200 OK", TOKEN)[:-20],
    "half of a chunk": _chunked(TOKEN)[:-30],
    "no last chunk": _chunked(TOKEN, end=b""),
    "half of a gzip body": answer("200 OK", gzip.compress(TOKEN), "Content-Encoding: gzip")[:-20],
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("cut", CUT)
def test_an_answer_that_breaks_off_was_lost(surface: Surface, cut: str, call: str) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await unprepared(call)(client)
        assert caught.value.request_sent is True
        assert isinstance(caught.value, OutcomeUnknownError) is (call != "user info")

    with raw_server(lambda connection: connection.send(CUT[cut])) as server:
        surface.call(surface.client(base_url=server.base_url, max_retries=0), scenario)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["101 Switching Protocols", "199 Odd", "299 Odd", "600 Odd", "999 Odd"])
def test_an_unheard_of_status_gives_one_of_our_errors(surface: Surface, status: str) -> None:
    async def scenario(client: Any) -> str:
        try:
            await client.get_user_token("a-code")
        except (MalformedResponseError, ServerError, TransportError) as error:
            return type(error).__name__
        raise AssertionError("this is no token")

    with raw_server(lambda connection: connection.send(answer(status, b"[]"))) as server:
        surface.call(surface.client(base_url=server.base_url, timeout=2, max_retries=0), scenario)
        assert len(server.requests) == 1

"""`timeout` bounds an exchange as a whole: a server that is silent, or never quite finished, holds nobody up."""

import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio
import httpx
import pytest

from exbo_oauth import OutcomeUnknownError, TransportError
from exbo_oauth.testing import FakeExbo

from .calls import CALLS, new_code, unprepared
from .conftest import Surface
from .raw import Connection, answer, raw_server

LIMIT = 1.0  # enough for a request to be sent and read on a busy machine
SANE = 60 * LIMIT  # far above any scheduling delay, far below what these servers would take


def _wait(connection: Connection) -> None:
    connection.over.wait(300)


def _drip_headers(connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10000)


def _drip_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{")
    connection.drip(b" " * 9999)


def _drip_chunks(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.drip(b"1\r\n \r\n" * 10000)


def _go_on_continuing(connection: Connection) -> None:
    while not connection.over.wait(0.02):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")


SLOW: dict[str, Callable[[Connection], None]] = {
    "silent": _wait,
    "drips header bytes": _drip_headers,
    "drips body bytes": _drip_body,
    "drips chunks": _drip_chunks,
    "says 100 Continue for ever": _go_on_continuing,
}


@contextmanager
def no_threads_left(prefix: str = "exbo-oauth") -> Generator[None]:
    """The threads that a blocking client leaves to themselves end once the server lets them."""
    before = set(threading.enumerate())
    yield
    for thread in threading.enumerate():
        if thread.name.startswith(prefix) and thread not in before and thread.is_alive():
            thread.join(120)
            assert not thread.is_alive()


@pytest.mark.parametrize("call", ["code", "user info"])
@pytest.mark.parametrize("slowness", SLOW)
def test_a_server_that_never_finishes_is_given_up(surface: Surface, slowness: str, call: str) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await unprepared(call)(client)
        assert isinstance(caught.value, OutcomeUnknownError) is (call != "user info")
        assert caught.value.request_sent is True
        assert f"{LIMIT:g} s" in str(caught.value) or "Timeout" in str(caught.value)

    started = time.monotonic()
    with no_threads_left(), raw_server(SLOW[slowness]) as server:
        surface.call(surface.client(base_url=server.base_url, timeout=LIMIT, max_retries=0), scenario)
        assert time.monotonic() - started < SANE
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_tls_handshake_that_is_never_answered_leaves_the_request_unsent(surface: Surface, call: str) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await unprepared(call)(client)
        assert type(caught.value) is TransportError
        assert caught.value.request_sent is False

    started = time.monotonic()
    with no_threads_left(), raw_server(_wait, reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        surface.call(surface.client(base_url=base_url, timeout=LIMIT, max_retries=0), scenario)
        assert server.connections == 1
    assert time.monotonic() - started < SANE


def test_a_certificate_that_nobody_vouches_for_leaves_the_request_unsent(surface: Surface) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate no handshake can succeed

    def refuse(connection: Connection) -> None:
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(connection.socket, server_side=True)

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await client.get_user_token("made-up-code")
        assert type(caught.value) is TransportError
        assert caught.value.request_sent is False

    with raw_server(refuse, reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        surface.call(surface.client(base_url=base_url, max_retries=0), scenario)


@pytest.mark.parametrize("call", CALLS)
def test_a_timed_out_call_that_is_safe_to_repeat_is_repeated(surface: Surface, call: str) -> None:
    def slow_once(connection: Connection) -> None:
        if connection.number == 1:
            _wait(connection)
        else:
            connection.send(answer("400 Bad Request", b'{"error": "invalid_scope"}'))

    async def scenario(client: Any) -> str:
        with pytest.raises(Exception) as caught:  # which one is what the test returns
            await unprepared(call)(client)
        return type(caught.value).__name__

    with no_threads_left(), raw_server(slow_once) as server:
        ended = surface.call(surface.client(base_url=server.base_url, timeout=2 * LIMIT), scenario)
        sent = {"app token": 2, "user info": 2, "code": 1, "refresh": 1}[call]
        assert len(server.requests) == sent
    expected = {"app token": "InvalidScopeError", "user info": "ResponseError"}
    assert ended == expected.get(call, "OutcomeUnknownError")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_short_limit_is_kept_beside_a_long_one(backend: str) -> None:
    surface, over = Surface(backend), list[str]()

    async def call(name: str, limit: float) -> None:
        async with surface.raw_client(base_url=server.base_url, timeout=limit, max_retries=0) as client:
            with pytest.raises(TransportError, match=f"no complete answer within {limit:g} s"):
                await client.get_app_token()
        over.append(name)

    async def scenario() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(call, "long", SANE)
            while not server.requests:  # noqa: ASYNC110  # a server on a thread has no event of this loop's
                await anyio.sleep(0.01)
            await call("short", 0.1)
            group.cancel_scope.cancel()

    with raw_server(_wait) as server:
        surface.run(scenario)
    assert over == ["short"]


@pytest.mark.parametrize("whose", ["ours", "the caller's"])
def test_a_request_given_up_before_it_was_sent_is_never_sent_later(
    surface: Surface, served: FakeExbo, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """A resolver knows no timeout: it answers when the call has long been given up and repeated."""
    real, slowly, repeated = socket.getaddrinfo, threading.Event(), threading.Event()

    def resolve(*args: Any, **kwargs: Any) -> Any:
        asks_nobody = args[5:] and args[5] & socket.AI_NUMERICHOST  # as trio does first, without a thread
        if not asks_nobody and not slowly.is_set():
            slowly.set()
            repeated.wait(60)
        return real(*args, **kwargs)

    code = new_code(served)
    before = len(served.requests)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def scenario(client: Any) -> Any:
        token = await client.get_user_token(code)
        repeated.set()
        return token

    async def through_the_callers() -> Any:
        async with surface.http() as http:
            given = getattr(http, "blocking", http)
            async with surface.client(served, http_client=given, **options) as client:
                return await scenario(client)

    options: dict[str, Any] = {"timeout": 2 * LIMIT, "base_url": served.base_url.replace("127.0.0.1", "localhost")}
    with no_threads_left():
        if whose == "ours":
            token = surface.call(surface.client(served, **options), scenario)
        else:
            token = surface.run(through_the_callers)
        assert token.refresh_token
    assert slowly.is_set()
    assert [request.status for request in served.requests[before:]] == [200]


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that swallows what asks for a connection: one that listens, and whose queue is full."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listening, ExitStack() as fillers:
        address = listening.getsockname()
        for _ in range(8):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses, and there is no 127.0.0.2")
@pytest.mark.parametrize("own", [True, False], ids=["a client of ours", "the caller's"])
@pytest.mark.parametrize("dead", [1, 2])
def test_addresses_that_swallow_packets_leave_time_for_the_next(
    surface: Surface,
    served: FakeExbo,
    black_hole: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    dead: int,
    own: bool,
) -> None:
    real, port = socket.getaddrinfo, int(served.base_url.split(":")[2].partition("/")[0])

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("localhost", b"localhost"):
            return real(host, *args, **kwargs)
        [(family, kind, protocol, name, _)] = real("127.0.0.1", port, type=socket.SOCK_STREAM)
        addresses = [*[black_hole] * dead, ("127.0.0.1", port)]
        return [(family, kind, protocol, name, address) for address in addresses]

    async def scenario() -> Any:
        http = surface.raw_http(base_url="http://elsewhere.test")
        options = {"base_url": base_url, "timeout": 4 * LIMIT, "max_retries": 0}
        async with surface.client(served, http_client=None if own else http, **options) as client:
            token = await client.get_app_token()
        await surface.awaited(http).aclose()
        return token

    base_url = served.base_url.replace("127.0.0.1", "localhost")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert surface.run(scenario).access_token


@pytest.mark.parametrize("call", CALLS)
def test_a_request_that_waited_for_a_connection_of_the_callers_was_not_sent(
    surface: Surface, served: FakeExbo, call: str
) -> None:
    page = served.base_url.removesuffix("/oauth") + "/"

    async def ask(http: Any) -> None:
        async with surface.client(served, http_client=http, timeout=LIMIT, max_retries=0) as client:
            with pytest.raises(TransportError) as caught:
                await unprepared(call)(client)
        assert type(caught.value) is TransportError
        assert caught.value.request_sent is False

    async def scenario() -> None:
        http = surface.raw_http(limits=httpx.Limits(max_connections=1))
        request = http.build_request("GET", page)
        held = surface.awaited(await surface.awaited(http).send(request, stream=True))
        await ask(http)
        await held.aclose()
        await surface.awaited(http).aclose()

    surface.run(scenario)


def test_time_spent_on_one_exchange_is_not_taken_from_the_next(surface: Surface, served: FakeExbo) -> None:
    served.latency = 1.5 * LIMIT

    async def scenario(client: Any) -> None:
        for _ in range(3):
            await client.get_app_token()

    surface.call(surface.client(served, timeout=4 * LIMIT), scenario)
    assert len(served.requests) == 3

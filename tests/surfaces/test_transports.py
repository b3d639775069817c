"""What stands beneath our requests: the transports that others replace and watch, and the private places we rely on."""

import errno
import functools
import gc
import json
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpcore
import httpx
import httpx2
import pytest
import respx

from exbo_oauth import OutcomeUnknownError, TransportError
from exbo_oauth.clients import connections
from exbo_oauth.clients.deadline import Deadline
from exbo_oauth.clients.sync_performer import SyncHTTP
from exbo_oauth.clients.wire import Network
from exbo_oauth.protocol import Request
from exbo_oauth.testing import FakeExbo
from exbo_oauth.threads import carry_out

from ..certificates import certified
from .calls import CALLS, unprepared
from .conftest import Surface
from .raw import Connection, answer, raw_server

TOKEN = {"token_type": "Bearer", "expires_in": 60, "access_token": "a.b.c"}


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_a_client_says_what_it_would_send_a_request_through(library: Any, kind: str) -> None:
    transport, other = library.MockTransport(lambda _: None), library.MockTransport(lambda _: None)
    client = getattr(library, kind)(transport=transport, mounts={"https://exbo.net": other})
    assert client._transport_for_url(library.URL("https://exbo.net/oauth/token")) is other
    assert client._transport_for_url(library.URL("https://elsewhere.test/")) is transport
    assert [client._transport, *client._mounts.values()] == [transport, other]


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
def test_a_pool_opens_connections_through_its_network_backend(proxy: str | None) -> None:
    opened: list[str] = []

    class Backend(httpcore.NetworkBackend):
        def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
            opened.append(host)
            raise httpcore.ConnectError("not here")

    transport = httpx.HTTPTransport(proxy=proxy)
    assert isinstance(transport._pool._network_backend, httpcore.NetworkBackend)
    transport._pool._network_backend = Backend()
    with pytest.raises(httpx.ConnectError, match="not here"):
        transport.handle_request(httpx.Request("GET", "https://exbo.test/"))
    assert opened == ["127.0.0.1" if proxy else "exbo.test"]


@pytest.mark.parametrize("using", ["httpcore", "httpx"])
def test_respx_sees_our_requests(surface: Surface, using: str) -> None:
    with respx.mock(using=using) as mock:
        route = mock.post("https://exbo.net/oauth/token").respond(json=TOKEN)
        token = surface.call(surface.client(), lambda client: client.get_app_token())
    assert token.access_token == "a.b.c"
    assert b"client_id=59" in route.calls.last.request.content


def test_whoever_wraps_the_librarys_transports_sees_our_requests(
    surface: Surface, served: FakeExbo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenTelemetry does."""
    seen: list[str] = []
    blocking, asynchronous = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def handle_request(transport: Any, request: Any) -> Any:
        seen.append(str(request.url))
        return blocking(transport, request)

    async def handle_async_request(transport: Any, request: Any) -> Any:
        seen.append(str(request.url))
        return await asynchronous(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_request)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async_request)
    surface.call(surface.client(served), lambda client: client.get_app_token())
    assert seen == [f"{served.base_url}/token"]


def test_a_mock_in_the_place_of_a_connection_answers_our_requests(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = httpcore.HTTPConnection if surface.blocking else httpcore.AsyncHTTPConnection
    reply = httpcore.Response(200, content=json.dumps(TOKEN).encode())  # nothing that could be closed

    async def handle(*_: Any) -> Any:
        return reply

    if surface.blocking:
        monkeypatch.setattr(kind, "handle_request", lambda *_: reply)
    else:
        monkeypatch.setattr(kind, "handle_async_request", handle)

    async def scenario(client: Any) -> list[str]:
        return [(await client.get_app_token()).access_token for _ in range(2)]

    assert surface.call(surface.client(), scenario) == ["a.b.c"] * 2


@pytest.mark.parametrize("through", ["a pool", "a pool of functools.wraps"])
def test_whoever_wraps_the_pools_beneath_sees_our_requests(
    surface: Surface, served: FakeExbo, monkeypatch: pytest.MonkeyPatch, through: str
) -> None:
    """As recorders of HTTP do, before a client is made and after."""
    seen: list[bytes] = []
    blocking, asynchronous = httpcore.ConnectionPool.handle_request, httpcore.AsyncConnectionPool.handle_async_request

    def handle_request(pool: Any, request: Any) -> Any:
        seen.append(request.url.target)
        return blocking(pool, request)

    async def handle_async_request(pool: Any, request: Any) -> Any:
        seen.append(request.url.target)
        return await asynchronous(pool, request)

    if through.endswith("wraps"):
        handle_request = functools.wraps(blocking)(handle_request)
        handle_async_request = functools.wraps(asynchronous)(handle_async_request)

    async def scenario(client: Any) -> None:
        await client.get_app_token()
        with monkeypatch.context() as patch:
            patch.setattr(httpcore.ConnectionPool, "handle_request", handle_request)
            patch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", handle_async_request)
            await client.get_app_token()
            await client.get_app_token()
        await client.get_app_token()

    surface.call(surface.client(served), scenario)
    assert seen == [b"/oauth/token"] * 2


def test_a_client_that_rests_holds_no_thread(served: FakeExbo) -> None:
    before = set(threading.enumerate())
    with Surface("sync").raw_client(served) as client:
        client.get_app_token()
        client.get_app_token()
        left = [thread for thread in threading.enumerate() if thread not in before]
        assert not [thread.name for thread in left if thread.name.startswith("exbo-oauth")]


# What is raised into the thread that waits


class TimeLimitError(Exception):
    """As RQ, Celery and timeout decorators raise one from a signal's handler."""


RAISED = [
    pytest.param(TimeLimitError, id="an exception of the caller's"),
    pytest.param(TimeoutError, id="one that a socket might raise"),
    pytest.param(RuntimeError, id="one that a library might raise"),
    pytest.param(KeyboardInterrupt, id="Ctrl-C"),
]


@contextmanager
def _alarm(kind: type[BaseException]) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise kind("time is over")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _until_raised(client: Any, call: str, kind: type[BaseException]) -> None:
    with _alarm(kind), pytest.raises(kind, match="time is over"):
        unprepared(call)(client).send(None)


def _ring_soon(connection: Connection) -> None:
    """The request is here: whoever sent it waits by now, or will in a moment."""
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    connection.over.wait(300)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms here")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", RAISED)
def test_what_a_signals_handler_raises_is_passed_on_and_nothing_is_repeated(
    call: str, kind: type[BaseException]
) -> None:
    surface = Surface("sync")
    with raw_server(_ring_soon) as server:
        client = surface.client(base_url=server.base_url, timeout=600)  # it would stand still if it waited for its end
        _until_raised(client, call, kind)
        assert len(server.requests) == 1
        client.blocking.close()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms here")
def test_a_client_goes_on_after_an_interrupt() -> None:
    def serve(connection: Connection) -> None:
        _answering(connection)
        if connection.next_request() and connection.number == 1:
            _ring_soon(connection)

    async def scenario(client: Any) -> None:
        assert (await client.get_app_token()).access_token == "a.b.c"
        _until_raised(client, "app token", KeyboardInterrupt)
        assert (await client.get_app_token()).access_token == "a.b.c"

    surface = Surface("sync")
    with raw_server(serve) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)
        assert server.connections == 2


@pytest.mark.parametrize(
    ("kind", "step", "scheme"),
    [
        pytest.param(socket.socket, "recv", "http", id="reads"),
        pytest.param(socket.socket, "send", "http", id="writes"),
        pytest.param(ssl.SSLObject, "read", "https", id="reads over TLS"),
    ],
)
def test_what_a_handler_raises_while_a_socket_is_at_work_is_passed_on(
    kind: Any, step: str, scheme: str, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No signal can be made to come at that very moment: the socket raises in its place."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    here, real = threading.current_thread(), getattr(kind, step)

    def at_work(self: Any, *args: Any) -> Any:
        if threading.current_thread() is here:
            raise TimeoutError("time is over")
        return real(self, *args)

    serve = _secured(certificate, _answering) if scheme == "https" else _answering
    with raw_server(serve, reads=scheme == "http") as server:
        with Surface("sync").raw_client(base_url=f"{scheme}://127.0.0.1:{server.port}/oauth") as client:
            with monkeypatch.context() as patch, pytest.raises(TimeoutError, match="time is over"):
                patch.setattr(kind, step, at_work)
                client.get_app_token()
            assert client.get_app_token().access_token == "a.b.c"
        assert server.connections == 2


def test_an_answer_of_whoever_hangs_up_before_he_has_heard_all_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    here, real, answered = threading.current_thread(), socket.socket.send, threading.Event()

    def send(self: Any, data: Any) -> int:
        if threading.current_thread() is here:
            assert answered.wait(60)
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")  # no server can be made to be this fast
        return real(self, data)

    def serve(connection: Connection) -> None:
        _answering(connection)
        answered.set()

    with raw_server(serve, reads=False) as server:
        with Surface("sync").raw_client(base_url=server.base_url) as client:
            monkeypatch.setattr(socket.socket, "send", send)
            assert client.get_app_token().access_token == "a.b.c"


def test_a_request_of_which_the_system_takes_a_part_at_a_time_is_sent_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body, full, real = b"x" * 30_000_000, threading.Event(), socket.socket.send

    def send(self: Any, data: Any) -> int:
        try:
            return real(self, data)
        except BlockingIOError:
            full.set()
            raise

    def serve(connection: Connection) -> None:
        assert full.wait(60)
        left = len(body)
        while left:
            left -= connection.socket.recv(1_000_000).count(b"x")
        _answering(connection)

    monkeypatch.setattr(socket.socket, "send", send)
    with raw_server(serve, reads=False) as server:
        http = SyncHTTP(60)
        assert http.exchange(Request("POST", f"{server.base_url}/token", {}, body)).status == 200
        http.close()


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_pool_has_a_network(library: str) -> None:
    assert hasattr(sys.modules[library].HTTPTransport()._pool, "_network_backend")


@contextmanager
def _traced(trace: Callable[[Any, str, object], Any]) -> Iterator[None]:
    """With `trace`; whoever traced before, to measure what is reached, goes on afterwards."""
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


class _Raising:
    """Raises at one call or return after the other of the functions that keep connections, in this thread."""

    WHERE = ("httpcore/_sync", "httpcore/_synchronization", "exbo_oauth/clients/connections")

    def __init__(self, place: int) -> None:
        self.left = place

    def __call__(self, frame: Any, event: str, _: object) -> Any:
        if any(part in frame.f_code.co_filename for part in self.WHERE):
            if event in ("call", "return"):
                self.left -= 1
            if self.left == 0:
                self.left = -1
                raise TimeLimitError("time is over")
        return self


def _interrupted_at_every_place(see: Callable[[httpx.Client, str], bool]) -> None:
    """An exchange, interrupted at one place after the other; `see` says whether others can go on with its client."""
    with raw_server(_answering_all) as server:
        url = f"{server.base_url}/token"
        request = Request("POST", url, {}, b"grant_type=client_credentials")
        place, interrupted = 0, True
        while interrupted:
            place, interrupted = place + 1, False
            http = SyncHTTP(20)
            http.exchange(request)
            client = next(iter(http._own.values()))  # as a thread has it that is on its way
            try:
                with _traced(_Raising(place)):
                    http.exchange(request)
            except TimeLimitError:
                interrupted = True
            free: list[bool] = []
            other = threading.Thread(target=lambda: free.append(see(client, url)), daemon=True)  # noqa: B023
            other.start()
            other.join(120)
            assert free == [True], f"others wait after an interrupt at place {place}"
            http.exchange(request)
            http.close()
            client.close()
        assert place > 20


def test_whoever_is_interrupted_leaves_no_connection_locked_for_others() -> None:
    """Between the taking of a lock and what lets go of it lies a place for an interrupt."""
    _interrupted_at_every_place(lambda client, url: client.post(url, content=b"x").status_code == 200)


def _answering_all(connection: Connection) -> None:
    _answering(connection)
    while connection.next_request():
        _answering(connection)


# Connections that are kept


def _at_once(number: int) -> Callable[[Any], Any]:
    """So many calls at once, by threads or tasks; the tokens that they got."""

    async def scenario(client: Any) -> list[str]:
        tokens: list[str] = []
        if hasattr(client, "blocking"):
            with ThreadPoolExecutor(number) as pool:
                asked = [pool.submit(client.blocking.get_app_token) for _ in range(number)]
            return [one.result().access_token for one in asked]

        async def ask() -> None:
            tokens.append((await client.get_app_token()).access_token)

        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(ask)
        return tokens

    return scenario


def test_a_crowd_is_served_and_its_connections_serve_again(surface: Surface) -> None:
    crowd = threading.Barrier(30)

    def serve(connection: Connection) -> None:
        crowd.wait(120)  # all thirty have a connection of their own
        _answering_all(connection)

    async def scenario(client: Any) -> None:
        assert await _at_once(30)(client) == ["a.b.c"] * 30
        for _ in range(3):
            await client.get_app_token()

    with raw_server(serve) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)
        assert server.connections == 30


def test_what_the_server_has_closed_is_closed_here_and_not_used_again(surface: Surface) -> None:
    crowd, over = threading.Barrier(5), threading.Event()
    closed: list[int] = []

    def serve(connection: Connection) -> None:
        if connection.number > 5:
            _answering_all(connection)
            return
        crowd.wait(120)
        _answering(connection)
        over.wait(120)
        connection.socket.shutdown(socket.SHUT_WR)
        connection.socket.recv(1)
        closed.append(connection.number)

    async def scenario(client: Any) -> None:
        await _at_once(5)(client)
        over.set()
        while server.connections < 6 or len(closed) < 5:  # looked at with each call
            assert (await client.get_app_token()).access_token == "a.b.c"

    with raw_server(serve) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)
        assert server.connections == 6


def test_work_for_a_thread_is_done_once_whatever_is_raised_into_its_maker() -> None:
    done: list[str] = []

    def trace(frame: Any, event: str, _: object) -> Any:
        if frame.f_code is not threading.Thread.start.__code__:
            return None
        if event == "return":
            raise RuntimeError("time is over")
        return trace

    before = set(threading.enumerate())
    with _traced(trace), pytest.raises(RuntimeError, match="time is over"):
        carry_out(lambda: done.append("once"))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert done == ["once"]


def test_a_socks_proxy_that_says_nothing_is_given_up(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    def serve(connection: Connection) -> None:
        connection.over.wait(60)

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError, match="no complete answer within 1 s") as caught:
            await client.get_user_token("made-up-code")
        assert caught.value.request_sent is False

    with raw_server(serve, reads=False) as server:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{server.port}")
        surface.call(surface.client(base_url="https://exbo.test/oauth", timeout=1, max_retries=0), scenario)


TUNNELS = {
    "a proxy that hangs up": ("http", []),
    "a proxy that is none": ("http", [b"\0\0\x12\4\r\n\r\n"]),
    "a SOCKS proxy that hangs up": ("socks5", []),
    "a SOCKS proxy that is none": ("socks5", [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
    "a SOCKS proxy that refuses": ("socks5", [b"\5\0", b"\5\5\0\1\0\0\0\0\0\0"]),
}


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_what_fails_before_there_is_a_tunnel_was_not_sent(
    surface: Surface, monkeypatch: pytest.MonkeyPatch, tunnel: str
) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    scheme, says = TUNNELS[tunnel]

    def serve(connection: Connection) -> None:
        for word in says:
            connection.socket.recv(65536)
            connection.send(word)
        connection.socket.recv(65536)

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await client.get_user_token("made-up-code")
        assert caught.value.request_sent is False

    with raw_server(serve, reads=False) as server:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{server.port}")
        surface.call(surface.client(base_url="https://exbo.test/oauth", max_retries=0), scenario)
    gc.collect()  # warns of what was left open


# TLS beneath a blocking client of ours


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """A file with a key, and a certificate of this machine's address and of EXBO's name."""
    return certified(tmp_path, "exbo.test")


def _secured(certificate: str, handler: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """The handler behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: Connection) -> None:
        try:
            connection.socket = context.wrap_socket(connection.socket, server_side=True)
        except (ssl.SSLError, OSError):  # a test's wish
            return
        with connection.socket:
            while connection.next_request():
                handler(connection)

    return serve


def _answering(connection: Connection) -> None:
    connection.send(answer("200 OK", json.dumps(TOKEN).encode()))


def test_one_connection_over_tls_serves_one_call_after_the_other(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate)

    async def scenario(client: Any) -> list[str]:
        return [(await client.get_app_token()).access_token for _ in range(3)]

    with raw_server(_secured(certificate, _answering), reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        assert surface.call(surface.client(base_url=base_url), scenario) == ["a.b.c"] * 3
        assert server.connections == 1


def test_nothing_is_sent_to_whom_nobody_vouches_for(surface: Surface, certificate: str) -> None:
    seen: list[Connection] = []

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError, match="certificate verify failed") as caught:
            await client.get_user_token("made-up-code")
        assert caught.value.request_sent is False

    with raw_server(_secured(certificate, seen.append), reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        surface.call(surface.client(base_url=base_url, max_retries=0), scenario)
    assert not seen


def test_a_server_that_hangs_up_while_hands_are_shaken_was_sent_nothing(surface: Surface) -> None:
    def reset(connection: Connection) -> None:
        connection.socket.recv(1)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.close()

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await client.get_user_token("made-up-code")
        assert caught.value.request_sent is False

    with raw_server(reset, reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        surface.call(surface.client(base_url=base_url, max_retries=0), scenario)


@pytest.mark.parametrize("measured", [True, False], ids=["with a length", "to the end"])
def test_a_connection_over_tls_that_was_ended_with_the_answer_is_not_used_again(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch, measured: bool
) -> None:
    """Servers on asyncio say farewell, and wait for ours."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate)

    def end(connection: Connection) -> None:
        body, secured = json.dumps(TOKEN).encode(), connection.socket
        reply = answer("200 OK", body) if measured else b"HTTP/1.1 200 OK\r\n\r\n" + body
        assert isinstance(secured, ssl.SSLSocket)
        secured.settimeout(0.2)
        plain = socket.socket(fileno=socket.dup(secured.fileno()))
        with plain:
            secured.sendall(reply)
            try:
                secured.unwrap()  # it waits for the other side's word, which does not come
            except (TimeoutError, OSError):
                connection.over.wait(60)

    async def scenario(client: Any) -> list[str]:
        return [(await client.get_app_token()).access_token for _ in range(2)]

    with raw_server(_secured(certificate, end), reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        assert surface.call(surface.client(base_url=base_url, max_retries=0), scenario) == ["a.b.c"] * 2


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_what_came_before_anything_was_asked_answers_nothing(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch, secured: bool
) -> None:
    """A server, or a proxy in between, may send more than one answer: the other one may be somebody else's token."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    asked = list[bytes]()

    def exceed(connection: Connection) -> None:
        asked.append(connection.request)
        tokens = ({**TOKEN, "access_token": f"{whose}.{len(asked)}"} for whose in ("own", "foreign"))
        connection.send(b"".join(answer("200 OK", json.dumps(token).encode()) for token in tokens))

    def serve(connection: Connection) -> None:
        while connection.next_request():
            exceed(connection)

    async def scenario(client: Any) -> list[str]:
        return [(await client.get_app_token()).access_token for _ in range(3)]

    with raw_server(_secured(certificate, exceed) if secured else serve, reads=False) as server:
        base_url = f"http{'s' * secured}://127.0.0.1:{server.port}/oauth"
        assert surface.call(surface.client(base_url=base_url), scenario) == ["own.1", "own.2", "own.3"]
    assert len(asked) == 3


@pytest.mark.parametrize("answers", [True, False], ids=["behind an answer", "instead of one"])
def test_what_is_no_tls_ends_its_connection(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """In one packet with the answer, as a proxy in between may send it."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: Connection) -> None:
        inner, outgoing, step = _tls_by_hand(connection, context)
        step(inner.do_handshake)
        step(lambda: inner.read(65536))
        if answers:
            inner.write(answer("200 OK", json.dumps(TOKEN).encode()))
        connection.send(outgoing.read() + b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        connection.over.wait(60)

    async def scenario(client: Any) -> None:
        if answers:
            assert [(await client.get_app_token()).access_token for _ in range(2)] == ["a.b.c"] * 2
        else:
            with pytest.raises(OutcomeUnknownError):
                await client.get_user_token("made-up-code")

    with raw_server(serve, reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        surface.call(surface.client(base_url=base_url), scenario)
        assert server.connections == (2 if answers else 1)


@pytest.mark.parametrize("ending", ["drips", "is cut off"])
def test_an_answer_over_tls_that_does_not_end_is_given_up(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate)

    def begin(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{")
        if ending == "drips":
            connection.drip(b" " * 4999)
        connection.socket.close()  # without a word of TLS

    async def scenario(client: Any) -> None:
        with pytest.raises(OutcomeUnknownError):
            await client.get_user_token("made-up-code")

    started = time.monotonic()
    with raw_server(_secured(certificate, begin), reads=False) as server:
        base_url = f"https://127.0.0.1:{server.port}/oauth"
        surface.call(surface.client(base_url=base_url, timeout=1.5), scenario)
        assert time.monotonic() - started < 20


def test_a_proxys_tunnel_leads_to_tls(surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    inner = _secured(certificate, _answering)

    def tunnel(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inner(connection)

    with raw_server(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        client = surface.client(base_url="https://exbo.test/oauth")
        assert surface.call(client, lambda client: client.get_app_token()).access_token == "a.b.c"
    assert [request.partition(b"\r\n")[0] for request in proxy.requests] == [b"CONNECT exbo.test:443 HTTP/1.1"]


def test_a_name_that_no_certificate_can_have_is_sent_nothing(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    def tunnel(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.socket.recv(65536)

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await client.get_user_token("made-up-code")
        assert caught.value.request_sent is False

    with raw_server(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        surface.call(surface.client(base_url=f"https://{'x' * 64}.test/oauth", max_retries=0), scenario)
    assert len(proxy.requests) == 1


def test_a_crowd_behind_a_proxy_shares_its_tunnels(
    surface: Surface, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    monkeypatch.setattr(connections, "_MOST", 2)
    pair = threading.Barrier(2)

    def tunnel(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if connection.number <= 2:
            pair.wait(60)
        _secured(certificate, _answering)(connection)

    with raw_server(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        client = surface.client(base_url="https://exbo.test/oauth")
        assert surface.call(client, _at_once(6)) == ["a.b.c"] * 6
    assert 2 <= len(proxy.requests) <= (5 if surface.blocking else 2)  # threads that race may have one more each


def _tls_by_hand(
    connection: Connection, context: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.MemoryBIO, Callable[[Callable[[], Any]], Any]]:
    """A server's TLS on a connection, what it has to send, and what sees a step of it through."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = context.wrap_bio(incoming, outgoing, server_side=True)

    def step(act: Callable[[], Any]) -> Any:
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                connection.send(outgoing.read())
                incoming.write(connection.socket.recv(65536))
            finally:
                connection.send(outgoing.read())

    return inner, outgoing, step


def test_a_proxys_own_tls_may_be_around_that_of_the_service(certificate: str) -> None:
    trust = ssl.create_default_context(cafile=certificate)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)

    def tunnel(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inner, _, step = _tls_by_hand(connection, server_side)
        step(inner.do_handshake)
        assert step(lambda: inner.read(65536)).startswith(b"GET / HTTP/1.1")
        step(lambda: inner.write(answer("200 OK", b"{}")))
        connection.over.wait(10)

    with raw_server(_secured(certificate, tunnel), reads=False) as proxy:
        theirs = httpcore.Proxy(f"https://127.0.0.1:{proxy.port}", ssl_context=trust)
        pool = httpcore.ConnectionPool(ssl_context=trust, proxy=theirs, network_backend=Network())
        with pool:
            response = pool.request("GET", "https://exbo.test/", extensions={"timeout": _limits(10)})
    assert (response.status, response.content) == (200, b"{}")


def _limits(seconds: float) -> dict[str, float]:
    return dict.fromkeys(("connect", "read", "write"), Deadline(seconds))

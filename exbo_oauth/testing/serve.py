"""The server behind a real loopback socket: HTTP/1.1 with keep-alive, on an event loop in a thread of its own.

Only what clients of this service send is understood: a request line, headers, a body with Content-Length or in
chunks. Anything else is a 400 and the end of the connection. A lost answer is a connection that drops.
"""

import asyncio
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..protocol.messages import Request, Response
from .faults import Delivery
from .framing import BadRequest, Framing, RawRequest

if TYPE_CHECKING:
    from .server import FakeExbo

__all__ = ["serving"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _head(status: int, headers: Iterable[tuple[str, str]], *, close: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {_reason(status)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"connection: {'close' if close else 'keep-alive'}", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


class _Connection(asyncio.Protocol):
    """One connection: requests are answered one after the other, in the order they came."""

    def __init__(self, fake: "FakeExbo", home: "set[_Connection]", name: str) -> None:
        self._fake = fake
        self._home = home
        self._name = name
        self._framing = Framing()
        self._transport: asyncio.Transport  # from connection_made on, which comes before everything else
        self._task: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # what a TCP server hands out
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "127.0.0.1"
        self._home.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's own signature
        self._home.discard(self)
        self.gone.set()
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._framing.feed(data)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        try:
            while self._task is None and not self._transport.is_closing():
                raw = self._framing.next_request()
                if raw is None:
                    if self._framing.expects_continue():
                        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    return
                self._serve(raw)
        except BadRequest as error:
            self._refuse(error)

    def _serve(self, raw: RawRequest) -> None:
        host = raw.header("host") or self._name
        request = Request(raw.method, f"http://{host}{raw.target}", raw.headers, raw.content)
        delivery = self._fake.receive(request, address=self._address)
        if delivery.plain and delivery.response is not None:
            self._finish(delivery, delivery.response, raw)
        else:
            self._task = asyncio.get_running_loop().create_task(self._deliver(delivery, raw))

    async def _deliver(self, delivery: Delivery, raw: RawRequest) -> None:
        if delivery.delay:
            await asyncio.sleep(delivery.delay)
        if delivery.gate is not None:
            await delivery.gate.pass_through_async(asyncio.sleep, None)
        self._task = None
        if delivery.lost or delivery.response is None:
            self._drop(delivery)
        else:
            self._finish(delivery, delivery.response, raw)
            self._serve_waiting()

    def _drop(self, delivery: Delivery) -> None:
        part = b""
        if delivery.partial and delivery.response is not None:
            response = delivery.response
            head = _head(response.status, delivery.headers(response), close=True)
            part = head + response.content[: len(response.content) // 2]
        self._send(part, close=True)

    def _refuse(self, error: BadRequest) -> None:
        text = str(error).encode()
        headers = [("content-type", "text/plain"), ("content-length", str(len(text)))]
        self._send(_head(error.status, headers, close=True) + text, close=True)

    def _finish(self, delivery: Delivery, response: Response, raw: RawRequest) -> None:
        head = _head(response.status, delivery.headers(response), close=raw.closes)
        self._send(head + (b"" if raw.method == "HEAD" else response.content), close=raw.closes)

    def _send(self, data: bytes, *, close: bool) -> None:
        self._transport.write(data)
        if close:
            self._transport.close()


class _Server:
    """The event loop's thread."""

    def __init__(self, fake: "FakeExbo", host: str, port: int) -> None:
        self._fake = fake
        self._host = host
        self._port = port
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="exbo-sandbox", daemon=True)
        self.address = ""

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            where = f"{self._host}:{self._port}"
            reason = getattr(self._error, "strerror", None) or self._error
            raise ConfigurationError(f"cannot listen on {where}: {reason}") from None

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ready.set()

    async def _main(self) -> None:
        connections: set[_Connection] = set()
        loop = self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            server = await loop.create_server(
                lambda: _Connection(self._fake, connections, self.address), self._host, self._port, backlog=512
            )
        except (OSError, OverflowError) as error:  # the latter for a port that is no port
            self._error = error
            return
        port = server.sockets[0].getsockname()[1]
        self.address = f"{f'[{self._host}]' if ':' in self._host else self._host}:{port}"
        self._ready.set()
        await self._stop.wait()
        await _stop_accepting(server)
        for connection in list(connections):
            connection.close()
            await connection.gone.wait()
        await server.wait_closed()


async def _stop_accepting(server: asyncio.Server) -> None:
    """Let who is being accepted come in, and nobody after that.

    A closed server forgets a connection that is half accepted: it stays open, and from Python 3.12 on is waited for.
    """
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows accepts in another way
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    await _turns(2)  # one makes the transport, one tells the protocol of it
    server.close()
    await _turns(1)


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@contextmanager
def serving(fake: "FakeExbo", host: str, port: int) -> Generator[str]:
    """Serve `fake` within the block; yields the base URL, which is also `fake.base_url` meanwhile.

    Raises `ConfigurationError` if the port cannot be had or the host is no loopback address: the sandbox lets anybody
    sign in as anybody.
    """
    if host not in _LOOPBACK:
        raise ConfigurationError(f"the sandbox listens on loopback only ({', '.join(_LOOPBACK)}), not on {host!r}")
    server = _Server(fake, host, port)
    server.start()
    before, fake.base_url = fake.base_url, f"http://{server.address}/oauth"
    try:
        yield fake.base_url
    finally:
        fake.base_url = before
        server.stop()

"""One connection of the socket server: HTTP/1.1 as h11 reads and writes it, requests answered in the order they came.

What is not HTTP is refused at once, and what is too large as soon as it is known to be. Either answer arrives, because
the connection is then closed for writing only, and what still comes is thrown away (RFC 9112, section 9.6).
"""

import asyncio
from collections.abc import Collection
from http import HTTPStatus
from re import compile as pattern

import h11
from attrs import define, field

from ..protocol.messages import Request, Response
from .delivery import Answering, Delivery, in_bytes
from .laravel import framework_error
from .targets import Misaddressed, url_of

__all__ = ["Connection", "Home"]

_HEAD_LIMIT = 65_536
_BODY_LIMIT = 8 * 1_048_576  # PHP's post_max_size
_LINGERING = 5.0  # seconds
_BODILESS = (204, 304)
_QUOTED = pattern(r":? *\bb(ytearray\(b)?['\"].*")  # what h11 quotes of a request can hold a secret


@define(eq=False)
class Home:
    """What the connections of one server share.

    `exbo` answers, `names` are the hosts besides loopback for which it does, `address` is where it listens.
    """

    exbo: Answering
    names: Collection[str]
    address: str = ""
    connections: "set[Connection]" = field(factory=set)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Connection(asyncio.Protocol):
    """See the module."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._http = self._reader()
        self._head: tuple[str, str, tuple[tuple[str, str], ...]]  # of the request whose body is coming in
        self._body = bytearray()
        self._transport: asyncio.Transport  # from connection_made on, which comes before everything else
        self._task: asyncio.Task[None] | None = None
        self._refused = False
        self.gone: asyncio.Event = asyncio.Event()

    @staticmethod
    def _reader() -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # what a TCP server hands out
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "127.0.0.1"
        self._home.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's own signature
        self._home.connections.discard(self)
        self.gone.set()
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._http.receive_data(data)
        self._serve_waiting()

    def eof_received(self) -> bool:
        """A client that has said everything may still wait for an answer that is held back."""
        if self._task is None:
            return False
        self._http.receive_data(b"")
        return True

    # From bytes to requests

    def _serve_waiting(self) -> None:
        try:
            while self._task is None and not self._refused and not self._transport.is_closing():
                self._skip_empty_lines()
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._allow_body()
                    return
                self._take(event)
        except h11.RemoteProtocolError as error:
            self._refuse_bytes(error)

    def _skip_empty_lines(self) -> None:
        """Begin behind empty lines before a request (RFC 9112, section 2.2), which h11 takes for a fault."""
        if self._http.their_state is h11.IDLE:
            waiting, _ = self._http.trailing_data
            if waiting.startswith((b"\r", b"\n")):
                self._http = self._reader()
                if rest := waiting.lstrip(b"\r\n"):
                    self._http.receive_data(rest)

    def _allow_body(self) -> None:
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._collect(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self._serve()
        else:  # the client has left, and nothing is owed to it
            self._transport.close()

    def _begin(self, event: h11.Request) -> None:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        given = dict(event.headers)  # a name that h11 lets come once only is what is looked for
        host = given.get(b"host", b"").decode("latin-1")
        try:
            url = url_of(event.target.decode(), host, own=self._home.address, names=self._home.names)
        except Misaddressed as error:
            self._refuse(error.status, str(error))
            return
        self._head = event.method.decode(), url, headers
        if int(given.get(b"content-length", 0)) > _BODY_LIMIT:
            self._refuse_size()

    def _collect(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > _BODY_LIMIT:
            self._refuse_size()

    # From requests to answers

    def _request(self) -> Request:
        return Request(*self._head, bytes(self._body))

    def _serve(self) -> None:
        request = self._request()
        self._body.clear()
        delivery = self._home.exbo.receive(request, address=self._address)
        if delivery.plain and delivery.response is not None:
            self._finish(delivery, delivery.response, request.method)
        else:
            self._task = asyncio.get_running_loop().create_task(self._deliver(delivery, request.method))

    async def _deliver(self, delivery: Delivery, method: str) -> None:
        if delivery.delay:
            await asyncio.sleep(delivery.delay)
        if delivery.gate is not None:
            await delivery.gate.pass_through_async(asyncio.sleep, None)
        self._task = None
        if delivery.lost or delivery.response is None:
            self._drop(delivery)
        else:
            self._finish(delivery, delivery.response, method)
            self._serve_waiting()

    def _drop(self, delivery: Delivery) -> None:
        if delivery.partial and delivery.response is not None:
            response = delivery.response
            half = h11.Data(data=response.content[: len(response.content) // 2])
            self._write(self._heading(delivery.headers(response), response.status), half)
        self._transport.close()

    def _finish(self, delivery: Delivery, response: Response, method: str) -> None:
        try:
            self._say(response, delivery.headers(response), with_body=method != "HEAD")
        except h11.LocalProtocolError:  # a scripted answer that cannot be one: its client sees it break off
            self._transport.close()
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._transport.close()

    def _say(self, response: Response, headers: list[tuple[bytes, bytes]], *, with_body: bool = True) -> None:
        bodiless = not with_body or response.status in _BODILESS
        body = h11.Data(data=b"" if bodiless else response.content)
        self._write(self._heading(headers, response.status), body, h11.EndOfMessage())

    @staticmethod
    def _heading(headers: list[tuple[bytes, bytes]], status: int) -> h11.Response:
        return h11.Response(status_code=status, headers=headers, reason=_reason(status).encode())

    def _write(self, *events: h11.Event) -> None:
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))

    # Refusals

    def _refuse_bytes(self, error: h11.RemoteProtocolError) -> None:
        waiting, _ = self._http.trailing_data
        if waiting.startswith(b"\x16\x03"):  # how a TLS handshake begins
            self._refuse(400, "https:// was spoken to a port that understands http:// only")
        else:
            reason = _QUOTED.sub("", str(error))
            self._refuse(error.error_status_hint, f"this is not HTTP/1.1 ({reason})")

    def _refuse(self, status: int, message: str) -> None:
        headers = {"content-type": "text/plain; charset=utf-8"}
        self._hang_up(Response(status, headers, f"{message}\n".encode()), message)

    def _refuse_size(self) -> None:
        message = "The POST data is too large."  # Laravel's
        self._body.clear()
        self._hang_up(framework_error(self._request(), 413, message), message)

    def _hang_up(self, response: Response, message: str) -> None:
        self._refused = True
        self._home.exbo.note_unreadable(message)
        length = ("content-length", str(len(response.content)))
        self._say(response, in_bytes([*response.headers.items(), length, ("connection", "close")]))
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGERING, self._transport.abort)

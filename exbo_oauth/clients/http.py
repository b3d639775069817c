"""What the two shells know of HTTP libraries, in no colour.

httpx and httpx2 are twins, so everything goes by the names they share and neither has to be imported here. A
`Transfer` watches one request on its way: whether it can have left this machine decides whether it may be repeated.

Requests go to the transport beneath a client, past the client itself. Its hooks, default headers, parameters, cookies
and redirects were meant for other requests: they would see the secrets, go along to EXBO, or raise on a status that is
an answer here. What replaces or watches transports (a test's mock, tracing) sees ours as well.
"""

import logging
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from itertools import product
from typing import Any, Never, TypeAlias
from urllib.parse import urlsplit

from attrs import define, field

from ..errors import ConfigurationError, TransportError
from ..masking import Secret, detached
from ..misuse import narrowed
from ..protocol.answers import MAX_BODY
from ..protocol.messages import Headers, Request, Response
from .compression import decompressed
from .proxies import check_direct, origin_in_plain

__all__ = [
    "UNSENT",
    "Limits",
    "Transfer",
    "body_of",
    "checked_client",
    "is_of_the_library",
    "is_raised_into_us",
    "pools_of",
    "transport_for",
    "transports_of",
    "unbroken",
]

Limits: TypeAlias = tuple[float | None, float | None]  # of connecting, and of each read and write (seconds)

UNSENT = "exbo_oauth.unsent"
"""What a connection of ours is asked, to learn whether it still keeps what was written since it was read from last."""

_MOST_SURPLUS = 1000  # pieces: far more than the library has read ahead

# Raised before there is a connection, in httpx and httpx2 alike, and while it is made.
_UNCONNECTED = frozenset({"PoolTimeout", "UnsupportedProtocol", "InvalidURL"})
_CONNECTING = frozenset({"ConnectError", "ConnectTimeout", "ProxyError"})

_SITUATIONS = {"TimeoutException": "timeout", "gaierror": "name", "SSLCertVerificationError": "certificate"}

_CLIENTS = frozenset(product(("httpx", "httpx2"), ("Client", "AsyncClient")))

# Only the library knows that a request waited for a free connection and was not sent. It has to say so before the whole
# exchange is given up.
_WAITING_SHARE = 0.75

_LIBRARIES = frozenset({"h11", "h2", "httpcore", "httpcore2", "httpx", "httpx2", "socksio", "ssl"})


@define(eq=False, repr=False)
class Transfer:
    """One request and what is known of its way. The body so far is kept here, out of sight of tracebacks.

    It may go through a client of `ours`, whose network beneath is known, or through one of the caller's.
    """

    request: Request
    timeout: float
    ours: bool
    _abandoned: bool = False
    _departure: threading.Lock = field(factory=threading.Lock)
    _connecting: bool = False
    _writing: bool = False
    _tunnelled: bool = False
    _stream: Any = None
    _head: tuple[int, Headers] = (0, Headers())
    _chunks: list[bytes] = field(factory=list)
    _size: int = 0

    def asked_of(self, client: Any, trace: Any, limits: Limits) -> Any:
        """The request as the client's library writes it."""
        library, (connecting, moving) = _library_of(client), limits
        patience = {"connect": connecting, "read": moving, "write": moving, "pool": self.timeout * _WAITING_SHARE}
        content, url = self.request.content, _address(library.URL, self.request.url)
        headers = [("Host", url.netloc.decode()), *self.request.headers, ("Connection", "keep-alive")]
        if content:
            headers.append(("Content-Length", str(len(content))))
        stream, extensions = library.ByteStream(content), {"timeout": patience, "trace": trace}
        request = library.Request(self.request.method, url, headers=headers, stream=stream, extensions=extensions)
        request.read()  # as one that is made of its content is
        return request

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """What the connection says it is doing (httpcore's trace events), until the request leaves."""
        if event.endswith("send_request_headers.started"):
            asked = info["request"]
            if asked.method != b"CONNECT":  # a proxy's own request, not ours
                self._check_way(asked.url)
                self._depart()
                asked.extensions.pop("trace", None)  # what follows changes nothing, and costs time
        elif event == "socks.connect_tcp.started":  # by a proxy that the request knows nothing of
            self._tunnelled = self._connecting = True
        elif event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        # A transport of the caller's may tell of other things.
        elif event.startswith(("connection.", "proxy.", "socks.", "http11.", "http2.")):  # pragma: no branch
            self._connecting = True

    def _check_way(self, url: Any) -> None:
        """A caller's HTTP client may lead through a proxy what is meant for this machine: nothing is sent then."""
        meant = urlsplit(self.request.url)
        plain = origin_in_plain(meant.scheme, meant.hostname, meant.port)
        if plain is not None:
            check_direct(url, plain, self._tunnelled)

    def _depart(self) -> None:
        """From here on the request counts as sent. One that was given up, and perhaps repeated, must not go now."""
        with self._departure:
            if self._abandoned:
                raise TimeoutError("given up before it was sent")
            self._writing = True

    @property
    def is_under_way(self) -> bool:
        """Whether anything was heard of a connection for it."""
        return self._connecting or self._writing

    @property
    def unfinished_connection(self) -> Any:
        """The connection that was opened for this request and not used yet, if there is one."""
        return None if self._writing else self._stream

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        with self._departure:
            self._abandoned = True

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the body; False when there is no need for more."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        return self._size <= MAX_BODY and not self._abandoned

    def begin(self, request: Any, response: Any) -> bool:
        """Keep the head of the answer. Whether there is a body to read: that of a redirect tells nothing."""
        self._check_asked(response)
        status = response.status_code
        self._head = (status, _headers(response.headers.raw))
        _log(request, response)
        return not 300 <= status < 400

    def _check_asked(self, response: Any) -> None:
        """Refuse what lay behind the answer before, and came before anything was asked: it may be somebody else's."""
        stream = response.extensions.get("network_stream")
        if hasattr(stream, "get_extra_info") and stream.get_extra_info(UNSENT):
            raise self._error("there was more than an answer to the request before", unsent=True)

    def take_all(self, chunks: Iterable[bytes]) -> None:
        """Keep the whole body, or as much of it as is needed to see that it is too large."""
        all(map(self.take, chunks))  # no piece is ever a local variable of a frame that may raise

    async def atake_all(self, chunks: AsyncIterable[bytes], stop: Callable[[], Awaitable[None]]) -> None:
        """`take_all` of an asynchronous body, which `stop` closes.

        A body that is too large is closed and then read to its end all the same: the library's generators would
        otherwise be left half-way, for the garbage collector and the event loop to find (trio warns of that). A
        body that does not even end then is left.
        """
        surplus = 0
        try:
            async for chunk in chunks:
                surplus += surplus > 0 or not self.take(chunk)
                del chunk
                if surplus == 1:
                    await stop()
                if surplus > _MOST_SURPLUS:
                    return
        except Exception:  # what a closed connection raises is known already
            if not surplus:
                raise

    def answer(self) -> Response:
        """The whole answer; a body that is too large is cut where that became clear."""
        (status, headers), body = self._head, b"".join(self._chunks)
        return Response(status, headers, decompressed(body, headers.get("content-encoding", ""), MAX_BODY))

    def timed_out(self) -> TransportError:
        """The whole exchange took longer than it may, and is given up."""
        self.abandon()
        unsent = self._connecting and not self._writing
        return narrowed(self._error(f"no complete answer within {self.timeout:g} s", unsent=unsent), "timeout")

    def failed(self, error: Exception) -> TransportError:
        """Our error for one of the library's, which becomes its cause without its frames."""
        names = {kind.__name__ for kind in type(error).__mro__}
        ours = narrowed(self._error(_words(error), unsent=self._is_unsent(names, error)), _situation(error))
        ours.__cause__ = detached(error)
        return ours

    def _is_unsent(self, names: set[str], error: Exception) -> bool:
        # A transport of the caller's that translates another library's errors may call a lost answer a failed
        # connection, so it is believed only if it was seen to connect; one that says so itself knows. Beneath our own
        # clients whatever fails from then on fails before the request leaves, as a tunnel through a proxy does.
        translated = (error.__cause__ or error.__context__) is not None
        said = bool(names & _UNCONNECTED) or (bool(names & _CONNECTING) and (self._connecting or not translated))
        return (said or (self.ours and self._connecting)) and not self._writing

    def _error(self, text: str, *, unsent: bool) -> TransportError:
        target = self.request.url.partition("?")[0]
        return TransportError(f"{self.request.method} {target} got no answer: {text}", request_sent=not unsent)


def _words(error: BaseException) -> str:
    """The name of the library's error, and what it says, or else what the system's first one says that is behind it."""
    speaking: BaseException | None = error
    while speaking is not None and not (str(speaking) and (speaking is error or isinstance(speaking, OSError))):
        speaking = speaking.__cause__ or speaking.__context__
    return type(error).__name__ if speaking is None else f"{type(error).__name__}: {speaking}"


def _situation(error: BaseException | None) -> str | None:
    """Which of the failures with a cure of its own stands behind an error of the library."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        for name, situation in _SITUATIONS.items():
            if name in names:
                return situation
        error = error.__cause__ or error.__context__
    return None


def transport_for(client: Any, request: Any) -> Any:
    """What the client would send this request through: a proxy of the environment's has a transport of its own."""
    return client._transport_for_url(request.url)  # noqa: SLF001  # tests/surfaces/test_transports.py


def pools_of(client: Any) -> list[Any]:
    """All the library's pools of connections that a client of ours has: one for each proxy, and one without."""
    pools = [transport._pool for transport in transports_of(client)]  # noqa: SLF001  # tests/surfaces/test_transports.py
    return [getattr(pool, "pool", pool) for pool in pools]


def transports_of(client: Any) -> list[Any]:
    """The transports of a client of ours that have pools. What a test has put in the place of one has none."""
    every = [client._transport, *client._mounts.values()]  # noqa: SLF001  # tests/surfaces/test_transports.py
    return [transport for transport in every if hasattr(transport, "_pool")]


def _library_of(client: Any) -> Any:
    return sys.modules[next(name for name, kind in map(_names, type(client).__mro__) if (name, kind) in _CLIENTS)]


@lru_cache(64)
def _address(make: Callable[[str], Any], url: str) -> Any:
    return make(url)


def _headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    """As text, in the first encoding that fits all of them."""
    for encoding in ("ascii", "utf-8"):
        with suppress(UnicodeDecodeError):
            return Headers([(name.decode(encoding), value.decode(encoding)) for name, value in raw])
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])


def body_of(response: Any, pieces: Callable[[], Any]) -> Any:
    """The body as it comes; from the library's own `pieces` where a transport of the caller's has read it already.

    A body that the library decodes may swell to gigabytes first, or break the library's generators half-way.
    """
    return pieces() if response.is_stream_consumed else response.stream


def _log(request: Any, response: Any) -> None:
    """Write what the library's client would have, for whoever has turned that on."""
    logger = logging.getLogger(type(request).__module__.partition(".")[0])
    if logger.isEnabledFor(logging.INFO):
        version, status, reason = response.http_version, response.status_code, response.reason_phrase
        logger.info('HTTP Request: %s %s "%s %d %s"', request.method, request.url, version, status, reason)


def is_of_the_library(error: BaseException) -> bool:
    """Whether the library raised this. Not so what a signal's handler or a time limit raises while it is at work.

    Of Python's own errors those of the system are never the library's, whose network reports them as httpcore does.
    """
    if _package(type(error).__module__) in _LIBRARIES:
        return True
    if isinstance(error, OSError | RuntimeError):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else _package(trace.tb_frame.f_globals.get("__name__", ""))
    return type(error).__module__ == "builtins" and where in _LIBRARIES


def is_raised_into_us(error: Exception) -> bool:
    """Whether this is a time limit, say, that came while files were read: nothing that those have to do with."""
    known = _LIBRARIES | sys.stdlib_module_names | {"certifi", "idna"}
    return isinstance(error, TimeoutError) or _package(type(error).__module__) not in known


def _package(module: str) -> str:
    return module.partition(".")[0]


def unbroken(stream: Any, content: bytes) -> Any:
    """A request's `stream` of the library, whose `content` is one piece, in a form that may be left half-way.

    The library's own is an asynchronous generator. A request that breaks off leaves it for the garbage collector and
    the event loop to find, which trio warns of.
    """
    kind: Any = type(stream)
    return _unbroken_kind(kind)(content)


@cache
def _unbroken_kind(kind: type) -> Callable[[bytes], Any]:
    class Unbroken(kind):  # type: ignore[misc]  # the library's own class is known at run time
        def __init__(self, content: bytes) -> None:
            self._content: Secret[Any] = Secret(content)

        def __aiter__(self) -> AsyncIterator[bytes]:
            return _Pieces([self._content] if self._content.reveal() else [])

    return Unbroken


@define
class _Pieces(AsyncIterator[bytes]):
    _left: list[Secret[Any]]

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        content: bytes = self._left.pop().reveal()
        return content


def checked_client(http_client: Any, name: str) -> None:
    """Check that the caller's HTTP client is open and of the right colour: `name` is its class in both libraries."""
    if not any(_names(kind) in _CLIENTS and kind.__name__ == name for kind in type(http_client).__mro__):
        _reject(http_client, name)
    if http_client.is_closed:
        raise ConfigurationError("the http_client that was passed in is closed")


def _names(kind: type) -> tuple[str, str]:
    return kind.__module__.partition(".")[0], kind.__name__


def _reject(http_client: Any, name: str) -> Never:
    kind = f"{type(http_client).__module__}.{type(http_client).__name__}"
    raise ConfigurationError(f"http_client must be an httpx.{name} (or httpx2.{name}), not {kind}")

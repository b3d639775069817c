"""What the two shells know of HTTP libraries, in no colour.

httpx and httpx2 are twins, so everything goes by the names they share and neither has to be imported here. A
`Transfer` watches one request on its way: whether it can have left this machine decides whether it may be repeated.
"""

from collections.abc import AsyncIterable, Iterable
from typing import Any, Never

from attrs import define, field

from .errors import ConfigurationError, TransportError
from .masking import detached
from .protocol.answers import MAX_BODY
from .protocol.messages import Headers, Request, Response

__all__ = ["Redirected", "Transfer", "library_of"]

# Raised before a byte of the request is written, in httpx and httpx2 alike.
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"})


class Redirected(Exception):
    """The answer is a redirect: kept from the HTTP library, which reads its Location even if it shall not follow."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@define(eq=False, repr=False)
class Transfer:
    """One request and what is known of its way. The body so far is kept here, out of sight of tracebacks."""

    request: Request
    timeout: float
    abandoned: bool = False
    _connecting: bool = False
    _writing: bool = False
    _chunks: list[bytes] = field(factory=list)
    _size: int = 0

    def options(self, trace: Any) -> dict[str, Any]:
        """The arguments of the library's ``build_request``."""
        return {
            "method": self.request.method,
            "url": self.request.url,
            "headers": list(self.request.headers),
            "content": self.request.content or None,
            "timeout": self.timeout,
            "extensions": {"trace": trace},
        }

    def note(self, event: str) -> None:
        """What the connection says it is doing (httpcore's trace events)."""
        if event.endswith("send_request_headers.started"):
            self._writing = True
        elif event.startswith(("connection.", "http_proxy.", "socks", "http11.", "http2.")):
            self._connecting = True

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the body; False when there is no need for more."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        return self._size <= MAX_BODY and not self.abandoned

    def take_all(self, chunks: Iterable[bytes]) -> None:
        """Keep the whole body, or as much of it as is needed to see that it is too large."""
        all(map(self.take, chunks))  # no piece is ever a local variable of a frame that may raise

    async def atake_all(self, chunks: AsyncIterable[bytes]) -> None:
        """`take_all` of an asynchronous body."""
        async for chunk in chunks:
            more = self.take(chunk)
            del chunk
            if not more:
                return

    def answer(self, status: int, headers: Any) -> Response:
        """The whole answer; a body that is too large is cut where that became clear."""
        return Response(status, Headers(headers.multi_items()), b"".join(self._chunks))

    @staticmethod
    def stop_at_redirect(response: Any) -> None:
        """Raise `Redirected` if this answer of the library is a redirect."""
        if 300 <= response.status_code < 400:
            raise Redirected(Response(response.status_code, Headers(response.headers.multi_items()), b""))

    def timed_out(self) -> TransportError:
        """The whole exchange took longer than it may."""
        return self._error(f"no complete answer within {self.timeout:g} s", unsent=not self._writing and self._connecting)

    def failed(self, error: Exception) -> TransportError:
        """Our error for one of the library's, which becomes its cause without its frames."""
        names = {kind.__name__ for kind in type(error).__mro__}
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        ours = self._error(text, unsent=not self._writing and bool(names & _NEVER_SENT))
        ours.__cause__ = detached(error)
        return ours

    def _error(self, text: str, *, unsent: bool) -> TransportError:
        target = self.request.url.partition("?")[0]
        return TransportError(f"{self.request.method} {target} got no answer: {text}", request_sent=not unsent)

    def __repr__(self) -> str:
        return f"<Transfer {self.request!r}>"


def library_of(http_client: Any, name: str) -> None:
    """Check that the caller's HTTP client is an open one of the right colour: `name` is its class in httpx and httpx2."""
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(http_client).__mro__}
    if not kinds & {("httpx", name), ("httpx2", name)}:
        _reject(http_client, name)
    if http_client.is_closed:
        raise ConfigurationError("the http_client that was passed in is closed")


def _reject(http_client: Any, name: str) -> Never:
    raise ConfigurationError(
        f"http_client must be an httpx.{name} (or httpx2.{name}), not {type(http_client).__module__}.{type(http_client).__name__}"
    )

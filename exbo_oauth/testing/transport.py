"""The server behind HTTP clients of this process: one object for sync and async clients, of httpx and of httpx2.

The answer is made at once; waiting (`latency`, `hold`) happens here, within the client's read timeout, and a lost
answer becomes the client library's own error. Works on asyncio and trio.
"""

import importlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any

import httpx

from ..protocol.messages import Request
from .delivery import Answering, Delivery

__all__ = ["FakeTransport", "transport_for"]


def _library(request: Any) -> Any:
    """The library that a request belongs to: httpx, or its successor."""
    return importlib.import_module(type(request).__module__.partition(".")[0])


def _message(request: Any, content: bytes) -> Request:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    return Request(request.method, str(request.url), headers, content)


def _read_timeout(request: Any) -> float | None:
    value = request.extensions.get("timeout", {}).get("read")
    return None if value is None else float(value)


class FakeTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """See the module. Closing it does nothing, so that clients may come and go."""

    def __init__(self, exbo: Answering) -> None:
        self._exbo = exbo

    def __repr__(self) -> str:
        return f"<transport of {self._exbo!r}>"

    def handle_request(self, request: httpx.Request) -> Any:  # of the request's own library
        delivery = self._exbo.receive(_message(request, request.read()))
        patience = _read_timeout(request)
        if delivery.delay:
            self._outlast(request, delivery, patience)
            time.sleep(delivery.delay)
        if delivery.gate is not None and not delivery.gate.pass_through(patience):
            raise _library(request).ReadTimeout("the answer is held back", request=request)
        return _delivered(request, delivery)

    async def handle_async_request(self, request: httpx.Request) -> Any:  # the same
        import anyio

        delivery = self._exbo.receive(_message(request, await request.aread()))
        patience = _read_timeout(request)
        await anyio.lowlevel.checkpoint()
        if delivery.delay:
            self._outlast(request, delivery, patience)
            await anyio.sleep(delivery.delay)
        if delivery.gate is not None and not await delivery.gate.pass_through_async(anyio.sleep, patience):
            raise _library(request).ReadTimeout("the answer is held back", request=request)
        return _delivered(request, delivery)

    @staticmethod
    def _outlast(request: Any, delivery: Delivery, patience: float | None) -> None:
        """A latency beyond the read timeout is a timeout; nobody has to wait it out to see that."""
        if patience is not None and delivery.delay > patience:
            raise _library(request).ReadTimeout("the answer is too slow", request=request)


def _delivered(request: Any, delivery: Delivery) -> Any:
    library = _library(request)
    response = delivery.response
    if response is None or (delivery.lost and not delivery.partial):
        raise library.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    if not delivery.partial:
        return library.Response(
            response.status, headers=delivery.headers(response), content=response.content, request=request
        )
    stream = _cut_stream(library)(_half(response.content), request)
    return library.Response(response.status, headers=delivery.headers(response), stream=stream, request=request)


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@cache
def _cut_stream(library: Any) -> Callable[[bytes, Any], Any]:
    """The class of bodies that break off, for a library."""

    class CutStream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]  # bases known at run time
        def __init__(self, part: bytes, request: Any) -> None:
            self._part = part
            self._request = request

        def _break(self) -> Exception:
            text = "peer closed connection without sending complete message body"
            error: Exception = library.RemoteProtocolError(text, request=self._request)
            return error

        def __iter__(self) -> Iterator[bytes]:
            yield self._part
            raise self._break()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield self._part
            raise self._break()

    return CutStream


def transport_for(exbo: Answering) -> FakeTransport:
    """A transport that is also an instance of httpx2's base classes if that library is in use."""
    return _transport_class("httpx2" in sys.modules)(exbo)


@cache
def _transport_class(with_successor: bool) -> type[FakeTransport]:
    if not with_successor:
        return FakeTransport
    httpx2 = importlib.import_module("httpx2")
    return type("FakeTransport", (FakeTransport, httpx2.BaseTransport, httpx2.AsyncBaseTransport), {})

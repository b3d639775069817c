"""The connections of an HTTP client of ours, in front of httpcore's pool.

That pool goes through all that it has, and all who wait, before each request and after it. Hardly anybody has more than
one connection to EXBO: the one that was free last is taken up here, and given back, without a look at others. A crowd
goes on to the pool, which knows how to queue. So does every request where somebody has put a method of their own in the
place of the pool's, as recorders of HTTP do: they are to see all.

No lock is held here, so an interrupt leaves none.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Self

import httpcore

__all__ = ["AsyncConnections", "Connections", "put_in_front"]

_MOST = 20  # as many as the pool keeps open


def put_in_front(transports: Iterable[Any]) -> None:
    """Have connections kept in front of the pools of these transports, as far as they lead through no proxy."""
    for transport in transports:
        kind = _KINDS.get(type(transport._pool))  # noqa: SLF001  # tests/surfaces/test_transports.py
        if kind is not None:
            transport._pool = kind(transport._pool)  # noqa: SLF001


class _Kept:
    """The connections that are open, and which of them are free: the one that was used last at the end."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._free: deque[Any] = deque()
        self._busy: set[Any] = set()
        self._closed = False

    def _taken(self, origin: Any, method: str) -> tuple[Any, list[Any]]:
        """A connection, None if it is the pool's turn; and those that are to be closed."""
        if _is_replaced(self.pool, method):
            return None, []
        stale: list[Any] = []
        connection = self._free_one(origin, stale)
        if connection is None and len(self._busy) < _MOST:
            connection = self.pool.create_connection(origin)
        if connection is not None:
            self._busy.add(connection)
        return connection, stale

    def _free_one(self, origin: Any, stale: list[Any]) -> Any:
        with suppress(IndexError):  # there is none, or another thread was faster
            while True:
                connection = self._free.pop()
                if connection.can_handle_request(origin) and not connection.has_expired():
                    return connection
                stale.append(connection)
        return None

    def _returned(self, connection: Any) -> list[Any]:
        """Keep a connection if it can be used again; those that are to be closed."""
        if connection not in self._busy:  # it was returned before, or closed
            return []
        self._busy.discard(connection)
        if self._closed or not connection.is_idle():
            return [connection]
        self._free.append(connection)
        stale: list[Any] = []
        with suppress(IndexError):
            while len(self._free) > 1 and self._free[0].has_expired():
                stale.append(self._free.popleft())
        return stale

    def _all(self) -> list[Any]:
        """All connections, of which none is kept from now on."""
        self._closed = True
        connections = [*self._free, *self._busy]
        self._free.clear()
        self._busy.clear()
        return connections


def _is_replaced(pool: Any, method: str) -> bool:
    """Whether this method of the pool's is not the library's own."""
    kind = type(pool)
    return _file(getattr(kind, method)) != _file(kind.create_connection)


def _file(function: Any) -> object:
    return getattr(getattr(function, "__code__", None), "co_filename", None)


class Connections(_Kept):
    """Those of a blocking client, which threads may share."""

    def handle_request(self, request: Any) -> Any:
        """Send a request and receive the head of its answer."""
        connection, stale = self._taken(request.url.origin, "handle_request")
        _close(stale)
        if connection is None:
            return self.pool.handle_request(request)
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._drop(connection)
            raise
        response.stream = _Body(response.stream, partial(self._end, connection))
        return response

    def _end(self, connection: Any, stream: Any) -> None:
        try:
            if hasattr(stream, "close"):  # a mock's has none
                stream.close()
        except BaseException:  # an interrupt may leave it locked
            self._drop(connection)
            raise
        _close(self._returned(connection))

    def _drop(self, connection: Any) -> None:
        self._busy.discard(connection)
        connection.close()

    def close(self) -> None:
        """Close all connections, and the pool."""
        _close(self._all())
        self.pool.close()


def _close(connections: list[Any]) -> None:
    for connection in connections:
        connection.close()


class _Body:
    """The body of an answer, with what is to be done at its end."""

    def __init__(self, stream: Any, end: Callable[[Any], None]) -> None:
        self._stream, self._end = stream, end

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        self._end(self._stream)


class AsyncConnections(_Kept):
    """Those of a client on one event loop."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request and receive the head of its answer."""
        connection, stale = self._taken(request.url.origin, "handle_async_request")
        if stale:
            await _aclose(stale)
        if connection is None:
            return await self.pool.handle_async_request(request)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._drop(connection)
            raise
        response.stream = _AsyncBody(response.stream, partial(self._end, connection))
        return response

    async def _end(self, connection: Any, stream: Any) -> None:
        try:
            if hasattr(stream, "aclose"):
                await stream.aclose()
        except BaseException:
            await self._drop(connection)
            raise
        if stale := self._returned(connection):
            await _aclose(stale)

    async def _drop(self, connection: Any) -> None:
        self._busy.discard(connection)
        await _aclose([connection])

    async def aclose(self) -> None:
        """Close all connections, and the pool."""
        await _aclose(self._all())
        await self.pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _aclose(connections: list[Any]) -> None:
    import anyio  # a blocking client has no need of it

    with anyio.CancelScope(shield=True):
        for connection in connections:
            await connection.aclose()


class _AsyncBody:
    """`_Body` on an event loop."""

    def __init__(self, stream: Any, end: Callable[[Any], Awaitable[None]]) -> None:
        self._stream, self._end = stream, end

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator: AsyncIterator[bytes] = aiter(self._stream)
        return iterator

    async def aclose(self) -> None:
        await self._end(self._stream)


_KINDS: dict[type, Callable[[Any], Any]] = {
    httpcore.ConnectionPool: Connections,
    httpcore.AsyncConnectionPool: AsyncConnections,
}

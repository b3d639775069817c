"""The connections of an HTTP client of ours, in the place of httpcore's pool.

That pool goes through all that it has, and all who wait, before each request and after it: a crowd costs the square of
its number. Here the connection that was free last is taken up, and given back, without a look at others; when as many
are under way as the pool would have, the others wait in a queue, and who has waited longest is next.

The pool still makes the connections. Where somebody has put a method of their own in the place of the pool's, as
recorders of HTTP do, requests go on to it: they are to see all.

No lock is held here, so an interrupt leaves none. Threads that race may have some connections more than they should.
Tests raise interrupts at each place by a trace function; meanwhile nothing measures which lines are reached.
"""

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from inspect import isfunction
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpcore
from attrs import define, field

from ..errors import ConfigurationError
from ..lazy import LazyModule
from ..promise import Awake

if TYPE_CHECKING:
    import anyio
else:  # a blocking client has no need of it
    anyio = LazyModule("anyio")

__all__ = ["AsyncConnections", "Connections", "put_in_front"]

_MOST = 100  # as many as httpx has under way
_KEPT = 20  # as many as it keeps open


def put_in_front(transports: Iterable[Any]) -> None:
    """Have connections kept in front of the pools of these transports."""
    for transport in transports:
        for kind, ours in _KINDS.items():
            if isinstance(transport._pool, kind):  # noqa: SLF001  # tests/surfaces/test_transports.py
                transport._pool = ours(transport._pool)  # noqa: SLF001


@define(eq=False)
class _Turn:
    """Somebody who waits for a connection to `origin`. What is given is taken once, by whichever side is faster."""

    origin: Any
    wake: Callable[[], object]
    given: list[Any] = field(factory=list)
    over: bool = False

    def give(self, connection: Any) -> Any:
        """What is left over, None if it is taken."""
        self.given.append(connection)
        self.wake()
        return self.taken() if self.over else None

    def taken(self) -> Any:
        """What was given, None if there is nothing."""
        with suppress(IndexError):
            return self.given.pop()
        return None


class _Kept:
    """The connections that are open, and which of them are free: the one that was used last at the end."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._free: deque[Any] = deque()
        self._busy: set[Any] = set()
        self._waiting: deque[_Turn] = deque()
        self._closed = False

    def _taken(self, origin: Any, stale: list[Any]) -> Any:
        """A connection, None if others wait for one; and into `stale` those that are to be closed."""
        self._check_open()
        self._hand_out(stale)
        return None if self._waiting or len(self._busy) >= _MOST else self._one(origin, stale)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed")

    def _one(self, origin: Any, stale: list[Any]) -> Any:
        connection = None
        try:
            connection = self._free_one(origin, stale) or self.pool.create_connection(origin)
            self._busy.add(connection)
        except BaseException:  # pragma: no cover  # see the top
            self._give_up(connection, stale)
            raise
        return connection

    def _give_up(self, connection: Any, stale: list[Any]) -> None:  # pragma: no cover  # see the top
        """What an interrupt left in nobody's hands."""
        if connection is not None:
            self._busy.discard(connection)
            stale.append(connection)

    def _free_one(self, origin: Any, stale: list[Any]) -> Any:
        with suppress(IndexError):  # there is none, or another thread was faster
            while True:
                connection = self._free.pop()
                if connection.can_handle_request(origin) and not connection.has_expired():
                    return connection
                stale.append(connection)
        return None

    def _hand_out(self, stale: list[Any]) -> None:
        """Give those who wait what there is."""
        with suppress(IndexError):
            while self._waiting and len(self._busy) < _MOST:
                turn = self._waiting.popleft()
                if turn.over:
                    continue
                connection = None
                try:
                    connection = self._one(turn.origin, stale)
                    self._take_back(turn.give(connection), stale)
                except BaseException:  # pragma: no cover  # see the top
                    if not turn.given:  # whoever was interrupted was about to serve somebody else
                        self._waiting.appendleft(turn)
                        self._give_up(connection, stale)
                    raise

    def _wait_again(self, turn: _Turn, stale: list[Any]) -> None:
        """Somebody may have been interrupted who had just called this one."""
        if turn not in self._waiting:  # pragma: no cover  # see the top
            self._waiting.appendleft(turn)
        self._hand_out(stale)

    def _leave(self, turn: _Turn, stale: list[Any]) -> None:
        """Wait no longer. What is given too late is for the next."""
        turn.over = True
        while (connection := turn.taken()) is not None:
            self._returned(connection, stale)

    def _returned(self, connection: Any, stale: list[Any]) -> None:
        self._take_back(connection, stale)
        self._trim(stale)
        self._hand_out(stale)

    def _take_back(self, connection: Any, stale: list[Any]) -> None:
        """Keep a connection if it can be used again."""
        if connection is None:
            return
        if connection not in self._busy or self._closed or not connection.is_idle():
            stale.append(connection)  # one that was opened while all were closed, too
            self._busy.discard(connection)
            return
        self._busy.discard(connection)
        self._free.append(connection)

    def _trim(self, stale: list[Any]) -> None:
        with suppress(IndexError):
            while len(self._free) > 1 and (len(self._free) > _KEPT or self._free[0].has_expired()):
                stale.append(self._free.popleft())

    def _all(self) -> list[Any]:
        """All connections, of which none is kept from now on. Nobody waits for one any more."""
        self._closed = True
        connections = [*self._free, *self._busy]
        self._free.clear()
        self._busy.clear()
        for turn in list(self._waiting):
            turn.wake()
        return connections


def _is_replaced(pool: Any, method: str) -> bool:
    """Whether this method of the pool's is not the library's own."""
    kind = type(pool)
    function = getattr(kind, method)
    return not isfunction(function) or _file(function) != _file(kind.__repr__)


def _file(function: Any) -> object:
    return getattr(getattr(function, "__code__", None), "co_filename", None)


class Connections(_Kept):
    """Those of a blocking client, which threads may share."""

    def handle_request(self, request: Any) -> Any:
        """Send a request and receive the head of its answer."""
        if _is_replaced(self.pool, "handle_request"):
            return self.pool.handle_request(request)
        connection = self._connection(request)
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._drop(connection)
            raise
        response.stream = _Body(response.stream, partial(self._end, connection))
        return response

    def _connection(self, request: Any) -> Any:
        stale: list[Any] = []
        try:
            return self._taken(request.url.origin, stale) or self._awaited(request, stale)
        finally:
            _close(stale)

    def _awaited(self, request: Any, stale: list[Any]) -> Any:
        calls: SimpleQueue[None] = SimpleQueue()  # no interrupt leaves one locked
        turn, patience = _Turn(request.url.origin, partial(calls.put, None)), Awake(_patience(request))
        self._waiting.append(turn)
        try:
            over = False
            while (connection := turn.taken()) is None:
                self._check_open()
                if over:
                    raise _without_a_turn()
                self._wait_again(turn, stale)
                _close(stale)
                begun = monotonic()
                with suppress(Empty):
                    calls.get(timeout=patience.slice)
                over = patience.waited(monotonic() - begun)
            return connection
        finally:
            self._leave(turn, stale)

    def _end(self, connection: Any, stream: Any) -> None:
        try:
            if hasattr(stream, "close"):  # a mock's has none
                stream.close()
        except BaseException:  # pragma: no cover  # see the top: an interrupt may leave it locked
            self._drop(connection)
            raise
        stale: list[Any] = []
        try:
            self._given_back(connection, stale)
            self._trim(stale)
            self._hand_out(stale)
        finally:
            _close(stale)

    def _given_back(self, connection: Any, stale: list[Any]) -> None:
        try:
            self._take_back(connection, stale)
        except BaseException:  # pragma: no cover  # see the top: it may be in nobody's hands
            if connection not in self._busy and connection not in self._free:
                stale.append(connection)
            raise

    def _drop(self, connection: Any) -> None:
        self._busy.discard(connection)
        stale = [connection]
        try:
            self._hand_out(stale)
        finally:
            _close(stale)

    def close(self) -> None:
        """Close all connections, and the pool."""
        _close(self._all())
        self.pool.close()


def _close(connections: list[Any]) -> None:
    while connections:
        connections.pop().close()


class _Body:
    """The body of an answer, with what is to be done at its end."""

    def __init__(self, stream: Any, end: Callable[[Any], None]) -> None:
        self._stream, self._ends = stream, [end]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        while self._ends:  # once: the connection is somebody else's afterwards
            self._ends.pop()(self._stream)


class AsyncConnections(_Kept):
    """Those of a client on one event loop."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request and receive the head of its answer."""
        if _is_replaced(self.pool, "handle_async_request"):
            return await self.pool.handle_async_request(request)
        stale: list[Any] = []
        connection = None
        try:
            connection = self._taken(request.url.origin, stale)
            await _aclose(stale)
            if connection is None:
                connection = await self._awaited(request)
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._drop(connection)
            raise
        response.stream = _AsyncBody(response.stream, partial(self._end, connection))
        return response

    async def _awaited(self, request: Any) -> Any:
        called, stale = anyio.Event(), list[Any]()
        turn = _Turn(request.url.origin, called.set)
        self._waiting.append(turn)
        try:
            self._hand_out(stale)
            await _aclose(stale)
            with anyio.move_on_after(_patience(request)):
                await called.wait()
            self._check_open()
            if (connection := turn.taken()) is None:
                raise _without_a_turn()
            return connection
        finally:
            self._leave(turn, stale)
            await _aclose(stale)

    async def _end(self, connection: Any, stream: Any) -> None:
        try:
            if hasattr(stream, "aclose"):
                await stream.aclose()
        except BaseException:  # pragma: no cover  # asyncio's own cancellation comes through the library's shield
            await self._drop(connection)
            raise
        stale: list[Any] = []
        self._returned(connection, stale)
        await _aclose(stale)

    async def _drop(self, connection: Any) -> None:
        self._busy.discard(connection)
        stale = [] if connection is None else [connection]
        self._hand_out(stale)
        await _aclose(stale)

    async def aclose(self) -> None:
        """Close all connections, and the pool."""
        await _aclose(self._all())
        await self.pool.aclose()

    async def __aexit__(self, *_: object) -> None:  # what httpx entered was the pool
        await self.aclose()


async def _aclose(connections: list[Any]) -> None:
    if connections:
        with anyio.CancelScope(shield=True):
            try:
                while connections:
                    await connections.pop().aclose()
            finally:  # asyncio's own cancellation comes through the shield
                await _aclose(connections)


def _without_a_turn() -> httpcore.PoolTimeout:
    return httpcore.PoolTimeout(f"all {_MOST} connections were at work")


def _patience(request: Any) -> float:
    """For how many seconds a request may wait for a connection."""
    limit = request.extensions.get("timeout", {}).get("pool")
    return math.inf if limit is None else limit


class _AsyncBody:
    """`_Body` on an event loop."""

    def __init__(self, stream: Any, end: Callable[[Any], Awaitable[None]]) -> None:
        self._stream, self._ends = stream, [end]

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator: AsyncIterator[bytes] = aiter(self._stream)
        return iterator

    async def aclose(self) -> None:
        while self._ends:
            await self._ends.pop()(self._stream)


_KINDS: dict[type, Callable[[Any], Any]] = {  # those that lead through proxies are of these kinds, too
    httpcore.ConnectionPool: Connections,
    httpcore.AsyncConnectionPool: AsyncConnections,
}

"""The network beneath a blocking HTTP client of ours: every step waits for what is left of the whole exchange.

A library's own limits bound single reads, and a server that drips resets them with every byte. Here a `Deadline` is
what they are set to, and sockets are waited for in its slices, so Ctrl-C and time limits that are raised into the
thread come through at once. What they raise is passed on as it is: it may look like an error of a socket's.

A resolver knows no limit, so a connection is opened on a thread of its own. None is there otherwise.
"""

import select
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from socket import socket
from ssl import MemoryBIO, SSLContext, SSLEOFError, SSLError, SSLWantReadError
from typing import Any, TypeVar

import httpcore

from ..threads import carry_out
from .deadline import Deadline
from .http import UNSENT

__all__ = ["Network", "is_ready", "put_beneath"]

T = TypeVar("T")

# A host's addresses are gone through one by one, and each is granted a limit of its own: one that swallows packets
# (broken IPv6) must leave time for the others.
_SHARE = 0.25

_PIECE = 65536  # bytes
_LONGEST = 86_400.0  # seconds, where nobody says how long


def put_beneath(pools: Iterable[Any]) -> None:
    """Open these pools' connections through a `Network`."""
    for pool in pools:
        pool._network_backend = Network()  # noqa: SLF001  # tests/surfaces/test_transports.py


class Network(httpcore.NetworkBackend):
    """Opens connections that keep to a `Deadline`, which stands in the place of each limit (seconds)."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Look the host up and try its addresses; raises `httpcore.ConnectError` and `OverError`."""
        deadline = _deadline(timeout)
        limit, open_one = deadline * _SHARE, httpcore.SyncBackend().connect_tcp
        connect = partial(open_one, host, port, limit, local_address, socket_options)
        return _Line(_elsewhere(connect, deadline).get_extra_info("socket"), deadline)


def _deadline(timeout: float | None) -> Deadline:
    return timeout if isinstance(timeout, Deadline) else Deadline(_LONGEST if timeout is None else timeout)


def _elsewhere(connect: Callable[[], httpcore.NetworkStream], deadline: Deadline) -> httpcore.NetworkStream:
    """Connect on a thread of its own. A connection that comes when nobody waits for it any more is closed."""
    future = Future[httpcore.NetworkStream]()

    def carry() -> None:
        try:
            future.set_result(connect())
        except BaseException as error:  # noqa: BLE001  # belongs to the thread that waits
            future.set_exception(error)

    try:
        carry_out(carry)
        while not wait([future], deadline.slice()).done:
            pass
        if error := future.exception():
            raise error if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout) else _failed(error)
        return future.result()
    except BaseException:
        future.add_done_callback(_hang_up)
        raise


def _failed(error: BaseException) -> httpcore.ConnectError:
    return httpcore.ConnectError(f"{type(error).__name__}: {error}")


def _hang_up(future: "Future[httpcore.NetworkStream]") -> None:
    if future.exception() is None:
        future.result().close()


def is_ready(number: int, seconds: float, *, writing: bool = False) -> bool:
    """Whether there is something to read from this socket, or room to write, within `seconds`."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLOUT if writing else select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    reading, writable = ([], [number]) if writing else ([number], [])  # pragma: no cover  # on Windows
    return any(select.select(reading, writable, writable, seconds))  # pragma: no cover


def _is_interrupt(error: OSError) -> bool:
    """Whether this was raised by a handler of a signal, say, and not by a socket. Those have numbers."""
    return error.errno is None and not isinstance(error, SSLError)


class _Line(httpcore.NetworkStream):
    """A connected socket. What is written waits until an answer is asked for: head and body leave in one packet."""

    def __init__(self, connected: socket, deadline: Deadline) -> None:
        self._socket, self._deadline = connected, deadline
        self._written: list[bytes] = []
        connected.setblocking(False)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is not None:
            self._deadline = _deadline(timeout)
        deadline = self._deadline  # httpcore sets no limit while it speaks to a SOCKS proxy
        if self._written:
            with suppress(httpcore.WriteError):  # whoever hangs up early may have answered before
                self._leave(deadline)
        while True:
            self._wait(deadline, httpcore.ReadError)
            try:
                return self._socket.recv(max_bytes)
            except BlockingIOError:  # pragma: no cover  # it was called ready, and is not: no test has such a system
                continue
            except OSError as error:
                if _is_interrupt(error):
                    raise
                raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._written.append(buffer)

    def _leave(self, deadline: Deadline) -> None:
        left = memoryview(b"".join(self._written))
        self._written = []
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._wait(deadline, httpcore.WriteError, writing=True)
            except OSError as error:
                if _is_interrupt(error):
                    raise
                raise httpcore.WriteError(str(error)) from error

    def _wait(self, deadline: Deadline, kind: type[Exception], *, writing: bool = False) -> None:
        ready = False
        while not ready:
            seconds, number = deadline.slice(), self._socket.fileno()
            if number < 0:  # by another thread, which closes the client
                raise kind("the connection was closed")
            ready = is_ready(number, seconds, writing=writing)

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _secured(self, ssl_context, server_hostname, timeout)

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        self._socket.close()  # an interrupt may come before anybody knows of the connection

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._socket.fileno() < 0 or is_ready(self._socket.fileno(), 0)
        return bool(self._written) if info == UNSENT else None


class _Tls(httpcore.NetworkStream):
    """TLS over a connection, which may have TLS itself: that of a proxy."""

    def __init__(self, inner: httpcore.NetworkStream, context: SSLContext, host: str | None) -> None:
        self._inner, self._incoming, self._outgoing = inner, MemoryBIO(), MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = self._ended = False

    def shake_hands(self, timeout: float | None) -> None:
        self._done(self._tls.do_handshake, timeout, httpcore.ConnectError)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._unsent = False
        try:
            data = self._done(partial(self._tls.read, max_bytes), timeout, httpcore.ReadError)
        except httpcore.ReadError as error:
            if not isinstance(error.__cause__, SSLEOFError):
                raise
            data = b""  # no word of TLS: the headers tell whether all has come
        self._ended = not data
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left, self._unsent = memoryview(buffer), True
        while left:
            left = left[self._done(partial(self._tls.write, left), timeout, httpcore.WriteError) :]

    def _done(self, step: Callable[[], T], timeout: float | None, kind: type[Exception]) -> T:
        deadline = _deadline(timeout)
        while True:
            try:
                result = step()
            except SSLWantReadError:
                self._send(deadline)
                self._receive(deadline)
            except OSError as error:
                if _is_interrupt(error):
                    raise
                raise kind(str(error)) from error
            else:
                self._send(deadline)
                return result

    def _send(self, deadline: Deadline) -> None:
        if self._outgoing.pending:
            self._inner.write(self._outgoing.read(), deadline)

    def _receive(self, deadline: Deadline) -> None:
        data = self._inner.read(_PIECE, deadline)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _secured(self, ssl_context, server_hostname, timeout)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and (self._ended or self._incoming.pending):
            return True  # there was a farewell, which may have come along with the last answer
        if info == UNSENT:  # not so what TLS writes on its own account
            return self._unsent
        return self._tls if info == "ssl_object" else self._inner.get_extra_info(info)


def _secured(
    inner: httpcore.NetworkStream, context: SSLContext, host: str | None, timeout: float | None
) -> httpcore.NetworkStream:
    try:
        try:
            secured = _Tls(inner, context, host)
        except ValueError as error:  # a name that none can have
            raise _failed(error) from None
        try:
            secured.shake_hands(timeout)
        except (httpcore.ReadError, httpcore.WriteError) as error:
            raise _failed(error) from error
    except BaseException:
        inner.close()
        raise
    return secured

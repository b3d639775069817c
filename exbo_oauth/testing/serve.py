"""The server behind a real loopback socket: HTTP/1.1 with keep-alive, on an event loop in a thread of its own.

A name that stands for addresses of both families, as ``localhost`` does nearly everywhere, is served on all of them, on
one port.
"""

import asyncio
import errno
import os
import socket
import sys
import threading
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager, suppress

from ..errors import ConfigurationError
from ..misuse import narrowed
from .connection import Connection, Home
from .delivery import Answering
from .targets import is_loopback

__all__ = ["serving"]

_BACKLOG = 512
_PORTS_TRIED = 20
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  # where a container has to listen


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """Where to listen, each address once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, (str(address[0]), port)) for family, _, _, _, address in found))


def _listening(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # pragma: no branch  # elsewhere it would let a second server in
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)  # what another process has is found out here on some systems
    except BaseException:
        listener.close()
        raise
    return listener


def _listeners(addresses: Iterable[tuple[socket.AddressFamily, tuple[str, int]]]) -> list[socket.socket]:
    """Sockets on one port for all addresses; a family that this machine does not have is left out."""
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, (host, port) in addresses:
        try:
            listeners.append(_listening(family, (host, port or _port_of(listeners))))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                _close(listeners)
                raise
            missing = error
    if missing is not None and not listeners:
        raise missing
    return listeners


def _port_of(listeners: list[socket.socket]) -> int:
    port: int = listeners[0].getsockname()[1] if listeners else 0
    return port


def _close(listeners: Iterable[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets for `host`; a free port is one that is free for all of its addresses."""
    addresses = _addresses(host, port)
    for _ in range(_PORTS_TRIED - 1):
        try:
            return _listeners(addresses)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _listeners(addresses)


def _called(host: str) -> str:
    """What to call an address: no client can go to all of a machine's at once."""
    if host in _EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _is_taken(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


class _Server:
    """The event loop's thread, and the sockets that it gets: made before it, so that an error is the caller's."""

    def __init__(self, home: Home, host: str, port: int) -> None:
        self._home = home
        try:
            self._listeners = _bound(host, port)
        except (OSError, OverflowError) as error:  # the latter for what cannot be a port
            reason = getattr(error, "strerror", None) or error
            taken = _is_taken(error)
            cure = ". Take another port, and keep to it: --port PORT (in code port=)" if taken else ""
            made = ConfigurationError(f"cannot listen on {host}:{port}: {reason}{cure}")
            raise narrowed(made, "port-taken" if taken else None) from None
        home.address = f"{_called(host)}:{_port_of(self._listeners)}"
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="exbo-sandbox", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:  # no event loop could be had: too many open files, sockets that a test forbids
            self._thread.join()
            _close(self._listeners)
            raise self._error

    def stop(self) -> None:
        # The thread is gone already, and who joined it would wait for ever.
        if sys.is_finalizing():  # pragma: no cover (whatever measured it is gone as well)
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.get_loop()  # or there would be a coroutine that nobody awaits
                runner.run(self._main())
        except BaseException as error:
            if self._ready.is_set():  # pragma: no cover (a fault of the event loop's own)
                raise
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        servers = [
            await loop.create_server(lambda: Connection(self._home), sock=listener) for listener in self._listeners
        ]
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            await _stop_accepting(server)
        for connection in list(self._home.connections):
            connection.close()
            await connection.gone.wait()
        for server in servers:
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
def serving(exbo: Answering, host: str, port: int, names: Collection[str]) -> Generator[str]:
    """Serve `exbo` within the block; yields the base URL, which is also its `base_url` meanwhile.

    `names` are further hosts that it answers for, as `Host` has them. Raises `ConfigurationError` if the port cannot be
    had, or if the host is not a loopback address and no name was given: the sandbox lets anybody sign in as anybody.
    """
    if not (names or is_loopback(host)):
        raise ConfigurationError(
            f"the sandbox listens on loopback only, not on {host!r}: anybody can sign in as anybody there. In a "
            "container, say by which names it is called: names=[...]"
        )
    home = Home(exbo, frozenset(name.lower() for name in names))
    server = _Server(home, host, port)
    server.start()
    before, exbo.base_url = exbo.base_url, f"http://{home.address}/oauth"
    try:
        yield exbo.base_url
    finally:
        exbo.base_url = before
        server.stop()

"""The loopback listener: one thread, non-blocking sockets, and a bound on everything that a stranger could exhaust.

It serves both clients alike: waiting for it is a matter of `Promise`. A connection carries one request. It has ten
seconds to send it, 64 KiB for its head, and the oldest goes first when too many are open; silent ones (browsers open
some in advance) and endless ones cost others nothing. The listener ends when it is told to, or once the outcome has
reached the browser; its port is free before `gone` is settled.
"""

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic, sleep

from attrs import define, field

from ..errors import ConfigurationError
from ..promise import Promise
from .callback import Language
from .connection import Connection, Phase
from .endpoint import CallbackEndpoint
from .pages import refused
from .ports import bound
from .receiver import Reply

__all__ = ["Listener"]

# Seconds.
_PATIENCE = 10.0  # with a visitor who sends nothing, or takes nothing
_DRAINING = 1.0  # until a visitor has taken note of our answer
_LINGERING = 2.0  # for a browser that is on its way to the last page

_MOST_CONNECTIONS = 256  # Windows watches 512 sockets at most


@define(eq=False, repr=False)
class Listener:
    """Listens where `endpoint` is. `receive` answers the heads of requests, `final` makes the last page.

    `finish` may be called once `final` knows the outcome, `stop` at any time, both from any thread.
    """

    endpoint: CallbackEndpoint
    receive: Callable[[bytes], Reply]
    final: Callable[[Language], bytes]
    gone: Promise[None] = field(factory=lambda: Promise[None]())
    _loop: "_Loop | None" = None

    def open(self) -> None:
        """Take the port and start to listen; raises `ConfigurationError` if it cannot be had."""
        loop = _Loop(self.receive, self.final, self.gone, bound(self.endpoint))
        self._loop = loop
        try:
            threading.Thread(target=loop.run, name="exbo-oauth-login", daemon=True).start()
        except RuntimeError as error:
            loop.close()
            raise ConfigurationError(f"login() cannot start a thread to listen on: {error}") from None

    def finish(self) -> None:
        """Show the outcome to the browser that waits for it, or is about to, and end."""
        if self._loop is None:
            self.gone.settle(None)
        else:
            self._loop.finish()

    def stop(self) -> None:
        """End at once."""
        if self._loop is None:
            self.gone.settle(None)
        else:
            self._loop.stop()


@define(eq=False, repr=False)
class _Loop:
    """What runs on the thread. `finish` and `stop` only leave a note and wake it."""

    receive: Callable[[bytes], Reply]
    final: Callable[[Language], bytes]
    gone: Promise[None]
    listening: list[socket.socket]
    connections: dict[Connection, None] = field(factory=dict)  # the oldest first
    selector: selectors.BaseSelector = field(factory=selectors.DefaultSelector)
    bell: tuple[socket.socket, socket.socket] = field(factory=socket.socketpair)
    stopped: bool = False
    finished: bool = False
    expecting: bool = False  # a browser was sent to the last page and has not got it yet
    end: float = float("inf")

    def finish(self) -> None:
        self.finished = True
        self._ring()

    def stop(self) -> None:
        self.stopped = True
        self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # over already
            self.bell[0].send(b"!")

    def run(self) -> None:
        try:
            self._prepare()
            while not self._is_over():
                for key, _ in self.selector.select(self._until_next_deadline()):
                    key.data()
                self._drop_overdue()
        finally:
            self.close()

    def _prepare(self) -> None:
        for waiting in self.bell:
            waiting.setblocking(False)
        self.selector.register(self.bell[1], selectors.EVENT_READ, self._heed_bell)
        for listening in self.listening:
            self.selector.register(listening, selectors.EVENT_READ, partial(self._accept, listening))

    def _is_over(self) -> bool:
        return self.stopped or (self.finished and (not self.expecting or monotonic() >= self.end))

    def _until_next_deadline(self) -> float | None:
        next_one = min((connection.deadline for connection in self.connections), default=float("inf"))
        next_one = min(next_one, self.end)
        return None if next_one == float("inf") else max(0.0, next_one - monotonic())

    def _drop_overdue(self) -> None:
        now = monotonic()
        for connection in [connection for connection in self.connections if connection.deadline <= now]:
            self._drop(connection)

    def _heed_bell(self) -> None:
        self.bell[1].recv(16)
        if self.finished and self.end == float("inf"):
            self.end = monotonic() + _LINGERING
            self._release_held()

    def _release_held(self) -> None:
        for connection in [connection for connection in self.connections if connection.phase is Phase.HELD]:
            self._answer(connection, Reply(None, connection.language))

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except OSError:
            sleep(0.05)  # perhaps the process has no descriptor left: asking again at once would only spin
            return
        sock.setblocking(False)
        if len(self.connections) >= _MOST_CONNECTIONS:
            self._drop(min(self.connections, key=lambda other: other.phase is Phase.HELD))
        connection = Connection(sock, monotonic() + _PATIENCE)
        self.connections[connection] = None
        self.selector.register(connection, selectors.EVENT_READ, partial(self._serve, connection))

    def _serve(self, connection: Connection) -> None:
        if connection not in self.connections:  # dropped since `select` found it ready
            return
        try:
            if connection.phase is Phase.READING:
                self._read(connection)
            elif connection.phase is Phase.WRITING:
                self._write(connection)
            else:
                connection.discard()
        except (BlockingIOError, InterruptedError):  # pragma: no cover  # no system says so at a test's wish
            pass  # it was called ready, and is not
        except OSError:
            self._drop(connection)

    def _read(self, connection: Connection) -> None:
        head = connection.read()
        if head is not None:
            self._answer(connection, self.receive(head))
        elif connection.is_overlong:
            self._answer(connection, Reply(refused(431)))

    def _answer(self, connection: Connection, reply: Reply) -> None:
        self.expecting = self.expecting or reply.admits
        content = reply.content
        if content is None and not self.finished:
            connection.phase, connection.language, connection.deadline = Phase.HELD, reply.language, float("inf")
            return
        connection.brings_outcome = content is None
        connection.answer(self.final(reply.language) if content is None else content)
        connection.deadline = monotonic() + _PATIENCE
        self.selector.modify(connection, selectors.EVENT_WRITE, partial(self._serve, connection))

    def _write(self, connection: Connection) -> None:
        if connection.flush():
            self.expecting = self.expecting and not connection.brings_outcome
            connection.deadline = monotonic() + _DRAINING
            self.selector.modify(connection, selectors.EVENT_READ, partial(self._serve, connection))

    def _drop(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        self.selector.unregister(connection)
        connection.sock.close()

    def close(self) -> None:
        """Leave nothing behind. Whoever still waits for the outcome gets what there is of it, if it fits at once."""
        for connection in self.connections:
            if connection.phase is Phase.HELD:
                connection.answer(self.final(connection.language))
            with suppress(OSError):
                if connection.phase is Phase.WRITING:
                    connection.flush()
            connection.sock.close()
        for sock in (*self.listening, *self.bell):
            sock.close()
        self.selector.close()
        self.gone.settle(None)

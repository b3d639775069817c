"""Ends the connections on which a server says nothing any more.

A driver that waits in libpq does so for as long as the server's machine keeps the connection alive, which it does for
a process that was stopped, and for a pooler that hangs. Nothing but the end of the connection gets its thread out of
there; so a thread of ours shuts the sockets on which answers are overdue. It is there while answers are waited for.
"""

import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from attrs import define

from ..threads import begin

__all__ = ["answering_by", "awaited"]

_IDLE = 1.0


@define(eq=False)
class _Line:
    """A descriptor of our own for a driver's connection, which is shut when `end` has come."""

    socket: socket.socket
    end: float


_lines: list[_Line] = []
_lock = threading.RLock()  # taken as it is: an exception raised into a thread could leave a condition locked
_changed = threading.Condition(_lock)
_watches = False
_here = threading.local()


@contextmanager
def answering_by(end: float) -> Generator[None]:
    """In this block, connections that are `awaited` by this thread live until `end` (monotonic), and not longer."""
    with ExitStack() as stack:
        _here.stack, _here.end = stack, end
        yield


def awaited(connection: Any) -> None:
    """Shut `connection`, a driver's, if it is still in use when its time is over; not if it has no descriptor."""
    descriptor = getattr(connection, "fileno", None)
    if descriptor is not None:
        with suppress(Exception):  # a connection that is closed has none
            _here.stack.enter_context(_watched(descriptor(), _here.end))


@contextmanager
def _watched(descriptor: int, end: float) -> Generator[None]:
    # Whatever becomes of the driver's descriptor, and whoever gets its number next, this one leads to that connection.
    # What kind of socket it is does not matter here.
    line = _Line(socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM), end)
    with _lock:
        _lines.append(line)
        _ensure_watch()
    try:
        yield
    finally:
        with _lock, suppress(ValueError):
            _lines.remove(line)
        line.socket.close()


def _ensure_watch() -> None:
    global _watches
    if not _watches:
        with suppress(RuntimeError):  # the interpreter is going down and starts no thread any more
            begin(threading.Thread(target=_watch, name="exbo-oauth", daemon=True))
            _watches = True


def _watch() -> None:
    """Look whose time is over, once in a second and when it is, until there is nothing to look at."""
    global _watches
    with _changed:
        while _lines:
            now = time.monotonic()
            for line in [line for line in _lines if line.end <= now]:
                _lines.remove(line)
                with suppress(OSError):  # it has ended by itself
                    line.socket.shutdown(socket.SHUT_RDWR)
            _changed.wait(min([_IDLE, *(line.end - now for line in _lines)]))
        _watches = False


def _after_fork() -> None:  # pragma: no cover  # runs in children only
    global _lock, _changed, _watches
    _lock, _watches = threading.RLock(), False
    _changed = threading.Condition(_lock)
    while _lines:
        _lines.pop().socket.close()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

"""One SQLite connection that a whole process shares, and that no two processes ever do.

A `Link` opens its file when first used, serves one thread at a time, and lets go of the connection on every
failure, so that nothing half done is left. Before a fork it lets go, too, and both sides open the file anew: SQLite
forbids to carry a connection into a child. A file that was removed or replaced meanwhile is opened anew as well,
for otherwise the tokens would go on living in a file that nobody else can see.
"""

import os
import sqlite3
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from ..errors import StoreError
from ..masking import detached
from .interrupts import interrupt
from .sqlite_file import Opened, opened
from .sqlite_privacy import anothers

__all__ = ["Link", "explained"]

T = TypeVar("T")

_DAMAGED = "the file is damaged and was left as it is: restore a backup, or move it away and start anew"
_ADVICE = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "another program keeps it locked: end that program, or its transaction",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written: check the permissions of the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the permissions of the file and its directory",
    sqlite3.SQLITE_IOERR: "the disk refused: it may be full or failing",
}


def explained(error: Exception) -> str:
    """What an error of SQLite or of the operating system means, and what to do."""
    # The rest of the code says more than is needed here: where in the file, or at which system call.
    advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return str(error) if advice is None else f"{advice} ({error})"


def _is_forbidden(error: Exception) -> bool:
    refused = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    return isinstance(error, PermissionError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in refused


@define(eq=False, repr=False)
class Link:
    """The connection to the store in `path`; `timeout` is how many seconds to wait for other writers."""

    path: Path
    timeout: float
    group: bool = False
    _opened: Opened | None = field(default=None, init=False)
    _close: Callable[[], object] = field(default=lambda: None, init=False)
    _origin: tuple[int, ...] | None = field(default=None, init=False)
    _log: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)
    lock: threading.RLock = field(factory=threading.RLock, init=False)  # a signal handler may close, or fork

    def __attrs_post_init__(self) -> None:
        with _forking:
            _links.add(self)

    def run(self, work: Callable[..., T], *args: Any, writes: bool = False) -> T:
        """What `work` returns, given the connection that is this thread's for as long as it runs, and `args`.

        Raises `StoreError`, whatever goes wrong with the file. `work` begins and commits what has to be one
        transaction; if it raises, nothing of an open one stays. What it `writes` goes into the log that others see.
        """
        outer = sys.exception()
        with self.lock:
            while True:
                try:
                    result = work(self._ready(writes), *args)
                    if not (self._opened and self._opened.frozen and self._was_overtaken()):
                        return result
                    self.disconnect()
                except (sqlite3.Error, OSError, UnicodeError, OverflowError) as error:
                    problem, overtaken = error, self._was_overtaken()
                    self.disconnect()
                    if interrupt(error, outer) is not None:
                        raise
                    if not overtaken:
                        break
                except BaseException:
                    self.disconnect()
                    raise
        told = anothers(self.path, self.group, str(problem)) if _is_forbidden(problem) else None
        text = f"the token store {str(self.path)!r} failed: {explained(problem)}"
        raise (StoreError(text) if told is None else told) from detached(problem)

    def close(self) -> None:
        """Let go for good."""
        with self.lock:
            self._closed = True
            self.disconnect()

    def _ready(self, writes: bool) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"the token store {str(self.path)!r} is closed: make a new one")
        seen = self._opened
        if seen is not None and self._is_unmoved(seen, writes):
            return seen.connection
        self.disconnect()
        made = self._opened = opened(self.path, self.timeout, self.group)
        # Python warns of connections that are dropped unclosed; a store may be dropped.
        self._close = weakref.finalize(self, _closed_by, os.getpid(), made.connection, self.lock)
        self._origin, self._log = self._whereabouts(made), made.state_of_log()
        return made.connection

    def _is_unmoved(self, seen: Opened, writes: bool) -> bool:
        here = self._whereabouts(seen)
        return here is not None and here == self._origin and (not writes or self._log == seen.state_of_log())

    def _whereabouts(self, opened: Opened) -> tuple[int, ...] | None:
        """Which file it is, for which process; None if the path leads to none, or the file alone does not tell."""
        try:
            state = opened.state()
        except FileNotFoundError:
            return None
        return None if state is None else (os.getpid(), *state)

    def _was_overtaken(self) -> bool:
        """Whether somebody changed a file while it was read that nobody seemed to be able to change."""
        seen = self._opened
        return seen is not None and seen.frozen and not self._is_unmoved(seen, writes=False)

    def disconnect(self) -> None:
        """Let go of the connection until the next use. The caller holds `lock`."""
        self._opened = None
        self._close()


_left_alone: list[sqlite3.Connection] = []


def _closed_by(owner: int, connection: sqlite3.Connection, lock: threading.RLock) -> None:
    if owner != os.getpid():  # pragma: no cover  # only after a fork behind Python's back, as of a server written in C
        _left_alone.append(connection)  # closing it would harm the parent, so it stays
    elif lock.acquire(blocking=False):
        try:
            connection.close()
        finally:
            lock.release()
    else:  # the process ends while another thread is at work, whom closing it would crash
        _left_alone.append(connection)


_links: "weakref.WeakSet[Link]" = weakref.WeakSet()
_forking = threading.Lock()
_held: list[Link] = []


def _before_fork() -> None:
    _forking.acquire()
    for link in list(_links):
        link.lock.acquire()
        _held.append(link)
        link.disconnect()


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()
    _forking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)

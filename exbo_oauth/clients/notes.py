"""What processes tell each other of a token is written behind their callers' backs, for nobody waits for it.

That an API took a token, or refused it, is worth a note in the store, but not a moment of the request that it comes
from: the store may hang. A thread writes the notes of one store, and lives for as long as there are any. A store that
never waits has them at once.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from attrs import define, field

from ..errors import OAuthError
from ..flow.drive import run
from ..flow.effects import Later, Leased, Load, Operation, Program, Swap
from ..stores.base import StoreKey, TokenStore
from ..stores.guard import guarded, is_blocking, method, usable
from ..threads import CHANGED, begin

__all__ = ["GOODBYE", "Notes"]

GOODBYE = 2.0
"""For how many seconds a client that is closed, and a process that ends, waits until the last notes are written."""


@define(eq=False)
class Notes:
    """The notes that one store still has to take."""

    _waiting: dict[tuple[StoreKey, str], Callable[[], Program[None]]] = field(factory=dict, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _lock: Any = field(factory=threading.RLock, init=False)
    _changed: Any = field(init=False, default=CHANGED)
    _process: int = field(factory=os.getpid, init=False)  # in a child the thread is the parent's

    def take(self, effect: Later, store: TokenStore, immediately: Callable[[Any], Any]) -> None:
        """Have `effect` done; `immediately` does what needs no store."""
        if is_blocking(store):
            self._queue(effect, partial(_written, store, immediately))
        else:
            _written(store, immediately, effect.body)

    def finish(self) -> None:
        """Wait until everything is written, for a short while."""
        # A child that was forked meanwhile has nobody who writes what its parent had to.
        if self._process == os.getpid() and threading.current_thread() is not self._thread:  # pragma: no branch
            with self._changed:
                self._changed.wait_for(lambda: self._thread is None, GOODBYE)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to be written."""
        return self._thread is None

    def _queue(self, effect: Later, write: Callable[[Callable[[], Program[None]]], None]) -> None:
        with self._lock:
            self._waiting.setdefault((effect.key, effect.name), effect.body)
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, args=[write], name="exbo-oauth notes", daemon=True)
            _see_to(self)
            try:
                begin(self._thread)
            except RuntimeError:  # the interpreter is going down and starts no thread any more
                self._waiting, self._thread = {}, None

    def _run(self, write: Callable[[Callable[[], Program[None]]], None]) -> None:
        while (body := self._next()) is not None:
            write(body)

    def _next(self) -> Callable[[], Program[None]] | None:
        with self._changed:
            if self._waiting:
                return self._waiting.pop(next(iter(self._waiting)))
            self._thread = None
            self._changed.notify_all()
            return None


def _written(store: TokenStore, immediately: Callable[[Any], Any], body: Callable[[], Program[None]]) -> None:
    with suppress(OAuthError):
        run(body(), lambda wanted: _performed(wanted, store, immediately))


def _performed(effect: Operation, store: TokenStore, immediately: Callable[[Any], Any]) -> Any:
    match effect:
        case Load(key):
            return usable(store, key)
        case Swap(key, expected, entry):
            return guarded(method(store, "swap"), key, expected, entry)
        case Leased(key, lease, body):
            if not guarded(method(store, "acquire"), key, lease.owner, lease.ttl):
                return None
            try:
                return run(body(), lambda wanted: _performed(wanted, store, immediately))
            finally:
                guarded(method(store, "release"), key, lease.owner)
        case _:
            return immediately(effect)


_unfinished: "weakref.WeakSet[Notes]" = weakref.WeakSet()


def _see_to(notes: Notes) -> None:
    """Have the notes written before the process ends, and before what was registered earlier, stores' ends included."""
    if not _unfinished:
        atexit.register(_finish_all)
    _unfinished.add(notes)


def _finish_all() -> None:
    end = monotonic() + GOODBYE
    for notes in list(_unfinished):
        if monotonic() < end:  # pragma: no branch  # it takes stores that hang, and seconds
            notes.finish()

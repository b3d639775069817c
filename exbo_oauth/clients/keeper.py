"""Leases are short, so that a killed holder is soon replaced, and prolonged while their holders live.

One thread of the process prolongs all of them; there is none while no lease lasts. A holder on an event loop is asked
for a sign of life each time: a loop that is blocked, or gone, keeps no lease. A process that is stopped prolongs
nothing either.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from attrs import define, field

from ..errors import StoreError
from ..flow.effects import Lease
from ..stores.base import StoreKey, TokenStore
from ..stores.guard import guarded, method
from ..threads import CHANGED, begin

__all__ = ["Kept"]


@define(eq=False)
class Kept:
    """A lease, from when it was taken until it is let go. `post` has a function called by its holder's event loop.

    Without `post` the holder is a thread. A lease is not to be let go while there is something `unsaved`: somebody else
    keeps it then. `close` is needed even if an interrupt came while it was begun.
    """

    store: TokenStore
    key: StoreKey
    lease: Lease
    unsaved: Callable[[], bool]
    post: Callable[[Callable[[], object]], object] | None = None
    end: float = field(default=0.0, init=False)
    due: float = field(default=0.0, init=False)
    over: bool = field(default=False, init=False)
    lives: bool = field(default=True, init=False)

    def begin(self) -> None:
        """Keep it from now on: it was taken just now."""
        if self.lease.most:
            now = monotonic()
            self.end, self.due = now + self.lease.most - self.lease.ttl, now + self.lease.ttl / 3
            _keeper.add(self)

    def close(self) -> None:
        """Keep it no longer."""
        self.over = True
        if self.lease.most:  # or else it was never begun
            _keeper.drop(self)

    def prolong(self) -> bool:
        """Prolong it once more; False if it is not to be kept any longer."""
        if self.over or not self.lives or monotonic() > self.end:
            return False
        if self.post is not None:
            self.lives = False
            try:
                self.post(self._live)
            except RuntimeError:  # the loop has ended
                return False
        with suppress(StoreError):
            guarded(method(self.store, "acquire"), self.key, self.lease.owner, self.lease.ttl)
        self.due = monotonic() + self.lease.ttl / 3
        return self._goes_on()

    def _goes_on(self) -> bool:
        """Whether nobody let it go while it was prolonged."""
        if self.over and not self.unsaved():
            with suppress(StoreError):
                guarded(method(self.store, "release"), self.key, self.lease.owner)
        return not self.over

    def _live(self) -> None:
        self.lives = True


@define(eq=False)
class _Keeper:
    """The leases of this process, and the thread that prolongs them."""

    _kept: list[Kept] = field(factory=list)
    _thread: threading.Thread | None = None
    _lock: Any = field(factory=threading.RLock)
    _changed: Any = field(init=False, default=CHANGED)

    def add(self, kept: Kept) -> None:
        with self._lock:
            self._kept.append(kept)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="exbo-oauth leases", daemon=True)
                with suppress(RuntimeError):  # the interpreter is going down and starts no thread any more
                    begin(self._thread)
            self._changed.notify()

    def drop(self, kept: Kept) -> None:
        kept.over = True
        with self._lock:
            if kept in self._kept:
                self._kept.remove(kept)
            self._changed.notify()

    def _run(self) -> None:
        while (kept := self._next()) is not None:
            if not kept.prolong():
                self.drop(kept)

    def _next(self) -> Kept | None:
        """The next one that is due, waited for; None when nothing is left to be kept."""
        with self._changed:
            while self._kept:
                kept = min(self._kept, key=lambda one: one.due)
                left = kept.due - monotonic()
                if left <= 0:
                    return kept
                self._changed.wait(left)
            self._thread = None
            return None


_keeper = _Keeper()


def _after_fork() -> None:
    global _keeper
    _keeper = _Keeper()  # the thread, and the holders that it kept leases for, are in the parent


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

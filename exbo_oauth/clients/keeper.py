"""Leases are short, so that a killed holder is soon replaced, and prolonged while their holders live.

One thread of the process prolongs all of them; there is none while no lease lasts. A holder on an event loop is asked
for a sign of life each time: a loop that is blocked, or gone, keeps no lease. A process that is stopped prolongs
nothing either.
"""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from attrs import Factory, define, field

from ..errors import StoreError
from ..flow.effects import Lease
from ..stores.base import StoreKey, TokenStore
from ..stores.guard import guarded, method
from ..threads import begin

__all__ = ["kept"]


@define(eq=False)
class _Kept:
    """One lease. `post` has a function called by its holder's event loop; None for a thread.

    It is not to be let go while there is something `unsaved`: somebody else keeps it then.
    """

    store: TokenStore
    key: StoreKey
    lease: Lease
    post: Callable[[Callable[[], object]], object] | None
    end: float
    due: float
    over: bool = False
    lives: bool = True
    unsaved: Callable[[], bool] = lambda: False

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
    """Holders take `_lock` as it is: an exception raised into a thread could leave a condition locked for ever."""

    _kept: list[_Kept] = field(factory=list)
    _thread: threading.Thread | None = None
    _lock: Any = field(factory=threading.RLock)
    _changed: Any = field(init=False, default=Factory(lambda self: threading.Condition(self._lock), takes_self=True))

    def add(self, kept: _Kept) -> None:
        with self._lock:
            self._kept.append(kept)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="exbo-oauth leases", daemon=True)
                with suppress(RuntimeError):  # the interpreter is going down and starts no thread any more
                    begin(self._thread)
            self._changed.notify()

    def drop(self, kept: _Kept) -> None:
        kept.over = True
        with self._lock:
            if kept in self._kept:
                self._kept.remove(kept)
            self._changed.notify()

    def _run(self) -> None:
        while (kept := self._next()) is not None:
            if not kept.prolong():
                self.drop(kept)

    def _next(self) -> _Kept | None:
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


@contextmanager
def kept(
    store: TokenStore, key: StoreKey, lease: Lease, unsaved: Callable[[], bool], post: Any = None
) -> Generator[None]:
    """Keep a lease that was taken just now for as long as the block runs."""
    if not lease.most:
        yield
        return
    now = monotonic()
    one = _Kept(store, key, lease, post, end=now + lease.most - lease.ttl, due=now + lease.ttl / 3, unsaved=unsaved)
    _keeper.add(one)
    try:
        yield
    finally:
        _keeper.drop(one)


def _after_fork() -> None:
    global _keeper
    _keeper = _Keeper()  # the thread, and the holders that it kept leases for, are in the parent


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

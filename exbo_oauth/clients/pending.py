"""Tokens that were issued and could not be saved: tried again and again while the process lives, and once as it ends.

Nobody else has such a token, and the refresh token before it is dead. So its lease is kept, that no other process
sends that one, and the store is asked every few seconds whether it takes the token by now. One thread does this for
all; there is none while everything is saved.
"""

import atexit
import os
import threading
from contextlib import suppress
from typing import Any

from attrs import define, field

from ..errors import OAuthError, StoreError
from ..flow.effects import Lease
from ..flow.saving import saved_pending
from ..stores.base import StoreKey, TokenStore
from ..stores.guard import guarded, method
from ..threads import CHANGED, begin
from . import logbook
from .cache import TokenCache
from .saving import GOODBYE
from .shield import finished
from .sync_performer import SyncHTTP, SyncPerformer

__all__ = ["given_up", "keep_trying"]

_PAUSE = 2.0  # seconds: a fraction of a lease


@define(eq=False)
class _Unsaved:
    """What is still to be saved of a key, under a lease of ours."""

    store: TokenStore
    cache: TokenCache
    key: StoreKey
    lease: Lease

    def try_again(self) -> bool:
        """Whether nothing is left to be saved."""
        with suppress(StoreError):
            guarded(method(self.store, "acquire"), self.key, self.lease.owner, self.lease.ttl)
        performer = SyncPerformer(SyncHTTP(GOODBYE), self.store, self.cache, lambda _: None, emit=logbook.write)
        try:
            performer.run(saved_pending(self.key, pauses=()))
        except StoreError:
            return False
        except OAuthError:  # the account was forgotten meanwhile
            pass
        with suppress(StoreError):
            guarded(method(self.store, "release"), self.key, self.lease.owner)
        return True


@define(eq=False)
class _Saver:
    _left: list[_Unsaved] = field(factory=list)
    _thread: threading.Thread | None = None
    _hurried: bool = False
    _lock: Any = field(factory=threading.RLock)
    _changed: Any = field(init=False, default=CHANGED)

    def add(self, unsaved: _Unsaved) -> None:
        with self._lock:
            self._left = [one for one in self._left if (one.cache, one.key) != (unsaved.cache, unsaved.key)]
            self._left.append(unsaved)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="exbo-oauth unsaved", daemon=True)
                with suppress(RuntimeError):  # the interpreter is going down and starts no thread any more
                    begin(self._thread)

    def drop(self, store: TokenStore) -> None:
        with self._lock:
            self._left = [one for one in self._left if one.store is not store]
            self._changed.notify_all()

    def finish(self, seconds: float) -> list[StoreKey]:
        """Try once more, now; the keys of what is unsaved all the same."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._left or not self._hurried, seconds)
            return [one.key for one in self._left]

    def _run(self) -> None:
        while (left := self._next()) is not None:
            done = [one for one in left if one.try_again()]
            with self._changed:
                self._left = [one for one in self._left if one not in done]

    def _next(self) -> list[_Unsaved] | None:
        with self._changed:
            self._hurried = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._hurried or not self._left, _PAUSE)
            if self._left:
                return list(self._left)
            self._thread = None
            return None


_saver = _Saver()


def keep_trying(store: TokenStore, cache: TokenCache, key: StoreKey, lease: Lease) -> None:
    """Save what `cache` has pending for `key` as soon as `store` takes it, and let the lease go then."""
    _saver.add(_Unsaved(store, cache, key, lease))


def given_up(store: TokenStore, problems: list[StoreError]) -> None:
    """The store is closed: say what is lost, and raise the first of its `problems` if there are any."""
    _saver.drop(store)
    for problem in problems:
        logbook.lost(problem)
    if problems:
        raise problems[0]


def _at_exit() -> None:
    finished(GOODBYE)
    for key in _saver.finish(GOODBYE):
        logbook.lost(StoreError(f"the new token of {key!r} was not taken by the store until the end"))


def _after_fork() -> None:
    global _saver
    _saver = _Saver()  # the thread is in the parent, which goes on trying


atexit.register(_at_exit)

if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

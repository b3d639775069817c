"""Tokens in this process's memory: the default store, for one process and for as long as it lives.

Leases run on the monotonic clock. A forked child starts with a copy of the entries and goes its own way; leases
stay with the parent, where their holders live.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterable
from typing import ClassVar, TypeAlias

from attrs import define, field

from ..boundary import bounded_throughout
from ..masking import Secret
from .base import Entry, StoreKey
from .packed import packed, revision_in, unpacked

__all__ = ["MemoryTokenStore"]

_Drawers: TypeAlias = dict[tuple[str, str], dict[str | None, bytes | Entry]]


@bounded_throughout
@define(eq=False, repr=False)
class MemoryTokenStore:
    """A store in memory; may be shared by clients, threads and event loops.

    `blocking` is False: no method ever waits for I/O, so async clients call them on the event loop itself. Any
    store may say so of itself; the methods of one that says nothing are called in a worker thread.

    `close` changes nothing: there is nothing to let go of, and another client may be using the store.

    ::

        oauth = SyncOAuthClient(client_id=59, client_secret="secret", store=MemoryTokenStore())
    """

    blocking: ClassVar[bool] = False

    # By whose application it is and by account: masked as a whole, and without a StoreKey for each entry.
    _entries: Secret[_Drawers] = field(factory=lambda: Secret({}), init=False)
    _leases: dict[StoreKey, tuple[str, float]] = field(factory=dict, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)

    def __attrs_post_init__(self) -> None:
        _stores.add(self)

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        kept = self._entries.reveal().get((key.base_url, key.client_id), {}).get(key.account)
        return None if kept is None else unpacked(kept)

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        kept = None if entry is None else packed(entry)
        drawers, whose = self._entries.reveal(), (key.base_url, key.client_id)
        with self._lock:
            there = drawers.get(whose, {}).get(key.account)
            if (None if there is None else revision_in(there)) != expected:
                return False
            if kept is not None:
                drawers.setdefault(whose, {})[key.account] = kept
            elif there is not None:
                del drawers[whose][key.account]
                if not drawers[whose]:
                    del drawers[whose]
            return True

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        with self._lock:
            now = time.monotonic()
            holder, until = self._leases.get(key, (owner, now))
            if holder != owner and now < until:
                return False
            self._leases[key] = (owner, now + ttl)
            return True

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        with self._lock:
            lease = self._leases.get(key)
            if lease is not None and lease[0] == owner:
                del self._leases[key]

    def holder(self, key: StoreKey) -> str | None:
        """Who has the lease of `key` now, None if nobody has."""
        with self._lock:
            owner, until = self._leases.get(key, (None, 0.0))
            return owner if time.monotonic() < until else None

    def keys(self) -> Iterable[StoreKey]:
        """The keys that have an entry now."""
        with self._lock:
            return [StoreKey(*whose, account) for whose, drawer in self._entries.reveal().items() for account in drawer]

    def close(self) -> None:
        """Nothing: the entries stay where they are."""

    def _after_fork(self) -> None:  # pragma: no cover  # runs in children only
        # The thread that held the lock, or a lease, is not in this process and will never let go.
        self._lock = threading.RLock()
        self._leases = {}

    def __repr__(self) -> str:
        with self._lock:
            return f"<MemoryTokenStore, entries: {sum(map(len, self._entries.reveal().values()))}>"


MemoryTokenStore.__module__ = "exbo_oauth"

_stores: "weakref.WeakSet[MemoryTokenStore]" = weakref.WeakSet()


def _after_fork() -> None:  # pragma: no cover  # runs in children only
    for store in list(_stores):
        store._after_fork()  # noqa: SLF001  # one class with its module


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

"""What one process knows of the tokens in one store.

All clients of a process that use the same store object share one `TokenCache`: the tokens in memory, which of them
are known to be dead, and the flights that are under way. It is bounded, survives a fork, and is never the truth:
the store is.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field

from ..flow.effects import Cell, Pending
from ..flow.needs import Held
from ..masking import Secret
from ..stores.base import Entry, StoreKey, TokenStore
from .flight import Flight

__all__ = ["TokenCache", "cache_of"]

_MOST_CELLS = 10_000
_MOST_REFUSED = 16

Shelf = dict[str | None, Held]


@define(eq=False)
class TokenCache:
    """The memory of one store's users in this process."""

    _cells: dict[StoreKey, Cell] = field(factory=dict, repr=False)
    _shelves: dict[tuple[str, str], Shelf] = field(factory=dict, repr=False)
    _flights: dict[tuple[StoreKey, str], Flight] = field(factory=dict, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)

    def shelf(self, base_url: str, client_id: str) -> Shelf:
        """The tokens of one application by account, ready to be handed out; read without a lock."""
        with self._lock:
            return self._shelves.setdefault((base_url, client_id), {})

    def recall(self, key: StoreKey) -> Cell:
        """What is known of a key."""
        return self._cells.get(key) or Cell()

    def remember(self, key: StoreKey, entry: Entry) -> None:
        """Know `entry`, unless a newer revision is known or this one was forgotten."""

        def newer(cell: Cell) -> Cell:
            known = cell.forgotten + 1 if cell.entry is None else cell.entry.revision
            return cell if known > entry.revision else evolve(cell, entry=entry)

        self._change(key, newer)

    def refuse(self, key: StoreKey, token: Secret) -> None:
        """Know that a token is dead."""

        def refusing(cell: Cell) -> Cell:
            others = tuple(known for known in cell.refused if known != token)
            return evolve(cell, refused=(*others, token)[-_MOST_REFUSED:])

        self._change(key, refusing)

    def spend(self, key: StoreKey, refresh_token: Secret) -> None:
        """Know that a refresh token is dead."""
        self._change(key, lambda cell: evolve(cell, spent=refresh_token))

    def rescue(self, key: StoreKey, pending: Pending | None) -> None:
        """Keep a token that the store could not take, or let it go."""
        self._change(key, lambda cell: evolve(cell, pending=pending))

    def forget(self, key: StoreKey, revision: int) -> None:
        """Know no token of a key up to `revision`, now and later. Who comes now does not join a flight from before."""

        def emptied(cell: Cell) -> Cell:
            kept = cell.entry if cell.entry is not None and cell.entry.revision > revision else None
            return evolve(cell, entry=kept, pending=None, forgotten=max(revision, cell.forgotten))

        self._change(key, emptied)
        with self._lock:
            self._flights = {name: flight for name, flight in self._flights.items() if name[0] != key}

    def join(self, key: StoreKey, purpose: str, flight: Flight) -> Flight:
        """The flight of a key that is under way; else `flight`, which is under way from now on."""
        with self._lock:
            return self._flights.setdefault((key, purpose), flight)

    def land(self, key: StoreKey, purpose: str, flight: Flight) -> None:
        """Take `flight` off the board, if it is on it."""
        with self._lock:
            if self._flights.get((key, purpose)) is flight:
                del self._flights[key, purpose]

    def _change(self, key: StoreKey, change: Callable[[Cell], Cell]) -> None:
        with self._lock:
            # Taken out and put back: the dict's order is the order of use, the first is the one to drop.
            cell = self._cells[key] = change(self._cells.pop(key, Cell()))
            self._shelve(key, None if cell.entry is None or cell.refuses(cell.entry) else Held.of(cell.entry))
            if len(self._cells) > _MOST_CELLS:
                self._drop_oldest()

    def _shelve(self, key: StoreKey, held: Held | None) -> None:
        shelf = self._shelves.setdefault((key.base_url, key.client_id), {})
        if held is None:
            shelf.pop(key.account, None)
        else:
            shelf[key.account] = held

    def _drop_oldest(self) -> None:
        oldest = next((key for key, cell in self._cells.items() if cell.pending is None), None)
        if oldest is not None:
            del self._cells[oldest]
            self._shelve(oldest, None)

    def after_fork(self) -> None:
        """In a child nobody leads the parent's flights, and nobody will ever release its locks."""
        self._lock = threading.Lock()
        self._flights = {}


_caches: dict[int, tuple[Any, TokenCache]] = {}
_caches_lock = threading.Lock()


def cache_of(store: TokenStore) -> TokenCache:
    """The cache of this very store object, made when first asked for and gone with the store."""
    with _caches_lock:
        known = _caches.get(id(store))
        if known is not None:
            return known[1]
        cache = TokenCache()
        _caches[id(store)] = (_watched(store), cache)
        return cache


def _watched(store: TokenStore) -> Any:
    identity = id(store)

    def gone(_: object) -> None:
        _caches.pop(identity, None)

    try:
        return weakref.ref(store, gone)
    except TypeError:  # a user's class with __slots__: kept alive, so that its id stays its own
        return store


def _after_fork() -> None:
    global _caches_lock
    _caches_lock = threading.Lock()
    for _, cache in list(_caches.values()):
        cache.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

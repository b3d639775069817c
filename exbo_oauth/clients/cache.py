"""What one process knows of the tokens in one store.

All clients of a process that use the same store object share one `TokenCache`: the tokens in memory, what was seen of
the hosts that they were sent to, and the flights that are under way. It is bounded, survives a fork, and is never the
truth: the store is.
"""

import copy
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from pathlib import PurePath
from typing import Any, TypeAlias

from attrs import define, evolve, field, frozen

from ..flow.effects import Cell, Pending
from ..flow.evidence import (
    Acceptance,
    Refusal,
    Target,
    Witness,
    accepted,
    answered,
    merged,
    refused,
    reported_at,
    with_next_token,
)
from ..flow.needs import Held
from ..masking import Secret
from ..promise import Promise
from ..stores.base import Entry, StoreKey, TokenStore
from .notes import Notes

__all__ = ["Flight", "Landing", "TokenCache", "cache_of", "in_file", "trial_of"]

_MOST_CELLS = 10_000
_MOST_WITNESSES = 16

_TRIAL = "try "

Shelf = dict[str | None, Held]


@frozen
class Landing:
    """How a flight ended for those who waited: with a value, an error, or neither if its leader was cancelled."""

    value: Any = None
    error: Exception | None = None

    def outcome(self) -> Any:
        """The value; raises a copy of the error, so that tracebacks stay apart."""
        if self.error is not None:
            raise copy.copy(self.error) from self.error.__cause__
        return self.value


Flight: TypeAlias = Promise[Landing]
"""Single flight: many callers of one process, in whatever way they wait, share what one of them does."""


@define(eq=False)
class TokenCache:
    """The memory of one store's users in this process.

    An interrupt may come between any two steps, and its handler may ask again: no step leaves a cell empty that was
    not, and a thread may take its own lock once more.
    """

    _cells: OrderedDict[StoreKey, Cell] = field(factory=OrderedDict, repr=False)
    _shelves: dict[tuple[str, str], Shelf] = field(factory=dict, repr=False)
    _flights: dict[tuple[StoreKey, str], Flight] = field(factory=dict, repr=False)
    _lock: Any = field(factory=threading.RLock, repr=False)
    notes: Notes = field(factory=Notes, repr=False)

    def shelf(self, base_url: str, client_id: str) -> Shelf:
        """The tokens of one application by account, ready to be handed out; read without a lock."""
        with self._lock:
            return self._shelves.setdefault((base_url, client_id), {})

    def recall(self, key: StoreKey) -> Cell:
        """What is known of a key."""
        with self._lock:
            return self._cells.get(key) or Cell()

    def remember(self, key: StoreKey, entry: Entry) -> None:
        """Know `entry`, unless a newer revision is known or this one was forgotten."""

        def newer(cell: Cell) -> Cell:
            known = cell.entry
            if (cell.forgotten + 1 if known is None else known.revision) > entry.revision:
                return cell
            if known is None or known.token != entry.token:
                witnesses = {host: with_next_token(witness) for host, witness in cell.witnesses.items()}
                return evolve(cell, entry=entry, witnesses=witnesses)
            return evolve(cell, entry=merged(known, entry))

        self._change(key, newer)

    def accept(self, key: StoreKey, acceptance: Acceptance) -> bool:
        """Note that an API took a token; whether there is something in this that others have to know."""
        before: list[Entry] = []

        def taken(cell: Cell) -> Cell:
            if cell.entry is None or not _holds(cell, acceptance.token):
                return cell
            before.append(cell.entry)
            entry, witness = accepted(cell.entry, cell.witness(acceptance.target), acceptance)
            return _seen(evolve(cell, entry=entry), acceptance.target, witness)

        after = self._change(key, taken).entry
        return before != [] and after != before[0]

    def refuse(self, key: StoreKey, refusal: Refusal) -> None:
        """Note that an API refused a token."""

        def refusing(cell: Cell) -> Cell:
            if not _holds(cell, refusal.token):
                return cell
            return _seen(cell, refusal.target, refused(cell.witness(refusal.target), refusal))

        self._change(key, refusing)

    def note_answer(self, key: StoreKey, token: Secret, target: Target, at: datetime) -> None:
        """Note that an API, asked again, gave an answer that says nothing of the token."""
        self._change(
            key, lambda cell: _seen(cell, target, answered(cell.witness(target), at)) if _holds(cell, token) else cell
        )

    def spend(self, key: StoreKey, refresh_token: Secret) -> None:
        """Know that a refresh token is dead."""
        self._change(key, lambda cell: evolve(cell, spent=refresh_token))

    def rescue(self, key: StoreKey, pending: Pending | None) -> None:
        """Keep a token that the store could not take, or let it go."""
        self._change(key, lambda cell: evolve(cell, pending=pending))

    def note_failing(self, key: StoreKey, failing: bool) -> None:
        """Know whether the store failed when it was asked last."""
        self._change(key, lambda cell: evolve(cell, failing=failing))

    def note_end(self, key: StoreKey, name: str) -> None:
        """Know of which token the early end is told."""
        self._change(key, lambda cell: evolve(cell, ended=name))

    def unsaved(self) -> list[StoreKey]:
        """The keys of the tokens that the store could not take."""
        with self._lock:
            return [key for key, cell in self._cells.items() if cell.pending is not None]

    def forget(self, key: StoreKey, revision: int) -> None:
        """Know no token of a key up to `revision`, now and later. Who comes now does not join a flight from before."""

        def emptied(cell: Cell) -> Cell:
            kept = cell.entry if cell.entry is not None and cell.entry.revision > revision else None
            return evolve(cell, entry=kept, pending=None, forgotten=max(revision, cell.forgotten))

        self._change(key, emptied)
        with self._lock:
            left = [name for name in self._flights if name[0] == key and not name[1].startswith(_TRIAL)]
            for name in left:
                del self._flights[name]

    def join(self, key: StoreKey, purpose: str, flight: Flight) -> Flight:
        """The flight of a key that is under way; else `flight`, which is under way from now on."""
        with self._lock:
            known = self._flights.get((key, purpose))
            if known is not None and not known.settled:
                return known
            self._flights[key, purpose] = flight  # one that is over may be left by an interrupt
            return flight

    def land(self, key: StoreKey, purpose: str, flight: Flight) -> None:
        """Take `flight` off the board, if it is on it."""
        with self._lock:
            if self._flights.get((key, purpose)) is flight:
                del self._flights[key, purpose]

    def end(self, key: StoreKey, purpose: str) -> None:
        """Take the flight off the board and let everybody go on who waits for it."""
        with self._lock:
            flight = self._flights.pop((key, purpose), None)
        if flight is not None:
            flight.settle(Landing())

    def _change(self, key: StoreKey, change: Callable[[Cell], Cell]) -> Cell:
        with self._lock:
            cell = self._cells[key] = change(self._cells.get(key) or Cell())
            self._cells.move_to_end(key)  # the first is the one to drop
            self._shelve(key, None if cell.entry is None else _held(cell, cell.entry))
            if len(self._cells) > _MOST_CELLS:
                self._drop_oldest()
            return cell

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
        self._lock = threading.RLock()
        self._flights = {}
        self.notes = Notes()


def trial_of(host: str) -> str:
    """The purpose of a flight that tries a refused token again at `host`."""
    return _TRIAL + host


def _holds(cell: Cell, token: Secret) -> bool:
    return cell.entry is not None and Secret(cell.entry.token.access_token) == token


def _seen(cell: Cell, target: Target, witness: Witness) -> Cell:
    others = [(host, known) for host, known in cell.witnesses.items() if host != target.host]
    return evolve(cell, witnesses=dict([*others[-_MOST_WITNESSES:], (target.host, witness)]))


def _held(cell: Cell, entry: Entry) -> Held:
    due = reported_at(entry, cell.witnesses.values())
    return Held.of(entry, 0.0 if due is None else due.timestamp())


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


def in_file(store: TokenStore) -> str:
    """Which file a store is, for an error's text; nothing of a URL, or of what somebody else's says of itself."""
    path = getattr(store, "path", None)
    return f" in {str(path)!r}" if isinstance(path, PurePath) else ""


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


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

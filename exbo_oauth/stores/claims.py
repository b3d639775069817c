"""Claims to a lease on a server that may grant them without anybody hearing of it."""

import threading
from collections.abc import Callable

from attrs import define, field

from ..errors import StoreError
from .base import StoreKey, TokenStore

__all__ = ["Claim", "UnansweredClaims"]

_MOST_KEYS = 1000
_MOST_OWNERS = 8


@define(eq=False)
class Claim:
    """One request for a lease on a worker thread, by somebody who may not wait for the answer.

    A store that answers nothing then holds a thread, but nobody who was cancelled meanwhile.
    """

    store: TokenStore
    key: StoreKey
    owner: str
    ttl: float
    _taken: bool = False
    _given_up: bool = False
    _lock: threading.Lock = field(factory=threading.Lock)

    def take(self) -> bool:
        """Ask the store. What it gives after the claim was given up is let go again."""
        taken = self.store.acquire(self.key, self.owner, self.ttl)
        with self._lock:
            self._taken = taken
            late = taken and self._given_up
        if late:
            self.store.release(self.key, self.owner)
        return taken

    def give_up(self) -> bool:
        """Nobody waits any more; whether there is a lease already that has to be let go."""
        with self._lock:
            self._given_up = True
            return self._taken


@define(eq=False)
class UnansweredClaims:
    """Who asked for the lease of a key and got no answer.

    A server that was only slow may give it to them all the same, and nobody would let it go: the next one of this
    process who asks takes it over.
    """

    _owners: dict[StoreKey, tuple[str, ...]] = field(factory=dict)

    def asked(self, key: StoreKey, owner: str, ask: Callable[[tuple[str, ...]], bool]) -> bool:
        """What `ask` gives for `owner` and those before it that got no answer."""
        owners = (owner, *self._owners.get(key, ()))
        try:
            taken = ask(owners)
        except StoreError:
            self._note(key, owners[:_MOST_OWNERS])
            raise
        if taken:
            self._owners.pop(key, None)
        return taken

    def _note(self, key: StoreKey, owners: tuple[str, ...]) -> None:
        self._owners[key] = owners
        if len(self._owners) > _MOST_KEYS:
            self._owners.pop(next(iter(self._owners)), None)

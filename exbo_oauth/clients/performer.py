"""What both performers share: all effects that wait for nothing."""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar, assert_never

from attrs import define

from ..events import Event
from ..flow.effects import (
    Accept,
    Answered,
    Chance,
    Emit,
    End,
    Failing,
    Forget,
    Identity,
    Later,
    Lease,
    Now,
    Recall,
    Refuse,
    Remember,
    Rescue,
    Spend,
    Tried,
    Unguessable,
)
from ..masking import Secret
from ..protocol.messages import Headers
from ..protocol.pkce import unguessable
from ..stores.base import StoreKey, TokenStore
from .cache import Flight, TokenCache, trial_of
from .process import identity
from .shield import Tenure

__all__ = ["AtOnce", "Immediate", "Performer", "immediately"]

H = TypeVar("H")

Immediate: TypeAlias = (
    Now
    | Chance
    | Unguessable
    | Identity
    | Recall
    | Remember
    | Accept
    | Refuse
    | Answered
    | Tried
    | Emit
    | Spend
    | Rescue
    | Failing
    | End
    | Forget
)
"""Effects that are done before anybody could wait: those on this process's memory, and the clock."""

AtOnce: TypeAlias = Immediate | Later
"""Those, and what nobody waits for."""


def immediately(effect: Immediate, cache: TokenCache, emit: Callable[[Event], None]) -> Any:
    """Do an effect that waits for nothing."""
    match effect:
        case Emit(event):
            return emit(event)
        case Now():
            return datetime.now(UTC)
        case Chance():
            return random.random()  # noqa: S311  # spreads retries, protects nothing
        case Unguessable():
            return Secret(unguessable(os.urandom(32)))
        case Identity():
            return identity()
        case Recall(key):
            return cache.recall(key)
        case Remember(key, entry):
            return cache.remember(key, entry)
        case Accept(key, acceptance):
            return cache.accept(key, acceptance)
        case Refuse(key, refusal):
            return cache.refuse(key, refusal)
        case Answered(key, token, target, at):
            return cache.note_answer(key, token, target, at)
        case Tried(key, host):
            return cache.end(key, trial_of(host))
        case Spend(key, token):
            return cache.spend(key, token)
        case Rescue(key, pending):
            return cache.rescue(key, pending)
        case Failing(key, failing):
            return cache.note_failing(key, failing)
        case End(key, name):
            return cache.note_end(key, name)
        case Forget(key, revision):
            return cache.forget(key, revision)
        case _:
            assert_never(effect)


def _unheard(_event: Event) -> None:
    """Nobody listens."""


def _unasked(_key: StoreKey, _lease: Lease) -> None:
    """Whoever works for another leaves it to him."""


@define(eq=False, repr=False)
class Performer(Generic[H]):
    """What a performer works with. `flight` is the one that it leads: each effect is a sign of life.

    `emit` is given each event; it may neither raise nor wait. `tenure` is that of the lease that it works under, where
    others may go on under it. `keep_trying` is told key and lease of a token that the store did not take.
    """

    http: H
    store: TokenStore
    cache: TokenCache
    note_limits: Callable[[Headers], None]
    flight: Flight | None = None
    emit: Callable[[Event], None] = _unheard
    tenure: Tenure | None = None
    keep_trying: Callable[[StoreKey, Lease], object] = _unasked

    def is_unsaved(self, key: StoreKey) -> bool:
        """Whether there is a token of the key that the store did not take."""
        return self.cache.recall(key).pending is not None

    def at_once(self, effect: AtOnce) -> Any:
        """Do an effect that waits for nothing, or nobody waits for."""
        if isinstance(effect, Later):
            return self.cache.notes.take(effect, self.store, self.at_once)
        return immediately(effect, self.cache, self.emit)

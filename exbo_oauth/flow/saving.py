"""Putting a new token into the store before anybody is handed it: nobody else has it.

A write may fail, and be done all the same. Somebody may have been faster, or the store may have lost its data, or gone
back to an older copy, meanwhile; what a neighbour gives back to it then is what the new token has replaced.
"""

from collections.abc import Callable
from typing import TypeVar

from attrs import evolve, frozen

from ..errors import LoginRequiredError, StoreError
from ..events import StoreFailed, StoreRecovered
from ..misuse import narrowed
from ..models import AppToken, UserToken
from ..stores.base import Entry, StoreKey
from .effects import Load, Pending, Program, Recall, Remember, Rescue, Shielded, Sleep, Swap
from .entries import adopted, fingerprint, is_buried, was_forgotten
from .needs import revision_after
from .telling import happened

__all__ = ["Obtained", "persistently", "saved", "saved_pending"]

T = TypeVar("T")

_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
_MOST_WRITES = 6  # of one attempt: each is another look at what came in between


@frozen
class Obtained:
    """What came of the wish for a token: an entry, and whether it was issued just now (or else found)."""

    entry: Entry
    issued: bool = False


def saved(key: StoreKey, pending: Pending, pauses: tuple[float, ...] = _PAUSES) -> Program[Obtained]:
    """Save a new token, or adopt what is there if somebody was faster.

    A store that fails is asked again while the lease lasts, and raises `StoreError` if it goes on failing; the token
    is kept in memory then.
    """
    token = pending.entry.token
    try:
        obtained, failures = yield from persistently(key, token, lambda: _written(key, pending), pauses)
    except StoreError as error:
        yield from Rescue(key, pending)
        said = str(error).removesuffix(".")
        text = f"{said}. The new token is kept in memory and saved as soon as the store takes it."
        raise narrowed(StoreError(text, token=token), "unsaved") from error.__cause__
    if obtained.issued and (failures or pauses != _PAUSES):
        yield from happened(StoreRecovered, key, fingerprint=fingerprint(token.access_token))
    return obtained


def persistently(
    key: StoreKey, token: AppToken | UserToken, write: Callable[[], Program[T]], pauses: tuple[float, ...] = _PAUSES
) -> Program[tuple[T, int]]:
    """What `write` came to, and how often it had failed: it is repeated after each of `pauses` (seconds).

    Raises `StoreError` with the token if the store goes on failing.
    """
    for failures, pause in enumerate((*pauses, None)):
        try:
            return (yield from write()), failures
        except StoreError as error:
            name = fingerprint(token.access_token)
            yield from happened(StoreFailed, key, fingerprint=name, reason=str(error))
            if pause is None:
                raise narrowed(StoreError(str(error), token=token), "unsaved") from error.__cause__
        yield from Sleep(pause)
    raise AssertionError  # pragma: no cover  # the last round returns or raises


def _written(key: StoreKey, pending: Pending) -> Program[Obtained]:
    """One attempt: written where the replaced token was, or over what only seems to have come in between."""
    expected, entry = pending.expected, pending.entry
    for _ in range(_MOST_WRITES):
        if (yield from Swap(key, expected, entry)):
            if expected != pending.expected and (yield from was_forgotten(key, entry)):
                raise _forgotten(key)
            yield from Remember(key, entry)
            return Obtained(entry, issued=True)
        current = yield from Load(key)
        if current is None:
            if key.account is not None and (yield from is_buried(key)):
                raise _forgotten(key)
            expected = None
            continue
        confirmed = current == entry and expected == current.revision
        if confirmed or not (current == entry or _is_dead(current, pending)):
            return Obtained((yield from adopted(key, current)))
        # Written, though we were told that it failed: only another write can confirm it. The same entry has the same
        # revision, so whoever is renewing it already can still put its successor here.
        expected = current.revision
        entry = current if current == entry else evolve(entry, revision=max(entry.revision, expected + 1))
    raise StoreError("the token store does not take the new token, and has none that is as new")


def _is_dead(current: Entry, pending: Pending) -> bool:
    """Whether a store that lost its data was given `current` back, or went back to it, while ours was on its way.

    Revisions count time. An application's token ended if its issue was over before the next one began; a user may have
    signed in anew.
    """
    issued = pending.entry
    if current.token == issued.token:
        return False
    replaced = pending.expected is not None and current.revision <= pending.expected
    return replaced or (isinstance(issued.token, AppToken) and current.revision < revision_after(issued.issued_at))


def _forgotten(key: StoreKey) -> LoginRequiredError:
    text = f"{key.account!r} was forgotten while being renewed"
    return narrowed(LoginRequiredError(text, account=key.account), "forgotten")


def saved_pending(key: StoreKey, pauses: tuple[float, ...] = _PAUSES) -> Program[Obtained | None]:
    """Save what an earlier call could not, before anything else is issued; `pauses` are as many tries more."""
    pending = (yield from Recall(key)).pending
    if pending is None:
        return None

    def save() -> Program[Obtained]:
        yield from Rescue(key, None)
        return (yield from saved(key, pending, pauses))

    obtained = yield from Shielded(save)
    return Obtained(obtained.entry)  # issued, but perhaps long ago: to be measured

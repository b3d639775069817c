"""An entry as one JSON text and back, for backends that keep text.

Both directions keep secrets wrapped and raise nothing but `StoreError`, which never quotes what was stored.
"""

import json
from collections.abc import Callable
from shlex import quote
from typing import Any, TypeVar

from ..errors import StoreError
from ..masking import Secret
from .base import Entry, StoreKey

__all__ = ["UnreadableEntry", "as_json", "entry_in", "text_of"]

T = TypeVar("T")

_MISFITS = (ValueError, TypeError, OverflowError, RecursionError)


class UnreadableEntry(StoreError):
    """There is an entry of `key`, and what it says cannot be read. Its `revision` is enough to remove it."""

    def __init__(self, problem: str, key: StoreKey, revision: int) -> None:
        which = "--app" if key.account is None else f"--user {quote(key.account)}"
        super().__init__(f"{problem}; it was left as it is. Run: exbo-oauth logout {which}, to remove it")
        self.revision = revision


def text_of(entry: Entry) -> Secret:
    """The entry as JSON in ASCII; raises `StoreError` if JSON cannot carry it."""
    return as_json(entry.to_dict)


def as_json(make: Callable[[], Any]) -> Secret:
    """What `make` gives as JSON in ASCII; raises `StoreError` if JSON cannot carry it."""
    text = _unless_unfit(lambda: Secret(json.dumps(make())))
    if text is None:
        raise StoreError("this entry cannot be stored: the token's `extra` holds what JSON cannot carry")
    return text


def entry_in(stored: Secret, revision: int, key: StoreKey, where: str) -> Entry:
    """The entry that `text_of` wrote, which must be the one of `revision`; raises `StoreError` for anything else."""
    try:
        entry = Entry.from_dict(json.loads(stored.reveal()))
    except _MISFITS:
        entry = None
    if entry is None or entry.revision != revision:
        raise UnreadableEntry(f"the entry of {key!r} in {where} is damaged", key, revision)
    return entry


def _unless_unfit(work: Callable[[], T]) -> T | None:
    try:
        return work()
    except _MISFITS:
        return None

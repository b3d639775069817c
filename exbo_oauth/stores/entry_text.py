"""An entry as one JSON text and back, for backends that keep text. What goes wrong never quotes what was stored."""

import json
from shlex import quote
from typing import Any

from ..errors import StoreError
from ..misuse import narrowed
from .base import Entry, StoreKey

__all__ = ["UnreadableEntry", "as_json", "entry_in", "text_of"]

_MISFITS = (ValueError, TypeError, OverflowError, RecursionError)


class UnreadableEntry(StoreError):
    """There is an entry of `key`, and what it says cannot be read. Its `revision` is enough to remove it."""

    def __init__(self, problem: str, key: StoreKey, revision: int, *, sealed: bool = False) -> None:
        """`sealed`: another encryption key would open it, so that nobody should be told to remove it."""
        which = "--app" if key.account is None else f"--user {quote(key.account)}"
        command = f"exbo-oauth logout {which}"
        cure = f"If that key is lost for good, {command} removes it" if sealed else f"Run: {command}, to remove it"
        super().__init__(f"{problem}; it was left as it is. {cure}")
        narrowed(self, "key" if sealed else "damaged")
        self.revision = revision


def text_of(entry: Entry) -> str:
    """The entry as JSON in ASCII; raises `StoreError` if JSON cannot carry it."""
    return as_json(entry.to_dict())


def as_json(data: dict[str, Any]) -> str:
    """`data` as JSON in ASCII; raises `StoreError` if JSON cannot carry it."""
    try:
        return json.dumps(data)
    except _MISFITS:
        raise StoreError("this entry cannot be stored: the token's `extra` holds what JSON cannot carry") from None


def entry_in(stored: str, revision: int, key: StoreKey, where: str) -> Entry:
    """The entry that `text_of` wrote, which must be the one of `revision`; raises `StoreError` for anything else."""
    try:
        entry = Entry.from_dict(json.loads(stored))
    except _MISFITS:
        entry = None
    if entry is None or entry.revision != revision:
        raise UnreadableEntry(f"the entry of {key!r} in {where} is damaged", key, revision)
    return entry

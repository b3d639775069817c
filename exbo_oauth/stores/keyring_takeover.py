"""What earlier versions kept in the keyring: every token, in pieces, and a note in a file for each.

Nothing is written in that form any more. An entry that was put where the others are is removed from the keyring, and
its note at the very last: a process that is killed in between leaves what the next one finishes.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from ..errors import StoreError
from .base import Entry, StoreKey
from .entry_text import entry_in
from .guard import guarded
from .key_text import digest_of, key_in, text_of_key
from .keyring_key import Backend, Keyring, answering, name_of

__all__ = ["EarlierEntries"]

_NAME = re.compile(r"[0-9a-f]{64}")


@frozen
class Note:
    """What was noted of a key: `names` are those of the pieces of its entry, none if it has none; `backend` has them.

    Nothing needs the pieces named in `waste` any more. The lease ends at `leased_until`, in seconds since 1970.
    """

    key: str
    names: list[str]
    backend: str
    revision: int
    waste: list[str]
    leased_until: float

    @classmethod
    def of(cls, data: Any) -> "Note":
        nothing: Any = {"name": "", "count": 0, "backend": "", "revision": 0}
        entry, lease = data["entry"] or nothing, data["lease"]
        waste = [name for pieces in data["waste"] for name in _names(pieces)]
        until = lease["since"] + lease["ttl"] if lease else 0.0
        return cls(data["key"], _names(entry), entry["backend"], entry["revision"], waste, until)


def _names(pieces: dict[str, Any]) -> list[str]:
    return [f"{pieces['name']}.{number}" for number in range(pieces["count"])]


@frozen
class EarlierEntries:
    """The entries in `folder` that are still to be taken over. The caller sees to it that he is alone."""

    keyring: Keyring
    folder: Path

    def has(self, key: StoreKey) -> bool:
        return os.path.exists(self._path(key))  # noqa: PTH110  # the file of tokens beside it tells what is wrong

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`; None if there is none, or if it was removed from the keyring by hand."""
        note, backends = self._note(self._path(key)), answering()
        if note is None or not note.names:
            return None
        texts = [text for name in note.names if (text := self._text(backends, name)) is not None]
        if len(texts) == len(note.names):
            return entry_in("".join(texts), note.revision, key, f"the keyring (see {self._path(key)})")
        here = list(map(name_of, backends))
        if note.backend in here:
            return None
        answers = f"here {' and '.join(here) or 'no keyring'} answers"
        raise StoreError(
            f"the token of {key!r} is in {note.backend}, and {answers}: use one keyring in both places; to give the "
            f"token up, remove {self._path(key)}"
        )

    def _text(self, backends: list[Backend], name: str) -> str | None:
        texts = (self.keyring.get(backend, name) for backend in backends)
        return next((text for text in texts if text is not None), None)

    def leased(self, key: StoreKey) -> bool:
        """Whether a program of an earlier version is renewing the token, and will put the new one where the old is."""
        note = self._note(self._path(key))
        return note is not None and time.time() < note.leased_until

    def remove(self, key: StoreKey) -> None:
        """Remove all that there is of `key`."""
        note = self._note(self._path(key))
        for name in () if note is None else (*note.waste, *note.names):
            for backend in answering():
                self.keyring.remove(backend, name)
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[StoreKey | StoreError]:
        """The keys that have an entry here, and what is wrong with notes that cannot be read."""
        for path in sorted(self.folder.glob("*.json")):
            if _NAME.fullmatch(path.stem):
                try:
                    note = guarded(self._note, path)
                    if note is not None and note.names:
                        yield key_in(note.key)
                except StoreError as error:
                    yield error

    def _path(self, key: StoreKey) -> Path:
        return self.folder / f"{digest_of(text_of_key(key))}.json"

    def _note(self, path: Path) -> Note | None:
        try:
            note = Note.of(json.loads(path.read_text(encoding="utf-8")))
            if path.stem == digest_of(note.key):
                return note
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise StoreError(f"{path} is damaged: remove it and what the keyring has under that name, then sign in again")

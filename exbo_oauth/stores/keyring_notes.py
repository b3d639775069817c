"""What lies beside the keyring: one small file a key, with what is no secret. The caller sees to it that he is alone.

A note is replaced as a whole and outlives a power cut from the moment `Notes.save` returns. One that cannot be read
is left as it is.
"""

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from ..errors import StoreError
from .naming import digest_of

__all__ = ["Lease", "Note", "Notes", "Pieces"]

_NAME = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class Pieces:
    """Where an entry is in the keyring: under `name`.0, `name`.1, and so on, in the backend of that class."""

    name: str
    count: int
    revision: int
    backend: str

    def names(self) -> list[str]:
        return [f"{self.name}.{number}" for number in range(self.count)]


@frozen(kw_only=True)
class Lease:
    """Who has the lease since when, on the wall clock, and for how many seconds."""

    owner: str
    since: float
    ttl: float

    def binds(self, owner: str, now: float) -> bool:
        """Whether it keeps `owner` out; one that began in the future tells of a clock that was set back."""
        return self.owner != owner and self.since <= now < self.since + self.ttl


@frozen(kw_only=True)
class Note:
    """The note of a key. `waste` are pieces that nothing needs any more, or that never were complete."""

    key: str
    entry: Pieces | None = None
    waste: tuple[Pieces, ...] = ()
    lease: Lease | None = None

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Note":
        return cls(
            key=data["key"],
            entry=None if data["entry"] is None else Pieces(**data["entry"]),
            waste=tuple(Pieces(**pieces) for pieces in data["waste"]),
            lease=None if data["lease"] is None else Lease(**data["lease"]),
        )


@frozen
class Notes:
    """The notes in `directory`. What bears another name than ours there is none of them."""

    directory: Path

    def path(self, key: str) -> Path:
        return self.directory / f"{digest_of(key)}.json"

    def paths(self) -> list[Path]:
        return sorted(path for path in self.directory.glob("*.json") if _NAME.fullmatch(path.stem))

    def of(self, key: str) -> Note:
        return self.read(self.path(key)) or Note(key=key)

    def read(self, path: Path) -> Note | None:
        """The note in `path`, None if there is none; raises `StoreError` for a damaged one, or another key's."""
        try:
            note = Note.of(json.loads(path.read_text(encoding="utf-8")))
            if path == self.path(note.key):
                return note
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise StoreError(f"{path} is damaged: remove it and what the keyring has under that name, then sign in again")

    def save(self, note: Note) -> None:
        """Write `note`, or remove the file of one that says nothing."""
        path = self.path(note.key)
        if note == Note(key=note.key):
            path.unlink(missing_ok=True)
            return
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        self._settle()

    def _settle(self) -> None:
        """Have the new name on the disk, too: a power cut could bring back a note whose pieces are removed by then."""
        with suppress(OSError):  # Windows opens no directories, and some file systems sync none
            descriptor = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

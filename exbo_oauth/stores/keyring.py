"""Tokens in the desktop's keyring: Keychain, Credential Locker, Secret Service. Needs the extra ``keyring``.

A keyring keeps short secrets by name and knows neither compare-and-swap nor a list of what it holds. So the secret
goes into the keyring, in pieces where a backend limits its size, and beside it, in the user's data directory, lies
one small file a key with what is no secret: whose token it is and who has the lease. A file lock makes each change
one step for all processes of the user; a killed process leaves none behind.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .guard import guarded
from .naming import digest_of, key_from, text_of

try:
    import keyring
    import keyring.errors
    from filelock import FileLock
    from platformdirs import user_data_path
except ImportError:
    raise ConfigurationError("KeyringTokenStore needs keyring: pip install 'exbo-oauth[keyring]'") from None

__all__ = ["KeyringTokenStore"]

T = TypeVar("T")

_PIECE = 1000  # Windows takes 2,560 bytes of UTF-16 a secret
_PATIENCE = 10.0


class KeyringTokenStore:
    """A store in the keyring of the user who runs the program.

    `service` is the name under which the keyring shows the secrets. `directory` is where the files beside it lie,
    the user's data directory by default; programs that share tokens have to use the same.

    Raises `StoreError` when the keyring fails, says no, or when there is none on this machine.
    """

    blocking: ClassVar[bool] = True

    def __init__(self, service: str = "exbo-oauth", *, directory: "str | os.PathLike[str] | None" = None) -> None:
        if not isinstance(service, str) or not service:
            raise ConfigurationError("service must be the name under which the keyring keeps the tokens")
        self.service = service
        root = user_data_path("exbo-oauth") / "keyring" if directory is None else Path(directory)
        self._directory = root / digest_of(StoreKey(service, ""))[:16]

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        return self._locked(key, lambda: self._read(key))

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return self._locked(key, lambda: self._swapped(key, expected, entry))

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return self._locked(key, lambda: self._acquired(key, owner, ttl))

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._locked(key, lambda: self._released(key, owner))

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry."""
        for path in guarded(lambda: sorted(self._directory.glob("*.json"))):
            note = guarded(_note_in, path)
            if note.get("head") is not None:
                yield guarded(key_from, note["key"])

    def close(self) -> None:
        """Nothing: the store keeps neither files nor connections open."""

    def _locked(self, key: StoreKey, work: Callable[[], T]) -> T:
        result: T = guarded(self._with_lock, key, work)
        return result

    def _with_lock(self, key: StoreKey, work: Callable[[], T]) -> T:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with FileLock(self._path(key).with_suffix(".lock"), timeout=_PATIENCE):
                return work()
        except keyring.errors.NoKeyringError:
            problem = "there is no keyring on this machine: use SQLiteTokenStore, or install a keyring backend"
        except keyring.errors.KeyringLocked:
            problem = "the keyring is locked: unlock it and try again"
        except keyring.errors.KeyringError as error:
            problem = f"the keyring refused: {type(error).__name__}"
        raise StoreError(problem)

    def _read(self, key: StoreKey) -> Entry | None:
        head = self._note(key).get("head")
        if head is None:
            return None
        pieces = [Secret(self._secret(f"{head['name']}.{part}") or "") for part in range(head["parts"])]
        try:
            return Entry.from_dict(json.loads("".join(piece.reveal() for piece in pieces)))
        except (ValueError, RecursionError):
            damaged = StoreError(
                f"the entry of {key!r} in the keyring is damaged or was removed in part: sign in again"
            )
        raise damaged

    def _swapped(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        note = self._note(key)
        head = note.get("head")
        if (None if head is None else head["revision"]) != expected:
            return False
        # The new pieces are complete before the note points to them; the old ones go last.
        self._save_note(key, note | {"head": None if entry is None else self._store_pieces(key, entry)})
        if head is not None:
            self._remove_pieces(head)
        return True

    def _store_pieces(self, key: StoreKey, entry: Entry) -> dict[str, Any]:
        name = f"{digest_of(key)}.{secrets.token_hex(4)}"
        pieces = _pieces(entry)
        for part, piece in enumerate(pieces):
            keyring.set_password(self.service, f"{name}.{part}", piece.reveal())
        return {"name": name, "parts": len(pieces), "revision": entry.revision}

    def _remove_pieces(self, head: dict[str, Any]) -> None:
        for part in range(head["parts"]):
            try:
                keyring.delete_password(self.service, f"{head['name']}.{part}")
            except keyring.errors.PasswordDeleteError:
                continue  # somebody tidied up by hand

    def _secret(self, name: str) -> str | None:
        return keyring.get_password(self.service, name)

    def _acquired(self, key: StoreKey, owner: str, ttl: float) -> bool:
        note, now = self._note(key), time.time()
        lease = note.get("lease")
        # One that began in the future tells of a clock that was set back.
        if lease and lease["owner"] != owner and lease["since"] <= now < lease["since"] + lease["ttl"]:
            return False
        self._save_note(key, note | {"lease": {"owner": owner, "since": now, "ttl": ttl}})
        return True

    def _released(self, key: StoreKey, owner: str) -> None:
        note = self._note(key)
        if note.get("lease") and note["lease"]["owner"] == owner:
            self._save_note(key, note | {"lease": None})

    def _path(self, key: StoreKey) -> Path:
        return self._directory / f"{digest_of(key)}.json"

    def _note(self, key: StoreKey) -> dict[str, Any]:
        return _note_in(self._path(key))

    def _save_note(self, key: StoreKey, note: dict[str, Any]) -> None:
        path = self._path(key)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({**note, "key": text_of(key)}))
        new.replace(path)

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self.service!r})"


def _note_in(path: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return note


def _pieces(entry: Entry) -> list[Secret]:
    text = Secret(json.dumps(entry.to_dict()))
    return [Secret(text.reveal()[start : start + _PIECE]) for start in range(0, len(text.reveal()), _PIECE)]


KeyringTokenStore.__module__ = "exbo_oauth.stores"

"""Tokens beside the desktop's keyring: Keychain, Credential Locker, Secret Service. Needs the extra ``keyring``.

The keyring keeps one secret, a key. The tokens are in a SQLite file in the user's data directory, encrypted with that
key. So the keyring guards them, and the file does what a keyring cannot: compare-and-swap, leases, and a list of what
it holds, for all processes of the user.
"""

# Without the extra the constructor says what is missing, and nothing below it runs.
# pyright: reportPossiblyUnboundVariable=false

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from ..boundary import bounded_throughout
from ..errors import ConfigurationError, StoreError
from .base import Entry, StoreKey
from .encrypted import EncryptedTokenStore
from .guard import guarded, missing, replaced
from .key_text import digest_of
from .sqlite import SQLiteTokenStore

try:
    from platformdirs import user_data_path

    from .keyring_key import Keyring, KeyringKey, turn
    from .keyring_takeover import EarlierEntries
except ImportError as _error:
    _missing: ConfigurationError | None = missing("KeyringTokenStore", "keyring", _error)
else:
    _missing = None

__all__ = ["KeyringTokenStore"]

_CLASS = re.compile(r"\w+(\.\w+)+")


@bounded_throughout
class KeyringTokenStore:
    """A store whose tokens only the keyring of the user who runs the program can open.

    `service` is the name under which the keyring shows the key. `directory` is where the tokens are, encrypted, in
    the user's data directory by default; a leading ``~`` is the user's home. Programs that share tokens have to use
    the same service, directory and keyring. A backend of `keyring` that may keep secrets in plain text is refused
    unless `allow` is its full name, such as ``keyrings.alt.file.PlaintextKeyring``.

    Raises `ConfigurationError` for arguments that are none of these, `StoreError` when the keyring fails, says no,
    keeps nothing, has lost the key, is not the one that has it, or when there is none on this machine.

    ::

        store = KeyringTokenStore("my-bot")  # asks the keyring when it is first used
    """

    blocking: ClassVar[bool] = True

    def __init__(
        self,
        service: str = "exbo-oauth",
        *,
        directory: "str | os.PathLike[str] | None" = None,
        allow: str | None = None,
    ) -> None:
        if _missing is not None:
            raise _missing.with_traceback(None)
        if not isinstance(service, str) or not service:
            raise ConfigurationError("service must be the name under which the keyring keeps the key to the tokens")
        if allow is not None and not (isinstance(allow, str) and _CLASS.fullmatch(allow)):
            raise ConfigurationError(
                "allow must be the full name of a backend of keyring, such as keyrings.alt.file.PlaintextKeyring"
            )
        root = user_data_path("exbo-oauth") / "keyring" if directory is None else _location(directory)
        folder = root / digest_of(service)[:16]
        self.service = service
        self._root = root
        self._keyring = Keyring(service, self._root, allow)
        self._file = SQLiteTokenStore(folder / "tokens.db")
        self._key = KeyringKey(self._keyring, folder, in_use=lambda: next(self._file.keys(), None) is not None)
        self._tokens = EncryptedTokenStore(self._file, self._key)
        self._earlier = EarlierEntries(self._keyring, folder)

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        self._take_over(key)
        return self._tokens.load(key)

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        self._take_over(key, for_good=True)
        if expected is not None:
            guarded(self._key.key)  # what another session's keyring guards is not to be removed, either
        return self._tokens.swap(key, expected, entry)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        guarded(self._key.key)  # first: while somebody is asked for a password, a lease would run out
        return not guarded(self._earlier.leased, key) and self._tokens.acquire(key, owner, ttl)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._tokens.release(key, owner)

    def holder(self, key: StoreKey) -> str | None:
        """Who has the lease of `key` now, None if nobody has."""
        return self._file.holder(key)

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry; one of an earlier version that is damaged is a `StoreError` after all others."""
        earlier = list(self._earlier.keys())
        problems = [each for each in earlier if isinstance(each, StoreError)]
        listed = {each for each in earlier if isinstance(each, StoreKey)}
        yield from listed
        yield from filter(lambda key: key not in listed, self._tokens.keys())
        if problems:
            raise problems[0]

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        self._tokens.close()

    def risks(self) -> list[str]:
        """What the keyring does not guard against; raises `StoreError` if a token could not be kept now."""
        guarded(self._key.key)
        note = self._key.note()
        if note is None or note.backend != self._keyring.allowed:
            return []
        return [f"{note.backend} may keep the key in plain text: use a keyring that encrypts"]

    def _take_over(self, key: StoreKey, *, for_good: bool = False) -> None:
        """Put an entry of an earlier version where the others are, if there is one, and remove it where it was.

        Before a write it has to be gone (`for_good`), or it might come back after a delete. Before a mere look, it may
        also stay: what the keyring does not let go of, and what a program of that version is just renewing.
        """
        if self._earlier.has(key):
            guarded(self._key.key)
            guarded(self._taken_over, key, for_good)

    def _taken_over(self, key: StoreKey, for_good: bool) -> None:
        with turn(self._root):
            entry = self._earlier.load(key)
            if entry is not None:
                replaced(self._tokens, key, entry)
            if for_good:
                self._earlier.remove(key)
            elif not self._earlier.leased(key):
                with suppress(StoreError):
                    self._earlier.remove(key)

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self.service!r})"


def _location(directory: "str | os.PathLike[str]") -> Path:
    try:
        path = os.fspath(directory)
        if isinstance(path, str) and path and "\0" not in path:
            return Path(path).expanduser().absolute()
    except (TypeError, RuntimeError):  # no path at all, or of a home that does not exist
        pass
    raise ConfigurationError("directory must be a path of text, None for the user's data directory")


KeyringTokenStore.__module__ = "exbo_oauth.stores"

"""Tokens in the desktop's keyring: Keychain, Credential Locker, Secret Service. Needs the extra ``keyring``.

A keyring keeps short secrets by name and knows neither compare-and-swap nor a list of what it holds. So the secret
goes into the keyring, in pieces where a backend limits its size, and beside it, in the user's data directory, lies
one small file a key, its note, with what is no secret: whose token it is, which pieces it is in, and who has the
lease. One file lock makes each change one step for all processes of the user, because some backends rewrite a whole
file, or share one record, for different secrets.

A write can be cut short at any point. The note names new pieces before they are written, points to them when they
are complete, and names the old ones until they are gone: there is always one whole entry, and whoever writes next
removes what a killed process left.
"""

# Without the extra the constructor says what is missing, and nothing below it runs.
# pyright: reportPossiblyUnboundVariable=false

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from attrs import asdict, evolve, frozen

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .guard import guarded, missing
from .naming import digest_of, key_in, text_of_key
from .serial import entry_in, text_of

try:
    import keyring
    import keyring.errors
    from filelock import FileLock, Timeout
    from platformdirs import user_data_path
except ImportError as error:
    _missing: ConfigurationError | None = missing("KeyringTokenStore", "keyring", error)
else:
    _missing = None

__all__ = ["KeyringTokenStore"]

T = TypeVar("T")

_PIECE = 1000  # Windows takes 2,560 bytes of UTF-16 a secret
_PATIENCE = 10.0


@frozen
class _Pieces:
    """Where an entry is in the keyring: under `name`.0, `name`.1, and so on."""

    name: str
    count: int
    revision: int

    def names(self) -> list[str]:
        return [f"{self.name}.{number}" for number in range(self.count)]


@frozen(kw_only=True)
class _Lease:
    owner: str
    since: float
    ttl: float

    def binds(self, owner: str, now: float) -> bool:
        """Whether it keeps `owner` out; one that began in the future tells of a clock that was set back."""
        return self.owner != owner and self.since <= now < self.since + self.ttl


@frozen(kw_only=True)
class _Note:
    """What lies beside the keyring. `waste` are pieces that nothing needs any more, or that never were complete."""

    key: str
    entry: _Pieces | None = None
    waste: tuple[_Pieces, ...] = ()
    lease: _Lease | None = None

    @classmethod
    def of(cls, data: dict[str, Any]) -> "_Note":
        return cls(
            key=data["key"],
            entry=None if data["entry"] is None else _Pieces(**data["entry"]),
            waste=tuple(_Pieces(**pieces) for pieces in data["waste"]),
            lease=None if data["lease"] is None else _Lease(**data["lease"]),
        )


@frozen
class _Keyring:
    """The keyring under one service name. Whatever a backend raises is a `StoreError` that quotes nothing of it."""

    service: str

    def get(self, name: str) -> Secret | None:
        return _asked(lambda: _masked(keyring.get_password(self.service, name)))

    def put(self, name: str, text: Secret) -> None:
        _asked(lambda: keyring.set_password(self.service, name, text.reveal()))

    def remove(self, pieces: _Pieces) -> bool:
        """Whether all of them are gone."""
        left = [name for name in pieces.names() if not self._removed(name)]
        return not left

    def _removed(self, name: str) -> bool:
        try:
            _asked(lambda: keyring.delete_password(self.service, name))
        except StoreError:
            with suppress(StoreError):
                return self.get(name) is None  # backends complain of what was never there
            return False
        return True


class KeyringTokenStore:
    """A store in the keyring of the user who runs the program.

    `service` is the name under which the keyring shows the secrets. `directory` is where the files beside it lie,
    the user's data directory by default; programs that share tokens have to use the same.

    Raises `ConfigurationError` for arguments that are none of these, `StoreError` when the keyring fails, says no,
    or when there is none on this machine.
    """

    blocking: ClassVar[bool] = True

    def __init__(self, service: str = "exbo-oauth", *, directory: "str | os.PathLike[str] | None" = None) -> None:
        if _missing is not None:
            raise _missing.with_traceback(None)
        if not isinstance(service, str) or not service:
            raise ConfigurationError("service must be the name under which the keyring keeps the tokens")
        if not isinstance(directory, str | os.PathLike | None) or directory == "":
            raise ConfigurationError("directory must be a path, None for the user's data directory")
        self.service = service
        self._keyring = _Keyring(service)
        self._root = user_data_path("exbo-oauth") / "keyring" if directory is None else Path(directory).absolute()
        self._directory = self._root / digest_of(service)[:16]

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        return self._locked(lambda: self._read(key))

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return self._locked(lambda: self._swapped(key, expected, entry))

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return self._locked(lambda: self._acquired(key, owner, ttl))

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._locked(lambda: self._released(key, owner))

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry now, as far as nobody removed one from the keyring by hand."""
        yield from self._locked(self._listed)

    def close(self) -> None:
        """Nothing: the store keeps neither files nor connections open."""

    def _locked(self, work: Callable[[], T]) -> T:
        return guarded(lambda: self._with_lock(work))

    def _with_lock(self, work: Callable[[], T]) -> T:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._root / "keyring.lock")
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            problem = f"another program has been busy with the keyring for {_PATIENCE:g} s: does it ask for something?"
        else:
            try:
                return work()
            finally:
                lock.release()
        raise StoreError(problem)

    def _read(self, key: StoreKey) -> Entry | None:
        pieces = self._note(key).entry
        text = None if pieces is None else self._text(pieces)
        return None if pieces is None or text is None else entry_in(text, pieces.revision, key, "the keyring")

    def _text(self, pieces: _Pieces) -> Secret | None:
        """What the pieces hold together, None if somebody removed one by hand: what is left is of no use."""
        texts = [self._keyring.get(name) for name in pieces.names()]
        whole = [text for text in texts if text is not None]
        return Secret("".join(text.reveal() for text in whole)) if len(whole) == len(texts) else None

    def _swapped(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        note = self._note(key)
        if self._revision(note) != expected:
            return False
        note = self._swept(note)
        gone = () if note.entry is None else (note.entry,)
        if entry is None:
            note = evolve(note, entry=None, waste=(*note.waste, *gone))
        else:
            note = self._with_entry(note, entry, gone)
        self._save(note)
        with suppress(StoreError):  # written it is; what could not be tidied up is noted
            self._save(self._swept(note))
        return True

    def _revision(self, note: _Note) -> int | None:
        return None if note.entry is None or self._text(note.entry) is None else note.entry.revision

    def _with_entry(self, note: _Note, entry: Entry, gone: tuple[_Pieces, ...]) -> _Note:
        """The note that points to `entry`, whose pieces are in the keyring by then."""
        texts = _pieces_of(text_of(entry))
        pieces = _Pieces(f"{digest_of(note.key)}.{secrets.token_hex(4)}", len(texts), entry.revision)
        self._save(evolve(note, waste=(*note.waste, pieces)))
        for name, text in zip(pieces.names(), texts, strict=True):
            self._keyring.put(name, text)
        return evolve(note, entry=pieces, waste=(*note.waste, *gone))

    def _swept(self, note: _Note) -> _Note:
        """`note` without the waste that could be removed."""
        return evolve(note, waste=tuple(pieces for pieces in note.waste if not self._keyring.remove(pieces)))

    def _acquired(self, key: StoreKey, owner: str, ttl: float) -> bool:
        note, now = self._note(key), time.time()
        if note.lease is not None and note.lease.binds(owner, now):
            return False
        self._save(evolve(note, lease=_Lease(owner=owner, since=now, ttl=ttl)))
        return True

    def _released(self, key: StoreKey, owner: str) -> None:
        note = self._note(key)
        if note.lease is not None and note.lease.owner == owner:
            self._save(evolve(note, lease=None))

    def _listed(self) -> list[StoreKey]:
        notes = map(_note_in, sorted(self._directory.glob("*.json")))
        return [key_in(note.key) for note in notes if note is not None and note.entry is not None]

    def _path(self, key: str) -> Path:
        return self._directory / f"{digest_of(key)}.json"

    def _note(self, key: StoreKey) -> _Note:
        text = text_of_key(key)
        return _note_in(self._path(text)) or _Note(key=text)

    def _save(self, note: _Note) -> None:
        path = self._path(note.key)
        if note == _Note(key=note.key):
            path.unlink(missing_ok=True)
            return
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self.service!r})"


def _note_in(path: Path) -> _Note | None:
    try:
        return _Note.of(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        problem = f"{path} is damaged: remove it, and sign in again"
    raise StoreError(problem)


def _asked(call: Callable[[], T]) -> T:
    """`call()`, which asks the keyring; what it raises may quote a secret, so only its kind is told."""
    try:
        return call()
    except keyring.errors.NoKeyringError:
        problem = "there is no keyring on this machine: use SQLiteTokenStore, or install a keyring backend"
    except keyring.errors.KeyringLocked:
        problem = "the keyring is locked: unlock it and try again"
    except Exception as error:  # noqa: BLE001  # a backend passes on whatever its system raises
        problem = f"the keyring refused: {type(error).__name__}"
    raise StoreError(problem)


def _masked(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def _pieces_of(text: Secret) -> list[Secret]:
    return [Secret(text.reveal()[start : start + _PIECE]) for start in range(0, len(text.reveal()), _PIECE)]


KeyringTokenStore.__module__ = "exbo_oauth.stores"

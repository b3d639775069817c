"""Tokens in the desktop's keyring: Keychain, Credential Locker, Secret Service. Needs the extra ``keyring``.

A keyring keeps short secrets by name and knows neither compare-and-swap nor a list of what it holds. So the secret
goes into the keyring, in pieces where a backend limits its size, and beside it, in the user's data directory, lies
one small file a key, its note, with what is no secret: whose token it is, where it is in the keyring, and who has the
lease. One file lock makes each change one step for all processes of the user, because some backends rewrite a whole
file, or share one record, for different secrets.

A write can be cut short at any point. The note names new pieces before they are written, points to them when they
are complete, and names the old ones until they are gone: there is always one whole entry, and whoever writes next
removes what a killed process left.
"""

# Without the extra the constructor says what is missing, and nothing below it runs.
# pyright: reportPossiblyUnboundVariable=false

import os
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from threading import RLock
from typing import ClassVar, TypeVar

from attrs import evolve

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .guard import guarded, missing
from .keyring_notes import Lease, Note, Notes, Pieces
from .naming import digest_of, key_in, text_of_key
from .serial import entry_in, text_of

try:
    from filelock import FileLock, Timeout
    from platformdirs import user_data_path

    from .keyring_secrets import Keyring, cut
except ImportError as error:
    _missing: ConfigurationError | None = missing("KeyringTokenStore", "keyring", error)
else:
    _missing = None

__all__ = ["KeyringTokenStore"]

T = TypeVar("T")

_PATIENCE = 10.0
_POLL = 0.01


class KeyringTokenStore:
    """A store in the keyring of the user who runs the program.

    `service` is the name under which the keyring shows the secrets. `directory` is where the files beside it lie, the
    user's data directory by default; a leading ``~`` is the user's home. Programs that share tokens have to use the
    same service, directory and keyring.

    Raises `ConfigurationError` for arguments that are none of these, `StoreError` when the keyring fails, says no,
    keeps nothing, is not the one that has the token, or when there is none on this machine.
    """

    blocking: ClassVar[bool] = True

    def __init__(self, service: str = "exbo-oauth", *, directory: "str | os.PathLike[str] | None" = None) -> None:
        if _missing is not None:
            raise _missing.with_traceback(None)
        if not isinstance(service, str) or not service:
            raise ConfigurationError("service must be the name under which the keyring keeps the tokens")
        root = user_data_path("exbo-oauth") / "keyring" if directory is None else _location(directory)
        self.service = service
        self._keyring = Keyring(service)
        self._root = root
        self._notes = Notes(root / digest_of(service)[:16])

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
        """The keys that have an entry now, as far as nobody removed one from the keyring by hand.

        One whose note is damaged is a `StoreError` when all others have been listed.
        """
        listed = self._locked(self._listed)
        yield from (key for key in listed if isinstance(key, StoreKey))
        for problem in listed:
            if isinstance(problem, StoreError):
                raise problem

    def close(self) -> None:
        """Nothing: the store keeps neither files nor connections open."""

    def _locked(self, work: Callable[[], T]) -> T:
        return guarded(lambda: self._with_lock(work))

    def _with_lock(self, work: Callable[[], T]) -> T:
        self._notes.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _turn(self._root):
            return work()

    def _note(self, key: StoreKey) -> Note:
        return self._notes.of(text_of_key(key))

    def _read(self, key: StoreKey) -> Entry | None:
        note = self._note(key)
        text = self._text(note)
        if note.entry is None or text is None:
            return None
        try:
            return entry_in(text, note.entry.revision, key, "the keyring")
        except StoreError as error:
            removal = f"keyring del {quote(self.service)} {note.entry.names()[0]}"
            problem = f"{error}: to sign in again, remove it with {removal!r}"
        raise StoreError(problem)

    def _text(self, note: Note) -> Secret | None:
        """What the keyring has for `note`, None if nothing, or if somebody removed a piece: the rest is of no use."""
        if note.entry is None:
            return None
        texts = [self._keyring.get(name) for name in note.entry.names()]
        whole = [text for text in texts if text is not None]
        if len(whole) == len(texts):
            return Secret("".join(text.reveal() for text in whole))
        self._check_backend(note.entry, note.key)
        return None

    def _check_backend(self, pieces: Pieces, key: str) -> None:
        """Raise `StoreError` if `pieces` are not here because they are in another keyring, and may be alive there."""
        backends = self._keyring.backends()
        if pieces.backend not in backends:
            raise StoreError(
                f"the token is in {pieces.backend}, and here {' and '.join(backends) or 'no keyring'} answers: use one "
                f"keyring in both places, or SQLiteTokenStore; to give the token up, remove {self._notes.path(key)}"
            )

    def _revision(self, note: Note) -> int | None:
        return None if note.entry is None or self._text(note) is None else note.entry.revision

    def _swapped(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        note = self._note(key)
        if self._revision(note) != expected:
            return False
        note = self._swept(note)
        gone = () if note.entry is None else (note.entry,)
        pieces = None if entry is None else self._put(note, entry)
        note = evolve(note, entry=pieces, waste=(*note.waste, *gone))
        self._notes.save(note)
        with suppress(StoreError, OSError):  # written it is; what could not be tidied up is noted
            self._notes.save(self._swept(note))
        return True

    def _put(self, note: Note, entry: Entry) -> Pieces:
        """Where `entry` is in the keyring from now on, without a note that points to it."""
        text, name = text_of(entry), f"{digest_of(note.key)}.{secrets.token_hex(4)}"
        backend = self._keyring.writer()
        pieces = Pieces(name=name, count=len(cut(text)), revision=entry.revision, backend=backend)
        self._notes.save(evolve(note, waste=(*note.waste, pieces)))
        return self._keyring.put(pieces, text)

    def _swept(self, note: Note) -> Note:
        """`note` without the waste that could be removed."""
        return evolve(note, waste=tuple(pieces for pieces in note.waste if not self._keyring.remove(pieces)))

    def _acquired(self, key: StoreKey, owner: str, ttl: float) -> bool:
        note, now = self._note(key), time.time()
        if note.lease is not None and note.lease.binds(owner, now):
            return False
        self._keyring.check()
        self._notes.save(evolve(note, lease=Lease(owner=owner, since=now, ttl=ttl)))
        return True

    def _released(self, key: StoreKey, owner: str) -> None:
        note = self._note(key)
        if note.lease is not None and note.lease.owner == owner:
            self._notes.save(evolve(note, lease=None))

    def _listed(self) -> list[StoreKey | StoreError]:
        listed = map(self._key_in, self._notes.paths())
        return [key for key in listed if key is not None]

    def _key_in(self, path: Path) -> StoreKey | StoreError | None:
        try:
            note = guarded(self._notes.read, path)
            return None if note is None or note.entry is None else key_in(note.key)
        except StoreError as error:
            return error

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


# Of each process its own: a forked child must not wait for a thread that only its parent has.
_turns: dict[tuple[int, str], RLock] = {}


@contextmanager
def _turn(root: Path) -> Generator[None]:
    """The file lock of `root`. The threads of a process line up before it, so that patience is for others only."""
    with _turns.setdefault((os.getpid(), str(root)), RLock()):
        lock = _taken(root)
        try:
            yield
        finally:
            lock.release()


def _taken(root: Path) -> "FileLock":
    """The lock, held. Who waits for it holds the door meanwhile, or a busy program would pass him again and again."""
    lock, door = FileLock(root / "keyring.lock"), FileLock(root / "keyring.door")
    end = time.monotonic() + _PATIENCE
    try:
        with door.acquire(_PATIENCE, poll_interval=_POLL):
            lock.acquire(max(0.0, end - time.monotonic()), poll_interval=_POLL)
    except Timeout:
        problem = f"another program has been busy with the keyring for {_PATIENCE:g} s: does it ask for something?"
    else:
        return lock
    raise StoreError(problem)


KeyringTokenStore.__module__ = "exbo_oauth.stores"

"""The one secret in the keyring: the key to the tokens beside it. Needs the extra ``keyring``.

A note beside the tokens says where the key is and how it is recognised, and nothing that is a secret. The keyring is
asked with every call: that a key was locked away or lost since has to be known before a token is issued.
"""

import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeAlias, TypeVar

import keyring
import keyring.errors
from attrs import asdict, define, evolve, field, frozen
from cryptography.fernet import Fernet
from filelock import FileLock, Timeout
from keyring.backends import chainer, fail, null

from ..errors import StoreError
from .interrupts import interrupt
from .key_text import digest_of
from .passphrase import Key, Recipe
from .patience import PATIENCE, Impatient, silence

__all__ = ["Backend", "Keyring", "KeyringKey", "answering", "name_of", "turn"]

T = TypeVar("T")

Backend: TypeAlias = Any  # keyring's, whose type would be Unknown where that is not installed

# What keyring itself does not recommend has a priority below 1. Some of that encrypts all the same.
_PLAIN = "keyrings.alt.file.PlaintextKeyring"
_ENCRYPTED = {
    "keyrings.alt.file.EncryptedKeyring",
    "keyrings.alt.Windows.EncryptedKeyring",
    "keyrings.alt.Windows.RegistryKeyring",
}
# GNOME's: see `_in_turn`.
_SECRET_SERVICE = {"keyring.backends.SecretService.Keyring", "keyring.backends.libsecret.Keyring"}

_KEEPS_NOTHING = "the keyring keeps nothing (it may be disabled): use SQLiteTokenStore"
_MISSING = "there is no keyring on this machine: use SQLiteTokenStore, or install a keyring backend"

_POLL = 0.01
_PATIENCE = 60.0  # with a person who is asked for a password
_COURTESY = 1.0  # with the calls of other processes


@frozen
class Keyring:
    """The keyring of this session under one service name. The backend `allowed` may keep secrets in plain text.

    Whatever a backend raises is a `StoreError` that quotes nothing of it. In `folder` processes see each other's calls.
    """

    service: str
    folder: Path
    allowed: str | None = None
    _calls: Impatient = field(factory=lambda: Impatient(patience=_PATIENCE), eq=False, repr=False)

    def backends(self) -> list[Backend]:
        """Those that answer here and are trusted; raises `StoreError` if none of several is."""
        there = answering()
        trusted = [backend for backend in there if name_of(backend) == self.allowed or _encrypts(backend.__class__)]
        if there and not trusted:
            name = name_of(there[0])
            raise StoreError(
                f"{name} may keep secrets in plain text: use another keyring, or SQLiteTokenStore; to allow it, say "
                f"KeyringTokenStore(allow={name!r}), or keyring:?allow={name} in a URL"
            )
        return trusted

    def writer(self) -> Backend:
        """The one that a new secret goes to."""
        backends = self.backends()
        if not backends:
            raise StoreError(_MISSING if isinstance(keyring.get_keyring(), fail.Keyring) else _KEEPS_NOTHING)
        return backends[0]

    def get(self, backend: Backend, name: str) -> str | None:
        text: str | None = self._call(backend, backend.get_password, name)
        return text

    def put(self, backend: Backend, name: str, text: str) -> None:
        """Put `text` there for certain."""
        self._call(backend, backend.set_password, name, text)
        if self.get(backend, name) != text:
            raise StoreError(_KEEPS_NOTHING)

    def remove(self, backend: Backend, name: str) -> None:
        """Remove what is there; backends complain of what is not."""
        if self.get(backend, name) is not None:
            self._call(backend, backend.delete_password, name)

    def _call(self, backend: Backend, call: Callable[..., T], *args: str) -> T:
        is_frail = name_of(backend) in _SECRET_SERVICE and os.path.isdir(self.folder)  # noqa: PTH112  # as it is
        told: T = _asked(self._calls, _in_turn, self.folder if is_frail else None, call, self.service, *args)
        return told


def name_of(backend: Backend) -> str:
    """The module and class of a backend."""
    return _name(type(backend))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


@cache  # what the Secret Service says of its priority takes a connection
def _encrypts(kind: Any) -> bool:
    names = set(map(_name, kind.__mro__))
    return _PLAIN not in names and (not names.isdisjoint(_ENCRYPTED) or _asked(lambda: kind.priority >= 1))


def answering() -> list[Backend]:
    """The backends behind the keyring that keep what they are given, trusted or not.

    Those of a chain are asked one by one: a chain does not tell which of them a secret came from, or would go to.
    """
    chosen = _asked(keyring.get_keyring)
    backends = chosen.backends if isinstance(chosen, chainer.ChainerBackend) else [chosen]
    return [backend for backend in backends if not isinstance(backend, null.Keyring | fail.Keyring)]


def _asked(call: Callable[..., T], *args: Any) -> T:
    """`call(*args)`, which asks the keyring; what it raises may quote a secret, so only its kind is told."""
    outer = sys.exception()
    try:
        return call(*args)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # a backend passes on whatever its system raises
        problem = interrupt(error, outer) or StoreError(_told(error))
    raise problem


_lines: dict[int, Lock] = {}  # one of each process, as `_turns`


def _in_turn(folder: Path | None, call: Callable[..., T], *args: Any) -> T:
    """`call(*args)` when no other call of this process is under way, nor with a `folder` one of another that uses it.

    keyring makes a connection for every call. Where two come and go at once, GNOME's daemon crashes once in some
    thousands of them ("gkd_secret_service_get_pkcs11_session: assertion 'client' failed").
    """
    line = _lines.setdefault(os.getpid(), Lock())
    if not line.acquire(timeout=_PATIENCE):  # whoever asked has given up, or is about to
        raise silence(_PATIENCE)
    try:
        with nullcontext() if folder is None else _courteously(folder):
            return call(*args)
    finally:
        line.release()


@contextmanager
def _courteously(folder: Path) -> Generator[None]:
    """Behind the calls of other processes, unless that takes long or cannot be: only the daemon depends on it."""
    lock = FileLock(folder / "asking.lock")
    with suppress(Timeout, OSError, NotImplementedError):
        lock.acquire(_COURTESY, poll_interval=_POLL)
    try:
        yield
    finally:
        lock.release()


def _told(error: Exception) -> str:
    kind = type(error).__name__
    match error:
        case keyring.errors.NoKeyringError():
            return _MISSING
        case keyring.errors.KeyringLocked():
            return "the keyring is locked: unlock it and try again"
        case ImportError():
            return f"the keyring that is configured cannot be loaded ({kind}): use SQLiteTokenStore"
        case keyring.errors.InitError() | RuntimeError():  # keyring's two ways to say that a backend is not at hand
            return f"the keyring cannot be reached ({kind}): where there is no desktop session, use SQLiteTokenStore"
        case _:
            return f"the keyring refused: {kind}"


@frozen
class Note:
    """Where the key is: under `name`, in the backend of that class. `digest` tells it from any other."""

    name: str = field(converter=str)
    backend: str = field(converter=str)
    digest: str = field(converter=str)


@define(eq=False)
class KeyringKey:
    """The key to the tokens in `folder`, which is made when it is first needed, once for all processes.

    `in_use` says whether anything was encrypted already: then a key that is not there is lost, and not to be replaced.
    """

    keyring: Keyring
    folder: Path
    in_use: Callable[[], bool]

    def sealed(self, text: str) -> tuple[str, Recipe | None]:
        """`text` encrypted; there is no recipe for a key that is kept as it is."""
        return Key.of(self.key()).sealed(text)

    def opened(self, ciphertext: str, recipe: Recipe | None) -> str | None:
        """What was sealed, None if it was not with this key."""
        return Key.of(self.key()).opened(ciphertext, recipe)

    def key(self) -> str:
        """The key itself; raises whatever would keep a token from being written, or from being read again."""
        text = self._found()
        if text is None:
            # In turn, because some backends rewrite a whole file: a look meanwhile finds half of it.
            with turn(self.folder.parent):
                text = self._found()
                if text is None:
                    text = self._remade() if self.in_use() else self._made()
        return text

    def _found(self) -> str | None:
        """The key that the note tells of; None if there is no note, or no such key."""
        note = self.note()
        if note is None:
            return None
        texts = (self.keyring.get(backend, note.name) for backend in self.keyring.backends())
        return next((text for text in texts if text is not None and _digest(text) == note.digest), None)

    def _made(self) -> str:
        backend, text = self.keyring.writer(), Fernet.generate_key().decode()
        self.keyring.put(backend, self._name, text)
        self._write(Note(self._name, name_of(backend), _digest(text)))
        return text

    def _remade(self) -> str:
        """The key, if it is only its note that is missing."""
        note = self.note()
        if note is not None:
            raise self._lost(note)
        backend = self.keyring.writer()
        note, text = Note(self._name, name_of(backend), ""), self.keyring.get(backend, self._name)
        if text is None:
            raise self._lost(note)
        self._write(evolve(note, digest=_digest(text)))
        return text

    @property
    def _name(self) -> str:
        return f"key.{digest_of(str(self.folder))[:16]}"

    def note(self) -> Note | None:
        """The note; None if there is none, or one that is of no use."""
        try:
            return Note(**json.loads((self.folder / "key.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _write(self, note: Note) -> None:
        new = self.folder / "key.new"
        new.write_text(json.dumps(asdict(note)), encoding="utf-8")
        new.replace(self.folder / "key.json")

    def _lost(self, note: Note) -> StoreError:
        here = list(map(name_of, self.keyring.backends()))
        if note.backend in here:
            problem = (
                f"is not in the keyring any more, or was changed: restore it (service {self.keyring.service!r}, "
                f"name {note.name!r})"
            )
        else:
            answering = " and ".join(here) or "no keyring"
            problem = f"is in {note.backend}, and here {answering} answers: use one keyring in both places"
        return StoreError(
            f"the key to the tokens in {self.folder} {problem}; to give the tokens up, end the programs that use them, "
            "remove that directory, and sign in again"
        )


def _digest(text: str) -> str:
    return digest_of(text)[:16]


# Of each process its own: a forked child must not wait for a thread that only its parent has.
_turns: dict[tuple[int, str], RLock] = {}
_held: set[tuple[int, str]] = set()


@contextmanager
def turn(root: Path) -> Generator[None]:
    """The file lock of `root`. The threads of a process line up before it, so that patience is for others only."""
    here = os.getpid(), str(root)
    with _turns.setdefault(here, RLock()):
        if here in _held:  # by this thread
            yield
        else:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _taken(root)
            _held.add(here)
            try:
                yield
            finally:
                _held.discard(here)
                lock.release()


def _taken(root: Path) -> FileLock:
    lock = FileLock(root / "keyring.lock")
    try:
        lock.acquire(PATIENCE, poll_interval=_POLL)
    except Timeout:
        problem = f"another program has been busy with the keyring for {PATIENCE:g} s: does it ask for something?"
    else:
        return lock
    raise StoreError(problem)

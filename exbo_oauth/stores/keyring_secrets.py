"""The secrets that the keyring keeps for us, whichever backend does it, and how backends fail. Needs the extra.

Some backends limit the size of a secret, and none says to what. So a text is put in one piece first, and in small ones
where that is refused.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import keyring
import keyring.backend
import keyring.backends.chainer
import keyring.backends.null
import keyring.errors
from attrs import evolve, frozen

from ..errors import StoreError
from ..masking import Secret
from .keyring_notes import Pieces

__all__ = ["Keyring", "cut"]

T = TypeVar("T")

_PIECE = 1000  # Windows takes 2,560 bytes of UTF-16 a secret
_KEEPS_NOTHING = "the keyring keeps nothing (it may be disabled): use SQLiteTokenStore"


@frozen
class Keyring:
    """The keyring under one service name. Whatever a backend raises is a `StoreError` that quotes nothing of it."""

    service: str

    def get(self, name: str) -> Secret | None:
        return _asked(lambda: _masked(keyring.get_password(self.service, name)))

    def put(self, pieces: Pieces, text: Secret) -> Pieces:
        """Put `text` there, in one piece where the backend takes it, in `pieces` where not; as which, is returned."""
        names, texts = pieces.names(), [text]
        too_long = os.name == "nt" and len(text.reveal()) > _PIECE
        if too_long or not _asked(lambda: self._took(names[0], text)):
            texts = cut(text)
            for name, piece in zip(names, texts, strict=True):
                self._set(name, piece)
        if self.get(names[len(texts) - 1]) != texts[-1]:
            raise StoreError(_KEEPS_NOTHING)
        return evolve(pieces, count=len(texts))

    def _took(self, name: str, text: Secret) -> bool:
        """Put the whole `text`; False where less of it may be taken."""
        try:
            keyring.set_password(self.service, name, text.reveal())
        except (keyring.errors.NoKeyringError, keyring.errors.KeyringLocked, keyring.errors.InitError):
            raise
        except Exception:  # noqa: BLE001  # each backend has its own for what is too long
            return False
        return True

    def _set(self, name: str, text: Secret) -> None:
        _asked(lambda: keyring.set_password(self.service, name, text.reveal()))

    def remove(self, pieces: Pieces) -> bool:
        """Whether all of them are gone from the backend that was given them."""
        if pieces.backend not in self.backends():
            return False
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

    def check(self) -> None:
        """Raise what keeps a token from being written, before somebody asks for one."""
        self.get("probe")
        self.writer()

    def writer(self) -> str:
        """The backend that writes; raises `StoreError` if none does."""
        backends = self.backends()
        if not backends:
            raise StoreError(_KEEPS_NOTHING)
        return backends[0]

    def backends(self) -> list[str]:
        """The backends that answer here, by module and class; the first of them writes."""
        return _asked(lambda: [f"{type(each).__module__}.{type(each).__name__}" for each in _answering()])


def _answering() -> "list[keyring.backend.KeyringBackend]":
    """The backends behind the keyring that keep what they are given.

    A chain reads from all of its backends, and writes to the first that can: which one has an entry, it does not tell.
    So an entry is held to be elsewhere only if it was not found, and its backend is not among those that were asked.
    """
    chosen = keyring.get_keyring()
    backends = chosen.backends if isinstance(chosen, keyring.backends.chainer.ChainerBackend) else [chosen]
    return [backend for backend in backends if not isinstance(backend, keyring.backends.null.Keyring)]


def _asked(call: Callable[[], T]) -> T:
    """`call()`, which asks the keyring; what it raises may quote a secret, so only its kind is told."""
    try:
        return call()
    except keyring.errors.NoKeyringError:
        problem = "there is no keyring on this machine: use SQLiteTokenStore, or install a keyring backend"
    except keyring.errors.KeyringLocked:
        problem = "the keyring is locked: unlock it and try again"
    except (keyring.errors.InitError, RuntimeError) as error:  # keyring's two ways to say that a backend is not at hand
        kind = type(error).__name__
        problem = f"the keyring cannot be reached ({kind}): where there is no desktop session, use SQLiteTokenStore"
    except Exception as error:  # noqa: BLE001  # a backend passes on whatever its system raises
        problem = f"the keyring refused: {type(error).__name__}"
    raise StoreError(problem)


def _masked(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def cut(text: Secret) -> list[Secret]:
    """`text` in pieces that every backend takes."""
    return [Secret(text.reveal()[start : start + _PIECE]) for start in range(0, len(text.reveal()), _PIECE)]

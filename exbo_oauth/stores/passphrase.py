"""Keys for `EncryptedTokenStore`: ready-made ones, and those that scrypt makes from what a person remembers.

How a key was made (RFC 7914: salt and cost) is stored beside each ciphertext, so whoever can write into the store
can propose any recipe. What would cost too much work or memory is refused; what is cheaper than ours opens nothing
but what was sealed with it, and is never used to seal.
"""

# Without the extra the constructor says what is missing, and nothing below it runs.
# pyright: reportPossiblyUnboundVariable=false

import os
import threading
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Protocol, runtime_checkable

from attrs import define, field, frozen

from ..boundary import bounded_throughout
from ..errors import ConfigurationError, StoreError
from ..masking import Secret, reveal
from .guard import missing

try:
    from cryptography.fernet import Fernet, InvalidToken
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
except ImportError as _error:
    _missing: ConfigurationError | None = missing("EncryptedTokenStore", "crypto", _error)
else:
    _missing = None

__all__ = ["Key", "Passphrase", "Recipe", "require_cryptography"]

_MOST_MEMORY = 2**28  # bytes
_MOST_RECIPES = 64


def require_cryptography() -> None:
    """Raise `ConfigurationError` if the extra is not installed."""
    if _missing is not None:
        raise _missing.with_traceback(None)


@frozen
class Recipe:
    """How a key is made from a passphrase. The defaults take 64 MiB and a fraction of a second."""

    salt: str = field(factory=lambda: urlsafe_b64encode(os.urandom(16)).decode())
    n: int = 2**16
    r: int = 8
    p: int = 2

    @classmethod
    def of(cls, stored: Any) -> "Recipe":
        """The recipe in `stored`, what `to_dict` gave; raises `StoreError` for anything else and for too much work."""
        recipe = cls._read(stored)
        if recipe is None or not recipe.affordable:
            raise StoreError("the stored parameters of the passphrase are invalid, or ask for too much work: refused")
        return recipe

    @classmethod
    def _read(cls, stored: Any) -> "Recipe | None":
        try:
            recipe = cls(str(stored["salt"]), int(stored["n"]), int(stored["r"]), int(stored["p"]))
            return recipe if urlsafe_b64decode(recipe.salt) else None
        except (KeyError, TypeError, ValueError, OverflowError):
            return None

    @property
    def affordable(self) -> bool:
        """Whether it is one at all (`n` is a power of two), and stays within 256 MiB and some seconds."""
        sensible = self.n > 1 and not self.n & (self.n - 1) and 0 < self.r <= 32 and 0 < self.p <= 8
        return sensible and 128 * self.n * self.r <= _MOST_MEMORY

    @property
    def work(self) -> int:
        """The cost of one guess, in units of scrypt's own."""
        return self.n * self.r * self.p

    def to_dict(self) -> dict[str, Any]:
        return {"salt": self.salt, "n": self.n, "r": self.r, "p": self.p}

    def key_from(self, passphrase: str) -> "Fernet":
        """The key itself; the slow part."""
        kdf = Scrypt(salt=urlsafe_b64decode(self.salt), length=32, n=self.n, r=self.r, p=self.p)
        return Fernet(urlsafe_b64encode(kdf.derive(passphrase.encode())))


@runtime_checkable
class Sealing(Protocol):
    """What seals and opens: a key, whichever way it was made."""

    def sealed(self, text: str) -> tuple[str, Recipe | None]:
        """`text` encrypted, and the recipe that has to be stored with it."""
        ...

    def opened(self, ciphertext: str, recipe: Recipe | None) -> str | None:
        """What was sealed, None if it was not with this key."""
        ...


@define(eq=False, repr=False)
class Key:
    """A Fernet key as it is."""

    _fernet: "Fernet"

    @classmethod
    def of(cls, key: Any) -> "Key":
        """The key in 44 characters of URL-safe base64; raises `ConfigurationError` if this is not one."""
        try:
            return cls(Fernet(key))
        except (ValueError, TypeError):
            raise ConfigurationError("a key is what EncryptedTokenStore.new_key() gives, or a Passphrase") from None

    def sealed(self, text: str) -> tuple[str, Recipe | None]:
        return self._fernet.encrypt(text.encode()).decode(), None

    def opened(self, ciphertext: str, recipe: Recipe | None) -> str | None:
        return _decrypted(self._fernet, ciphertext) if recipe is None else None


def _normal(text: "str | Secret") -> Secret:
    """A passphrase in the one form that different keyboards' ways to compose a letter share (RFC 8265, section 4.2)."""
    text = reveal(text)
    if not isinstance(text, str) or len(text) < 12:
        raise ConfigurationError("a passphrase is a str of at least 12 characters")
    try:
        return Secret(unicodedata.normalize("NFC", text).encode().decode())
    except UnicodeEncodeError:
        problem = "a passphrase has to be text; this one holds half a character (a lone surrogate)"
        raise ConfigurationError(problem) from None


@bounded_throughout
@define(eq=False, repr=False)
class Passphrase:
    """A key that a person remembers, made slow to guess by scrypt. At least 12 characters.

    The first use in a process takes a fraction of a second and 64 MiB. May be shared by stores and threads.

    ::

        store = EncryptedTokenStore(MemoryTokenStore(), Passphrase("the crow flies over the Bar at noon"))
    """

    _text: Secret = field(converter=_normal)
    _made: dict[Recipe, Any] = field(factory=dict, init=False)
    _own: Recipe = field(factory=Recipe, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _pid: int = field(factory=os.getpid, init=False)

    def __attrs_post_init__(self) -> None:
        require_cryptography()

    def __repr__(self) -> str:
        return "Passphrase(***)"

    def sealed(self, text: str) -> tuple[str, Recipe | None]:
        """`text` encrypted, and the recipe that has to be stored with it."""
        own = self._own
        return self._fernet(own).encrypt(text.encode()).decode(), own

    def opened(self, ciphertext: str, recipe: Recipe | None) -> str | None:
        """What was sealed, None if it was not with this key."""
        if recipe is None:
            return None
        text = _decrypted(self._fernet(recipe), ciphertext)
        if text is not None and self._own not in self._made and recipe.work >= self._own.work:
            self._own = recipe  # one recipe for all that is written, where one is in use already
        return text

    def _fernet(self, recipe: Recipe) -> "Fernet":
        with self._lock_here():  # one at a time: each takes a lot of memory
            if recipe not in self._made:
                self._made[recipe] = recipe.key_from(self._text.reveal())
                if len(self._made) > _MOST_RECIPES:
                    del self._made[next(known for known in self._made if known not in (recipe, self._own))]
            made: Fernet = self._made[recipe]
            return made

    def _lock_here(self) -> threading.Lock:
        """The lock; after a fork another one, because nobody would ever let go of the parent's."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
        return self._lock


def _decrypted(fernet: "Fernet", ciphertext: str) -> str | None:
    try:
        return fernet.decrypt(ciphertext).decode()
    except (InvalidToken, UnicodeDecodeError):
        return None


Passphrase.__module__ = "exbo_oauth.stores"

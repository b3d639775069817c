"""Encryption at rest around any store. Needs the extra ``crypto``.

The whole token becomes one Fernet ciphertext (AES-128-CBC with HMAC-SHA256) in the place of the access token. What
a store needs stays readable: whose token it is, its revision, who issued it and when, and when it ends. The
ciphertext names the key that it was made for, so it cannot be moved to another account.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from os import urandom
from typing import Any

from attrs import define, evolve, field, frozen

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from ..models import AppToken, UserToken
from .base import Entry, StoreKey, TokenStore
from .naming import text_of

try:
    from cryptography.fernet import Fernet, InvalidToken
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
except ImportError:
    raise ConfigurationError("EncryptedTokenStore needs cryptography: pip install 'exbo-oauth[crypto]'") from None

__all__ = ["EncryptedTokenStore", "Passphrase"]

_TYPE = "exbo-oauth+fernet"
_MOST_WORK = 2**18


@frozen
class _Recipe:
    """How a key is made from a passphrase: scrypt (RFC 7914) and its parameters, stored beside each ciphertext."""

    salt: str = field(factory=lambda: urlsafe_b64encode(urandom(16)).decode())
    n: int = 2**15
    r: int = 8
    p: int = 1

    @classmethod
    def of(cls, token: AppToken | UserToken) -> "_Recipe | None":
        """The recipe that an encrypted token was made with, None if it was made with a key."""
        stored = token.extra.get("scrypt")
        if stored is None:
            return None
        recipe = cls(str(stored["salt"]), int(stored["n"]), int(stored["r"]), int(stored["p"]))
        if recipe.n > _MOST_WORK or recipe.r > 32 or recipe.p > 4:
            raise StoreError("the stored parameters of the passphrase would take minutes of work: refused")
        return recipe

    def to_dict(self) -> dict[str, Any]:
        return {"salt": self.salt, "n": self.n, "r": self.r, "p": self.p}


@define(eq=False, repr=False)
class Passphrase:
    """A key that a person remembers, made slow to guess by scrypt. At least 12 characters."""

    _text: Secret = field(converter=Secret)
    _made: dict[_Recipe, Fernet] = field(factory=dict, init=False)
    _own: _Recipe = field(factory=_Recipe, init=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self._text.reveal(), str) or len(self._text.reveal()) < 12:
            raise ConfigurationError("a passphrase needs at least 12 characters")

    def __repr__(self) -> str:
        return "Passphrase(***)"

    def _fernet(self, recipe: _Recipe) -> Fernet:
        if recipe not in self._made:
            kdf = Scrypt(salt=urlsafe_b64decode(recipe.salt), length=32, n=recipe.n, r=recipe.r, p=recipe.p)
            self._made[recipe] = Fernet(urlsafe_b64encode(kdf.derive(self._text.reveal().encode())))
            self._own = recipe  # one recipe for all that is written, where one is known already
        return self._made[recipe]

    def opener(self, recipe: _Recipe | None) -> Fernet | None:
        """What opens a token of this recipe."""
        return None if recipe is None else self._fernet(recipe)

    def sealer(self) -> tuple[Fernet, _Recipe | None]:
        """What new tokens are sealed with."""
        return self._fernet(self._own), self._own


@define(eq=False, repr=False)
class _Key:
    """A Fernet key as it is."""

    _fernet: Fernet

    def opener(self, recipe: _Recipe | None) -> Fernet | None:
        return self._fernet if recipe is None else None

    def sealer(self) -> tuple[Fernet, _Recipe | None]:
        return self._fernet, None


def _key(value: "str | bytes | Passphrase") -> "_Key | Passphrase":
    if isinstance(value, Passphrase):
        return value
    key = Secret(value)  # type: ignore[arg-type]  # bytes are kept as they are
    del value
    try:
        return _Key(Fernet(key.reveal()))
    except (ValueError, TypeError):
        pass
    raise ConfigurationError("a key is what EncryptedTokenStore.new_key() gives, or a Passphrase")


class EncryptedTokenStore:
    """Any store, with its tokens encrypted.

    `keys` is one key or several: the first encrypts, all of them open. To change the key, put the new one in front,
    call `rotate`, and drop the old one afterwards. A key is what `new_key` gives (keep it in a secret manager, not
    beside the store), or a `Passphrase`. Accounts, application ids and moments stay readable.

    A token that none of the keys opens is a `StoreError`, and stays where it is.
    """

    def __init__(
        self, inner: TokenStore, keys: "str | bytes | Passphrase | Sequence[str | bytes | Passphrase]"
    ) -> None:
        several = [keys] if isinstance(keys, str | bytes | Passphrase) else list(keys)
        if not several:
            raise ConfigurationError("EncryptedTokenStore needs a key: EncryptedTokenStore.new_key() makes one")
        self._keys = [_key(key) for key in several]
        self._inner = inner
        # Encrypting takes no time; making a key from a passphrase does.
        slow = any(isinstance(key, Passphrase) for key in self._keys)
        self.blocking: bool = slow or getattr(inner, "blocking", True)

    @staticmethod
    def new_key() -> str:
        """A fresh random key. A secret."""
        return Fernet.generate_key().decode()

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        entry = self._inner.load(key)
        return None if entry is None else self._opened(key, entry)

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return self._inner.swap(key, expected, None if entry is None else self._sealed(key, entry))

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return self._inner.acquire(key, owner, ttl)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._inner.release(key, owner)

    def keys(self) -> Iterable[StoreKey]:
        """The keys that have an entry."""
        return self._inner.keys()

    def close(self) -> None:
        """Close the inner store."""
        self._inner.close()

    def rotate(self) -> int:
        """Encrypt every token anew with the first key, also those that were not encrypted yet; how many were written.

        Programs may go on using the store meanwhile: what they write is encrypted with their own first key.
        """
        return sum(self._rotated(key) for key in list(self._inner.keys()))

    def _rotated(self, key: StoreKey) -> bool:
        while (stored := self._inner.load(key)) is not None:
            plain = self._opened(key, stored) if stored.token.token_type == _TYPE else stored
            sealed = self._sealed(key, evolve(plain, revision=stored.revision + 1))
            if self._inner.swap(key, stored.revision, sealed):
                return True
        return False

    def _sealed(self, key: StoreKey, entry: Entry) -> Entry:
        fernet, recipe = self._keys[0].sealer()
        text = Secret(json.dumps({"of": text_of(key), "token": entry.token.to_dict()}))
        shell: dict[str, Any] = {
            "token_type": _TYPE,
            "access_token": fernet.encrypt(text.reveal().encode()).decode(),
            "expires_in": entry.token.expires_in,
            "extra": {} if recipe is None else {"scrypt": recipe.to_dict()},
        }
        if isinstance(entry.token, UserToken):
            return evolve(entry, token=UserToken(refresh_token=_TYPE, **shell))
        return evolve(entry, token=AppToken(**shell))

    def _opened(self, key: StoreKey, entry: Entry) -> Entry:
        if entry.token.token_type != _TYPE:
            raise StoreError(f"the token of {key!r} is not encrypted: call rotate() once to encrypt what is there")
        text = self._decrypted(entry.token)
        if text is None:
            raise StoreError(f"none of the keys opens the token of {key!r}; it was left as it is")
        kind = UserToken if isinstance(entry.token, UserToken) else AppToken
        if json.loads(text.reveal())["of"] != text_of(key):
            raise StoreError(f"the token stored for {key!r} was encrypted for another account; it was left as it is")
        return evolve(entry, token=kind.from_dict(json.loads(text.reveal())["token"]))

    def _decrypted(self, token: AppToken | UserToken) -> Secret | None:
        recipe = _Recipe.of(token)
        for key in self._keys:
            fernet = key.opener(recipe)
            try:
                if fernet is not None:
                    return Secret(fernet.decrypt(token.access_token).decode())
            except InvalidToken:
                continue
        return None

    def __repr__(self) -> str:
        return f"EncryptedTokenStore({self._inner!r}, keys={len(self._keys)})"


for _public in (EncryptedTokenStore, Passphrase):
    _public.__module__ = "exbo_oauth.stores"

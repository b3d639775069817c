"""Encryption at rest around any store. Needs the extra ``crypto``.

The whole token becomes one Fernet ciphertext (AES-128-CBC with HMAC-SHA256) in the place of the access token. What
a store needs stays readable: whose token it is, its revision, who issued it and when, and when it ends. The
ciphertext names the key that it was made for, so it cannot be moved to another account.

Several keys work as in cryptography's `MultiFernet`: the first encrypts, all of them open. That class itself wants
its keys in advance, while a passphrase gives another one for each recipe that is stored beside a token.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from attrs import evolve

from ..boundary import bounded_throughout
from ..errors import ConfigurationError, StoreError
from ..misuse import narrowed
from ..models import AppToken, UserToken
from .base import Entry, StoreKey, TokenStore
from .entry_text import UnreadableEntry, as_json
from .guard import SEALED, Progress, each_key, guarded, guarded_keys, loaded
from .key_text import text_of_key
from .passphrase import Key, Passphrase, Recipe, Sealing, require_cryptography

__all__ = ["EncryptedTokenStore"]

_KINDS: dict[str, type[AppToken | UserToken]] = {"app": AppToken, "user": UserToken}
_SAMPLES = 10


@bounded_throughout
class EncryptedTokenStore:
    """Any store, with its tokens encrypted.

    `keys` is one key or several: the first encrypts, all of them open. To change the key, put the new one in front,
    call `rotate`, and drop the old one afterwards. A key is what `new_key` gives (keep it in a secret manager, not
    beside the store), or a `Passphrase`. Accounts, application ids and moments stay readable.

    A token that none of the keys opens is a `StoreError`, and stays where it is.

    ::

        old, new = EncryptedTokenStore.new_key(), EncryptedTokenStore.new_key()
        store = EncryptedTokenStore(SQLiteTokenStore("tokens.db"), [new, old])
        store.rotate()  # then the old key can go
    """

    def __init__(self, inner: TokenStore, keys: "str | bytes | Sealing | Sequence[str | bytes | Sealing]") -> None:
        require_cryptography()
        if not isinstance(inner, TokenStore):
            raise ConfigurationError(f"inner must be a token store, not {type(inner).__name__}")
        self._keys = _sealing(keys)
        self._inner = inner
        # Encrypting takes no time; making a key from a passphrase does.
        slow = any(isinstance(key, Passphrase) for key in self._keys)
        self.blocking: bool = slow or getattr(inner, "blocking", True)
        self._settled = not isinstance(self._keys[0], Passphrase)

    @staticmethod
    def new_key() -> str:
        """A fresh random key. A secret."""
        require_cryptography()
        from cryptography.fernet import Fernet

        return Fernet.generate_key().decode()

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        entry = loaded(self._inner, key)
        return None if entry is None else guarded(self._opened, key, entry)

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        sealed = None if entry is None else guarded(self._sealed, key, entry)
        return guarded(self._inner.swap, key, expected, sealed)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return guarded(self._inner.acquire, key, owner, ttl)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        guarded(self._inner.release, key, owner)

    def holder(self, key: StoreKey) -> str | None:
        """Who has the lease of `key` now, None if nobody has, or the inner store cannot tell."""
        asked: Callable[[StoreKey], str | None] | None = getattr(self._inner, "holder", None)
        return None if asked is None else guarded(asked, key)

    def risks(self) -> list[str]:
        """What the inner store knows to be able to lose tokens, and what to do about it."""
        asked: Callable[[], list[str]] = getattr(self._inner, "risks", list)
        return guarded(asked)

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry."""
        yield from guarded_keys(self._inner)

    def close(self) -> None:
        """Close the inner store."""
        guarded(self._inner.close)

    def rotate(self, *, progress: Progress | None = None) -> int:
        """Encrypt every token with the first key, also those that were not encrypted yet; how many were written.

        Those that are encrypted with it already stay as they are, so one that was interrupted can be called again.
        Programs may go on using the store meanwhile: what they write is encrypted with their own first key. Tokens
        that none of the keys opens stay as they are, and are told of in a `StoreError` when all others are done.
        `progress` is called after each token with its key and True, False for one that was left as it is, or the
        `StoreError`.
        """
        return each_key(self._inner, self._rotated, progress)

    def _rotated(self, key: StoreKey) -> bool:
        while (stored := loaded(self._inner, key)) is not None:
            sealed = guarded(_is_sealed, stored)
            plain = guarded(self._opened, key, stored) if sealed else stored
            if sealed and guarded(self._is_current, stored):
                return False
            # The same token, so the same revision: whoever is renewing it can still put its successor here.
            if guarded(self._inner.swap, key, stored.revision, guarded(self._sealed, key, plain)):
                return True
        return False

    def _is_current(self, entry: Entry) -> bool:
        """Whether the first key alone opens it, and a passphrase was not made cheaper to guess than ours are."""
        recipe = _recipe_of(entry)
        opened = self._keys[0].opened(entry.token.access_token, recipe)
        return opened is not None and (recipe is None or recipe.work >= Recipe().work)

    def _sealed(self, key: StoreKey, entry: Entry) -> Entry:
        self._settle()
        kind = "user" if isinstance(entry.token, UserToken) else "app"
        text = as_json({"of": text_of_key(key), "kind": kind, "token": entry.token.to_dict()})
        ciphertext, recipe = self._keys[0].sealed(text)
        shell: dict[str, Any] = {
            "token_type": SEALED,
            "access_token": ciphertext,
            "expires_in": entry.token.expires_in,
            "extra": {} if recipe is None else {"scrypt": recipe.to_dict()},
        }
        shell |= {"refresh_token": "encrypted"} if kind == "user" else {}
        return evolve(entry, token=_KINDS[kind](**shell))

    def _settle(self) -> None:
        """Before a passphrase seals for the first time, let it see what is there: one recipe is enough for a store."""
        if self._settled:
            return
        keys = self.keys()
        for _ in range(_SAMPLES):
            with suppress(StoreError):  # another account's damage is no reason not to write this one
                if (key := next(keys, None)) is not None:
                    self.load(key)
        self._settled = True

    def _opened(self, key: StoreKey, entry: Entry) -> Entry:
        if not _is_sealed(entry):
            problem = f"the token of {key!r} is not encrypted. Run: exbo-oauth rotate, or call rotate() once"
            raise narrowed(StoreError(problem), "key")
        text = self._decrypted(entry)
        if text is None:
            problem = f"none of the keys opens the token of {key!r}: give the store the right one (EXBO_STORE_KEY)"
            raise UnreadableEntry(problem, key, entry.revision, sealed=True)
        owner, token = _parsed(text)
        if token is None:
            raise UnreadableEntry(f"what is encrypted for {key!r} is not a token of ours", key, entry.revision)
        if owner != text_of_key(key):
            problem = f"the token stored for {key!r} was encrypted for another account"
            raise UnreadableEntry(problem, key, entry.revision)
        return evolve(entry, token=token)

    def _decrypted(self, entry: Entry) -> str | None:
        recipe = _recipe_of(entry)
        opened = (key.opened(entry.token.access_token, recipe) for key in self._keys)
        return next((text for text in opened if text is not None), None)

    def __repr__(self) -> str:
        return f"EncryptedTokenStore({self._inner!r}, keys={len(self._keys)})"


def _sealing(keys: Any) -> list[Sealing]:
    several = [keys] if isinstance(keys, str | bytes | Sealing) else keys
    if not isinstance(several, Iterable) or not (listed := list(several)):
        raise ConfigurationError("EncryptedTokenStore needs a key: EncryptedTokenStore.new_key() makes one")
    return [key if isinstance(key, Sealing) else Key.of(key) for key in listed]


def _is_sealed(entry: Entry) -> bool:
    return entry.token.token_type == SEALED


def _recipe_of(entry: Entry) -> Recipe | None:
    stored = entry.token.extra.get("scrypt")
    return None if stored is None else Recipe.of(stored)


def _parsed(text: str) -> tuple[str, AppToken | UserToken | None]:
    """Whose token was encrypted, and the token; None for what nobody but us could have encrypted, and did not."""
    try:
        data = json.loads(text)
        return str(data["of"]), _KINDS[data["kind"]].from_dict(data["token"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return "", None


EncryptedTokenStore.__module__ = "exbo_oauth.stores"

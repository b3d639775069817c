"""A store as settings name it: its URL, and the keys with which its tokens are encrypted."""

import re

from attrs import field, frozen

from ..errors import ConfigurationError
from ..masking import Secret
from .base import TokenStore
from .urls import store_from_url

__all__ = ["StoreAddress"]

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_PASSPHRASE = "passphrase:"  # noqa: S105  # what stands before one


@frozen
class StoreAddress:
    """Where tokens are kept. With `keys` they are encrypted.

    `keys` is one key a line, as ``EXBO_STORE_KEY`` or a file has them: what `EncryptedTokenStore.new_key` gives, or
    ``passphrase:`` and a passphrase. The first encrypts, all of them open.
    """

    url: Secret
    keys: Secret = field(default=Secret(""))

    def opened(self) -> TokenStore:
        """The store; the caller closes it. Raises `ConfigurationError` for what could not work."""
        store = store_from_url(self.url.reveal())
        keys = [Secret(line) for line in self.keys.reveal().splitlines() if line.strip()]
        return _encrypted(store, keys) if keys else store


def _encrypted(store: TokenStore, lines: list[Secret]) -> TokenStore:
    from .encrypted import EncryptedTokenStore
    from .passphrase import Passphrase

    keys: list[str | Passphrase] = []
    for line in lines:
        text = line.reveal().strip()
        if text.startswith(_PASSPHRASE):
            keys.append(Passphrase(text.removeprefix(_PASSPHRASE)))
        elif _KEY.fullmatch(text):
            keys.append(text)
        else:
            raise ConfigurationError(
                "a key of the store is one line of 44 characters, as EncryptedTokenStore.new_key() gives them, or "
                "passphrase: and at least 12 characters"
            )
    return EncryptedTokenStore(store, keys)

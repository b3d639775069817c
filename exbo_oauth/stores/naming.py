"""How a `StoreKey` is named in backends that know only flat strings: a digest, and JSON that gives it back."""

import json
from hashlib import sha256

from .base import StoreKey

__all__ = ["digest_of", "key_from", "text_of"]


def text_of(key: StoreKey) -> str:
    """The key as text; different keys never give the same one."""
    return json.dumps([key.base_url, key.client_id, key.account])


def key_from(text: str | bytes) -> StoreKey:
    """The key that `text_of` wrote; a ValueError if this is none."""
    base_url, client_id, account = json.loads(text)
    return StoreKey(str(base_url), str(client_id), None if account is None else str(account))


def digest_of(key: StoreKey) -> str:
    """64 hexadecimal digits: fit for a file name, a primary key, a cluster's hash tag."""
    return sha256(text_of(key).encode(errors="surrogatepass")).hexdigest()

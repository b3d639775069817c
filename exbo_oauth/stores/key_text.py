"""How a key is named where names are flat strings: as text, and as a digest where names are short."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256

from ..errors import ConfigurationError, StoreError
from .base import StoreKey

__all__ = ["digest_of", "key_in", "keys_in", "text_of_key"]


def text_of_key(key: StoreKey) -> str:
    """The key as text in ASCII; different keys never give the same one."""
    return json.dumps([key.base_url, key.client_id, key.account])


def key_in(text: str) -> StoreKey:
    """The key that `text_of_key` wrote; raises `StoreError` if this is none."""
    try:
        base_url, client_id, account = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        pass
    else:
        with suppress(ConfigurationError):
            return StoreKey(base_url, client_id, account)
    raise StoreError("the store holds an entry whose key is damaged; it was left as it is")


def keys_in(texts: Iterable[str]) -> Iterator[StoreKey]:
    """The keys that `text_of_key` wrote; one that it did not write is a `StoreError` when all others were given."""
    damaged: StoreError | None = None
    for text in texts:
        try:
            key = key_in(text)
        except StoreError as error:
            damaged = error
        else:
            yield key
    if damaged is not None:
        raise damaged


def digest_of(text: str) -> str:
    """64 hexadecimal digits: fit for a file name, a primary key, a cluster's hash tag, under any collation."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()

"""An entry as one JSON text and back, for backends that keep text; and how a key is named where keys are flat strings.

Both directions keep secrets wrapped and raise nothing but `StoreError`, which never quotes what was stored.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

from ..errors import StoreError
from ..masking import Secret
from .base import Entry, StoreKey

__all__ = ["as_json", "digest_of", "entry_in", "key_in", "text_of", "text_of_key"]

T = TypeVar("T")

_MISFITS = (ValueError, TypeError, OverflowError, RecursionError)


def text_of(entry: Entry) -> Secret:
    """The entry as JSON in ASCII; raises `StoreError` if JSON cannot carry it."""
    return as_json(entry.to_dict)


def as_json(make: Callable[[], Any]) -> Secret:
    """What `make` gives as JSON in ASCII; raises `StoreError` if JSON cannot carry it."""
    text = _unless_unfit(lambda: Secret(json.dumps(make())))
    if text is None:
        raise StoreError("this entry cannot be stored: the token's `extra` holds what JSON cannot carry")
    return text


def entry_in(stored: Secret, revision: int, key: StoreKey, where: str) -> Entry:
    """The entry that `text_of` wrote, which must be the one of `revision`; raises `StoreError` for anything else."""
    entry = _unless_unfit(lambda: Entry.from_dict(json.loads(stored.reveal())))
    if entry is None or entry.revision != revision:
        raise StoreError(f"the entry of {key!r} in {where} is damaged; it was left as it is")
    return entry


def text_of_key(key: StoreKey) -> str:
    """The key as text in ASCII; different keys never give the same one."""
    return json.dumps([key.base_url, key.client_id, key.account])


def key_in(text: str) -> StoreKey:
    """The key that `text_of_key` wrote; raises `StoreError` if this is none."""
    key = _unless_unfit(lambda: _key(*json.loads(text)))
    if key is None:
        raise StoreError("the store holds an entry whose key is damaged; it was left as it is")
    return key


def digest_of(text: str) -> str:
    """64 hexadecimal digits: fit for a file name, a primary key, a cluster's hash tag, under any collation."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _key(base_url: object, client_id: object, account: object) -> StoreKey:
    return StoreKey(str(base_url), str(client_id), None if account is None else str(account))


def _unless_unfit(work: Callable[[], T]) -> T | None:
    try:
        return work()
    except _MISFITS:
        return None

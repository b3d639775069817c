"""Stores by URL, and from one store into another."""

from collections.abc import Callable
from urllib.parse import unquote

from ..errors import ConfigurationError
from ..masking import Secret
from .base import Entry, StoreKey, TokenStore

__all__ = ["copy", "store_from_url"]


def store_from_url(url: str) -> TokenStore:
    """The store that a URL names; the caller closes it.

    ``memory:``, ``keyring:`` or ``keyring:SERVICE``, ``sqlite:///tokens.db`` (``sqlite:////var/lib/tokens.db`` for an
    absolute path), ``redis://``, ``rediss://``, ``unix://`` and their ``valkey`` spellings, and any URL of SQLAlchemy
    such as ``postgresql+psycopg://``. Raises `ConfigurationError` for anything else, naming no password.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the URL of a token store is a str, not {type(url).__name__}")
    address = Secret(url)
    scheme, colon, _ = address.reveal().partition(":")
    if not colon:
        raise ConfigurationError(
            "this is no URL of a token store: write sqlite:///tokens.db, redis://HOST/0 or memory:"
        )
    return _MAKERS.get(scheme.lower(), _sqlalchemy)(address)


def _memory(_: Secret) -> TokenStore:
    from .memory import MemoryTokenStore

    return MemoryTokenStore()


def _sqlite(address: Secret) -> TokenStore:
    from .sqlite import SQLiteTokenStore

    _, _, rest = address.reveal().partition(":")
    if not rest.startswith("///") or len(rest) < 4:
        raise ConfigurationError("a SQLite URL has three slashes and a path: sqlite:///tokens.db")
    return SQLiteTokenStore(unquote(rest[3:]))


def _redis(address: Secret) -> TokenStore:
    from .redis import RedisTokenStore

    return RedisTokenStore(address.reveal())


def _keyring(address: Secret) -> TokenStore:
    from .keyring import KeyringTokenStore

    return KeyringTokenStore(address.reveal().partition(":")[2].strip("/") or "exbo-oauth")


def _sqlalchemy(address: Secret) -> TokenStore:
    from .sqlalchemy import SQLAlchemyTokenStore

    return SQLAlchemyTokenStore(address.reveal())


_MAKERS: dict[str, Callable[[Secret], TokenStore]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "keyring": _keyring,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "valkey": _redis,
    "valkeys": _redis,
}


def copy(source: TokenStore, target: TokenStore) -> int:
    """Copy every entry of `source` that is newer than what `target` holds; how many were written.

    May run while both are used, and again: nothing newer is overwritten. Raises `StoreError`.
    """
    return sum(_copied(target, key, entry) for key in source.keys() if (entry := source.load(key)) is not None)  # noqa: SIM118


def _copied(target: TokenStore, key: StoreKey, entry: Entry) -> bool:
    while True:
        there = target.load(key)
        if there is not None and there.revision >= entry.revision:
            return False
        if target.swap(key, None if there is None else there.revision, entry):
            return True

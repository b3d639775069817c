"""Where tokens live. `TokenStore` is what a store is; each of the others is loaded when it is first asked for.

`MemoryTokenStore` is the default, `SQLiteTokenStore` the embedded one. Redis, SQLAlchemy, the keyring and
encryption need an extra of their name (encryption: ``crypto``).
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .base import Entry, Issue, StoreKey, TokenStore

if TYPE_CHECKING:
    from .copies import copy as copy
    from .encrypted import EncryptedTokenStore as EncryptedTokenStore
    from .keyring import KeyringTokenStore as KeyringTokenStore
    from .memory import MemoryTokenStore as MemoryTokenStore
    from .passphrase import Passphrase as Passphrase
    from .redis import RedisTokenStore as RedisTokenStore
    from .sqlalchemy import SQLAlchemyTokenStore as SQLAlchemyTokenStore
    from .sqlite import SQLiteTokenStore as SQLiteTokenStore
    from .urls import store_from_url as store_from_url

_HOME_OF = {
    "EncryptedTokenStore": "encrypted",
    "KeyringTokenStore": "keyring",
    "MemoryTokenStore": "memory",
    "Passphrase": "passphrase",
    "RedisTokenStore": "redis",
    "SQLAlchemyTokenStore": "sqlalchemy",
    "SQLiteTokenStore": "sqlite",
    "copy": "copies",
    "store_from_url": "urls",
}

__all__ = [
    "EncryptedTokenStore",
    "Entry",
    "Issue",
    "KeyringTokenStore",
    "MemoryTokenStore",
    "Passphrase",
    "RedisTokenStore",
    "SQLAlchemyTokenStore",
    "SQLiteTokenStore",
    "StoreKey",
    "TokenStore",
    "copy",
    "store_from_url",
]

if not TYPE_CHECKING:  # pragma: no branch  # with a __getattr__, every name would be one to type checkers
    __getattr__, __dir__ = lazily(globals(), _HOME_OF)

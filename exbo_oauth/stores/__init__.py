"""Where tokens live. `TokenStore` is what a store is; each of the others is loaded when it is first asked for.

`MemoryTokenStore` is the default, `SQLiteTokenStore` the embedded one. Redis, SQLAlchemy, the keyring and
encryption need an extra of their name (encryption: ``crypto``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

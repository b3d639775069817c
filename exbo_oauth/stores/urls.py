"""Stores by URL."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote, unquote_to_bytes

from ..boundary import bounded
from ..errors import ConfigurationError
from .base import TokenStore

__all__ = ["store_from_url"]

_DATABASES = ("postgresql", "mysql", "mariadb", "oracle", "mssql", "sqlite")  # SQLAlchemy's own
_GROUP = {"group=1": True, "group=0": False}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_KEYRING = re.compile(r"/*([^?]*?)/*(?:\?allow=(\w+(?:\.\w+)+))?")


@bounded
def store_from_url(url: str) -> TokenStore:
    """The store that a URL names; the caller closes it.

    ``memory:``, ``keyring:``, ``keyring:SERVICE`` or ``keyring:SERVICE?allow=BACKEND``, ``sqlite:///tokens.db``
    (``sqlite:////var/lib/tokens.db`` or ``sqlite:///C:/tokens.db`` for an absolute path; with ``?group=1`` behind it, a
    group may share it), ``redis://``, ``rediss://``, ``unix://`` and their ``valkey`` spellings, and any URL of
    SQLAlchemy such as ``postgresql+psycopg://``. What stands for something else in a URL is written with a percent
    sign: ``%3F`` for a question mark. Raises `ConfigurationError` for anything else, naming no password.

    ::

        store = store_from_url("sqlite:///tokens.db")
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the URL of a token store is a str, not {type(url).__name__}")
    address = url.strip()
    scheme = _SCHEME.match(address)
    if scheme is None:
        raise ConfigurationError(
            "this is not the URL of a token store: write sqlite:///tokens.db, redis://HOST/0 or memory:"
        )
    return _MAKERS.get(scheme[1].lower(), _sqlalchemy)(address)


def _memory(address: str) -> TokenStore:
    from .memory import MemoryTokenStore

    if _rest(address).strip("/"):
        raise ConfigurationError("a store in memory has no name: write memory:")
    return MemoryTokenStore()


def _sqlite(address: str) -> TokenStore:
    from .sqlite import SQLiteTokenStore

    path, question, options = _rest(address).partition("?")
    if not path.startswith("///") or len(path) < 4:
        raise ConfigurationError("a SQLite URL has three slashes and a path: sqlite:///tokens.db")
    if question and options not in _GROUP:
        raise ConfigurationError(
            "a SQLite URL of a token store has no options but ?group=1; write %3F for a ? in its path"
        )
    return SQLiteTokenStore(_path_in(path[3:]), group=_GROUP.get(options, False))


def _path_in(text: str) -> str:
    """The path that a URL spells. The system has it in bytes, not always of UTF-8."""
    try:
        return os.fsdecode(unquote_to_bytes(os.fsencode(text)))
    except UnicodeError:  # no such path can be opened here, as the store will say
        return unquote(text)


def _redis(address: str) -> TokenStore:
    from .redis import RedisTokenStore

    return RedisTokenStore(address)


def _keyring(address: str) -> TokenStore:
    from .keyring import KeyringTokenStore

    found = _KEYRING.fullmatch(_rest(address))
    if found is None:
        raise ConfigurationError(
            "a keyring URL has one option, ?allow=BACKEND with the full name of a backend of keyring; write %3F for a "
            "? in the service"
        )
    return KeyringTokenStore(unquote(found[1]) or "exbo-oauth", allow=found[2])


def _sqlalchemy(address: str) -> TokenStore:
    from .sqlalchemy import SQLAlchemyTokenStore

    scheme = address.partition(":")[0].lower()
    if scheme.partition("+")[0] not in _DATABASES and not _is_of_sqlalchemy(scheme):
        known = ", ".join(f"{name}:" for name in _MAKERS)
        raise ConfigurationError(
            f"there is no token store for {scheme}: URLs begin with {known} or, for a database, as in "
            "postgresql+psycopg://HOST/DATABASE"
        )
    return SQLAlchemyTokenStore(address)


def _is_of_sqlalchemy(scheme: str) -> bool:
    """Whether somebody has taught SQLAlchemy this kind of database."""
    try:
        from sqlalchemy.dialects import registry
        from sqlalchemy.exc import NoSuchModuleError
    except ImportError:
        return False
    try:
        with suppress(ImportError):  # of its driver, as the store will say
            registry.load(scheme.replace("+", "."))
    except NoSuchModuleError:
        return False
    return True


def _rest(address: str) -> str:
    """What follows the scheme and its colon."""
    return address.partition(":")[2]


_MAKERS: dict[str, Callable[[str], TokenStore]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "keyring": _keyring,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "valkey": _redis,
    "valkeys": _redis,
}

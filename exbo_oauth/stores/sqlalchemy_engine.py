"""Engines that a token store can stand on, one of its own or the caller's, and what their errors mean.

An engine never is a local where an error of ours passes: its repr shows the password that some URLs have in their
query. No text of one that went through `apart` shows a statement's parameters.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from ..errors import ConfigurationError
from ..masking import Secret

__all__ = ["apart", "connected", "fault_of", "is_undone", "said"]

# libpq would wait for TCP to give up: a quarter of an hour to be heard, two hours for an answer.
_LIBPQ = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
# Serialization failure and deadlock, as an SQLSTATE and as MySQL's number.
_UNDONE = ("40001", "40P01", 1213)
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=://)")


def connected(url: Secret) -> sa.Engine:
    """An engine of our own for a URL; raises `ConfigurationError`, which shows no password."""
    try:
        return _made(sa.make_url(url.reveal()))
    except ImportError as error:
        problem = f"its driver is not installed ({error})"
    except Exception as error:  # noqa: BLE001  # a port that is no number is a ValueError, a wrong option a TypeError
        problem = type(error).__name__
    scheme = _SCHEME.match(url.reveal())
    named = f"a {scheme[0]}:// URL of a database" if scheme else "what should be the URL of a database"
    raise ConfigurationError(f"{named} cannot be used: {problem}; write one as in postgresql+psycopg://HOST/DATABASE")


def _made(url: sa.URL) -> sa.Engine:
    driver = url.get_driver_name()
    libpq = _LIBPQ if driver in ("psycopg", "psycopg2") else {}
    patience = {name: value for name, value in libpq.items() if name not in url.query}
    # Behind a pooler such as PgBouncer, a prepared statement may be run by the name that another client gave its own.
    unprepared = {"prepare_threshold": None} if driver == "psycopg" else {}
    # Otherwise the store switches each connection to AUTOCOMMIT and back, which costs MySQL round trips.
    return sa.create_engine(
        url.update_query_dict(patience), pool_pre_ping=True, isolation_level="AUTOCOMMIT", connect_args=unprepared
    )


def fault_of(engine: Any) -> str | None:
    """Why a store cannot stand on this engine; None if it can."""
    if not isinstance(engine, sa.Engine):
        return f"SQLAlchemyTokenStore takes a URL or an Engine, not {type(engine).__name__}"
    if engine.dialect.is_async:
        return "a token store needs a blocking driver, as in postgresql+psycopg://"
    if not engine.dialect.supports_sane_rowcount:
        return "a token store needs a database that says how many rows an UPDATE changed"
    if isinstance(engine.pool, SingletonThreadPool):
        return "this database is in memory, another one for each thread: use MemoryTokenStore"
    if isinstance(engine.pool, StaticPool):
        return "all threads share the one connection of this engine: make one without StaticPool"
    return None


def apart(engine: sa.Engine) -> sa.Engine:
    """A second engine on the same pool, which hides parameters; the first one stays as it is."""
    second = engine.execution_options()
    second.hide_parameters = True
    return second


def is_undone(error: StatementError) -> bool:
    """Whether the server has undone the statement because somebody was faster, so that it is worth repeating."""
    details = _details(error)
    numbered = details.get("C") if isinstance(details, dict) else details
    states = (getattr(error.orig, name, None) for name in ("sqlstate", "pgcode", "errno"))
    return isinstance(error, IntegrityError) or any(code in _UNDONE for code in (numbered, *states))


def said(error: StatementError) -> str:
    """What the driver said, without the statement's parameters and without the row that a database may quote below."""
    details = _details(error)
    text = details.get("M", "") if isinstance(details, dict) else f"{error.orig}"
    first, *_ = text.splitlines() or [""]
    return f"{type(error.orig).__name__}: {first}"


def _details(error: StatementError) -> Any:
    """What a driver's exception begins with: a text, an SQLSTATE, a number, or all of it in a dictionary (pg8000)."""
    return next(iter(getattr(error.orig, "args", ())), None)

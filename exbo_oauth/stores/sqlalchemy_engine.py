"""Engines that a token store can stand on, one of its own or the caller's, and what their errors mean.

No text of an engine that went through `apart` shows a statement's parameters.
"""

import re
from contextlib import closing
from functools import partial
from typing import Any

import sqlalchemy as sa
from attrs import define, field
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from ..errors import ConfigurationError
from .hangup import awaited
from .patience import PATIENCE, Impatient

__all__ = ["apart", "connected", "ends_in_time", "fault_of", "is_gone", "is_lost", "is_undone", "said"]

# libpq would wait for TCP to give up: a quarter of an hour to be heard, two hours for an answer.
_LIBPQ = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
_MYSQL = {"connect_timeout": "3", "read_timeout": f"{PATIENCE:g}", "write_timeout": f"{PATIENCE:g}"}
# Drivers whose calls end in time: with time-outs of their own, or on connections that can be shut (see `hangup`).
_LIMITS: dict[str, dict[str, str]] = {
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": _MYSQL,
    "mysqldb": _MYSQL,
    "pysqlite": {},
}
# The server gives up a little earlier than we do: what it still waited for would be done after we have left.
_SERVERS_PATIENCE = PATIENCE - 1
# Serialization failure, deadlock and locks that were not had in time, as an SQLSTATE; then as MySQL's number, which
# has one more for a row that somebody else changed in between.
_UNDONE = ("40001", "40P01", "55P03", 1213, 1205, 1020)
_GONE = ("42P01", 1146)  # tables that are not there, in the same two ways
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=://)")


def connected(url: str | sa.URL) -> sa.Engine:
    """An engine of our own for a URL; raises `ConfigurationError`, which shows no password."""
    try:
        return _made(sa.make_url(url))
    except ImportError as error:
        problem = f"its driver is not installed ({error})"
    except Exception as error:  # noqa: BLE001  # a port that is not a number is a ValueError, a wrong option a TypeError
        problem = type(error).__name__
    scheme = _SCHEME.match(str(url))
    named = f"a {scheme[0]}:// URL of a database" if scheme else "what should be the URL of a database"
    raise ConfigurationError(f"{named} cannot be used: {problem}; write one as in postgresql+psycopg://HOST/DATABASE")


def _made(url: sa.URL) -> sa.Engine:
    driver = url.get_driver_name()
    limits = {name: value for name, value in _LIMITS.get(driver, {}).items() if name not in url.query}
    # Behind a pooler such as PgBouncer, a prepared statement may be run by the name that another client gave its own.
    unprepared = {"prepare_threshold": None} if driver == "psycopg" else {}
    on_a_server = url.get_backend_name() != "sqlite"
    engine = sa.create_engine(
        url.update_query_dict(limits),
        # Otherwise the store switches each connection to AUTOCOMMIT and back, which costs MySQL round trips.
        isolation_level="AUTOCOMMIT",
        connect_args=unprepared,
        **({"pool_timeout": _SERVERS_PATIENCE} if on_a_server else {}),
    )
    if on_a_server:
        event.listen(engine, "do_connect", Connecting())
    return engine


@define(eq=False)
class Connecting:
    """Connects in time, whatever the driver, and has the server limit what it does for us."""

    _limited: Impatient = field(factory=lambda: Impatient(late=lambda connection: connection.close()))
    _takes_options: bool = True

    def __call__(self, dialect: Any, record: Any, args: list[Any], options: dict[str, Any]) -> Any:
        """What SQLAlchemy asks for: the driver's new connection."""
        connection = self._connected(dialect, args, options)
        awaited(connection)
        if dialect.name in ("mysql", "mariadb"):
            with closing(connection.cursor()) as cursor:
                seconds = int(_SERVERS_PATIENCE)
                cursor.execute(f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")
        return connection

    def _connected(self, dialect: Any, args: list[Any], options: dict[str, Any]) -> Any:
        """A connection whose statements the server itself ends. Some poolers do not let a client ask for that."""
        plainly = partial(dialect.connect, *args, **options)
        if dialect.name != "postgresql" or "options" in options or not self._takes_options:
            return self._limited(plainly)
        try:
            return self._limited(partial(plainly, options=f"-c statement_timeout={_SERVERS_PATIENCE * 1000:.0f}"))
        except dialect.loaded_dbapi.OperationalError as error:
            if "option" not in str(error) and "startup parameter" not in str(error):
                raise
        self._takes_options = False
        return self._limited(plainly)


def ends_in_time(engine: sa.Engine) -> bool:
    """Whether each call into an engine of our own comes back within our patience."""
    return engine.driver in _LIMITS


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


def is_undone(error: Any) -> bool:
    """Whether the server has undone the statement of a `StatementError` as somebody was faster: worth repeating."""
    return isinstance(error, IntegrityError) or any(code in _UNDONE for code in _codes(error))


def is_gone(error: Any) -> bool:
    """Whether the statement wanted a table that is not there."""
    return any(code in _GONE for code in _codes(error)) or "no such table" in said(error)  # SQLite has no code for it


def is_lost(error: Any) -> bool:
    """Whether the connection ended, so that nobody knows whether the statement was carried out."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def said(error: Any) -> str:
    """What the driver said, without the statement's parameters and without the row that a database may quote below."""
    details = _details(error)
    text = details.get("M", "") if isinstance(details, dict) else f"{error.orig}"
    first, *_ = text.splitlines() or [""]
    return f"{type(error.orig).__name__}: {first}"


def _codes(error: Any) -> list[Any]:
    details = _details(error)
    numbered = details.get("C") if isinstance(details, dict) else details
    return [numbered, *(getattr(error.orig, name, None) for name in ("sqlstate", "pgcode", "errno"))]


def _details(error: Any) -> Any:
    """What a driver's exception begins with: a text, an SQLSTATE, a number, or all of it in a dictionary (pg8000)."""
    return next(iter(getattr(error.orig, "args", ())), None)

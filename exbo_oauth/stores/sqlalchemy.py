"""Tokens in a database that SQLAlchemy speaks to, PostgreSQL first. Needs the extra ``sqlalchemy``.

Two tables, standard SQL, each statement a transaction of its own on the caller's engine, so that no isolation level
and no lost connection leaves anything half-done. Compare-and-swap is one ``UPDATE … WHERE revision = …``; a lease is
a row, and runs on the database's clock where its dialect has one with fractions of a second (PostgreSQL, MySQL,
MariaDB, SQLite), on this host's elsewhere. For those who use migrations, `ddl` gives the statements.
"""

# Without the extra the constructor says what is missing, and nothing below it runs.
# pyright: reportPossiblyUnboundVariable=false

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .guard import guarded, missing
from .naming import digest_of, key_in, text_of_key
from .serial import entry_in, text_of

try:
    import sqlalchemy as sa
    from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError
    from sqlalchemy.pool import QueuePool, SingletonThreadPool
    from sqlalchemy.schema import CreateTable
except ImportError as error:
    _missing: ConfigurationError | None = missing("SQLAlchemyTokenStore", "sqlalchemy", error)
else:
    _missing = None

__all__ = ["SQLAlchemyTokenStore"]

T = TypeVar("T")

_CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": "unix_timestamp(sysdate(6))",
    "mariadb": "unix_timestamp(sysdate(6))",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}
# Elsewhere, two writers of one row would end in a serialization failure and not in one winner.
_READ_COMMITTED = frozenset({"postgresql", "mysql", "mariadb", "mssql", "oracle"})
# libpq would wait for a dead server for as long as TCP does: up to a quarter of an hour.
_LIBPQ = {"connect_timeout": "5", "tcp_user_timeout": "10000"}
_TRIES = 5
_PAGE = 500
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=://)")
_PREFIX = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)


def _tables(schema: str | None, prefix: str) -> tuple[sa.Table, sa.Table]:
    metadata = sa.MetaData(schema=schema)
    # MySQL's TEXT ends at 64 KiB, silently in its lax modes.
    text = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")
    tokens = sa.Table(
        f"{prefix}_tokens",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("entry", text, nullable=False),
    )
    leases = sa.Table(
        f"{prefix}_leases",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    return tokens, leases


def _connected(url: Secret) -> sa.Engine:
    """An engine of our own for a URL."""
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
    libpq = url.get_backend_name() == "postgresql" and url.get_driver_name() in ("psycopg", "psycopg2")
    patience = {name: value for name, value in _LIBPQ.items() if libpq and name not in url.query}
    return sa.create_engine(url.update_query_dict(patience), pool_pre_ping=True, hide_parameters=True)


def _checked(engine: Any) -> sa.Engine:
    """The engine, if it is one that a store can stand on."""
    if not isinstance(engine, sa.Engine):
        raise ConfigurationError(f"SQLAlchemyTokenStore takes a URL or an Engine, not {type(engine).__name__}")
    if engine.dialect.is_async:
        raise ConfigurationError("a token store needs a blocking driver, as in postgresql+psycopg://")
    if not engine.dialect.supports_sane_rowcount:
        raise ConfigurationError("a token store needs a database that says how many rows an UPDATE changed")
    if isinstance(engine.pool, SingletonThreadPool):
        raise ConfigurationError("this database is in memory, another one for each thread: use MemoryTokenStore")
    return engine


class SQLAlchemyTokenStore:
    """A store in a database, for all who reach it.

    Takes a URL, or your own `sqlalchemy.Engine`, which stays yours to dispose of; make it with
    ``hide_parameters=True`` if it logs statements. The tables ``<prefix>_tokens`` and ``<prefix>_leases`` in
    `schema` are made when first needed, unless `create` is False.

    Raises `ConfigurationError` for what is no usable URL and no engine, `StoreError` when the database fails.
    """

    blocking: ClassVar[bool] = True

    def __init__(
        self, url_or_engine: Any, *, schema: str | None = None, prefix: str = "exbo_oauth", create: bool = True
    ) -> None:
        if isinstance(url_or_engine, str):
            url_or_engine = Secret(url_or_engine)
        if _missing is not None:
            raise _missing.with_traceback(None)
        if isinstance(url_or_engine, sa.URL):
            url_or_engine = Secret(url_or_engine.render_as_string(hide_password=False))
        if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
            raise ConfigurationError("prefix must begin a table's name: up to 40 letters, digits and underscores")
        if schema is not None and not isinstance(schema, str):
            raise ConfigurationError("schema must be the name of a schema, None for the database's default")
        self._owned = isinstance(url_or_engine, Secret)
        self._engine = _checked(_connected(url_or_engine) if self._owned else url_or_engine)
        standard = self._engine.dialect.name in _READ_COMMITTED
        self._level: dict[str, Any] = {"isolation_level": "READ COMMITTED"} if standard else {}
        self.prefix = prefix
        self._tokens, self._leases = _tables(schema, prefix)
        self._to_create = create
        self._pid = os.getpid()

    @property
    def ddl(self) -> str:
        """The statements that make the tables, in this database's dialect."""
        tables = (self._tokens, self._leases)
        statements = guarded(lambda: [str(CreateTable(table).compile(self._engine)).strip() for table in tables])
        return "".join(f"{statement};\n" for statement in statements)

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        stored = guarded(self._read, key)
        return None if stored is None else entry_in(stored[1], stored[0], key, "the database")

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return guarded(self._written, key, expected, entry)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return guarded(self._leased, _id(key), digest_of(owner), ttl)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        lease = self._leases.c
        mine = sa.and_(lease.id == _id(key), lease.owner == digest_of(owner))
        guarded(self._changes, sa.delete(self._leases).where(mine))

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry, read in portions: what is written meanwhile may or may not be among them."""
        tokens, last = self._tokens.c, ""
        page = sa.select(tokens.id, tokens.key).order_by(tokens.id).limit(_PAGE)
        while rows := guarded(self._rows, page.where(tokens.id > last)):
            yield from (key_in(text) for _, text in rows)
            last = rows[-1][0]

    def close(self) -> None:
        """Let go of the connections, unless the engine is yours. A second call does nothing."""
        if self._owned:
            guarded(self._engine.dispose)

    def _written(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        if expected is None:
            values = None if entry is None else lambda: {"key": text_of_key(key), **_values(entry)}
            return self._inserted(self._tokens, _id(key), values)
        row = sa.and_(self._tokens.c.id == _id(key), self._tokens.c.revision == expected)
        if entry is None:
            return self._changes(sa.delete(self._tokens).where(row))
        return self._changes(sa.update(self._tokens).where(row).values(**_values(entry)))

    def _leased(self, name: str, owner: str, ttl: float) -> bool:
        lease, now = self._leases.c, self._now()
        free = sa.and_(lease.id == name, sa.or_(lease.owner == owner, lease.until <= now))
        if self._changes(sa.update(self._leases).where(free).values(owner=owner, until=now + ttl)):
            return True
        return self._inserted(self._leases, name, lambda: {"owner": owner, "until": now + ttl})

    def _now(self) -> Any:
        clock = _CLOCKS.get(self._engine.dialect.name)
        return time.time() if clock is None else sa.literal_column(clock, sa.Double)

    def _read(self, key: StoreKey) -> tuple[int, Secret] | None:
        tokens = self._tokens.c
        found = self._run(
            sa.select(tokens.revision, tokens.entry).where(tokens.id == _id(key)),
            lambda result: [(revision, Secret(text)) for revision, text in result],
        )
        return found[0] if found else None

    def _rows(self, statement: Any) -> list[Any]:
        return self._run(statement, lambda result: list(result.all()))

    def _changes(self, statement: Any) -> bool:
        """Whether a statement found the one row that it was to write."""
        return self._run(statement, lambda result: bool(result.rowcount == 1))

    def _inserted(self, table: sa.Table, name: str, values: Callable[[], dict[str, Any]] | None) -> bool:
        """Write a row that is not there yet (without `values`, only look); False if it is there."""
        problem: str | None = None
        for _ in range(_TRIES):
            # Looked for first: databases log each row that they refuse, and who waits for a lease asks often.
            if self._rows(sa.select(table.c.id).where(table.c.id == name)):
                return False
            if values is None:
                return True
            problem = self._refusal(sa.insert(table).values(id=name, **values()))
            if problem is None:
                return True
        raise StoreError(f"the database accepts no new row in {table.name}: {problem}")

    def _refusal(self, statement: Any) -> str | None:
        try:
            self._execute(statement, lambda _: None)
        except IntegrityError as error:  # somebody was faster, or a rule that somebody added
            return _said(error)
        return None

    def _run(self, statement: Any, outcome: Callable[[Any], T]) -> T:
        try:
            return self._execute(statement, outcome)
        except StatementError as error:
            problem = _said(error)
        raise StoreError(f"the database failed: {problem}")

    def _execute(self, statement: Any, outcome: Callable[[Any], T]) -> T:
        self._leave_parent()
        if self._to_create:
            self._create()
        with self._engine.connect() as connection, connection.execution_options(**self._level).begin():
            return outcome(connection.execute(statement))

    def _leave_parent(self) -> None:
        """After a fork, leave the connections to the parent process: two cannot talk on one."""
        if self._pid != os.getpid():
            if isinstance(self._engine.pool, QueuePool):
                self._engine.dispose(close=False)
            self._pid = os.getpid()

    def _create(self) -> None:
        """Make the tables, while other processes and threads may be doing the same."""
        tries = _TRIES
        while self._to_create:
            try:
                self._tokens.metadata.create_all(self._engine)
                self._to_create = False
            except SQLAlchemyError:
                tries -= 1
                if not tries:
                    raise

    def __repr__(self) -> str:
        url = self._engine.url
        return f"SQLAlchemyTokenStore('{url.drivername}://{url.host or ''}/{url.database or ''}')"


def _id(key: StoreKey) -> str:
    return digest_of(text_of_key(key))


def _values(entry: Entry) -> dict[str, Any]:
    return {"revision": entry.revision, "entry": text_of(entry).reveal()}


def _said(error: StatementError) -> str:
    """What the driver said, without the statement's parameters and without the row that a database may quote below."""
    first, *_ = f"{error.orig}".splitlines() or [""]
    return f"{type(error.orig).__name__}: {first}"


SQLAlchemyTokenStore.__module__ = "exbo_oauth.stores"

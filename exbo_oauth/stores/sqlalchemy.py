"""Tokens in a database that SQLAlchemy speaks to, PostgreSQL first. Needs the extra ``sqlalchemy``.

Two tables, standard SQL, each method one short transaction on the caller's engine. Compare-and-swap is one
``UPDATE … WHERE revision = …``; a lease is a row, and runs on the database's clock where its dialect has one with
fractions of a second (PostgreSQL, MySQL, MariaDB, SQLite), on this host's elsewhere. For those who use migrations,
`ddl` gives the statements.
"""

import json
import os
from collections.abc import Iterator
from typing import Any, ClassVar

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .guard import guarded
from .naming import digest_of, key_from, text_of

try:
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
    from sqlalchemy.schema import CreateTable
except ImportError:
    raise ConfigurationError("SQLAlchemyTokenStore needs SQLAlchemy: pip install 'exbo-oauth[sqlalchemy]'") from None

__all__ = ["SQLAlchemyTokenStore"]

_CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": "unix_timestamp(sysdate(6))",
    "mariadb": "unix_timestamp(sysdate(6))",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}


def _tables(schema: str | None, prefix: str) -> tuple[sa.Table, sa.Table]:
    metadata = sa.MetaData(schema=schema)
    tokens = sa.Table(
        f"{prefix}_tokens",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
    )
    leases = sa.Table(
        f"{prefix}_leases",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    return tokens, leases


def _engine(url_or_engine: Any) -> sa.Engine:
    if isinstance(url_or_engine, sa.Engine):
        return url_or_engine
    if not isinstance(url_or_engine, str | sa.URL):
        raise ConfigurationError(f"SQLAlchemyTokenStore takes a URL or an Engine, not {type(url_or_engine).__name__}")
    url = Secret(
        url_or_engine if isinstance(url_or_engine, str) else url_or_engine.render_as_string(hide_password=False)
    )
    try:
        engine = sa.create_engine(url.reveal(), pool_pre_ping=True, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        problem = type(error).__name__ if isinstance(error, ArgumentError) else str(error)
        raise ConfigurationError(f"this database URL cannot be used: {problem}") from None
    if engine.dialect.is_async:
        raise ConfigurationError("a token store needs a blocking driver, as in postgresql+psycopg://")
    return engine


class SQLAlchemyTokenStore:
    """A store in a database, for all who reach it.

    Takes a URL, or your own `sqlalchemy.Engine`, which stays yours to dispose of. The tables ``<prefix>_tokens`` and
    ``<prefix>_leases`` in `schema` are made when first needed, unless `create` is False.

    Raises `ConfigurationError` for what is no usable URL and no engine, `StoreError` when the database fails.
    """

    blocking: ClassVar[bool] = True

    def __init__(
        self, url_or_engine: Any, *, schema: str | None = None, prefix: str = "exbo_oauth", create: bool = True
    ) -> None:
        self._engine = _engine(url_or_engine)
        self._owned = self._engine is not url_or_engine
        self.prefix = prefix
        self._tokens, self._leases = _tables(schema, prefix)
        self._to_create = create
        self._pid = os.getpid()

    @property
    def ddl(self) -> str:
        """The statements that make the tables, in this database's dialect."""
        statements = (str(CreateTable(table).compile(self._engine)).strip() for table in (self._tokens, self._leases))
        return "".join(f"{statement};\n" for statement in statements)

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        stored = guarded(self._read, key)
        if stored is None:
            return None
        try:
            return Entry.from_dict(json.loads(stored.reveal()))
        except (ValueError, RecursionError):
            damaged = StoreError(f"the entry of {key!r} in the database is damaged; it was left as it is")
        raise damaged

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return guarded(self._written, key, expected, entry)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return guarded(self._leased, key, owner, ttl)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        lease = self._leases.c
        guarded(self._changes, sa.delete(self._leases).where(lease.id == digest_of(key), lease.owner == owner))

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry, read in portions: what is written meanwhile may or may not be among them."""
        last = ""
        while rows := guarded(self._page, last):
            yield from (guarded(key_from, text) for _, text in rows)
            last = rows[-1][0]

    def close(self) -> None:
        """Let go of the connections, unless the engine is yours. A second call does nothing."""
        if self._owned:
            guarded(self._engine.dispose)

    def _begin(self) -> Any:
        if self._pid != os.getpid() and self._owned:
            self._engine.dispose(close=False)  # after a fork they are the parent's
            self._pid = os.getpid()
        if self._to_create:
            self._create()
        return self._engine.begin()

    def _create(self) -> None:
        metadata = self._tokens.metadata
        try:
            metadata.create_all(self._engine)
        except SQLAlchemyError:
            metadata.create_all(self._engine)  # another process made them between looking and making
        self._to_create = False

    def _read(self, key: StoreKey) -> Secret | None:
        with self._begin() as connection:
            row = connection.execute(sa.select(self._tokens.c.entry).where(self._tokens.c.id == digest_of(key))).first()
        return None if row is None else Secret(row[0])

    def _written(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        if expected is None:
            return self._read(key) is None if entry is None else self._inserted(self._tokens, _values(key, entry))
        row = sa.and_(self._tokens.c.id == digest_of(key), self._tokens.c.revision == expected)
        if entry is None:
            return self._changes(sa.delete(self._tokens).where(row))
        return self._changes(sa.update(self._tokens).where(row).values(**_values(key, entry)))

    def _leased(self, key: StoreKey, owner: str, ttl: float) -> bool:
        lease, now = self._leases.c, self._now()
        mine = sa.and_(lease.id == digest_of(key), sa.or_(lease.owner == owner, lease.until <= now))
        if self._changes(sa.update(self._leases).where(mine).values(owner=owner, until=now + ttl)):
            return True
        return self._inserted(self._leases, {"id": digest_of(key), "owner": owner, "until": now + ttl})

    def _now(self) -> Any:
        clock = _CLOCKS.get(self._engine.dialect.name)
        if clock is None:
            import time

            return time.time()
        return sa.literal_column(clock, sa.Double)

    def _changes(self, statement: Any) -> bool:
        with self._begin() as connection:
            return bool(connection.execute(statement).rowcount == 1)

    def _inserted(self, table: sa.Table, values: dict[str, Any]) -> bool:
        try:
            with self._begin() as connection:
                connection.execute(sa.insert(table).values(**values))
        except IntegrityError:
            return False  # somebody was faster
        return True

    def _page(self, last: str) -> list[Any]:
        tokens = self._tokens.c
        page = sa.select(tokens.id, tokens.key).where(tokens.id > last).order_by(tokens.id).limit(500)
        with self._begin() as connection:
            return list(connection.execute(page).all())

    def __repr__(self) -> str:
        return f"SQLAlchemyTokenStore({self._engine.url.render_as_string(hide_password=True)!r})"


def _values(key: StoreKey, entry: Entry) -> dict[str, Any]:
    return {
        "id": digest_of(key),
        "key": text_of(key),
        "revision": entry.revision,
        "entry": json.dumps(entry.to_dict()),
    }


SQLAlchemyTokenStore.__module__ = "exbo_oauth.stores"

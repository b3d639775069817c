"""Tokens in a database that SQLAlchemy speaks to, PostgreSQL first. Needs the extra ``sqlalchemy``.

Two tables, standard SQL, each statement a transaction that the server ends by itself, so that no isolation level and
no lost or stalled client leaves anything half-done. One that was undone for somebody else's sake, or whose connection
was lost, is repeated, in the time for which a store may keep its callers waiting. Compare-and-swap is one ``UPDATE …
WHERE revision = …``; a lease is a row, and runs on the database's clock where its dialect has one with fractions of a
second (PostgreSQL, MySQL, MariaDB, SQLite), on this host's elsewhere. For those who use migrations, `ddl` gives the
statements.
"""

# Without the extra the constructor says what is missing, and nothing below it runs.
# pyright: reportPossiblyUnboundVariable=false

import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from ..boundary import bounded_throughout
from ..errors import ConfigurationError, StoreError
from .base import Entry, StoreKey
from .claims import UnansweredClaims
from .entry_text import entry_in, text_of
from .guard import guarded, missing
from .interrupts import interrupt
from .key_text import digest_of, keys_in, text_of_key
from .patience import PATIENCE, Impatient

try:
    import sqlalchemy as sa
    from sqlalchemy.exc import DBAPIError, StatementError
    from sqlalchemy.schema import CreateTable

    from .hangup import answering_by, awaited
    from .sqlalchemy_engine import apart, connected, ends_in_time, fault_of, is_gone, is_lost, is_undone, said
    from .sqlalchemy_tables import tables
except ImportError as _error:
    _missing: ConfigurationError | None = missing("SQLAlchemyTokenStore", "sqlalchemy", _error)
else:
    _missing = None

__all__ = ["SQLAlchemyTokenStore"]

T = TypeVar("T")

# In UTC: when summer time ends, a local hour comes twice.
_MYSQL = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1e6"
_CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}
_TRIES = 10
_PAGE = 500
_UNPRINTABLE = re.compile(r"[^!-~]")
_PREFIX = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)


@bounded_throughout
class SQLAlchemyTokenStore:
    """A store in a database, for all who reach it.

    Takes a URL, or your own `sqlalchemy.Engine`, which stays as it is and yours to dispose of. The tables
    ``<prefix>_tokens`` and ``<prefix>_leases`` in `schema` are made when first needed, unless `create` is False.

    Raises `ConfigurationError` for what is neither a usable URL nor an engine, `StoreError` when the database fails.

    ::

        store = SQLAlchemyTokenStore("postgresql+psycopg://tokens@db.example/tokens", schema="bot", create=False)
    """

    blocking: ClassVar[bool] = True

    def __init__(
        self, url_or_engine: Any, *, schema: str | None = None, prefix: str = "exbo_oauth", create: bool = True
    ) -> None:
        if _missing is not None:
            raise _missing.with_traceback(None)
        if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
            raise ConfigurationError("prefix must begin a table's name: up to 40 letters, digits and underscores")
        if schema is not None and not isinstance(schema, str):
            raise ConfigurationError("schema must be the name of a schema, None for the database's default")
        self._owned = isinstance(url_or_engine, str | sa.URL)
        self._engine = connected(url_or_engine) if self._owned else url_or_engine
        if (fault := fault_of(self._engine)) is not None:
            raise ConfigurationError(fault)
        self._engine = apart(self._engine)
        self._limited = None if self._owned and ends_in_time(self._engine) else Impatient()
        self.prefix = prefix
        self._tokens, self._leases = tables(schema, prefix)
        self._creates = self._to_create = create
        self._unanswered = UnansweredClaims()
        self._pid = os.getpid()

    @property
    def ddl(self) -> str:
        """The statements that make the tables, in this database's dialect."""
        both = (self._tokens, self._leases)
        statements = guarded(lambda: [str(CreateTable(table).compile(self._engine)).strip() for table in both])
        return "".join(f"{statement};\n" for statement in statements)

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        name = _id(key)
        row = self._run(_loaded, self._tokens, name)
        return (
            None
            if row is None
            else entry_in(row.entry.reveal(), row.revision, key, f"{self._tokens.fullname} (id {name})")
        )

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return self._run(_written, self._tokens, key, expected, entry, again=_written_or_found)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""

        def ask(owners: tuple[str, ...]) -> bool:
            return self._run(_acquired, self._leases, _id(key), [_owner_text(each) for each in owners], ttl)

        return self._unanswered.asked(key, owner, ask)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._run(_released, self._leases, _id(key), _owner_text(owner))

    def holder(self, key: StoreKey) -> str | None:
        """Who has the lease of `key` now, as far as the table has room for a name; None if nobody has."""
        text: str | None = self._run(_held, self._leases, _id(key))
        return text and text.partition(" ")[2]

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry, read in portions: what is written meanwhile may or may not be among them."""
        yield from keys_in(self._texts())

    def _texts(self) -> Iterator[str]:
        last: str | None = None
        while page := self._run(_page, self._tokens, last):
            yield from (text for _, text in page)
            last = page[-1].id

    def close(self) -> None:
        """Let go of the connections, unless the engine is yours. A second call does nothing."""
        if self._owned:
            guarded(self._engine.dispose)

    def _run(self, work: Callable[..., T], *args: Any, again: Callable[..., T] | None = None) -> T:
        """What `work` gives for a connection and `args`; raises `StoreError`, whatever goes wrong.

        `again` takes its place once a connection was lost, and nobody knows whether `work` was done.
        """
        call = (self._repeated, work, again or work, *args)
        done: T = guarded(*call) if self._limited is None else guarded(self._limited, *call)
        return done

    def _repeated(self, work: Callable[..., T], again: Callable[..., T], *args: Any) -> T:
        """What `work` gives, also if the server had to undo a statement of it, or the connection was lost."""
        end, pause, was_lost, outer = time.monotonic() + PATIENCE, 0.0, False, sys.exception()
        for _ in range(_TRIES):
            try:
                with answering_by(end):
                    return self._done(again if was_lost else work, *args)
            except StatementError as error:
                if interrupt(error, outer):
                    raise
                problem, undone, lost = said(error), is_undone(error), is_lost(error)
                gone = self._creates and is_gone(error)  # with all that was in it: a database that was made anew
            was_lost = was_lost or lost
            self._to_create = self._to_create or gone
            pause = 0.0 if undone else 2 * pause + 0.05 * random.random()  # noqa: S311  # spreads, protects nothing
            if time.monotonic() >= end:
                raise StoreError(f"the database gave no answer within {PATIENCE:g} s: {problem}")
            # A server that was waited for until shortly before the end would be waited for once more.
            if time.monotonic() + pause > end - 1 or not (undone or was_lost or gone):
                break
            time.sleep(pause)
        raise StoreError(f"the database failed: {problem}")

    def _done(self, work: Callable[..., T], *args: Any) -> T:
        self._leave_parent()
        self._create()
        return self._at_once(work, *args)

    def _at_once(self, work: Callable[..., T], *args: Any) -> T:
        with self._engine.connect() as connection:
            try:
                with connection.execution_options(isolation_level="AUTOCOMMIT").begin():
                    awaited(connection.connection.driver_connection)
                    return work(connection, *args)
            except BaseException as error:
                if not isinstance(error, DBAPIError):  # an interrupt, say: an answer may be still to come
                    connection.invalidate()
                raise

    def _leave_parent(self) -> None:
        """After a fork, leave the connections to the parent process: two cannot talk on one."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
            self._pid = os.getpid()

    def _create(self) -> None:
        """Make the tables, while other processes and threads may be doing the same."""
        tries = _TRIES
        while self._to_create:
            try:
                self._at_once(self._tokens.metadata.create_all)
                self._to_create = False
            except DBAPIError as error:
                tries -= 1
                if not tries or error.statement is None:  # without a statement: there is no connection
                    raise

    def __repr__(self) -> str:
        url = self._engine.url
        return f"SQLAlchemyTokenStore('{url.drivername}://{url.host or ''}/{url.database or ''}')"


def _id(key: StoreKey) -> str:
    return digest_of(text_of_key(key))


def _owner_text(owner: str) -> str:
    """An owner as its column has it: told apart from every other under any collation, and to be read by people."""
    return f"{digest_of(owner)[:24]} {_UNPRINTABLE.sub('?', owner)}"[:64]


def _loaded(connection: "sa.Connection", tokens: "sa.Table", name: str) -> Any:
    row = sa.select(tokens.c.revision, tokens.c.entry).where(tokens.c.id == name)
    return connection.execute(row).first()


def _written(
    connection: "sa.Connection", tokens: "sa.Table", key: StoreKey, expected: int | None, entry: Entry | None
) -> bool:
    name = _id(key)
    if entry is None:
        return _deleted(connection, tokens, name, expected)
    values = {"revision": entry.revision, "entry": text_of(entry)}
    if expected is None:
        return _inserted(connection, tokens, id=name, key=text_of_key(key), **values)
    return _changed(connection, sa.update(tokens).where(_at(tokens, name, expected)).values(**values))


def _written_or_found(
    connection: "sa.Connection", tokens: "sa.Table", key: StoreKey, expected: int | None, entry: Entry | None
) -> bool:
    """Write, unless that has been done already."""
    row = _loaded(connection, tokens, _id(key))
    if entry is None or row is None:
        done = row is entry
    else:
        done = row.revision == entry.revision and row.entry.reveal() == text_of(entry)
    return done or _written(connection, tokens, key, expected, entry)


def _deleted(connection: "sa.Connection", tokens: "sa.Table", name: str, expected: int | None) -> bool:
    if expected is None:
        return not _is_there(connection, tokens, name)
    return _changed(connection, sa.delete(tokens).where(_at(tokens, name, expected)))


def _at(tokens: "sa.Table", name: str, revision: int) -> Any:
    return sa.and_(tokens.c.id == name, tokens.c.revision == revision)


def _acquired(connection: "sa.Connection", leases: "sa.Table", name: str, owners: list[str], ttl: float) -> bool:
    """Take the lease for the first of `owners`, also from the others."""
    lease, now = leases.c, _now(connection)
    values = {"owner": owners[0], "until": now + ttl}
    free = sa.and_(lease.id == name, sa.or_(lease.owner.in_(owners), lease.until <= now))
    if _changed(connection, sa.update(leases).where(free).values(**values)):
        return True
    return _inserted(connection, leases, id=name, **values)


def _released(connection: "sa.Connection", leases: "sa.Table", name: str, owner: str) -> None:
    # Not deleted: MySQL and MariaDB answer those who delete and insert the same row with deadlocks.
    mine = sa.and_(leases.c.id == name, leases.c.owner == owner)
    _changed(connection, sa.update(leases).where(mine).values(until=0.0))


def _held(connection: "sa.Connection", leases: "sa.Table", name: str) -> str | None:
    lease = sa.select(leases.c.owner).where(leases.c.id == name, leases.c.until > _now(connection))
    owner: str | None = connection.execute(lease).scalar()
    return owner


def _now(connection: "sa.Connection") -> Any:
    clock = _CLOCKS.get(connection.dialect.name)
    return time.time() if clock is None else sa.literal_column(clock, sa.Double)


def _page(connection: "sa.Connection", tokens: "sa.Table", last: str | None) -> Sequence[Any]:
    page = sa.select(tokens.c.id, tokens.c.key).order_by(tokens.c.id).limit(_PAGE)
    # The first is not what follows the empty string: to some databases that is NULL, and nothing follows it.
    return connection.execute(page if last is None else page.where(tokens.c.id > last)).all()


def _is_there(connection: "sa.Connection", table: "sa.Table", name: str) -> bool:
    return connection.execute(sa.select(table.c.id).where(table.c.id == name)).first() is not None


def _inserted(connection: "sa.Connection", table: "sa.Table", **row: Any) -> bool:
    # Looked for first: databases log each row that they refuse, and who waits for a lease asks often.
    if _is_there(connection, table, row["id"]):
        return False
    connection.execute(sa.insert(table).values(**row))
    return True


def _changed(connection: "sa.Connection", statement: Any) -> bool:
    """Whether a statement found the one row that it was to write."""
    rows = connection.execute(statement).rowcount
    if rows not in (0, 1):
        raise StoreError(f"the database failed: a statement for one row changed {rows}, it says")
    return rows == 1


SQLAlchemyTokenStore.__module__ = "exbo_oauth.stores"

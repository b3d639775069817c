"""Tokens in one SQLite file: the embedded store, for all threads and processes of one machine.

Every method is one transaction, so that compare-and-swap and leases hold across processes. Entries are JSON, read
by primary key: a million accounts cost no more than one. Leases run on the wall clock, the only one that processes
share; when it is set back, a lease lasts from then on at most for its own length.
"""

import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, field

from ..boundary import bounded_throughout
from ..errors import ConfigurationError, StoreError
from ..masking import detached
from .base import Entry, StoreKey
from .entry_text import entry_in, text_of
from .patience import PATIENCE
from .sqlite_file import begun, filled
from .sqlite_link import Link, explained
from .sqlite_mounts import risks_of

__all__ = ["SQLiteTokenStore"]

_NEEDED = (3, 24, 0)  # the first with ON CONFLICT; RHEL 8 has 3.26, Debian 11 3.34

_Columns = tuple[str, str, int, str]

_KEY = "base_url = ? AND client_id = ? AND of_user = ? AND account = ?"
# As bytes: what cannot be decoded, Python's sqlite3 would quote in its error, and it is a token.
LOAD = f"SELECT revision, CAST(entry AS BLOB) FROM entries WHERE {_KEY}"  # noqa: S608  # constants, here and below
ABSENT = f"SELECT NOT EXISTS (SELECT 1 FROM entries WHERE {_KEY})"  # noqa: S608
INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
UPDATE = f"UPDATE entries SET revision = ?, entry = ? WHERE {_KEY} AND revision = ?"  # noqa: S608
DELETE = f"DELETE FROM entries WHERE {_KEY} AND revision = ?"  # noqa: S608
REWIND = f"UPDATE leases SET since = ? WHERE {_KEY} AND since > ?"  # noqa: S608
ACQUIRE = """
    INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (base_url, client_id, of_user, account) DO UPDATE
    SET owner = excluded.owner, since = excluded.since, ttl = excluded.ttl
    WHERE owner = excluded.owner OR since + ttl <= excluded.since
"""
TAKEN = f"SELECT 1 FROM leases WHERE {_KEY} AND owner <> ? AND since <= ? AND since + ttl > ?"  # noqa: S608
HOLDER = f"SELECT owner FROM leases WHERE {_KEY} AND since + ttl > ?"  # noqa: S608
RELEASE = f"DELETE FROM leases WHERE {_KEY} AND owner = ?"  # noqa: S608
LIST = """
    SELECT base_url, client_id, of_user, account FROM entries
    WHERE (base_url, client_id, of_user, account) > (?, ?, ?, ?)
    ORDER BY base_url, client_id, of_user, account LIMIT 500
"""


def _location(path: "str | os.PathLike[str]") -> Path:
    """Where the file is to be, as an absolute path; nothing on the disk is opened."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise ConfigurationError(f"the path of a token store is a str or a path, not {type(path).__name__}") from None
    if not text or "\0" in text or text.startswith((":", "file:")) or "://" in text:
        raise ConfigurationError(
            f"{text!r} is not the path of a file: pass one, as in 'tokens.db', or use MemoryTokenStore to keep nothing"
        )
    try:
        location = Path(text).expanduser().absolute()
        os.fsencode(location)
    except UnicodeError:
        raise ConfigurationError(
            f"{text!a} has characters that the locale of this process cannot write: set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        ) from None
    except RuntimeError:
        raise ConfigurationError(f"{text!r} begins with a home directory that does not exist") from None
    if os.path.isdir(location):  # noqa: PTH112  # it does not raise, whatever cannot be looked at
        raise ConfigurationError(f"{text!r} is a directory: name a file in it, as in {str(location / 'tokens.db')!r}")
    return location


def _copy(source: sqlite3.Connection, target: Path) -> None:
    try:
        filled(target, source)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the copy {str(target)!r} failed: {explained(error)}") from detached(error)


@bounded_throughout
@define(eq=False, repr=False)
class SQLiteTokenStore:
    """A store in the file at `path`, a str or an `os.PathLike`; a leading ``~`` is the user's home.

    The file is made when it is first needed, readable by its owner alone (mode 0600), and so is a missing directory
    (0700). An existing file is refused if other users can read it or own it, and left as it is if it is not a token
    store, is damaged, or comes from a newer version. One that cannot be written, as on a read-only mount, can be read.
    `timeout` is how many seconds to wait while another process writes.

    `group` allows the group of the file's directory to share the store: files then get mode 0660, missing directories
    2770, and the group's members may own them. For other users of this machine, and for volumes whose files are
    given to a group at every mount (``fsGroup`` of Kubernetes).

    May be shared by threads, survives `os.fork`, and processes may have one each. It is for one machine: file
    systems shared over a network do not lock reliably. Stop the programs that use a file before removing it.

    Raises `ConfigurationError` for a path that cannot be one, and where SQLite is older than 3.24; `StoreError`, which
    says what to do, for everything that goes wrong later. After `close` a method raises `StoreError`, too; a store that
    is dropped without it lets go of its file by itself.

    ::

        store = SQLiteTokenStore("tokens.db")
        store.backup("tokens-backup.db")
        store.close()
    """

    blocking: ClassVar[bool] = True

    path: Path = field(converter=_location)
    timeout: float = field(default=PATIENCE, kw_only=True)
    group: bool = field(default=False, kw_only=True)
    _link: Link = field(init=False)

    def __attrs_post_init__(self) -> None:
        if sqlite3.sqlite_version_info < _NEEDED:
            needed = ".".join(map(str, _NEEDED))
            raise ConfigurationError(
                f"SQLiteTokenStore needs SQLite {needed} or newer, and this Python has {sqlite3.sqlite_version}: "
                "use another Python, or another store"
            )
        self._link = Link(self.path, self.timeout, self.group)

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        stored = self._link.run(_loaded, key)
        return None if stored is None else entry_in(stored[1], stored[0], key, repr(str(self.path)))

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        if entry is None:
            return self._link.run(_removed, key, expected, writes=True)
        return self._link.run(_written, key, expected, entry.revision, text_of(entry), writes=True)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        return self._link.run(_acquired, key, owner, ttl, writes=True)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._link.run(_released, key, owner, writes=True)

    def holder(self, key: StoreKey) -> str | None:
        """Who has the lease of `key` now, None if nobody has."""
        row = self._link.run(lambda connection: connection.execute(HOLDER, (*_columns(key), time.time())).fetchone())
        return None if row is None else str(row[0])

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry, read in portions: what is written meanwhile may or may not be among them."""
        last: _Columns = ("", "", -1, "")  # before every key
        while page := self._page(last):
            yield from (_key(columns) for columns in page)
            last = page[-1]

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        self._link.close()

    def backup(self, path: "str | os.PathLike[str]") -> None:
        """Copy the whole store, as it is at one moment, into a new file at `path`; programs may go on using it.

        The copy is a store, readable by its owner alone. Raises `StoreError` if there is a file already, or if
        anything goes wrong; what was begun is removed.
        """
        target, own = _location(path), Link(self.path, self.timeout, self.group)  # nobody has to wait for this one
        try:
            own.run(lambda _: begun(target))
            try:
                own.run(lambda connection: _copy(connection, target))
            except BaseException:
                target.unlink(missing_ok=True)
                raise
        finally:
            own.close()

    def risks(self) -> list[str]:
        """What about the place of the file can lose tokens, and what to do about it."""
        return risks_of(self.path)

    def _page(self, last: _Columns) -> list[_Columns]:
        return self._link.run(lambda connection: connection.execute(LIST, last).fetchall())

    def __repr__(self) -> str:
        return f"SQLiteTokenStore({str(self.path)!r})"


def _columns(key: StoreKey) -> _Columns:
    return key.base_url, key.client_id, int(key.account is not None), key.account or ""


def _key(columns: _Columns) -> StoreKey:
    base_url, client_id, of_user, account = columns
    return StoreKey(base_url, client_id, account if of_user else None)


def _loaded(connection: sqlite3.Connection, key: StoreKey) -> tuple[int, str] | None:
    row = connection.execute(LOAD, _columns(key)).fetchone()
    return None if row is None else (row[0], row[1].decode(errors="replace"))


def _written(connection: sqlite3.Connection, key: StoreKey, expected: int | None, revision: int, text: str) -> bool:
    if expected is None:
        return _changed(connection, INSERT, (*_columns(key), revision, text))
    return _changed(connection, UPDATE, (revision, text, *_columns(key), expected))


def _removed(connection: sqlite3.Connection, key: StoreKey, expected: int | None) -> bool:
    if expected is None:
        return bool(connection.execute(ABSENT, _columns(key)).fetchone()[0])
    return _changed(connection, DELETE, (*_columns(key), expected))


def _acquired(connection: sqlite3.Connection, key: StoreKey, owner: str, ttl: float) -> bool:
    columns, now = _columns(key), time.time()
    # Looked at first, for those who wait look often: they need not stand in the way of the one who writes.
    if connection.execute(TAKEN, (*columns, owner, now, now)).fetchone() is not None:
        return False
    with _unsynced(connection):
        connection.execute("BEGIN IMMEDIATE")
        now = time.time()  # anew: there may have been a wait for another writer
        connection.execute(REWIND, (now, *columns, now))
        taken = _changed(connection, ACQUIRE, (*columns, owner, now, ttl))
        connection.execute("COMMIT")
    return taken


def _released(connection: sqlite3.Connection, key: StoreKey, owner: str) -> None:
    with _unsynced(connection):
        connection.execute(RELEASE, (*_columns(key), owner))


@contextmanager
def _unsynced(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """What is written need not outlive a power cut: a lease means something among those only who are alive.

    Where a file has a log, that is: a rollback journal that is not synced could damage the file. A token that is
    written later takes along to the disk whatever stands in the log before it. Who fails gets another connection.
    """
    logged = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    if logged:
        connection.execute("PRAGMA synchronous = NORMAL")
    yield
    if logged:
        connection.execute("PRAGMA synchronous = FULL")


def _changed(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> bool:
    """Whether a statement found the one row that it was to write."""
    return connection.execute(statement, values).rowcount == 1


SQLiteTokenStore.__module__ = "exbo_oauth"

"""The file of an `SQLiteTokenStore`: made private, recognised, and brought to the present schema.

`opened` gives a connection to a file that only its owner can read and that is ours, or raises without having
changed a byte of it. A file is ours by its ``application_id``, which stands in the first page from the moment
that page exists: the schema is made in one transaction before the journal becomes a write-ahead log.
"""

import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from shlex import quote

from ..errors import StoreError

__all__ = ["APPLICATION_ID", "STEPS", "opened"]

APPLICATION_ID = 0x4558424F  # "EXBO"

# Each step takes the schema one version further; a new file walks all of them. Steps are only ever added: files
# of every version are out there. An account of None is (0, ''), so that an account named '' is another key. An
# entry has kilobytes: in a table WITHOUT ROWID each would spill into a page of its own.
STEPS = (
    """
    CREATE TABLE entries (
        base_url TEXT NOT NULL,
        client_id TEXT NOT NULL,
        of_user INTEGER NOT NULL,
        account TEXT NOT NULL,
        revision INTEGER NOT NULL,
        entry TEXT NOT NULL,
        PRIMARY KEY (base_url, client_id, of_user, account)
    )
    """,
    """
    CREATE TABLE leases (
        base_url TEXT NOT NULL,
        client_id TEXT NOT NULL,
        of_user INTEGER NOT NULL,
        account TEXT NOT NULL,
        owner TEXT NOT NULL,
        since REAL NOT NULL,
        ttl REAL NOT NULL,
        PRIMARY KEY (base_url, client_id, of_user, account)
    ) WITHOUT ROWID
    """,
)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

# Closing any descriptor of a file drops all locks that this process holds on it (POSIX), those of a connection on
# another thread included: while one thread makes the file nobody else here may open it.
_opening = threading.Lock()


def opened(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to the store in `path`, which is made if it does not exist.

    It waits up to `timeout` seconds for other writers. Raises `StoreError`, `sqlite3.Error` or `OSError`.
    """
    with _opening:
        _make(path)
        _check_private(path)
        _check_ours(path)
        connection = _connected(path, "mode=rw", timeout)
    try:
        _prepare(connection, path, timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path, options: str, timeout: float = 0) -> sqlite3.Connection:
    # An URI, because only there can SQLite be told not to make the file: it would be readable by others.
    address = f"{path.as_uri()}?{options}"
    return sqlite3.connect(address, timeout=timeout, isolation_level=None, check_same_thread=False, uri=True)


def _make(path: Path) -> None:
    """An empty file that only we can read, unless there is one already."""
    _make_directory(path.parent)
    _check_not_orphaned(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        if hasattr(os, "fchmod"):  # pragma: no branch  # the umask may have taken even our own rights
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _make_directory(directory: Path) -> None:
    missing = [place for place in (directory, *directory.parents) if not place.is_dir()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)


def _check_not_orphaned(path: Path) -> None:
    """Refuse to begin a new file beside the log of a removed one, which a running program may still be using."""
    left = [side for side in _sides(path) if side.exists()]
    # In this order: while the file exists its log may come at any time, without it never.
    if left and not path.exists():
        raise StoreError(
            f"{str(path)!r} is gone, but not what belongs to it: stop the programs that use it and remove "
            f"{' '.join(repr(str(side)) for side in left)}, or put the file back"
        )


def _check_private(path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise StoreError(f"{str(path)!r} is no file: choose another path for the token store")
    exposed = [file for file in (path, *_sides(path)) if os.name == "posix" and _mode(file) & _OTHERS]
    if exposed:
        raise StoreError(
            f"other users of this machine can read the tokens in {str(path)!r}. Run: chmod 600 "
            f"{' '.join(quote(str(file)) for file in exposed)} (a file system without permissions cannot hold them)"
        )


def _sides(path: Path) -> list[Path]:
    """The files that SQLite may keep beside a database; the log holds tokens, too."""
    return [path.with_name(path.name + side) for side in ("-wal", "-shm", "-journal")]


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except FileNotFoundError:
        return 0


def _check_ours(path: Path) -> None:
    """Refuse somebody else's file. An empty one belongs to nobody: ours is empty for a moment, too."""
    if path.stat().st_size == 0:
        return
    # As immutable: to open a database otherwise can replay its journal and leave files beside it.
    with closing(_connected(path, "mode=ro&immutable=1")) as connection:
        try:
            owner = _pragma(connection, "application_id")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            owner = None
    if owner != APPLICATION_ID:
        what = "belongs to another program" if owner else "is no token store, or a damaged one"
        raise StoreError(f"{str(path)!r} {what}; it was left as it is: choose another path, or move the file away")


def _prepare(connection: sqlite3.Connection, path: Path, timeout: float) -> None:
    connection.execute("PRAGMA synchronous = FULL")  # the server has forgotten the old refresh token by then
    connection.execute("PRAGMA secure_delete = ON")  # what was deleted or replaced is overwritten
    if _pragma(connection, "user_version") < len(STEPS):
        _migrate(connection)
    version = _pragma(connection, "user_version")
    if version > len(STEPS):
        raise StoreError(
            f"{str(path)!r} was written by a newer exbo-oauth (schema {version}; this one knows {len(STEPS)}): "
            "upgrade exbo-oauth"
        )
    _log_ahead(connection, timeout)


def _migrate(connection: sqlite3.Connection) -> None:
    """Walk the missing steps in one transaction; whoever comes second finds nothing left to do."""
    connection.execute("BEGIN IMMEDIATE")
    present = _pragma(connection, "user_version")
    for version, step in enumerate(STEPS[present:], present + 1):
        connection.execute(step)
        connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")


def _log_ahead(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch the file to a write-ahead log, in which readers and the writer do not wait for each other.

    SQLite refuses at once while another process has the file open, instead of waiting, so the waiting is done here.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value

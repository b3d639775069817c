"""The file of an `SQLiteTokenStore`: made private, recognised, and brought to the present schema.

`opened` gives a connection to a file that only its owner can read and that is ours, or raises without having
changed a byte of it. A file is ours by its ``application_id``, which stands in the first page from the moment
that page exists: the schema is made in one transaction before the journal becomes a write-ahead log.
"""

import os
import sqlite3
import threading
import time
from contextlib import closing
from itertools import count
from pathlib import Path

from attrs import frozen

from ..errors import StoreError
from .sqlite_mounts import has_another_name, is_mounted_alone
from .sqlite_privacy import check_private, open_to_group, sides

__all__ = ["ALONE_ID", "APPLICATION_ID", "STEPS", "Opened", "begun", "filled", "opened"]

APPLICATION_ID = 0x4558424F  # "EXBO"
ALONE_ID = 0x45584231  # "EXB1": a file that was mounted by itself when it was made, and never has a log

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

_LOOKS = 10
_PAUSE = 0.01  # seconds between two of them

# Closing any descriptor of a file drops all locks that this process holds on it (POSIX), those of a connection on
# another thread included: while one thread makes the file nobody else here may open it.
_opening = threading.Lock()


@frozen(eq=False)
class Opened:
    """A connection to the file that `path` leads to, which has its log at `log`.

    One that is `frozen` reads where nothing can be written from here, and takes no notice of locks and logs: what it
    read counts only if the file is the same before and after.
    """

    connection: sqlite3.Connection
    path: str
    log: str
    frozen: bool = False

    def state(self) -> tuple[int, ...] | None:
        """What tells that the path leads to another file than it did; raises `FileNotFoundError` if to none.

        None if a log has come to a file that is read without one.
        """
        status = os.stat(self.path)  # noqa: PTH116  # every call of the store waits for this
        if not self.frozen:
            return status.st_dev, status.st_ino
        if self.state_of_log():
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def state_of_log(self) -> int:
        """What tells that the log beside the file is another one than it was; 0 if there is none."""
        try:
            return os.stat(self.log).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return 0


def opened(path: Path, timeout: float, group: bool) -> Opened:
    """A connection to the store in `path`, which is made if it does not exist; for reading if it cannot be written.

    It waits up to `timeout` seconds for other writers. With `group` the directory's group may share the store. Raises
    `StoreError`, `sqlite3.Error` or `OSError`.
    """
    # SQLite follows links in the same way, and keeps what it keeps beside the file itself.
    file = Path(os.path.realpath(path)) if os.name == "posix" else path
    with _opening:
        if _is_for_reading(file):
            return _opened_for_reading(path, file, timeout, group)
        _make(path, file, group)
        check_private(path, file, group)
        alone = has_another_name(file)
        if _check_ours(path, file) == APPLICATION_ID and alone:
            raise StoreError(_alone(file))
        connection = _connected(file, "mode=rw", timeout)
    try:
        _prepare(connection, file, timeout, alone)
        check_private(path, file, group)  # the log is there now, and nobody but us may have laid it down
    except BaseException:
        connection.close()
        raise
    return Opened(connection, str(path), str(sides(file)[0]))


def _is_for_reading(file: Path) -> bool:
    """Whether there is a file that we may not write, or not in its directory, where its log would be."""
    effective = os.access in os.supports_effective_ids
    return file.exists() and not all(
        os.access(place, os.W_OK, effective_ids=effective) for place in (file, file.parent)
    )


def _opened_for_reading(path: Path, file: Path, timeout: float, group: bool) -> Opened:
    check_private(path, file, group)
    kept_with_log = _check_ours(path, file) == APPLICATION_ID
    if kept_with_log and is_mounted_alone(file):
        raise StoreError(_alone(file))
    for look in count(1):
        # A log that is there is read; one that is not cannot be made, and what nobody logs stands in the file.
        frozen = kept_with_log and not sides(file)[0].exists()
        try:
            connection = _readable(file, "mode=ro&immutable=1" if frozen else "mode=ro", timeout)
        except sqlite3.OperationalError as error:
            # Perhaps its writer ended, and took the log along, before it could be read.
            if look == _LOOKS or error.sqlite_errorcode == sqlite3.SQLITE_BUSY:  # then it was waited for already
                raise
            time.sleep(_PAUSE)
        else:
            return Opened(connection, str(path), str(sides(file)[0]), frozen)
    raise AssertionError("counting does not end")  # pragma: no cover


def _readable(file: Path, options: str, timeout: float) -> sqlite3.Connection:
    connection = _connected(file, options, timeout)
    try:
        _check_known(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(file: Path, options: str, timeout: float = 0) -> sqlite3.Connection:
    """A plain connection to a file that exists; SQLite's own errors."""
    # An URI, because only there can SQLite be told not to make the file: it would be readable by others.
    address = f"{file.as_uri()}?{options}"
    return sqlite3.connect(address, timeout=timeout, isolation_level=None, check_same_thread=False, uri=True)


def _make(path: Path, file: Path, group: bool) -> None:
    """An empty file that only we (and the group) can read, unless there is one already."""
    _make_directory(file.parent, group)
    _check_not_orphaned(path, file)
    _make_private(file, group)
    if group:
        open_to_group(file)


def _make_private(file: Path, group: bool = False) -> bool:
    """Make an empty file for ourselves (and the group of its directory); False if there is one already."""
    mode = 0o660 if group else 0o600
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    try:
        if hasattr(os, "fchmod"):  # pragma: no branch  # the umask may have taken even our own rights
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return True


def begun(path: Path) -> None:
    """Make an empty private file for a copy; raises `StoreError` if there is one."""
    if not _make_private(path):
        raise StoreError(f"{str(path)!r} is there already, and nothing is overwritten: name a new file")


def filled(path: Path, source: sqlite3.Connection) -> None:
    """Copy the whole database, as it is at one moment, into a file that was `begun`."""
    with closing(_connected(path, "mode=rw")) as target:
        source.backup(target)


def _make_directory(directory: Path, group: bool) -> None:
    if directory.is_dir() or directory == directory.parent:  # a drive of Windows that is not there
        return
    _make_directory(directory.parent, group)
    directory.mkdir(mode=0o700, exist_ok=True)
    if group:
        directory.chmod(0o2770)


def _check_not_orphaned(path: Path, file: Path) -> None:
    """Refuse to begin a new file beside the log of a removed one, which a running program may still be using."""
    left = [side for side in sides(file) if side.exists()]
    # In this order: while the file exists its log may come at any time, without it never.
    if left and not file.exists():
        raise StoreError(
            f"{str(path)!r} is gone, but not what belongs to it: stop the programs that use it and remove "
            f"{' '.join(repr(str(side)) for side in left)}, or put the file back"
        )


def _check_ours(path: Path, file: Path) -> int:
    """Refuse somebody else's file; the application id, 0 of an empty one.

    An empty file belongs to nobody: ours is empty for a moment, too.
    """
    if file.stat().st_size == 0:
        return 0
    owner = _owner(file)
    if owner not in (APPLICATION_ID, ALONE_ID):
        what = "belongs to another program" if owner else "is not a token store, or a damaged one"
        raise StoreError(f"{str(path)!r} {what}; it was left as it is: choose another path, or move the file away")
    return owner


def _owner(file: Path) -> int:
    """The application id of a file that is not empty; 0 of one that is not a database."""
    for look in count(1):
        try:
            # As immutable: to open a database otherwise can replay its journal and leave files beside it. But then
            # SQLite looks past whoever is just making the file, and finds a part of it.
            with closing(_connected(file, "mode=ro&immutable=1")) as connection:
                return _pragma(connection, "application_id")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                return 0
            if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT:
                raise
            if sides(file)[0].exists():  # copied into the file half-way, when the disk was full or its writer killed
                return _owner_in_header(file)
            if look == 10 * _LOOKS:
                raise
            time.sleep(_PAUSE)
    raise AssertionError("counting does not end")  # pragma: no cover


def _owner_in_header(file: Path) -> int:
    with file.open("rb") as header:
        return int.from_bytes(header.read(72)[68:], "big")


def _prepare(connection: sqlite3.Connection, file: Path, timeout: float, alone: bool) -> None:
    connection.execute("PRAGMA synchronous = FULL")  # the server has forgotten the old refresh token by then
    connection.execute("PRAGMA secure_delete = ON")  # what was deleted or replaced is overwritten
    if _pragma(connection, "user_version") < len(STEPS):
        _migrate(connection, ALONE_ID if alone else APPLICATION_ID)
    _check_known(connection, file)
    if _pragma(connection, "application_id") == ALONE_ID:
        connection.execute("PRAGMA journal_mode = TRUNCATE").close()
        # A first write, which changes nothing: the journal is there from now on, and nobody can lay down another.
        connection.execute(f"PRAGMA user_version = {len(STEPS)}").close()
    elif alone:
        raise StoreError(_alone(file))
    else:
        _log_ahead(connection, timeout)


def _alone(file: Path) -> str:
    """Why a file that is written to through a log can have one name only."""
    log = sides(file)[0].name
    if is_mounted_alone(file):
        return (
            f"{str(file)!r} is mounted by itself, and its log ({log}), where the newest tokens are, is not: mount the "
            "directory that the file lies in instead of the file"
        )
    return (
        f"{str(file)!r} has another name in some directory (a hard link), and two names have two logs ({log}): remove "
        "the other one, or put a copy in its place"
    )


def _check_known(connection: sqlite3.Connection, file: Path) -> None:
    version = _pragma(connection, "user_version")
    if version > len(STEPS):
        raise StoreError(
            f"{str(file)!r} was written by a newer exbo-oauth (schema {version}; this one knows {len(STEPS)}): "
            "upgrade exbo-oauth"
        )


def _migrate(connection: sqlite3.Connection, application_id: int) -> None:
    """Walk the missing steps in one transaction; whoever comes second finds nothing left to do."""
    connection.execute("BEGIN IMMEDIATE")
    present = _pragma(connection, "user_version")
    for version, step in enumerate(STEPS[present:], present + 1):
        connection.execute(step)
        connection.execute(f"PRAGMA user_version = {version}")
    if not present:
        connection.execute(f"PRAGMA application_id = {application_id}")
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
            time.sleep(_PAUSE)
        else:
            _pragma(connection, "user_version")  # whatever it says: with the first look at the file comes the log
            return


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value

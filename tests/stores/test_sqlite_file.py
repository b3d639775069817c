"""What an SQLite store does to its file, and what it refuses to do to anybody else's."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from exbo_oauth import ConfigurationError, SQLiteTokenStore, StoreError
from exbo_oauth.stores import sqlite_file
from exbo_oauth.stores.guard import removed
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.db"


def filled(path: Path) -> Path:
    """A store of some pages, closed."""
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        store.swap(USER, None, user_entry(1, "x" * 20_000))
    return path


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def raw(path: Path, *statements: str) -> None:
    """Run statements on the file, as a user with a shell could."""
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


# Where


NO_FILE = "is not the path of a file: pass one, as in 'tokens.db', or use MemoryTokenStore to keep nothing"
NO_PATHS = {
    "empty": ("", NO_FILE),
    "memory": (":memory:", NO_FILE),
    "uri": ("file:tokens.db?mode=ro", NO_FILE),
    "url": ("sqlite:///tokens.db", NO_FILE),
    "nul": ("tokens\0.db", NO_FILE),
    "none": (None, "the path of a token store is a str or a path, not NoneType"),
    "number": (7, "the path of a token store is a str or a path, not int"),
    "no such home": ("~nobody-of-this-name/tokens.db", "begins with a home directory that does not exist"),
}


@pytest.mark.parametrize(("wrong", "told"), NO_PATHS.values(), ids=NO_PATHS)
def test_what_is_no_path_is_refused_at_once(wrong: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SQLiteTokenStore(wrong)
    assert str(caught.value) == (f"{wrong!r} {told}" if isinstance(wrong, str) else told)


def test_a_path_that_nothing_can_write_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SQLiteTokenStore("tokens\ud800.db")
    assert str(caught.value) == (
        "'tokens\\ud800.db' has characters that the locale of this process cannot write: set LC_ALL=C.UTF-8, or "
        "PYTHONUTF8=1"
    )


def test_a_directory_is_refused_at_once_with_a_better_idea(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SQLiteTokenStore(tmp_path)
    better = str(tmp_path / "tokens.db")
    assert str(caught.value) == f"{str(tmp_path)!r} is a directory: name a file in it, as in {better!r}"


def test_a_path_may_be_a_str_or_a_path_and_begin_at_home(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(path.parent))
    assert [SQLiteTokenStore(given).path for given in ("~/tokens.db", str(path), path)] == [path] * 3


def test_a_relative_path_stays_where_it_was(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(SQLiteTokenStore("tokens.db")) as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.swap(APP, None, app_entry(1))
    assert path.exists()


def test_a_path_may_hold_what_means_something_in_a_url(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1? ключи & 'more'.db"
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_constructing_touches_no_disk(tmp_path: Path) -> None:
    store = SQLiteTokenStore(tmp_path / "new" / "tokens.db")
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_the_repr_is_the_path(path: Path) -> None:
    assert repr(SQLiteTokenStore(path)) == f"SQLiteTokenStore({str(path)!r})"


# Private


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_files_and_new_directories_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    # Not even the owner may enter a directory made under the strictest umask, so that one is made before.
    path = tmp_path / "a" / "b" / "tokens.db"
    if umask == 0o777:
        path.parent.mkdir(parents=True, mode=0o700)
    before = os.umask(umask)
    try:
        with closing(SQLiteTokenStore(path)) as store:
            store.swap(APP, None, app_entry(1))
            modes = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"tokens.db": 0o600, "tokens.db-wal": 0o600, "tokens.db-shm": 0o600}
    if umask != 0o777:
        assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


@posix
@pytest.mark.parametrize(("group", "bits"), [(False, 0o600), (True, 0o660)], ids=["the owner", "the group"])
def test_nobody_else_can_open_a_file_in_the_moment_when_it_is_made(
    path: Path, group: bool, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, change = list[int](), os.fchmod

    def fchmod(descriptor: int, wanted: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        change(descriptor, wanted)

    monkeypatch.setattr(os, "fchmod", fchmod)
    before = os.umask(0)
    try:
        with closing(SQLiteTokenStore(path, group=group)) as store:
            store.swap(APP, None, app_entry(1))
    finally:
        os.umask(before)
    assert (seen, mode(path)) == ([bits], bits)


@posix
def test_an_existing_directory_keeps_its_mode(path: Path) -> None:
    path.parent.chmod(0o755)
    filled(path)
    assert mode(path.parent) == 0o755


@posix
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o644, 0o601], ids=oct)
def test_a_file_that_others_can_read_is_refused_with_the_remedy(path: Path, bits: int) -> None:
    path.parent.chmod(0o755)
    filled(path).chmod(bits)
    before = contents(path.parent)
    with closing(SQLiteTokenStore(path)) as store:
        with pytest.raises(StoreError) as caught:
            store.load(APP)
        assert caught.value.code == "exbo-oauth.store.readable"
        assert str(caught.value) == (
            f"other users of this machine can read the tokens in '{path}'; to allow the group of its directory to "
            f"share it, open it with group=True (?group=1 in a URL). A file system without permissions cannot "
            f"hold them. Run: chmod 600 {path}"
        )
        assert contents(path.parent) == before
        path.chmod(0o600)
        assert store.load(APP) == app_entry(1)


@posix
@pytest.mark.parametrize("bits", [0o701, 0o710], ids=oct)
def test_a_directory_that_others_can_enter_protects_nothing(path: Path, bits: int) -> None:
    filled(path).chmod(0o644)
    path.parent.chmod(bits)
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError, match="other users of this machine"):
        store.load(APP)


@posix
def test_a_log_that_others_can_read_is_refused_as_well(path: Path) -> None:
    path.parent.chmod(0o755)
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        log = path.with_name("tokens.db-wal")
        log.chmod(0o644)
        with closing(SQLiteTokenStore(path)) as another, pytest.raises(StoreError, match=f"chmod 600 {log}\n"):
            another.load(APP)
        path.chmod(0o640)
        with closing(SQLiteTokenStore(path)) as another, pytest.raises(StoreError, match=f"chmod 600 {path} {log}\n"):
            another.load(APP)


# Ours


def somebodys_database(path: Path) -> None:
    raw(path, "CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('https://example.com')")


def somebodys_marked_database(path: Path) -> None:
    raw(path, "PRAGMA application_id = 252006674", "CREATE TABLE bookmarks (url TEXT)")


def somebodys_open_log(path: Path) -> None:
    """A database whose writer was killed: what it wrote stands in the log alone."""
    writing = path.with_name("writing.db")
    writing.touch(0o600)
    with closing(sqlite3.connect(writing, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
        for side in ("", "-wal"):
            path.with_name(path.name + side).write_bytes(writing.with_name(writing.name + side).read_bytes())
    writing.unlink()
    for file in path.parent.iterdir():
        file.chmod(0o600)


def notes(path: Path) -> None:
    path.write_text("my notes\n" * 1000)


def one_byte(path: Path) -> None:
    path.write_text("x")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(8192))


def half_a_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(20))


UNKNOWN = [somebodys_database, somebodys_open_log, notes, one_byte, zeros, half_a_header]
FOREIGN = [(somebodys_marked_database, "belongs to another program")]
FOREIGN += [(make, "is not a token store, or a damaged one") for make in UNKNOWN]


@pytest.mark.parametrize(("foreign", "what"), FOREIGN, ids=[make.__name__ for make, _ in FOREIGN])
def test_what_is_no_store_of_ours_is_refused_and_left_as_it_is(
    path: Path, foreign: Callable[[Path], None], what: str
) -> None:
    foreign(path)
    path.chmod(0o600)
    before = contents(path.parent)
    with closing(SQLiteTokenStore(path)) as store:
        for call in (lambda: store.load(APP), lambda: store.swap(APP, None, app_entry(1)), lambda: list(store.keys())):
            with pytest.raises(StoreError) as caught:
                call()
            cure = "choose another path, or move the file away"
            assert str(caught.value) == f"{str(path)!r} {what}; it was left as it is: {cure}"
    assert contents(path.parent) == before


def test_an_empty_file_is_taken(path: Path) -> None:
    path.touch(0o600)
    with closing(SQLiteTokenStore(path)) as store:
        assert store.swap(APP, None, app_entry(1))


@posix
def test_what_is_no_file_is_refused_without_waiting_for_it(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert str(caught.value) == f"'{path}' is not a file: choose another path for the token store"


def test_a_directory_that_came_later_is_refused(path: Path) -> None:
    with closing(SQLiteTokenStore(path)) as store:
        path.mkdir()
        with pytest.raises(StoreError, match="is not a file"):
            store.load(APP)


def test_a_parent_that_is_a_file_is_an_error_of_the_store(path: Path) -> None:
    path.write_text("a file")
    with closing(SQLiteTokenStore(path / "tokens.db")) as store, pytest.raises(StoreError, match=r"tokens\.db"):
        store.load(APP)


# Schema


@pytest.mark.parametrize("version", range(1, len(sqlite_file.STEPS)))
def test_a_file_of_every_older_version_is_brought_up_to_date(path: Path, version: int) -> None:
    saved = user_entry(7).to_dict()
    raw(path, *sqlite_file.STEPS[:version], f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
    raw(path, f"PRAGMA user_version = {version}")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
            (USER.base_url, USER.client_id, 1, USER.account, 7, json.dumps({**saved, "a later field": [1]})),
        )
    with closing(SQLiteTokenStore(path)) as store:
        assert store.load(USER) == user_entry(7)
        assert store.acquire(USER, "me", 60)
        assert store.swap(USER, 7, user_entry(8))
        assert list(store.keys()) == [USER]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_file.STEPS),)


def test_a_migration_that_fails_leaves_the_older_version(path: Path) -> None:
    raw(path, sqlite_file.STEPS[0], "CREATE TABLE leases (mine TEXT)", "PRAGMA user_version = 1")
    raw(path, f"PRAGMA application_id = {sqlite_file.APPLICATION_ID}")
    before = contents(path.parent)
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError, match="leases already exists"):
        store.load(APP)
    assert contents(path.parent) == before


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    filled(path)
    raw(path, "PRAGMA user_version = 1000", "PRAGMA journal_mode = DELETE")
    before = contents(path.parent)
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert str(caught.value) == (
        f"'{path}' was written by a newer exbo-oauth (schema 1000; this one knows {len(sqlite_file.STEPS)}): "
        "upgrade exbo-oauth"
    )
    assert contents(path.parent) == before


def test_the_file_says_what_it_is(path: Path) -> None:
    with closing(sqlite3.connect(filled(path))) as connection:
        pragmas = ("application_id", "user_version", "journal_mode")
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
    assert found == {"application_id": 0x4558424F, "user_version": len(sqlite_file.STEPS), "journal_mode": "wal"}


# Damage


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_within_the_first_page(path: Path) -> None:
    os.truncate(path, 1000)


def without_its_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xa5" * 100)


def with_pages_of_garbage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


DAMAGE = [cut_short, cut_within_the_first_page, without_its_header, with_pages_of_garbage]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_reported_and_left_as_it_is(path: Path, damage: Callable[[Path], None]) -> None:
    damage(filled(path))
    before = path.read_bytes()
    with closing(SQLiteTokenStore(path)) as store:
        for call in (lambda: store.load(USER), lambda: store.swap(USER, 1, user_entry(2)), lambda: list(store.keys())):
            with pytest.raises(StoreError, match=r"damaged.*left as it (is|was)"):
                call()
    assert path.read_bytes() == before


ENTRIES = {
    "no json": "{",
    "no entry": '{"kind": "app"}',
    "another kind of value": "[1]",
    "too deep": "[" * 100_000,
    "not utf-8": "X'7B22FF'",
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_damaged_entry_is_reported_and_the_others_stay_readable(path: Path, entry: str) -> None:
    value = entry if entry.startswith("X") else f"'{entry}'"
    raw(filled(path), f"UPDATE entries SET entry = CAST({value} AS TEXT) WHERE of_user = 1")
    with closing(SQLiteTokenStore(path)) as store:
        with pytest.raises(StoreError) as caught:
            store.load(USER)
        assert str(caught.value).startswith(f"the entry of {USER!r} in '{path}' is damaged; it was left as it is.")
        assert store.load(APP) == app_entry(1)
        assert set(store.keys()) == {APP, USER}
        assert removed(store, USER) == 1
        assert set(store.keys()) == {APP}


def test_a_file_replaced_by_a_sound_one_is_used_again(path: Path) -> None:
    sound = filled(path).read_bytes()
    with_pages_of_garbage(path)
    with closing(SQLiteTokenStore(path)) as store:
        with pytest.raises(StoreError):
            store.load(USER)
        path.write_bytes(sound)
        assert store.load(APP) == app_entry(1)


# Gone, locked, closed


@posix
def test_a_removed_store_begins_anew(path: Path) -> None:
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        for file in path.parent.iterdir():
            file.unlink()
        assert store.load(APP) is None
        assert store.swap(APP, None, app_entry(2))
        assert path.exists()


@posix
def test_beside_the_log_of_a_removed_file_no_new_one_is_begun(path: Path) -> None:
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        path.unlink()
        with pytest.raises(StoreError) as caught:
            store.load(APP)
        assert str(caught.value) == (
            f"'{path}' is gone, but not what belongs to it: stop the programs that use it and remove '{path}-wal' "
            f"'{path}-shm', or put the file back"
        )
        assert not path.exists()
        for file in path.parent.iterdir():
            file.unlink()
        assert store.load(APP) is None


@posix
def test_a_store_put_in_place_of_another_is_seen(path: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    backup = filled(tmp_path / "backup" / "tokens.db")
    with closing(SQLiteTokenStore(path)) as store:
        assert store.load(APP) is None
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink()
        backup.replace(path)
        assert store.load(APP) == app_entry(1)


def test_a_file_that_stays_locked_is_an_error_and_no_deadlock(path: Path) -> None:
    filled(path)
    with closing(SQLiteTokenStore(path, timeout=0.1)) as store, closing(sqlite3.connect(path)) as another:
        another.execute("BEGIN IMMEDIATE")
        assert store.load(APP) == app_entry(1), "readers do not wait for a writer"
        for call in (CALLS["swap"], CALLS["acquire"]):
            with pytest.raises(StoreError, match="another program keeps it locked"):
                call(store)
        another.execute("ROLLBACK")
        assert store.swap(APP, 1, None)


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN IMMEDIATE"], ids=["by a reader", "by a writer"])
def test_a_file_locked_while_it_is_opened_is_an_error_and_no_deadlock(path: Path, begin: str) -> None:
    filled(path)
    raw(path, "PRAGMA journal_mode = DELETE")
    with closing(SQLiteTokenStore(path, timeout=0.1)) as store, closing(sqlite3.connect(path)) as another:
        another.execute(begin)
        another.execute("SELECT * FROM entries").fetchone()
        with pytest.raises(StoreError, match="another program keeps it locked"):
            store.load(APP)
        another.execute("COMMIT")
        assert store.load(APP) == app_entry(1)


def test_sqlite_waits_as_long_as_it_is_told(path: Path) -> None:
    with closing(SQLiteTokenStore(path, timeout=7.5)) as store:
        [waits] = store._link.run(lambda connection: connection.execute("PRAGMA busy_timeout").fetchone())
    assert waits == 7500


@pytest.mark.parametrize("copied", [False, True], ids=["to use it", "to copy it"])
@pytest.mark.parametrize("begin", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_opening_waits_for_who_has_locked_the_file(path: Path, begin: str, copied: bool) -> None:
    filled(path)
    raw(path, "PRAGMA journal_mode = DELETE")
    with (
        closing(SQLiteTokenStore(path)) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as another,
        ThreadPoolExecutor(1) as pool,
    ):
        another.execute(begin)
        loading = pool.submit(store.backup, f"{path}-copy") if copied else pool.submit(store.load, APP)
        time.sleep(0.3)
        another.execute("COMMIT")
        assert loading.result() == (None if copied else app_entry(1))


AT_WORK = """
import sys, threading
from exbo_oauth import SQLiteTokenStore, StoreKey
store, key = SQLiteTokenStore(sys.argv[1], timeout=600), StoreKey("https://exbo.net/oauth", "59")
store.load(key)
threading.Thread(target=lambda: store.swap(key, 1, None), daemon=True).start()
while store._link.lock.acquire(blocking=False):
    store._link.lock.release()
"""


def test_a_process_may_end_while_another_thread_is_at_work(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        done = subprocess.run([sys.executable, "-c", AT_WORK, str(path)], check=False, timeout=300)
        assert done.returncode == 0


@pytest.fixture
def closed(path: Path) -> SQLiteTokenStore:
    store = SQLiteTokenStore(path)
    store.swap(APP, None, app_entry(1))
    store.close()
    return store


CALLS: dict[str, Callable[[SQLiteTokenStore], object]] = {
    "load": lambda store: store.load(APP),
    "swap": lambda store: store.swap(APP, 1, None),
    "acquire": lambda store: store.acquire(APP, "me", 60),
    "release": lambda store: store.release(APP, "me"),
    "keys": lambda store: list(store.keys()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_closed_store_says_so(closed: SQLiteTokenStore, call: Callable[[SQLiteTokenStore], object]) -> None:
    with pytest.raises(StoreError) as caught:
        call(closed)
    assert str(caught.value) == f"the token store '{closed.path}' is closed: make a new one"


def test_closing_leaves_one_whole_file(closed: SQLiteTokenStore) -> None:
    assert [file.name for file in closed.path.parent.iterdir()] == ["tokens.db"]


def test_what_was_deleted_or_replaced_is_not_in_the_file(path: Path) -> None:
    deleted, replaced = "a-very-secret-token", "another-secret-token"
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1, replaced))
        store.swap(USER, None, user_entry(1, deleted))
        assert store.swap(USER, 1, None)
        assert store.swap(APP, 1, app_entry(2))
    left = path.read_bytes()
    assert deleted.encode() not in left
    assert replaced.encode() not in left


def test_a_log_that_was_copied_half_way_is_copied_again(path: Path, tmp_path: Path) -> None:
    """As when a writer is killed then, or the disk is full: the first page speaks of others that are missing."""
    left = tmp_path / "left.db"
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        short, log = path.read_bytes(), Path(f"{path}-wal")
        store.swap(USER, None, user_entry(1, "x" * 100_000))
        for file, content in ((left, short), (Path(f"{left}-wal"), log.read_bytes())):
            file.touch(mode=0o600)
            file.write_bytes(content)
    whole = path.read_bytes()
    with left.open("r+b") as file:
        file.write(whole[:4096])
    assert len(short) < len(whole)
    with closing(SQLiteTokenStore(left)) as store:
        assert {*store.keys()} == {APP, USER}


def test_a_file_that_somebody_is_just_making_is_waited_for(tmp_path: Path) -> None:
    """SQLite writes a new file page by page, and only the first says how many there will be."""
    made, coming = tmp_path / "made.db", tmp_path / "coming.db"
    whole = filled(made).read_bytes()
    assert len(whole) > 4096
    coming.touch(mode=0o600)
    coming.write_bytes(whole[:4096])

    def go_on() -> None:
        with coming.open("ab") as file:
            file.write(whole[4096:])

    rest = threading.Timer(0.2, go_on)
    rest.start()
    with closing(SQLiteTokenStore(coming)) as store:
        assert len(list(store.keys())) == 2
    rest.join()


def test_a_drive_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where the root of a path need not exist."""
    monkeypatch.setattr(Path, "is_dir", lambda _, **__: False)
    with closing(SQLiteTokenStore(tmp_path / "stalker" / "tokens.db")) as store, pytest.raises(StoreError):
        store.load(APP)

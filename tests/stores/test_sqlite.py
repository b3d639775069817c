"""What an SQLite store promises beyond the contract: its clock, its size, its silence about secrets."""

import gc
import sqlite3
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import SQLiteTokenStore, StoreError, StoreKey
from exbo_oauth.stores import sqlite as module
from exbo_oauth.stores.sqlite_link import explained
from exbo_oauth.testing.store_suite import APP, USER, app_entry, eventually, user_entry

SECRET = "secret-access-token"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteTokenStore]:
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    yield store
    store.close()


def edit(store: SQLiteTokenStore, statement: str) -> None:
    with closing(sqlite3.connect(store.path)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


def test_async_clients_call_it_in_a_worker_thread() -> None:
    assert SQLiteTokenStore.blocking is True


# The clock


def test_after_the_clock_was_set_back_a_lease_lasts_for_its_own_length_at_most(store: SQLiteTokenStore) -> None:
    store.acquire(APP, "me", 1)
    edit(store, "UPDATE leases SET since = since + 86400")  # taken tomorrow: as if the clock went back by a day
    assert eventually(lambda: store.acquire(APP, "you", 3600))


def test_a_clock_that_was_set_back_a_little_breaks_no_lease(store: SQLiteTokenStore) -> None:
    store.acquire(APP, "me", 3600)
    edit(store, "UPDATE leases SET since = since + 5")
    assert not store.acquire(APP, "you", 3600)
    assert not store.acquire(APP, "you", 3600)
    assert store.acquire(APP, "me", 3600)


def test_after_the_clock_was_set_forward_a_lease_is_over(store: SQLiteTokenStore) -> None:
    store.acquire(APP, "me", 3600)
    edit(store, "UPDATE leases SET since = since - 86400")
    assert store.acquire(APP, "you", 3600)


def test_a_lease_begins_when_it_is_got_not_when_it_was_asked_for(store: SQLiteTokenStore) -> None:
    store.load(APP)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as another, ThreadPoolExecutor(1) as pool:
        another.execute("BEGIN IMMEDIATE")
        taking = pool.submit(store.acquire, APP, "me", 3600)
        time.sleep(0.3)
        let_go = time.time()
        another.execute("COMMIT")
        assert taking.result() is True
        assert another.execute("SELECT since FROM leases").fetchone()[0] >= let_go


# Size


STATEMENTS = ["LOAD", "ABSENT", "INSERT", "UPDATE", "DELETE", "REWIND", "ACQUIRE", "TAKEN", "HOLDER", "RELEASE", "LIST"]


def test_looking_whether_a_lease_is_free_waits_for_no_writer(tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db", timeout=0)) as store:
        assert store.acquire(APP, "one", 60)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert not store.acquire(APP, "another", 60)


def synchronous(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How each change from now on is brought to the disk."""
    settings = list[int]()

    def changed(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> bool:
        settings.append(connection.execute("PRAGMA synchronous").fetchone()[0])
        return connection.execute(statement, values).rowcount == 1

    monkeypatch.setattr(module, "_changed", changed)
    return settings


@pytest.mark.parametrize("lent", [True, False], ids=["after a lease", "at once"])
def test_a_token_is_on_the_disk_when_it_is_written(
    store: SQLiteTokenStore, lent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lent:
        store.acquire(APP, "one", 60)
        store.release(APP, "one")
    settings = synchronous(monkeypatch)
    assert store.swap(APP, None, app_entry(1))
    assert settings == [2]  # FULL


def test_a_lease_need_not_be_on_the_disk_where_there_is_a_log(
    store: SQLiteTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = synchronous(monkeypatch)
    assert store.acquire(APP, "one", 60)
    assert settings == [1]  # NORMAL


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_the_whole_table(store: SQLiteTokenStore, name: str) -> None:
    statement: str = getattr(module, name)
    store.load(APP)
    with closing(sqlite3.connect(store.path)) as connection:
        asked = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [1] * statement.count("?"))
        plan = [row[3] for row in asked]
    assert not any(step.startswith("SCAN") and "CONSTANT ROW" not in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_keys_may_be_written_while_they_are_listed(store: SQLiteTokenStore) -> None:
    accounts = [f"{number:04}" for number in range(600)]
    for account in accounts:
        store.swap(StoreKey("https://exbo.net/oauth", "1", account), None, app_entry(1))
    listed = []
    keys = store.keys()
    for key in keys:
        listed.append(key.account)
        assert store.swap(key, 1, None)
    assert listed == accounts
    assert list(store.keys()) == []


def test_keys_may_be_empty(store: SQLiteTokenStore) -> None:
    keys = [StoreKey(*texts) for texts in (("", ""), ("", "", ""), ("", "", "A"), ("", "A"), ("A", ""), ("A", "", ""))]
    for key in keys:
        assert store.swap(key, None, app_entry(1))
    assert list(store.keys()) == keys


def test_calls_share_one_connection(store: SQLiteTokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made, connect = list[object](), sqlite3.connect
    store.load(APP)
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: made.append(args) or connect(*args, **options))
    assert store.swap(APP, None, app_entry(1))
    assert store.acquire(APP, "me", 60)
    assert store.load(APP) == app_entry(1)
    assert list(store.keys()) == [APP]
    assert made == []


# Errors


def sqlites_own(statement: str, options: str = "mode=memory") -> sqlite3.Error:
    """A real error of SQLite."""
    with closing(sqlite3.connect(f"file:explained?{options}", uri=True)) as connection:
        with pytest.raises(sqlite3.Error) as caught:
            for part in statement.split(";"):
                connection.execute(part).fetchall()
        return caught.value


@pytest.mark.parametrize(
    ("statement", "options", "advice"),
    [
        ("PRAGMA max_page_count = 1; CREATE TABLE t (x)", "mode=memory", "the disk is full (database or disk is full)"),
        ("PRAGMA query_only = 1; CREATE TABLE t (x)", "mode=memory", "it cannot be written: check the permissions"),
        ("SELECT * FROM absent", "mode=memory", "no such table: absent"),
    ],
    ids=["full", "read-only", "anything else"],
)
def test_an_error_of_the_database_comes_with_advice(statement: str, options: str, advice: str) -> None:
    assert explained(sqlites_own(statement, options)).startswith(advice)


def test_an_error_of_the_system_is_told_as_it_is() -> None:
    error = PermissionError(13, "Permission denied", "tokens.db")
    assert explained(error) == "[Errno 13] Permission denied: 'tokens.db'"


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.swap(APP, None, app_entry(2**63)),
        lambda store: store.acquire(APP, "me", float("nan")),
        lambda store: store.acquire(APP, "\ud800", 60),
    ],
    ids=["revision", "ttl", "owner"],
)
def test_what_sqlite_cannot_keep_is_an_error_of_the_store(
    store: SQLiteTokenStore, call: Callable[[SQLiteTokenStore], object]
) -> None:
    with pytest.raises(StoreError) as caught:
        call(store)
    assert str(caught.value).startswith(f"the token store '{store.path}' failed: ")
    assert store.swap(APP, None, app_entry(1))


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"], ids=["set", "object", "bytes"])
def test_what_json_cannot_carry_is_an_error_that_names_the_place(store: SQLiteTokenStore, value: object) -> None:
    entry = user_entry(1)
    with pytest.raises(StoreError, match="`extra` holds what JSON cannot carry"):
        store.swap(USER, None, evolve(entry, token=evolve(entry.token, extra={"odd": value})))
    assert store.load(USER) is None


def refused(store: SQLiteTokenStore) -> None:
    edit(store, "UPDATE entries SET entry = replace(entry, 'revision', 'x')")
    store.load(USER)


def locked(store: SQLiteTokenStore) -> None:
    with closing(sqlite3.connect(store.path)) as another:
        another.execute("BEGIN IMMEDIATE")
        store.swap(USER, 1, user_entry(2, SECRET))


def unreadable(store: SQLiteTokenStore) -> None:
    store.swap(APP, None, app_entry(1, SECRET))
    edit(store, "UPDATE entries SET entry = CAST(CAST(entry AS BLOB) || X'FF' AS TEXT) WHERE of_user = 0")
    store.load(APP)


def too_large(store: SQLiteTokenStore) -> None:
    store.swap(StoreKey("https://exbo.net/oauth", "1"), None, user_entry(2**63, SECRET))


def not_json(store: SQLiteTokenStore) -> None:
    entry = user_entry(2, SECRET)
    store.swap(USER, 1, evolve(entry, token=evolve(entry.token, extra={"odd": {1}})))


@pytest.mark.parametrize("fail", [refused, locked, unreadable, too_large, not_json], ids=lambda fail: fail.__name__)
def test_no_secret_shows_in_a_traceback_with_locals(tmp_path: Path, fail: Callable[[SQLiteTokenStore], None]) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db", timeout=0.05)) as store:
        store.swap(USER, None, user_entry(1, SECRET))
        with pytest.raises(StoreError) as caught:
            fail(store)
    rendered = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert str(caught.value) in rendered
    assert SECRET not in rendered
    assert "def50200" not in rendered
    cause: BaseException | None = caught.value
    while cause is not None:
        assert SECRET not in f"{cause!r} {vars(cause)}"
        cause = cause.__cause__ or cause.__context__


# Resources


def test_a_store_that_is_dropped_closes_its_file(tmp_path: Path) -> None:
    gc.collect()  # what others left behind is not ours
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = SQLiteTokenStore(tmp_path / "tokens.db")
        store.swap(APP, None, app_entry(1))
        assert len(list(tmp_path.iterdir())) == 3
        del store
        gc.collect()
    assert [file.name for file in tmp_path.iterdir()] == ["tokens.db"], "the last connection folds up the log"
    assert [str(warning.message) for warning in caught] == []


def test_an_interrupted_transaction_leaves_no_lock(store: SQLiteTokenStore) -> None:
    class Interrupting:
        def __conform__(self, _: object) -> str:  # sqlite3 asks for a value while the transaction is open
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.acquire(APP, Interrupting(), 60)  # type: ignore[arg-type]  # the only way to be interrupted just then
    with closing(SQLiteTokenStore(store.path, timeout=0)) as another:
        assert another.acquire(APP, "me", 60)

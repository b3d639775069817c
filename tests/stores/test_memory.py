"""What is particular to the store in memory."""

import os
import subprocess
import sys
import time
import tracemalloc
from array import array
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import Entry, MemoryTokenStore, StoreKey, UserToken
from exbo_oauth.stores import Issue
from exbo_oauth.stores.packed import packed
from exbo_oauth.testing.store_samples import BASE_URL, NOON, USER, user_entry
from exbo_oauth.testing.store_suite import APP, app_entry, together

from .processes import finished, start

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def test_async_clients_may_call_it_on_the_loop() -> None:
    assert MemoryTokenStore.blocking is False


def test_closing_leaves_it_usable() -> None:
    store = MemoryTokenStore()
    store.swap(APP, None, app_entry(1))
    store.close()
    assert store.load(APP) == app_entry(1)


def test_two_stores_share_nothing() -> None:
    one, other = MemoryTokenStore(), MemoryTokenStore()
    one.swap(APP, None, app_entry(1))
    assert other.load(APP) is None


def test_a_lease_is_over_at_the_very_end_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store, now = MemoryTokenStore(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert store.acquire(APP, "one", 5)
    now[0] = 104.5
    assert (store.holder(APP), store.acquire(APP, "another", 5)) == ("one", False)
    now[0] = 105.0
    assert (store.holder(APP), store.acquire(APP, "another", 5)) == (None, True)


def test_the_repr_counts() -> None:
    store = MemoryTokenStore()
    store.swap(APP, None, app_entry(1))
    assert repr(store) == "<MemoryTokenStore, entries: 1>"


class Kind(UserToken):
    """A caller's own."""


ISSUE = Issue(at=NOON, by="host/1", why="first", fingerprint="0123abcd", target="eapi.stalcraft.net/regions")
PLAIN = app_entry(3)
TOLD = evolve(
    user_entry(2**40),
    accepted_at=NOON,
    history=(ISSUE, evolve(ISSUE, taken="host")),
    doubted=(("eapi.stalcraft.net", NOON),),
    followed=ISSUE,
)
CLASS = evolve(PLAIN, token=Kind(token_type="Bearer", access_token="a", refresh_token="b", expires_in=NOON))
AHEAD = timezone(timedelta(hours=3))


class Autumn(tzinfo):
    """Where an hour comes twice."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=1 if dt is not None and dt.fold else 2)

    def dst(self, dt: datetime | None) -> timedelta:
        return self.utcoffset(dt) - timedelta(hours=1)

    def tzname(self, dt: datetime | None) -> str:
        return f"autumn, {self.utcoffset(dt)}"


TWICE = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=Autumn())


def holding(value: Any) -> Entry:
    return evolve(PLAIN, token=evolve(PLAIN.token, extra={"x": value}))


def in_itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(PLAIN, id="a token alone"),
        pytest.param(TOLD, id="all notes"),
        pytest.param(evolve(PLAIN, issued_at=NOON.astimezone(AHEAD)), id="a moment elsewhere"),
        pytest.param(evolve(PLAIN, issued_at=TWICE), id="a moment in an hour that comes twice"),
        pytest.param(holding(NOON), id="extra that is not plain"),
        pytest.param(holding(bytearray(b"abc")), id="extra with a buffer"),
        pytest.param(holding([array("d", [1.5])]), id="extra with a buffer in a list"),
        pytest.param(holding({"a": [1, -0.0, None, True, (2,)]}), id="extra that is plain"),
        pytest.param(holding(float("nan")), id="extra that equals nothing"),
        pytest.param(evolve(PLAIN, revision=2**70), id="a revision of nine bytes"),
        pytest.param(evolve(PLAIN, revision=1.0), id="a revision that is a float"),
        pytest.param(CLASS, id="a class of the caller's"),
    ],
)
def test_what_comes_out_is_what_went_in(entry: Entry) -> None:
    store = MemoryTokenStore()
    assert store.swap(USER, None, entry)
    found = store.load(USER)
    assert found == entry
    assert found is not None
    assert type(found.token) is type(entry.token)
    assert {name: type(value) for name, value in found.token.extra.items()} == {
        name: type(value) for name, value in entry.token.extra.items()
    }
    assert not store.swap(USER, entry.revision - 1, None)
    assert store.swap(USER, entry.revision, None)


@pytest.mark.parametrize(
    ("entry", "plain"),
    [
        pytest.param(PLAIN, True, id="a token alone"),
        pytest.param(TOLD, True, id="all notes"),
        pytest.param(holding({"a": [1, -0.5, None, True, (2,)]}), True, id="extra that is plain"),
        pytest.param(holding({1: 2}), False, id="extra by numbers"),
        pytest.param(CLASS, False, id="a class of the caller's"),
    ],
)
def test_what_is_plain_is_kept_as_bytes(entry: Entry, plain: bool) -> None:
    assert isinstance(packed(entry), bytes) is plain


def test_what_contains_itself_is_kept_as_it_is() -> None:
    store, loop = MemoryTokenStore(), in_itself()
    assert store.swap(USER, None, holding(loop))
    found = store.load(USER)
    assert found is not None
    assert found.token.extra["x"] is loop


def test_nothing_is_left_of_an_application_whose_entries_are_gone() -> None:
    store = MemoryTokenStore()
    assert not store.swap(APP, 1, app_entry(2))
    assert store.swap(APP, None, None)
    assert store.swap(APP, None, app_entry(1))
    assert store.swap(APP, 1, None)
    assert not store._entries.reveal()


def test_many_tokens_take_little_more_than_their_own_length() -> None:
    store, number = MemoryTokenStore(), 2000

    def entry(account: int) -> Entry:
        token = UserToken(
            token_type="Bearer", access_token=f"{account:0640}", refresh_token=f"{account:0708}", expires_in=NOON
        )
        return Entry(token=token, revision=1, issued_by="host/1", issued_at=NOON, history=(ISSUE,))

    tracemalloc.start()
    try:
        for account in range(number):
            store.swap(StoreKey(BASE_URL, "59", f"telegram:{account}"), None, entry(account))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken / number < 1750


def test_no_update_is_lost_where_there_is_nothing_to_wait_for() -> None:
    store = MemoryTokenStore()
    store.swap(APP, None, app_entry(1))
    entries = [app_entry(revision) for revision in range(2002)]

    def raised(_: int) -> int:
        written = 0
        while (entry := store.load(APP)) is not None and entry.revision <= 2000:
            written += store.swap(APP, entry.revision, entries[entry.revision + 1])
        return written

    assert sum(together(4, raised)) == 2000


@forks
def test_a_child_goes_its_own_way() -> None:
    store = MemoryTokenStore()
    store.swap(APP, None, app_entry(1))
    store.acquire(APP, "parent", 3600)
    child = os.fork()
    if child == 0:
        fine = store.load(APP) == app_entry(1) and store.swap(APP, 1, None) and store.acquire(APP, "child", 3600)
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.load(APP) == app_entry(1)
    assert not store.acquire(APP, "another", 3600)


@forks
def test_a_fork_while_other_threads_are_at_work_leaves_no_lock_behind(tmp_path: Path) -> None:
    assert finished(start("fork_in_memory", tmp_path, 30)) == "30\n"


def test_importing_the_package_and_its_stores_loads_no_database() -> None:
    script = "import sys, exbo_oauth.stores; exbo_oauth.MemoryTokenStore(); sys.exit('sqlite3' in sys.modules)"
    root = Path(__file__).parents[2]
    # Not measured, for coverage loads one itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    assert subprocess.run([sys.executable, "-c", script], cwd=root, env=environment, check=False).returncode == 0

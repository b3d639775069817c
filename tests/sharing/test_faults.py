"""What happens to tokens when something goes wrong in the middle."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio
from attrs import evolve

from exbo_oauth import (
    AppToken,
    ConfigurationError,
    Entry,
    LoginRequiredError,
    MemoryTokenStore,
    OutcomeUnknownError,
    ReadOnlyError,
    SQLiteTokenStore,
    StoreError,
    StoreKey,
    TokenConflictError,
    UserToken,
)
from exbo_oauth.clients.keeper import Kept
from exbo_oauth.flow.effects import Lease
from exbo_oauth.testing import FakeExbo
from exbo_oauth.testing.store_suite import eventually

from .conftest import Sandbox
from .processes import ROOT, Worker

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def key_of(sandbox: Sandbox, account: str | None = None) -> StoreKey:
    return StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), account)


# A leader that is cancelled finishes saving.


async def cancel_a_task(ask: Callable[[], Any], held: Callable[[], Any]) -> None:
    task = asyncio.create_task(ask())
    await held()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def time_out(ask: Callable[[], Any], held: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.gather(asyncio.wait_for(ask(), 0.3), held())


async def cancel_a_scope(ask: Callable[[], Any], held: Callable[[], Any]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await held()
        group.cancel_scope.cancel()


async def cancel_a_trio_scope(ask: Callable[[], Any], held: Callable[[], Any]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await held()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("backend", "cancel"),
    [
        ("asyncio", cancel_a_task),
        ("asyncio", time_out),
        ("asyncio", cancel_a_scope),
        ("trio", cancel_a_scope),
        ("trio", cancel_a_trio_scope),
    ],
    ids=["task.cancel", "wait_for", "anyio on asyncio", "anyio on trio", "nursery"],
)
def test_a_cancelled_leader_saves_the_rotated_refresh_token(sandbox: Sandbox, backend: str, cancel: Any) -> None:
    store = MemoryTokenStore()
    old = sandbox.sign_in(store)
    gate = sandbox.fake.hold()

    async def main() -> None:
        async with sandbox.aio(store=store) as oauth:

            async def held() -> None:
                await gate.wait_async(1)
                threading.Timer(0.6, gate.release).start()

            await cancel(lambda: oauth.ensure_user_token("ivan", rejected=old), held)
            saved = store.load(key_of(sandbox, "ivan"))
            assert saved is not None
            assert isinstance(saved.token, UserToken)
            assert saved.token.refresh_token != old.refresh_token
            assert sandbox.fake.is_live(saved.token)
            assert await oauth.ensure_user_token("ivan", rejected=old) == saved.token

    posts = sandbox.posts
    anyio.run(main, backend=backend)
    assert sandbox.posts == posts + 1


def test_a_cancelled_waiter_costs_nothing(sandbox: Sandbox) -> None:
    gate = sandbox.fake.hold()

    async def main() -> None:
        async with sandbox.aio() as oauth:
            leader = asyncio.create_task(oauth.ensure_app_token())
            await gate.wait_async(1)
            waiter = asyncio.create_task(oauth.ensure_app_token())
            await asyncio.sleep(0)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            gate.release()
            assert sandbox.fake.is_live(await leader)

    asyncio.run(main())
    assert sandbox.posts == 1


INTERRUPTED = """
import sys
from exbo_oauth import SQLiteTokenStore, SyncOAuthClient
store = SQLiteTokenStore(sys.argv[1])
with SyncOAuthClient(client_id=sys.argv[2], client_secret=sys.argv[3], base_url=sys.argv[4], store=store) as oauth:
    token = store.load(next(iter(store.keys()))).token
    try:
        oauth.ensure_user_token("ivan", rejected=token)
    except KeyboardInterrupt:
        store.close()
        sys.exit(42)
"""


@posix
def test_ctrl_c_during_a_refresh_saves_the_rotated_refresh_token(sandbox: Sandbox, tmp_path: Path) -> None:
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    old = sandbox.sign_in(store)
    gate = sandbox.fake.hold()
    app = sandbox.fake.app
    arguments = [str(store.path), str(app.client_id), app.client_secret, sandbox.base_url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, *arguments], cwd=ROOT, env=environment)
    gate.wait(1, timeout=120)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    gate.release()
    assert process.wait(timeout=120) == 42
    saved = store.load(key_of(sandbox, "ivan"))
    store.close()
    assert saved is not None
    assert saved.token != old
    assert sandbox.fake.is_live(saved.token)


# A leader that is killed or stopped.


def test_a_lease_that_is_let_go_while_it_is_prolonged_is_not_taken_again() -> None:
    asked, gate, key = threading.Event(), threading.Event(), StoreKey("https://exbo.net/oauth", "59")

    class Slow(MemoryTokenStore):
        def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
            asked.set()
            assert gate.wait(60)
            return super().acquire(key, owner, ttl)

    store = Slow()
    kept = Kept(store, key, Lease("ours", 1.5, 600.0), lambda: False)
    kept.begin()
    assert asked.wait(60)
    kept.close()
    store.release(key, "ours")
    gate.set()
    assert eventually(lambda: not any(thread.name == "exbo-oauth leases" for thread in threading.enumerate()))
    assert store.holder(key) is None


@posix
def test_a_killed_holder_is_replaced(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "tokens.db"
    gate = sandbox.fake.hold(times=1)
    worker = Worker(sandbox, "threads", 1, path)  # its time-out is far away: nothing but the kill ends its request
    worker.go()
    gate.wait(1, timeout=120)
    worker.kill()
    gate.release()
    store = SQLiteTokenStore(path)
    with sandbox.sync(store=store) as oauth:
        assert sandbox.fake.is_live(oauth.ensure_app_token())
    store.close()
    assert sandbox.posts == 2


@posix
def test_a_holder_that_slept_through_its_lease_overwrites_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "tokens.db"
    worker = Worker(sandbox, "stopping", 1, path)
    worker.go()
    os.waitpid(worker.process.pid, os.WUNTRACED)  # it has its token, and stopped itself just before saving
    store = SQLiteTokenStore(path)
    with sandbox.sync(store=store) as oauth:
        newer = oauth.ensure_app_token()
        worker.process.send_signal(signal.SIGCONT)
        assert worker.result() == [sha256(newer.access_token.encode()).hexdigest()[:16]]
        saved = store.load(key_of(sandbox))
    store.close()
    assert saved is not None
    assert saved.token == newer
    assert sandbox.posts == 2


# Answers that are lost.


@pytest.mark.parametrize("arrived", [True, False], ids=["answer lost", "request lost"])
def test_a_lost_refresh_is_tried_once_more(sandbox: Sandbox, arrived: bool) -> None:
    store = MemoryTokenStore()
    old = sandbox.sign_in(store)
    sandbox.fake.lose_next_answer(processed=arrived)
    posts = sandbox.posts
    with sandbox.sync(store=store) as oauth:
        if arrived:  # the server rotated, and nobody knows the new pair
            with pytest.raises(LoginRequiredError) as caught:
                oauth.ensure_user_token("ivan", rejected=old)
            assert caught.value.account == "ivan"
            with pytest.raises(LoginRequiredError):
                oauth.ensure_user_token("ivan", rejected=old)
        else:
            assert sandbox.fake.is_live(oauth.ensure_user_token("ivan", rejected=old))
    assert sandbox.posts - posts <= 2


def test_two_lost_answers_are_an_unknown_outcome_and_lose_nothing(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()
    old = sandbox.sign_in(store)
    sandbox.fake.lose_next_answer(processed=False, times=2)
    with sandbox.sync(store=store) as oauth:
        with pytest.raises(OutcomeUnknownError):
            oauth.ensure_user_token("ivan", rejected=old)
        assert sandbox.fake.is_live(oauth.ensure_user_token("ivan", rejected=old))


def test_a_new_sign_in_ends_the_need_for_one(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()
    old = sandbox.sign_in(store)
    sandbox.fake.revoke(old, refresh_too=True)
    with sandbox.sync(store=store) as oauth:
        with pytest.raises(LoginRequiredError):
            oauth.ensure_user_token("ivan", rejected=old)
        new = sandbox.sign_in(store)
        assert oauth.ensure_user_token("ivan", rejected=old) == new


# Another deployment.


def test_three_supersessions_in_a_row_are_a_conflict(sandbox: Sandbox) -> None:
    with sandbox.sync() as oauth:
        for _ in range(2):
            token = oauth.ensure_app_token()
            sandbox.fake.supersede()
            assert oauth.ensure_app_token(rejected=token) != token
        token = oauth.ensure_app_token()
        posts = sandbox.posts
        for _ in range(2):
            with pytest.raises(TokenConflictError) as caught:
                oauth.ensure_app_token(rejected=token)
            assert caught.value.issuer
        with httpx.Client(auth=oauth.app_auth()) as api:  # nobody but us says that the newest is dead
            assert api.get(sandbox.resource).status_code == 200
    assert sandbox.posts == posts


def test_a_conflict_is_seen_by_the_whole_fleet(sandbox: Sandbox, tmp_path: Path) -> None:
    # Each client has a store object and a memory of its own, as each process has.
    stores = [SQLiteTokenStore(tmp_path / "tokens.db") for _ in range(3)]
    clients = [sandbox.sync(store=store) for store in stores]
    token = clients[0].ensure_app_token()
    for client in clients[:2]:
        token = client.ensure_app_token(rejected=token)
    with pytest.raises(TokenConflictError):
        clients[2].ensure_app_token(rejected=token)
    for closing in (*clients, *stores):
        closing.close()


def test_a_natural_end_is_no_conflict(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()
    with sandbox.sync(store=store) as oauth:
        for _ in range(5):
            token = oauth.ensure_app_token()
            entry = store.load(key_of(sandbox))
            assert entry is not None
            past = datetime.now(UTC) - timedelta(seconds=1)
            ended = evolve(entry, token=evolve(token, expires_in=past), revision=entry.revision + 1)
            assert store.swap(key_of(sandbox), entry.revision, ended)
            assert oauth.ensure_app_token(rejected=token).access_token != token.access_token


# Adopting, reading only, lifetimes.


def test_a_newer_token_is_adopted_and_nothing_is_issued(sandbox: Sandbox, tmp_path: Path) -> None:
    ours, theirs = (SQLiteTokenStore(tmp_path / "tokens.db") for _ in range(2))
    with sandbox.sync(store=ours) as oauth, sandbox.sync(store=theirs) as other:
        first = oauth.ensure_app_token()
        second = other.ensure_app_token(rejected=first)
        assert oauth.ensure_app_token() == first  # it cannot know yet
        assert oauth.ensure_app_token(rejected=first) == second
        assert oauth.ensure_app_token(rejected=first.access_token) == second
    ours.close()
    theirs.close()
    assert sandbox.posts == 2


def test_a_follower_reads_and_never_issues(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()
    with sandbox.sync(store=store, issue="never") as follower, sandbox.sync(store=store) as leader:
        with pytest.raises(ReadOnlyError):
            follower.ensure_app_token()
        token = leader.ensure_app_token()
        assert follower.ensure_app_token() == token
        with pytest.raises(ReadOnlyError):
            follower.ensure_app_token(rejected=token)
        with pytest.raises(ReadOnlyError):
            follower.save_user_token("ivan", sandbox.sign_in(store))
        assert sandbox.fake.is_live(follower.get_app_token())  # an explicit call is explicit
    with pytest.raises(ConfigurationError):
        sandbox.sync(issue="sometimes")


def test_a_short_lived_kind_is_served_until_it_ends_and_one_that_lives_little_longer_for_half_its_life() -> None:
    fake = FakeExbo(token_ttl=10)
    with fake.serve() as base_url:
        sandbox = Sandbox(fake, base_url)
        with sandbox.sync() as oauth:
            token = oauth.ensure_app_token(min_ttl=60)
            assert oauth.ensure_app_token(min_ttl=9.999) is token
            time.sleep(5.1)
            assert oauth.ensure_app_token(min_ttl=60) is token
            assert oauth.ensure_app_token(min_ttl=9.999) != token
        assert sandbox.posts == 2


def test_accounts_are_saved_listed_and_forgotten(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()
    token = sandbox.sign_in(store, "olga")
    with sandbox.sync(store=store) as oauth:
        oauth.save_user_token(42, token)
        assert oauth.accounts() == ["42", "olga"]
        assert oauth.ensure_user_token("42") == token
        oauth.forget_user_token(42)
        assert oauth.accounts() == ["olga"]
        with pytest.raises(LoginRequiredError):
            oauth.ensure_user_token(42)


# A store that fails.


class BrokenStore(MemoryTokenStore):
    """Refuses writes for as long as it is told to."""

    broken = False

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        if BrokenStore.broken:
            raise OSError("no space left for def50200")
        return super().swap(key, expected, entry)


def test_a_token_that_cannot_be_saved_is_rescued(sandbox: Sandbox) -> None:
    store = BrokenStore()
    old = sandbox.sign_in(store)
    posts = sandbox.posts
    with sandbox.sync(store=store) as oauth:
        BrokenStore.broken = True
        try:
            with pytest.raises(StoreError) as caught:
                oauth.ensure_user_token("ivan", rejected=old)
        finally:
            BrokenStore.broken = False
        rescued = caught.value.token
        assert isinstance(rescued, UserToken)
        assert sandbox.fake.is_live(rescued)
        assert oauth.ensure_user_token("ivan", rejected=old) == rescued
    assert sandbox.posts == posts + 1
    saved = store.load(key_of(sandbox, "ivan"))
    assert saved is not None
    assert saved.token == rescued


def test_a_token_of_another_kind_in_the_store_is_an_error(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()
    token = AppToken(token_type="Bearer", access_token="x", expires_in=3600)
    now = datetime.now(UTC)
    store.swap(key_of(sandbox, "ivan"), None, Entry(token=token, revision=1, issued_by="test", issued_at=now))
    with sandbox.sync(store=store) as oauth, pytest.raises(StoreError):
        oauth.ensure_user_token("ivan")

"""Leaders whose event loop ends, blocks or cancels them in a scope, and processes that another signal ends."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import ref

import anyio
import httpx
import pytest

from exbo_oauth import ConfigurationError, MemoryTokenStore, ServerError, SQLiteTokenStore, StoreKey, UserToken
from exbo_oauth.flow import trials

from ..stores.servers import until
from .conftest import Sandbox, at_once, awaited_by
from .processes import ROOT

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    made: Any = MemoryTokenStore() if request.param == "memory" else SQLiteTokenStore(tmp_path / "tokens.db")
    yield made
    made.close()


def check_saved(sandbox: Sandbox, store: Any, old: UserToken) -> None:
    """The rotated pair is in the store, and good."""
    saved = store.load(StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), "ivan")).token
    assert saved.refresh_token != old.refresh_token
    assert sandbox.fake.is_live(saved)
    assert sandbox.fake.is_live(saved.refresh_token)


def released_later(gate: Any) -> None:
    """Not before whoever was cancelled had every chance to give up."""
    threading.Timer(0.3, gate.release).start()


def test_a_leader_finishes_saving_while_its_event_loop_ends(sandbox: Sandbox, store: Any) -> None:
    """`asyncio.run` cancels every task that it finds when `main` returns."""
    old = sandbox.sign_in(store)
    background: list[asyncio.Task[Any]] = []

    async def main() -> None:
        oauth = sandbox.aio(store=store)
        gate = sandbox.fake.hold()
        background.append(asyncio.create_task(oauth.ensure_user_token("ivan", rejected=old)))
        await gate.wait_async(1)
        released_later(gate)

    asyncio.run(main())
    assert background[0].cancelled()
    background.clear()
    with pytest.warns(ResourceWarning, match="unclosed AsyncOAuthClient") as seen:
        until(lambda: gc.collect() >= 0 and len(seen), "the client is kept alive")  # a thread may still end with it
    check_saved(sandbox, store, old)


def test_a_leader_that_is_cancelled_again_and_again_finishes_saving(sandbox: Sandbox, store: Any) -> None:
    old = sandbox.sign_in(store)

    async def main() -> None:
        async with sandbox.aio(store=store) as oauth:
            gate = sandbox.fake.hold()
            task = asyncio.create_task(oauth.ensure_user_token("ivan", rejected=old))
            await gate.wait_async(1)
            for _ in range(5):
                task.cancel()
                await asyncio.sleep(0.01)
            assert not task.done()
            gate.release()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    check_saved(sandbox, store, old)


@BACKENDS
def test_a_scope_that_cancels_a_leader_hears_of_it(sandbox: Sandbox, store: Any, backend: str) -> None:
    old = sandbox.sign_in(store)

    async def main() -> None:
        gate = sandbox.fake.hold()
        async with sandbox.aio(store=store) as oauth, anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(cancel_when_caught, scope, gate)
                await oauth.ensure_user_token("ivan", rejected=old)
            assert scope.cancelled_caught

    async def cancel_when_caught(scope: anyio.CancelScope, gate: Any) -> None:
        await gate.wait_async(1)
        scope.cancel()
        released_later(gate)

    anyio.run(main, backend=backend)
    check_saved(sandbox, store, old)


@BACKENDS
def test_those_who_waited_for_a_cancelled_leader_are_served(sandbox: Sandbox, store: Any, backend: str) -> None:
    old = sandbox.sign_in(store)
    posts = sandbox.posts
    got: list[UserToken] = []

    async def main() -> None:
        gate = sandbox.fake.hold()
        async with sandbox.aio(store=store) as oauth, anyio.create_task_group() as group:

            async def wait() -> None:
                got.append(await oauth.ensure_user_token("ivan", rejected=old))

            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as leading:
                    leading.start_soon(wait)
                    await gate.wait_async(1)
                    for _ in range(20):
                        group.start_soon(wait)
                    released_later(gate)
                    scope.cancel()

    anyio.run(main, backend=backend)
    assert len(got) == 20
    assert {token.access_token for token in got} == {sandbox.fake.issued[-1].access_token}
    assert sandbox.posts == posts + 1


def test_waiters_leave_a_leader_on_a_blocked_event_loop(sandbox: Sandbox) -> None:
    """Nobody can settle that flight. The others go on after the lease, and the store has the last word."""
    store = MemoryTokenStore()
    gate, free = sandbox.fake.hold(times=1), threading.Event()

    async def main() -> None:
        async with sandbox.aio(store=store, timeout=1) as oauth, anyio.create_task_group() as group:
            group.start_soon(block)
            await oauth.ensure_app_token()

    async def block() -> None:
        await gate.wait_async(1)
        free.wait(60)

    async def wait() -> Any:
        async with sandbox.aio(store=store, timeout=1) as oauth:
            return await oauth.ensure_app_token()

    with ThreadPoolExecutor(2) as pool, sandbox.sync(store=store, timeout=1) as oauth:
        blocked = pool.submit(anyio.run, main)
        gate.wait(1)
        other = pool.submit(anyio.run, wait)
        assert sandbox.fake.is_live(oauth.ensure_app_token())
        assert sandbox.fake.is_live(other.result(120))
        free.set()
        blocked.result(120)
    saved = store.load(StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id)))
    assert saved is not None
    assert sandbox.fake.is_live(saved.token)


def test_a_blocking_call_that_would_wait_for_its_own_thread_says_so(sandbox: Sandbox) -> None:
    store = MemoryTokenStore()

    async def main() -> None:
        gate = sandbox.fake.hold()
        async with sandbox.aio(store=store) as oauth, anyio.create_task_group() as group:
            group.start_soon(oauth.ensure_app_token)
            await gate.wait_async(1)
            with sandbox.sync(store=store) as blocking:
                with pytest.raises(ConfigurationError, match="on an event loop use AsyncOAuthClient"):
                    blocking.ensure_app_token()
                gate.release()

    anyio.run(main)
    assert sandbox.posts == 1


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as Python says of loops that were not finished
def test_the_lease_of_a_loop_that_was_closed_unfinished_ends_by_itself(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exbo_oauth.clients.base._LEASE", 0.6)
    sandbox.fake.fail_next(503, retry_after=5)
    store, key = MemoryTokenStore(), StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id))

    async def begin() -> "asyncio.Task[Any]":
        task = asyncio.create_task(sandbox.aio(store=store).ensure_app_token())
        while "sleep" not in awaited_by(task):  # it is to ask again in five seconds
            assert not task.done()
            await asyncio.sleep(0.01)
        return task

    def leave_unfinished() -> "ref[asyncio.Task[Any]]":
        with closing(asyncio.new_event_loop()) as loop:
            task = loop.run_until_complete(begin())
        until(lambda: store.acquire(key, "another", 60), "the lease is kept for nobody")
        return ref(task)

    left = leave_unfinished()
    until(lambda: gc.collect() >= 0 and left() is None, "the task is kept alive")
    assert store.holder(key) == "another"


@BACKENDS
def test_a_mark_whose_owner_is_cancelled_while_it_is_left_is_taken_away(
    sandbox: Sandbox, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "BOUND", 600.0)
    asked, gate, marks = threading.Event(), threading.Event(), list[StoreKey]()

    class Slow(SQLiteTokenStore):
        def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
            if "#" in key.base_url:
                marks.append(key)
                asked.set()
                gate.wait(60)
            return super().acquire(key, owner, ttl)

    async def main() -> None:
        async with sandbox.aio(store=store) as oauth, httpx.AsyncClient(auth=oauth.app_auth(), timeout=60) as api:
            assert (await api.get(sandbox.resource)).status_code == 200
            sandbox.fake.supersede()
            async with anyio.create_task_group() as group:
                group.start_soon(api.get, sandbox.resource)
                await anyio.to_thread.run_sync(asked.wait)
                group.cancel_scope.cancel()
            gate.set()

    store = Slow(tmp_path / "tokens.db")
    anyio.run(main, backend=backend)
    until(lambda: store.holder(marks[0]) is None, "the mark stays")
    store.close()


def test_a_leader_needs_no_thread_that_those_who_wait_for_it_have(sandbox: Sandbox, store: Any) -> None:
    """A web framework runs blocking endpoints in the forty threads that an async store would like to use."""

    async def main() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        gate = sandbox.fake.hold()
        with sandbox.sync(store=store) as blocking:
            async with sandbox.aio(store=store) as oauth, anyio.create_task_group() as group:
                group.start_soon(oauth.ensure_app_token)
                await gate.wait_async(1)
                for _ in range(int(limiter.total_tokens)):
                    group.start_soon(anyio.to_thread.run_sync, blocking.ensure_app_token)
                while limiter.available_tokens:  # noqa: ASYNC110  # a limiter has no event
                    await anyio.sleep(0.01)
                gate.release()

    anyio.run(main)
    assert sandbox.posts == 1


def test_threads_that_wait_for_a_failing_issue_get_its_error(sandbox: Sandbox, store: Any) -> None:
    sandbox.fake.fail_next(500, times=1000)
    gate = sandbox.fake.hold(times=1)

    def fails() -> Exception:
        with pytest.raises(ServerError) as caught:
            oauth.ensure_app_token()
        return caught.value

    with sandbox.sync(store=store, max_retries=2) as oauth, ThreadPoolExecutor(1) as pool:
        pool.submit(release_when_all_wait, gate, 99)
        errors = at_once(100, fails)
    assert len({str(error) for error in errors}) == 1
    assert len(set(map(id, errors))) == 100
    assert sandbox.posts == 3


def release_when_all_wait(gate: Any, count: int) -> None:
    while sum(map(is_waiting, sys._current_frames().values())) < count:
        gate.pass_through(0.02)
    gate.release()


def is_waiting(frame: Any) -> bool:
    """Whether a thread waits for another one's flight."""
    while frame is not None and frame.f_code.co_qualname != "Promise.wait":
        frame = frame.f_back
    return frame is not None


TERMINATED = """
import signal, sys
from exbo_oauth import SQLiteTokenStore, SyncOAuthClient
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
store = SQLiteTokenStore(sys.argv[1])
with SyncOAuthClient(client_id=sys.argv[2], client_secret=sys.argv[3], base_url=sys.argv[4], store=store) as oauth:
    oauth.ensure_user_token("ivan", rejected=store.load(next(iter(store.keys()))).token)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_script_that_is_told_to_end_saves_first(sandbox: Sandbox, tmp_path: Path) -> None:
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    old, app, gate = sandbox.sign_in(store), sandbox.fake.app, sandbox.fake.hold()
    arguments = [str(store.path), str(app.client_id), app.client_secret, sandbox.base_url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", TERMINATED, *arguments], cwd=ROOT, env=environment) as process:
        gate.wait(1, timeout=120)
        process.send_signal(signal.SIGTERM)
        released_later(gate)
        assert process.wait(timeout=120) == 42
    check_saved(sandbox, store, old)
    store.close()

"""Clients that come and go, and calls, leave nothing behind: no file, thread, task, object or memory.

A server in another process answers. Each thing is done a few times before anything is counted, so that what is made
once for all is there.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import asdict, frozen

from exbo_oauth import AsyncOAuthClient, MemoryTokenStore, SQLiteTokenStore, SyncOAuthClient

HERE = Path(__file__).parent
OURS = ("exbo_oauth", "httpx", "httpcore", "anyio")
SOME = 20


@pytest.fixture(scope="module")
def application() -> Iterator[dict[str, Any]]:
    """What clients of the server's application are made with."""
    pipe, root = subprocess.PIPE, str(HERE.parents[1])
    command = [sys.executable, str(HERE / "serving.py")]
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())
        server.communicate()


@frozen
class Count:
    """What there is of everything. `memory` is in bytes."""

    files: int
    threads: int
    tasks: int
    objects: int
    memory: int

    @classmethod
    def now(cls) -> "Count":
        for _ in range(3):
            gc.collect()
        folder = Path("/dev/fd")
        return cls(
            files=len(list(folder.iterdir())) if folder.exists() else 0,
            threads=threading.active_count(),
            tasks=_tasks(),
            objects=sum(str(type(one).__module__).partition(".")[0] in OURS for one in gc.get_objects()),
            memory=tracemalloc.get_traced_memory()[0],
        )


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop of asyncio's runs here
        return 0


# What a client that is not quite gone yet may have; a thousand of them would have more of each.
# As to memory: trio forgets deadlines that are over when there are more than a thousand of them, and keeps the scope of
# each, some 250 bytes, until then (`DEADLINE_HEAP_MIN_PRUNE_THRESHOLD`): 300 kB at most, and not ours. On asyncio a
# thousand dropped clients left 75 kB, small objects that Python itself keeps to use them again.
STRAY = Count(files=3, threads=2, tasks=2, objects=200, memory=600_000)


def check(before: Count, after: Count, times: int) -> None:
    grown = {name: getattr(after, name) - value for name, value in asdict(before).items()}
    print(f"{times} times: {grown}")
    for name, amount in grown.items():
        assert amount <= getattr(STRAY, name) + (100 * times if name == "memory" else 0), name


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def blocking(work: Callable[[], object], times: int) -> None:
    for _ in range(SOME):
        work()
    before = Count.now()
    for _ in range(times):
        work()
    check(before, Count.now(), times)


async def asynchronous(work: Callable[[], Awaitable[object]], times: int) -> None:
    for _ in range(SOME):
        await work()
    await settled()
    before = Count.now()
    for _ in range(times):
        await work()
    await settled()
    check(before, Count.now(), times)


def collect() -> None:
    """Collect the last ones now: what they complain of is this test's."""
    for _ in range(3):
        gc.collect()


async def settled() -> None:
    """What ends a few steps later has ended."""
    for _ in range(4):
        gc.collect()
        await anyio.sleep(0.05)


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
# Python, trio and we say of what is dropped that it should have been closed. As an error, that would be kept by pytest
# until the end of the test, and with it the frames that it comes from and the client in them.
DROPPED = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_blocking_clients_that_are_closed(application: dict[str, Any], clients: int) -> None:
    store = MemoryTokenStore()

    def use() -> None:
        with SyncOAuthClient(**application, store=store) as oauth:
            oauth.get_app_token()
            oauth.ensure_app_token()

    blocking(use, clients)


@DROPPED
def test_blocking_clients_that_are_dropped(application: dict[str, Any], clients: int) -> None:
    blocking(lambda: SyncOAuthClient(**application).ensure_app_token(), clients)
    collect()


@BACKENDS
def test_asynchronous_clients_that_are_closed(application: dict[str, Any], clients: int, backend: str) -> None:
    store = MemoryTokenStore()

    async def hear(_: object) -> None:
        """Has a task for each event."""

    async def use() -> None:
        async with AsyncOAuthClient(**application, store=store, on_event=hear) as oauth:
            await oauth.get_app_token()
            await oauth.replace_app_token()

    anyio.run(asynchronous, use, clients, backend=backend)


@DROPPED
@BACKENDS
def test_asynchronous_clients_that_are_dropped(application: dict[str, Any], clients: int, backend: str) -> None:
    async def use() -> None:
        await AsyncOAuthClient(**application).ensure_app_token()

    anyio.run(asynchronous, use, clients, backend=backend)
    collect()


def test_calls_of_one_blocking_client(application: dict[str, Any], calls: int, tmp_path: Path) -> None:
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    with SyncOAuthClient(**application, store=store) as oauth:
        blocking(lambda: (oauth.get_app_token(), oauth.replace_app_token()), calls // 2)
    store.close()


@BACKENDS
def test_calls_of_one_asynchronous_client(
    application: dict[str, Any], calls: int, backend: str, tmp_path: Path
) -> None:
    store = SQLiteTokenStore(tmp_path / "tokens.db")

    async def main() -> None:
        async with AsyncOAuthClient(**application, store=store) as oauth:

            async def use() -> None:
                await oauth.get_app_token()
                await oauth.replace_app_token()

            await asynchronous(use, calls // 2)

    anyio.run(main, backend=backend)
    store.close()


@BACKENDS
def test_event_loops_that_one_client_serves(application: dict[str, Any], clients: int, backend: str) -> None:
    oauth = AsyncOAuthClient(**application)
    blocking(lambda: anyio.run(oauth.get_app_token, backend=backend), clients // 4)
    anyio.run(oauth.aclose)


@DROPPED
def test_event_loops_that_are_closed_unfinished(application: dict[str, Any], clients: int) -> None:
    oauth = AsyncOAuthClient(**application)

    def use() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(oauth.get_app_token())
        loop.close()

    blocking(use, clients // 4)
    anyio.run(oauth.aclose)
    collect()

"""From the first connection to the last: made late, closed for certain, one per event loop, good in every thread."""

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from exbo_oauth import AsyncOAuthClient, ConfigurationError, MemoryTokenStore, SyncOAuthClient
from exbo_oauth.testing import FakeExbo

from .calls import CALLS, new_pair, unprepared
from .conftest import Surface
from .raw import Connection, answer, raw_server

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def _async_client(fake: FakeExbo, **options: Any) -> AsyncOAuthClient[Any, Any, Any]:
    return Surface("asyncio").raw_client(fake, **options)  # type: ignore[no-any-return]  # it is one of either colour


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Whatever a test leaves open is found here: a warning is an error."""
    yield
    gc.collect()


# Making


@pytest.mark.parametrize("kind", ["SyncOAuthClient", "AsyncOAuthClient"])
def test_a_client_that_is_only_made_loads_no_http_library_and_opens_nothing(kind: str) -> None:
    program = f"""
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("no connection before the first call")
socket.socket.connect = refuse
import exbo_oauth
client = exbo_oauth.{kind}(client_id=1, client_secret="secret")
client.get_authorize_url("state")
client.ratelimit, repr(client)
loaded = {{"httpx", "httpx2", "httpcore", "cattrs"}} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_one_connection_serves_one_call_after_the_other(surface: Surface) -> None:
    token = b'{"token_type": "Bearer", "expires_in": 60, "access_token": "a.b.c"}'

    def serve(connection: Connection) -> None:
        while not connection.over.is_set():
            connection.send(answer("200 OK", token))
            if not connection.next_request():
                return

    async def scenario(client: Any) -> None:
        for _ in range(5):
            await client.get_app_token()

    with raw_server(serve) as server:
        surface.call(surface.client(base_url=server.base_url), scenario)
        assert server.connections == 1


# Closing


async def _use_after_close(client: Any) -> None:
    await client.aclose()
    await client.aclose()
    calls = [unprepared(name) for name in CALLS]
    calls += [lambda client: client.ensure_app_token(), lambda client: client.accounts()]
    for act in calls:
        with pytest.raises(ConfigurationError, match="closed"):
            await act(client)


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_closed_client_says_so_and_may_be_closed_again(surface: Surface, served: FakeExbo, used: bool) -> None:
    async def scenario(client: Any) -> None:
        if used:
            await client.ensure_app_token()
        await _use_after_close(client)
        assert client.get_authorize_url("needs no connection")

    surface.run(scenario, surface.client(served))
    assert len(served.requests) == used


@BACKENDS
def test_close_is_the_older_name_of_aclose(served: FakeExbo, backend: str) -> None:
    async def scenario() -> None:
        client = _async_client(served)
        await client.get_app_token()
        await client.close()
        with pytest.raises(ConfigurationError, match="closed"):
            await client.get_app_token()

    anyio.run(scenario, backend=backend)


def test_a_block_closes_the_client_also_when_it_fails(surface: Surface, served: FakeExbo) -> None:
    client = surface.client(served)

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            async with client as entered:
                assert entered is client
                await entered.get_app_token()
                raise ZeroDivisionError
        with pytest.raises(ConfigurationError, match="closed"):
            await client.get_app_token()

    surface.run(scenario)


def test_a_call_that_waits_to_be_repeated_opens_nothing_after_close(surface: Surface, served: FakeExbo) -> None:
    served.fail_next(503, retry_after=1)
    client = surface.raw_client(served)

    def waiting() -> bool:
        return [request.status for request in served.requests] == [503]

    def close_meanwhile() -> None:
        while not waiting():
            time.sleep(0.01)
        client.close()

    async def close_meanwhile_async() -> None:
        while not waiting():  # noqa: ASYNC110  # the server is no task of this loop
            await anyio.sleep(0.01)
        await client.aclose()

    async def scenario() -> None:
        with pytest.raises(ConfigurationError, match="closed"):
            await surface.awaited(client).get_app_token()

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(scenario)
            group.start_soon(close_meanwhile_async)

    if surface.blocking:
        closing = threading.Thread(target=close_meanwhile)
        closing.start()
        surface.run(scenario)
        closing.join()
    else:
        surface.run(both)
    assert len(served.requests) == 1


class Store(MemoryTokenStore):
    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_store_of_the_callers_is_left_open(surface: Surface, served: FakeExbo) -> None:
    store = Store()
    surface.call(surface.client(served, store=store), lambda client: client.ensure_app_token())
    assert not store.closed


def _used(surface: Surface, fake: FakeExbo, *, close: bool) -> None:
    client = surface.client(fake)

    async def scenario() -> None:
        await client.get_app_token()
        if close:
            await client.aclose()

    surface.run(scenario)


def test_a_client_that_was_used_and_never_closed_is_complained_about(surface: Surface, served: FakeExbo) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _used(surface, served, close=False)
        for _ in range(3):  # the sockets beneath it go a round later
            gc.collect()
    [ours] = [warning for warning in caught if "OAuthClient" in str(warning.message)]
    assert ours.category is ResourceWarning
    assert f"unclosed {surface.kind.__name__}" in str(ours.message)
    assert "close()" in str(ours.message)
    assert served.app.client_secret not in str(ours.message)


def test_a_client_that_was_closed_or_never_used_is_not_complained_about(surface: Surface, served: FakeExbo) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _used(surface, served, close=True)
        surface.raw_client(served)
        with pytest.raises(ConfigurationError):
            surface.raw_client(served, timeout=-1)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_client_that_only_used_the_callers_http_client_is_not_complained_about(
    surface: Surface, fake: FakeExbo
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        async def scenario() -> None:
            await surface.client(fake, http_client=surface.raw_http(transport=fake.transport())).get_app_token()

        surface.run(scenario)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


# Event loops


@BACKENDS
def test_a_client_serves_one_event_loop_after_another(served: FakeExbo, backend: str) -> None:
    client = _async_client(served)

    async def scenario() -> None:
        await client.get_app_token()
        await client.get_app_token()

    for _ in range(3):
        anyio.run(scenario, backend=backend)
        gc.collect()
    anyio.run(client.aclose, backend=backend)
    assert len(served.requests) == 6


def test_a_client_serves_asyncio_and_trio_in_turns(served: FakeExbo) -> None:
    client = _async_client(served)
    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(client.get_app_token, backend=backend)
    asyncio.run(client.aclose())
    assert len(served.requests) == 3


def test_asyncio_run_twice_leaves_nothing_behind(served: FakeExbo) -> None:
    gc.collect()  # what others left behind is not ours
    client = _async_client(served)
    loops = []

    async def scenario() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await client.get_app_token()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            asyncio.run(scenario(), debug=True)
        gc.collect()
    asyncio.run(client.aclose())
    assert [str(warning.message) for warning in caught] == []
    gc.collect()
    assert [loop() for loop in loops] == [None, None]


def _left_of(kind: str) -> int:
    gc.collect()
    return sum(type(one).__name__ == kind for one in gc.get_objects())


@BACKENDS
def test_a_loop_keeps_nothing_of_clients_that_were_closed_on_it(served: FakeExbo, backend: str) -> None:
    async def one() -> None:
        async with _async_client(served) as client:
            await client.get_app_token()

    def left() -> tuple[int, int]:
        return _left_of("AsyncClient"), _left_of("RunVar")

    async def scenario() -> None:
        await one()
        clients, variables = left()
        for _ in range(5):
            await one()
        with anyio.fail_after(60):
            while not (left()[0] <= clients and left()[1] <= variables):  # noqa: ASYNC110  # nobody tells of it
                await anyio.sleep(0.05)  # a task of the last one's may end a few steps later

    anyio.run(scenario, backend=backend)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as Python says of loops that were not finished
def test_a_client_keeps_nothing_of_loops_that_were_closed_unfinished(served: FakeExbo) -> None:
    client = _async_client(served)
    loops = []
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loops.append(weakref.ref(loop))
        loop.run_until_complete(client.get_app_token())
        loop.close()
        del loop
    asyncio.run(client.aclose())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 5


def test_a_client_serves_two_loops_in_two_threads_at_once(served: FakeExbo) -> None:
    client = _async_client(served)
    both = threading.Barrier(2)

    async def scenario() -> int:
        done = 0
        await anyio.to_thread.run_sync(both.wait)
        for _ in range(20):
            await client.get_app_token()
            done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(anyio.run, scenario, backend=backend) for backend in ("asyncio", "trio")]
        assert [future.result() for future in running] == [20, 20]
    asyncio.run(client.aclose())
    assert len(served.requests) == 40


@BACKENDS
def test_tasks_share_a_client(served: FakeExbo, backend: str) -> None:
    surface = Surface(backend)

    async def scenario(client: Any) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(32):
                group.start_soon(client.get_app_token)

    surface.call(surface.client(served), scenario)
    assert len(served.requests) == 32


def test_sixteen_threads_share_a_client(served: FakeExbo) -> None:
    together = threading.Barrier(16)

    def work(client: Any) -> set[str]:
        together.wait()
        return {client.get_app_token().access_token for _ in range(5)}

    with (
        SyncOAuthClient(
            client_id=served.app.client_id, client_secret=served.app.client_secret, base_url=served.base_url
        ) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        results = [future.result() for future in [pool.submit(work, client) for _ in range(16)]]
    assert len(set().union(*results)) == 80
    assert len(served.requests) == 80


def test_sixteen_threads_that_ensure_a_token_are_issued_one(served: FakeExbo) -> None:
    together = threading.Barrier(16)

    def work(client: Any) -> str:
        together.wait()
        return str(client.ensure_app_token().access_token)

    with Surface("sync").raw_client(served) as client, ThreadPoolExecutor(16) as pool:
        results = {future.result() for future in [pool.submit(work, client) for _ in range(16)]}
    assert len(results) == 1
    assert len(served.requests) == 1


def test_the_blocking_client_works_where_a_loop_is_running(served: FakeExbo) -> None:
    """As in a notebook cell."""

    async def cell() -> str:
        with Surface("sync").raw_client(served) as client:
            client.ensure_app_token()
            return str(client.get_app_token().access_token)

    assert asyncio.run(cell())


def test_the_async_client_works_in_a_loop_that_goes_on_between_cells(served: FakeExbo) -> None:
    loop = asyncio.new_event_loop()
    try:
        client = _async_client(served)
        first = loop.run_until_complete(client.ensure_app_token())
        assert loop.run_until_complete(client.ensure_app_token()) is first
        loop.run_until_complete(client.get_app_token())
        loop.run_until_complete(client.aclose())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    assert len(served.requests) == 2


# Processes


def _in_child(work: Any) -> int:
    """Run `work` in a forked child; 0 if all went well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads: the very thing that is tried
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_uses_the_clients_of_its_parent(surface: Surface, served: FakeExbo) -> None:
    pair = new_pair(served)
    client = surface.client(served)

    async def use() -> None:
        assert (await client.validate_user_token(pair.access_token)).login == "ivan"

    def child() -> None:
        surface.run(use)
        surface.run(client.aclose)

    async def close() -> None:
        await client.aclose()

    surface.run(use)
    assert _in_child(child) == 0
    surface.run(use)
    surface.run(close)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_child_forked_in_the_middle_of_a_renewal_renews_by_itself(served: FakeExbo) -> None:
    client = Surface("sync").raw_client(served)
    with served.hold(times=1) as gate:
        leader = threading.Thread(target=client.ensure_app_token)
        leader.start()
        gate.wait()
        # The lease is in memory, so the child inherits one that nobody releases: a second client is no part of it.
        assert _in_child(lambda: Surface("sync").raw_client(served).ensure_app_token()) == 0
        assert _in_child(client.get_app_token) == 0
    leader.join()
    client.close()
    assert len(served.requests) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_child_neither_closes_nor_reuses_its_parents_connection(served: FakeExbo) -> None:
    with Surface("sync").raw_client(served) as client:
        client.get_app_token()

        def child() -> None:
            client.get_app_token()
            client.close()
            gc.collect()

        assert _in_child(child) == 0
        client.get_app_token()
    assert len(served.requests) == 3


# What the libraries beneath write into logs


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG], ids=["info", "debug"])
def test_logs_show_no_secret(surface: Surface, served: FakeExbo, caplog: pytest.LogCaptureFixture, level: int) -> None:
    pair = new_pair(served)
    caplog.set_level(level)

    async def scenario(client: Any) -> list[str]:
        app = await client.get_app_token()
        await client.validate_user_token(pair.access_token)
        user = await client.refresh_user_token(pair.refresh_token)
        return [app.access_token, user.access_token, user.refresh_token]

    secrets = surface.call(surface.client(served), scenario)
    secrets += [served.app.client_secret, pair.access_token, pair.refresh_token]
    assert "/oauth/token" in caplog.text
    assert [secret for secret in secrets if secret in caplog.text] == []

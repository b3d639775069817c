"""One issue for everybody, in every colour: counted where it costs, at the server."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from exbo_oauth import InvalidClientError, MemoryTokenStore, OAuthError, ServerError, SQLiteTokenStore

from .conftest import Sandbox, at_once
from .processes import Worker

BACKENDS = ["asyncio", "trio"]
JSON = {"Accept": "application/json"}  # without it this server turns a 401 into a redirect (recorded case U04)


async def together(count: int, call: Any) -> list[Any]:
    """What `count` tasks got, an error of ours as a value."""
    got: list[Any] = []

    async def one() -> None:
        try:
            got.append(await call())
        except OAuthError as error:
            got.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return got


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_thousand_tasks_cost_one_token(sandbox: Sandbox, backend: str) -> None:
    async def main() -> list[Any]:
        async with sandbox.aio() as oauth:
            return await together(1000, oauth.ensure_app_token)

    got = anyio.run(main, backend=backend)
    assert len(got) == 1000
    assert len({token.access_token for token in got}) == 1
    assert sandbox.posts == 1


def test_sixty_four_threads_cost_one_token(sandbox: Sandbox) -> None:
    with sandbox.sync() as oauth:
        got = at_once(64, oauth.ensure_app_token)
    assert len({token.access_token for token in got}) == 1
    assert sandbox.posts == 1


def test_two_event_loops_in_two_threads_cost_one_token(sandbox: Sandbox) -> None:
    oauth = sandbox.aio()

    async def main() -> list[Any]:
        return await together(50, oauth.ensure_app_token)

    got = at_once(2, lambda: asyncio.run(main()))
    asyncio.run(oauth.aclose())
    assert len({token.access_token for tokens in got for token in tokens}) == 1
    assert sandbox.posts == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_clients_of_both_colours_on_one_store_share_the_flight(sandbox: Sandbox, kind: str, tmp_path: Path) -> None:
    store = MemoryTokenStore() if kind == "memory" else SQLiteTokenStore(tmp_path / "tokens.db")
    gate = sandbox.fake.hold()
    got: list[str] = []

    def blocking() -> None:
        with sandbox.sync(store=store) as oauth:
            got.append(oauth.ensure_app_token().access_token)

    async def asynchronous() -> None:
        async with sandbox.aio(store=store) as oauth:
            got.append((await oauth.ensure_app_token()).access_token)

    threads = [threading.Thread(target=blocking) for _ in range(4)]
    threads += [threading.Thread(target=anyio.run, args=(asynchronous,), kwargs={"backend": b}) for b in BACKENDS * 2]
    for thread in threads:
        thread.start()
    gate.wait(1)
    gate.release()
    for thread in threads:
        thread.join()
    store.close()
    assert len(got) == 8
    assert len(set(got)) == 1
    assert sandbox.posts == 1


def test_six_processes_on_one_file_cost_one_token(sandbox: Sandbox, tmp_path: Path) -> None:
    colours = [("threads", 8)] * 4 + [("asyncio", 100), ("trio", 100)]
    workers = [Worker(sandbox, colour, count, tmp_path / "tokens.db") for colour, count in colours]
    for worker in workers:
        worker.go()
    got = [fingerprint for worker in workers for fingerprint in worker.result()]
    assert len(got) == 4 * 8 + 200
    assert len(set(got)) == 1
    assert sandbox.posts == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_hundreds_of_late_refusals_cost_one_more_token(sandbox: Sandbox, backend: str) -> None:
    async def main() -> list[int]:
        async with sandbox.aio() as oauth, httpx.AsyncClient(auth=oauth.app_auth(), headers=JSON, timeout=60) as api:
            assert (await api.get(sandbox.resource)).status_code == 200
            sandbox.fake.supersede()
            answers = await together(300, lambda: api.get(sandbox.resource))
            return [answer.status_code for answer in answers]

    assert anyio.run(main, backend=backend) == [200] * 300
    assert sandbox.posts == 2


def test_late_refusals_in_threads_cost_one_more_token(sandbox: Sandbox) -> None:
    with sandbox.sync() as oauth, httpx.Client(auth=oauth.app_auth(), headers=JSON, timeout=60) as api:
        assert api.get(sandbox.resource).status_code == 200
        sandbox.fake.supersede()
        assert at_once(16, lambda: api.get(sandbox.resource).status_code) == [200] * 16
    assert sandbox.posts == 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("status", "posts", "kind"), [(500, 3, ServerError), (401, 1, InvalidClientError)], ids=["retried", "refused"]
)
def test_a_failing_issue_is_one_failure_for_all(
    sandbox: Sandbox, backend: str, status: int, posts: int, kind: type[OAuthError]
) -> None:
    if status == 500:
        sandbox.fake.fail_next(500, times=1000)
    wrong = {} if status == 500 else {"client_secret": "wrong-secret"}

    async def main() -> list[Any]:
        async with sandbox.aio(max_retries=2, **wrong) as oauth:
            return await together(100, oauth.ensure_app_token)

    got = anyio.run(main, backend=backend)
    assert [type(error) for error in got] == [kind] * 100
    assert len({str(error) for error in got}) == 1
    assert sandbox.posts == posts


def test_a_fresh_token_in_memory_asks_nobody(sandbox: Sandbox) -> None:
    with sandbox.sync() as oauth:
        first = oauth.ensure_app_token()
        assert all(token is first for token in at_once(16, oauth.ensure_app_token))
    assert sandbox.posts == 1

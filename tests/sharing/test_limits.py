"""A server that wants fewer requests is asked once by all who share a store, counted at a real socket."""

from pathlib import Path

import anyio
import pytest

from exbo_oauth import MemoryTokenStore, RateLimitError, ServerError, SQLiteTokenStore
from exbo_oauth.stores.base import is_limit

from .conftest import Sandbox
from .processes import Worker


def test_four_processes_full_of_callers_ask_once(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fake.fail_next(429, retry_after=3600, times=1000, path="/oauth/token")
    crew = [("threads", 10), ("asyncio", 15), ("trio", 15), ("threads", 10)]
    workers = [Worker(sandbox, colour, count, tmp_path / "tokens.db") for colour, count in crew]
    for worker in workers:
        worker.go()
    assert {said for worker in workers for said in worker.result()} == {"RateLimitError"}
    assert sandbox.posts == 1


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (503, ServerError)])
def test_a_limit_is_for_users_too_and_over_when_a_token_is_issued(
    sandbox: Sandbox, status: int, kind: type[RateLimitError | ServerError]
) -> None:
    store = MemoryTokenStore()
    old = sandbox.sign_in(store)
    with sandbox.sync(store=store, max_retries=0) as oauth:
        posts = sandbox.posts
        sandbox.fake.fail_next(status, retry_after=3600, path="/oauth/token")
        for _ in range(3):
            with pytest.raises(kind):
                oauth.ensure_app_token()
        with pytest.raises(kind) as caught:
            oauth.ensure_user_token("ivan", rejected=old)
        assert sandbox.posts == posts + 1
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 300
        assert oauth.accounts() == ["ivan"]
        [word] = filter(is_limit, store.keys())
        store.release(word, "limited")  # its time is over
        assert oauth.ensure_app_token()
        assert oauth.ensure_user_token("ivan", rejected=old) != old
        assert not any(map(is_limit, store.keys()))
        assert store.acquire(word, "nobody", 1)


def test_what_names_no_time_holds_up_nobody(sandbox: Sandbox) -> None:
    with sandbox.sync(max_retries=0) as oauth:
        sandbox.fake.fail_next(429, path="/oauth/token")
        with pytest.raises(RateLimitError):
            oauth.ensure_app_token()
        assert oauth.ensure_app_token()


def test_a_limit_that_is_short_is_waited_for_by_whoever_comes(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fake.fail_next(429, retry_after=1, path="/oauth/token")
    path = tmp_path / "tokens.db"

    async def main() -> set[str]:
        got = set()

        async def ask() -> None:
            async with sandbox.aio(store=SQLiteTokenStore(path)) as oauth:
                got.add((await oauth.ensure_app_token()).access_token)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask)
        return got

    assert len(anyio.run(main)) == 1
    assert sandbox.posts == 2

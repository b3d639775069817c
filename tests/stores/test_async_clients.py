"""What a store that blocks means to a client on an event loop: its own threads wait, and nobody else."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import redis as redis_library
from redis.backoff import NoBackoff
from redis.retry import Retry

from exbo_oauth import AsyncOAuthClient, LoginRequiredError, MemoryTokenStore, SQLiteTokenStore, StoreKey
from exbo_oauth.stores import EncryptedTokenStore, RedisTokenStore
from exbo_oauth.testing import FakeExbo

from .servers import RedisServer, redis_server

backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def watched(kind: type) -> tuple[type, set[int]]:
    """A kind of store that notes which threads call it; and those threads."""
    threads: set[int] = set()

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            threads.add(threading.get_ident())
            return method(*args)

        return noted

    names = ("load", "swap", "acquire", "release", "keys", "close")
    return type("Watched", (kind,), {name: noting(getattr(kind, name)) for name in names}), threads


def client(fake: FakeExbo, store: Any, http: httpx.AsyncClient) -> AsyncOAuthClient:
    app = fake.app
    return AsyncOAuthClient(client_id=app.client_id, client_secret=app.client_secret, store=store, http_client=http)


async def use_all_of(fake: FakeExbo, store: Any) -> int:
    """Every managed call, with renewals, a sign-in and a refusal; the thread that the event loop is on."""
    async with httpx.AsyncClient(transport=fake.transport()) as http, client(fake, store, http) as oauth:
        token = await oauth.ensure_app_token()
        await oauth.ensure_app_token(rejected=token)
        attempt = oauth.begin_login()
        user = await oauth.finish_login(attempt, fake.authorize(attempt.url), account="ivan")
        await oauth.ensure_user_token("ivan", rejected=user)
        await oauth.save_user_token("olga", user)
        assert await oauth.accounts() == ["ivan", "olga"]
        await oauth.forget_user_token("olga")
    return threading.get_ident()


@backends
@pytest.mark.parametrize("kind", ["SQLite", "encrypted SQLite"])
def test_what_blocks_never_runs_on_the_event_loop(backend: str, kind: str, tmp_path: Path) -> None:
    watchful, threads = watched(SQLiteTokenStore)
    inner = watchful(tmp_path / "tokens.db")
    store = inner if kind == "SQLite" else EncryptedTokenStore(inner, EncryptedTokenStore.new_key())
    loop = anyio.run(use_all_of, FakeExbo(), store, backend=backend)
    assert threads
    assert loop not in threads
    store.close()


@backends
@pytest.mark.parametrize("kind", ["memory", "encrypted memory"])
def test_what_never_blocks_needs_no_thread(backend: str, kind: str) -> None:
    watchful, threads = watched(MemoryTokenStore)
    inner = watchful()
    store = inner if kind == "memory" else EncryptedTokenStore(inner, EncryptedTokenStore.new_key())
    loop = anyio.run(use_all_of, FakeExbo(), store, backend=backend)
    assert threads == {loop}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@contextmanager
def hanging(server: RedisServer) -> Generator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@backends
def test_a_store_that_hangs_holds_up_nobody_who_has_a_fresh_token(backend: str, server: RedisServer) -> None:
    async def scenario() -> None:
        fake, hung, ended = FakeExbo(), 60, []
        with redis_library.Redis(port=server.port, socket_timeout=120, max_connections=100) as redis:
            store = RedisTokenStore(redis)
            async with httpx.AsyncClient(transport=fake.transport()) as http, client(fake, store, http) as oauth:
                token = await oauth.ensure_app_token()

                async def ask(number: int) -> None:
                    with pytest.raises(LoginRequiredError):
                        await oauth.ensure_user_token(f"account-{number}")
                    ended.append(number)

                async with anyio.create_task_group() as group:
                    with hanging(server):
                        for number in range(hung):  # more than there are threads for them
                            group.start_soon(ask, number)
                        await anyio.sleep(0.2)
                        assert await oauth.ensure_app_token() == token
                        api = await http.get(f"{fake.base_url.removesuffix('/oauth')}/api", auth=oauth.app_auth())
                        assert api.request.headers["Authorization"] == token.authorization
                        assert ended == []
                assert len(ended) == hung

    anyio.run(scenario, backend=backend)


@backends
@pytest.mark.parametrize("call", ["ensure_app_token", "accounts"])
def test_who_is_cancelled_does_not_wait_for_a_store_that_hangs(backend: str, call: str, server: RedisServer) -> None:
    async def scenario() -> None:
        fake = FakeExbo()
        with redis_library.Redis(port=server.port, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as redis:
            store = RedisTokenStore(redis)
            async with httpx.AsyncClient(transport=fake.transport()) as http, client(fake, store, http) as oauth:
                assert await oauth.accounts() == []  # connects
                with hanging(server), anyio.move_on_after(0.2) as scope:
                    await getattr(oauth, call)()
                assert scope.cancelled_caught
                await oauth.ensure_app_token()  # and nothing is left of it

    anyio.run(scenario, backend=backend)


@backends
def test_who_is_cancelled_while_a_lease_is_asked_for_waits_for_nothing_and_leaves_nothing(
    backend: str, server: RedisServer
) -> None:
    class Stopping(RedisTokenStore):
        """A server that stops answering just when the lease is to be had."""

        stops = True

        def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
            if self.stops:
                server.pause()
                asked.set()
            return super().acquire(key, owner, ttl)

    asked = threading.Event()

    async def scenario() -> None:
        fake, store = FakeExbo(), Stopping(server.url)
        async with httpx.AsyncClient(transport=fake.transport()) as http, client(fake, store, http) as oauth:
            async with anyio.create_task_group() as group:
                group.start_soon(oauth.ensure_app_token)
                assert await anyio.to_thread.run_sync(asked.wait, 60)
                group.cancel_scope.cancel()
            server.resume()  # only now: nobody waited for it
            store.stops = False
            with anyio.fail_after(60):  # and a client whose lease never ended would wait for an hour
                await oauth.ensure_app_token()
        assert len(fake.issued) == 1
        store.close()

    anyio.run(scenario, backend=backend)

"""A token that was issued and that the store did not take is saved as soon as it does, or else said to be lost."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from exbo_oauth import SQLiteTokenStore, StoreError, StoreKey, UserToken
from exbo_oauth.testing.store_suite import eventually

from .conftest import Sandbox
from .processes import ROOT
from .test_endings import ending, posix


class Stubborn:
    """A user's store in a file that takes no changes while it is told so."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self.sandbox = sandbox
        self.path = path
        self.key = StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), "ivan")
        self.store = SQLiteTokenStore(path)
        self.old = sandbox.sign_in(self.store)
        self._change("CREATE TRIGGER stubborn BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'no'); END")

    def relent(self) -> None:
        self._change("DROP TRIGGER stubborn")

    def _change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement)

    @property
    def is_saved(self) -> bool:
        saved = self.store.load(self.key)
        assert saved is not None
        return saved.token != self.old and self.sandbox.fake.is_live(saved.token)


@pytest.fixture
def stubborn(sandbox: Sandbox, tmp_path: Path) -> Iterator[Stubborn]:
    made = Stubborn(sandbox, tmp_path / "tokens.db")
    yield made
    made.store.close()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Blocking:
    """A blocking client, to be awaited."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def renew(self, old: UserToken) -> Any:
        return self.client.ensure_user_token("ivan", rejected=old)

    async def close(self) -> None:
        self.client.close()


class Asynchronous(Blocking):
    """An asynchronous one."""

    async def renew(self, old: UserToken) -> Any:
        return await self.client.ensure_user_token("ivan", rejected=old)

    async def close(self) -> None:
        await self.client.aclose()


def run(colour: str, sandbox: Sandbox, store: Any, scenario: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        blocking = colour == "sync"
        options = {"store": store, "max_retries": 0}
        await scenario(Blocking(sandbox.sync(**options)) if blocking else Asynchronous(sandbox.aio(**options)))

    anyio.run(main, backend="trio" if colour == "trio" else "asyncio")


async def fail_to_save(client: Any, stubborn: Stubborn) -> None:
    with pytest.raises(StoreError) as caught:
        await client.renew(stubborn.old)
    assert caught.value.token is not None
    assert stubborn.sandbox.fake.is_live(caught.value.token)
    assert not stubborn.is_saved


def test_it_is_saved_when_the_store_takes_it_with_no_call_in_between(
    sandbox: Sandbox, stubborn: Stubborn, colour: str
) -> None:
    posts = sandbox.posts

    async def scenario(client: Any) -> None:
        await fail_to_save(client, stubborn)
        assert not stubborn.store.acquire(stubborn.key, "another process", 5)  # which would send the dead one
        stubborn.relent()
        assert await anyio.to_thread.run_sync(eventually, lambda: stubborn.is_saved)
        assert await anyio.to_thread.run_sync(
            eventually, lambda: stubborn.store.acquire(stubborn.key, "another process", 5)
        )
        await client.close()

    run(colour, sandbox, stubborn.store, scenario)
    assert sandbox.posts == posts + 1


def test_it_is_saved_before_the_client_is_closed(sandbox: Sandbox, stubborn: Stubborn, colour: str) -> None:
    async def scenario(client: Any) -> None:
        await fail_to_save(client, stubborn)
        stubborn.relent()
        await client.close()
        assert stubborn.is_saved

    run(colour, sandbox, f"sqlite:///{stubborn.path}", scenario)


def forgotten_elsewhere(stubborn: Stubborn) -> None:
    with stubborn.sandbox.sync(store=stubborn.store) as other:
        other.forget_user_token("ivan")


def test_the_token_of_an_account_that_was_forgotten_meanwhile_is_not_saved(
    sandbox: Sandbox, stubborn: Stubborn, colour: str
) -> None:
    async def scenario(client: Any) -> None:
        await fail_to_save(client, stubborn)
        forgotten_elsewhere(stubborn)
        stubborn.relent()
        await client.close()

    run(colour, sandbox, f"sqlite:///{stubborn.path}", scenario)
    assert stubborn.store.load(stubborn.key) is None


def test_several_are_saved_as_the_store_takes_them_and_the_forgotten_one_is_not(
    sandbox: Sandbox, stubborn: Stubborn
) -> None:
    other, another = sandbox.sign_in(stubborn.store, "anna"), evolve(stubborn.key, account="anna")
    with sandbox.sync(store=f"sqlite:///{stubborn.path}", max_retries=0) as client:

        def fails(account: str, old: UserToken) -> None:
            with pytest.raises(StoreError):
                client.ensure_user_token(account, rejected=old)

        with ThreadPoolExecutor(2) as both:
            list(both.map(fails, ("ivan", "anna"), (stubborn.old, other)))
        forgotten_elsewhere(stubborn)
        stubborn.relent()
        for key in (stubborn.key, another):
            assert eventually(lambda: stubborn.store.acquire(key, "another process", 5))  # noqa: B023
    saved = stubborn.store.load(another)
    assert saved is not None
    assert sandbox.fake.is_live(saved.token)
    assert saved.token != other
    assert stubborn.store.load(stubborn.key) is None


def test_a_client_that_closes_its_own_store_says_what_is_lost(
    sandbox: Sandbox, stubborn: Stubborn, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Any) -> None:
        await fail_to_save(client, stubborn)
        with pytest.raises(StoreError, match="not taken by the store") as caught:
            await client.close()
        assert caught.value.token is not None
        assert sandbox.fake.is_live(caught.value.token)

    run(colour, sandbox, f"sqlite:///{stubborn.path}", scenario)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "exbo_oauth.store"
    assert "'ivan'" in record.getMessage()
    assert stubborn.old.access_token not in record.getMessage()


def test_what_failed_within_a_block_is_what_leaves_it(sandbox: Sandbox, stubborn: Stubborn) -> None:
    with pytest.raises(ZeroDivisionError):
        with sandbox.sync(store=f"sqlite:///{stubborn.path}") as oauth:
            with suppress(StoreError):
                oauth.ensure_user_token("ivan", rejected=stubborn.old)
            raise ZeroDivisionError


ENDING = """
import logging, sqlite3, sys
from exbo_oauth import SQLiteTokenStore, StoreError, StoreKey, SyncOAuthClient
logging.basicConfig(format="%(name)s %(message)s")
relents, path, base_url, client_id, secret = sys.argv[1:]
store = SQLiteTokenStore(path)
oauth = SyncOAuthClient(client_id=client_id, client_secret=secret, base_url=base_url, store=store)
try:
    oauth.replace_user_token("ivan")
except StoreError:
    pass
if relents == "relents":
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER stubborn")
    database.close()
"""


@pytest.mark.parametrize("relents", [True, False], ids=["it relents", "it does not"])
def test_it_is_saved_when_the_interpreter_ends_or_said_to_be_lost(
    sandbox: Sandbox, stubborn: Stubborn, relents: bool
) -> None:
    app = sandbox.fake.app
    arguments = ["relents" if relents else "no", str(stubborn.path), sandbox.base_url, app.client_id, app.client_secret]
    run = subprocess.run(
        [sys.executable, "-c", ENDING, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0
    assert stubborn.is_saved is relents
    assert ("exbo_oauth.store a token is lost" in run.stderr) is not relents


@posix
def test_a_second_ctrl_c_is_obeyed_at_once_and_the_pair_is_saved_at_the_end(sandbox: Sandbox, tmp_path: Path) -> None:
    with ending(sandbox, tmp_path, "blocking") as process:
        process.gate.release()
        assert process.says() == "saving"
        for _ in range(2):
            process.send(signal.SIGINT)
        process.let_save()
        assert process.end() == -signal.SIGINT
        process.check_saved()

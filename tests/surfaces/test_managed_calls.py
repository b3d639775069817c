"""`replace_app_token`, `replace_user_token` and `user_info`: a new token at will, and who an account is."""

import re
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field

from exbo_oauth import (
    Entry,
    LoginRequiredError,
    MemoryTokenStore,
    ReadOnlyError,
    ServerError,
    SQLiteTokenStore,
    StoreKey,
    UnauthenticatedError,
    UserInfo,
    UserToken,
)
from exbo_oauth.testing import FakeExbo

from .calls import new_pair
from .conftest import Surface

Ask = Callable[[Any], Awaitable[Any]]


def key_of(served: FakeExbo, account: str | None = None) -> StoreKey:
    return StoreKey(served.base_url, str(served.app.client_id), account)


@pytest.fixture
def store(served: FakeExbo) -> MemoryTokenStore:
    """It has ivan's token and the application's."""
    store = MemoryTokenStore()
    fill(served, store)
    return store


def fill(served: FakeExbo, store: Any) -> None:
    with Surface("sync").raw_client(served, store=store) as oauth:
        attempt = oauth.begin_login()
        oauth.finish_login(attempt, served.authorize(attempt.url), account="ivan")
        oauth.ensure_app_token()


KINDS = pytest.mark.parametrize(
    ("account", "ensure", "replace"),
    [
        pytest.param(
            None, lambda oauth: oauth.ensure_app_token(), lambda oauth: oauth.replace_app_token(), id="the app's"
        ),
        pytest.param(
            "ivan",
            lambda oauth: oauth.ensure_user_token("ivan"),
            lambda oauth: oauth.replace_user_token("ivan"),
            id="a user's",
        ),
    ],
)


# Replacing


@KINDS
def test_a_good_token_is_replaced_and_the_new_one_is_everybodys(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore, account: str | None, ensure: Ask, replace: Ask
) -> None:
    async def scenario(oauth: Any) -> None:
        old = await ensure(oauth)
        new = await replace(oauth)
        assert new.access_token != old.access_token
        assert served.is_live(new)
        assert await ensure(oauth) == new
        entry = store.load(key_of(served, account))
        assert entry is not None
        assert entry.token == new

    surface.call(surface.client(served, store=store), scenario)


@pytest.mark.parametrize("ends_in", [-60, 5], ids=["over", "about to end"])
@KINDS
def test_a_token_is_replaced_whatever_its_age(
    surface: Surface,
    served: FakeExbo,
    store: MemoryTokenStore,
    account: str | None,
    ensure: Ask,
    replace: Ask,
    ends_in: float,
) -> None:
    entry = store.load(key_of(served, account))
    assert entry is not None
    ends = datetime.now(UTC) + timedelta(seconds=ends_in)
    older: Entry = evolve(entry, token=evolve(entry.token, expires_in=ends), revision=entry.revision + 1)
    assert store.swap(key_of(served, account), entry.revision, older)

    async def scenario(oauth: Any) -> None:
        assert served.is_live(await replace(oauth))

    surface.call(surface.client(served, store=store), scenario)


def test_an_application_without_a_token_gets_its_first(surface: Surface, served: FakeExbo) -> None:
    async def scenario(oauth: Any) -> None:
        assert served.is_live(await oauth.replace_app_token())

    surface.call(surface.client(served), scenario)
    assert len(served.issued) == 1


@KINDS
def test_replacing_as_often_as_one_likes_is_no_conflict(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore, account: str | None, ensure: Ask, replace: Ask
) -> None:
    async def scenario(oauth: Any) -> None:
        tokens = [await replace(oauth) for _ in range(6)]
        assert len({token.access_token for token in tokens}) == 6
        assert await ensure(oauth) == tokens[-1]

    surface.call(surface.client(served, store=store), scenario)


@KINDS
def test_a_token_that_could_not_be_replaced_goes_on_serving(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore, account: str | None, ensure: Ask, replace: Ask
) -> None:
    async def scenario(oauth: Any) -> None:
        old = await ensure(oauth)
        served.fail_next(500)
        with pytest.raises(ServerError):
            await replace(oauth)
        assert await ensure(oauth) == old

    surface.call(surface.client(served, store=store, max_retries=0), scenario)


@KINDS
def test_those_who_ask_meanwhile_in_one_process_share_one_issue(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore, account: str | None, ensure: Ask, replace: Ask
) -> None:
    issued, gate = len(served.issued), served.hold(times=1)
    together = in_threads if surface.blocking else in_tasks

    async def scenario(oauth: Any) -> list[Any]:
        return await together(8, lambda: replace(oauth), gate)

    tokens = surface.call(surface.client(served, store=store), scenario)
    assert len(tokens) == 8
    assert len({token.access_token for token in tokens}) == 1
    assert len(served.issued) == issued + 1


async def in_tasks(count: int, ask: Callable[[], Awaitable[Any]], gate: Any) -> list[Any]:
    """What tasks got that all began before the first was answered."""
    got: list[Any] = []

    async def one() -> None:
        got.append(await ask())

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
        await gate.wait_async(1)
        gate.release()
    return got


async def in_threads(count: int, ask: Callable[[], Awaitable[Any]], gate: Any) -> list[Any]:
    """The same of threads, which show in which function they wait."""
    with ThreadPoolExecutor(count) as pool:
        asking = [pool.submit(Surface("sync").run, ask) for _ in range(count)]
        while sum(waits(frame) for frame in sys._current_frames().values()) < count - 1:
            gate.pass_through(0.02)
        gate.release()
        return [asked.result() for asked in asking]


def waits(frame: Any) -> bool:
    while frame is not None and frame.f_code.co_name != "_followed":
        frame = frame.f_back
    return frame is not None


@define(eq=False)
class Watched:
    """Another process's view of a store: an object of its own, which says when it was looked into."""

    inner: Any
    looked: threading.Event = field(factory=threading.Event)

    def load(self, key: StoreKey) -> Any:
        entry = self.inner.load(key)
        self.looked.set()
        return entry

    def swap(self, key: StoreKey, expected: int | None, entry: Any) -> bool:
        return bool(self.inner.swap(key, expected, entry))

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        return bool(self.inner.acquire(key, owner, ttl))

    def release(self, key: StoreKey, owner: str) -> None:
        self.inner.release(key, owner)

    def keys(self) -> Any:
        return self.inner.keys()

    def close(self) -> None:
        self.inner.close()


@KINDS
def test_what_another_process_replaces_after_the_call_began_counts(
    surface: Surface, served: FakeExbo, tmp_path: Path, account: str | None, ensure: Ask, replace: Ask
) -> None:
    ours, theirs = (SQLiteTokenStore(tmp_path / "tokens.db") for _ in range(2))
    fill(served, theirs)
    issued, gate, watched = len(served.issued), served.hold(times=1), Watched(ours)

    def replaced_by_them() -> Any:
        with Surface("sync").raw_client(served, store=theirs) as oauth:
            return Surface("sync").run(replace, Surface("sync").awaited(oauth))

    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(replaced_by_them)
        gate.wait(1)
        pool.submit(lambda: watched.looked.wait(60) and gate.release())
        token = surface.call(surface.client(served, store=watched), replace)
        assert other.result(60) == token
    assert len(served.issued) == issued + 1
    ours.close()
    theirs.close()


def test_nobody_who_is_not_signed_in_gets_a_new_token(surface: Surface, served: FakeExbo) -> None:
    async def scenario(oauth: Any) -> None:
        with pytest.raises(LoginRequiredError, match="olga"):
            await oauth.replace_user_token("olga")

    surface.call(surface.client(served), scenario)
    assert not served.requests


@KINDS
def test_a_follower_replaces_nothing(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore, account: str | None, ensure: Ask, replace: Ask
) -> None:
    before = len(served.requests)

    async def scenario(oauth: Any) -> None:
        with pytest.raises(ReadOnlyError, match="only reads"):
            await replace(oauth)

    surface.call(surface.client(served, store=store, issue="never"), scenario)
    assert len(served.requests) == before


def test_a_follower_names_the_file_in_which_it_found_nothing(
    surface: Surface, served: FakeExbo, tmp_path: Path
) -> None:
    path = tmp_path / "tokens.db"

    async def scenario(oauth: Any) -> None:
        with pytest.raises(ReadOnlyError, match=re.escape(f"the store in {str(path)!r} holds no token")):
            await oauth.ensure_app_token()

    with closing(SQLiteTokenStore(path)) as store:
        surface.call(surface.client(served, store=store, issue="never"), scenario)


# Who an account is


@pytest.mark.parametrize("as_json", [False, True], ids=["models", "json"])
def test_an_account_is_asked_about_by_its_key_alone(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore, as_json: bool
) -> None:
    async def scenario(oauth: Any) -> None:
        info = await oauth.user_info("ivan")
        assert isinstance(info, UserInfo)
        assert info.name == "ivan"

    surface.call(surface.client(served, store=store, json=as_json), scenario)


def test_a_token_that_was_superseded_is_replaced_and_the_call_succeeds(
    surface: Surface, served: FakeExbo, store: MemoryTokenStore
) -> None:
    async def scenario(oauth: Any) -> None:
        old = await oauth.ensure_user_token("ivan")
        served.revoke(old)
        assert (await oauth.user_info("ivan")).name == "ivan"
        assert await oauth.ensure_user_token("ivan") != old

    surface.call(surface.client(served, store=store), scenario)


def test_a_refusal_of_the_replacement_is_passed_on(surface: Surface, served: FakeExbo, store: MemoryTokenStore) -> None:
    """It was not about the token: a server that refuses everything costs one token, and no sign-in."""
    issued = len(served.issued)

    async def scenario(oauth: Any) -> None:
        served.fail_next(401, times=100, path="/oauth/user")
        with pytest.raises(UnauthenticatedError):
            await oauth.user_info("ivan")

    surface.call(surface.client(served, store=store), scenario)
    assert len(served.issued) == issued + 1


def test_a_user_whose_refresh_token_is_dead_has_to_sign_in_again(surface: Surface, served: FakeExbo) -> None:
    store = MemoryTokenStore()
    pair = new_pair(served)
    dead = UserToken(
        token_type="Bearer", access_token=pair.access_token, refresh_token="long-gone", expires_in=datetime.now(UTC)
    )
    entry = Entry(token=dead, revision=1, issued_by="test", issued_at=datetime.now(UTC))
    store.swap(key_of(served, "ivan"), None, entry)

    async def scenario(oauth: Any) -> None:
        with pytest.raises(LoginRequiredError) as caught:
            await oauth.user_info("ivan")
        assert caught.value.account == "ivan"

    surface.call(surface.client(served, store=store), scenario)


def test_somebody_who_never_signed_in_is_asked_to(surface: Surface, served: FakeExbo) -> None:
    async def scenario(oauth: Any) -> None:
        with pytest.raises(LoginRequiredError):
            await oauth.user_info("olga")

    surface.call(surface.client(served), scenario)
    assert not served.requests

"""A real server on a real socket, whose log is what the tests count."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from attrs import frozen

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient, UserToken
from exbo_oauth.testing import FakeExbo

T = TypeVar("T")


@frozen
class Sandbox:
    """A served `FakeExbo` and clients of its application."""

    fake: FakeExbo
    base_url: str

    def options(self, **more: Any) -> dict[str, Any]:
        app = self.fake.app
        ours = {"client_id": app.client_id, "client_secret": app.client_secret, "base_url": self.base_url}
        return {**ours, **more}

    def sync(self, **more: Any) -> SyncOAuthClient:
        return SyncOAuthClient(**self.options(**more))

    def aio(self, **more: Any) -> AsyncOAuthClient:
        return AsyncOAuthClient(**self.options(**more))

    @property
    def posts(self) -> int:
        """How many token requests have come in so far."""
        return sum(received.path == "/oauth/token" for received in self.fake.requests)

    @property
    def resource(self) -> str:
        """What an application's token opens."""
        return self.base_url.removesuffix("/oauth") + "/demo/app"

    def sign_in(self, store: Any, account: str = "ivan") -> UserToken:
        """A user's token, obtained and saved."""
        user = {} if account == "ivan" else {"user": self.fake.add_user(account)}
        with self.sync(store=store) as oauth:
            attempt = oauth.begin_login()
            return oauth.finish_login(attempt, self.fake.authorize(attempt.url, **user), account=account)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    fake = FakeExbo()
    with fake.serve() as base_url:
        yield Sandbox(fake, base_url)


def at_once(count: int, call: Callable[[], T]) -> list[T]:
    """The results of `count` threads that begin together."""
    barrier = threading.Barrier(count)

    def start(_: int) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def awaited_by(task: "asyncio.Task[Any]") -> list[str]:
    """The names of the functions that a task is in."""
    names, within = list[str](), task.get_coro()
    while within is not None:
        names.append(getattr(within, "__qualname__", ""))
        within = getattr(within, "cr_await", None)
    return names

"""Each scenario is written once, as a coroutine function, and run three ways: blocking, on asyncio, on trio.

For the blocking run the clients are wrapped so that their methods can be awaited; nothing in them ever suspends, so
the coroutine runs through on this very thread.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import anyio
import httpx
import pytest
from attrs import frozen

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient
from exbo_oauth.testing import FakeExbo

TRUSTED = ssl.create_default_context()  # once: each client of its own would read all authorities of the system
PLAIN = {"get_authorize_url", "begin_login", "app_auth", "user_auth", "client_auth"}


class Awaited:
    """A blocking object whose methods are coroutines by their looks."""

    def __init__(self, blocking: Any) -> None:
        self.blocking = blocking

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.blocking, "close" if name == "aclose" else name)
        if not callable(value) or name in PLAIN:
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            return value(*args, **kwargs)

        return call

    def __repr__(self) -> str:
        return repr(self.blocking)

    async def __aenter__(self) -> Self:
        self.blocking.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.blocking.__exit__(kind, error, trace)


async def _awaited(scenario: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return await scenario(*args)


@frozen
class Surface:
    """One way to run a scenario."""

    name: str

    @property
    def blocking(self) -> bool:
        return self.name == "sync"

    @property
    def kind(self) -> type[SyncOAuthClient] | type[AsyncOAuthClient]:
        return SyncOAuthClient if self.blocking else AsyncOAuthClient

    @property
    def other_kind(self) -> type[SyncOAuthClient] | type[AsyncOAuthClient]:
        return AsyncOAuthClient if self.blocking else SyncOAuthClient

    def awaited(self, thing: Any) -> Any:
        return Awaited(thing) if self.blocking else thing

    def raw_client(self, fake: FakeExbo | None = None, **options: Any) -> Any:
        """The client itself, for `fake`'s application unless told otherwise."""
        if fake is not None:
            app = fake.app
            given = {"client_id": app.client_id, "client_secret": app.client_secret, "base_url": fake.base_url}
            options = given | options
        else:
            options = {"client_id": 59, "client_secret": "the-client-secret"} | options
        return self.kind(**options)

    def client(self, fake: FakeExbo | None = None, **options: Any) -> Any:
        """The client, fit for ``async with`` and ``await``."""
        return self.awaited(self.raw_client(fake, **options))

    def raw_http(self, library: Any = httpx, **options: Any) -> Any:
        """An HTTP client of the right colour, which trusts whom all of them trust."""
        options = {"verify": TRUSTED} | options
        return library.Client(**options) if self.blocking else library.AsyncClient(**options)

    def http(self, library: Any = httpx, **options: Any) -> Any:
        return self.awaited(self.raw_http(library, **options))

    def run(self, scenario: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run a scenario to its end."""
        if self.name == "asyncio":  # as programs do: anyio.run would tell callbacks of the loop what they do not know
            return asyncio.run(_awaited(scenario, *args))
        if not self.blocking:
            return anyio.run(scenario, *args, backend=self.name)
        coroutine: Any = scenario(*args)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("a blocking scenario has nothing to wait for")

    def call(self, client: Any, scenario: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a scenario with a client that is closed afterwards."""

        async def within() -> Any:
            async with client:
                return await scenario(client)

        return self.run(within)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def surface(request: pytest.FixtureRequest) -> Surface:
    return Surface(request.param)


@pytest.fixture
def fake() -> FakeExbo:
    return FakeExbo()


@pytest.fixture
def served(fake: FakeExbo) -> Iterator[FakeExbo]:
    """`fake` behind a loopback socket; its `base_url` says where."""
    with fake.serve():
        yield fake

"""The HTTP libraries that programs around EXBO use, each with our auth object in it, all called in one way."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import aiohttp
import anyio.from_thread
import httpx
import httpx2
import niquests
import requests
from attrs import define, frozen

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

MAKERS: dict[str, Callable[..., Any]] = {
    "app": lambda client, **kw: client.app_auth(**kw),
    "user": lambda client, **kw: client.user_auth("ivan", **kw),
    "client": lambda client, **kw: client.client_auth(**kw),
}


@frozen
class Answer:
    """What a library made of an answer."""

    status: int
    text: str


@define
class Caller:
    """A library's client `http`, at work with one auth object. `client` is the OAuth client behind it."""

    client: Any
    http: Any
    send: Callable[..., Answer]
    send_many: Callable[..., list[Answer]]


@frozen
class Library:
    """How to open a library's client with an auth object, and how to send with it."""

    name: str
    asynchronous: bool
    opened: Callable[..., Any]
    call: Callable[..., Any]

    @contextmanager
    def caller(
        self, auth: str, hosts: Any = None, trust: str | None = None, proxy: str | None = None, **options: Any
    ) -> Iterator[Caller]:
        """Everything that a program would set up, on its own event loop if the library wants one.

        `trust` is a file with the certificate of the API, `proxy` what the library's client is told to send through.
        """
        run = self._asynchronously if self.asynchronous else self._blocking
        with run(lambda client: self.opened(MAKERS[auth](client, hosts=hosts), trust, proxy), options) as caller:
            yield caller

    @contextmanager
    def _blocking(self, opened: Callable[[Any], Any], options: dict[str, Any]) -> Iterator[Caller]:
        with SyncOAuthClient(**options) as client, opened(client) as http:

            def send(method: str, url: str, body: Any = None, *, follow: bool = False) -> Answer:
                return self.call(http, method, url, body() if callable(body) else body, follow)

            def send_many(count: int, *args: Any) -> list[Answer]:
                with ThreadPoolExecutor(count) as pool:
                    return list(pool.map(lambda _: send(*args), range(count)))

            yield Caller(client, http, send, send_many)

    @contextmanager
    def _asynchronously(self, opened: Callable[[Any], Any], options: dict[str, Any]) -> Iterator[Caller]:
        with anyio.from_thread.start_blocking_portal() as portal:
            client = AsyncOAuthClient(**options)
            with (
                portal.wrap_async_context_manager(client),
                portal.wrap_async_context_manager(portal.call(lambda: opened(client))) as http,
            ):

                async def send(method: str, url: str, body: Any = None, *, follow: bool = False) -> Answer:
                    return await self.call(http, method, url, body() if callable(body) else body, follow)

                async def send_many(count: int, *args: Any) -> list[Answer]:
                    return await asyncio.gather(*(send(*args) for _ in range(count)))

                yield Caller(
                    client,
                    http,
                    lambda *args, **kw: portal.call(lambda: send(*args, **kw)),
                    lambda *args: portal.call(lambda: send_many(*args)),
                )


@cache  # reading all authorities of the system takes longer than most tests
def trusting(certificate: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def _httpx(library: Any, name: str) -> Library:
    def call(http: Any, method: str, url: str, body: Any, follow: bool) -> Answer:
        answer = http.request(method, url, content=body, follow_redirects=follow)
        return Answer(answer.status_code, answer.text)

    def opened(auth: Any, trust: str | None = None, proxy: str | None = None) -> Any:
        return library.Client(auth=auth, timeout=30, verify=trusting(trust), proxy=proxy)

    return Library(name, False, opened, call)


def _async_httpx(library: Any, name: str) -> Library:
    async def call(http: Any, method: str, url: str, body: Any, follow: bool) -> Answer:
        answer = await http.request(method, url, content=body, follow_redirects=follow)
        return Answer(answer.status_code, answer.text)

    def opened(auth: Any, trust: str | None = None, proxy: str | None = None) -> Any:
        return library.AsyncClient(auth=auth, timeout=30, verify=trusting(trust), proxy=proxy)

    return Library(name, True, opened, call)


def _requests(library: Any, name: str) -> Library:
    def opened(auth: Any, trust: str | None = None, proxy: str | None = None) -> Any:
        session = library.Session()
        session.auth = auth
        session.verify = trust or True
        session.proxies = {"http": proxy} if proxy else {}
        return session

    def call(http: Any, method: str, url: str, body: Any, follow: bool) -> Answer:
        answer = http.request(method, url, data=body, allow_redirects=follow, timeout=30)
        return Answer(answer.status_code, answer.text)

    return Library(name, False, opened, call)


def _aiohttp() -> Library:
    def opened(auth: Any, trust: str | None = None, proxy: str | None = None) -> Any:
        connector = aiohttp.TCPConnector(ssl=trusting(trust))
        return aiohttp.ClientSession(middlewares=(auth,), connector=connector, proxy=proxy)

    async def call(http: Any, method: str, url: str, body: Any, follow: bool) -> Answer:
        async with http.request(method, url, data=body, allow_redirects=follow) as answer:
            return Answer(answer.status, await answer.text())

    return Library("aiohttp", True, opened, call)


LIBRARIES = [
    _httpx(httpx, "httpx"),
    _async_httpx(httpx, "httpx-async"),
    _httpx(httpx2, "httpx2"),
    _async_httpx(httpx2, "httpx2-async"),
    _requests(requests, "requests"),
    _requests(niquests, "niquests"),
    _aiohttp(),
]

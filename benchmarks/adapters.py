"""Every HTTP library with an auth object of ours, against the same library with a fixed header."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import niquests
import requests

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

from .app_auth import JSON, sandbox
from .ratio import Ratio

ROUNDS = 40
REQUESTS = 50
AIM = 1.03

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"processor time": time.process_time, "wall": time.perf_counter}


def measure() -> Iterator[Ratio]:
    with sandbox() as options:
        url = options["base_url"].removesuffix("/oauth") + "/demo/app"
        yield from _blocking(options, url)
        yield from asyncio.run(_asynchronous(options, url))


def _blocking(options: dict[str, str], url: str) -> Iterator[Ratio]:
    with SyncOAuthClient(**options) as oauth:
        auth, fixed = oauth.app_auth(), JSON | {"Authorization": oauth.ensure_app_token().authorization}
        for library in (httpx, httpx2):
            with library.Client(headers=JSON, auth=auth) as ours, library.Client(headers=fixed) as theirs:
                yield from _compared(library.__name__, *(_getter(one, url) for one in (ours, theirs)))
        for library in (requests, niquests):
            with library.Session() as ours, library.Session() as theirs:
                for session in (ours, theirs):
                    session.trust_env = False  # a netrc file, looked for with each request, is not what is measured
                    session.headers.update(JSON)
                ours.auth = auth
                theirs.headers.update(fixed)
                yield from _compared(library.__name__, *(_getter(one, url) for one in (ours, theirs)))


def _getter(client: Any, url: str) -> Callable[[], None]:
    def get() -> None:
        assert client.get(url).status_code == 200

    return get


def _compared(name: str, ours: Callable[[], None], theirs: Callable[[], None]) -> list[Ratio]:
    taken = [(_taken(ours), _taken(theirs)) for _ in range(ROUNDS + 1)]
    return _ratios(name, taken[1:])


def _taken(get: Callable[[], None]) -> dict[str, float]:
    started = _now()
    for _ in range(REQUESTS):
        get()
    return _since(started)


async def _asynchronous(options: dict[str, str], url: str) -> list[Ratio]:
    found: list[Ratio] = []
    async with AsyncOAuthClient(**options) as oauth:
        auth, fixed = oauth.app_auth(), JSON | {"Authorization": (await oauth.ensure_app_token()).authorization}
        for library in (httpx, httpx2):
            async with (
                library.AsyncClient(headers=JSON, auth=auth) as ours,
                library.AsyncClient(headers=fixed) as theirs,
            ):
                found += await _acompared(f"{library.__name__}, async", ours, theirs, url)
        async with (
            aiohttp.ClientSession(headers=JSON, middlewares=(auth,)) as ours,
            aiohttp.ClientSession(headers=fixed) as theirs,
        ):
            found += await _acompared("aiohttp", ours, theirs, url)
    return found


async def _acompared(name: str, ours: Any, theirs: Any, url: str) -> list[Ratio]:
    async def httpx_get(client: Any) -> None:
        assert (await client.get(url)).status_code == 200

    async def aiohttp_get(client: Any) -> None:
        async with client.get(url) as answer:
            assert answer.status == 200
            await answer.read()

    get = aiohttp_get if name == "aiohttp" else httpx_get
    taken = [(await _ataken(get, ours), await _ataken(get, theirs)) for _ in range(ROUNDS + 1)]
    return _ratios(name, taken[1:])


async def _ataken(get: Callable[[Any], Awaitable[None]], client: Any) -> dict[str, float]:
    started = _now()
    for _ in range(REQUESTS):
        await get(client)
    return _since(started)


def _now() -> dict[str, float]:
    return {name: clock() for name, clock in CLOCKS.items()}


def _since(started: dict[str, float]) -> dict[str, float]:
    return {name: clock() - started[name] for name, clock in CLOCKS.items()}


def _ratios(name: str, taken: list[tuple[dict[str, float], dict[str, float]]]) -> list[Ratio]:
    return [
        Ratio(
            ours=f"{name}, app_auth(), {clock}",
            theirs=f"the same with a fixed header, {REQUESTS} requests each",
            our_times=[ours[clock] for ours, _ in taken],
            their_times=[theirs[clock] for _, theirs in taken],
            aim=AIM,
        )
        for clock in CLOCKS
    ]

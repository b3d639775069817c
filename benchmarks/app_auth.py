"""A request with the shared token, against bare httpx with a fixed header, on one loopback server."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

from .ratio import Ratio, in_turns

ROUNDS = 30
REQUESTS = 150
JSON = {"Accept": "application/json"}

SERVER = """
from exbo_oauth.testing import FakeExbo
fake = FakeExbo(history=100, invalidate=None)
with fake.serve() as base_url:
    print(base_url, fake.app.client_id, fake.app.client_secret, flush=True)
    input()
"""


@contextmanager
def sandbox() -> Iterator[dict[str, str]]:
    """A sandbox in a process of its own, so that it does not compete for the interpreter."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        base_url, client_id, client_secret = process.stdout.readline().split()
        try:
            yield {"base_url": base_url, "client_id": client_id, "client_secret": client_secret}
        finally:
            process.communicate("\n")


def measure() -> Iterator[Ratio]:
    with sandbox() as options:
        url = options["base_url"].removesuffix("/oauth") + "/demo/app"
        yield from _blocking(options, url)
        yield from asyncio.run(_asynchronous(options, url))


def _blocking(options: dict[str, str], url: str) -> Iterator[Ratio]:
    with SyncOAuthClient(**options) as oauth:
        fixed = {**JSON, "Authorization": oauth.ensure_app_token().authorization}
        with httpx.Client(headers=fixed) as bare:
            theirs = _timed(bare, url)
            for name, auth in {"app_auth()": oauth.app_auth(), **_others(options)}.items():
                with httpx.Client(headers=JSON, auth=auth) as api:
                    aim = 1.03 if name == "app_auth()" else None
                    yield _ratio(f"httpx.Client, {name}", *in_turns(_timed(api, url), theirs, ROUNDS), aim)


def _others(options: dict[str, str]) -> dict[str, Any]:
    """Other libraries' auth objects, where they are installed. They fetch tokens of their own."""
    try:
        from httpx_auth import OAuth2ClientCredentials
    except ImportError:
        return {}
    url = options["base_url"] + "/token"
    return {"httpx_auth": OAuth2ClientCredentials(url, options["client_id"], options["client_secret"])}


async def _asynchronous(options: dict[str, str], url: str) -> list[Ratio]:
    async with AsyncOAuthClient(**options) as oauth:
        fixed = {**JSON, "Authorization": (await oauth.ensure_app_token()).authorization}
        async with (
            httpx.AsyncClient(headers=fixed) as bare,
            httpx.AsyncClient(headers=JSON, auth=oauth.app_auth()) as api,
        ):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(await _atimed(api, url))
                theirs.append(await _atimed(bare, url))
    return [_ratio("httpx.AsyncClient, app_auth()", ours, theirs, 1.03)]


def _timed(client: httpx.Client, url: str) -> Callable[[], float]:
    def once() -> float:
        start = time.perf_counter()
        for _ in range(REQUESTS):
            assert client.get(url).status_code == 200
        return time.perf_counter() - start

    once()
    return once


async def _atimed(client: httpx.AsyncClient, url: str) -> float:
    start = time.perf_counter()
    for _ in range(REQUESTS):
        assert (await client.get(url)).status_code == 200
    return time.perf_counter() - start


def _ratio(ours: str, our_times: list[float], their_times: list[float], aim: float | None) -> Ratio:
    theirs = f"the same with a fixed header, {REQUESTS} requests each"
    return Ratio(ours=ours, theirs=theirs, our_times=our_times, their_times=their_times, aim=aim)

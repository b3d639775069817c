"""What `ensure_app_token` costs with a fresh token in memory; authlib's check of its own token beside it."""

import asyncio
import time
from collections.abc import Iterator
from statistics import median

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient
from exbo_oauth.testing import FakeExbo

CALLS = 20_000
ROUNDS = 25


def measure() -> Iterator[str]:
    fake = FakeExbo()
    with fake.serve() as base_url:
        options = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret, "base_url": base_url}
        yield _line("SyncOAuthClient.ensure_app_token()", _blocking(options), 2.0)
        yield _line("await AsyncOAuthClient.ensure_app_token()", asyncio.run(_asynchronous(options)), 4.0)
    try:
        from authlib.oauth2.rfc6749 import OAuth2Token
    except ImportError:
        return
    token = OAuth2Token({"access_token": "x", "expires_at": time.time() + 3600})
    yield _line("authlib's OAuth2Token.is_expired()", _rounds(token.is_expired), None)


def _rounds(call: object) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()  # type: ignore[operator]
        times.append((time.perf_counter() - start) / CALLS)
    return times


def _blocking(options: dict[str, str]) -> list[float]:
    with SyncOAuthClient(**options) as oauth:
        oauth.ensure_app_token()
        return _rounds(oauth.ensure_app_token)


async def _asynchronous(options: dict[str, str]) -> list[float]:
    times = []
    async with AsyncOAuthClient(**options) as oauth:
        await oauth.ensure_app_token()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for _ in range(CALLS):
                await oauth.ensure_app_token()
            times.append((time.perf_counter() - start) / CALLS)
    return times


def _line(name: str, times: list[float], aim: float | None) -> str:
    wanted = "" if aim is None else f", aim {aim:g}"
    return f"  {min(times) * 1e6:8.2f} µs best {median(times) * 1e6:8.2f} µs median   {name}{wanted}"

"""A part of a fleet, as a process: ``serve TTL`` or ``work KIND STORE BASE_URL TASKS``.

Workers call the API as fast as answers come, from the line ``go`` on until their input ends; the server issues a token
to somebody else for each line ``supersede``. Both end with a line of JSON.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from exbo_oauth import AsyncOAuthClient
from exbo_oauth.stores import store_from_url
from exbo_oauth.testing import FakeExbo

Get = Callable[[], Awaitable[int]]


def serve(ttl: str) -> None:
    fake = FakeExbo(token_ttl=float(ttl), invalidate="all", app_points=10**9, user_points=10**9, history=1000)
    with fake.serve() as base_url:
        print(json.dumps({"base_url": base_url, "secret": fake.app.client_secret}), flush=True)
        for line in sys.stdin:
            assert line.strip() == "supersede"
            fake.supersede()
        print(json.dumps({"issued": len(fake.issued)}), flush=True)


@asynccontextmanager
async def ours(store_url: str, base_url: str, secret: str) -> AsyncIterator[Get]:
    store = store_from_url(store_url)
    async with (
        AsyncOAuthClient(client_id=1, client_secret=secret, base_url=base_url, store=store) as oauth,
        httpx.AsyncClient(auth=oauth.app_auth(), timeout=60) as api,
    ):
        yield _getter(api, base_url)
    store.close()


@asynccontextmanager
async def authlib(_: str, base_url: str, secret: str) -> AsyncIterator[Get]:
    """As its documentation has it: the client fetches a token, and another one when that is over."""
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    endpoint = base_url + "/token"
    async with AsyncOAuth2Client(
        "1", secret, token_endpoint=endpoint, token_endpoint_auth_method="client_secret_post",
        grant_type="client_credentials", leeway=0, timeout=60,
    ) as api:  # fmt: skip
        await api.fetch_token(endpoint, grant_type="client_credentials")
        yield _getter(api, base_url)


def _getter(api: httpx.AsyncClient, base_url: str) -> Get:
    url = base_url.removesuffix("/oauth") + "/demo/app"

    async def get() -> int:
        return (await api.get(url, headers={"Accept": "application/json"})).status_code

    return get


async def work(kind: str, store_url: str, base_url: str, tasks: str) -> None:
    answers, over = Counter[str](), asyncio.Event()

    async def calling(get: Get) -> None:
        while not over.is_set():
            try:
                answers[str(await get())] += 1
            except Exception as error:  # noqa: BLE001  # whatever the peers raise is counted
                answers[type(error).__name__] += 1

    make: Any = {"ours": ours, "authlib": authlib}[kind]
    async with make(store_url, base_url, os.environ["FLEET_SECRET"]) as get:
        print(f"ready {await get()}", flush=True)
        assert await asyncio.to_thread(sys.stdin.readline) == "go\n"
        async with asyncio.TaskGroup() as group:
            for _ in range(int(tasks)):
                group.create_task(calling(get))
            await asyncio.to_thread(sys.stdin.readline)
            over.set()
            print(json.dumps({"answers": answers}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        asyncio.run(work(*sys.argv[2:]))

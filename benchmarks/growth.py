"""How it grows: app tokens fetched by 1 to 1,000 tasks and 1 to 64 threads at once, and a herd that meets a dead token.

Processor time of this process for each call, beside bare httpx. The herd are 10,000 tasks that have no token that is
alive, beside one POST and as many requests with a fixed header.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from exbo_oauth import AsyncOAuthClient

from ._peers import Calls
from .calls import CLIENT, abare, bare, ours, service
from .ratio import Ratio

ROUNDS, HERDS = 2, 1  # a thousand tasks of bare httpx keep httpcore busy for a minute a round
TASKS, THREADS, HERD = (1, 10, 100, 1000), (1, 8, 64), 10_000
CALLS = 1000
HERD_AIM, FLAT = 1.5, 1.3
# So many wait for a connection for longer than five seconds, which is httpx's own patience.
PATIENT = 600.0
# For the herd, whose queue is httpx's own on both sides: it looks at each connection for each who waits. One that has
# gone stale meanwhile would make that ten times as dear.
FEW = httpx.Limits(max_connections=10, max_keepalive_connections=10, keepalive_expiry=PATIENT)


def measure() -> Iterator[Ratio]:
    with service() as url:
        yield from _threads(url)
        yield from asyncio.run(_tasks(url))
        yield asyncio.run(_herd(url))


def _threads(url: str) -> Iterator[Ratio]:
    alone: list[float] = []
    for number in THREADS:
        with ours(url) as mine, bare(url) as theirs, ThreadPoolExecutor(number) as pool:

            def taken(calls: Calls, pool: ThreadPoolExecutor = pool) -> float:
                start = time.process_time()
                list(pool.map(lambda _: calls["get_app_token"](), range(CALLS)))
                return (time.process_time() - start) / CALLS

            taken(mine), taken(theirs)
            rounds = [(taken(mine), taken(theirs)) for _ in range(ROUNDS)]
        yield _ratio(f"get_app_token(), {number} threads", rounds)
        alone = alone or [one for one, _ in rounds]
        if number > 1:
            yield _grown(f"{number} threads", rounds, "1 thread", alone)


async def _tasks(url: str) -> list[Ratio]:
    found: list[Ratio] = []
    alone: list[float] = []
    for number in TASKS:
        async with (
            AsyncOAuthClient(**CLIENT, base_url=url, timeout=PATIENT) as oauth,
            abare(url, PATIENT) as theirs,
        ):
            ways = (oauth.get_app_token, theirs["get_app_token"])
            rounds = [[await _taken(way, number) for way in ways] for _ in range(ROUNDS + 1)]
        found.append(_ratio(f"get_app_token(), {number:,} tasks", rounds[1:]))
        alone = alone or [one for one, _ in rounds[1:]]
        if number > 1:
            found.append(_grown(f"{number:,} tasks", rounds[1:], "1 task", alone))
    return found


async def _taken(call: Callable[[], Awaitable[object]], tasks: int) -> float:
    async def several() -> None:
        for _ in range(CALLS // tasks):
            await call()

    start = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(several())
    return (time.process_time() - start) / CALLS


async def _herd(url: str) -> Ratio:
    rounds = [(await _of_ours(url), await _of_theirs(url)) for _ in range(HERDS)]
    return _ratio(f"{HERD:,} tasks that need a token at once", rounds, HERD_AIM)


async def _of_ours(url: str) -> float:
    oauth = AsyncOAuthClient(**CLIENT, base_url=url)
    async with oauth, httpx.AsyncClient(auth=oauth.app_auth(), timeout=PATIENT, limits=FEW) as api:
        return await _stampede(api, url)


async def _of_theirs(url: str) -> float:
    async with httpx.AsyncClient(timeout=PATIENT, limits=FEW) as api:
        return await _stampede(api, url, post=True)


async def _stampede(api: httpx.AsyncClient, url: str, *, post: bool = False) -> float:
    # A connection that is there: httpcore, where there is none, makes a hundred and goes through all of them again and
    # again for each of those who wait.
    await api.get(url + "/user", auth=None)
    start, headers = time.process_time(), {}
    if post:
        answer = await api.post(url + "/token", data={"grant_type": "client_credentials", **CLIENT})
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    async with asyncio.TaskGroup() as group:
        for _ in range(HERD):
            group.create_task(api.get(url + "/user", headers=headers))
    return time.process_time() - start


def _ratio(what: str, rounds: Any, aim: float | None = None) -> Ratio:
    return Ratio(
        ours=f"{what}: exbo-oauth",
        theirs=f"{what}: bare httpx",
        our_times=[one for one, _ in rounds],
        their_times=[other for _, other in rounds],
        aim=aim,
    )


def _grown(many: str, rounds: Any, one: str, alone: list[float]) -> Ratio:
    """What a call of many at once takes beside one that is alone."""
    return Ratio(
        ours=f"exbo-oauth, a call of {many}",
        theirs=f"exbo-oauth, a call of: {one}",
        our_times=[ours for ours, _ in rounds],
        their_times=alone,
        aim=FLAT,
    )

"""A process that calls an API with a shared token: ``python caller.py COLOUR STORE``.

It says ``ready``. Each line that it is told is an order in JSON, and it answers with what all calls came to: path,
status or error, and when the call began. COLOUR is ``threads`` or the name of an event loop.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import time_machine

from exbo_oauth import AsyncOAuthClient, OAuthError, SyncOAuthClient
from exbo_oauth.stores import store_from_url

Call = tuple[str, str, float]


def turns(order: dict[str, Any]) -> Callable[[int], bool]:
    """Whether the caller of this number makes another round; `together`, nobody ends before the last one."""
    begun = [0] * order["callers"]

    def goes_on(number: int) -> bool:
        begun[number] += 1
        return (min(begun) if order["together"] else begun[number]) <= order["times"]

    return goes_on


def called(url: str, outcome: httpx.Response | OAuthError, begun: float) -> Call:
    said = str(outcome.status_code) if isinstance(outcome, httpx.Response) else type(outcome).__name__
    return httpx.URL(url).path, said, begun


def now() -> float:
    """The real time, whatever this process takes for it."""
    return time_machine.escape_hatch.time.time()


def in_threads(options: dict[str, Any], order: dict[str, Any]) -> list[Call]:
    calls, goes_on = list[Call](), turns(order)

    def one(number: int) -> None:
        while goes_on(number):
            for url in order["urls"]:
                begun = now()
                try:
                    outcome: httpx.Response | OAuthError = api.get(url)
                except OAuthError as error:
                    outcome = error
                calls.append(called(url, outcome, begun))
            time.sleep(order["pause"])

    with SyncOAuthClient(**options) as oauth:
        auth = oauth.app_auth() if order["account"] is None else oauth.user_auth(order["account"])
        with httpx.Client(auth=auth, timeout=60) as api, ThreadPoolExecutor(order["callers"]) as pool:
            list(pool.map(one, range(order["callers"])))
    return calls


async def in_tasks(options: dict[str, Any], order: dict[str, Any]) -> list[Call]:
    calls, goes_on = list[Call](), turns(order)

    async def one(number: int) -> None:
        while goes_on(number):
            for url in order["urls"]:
                begun = now()
                try:
                    outcome: httpx.Response | OAuthError = await api.get(url)
                except OAuthError as error:
                    outcome = error
                calls.append(called(url, outcome, begun))
            await anyio.sleep(order["pause"])

    async with AsyncOAuthClient(**options) as oauth:
        auth = oauth.app_auth() if order["account"] is None else oauth.user_auth(order["account"])
        async with httpx.AsyncClient(auth=auth, timeout=60) as api, anyio.create_task_group() as group:
            for number in range(order["callers"]):
                group.start_soon(one, number)
    return calls


def main(colour: str, url: str) -> None:
    store = store_from_url(url)
    with time_machine.travel(time.time(), tick=True) as clock:
        print("ready", flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            clock.shift(order["ahead"])
            options = {**order["app"], "store": store, "max_retries": 0}
            if colour == "threads":
                calls = in_threads(options, order)
            else:
                calls = anyio.run(in_tasks, options, order, backend=colour)
            print(json.dumps(calls), flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

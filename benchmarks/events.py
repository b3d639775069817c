"""What events and the log cost where nobody listens: those of a token that is issued anew, beside the whole call."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import httpx
from attrs import evolve

from exbo_oauth import SyncOAuthClient
from exbo_oauth.events import Event
from exbo_oauth.testing import FakeExbo

ROUNDS = 40
CALLS = 50


def measure() -> Iterator[str]:
    fake, seen = FakeExbo(history=100), list[Event]()
    options = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret, "base_url": fake.base_url}
    with httpx.Client(transport=fake.transport()) as http:
        with SyncOAuthClient(**options, http_client=http, on_event=seen.append) as heard:
            heard.ensure_app_token()
            seen.clear()
            heard.replace_app_token()
        with SyncOAuthClient(**options, http_client=http) as unheard:
            whole, told = _each(unheard.replace_app_token, CALLS), _each(_telling(unheard, seen), 100 * CALLS)
    yield f"  {median(whole) * 1e6:8.1f} µs   replace_app_token(), processor time"
    yield f"  {median(told) * 1e6:8.1f} µs   of it for {len(seen)} events that nobody listens to"
    yield f"  share: {median(told) / median(whole):.3f}, aim 0.01"


def _telling(client: Any, events: list[Event]) -> Callable[[], object]:
    """Make the events anew, and tell of them."""

    def tell() -> None:
        for event in events:
            client._performer.emit(evolve(event))

    return tell


def _each(call: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(times):
            call()
        taken.append((time.process_time() - start) / times)
    return taken

"""What one process remembers, under threads that run at the same time: as they do where Python has no GIL.

With a GIL they take turns as often as it lets them. On a build without one, whatever brings it back has to be known.
"""

import asyncio
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from exbo_oauth import AppToken, AsyncOAuthClient, MemoryTokenStore, SyncOAuthClient
from exbo_oauth.testing import FakeExbo

THREADS = 16
ROUNDS = 12


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def fake() -> Iterator[FakeExbo]:
    fake = FakeExbo()
    with fake.serve():
        yield fake


def given(fake: FakeExbo) -> dict[str, Any]:
    app = fake.app
    return {"client_id": app.client_id, "client_secret": app.client_secret, "base_url": fake.base_url}


def at_once(work: Callable[[], Any]) -> list[Any]:
    """What as many threads get that begin together."""
    barrier = threading.Barrier(THREADS)

    def begin(_: int) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def run(call: Callable[[], Any]) -> Any:
    return asyncio.run(call())


def posts(fake: FakeExbo) -> int:
    return sum(request.path == "/oauth/token" for request in fake.requests)


def test_threads_get_one_token_and_one_in_its_place(fake: FakeExbo) -> None:
    for number in range(ROUNDS):
        with SyncOAuthClient(**given(fake), store=MemoryTokenStore()) as client:
            first = at_once(client.ensure_app_token)
            assert len(set(map(fingerprint, first))) == 1
            fake.supersede()
            second = at_once(partial(client.ensure_app_token, rejected=first[0]))
            assert len(set(map(fingerprint, second))) == 1
            assert fake.is_live(second[0])
        assert posts(fake) == 2 * (number + 1)


def test_event_loops_in_threads_get_one_token(fake: FakeExbo) -> None:
    for number in range(ROUNDS):
        client = AsyncOAuthClient(**given(fake), store=MemoryTokenStore())
        found = at_once(partial(run, client.ensure_app_token))
        asyncio.run(client.aclose())
        assert len(set(map(fingerprint, found))) == 1
        assert posts(fake) == number + 1


def test_one_auth_object_serves_threads_whose_token_dies(fake: FakeExbo) -> None:
    with SyncOAuthClient(**given(fake), store=MemoryTokenStore()) as client:
        auth = client.app_auth()

        def ask() -> int:
            with httpx.Client(auth=auth) as http:
                return http.get(f"{fake.api_url}/regions").status_code

        assert at_once(ask) == [200] * THREADS
        fake.supersede()
        assert at_once(ask) == [200] * THREADS
    assert posts(fake) == 2


def fingerprint(token: AppToken) -> str:
    return token.access_token


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_nothing_of_ours_brings_the_gil_back() -> None:
    assert not sys._is_gil_enabled()

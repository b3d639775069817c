"""`wait=`: how long a call waits for others who renew the token, and whom it says that it waited for."""

import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from exbo_oauth import ConfigurationError, LeaseTimeoutError, MemoryTokenStore, SQLiteTokenStore, StoreKey
from exbo_oauth.clients.process import identity
from exbo_oauth.flow.holders import owner_text
from exbo_oauth.testing import FakeExbo

from .conftest import Surface

SINCE = datetime(2026, 6, 1, 14, 3, tzinfo=UTC)
PATIENCE = 120.0

Ask = Callable[[Any, Any], Awaitable[Any]]

CALLS: dict[str, tuple[str | None, Ask]] = {
    "ensure_app_token": (None, lambda client, _: client.ensure_app_token(wait=0.05)),
    "ensure_user_token": ("ivan", lambda client, pair: client.ensure_user_token("ivan", rejected=pair, wait=0.05)),
    "replace_app_token": (None, lambda client, _: client.replace_app_token(wait=0.05)),
    "replace_user_token": ("ivan", lambda client, _: client.replace_user_token("ivan", wait=0)),
    "user_info": ("ivan", lambda client, _: client.user_info("ivan", wait=0)),
}


def signed_in(served: FakeExbo, store: Any) -> Any:
    with Surface("sync").raw_client(served, store=store) as client:
        attempt = client.begin_login()
        return client.finish_login(attempt, served.authorize(attempt.url), account="ivan")


@pytest.mark.parametrize("name", CALLS)
def test_who_waits_for_another_process_for_so_long_is_told_for_whom(
    surface: Surface, served: FakeExbo, tmp_path: Path, name: str
) -> None:
    account, call = CALLS[name]
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    pair = signed_in(served, store)
    served.advance(40_000_000)  # the token has ended
    before = len(served.issued)
    assert store.acquire(
        StoreKey(served.base_url, str(served.app.client_id), account), owner_text("web-2:311", SINCE, "0123"), 60
    )

    async def scenario(client: Any) -> None:
        with pytest.raises(LeaseTimeoutError, match=r"web-2:311 \(since 14:03:00 UTC\) is renewing") as caught:
            await call(client, pair)
        assert (caught.value.holder, caught.value.since) == ("web-2:311", SINCE)

    surface.call(surface.client(served, store=store), scenario)
    assert len(served.issued) == before
    store.close()


def test_who_waits_for_another_call_of_this_process_leaves_it_alone(surface: Surface, served: FakeExbo) -> None:
    store = MemoryTokenStore()
    gate = served.hold()
    first = threading.Thread(target=ask_and_close, args=[served, store])
    first.start()
    wait_for(served)

    async def scenario(client: Any) -> None:
        with pytest.raises(LeaseTimeoutError, match="is renewing the token of the application") as caught:
            await client.ensure_app_token(wait=0.05)
        assert caught.value.holder == identity()
        gate.release()
        assert (await client.ensure_app_token(wait=PATIENCE)).access_token == served.issued[-1].access_token

    surface.call(surface.client(served, store=store), scenario)
    first.join(PATIENCE)
    assert len(served.issued) == 1


def ask_and_close(served: FakeExbo, store: Any) -> None:
    with Surface("sync").raw_client(served, store=store) as client:
        client.ensure_app_token()


def wait_for(served: FakeExbo) -> None:
    """Wait until the server has got a request."""
    moment = threading.Event()
    while not served.requests:
        moment.wait(0.01)


def test_those_who_may_wait_go_on_waiting_when_the_one_who_asked_for_them_may_not(
    surface: Surface, served: FakeExbo
) -> None:
    # The hurried one leads the flight that the patient one has joined.
    store, answers = MemoryTokenStore(), list[str]()
    key = StoreKey(served.base_url, str(served.app.client_id))
    assert store.acquire(key, owner_text("web-2:311", SINCE, "0123"), 60)

    def hurried(client: Any) -> None:
        with pytest.raises(LeaseTimeoutError):
            client.ensure_app_token(wait=0.3)
        store.release(key, owner_text("web-2:311", SINCE, "0123"))

    def patient(client: Any) -> None:
        answers.append(client.ensure_app_token().access_token)

    if surface.blocking:
        with surface.raw_client(served, store=store) as client:
            threads = [threading.Thread(target=each, args=[client]) for each in (hurried, patient)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
    else:

        async def both() -> None:
            async with surface.raw_client(served, store=store) as client, anyio.create_task_group() as group:
                group.start_soon(hurried_task, client)
                group.start_soon(patient_task, client)

        async def hurried_task(client: Any) -> None:
            with pytest.raises(LeaseTimeoutError):
                await client.ensure_app_token(wait=0.3)
            store.release(key, owner_text("web-2:311", SINCE, "0123"))

        async def patient_task(client: Any) -> None:
            answers.append((await client.ensure_app_token()).access_token)

        surface.run(both)
    assert answers == [served.issued[-1].access_token]


def test_a_token_that_is_there_costs_no_wait(surface: Surface, served: FakeExbo) -> None:
    async def scenario(client: Any) -> None:
        token = await client.ensure_app_token()
        assert await client.ensure_app_token(wait=0) == token
        with pytest.raises(ConfigurationError, match="wait must be a number of seconds from 0 up, not -1"):
            await client.ensure_app_token(wait=-1)

    surface.call(surface.client(served), scenario)

"""A process that can begin no thread: it has as many as it may, or is about to end. Calls do their work themselves."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from exbo_oauth import SQLiteTokenStore, StoreKey
from exbo_oauth.events import Event
from exbo_oauth.stores.patience import Impatient
from exbo_oauth.threads import carry_out

from .conftest import Sandbox


@pytest.fixture
def no_more_threads(sandbox: Sandbox) -> Iterator[None]:
    """From when the sandbox is served until the end of the test."""
    size = threading.stack_size(1 << 46)  # more than any machine can give
    yield
    threading.stack_size(size)


def test_a_pair_is_renewed_and_saved(sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store:
        old = sandbox.sign_in(store)
        request.getfixturevalue("no_more_threads")
        with sandbox.sync(store=store) as oauth:
            newer = oauth.ensure_user_token("ivan", rejected=old)
            assert newer != old
            assert sandbox.fake.is_live(newer)
        saved = store.load(StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), "ivan"))
        assert saved is not None
        assert saved.token == newer


@pytest.mark.usefixtures("no_more_threads")
def test_a_request_through_the_callers_client_is_sent(sandbox: Sandbox) -> None:
    with httpx.Client() as http, sandbox.sync(http_client=http) as oauth:
        assert sandbox.fake.is_live(oauth.get_app_token())


@pytest.mark.usefixtures("no_more_threads")
def test_what_is_only_to_be_noted_is_given_up(sandbox: Sandbox, tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store, sandbox.sync(store=store) as oauth:
        oauth.ensure_app_token()
        by_hand = oauth.get_app_token()
        assert sandbox.fake.is_live(by_hand)
        assert oauth.ensure_app_token().access_token != by_hand.access_token
        assert sandbox.posts == 2


@pytest.mark.usefixtures("no_more_threads")
def test_what_a_function_can_be_told_on_no_thread_it_is_not_told(sandbox: Sandbox) -> None:
    told: list[Event] = []
    with sandbox.sync(on_event=told.append) as oauth:
        assert sandbox.fake.is_live(oauth.ensure_app_token())
    assert told == []


@pytest.mark.usefixtures("no_more_threads")
def test_a_call_that_may_be_given_up_is_made_all_the_same() -> None:
    done: list[str] = []
    assert Impatient()(lambda: 7) == 7
    carry_out(lambda: done.append("once"))
    assert done == ["once"]

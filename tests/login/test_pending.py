"""Sign-ins that are under way: two tabs, callbacks that come twice, links that were sent on."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from exbo_oauth import ConfigurationError, LoginAttempt, PendingLogins, SyncOAuthClient


def attempts(number: int) -> list[LoginAttempt]:
    with SyncOAuthClient(client_id=59, client_secret="x") as client:
        return [client.begin_login() for _ in range(number)]


def callback(attempt: LoginAttempt, code: str = "def502") -> str:
    return f"http://localhost/?{urlencode({'code': code, 'state': attempt.state})}"


def kept(*begun: LoginAttempt, owner: str | int = "", most: int = 1000) -> PendingLogins:
    pending = PendingLogins(most=most)
    for attempt in begun:
        pending.add(attempt, owner)
    return pending


def test_each_tab_finds_its_own_sign_in_in_any_order() -> None:
    first, second = attempts(2)
    pending = kept(first, second)
    assert pending.take(callback(second)) == second
    assert pending.take(callback(first)) == first


def test_a_sign_in_is_handed_out_once() -> None:
    [attempt] = attempts(1)
    pending = kept(attempt)
    assert pending.take(callback(attempt)) == attempt
    assert pending.take(callback(attempt)) is None


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param("", id="nothing"),
        pytest.param("http://localhost/", id="no query"),
        pytest.param("code=x&state=guessed", id="a guessed state"),
        pytest.param("error=invalid_scope", id="an error without state"),
        pytest.param("state=a&state=b", id="two states"),
        pytest.param("state=\ud800", id="half a character"),
        pytest.param("x" * 100_000, id="endless"),
    ],
)
def test_a_foreign_callback_changes_nothing(foreign: str) -> None:
    [attempt] = attempts(1)
    pending = kept(attempt)
    assert pending.take(foreign) is None
    assert pending.ticket(foreign) is None
    assert pending.take(callback(attempt)) == attempt


def test_what_is_kept_fits_into_a_web_session() -> None:
    [attempt] = attempts(1)
    session: dict[str, Any] = {}
    PendingLogins(session).add(attempt, 1001)
    ticket = PendingLogins(session := json.loads(json.dumps(session))).ticket(callback(attempt))
    assert ticket is not None
    assert PendingLogins(json.loads(json.dumps(session))).redeem(ticket, 1001) == (attempt, callback(attempt))


def test_the_oldest_make_room() -> None:
    begun = attempts(5)
    pending = kept(*begun, most=3)
    assert [pending.take(callback(attempt)) is not None for attempt in begun] == [False, False, True, True, True]


def test_sign_ins_end_after_an_hour() -> None:
    old, new = attempts(2)
    old = LoginAttempt.from_dict(old.to_dict() | {"created_at": (old.created_at - timedelta(minutes=61)).isoformat()})
    pending = kept(old, new)
    assert len(pending) == 1
    assert pending.take(callback(old)) is None


def test_what_is_not_ours_in_the_mapping_goes_first() -> None:
    [attempt] = attempts(1)
    entries: dict[str, Any] = {"theirs": 1, "": {"attempt": {}}}
    PendingLogins(entries).add(attempt)
    assert list(entries) == [attempt.state]


def test_only_the_owner_redeems_a_ticket_and_once() -> None:
    [attempt] = attempts(1)
    pending = kept(attempt, owner=666)
    ticket = pending.ticket(callback(attempt))
    assert ticket is not None
    assert pending.redeem(ticket, 1002) is None
    assert pending.redeem(ticket, 666) == (attempt, callback(attempt))
    assert pending.redeem(ticket, 666) is None


def test_a_ticket_fits_a_deep_link_and_is_the_same_for_a_callback_that_was_fetched_twice() -> None:
    [attempt] = attempts(1)
    pending = kept(attempt)
    ticket = pending.ticket(callback(attempt))
    assert ticket is not None
    assert len(ticket) == 32
    assert set(ticket) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert pending.ticket(callback(attempt)) == ticket
    assert pending.ticket(callback(attempt, code="another")) == ticket  # the first to come back is who came back


@pytest.mark.parametrize(
    "guess", [lambda attempt: attempt.state, lambda attempt: attempt.url, lambda _: "", lambda _: "\u00e9"]
)
def test_who_knows_the_address_does_not_know_the_ticket(guess: Callable[[LoginAttempt], str]) -> None:
    [attempt] = attempts(1)
    pending = kept(attempt, owner=1)
    assert pending.redeem(guess(attempt), 1) is None
    pending.ticket(callback(attempt))
    assert pending.redeem(guess(attempt), 1) is None


def test_a_sign_in_that_waits_for_its_ticket_is_not_given_to_a_web_page() -> None:
    [attempt] = attempts(1)
    pending = kept(attempt)
    pending.ticket(callback(attempt))
    assert pending.take(callback(attempt)) is None


def test_it_shows_no_secret() -> None:
    [attempt] = attempts(1)
    assert repr(kept(attempt)) == "<PendingLogins: 1 under way>"


@pytest.mark.parametrize("most", [0, -1, True, "3"])
def test_a_number_that_is_not_one_is_refused(most: Any) -> None:
    with pytest.raises(ConfigurationError, match="most must be a whole number"):
        PendingLogins(most=most)

"""Limits of the token endpoint on paper: who leaves word of one, who heeds it, and when it is over."""

from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import RateLimitError, ServerError, StoreError
from exbo_oauth.flow.effects import Hold, Lease, Leased
from exbo_oauth.flow.limits import LONGEST, check_limit
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.sharing import ensure_app_token, ensure_user_token
from exbo_oauth.stores import Entry
from exbo_oauth.stores.base import is_limit

from .test_sharing import FIRST, ISSUE, PAIR, REFRESH, failing, issuing, renewing
from .transcript import (
    APP,
    EXPIRED,
    HOUSE,
    IVAN,
    LIMIT,
    T0,
    Stage,
    Step,
    after,
    limit_noted,
    loaded,
    nothing,
    play,
    refusal,
    slept,
    word,
    written,
)

LOOK = Lease("somebody who looks", 1.0)
THERE = word(429, 60, by="elsewhere:1")


def app() -> Any:
    return ensure_app_token(HOUSE, Need(60))


def told(entry: Entry = THERE, *, holds: bool = True) -> list[Step]:
    """Word of a limit is found, and whether its time is over."""
    return [loaded(LIMIT, entry), (Leased(LIMIT, LOOK, nothing), None if holds else [])]


def busy(status: int, seconds: object = None) -> Any:
    return refusal(status, headers={} if seconds is None else {"retry-after": str(seconds)})


@pytest.mark.parametrize(
    ("status", "asked_for", "noted"),
    [
        pytest.param(429, 31, 31, id="a time"),
        pytest.param(503, 31, 31, id="a time, for all"),
        pytest.param(429, 86_400, LONGEST, id="a day"),
        pytest.param(429, "9" * 12, LONGEST, id="for ever"),
    ],
)
def test_whoever_is_told_to_wait_tells_the_others(status: int, asked_for: object, noted: float) -> None:
    flight = renewing(APP, None, *failing(APP, ISSUE, None, busy(status, asked_for)), *limit_noted(word(status, noted)))
    with pytest.raises(RateLimitError if status == 429 else ServerError):
        play(app(), flight)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("named", [None, "0", "soon"])
def test_a_server_that_names_no_time_may_be_asked_at_once(status: int, named: str | None) -> None:
    asked: list[Step] = failing(APP, ISSUE, None, busy(status, named))
    if named == "0":
        asked = [*asked, slept(0), *asked, slept(0), *asked]
    elif status == 503:
        asked = [*asked, slept(0.25), *asked, slept(0.5), *asked]
    with pytest.raises(RateLimitError if status == 429 else ServerError):
        play(app(), renewing(APP, None, *asked))


@pytest.mark.parametrize("status", [429, 503])
def test_who_finds_word_of_a_limit_sends_nothing_and_knows_how_long(status: int) -> None:
    stage, flight = Stage(after(20)), renewing(APP, None, *told(word(status, 60, by="elsewhere:1")))
    with pytest.raises(RateLimitError if status == 429 else ServerError) as caught:
        play(app(), flight, stage=stage)
    assert caught.value.retry_after == 40
    assert (caught.value.status, caught.value.grant) == (status, "client_credentials")
    said = "wants fewer requests" if status == 429 else "is not available"
    assert str(caught.value) == (
        f"the token endpoint {said}: it answered {status} to elsewhere:1, and nobody who shares this store asks again "
        "before 00:01:00 UTC, in 40 s"
    )
    assert dict(caught.value.headers) == {"retry-after": "40"}


def test_a_limit_is_everybodys_not_one_tokens() -> None:
    flight = renewing(IVAN, PAIR, *told(word(429, 60, written_at=EXPIRED)))
    with pytest.raises(RateLimitError) as caught:
        play(ensure_user_token(HOUSE, "ivan", Need(60)), flight, stage=Stage(EXPIRED))
    assert caught.value.grant == "refresh_token"
    assert REFRESH.url == ISSUE.url


def test_a_short_rest_of_a_limit_is_waited_for() -> None:
    over: list[Step] = [*told(holds=False), *issuing(APP, ISSUE, None, FIRST)]
    flight = renewing(APP, None, *told(word(429, 8)), slept(8), *over, *taken_back(THERE))
    assert play(app(), flight) == FIRST.token


def taken_back(entry: Entry) -> list[Step]:
    return [written(LIMIT, entry.revision, None), (Leased(LIMIT, Lease("limited", 1.0), nothing), [])]


def test_a_token_that_is_issued_ends_a_limit() -> None:
    flight = renewing(APP, None, *told(holds=False), *issuing(APP, ISSUE, None, FIRST), *taken_back(THERE))
    assert play(app(), flight) == FIRST.token


def test_what_another_said_meanwhile_is_not_taken_back() -> None:
    tail = written(LIMIT, THERE.revision, None, given=False)
    flight = renewing(APP, None, *told(holds=False), *issuing(APP, ISSUE, None, FIRST), tail)
    assert play(app(), flight) == FIRST.token


@pytest.mark.parametrize(
    ("ahead", "left"),
    [
        pytest.param(-600, 60, id="behind"),
        pytest.param(0, 60, id="right"),
        pytest.param(50, 10, id="some time later"),
        pytest.param(600, 0.1, id="ahead"),
    ],
)
def test_clocks_that_differ_neither_prolong_a_limit_nor_end_it(ahead: float, left: float) -> None:
    stage = Stage(after(ahead))
    with pytest.raises(RateLimitError) as caught:
        play(check_limit(HOUSE, None), *told(), stage=stage)
    assert caught.value.retry_after == left
    assert play(check_limit(HOUSE, None), *told(holds=False), stage=stage) == THERE


def test_word_that_another_version_wrote_is_heeded_as_far_as_it_is_understood() -> None:
    with pytest.raises(RateLimitError) as caught:
        play(check_limit(HOUSE, None), *told(evolve(THERE, history=())))
    assert (caught.value.retry_after, caught.value.status) == (60, 429)


def test_who_is_looked_at_leaves_word_a_moment_later() -> None:
    entry = word(429, 31)
    hold = Hold(LIMIT, Lease("limited", 31.0))
    noted = [(hold, False), slept(0.02), *limit_noted(entry)]
    with pytest.raises(RateLimitError):
        play(app(), renewing(APP, None, *failing(APP, ISSUE, None, busy(429, 31)), *noted))


@pytest.mark.parametrize("where", ["looking", "telling", "taking back"])
def test_a_store_that_fails_makes_no_limit_and_no_trouble(where: str) -> None:
    down = StoreError("down")
    match where:
        case "looking":
            flight = renewing(APP, None, loaded(LIMIT, down), *issuing(APP, ISSUE, None, FIRST))
        case "telling":
            asked = failing(APP, ISSUE, None, busy(429, 31))
            flight = renewing(APP, None, *asked, (Hold(LIMIT, Lease("limited", 31.0)), down))
        case _:
            tail = written(LIMIT, THERE.revision, None, given=down)
            flight = renewing(APP, None, *told(holds=False), *issuing(APP, ISSUE, None, FIRST), tail)
    if where == "telling":
        with pytest.raises(RateLimitError):
            play(app(), flight)
    else:
        assert play(app(), flight) == FIRST.token


def test_an_earlier_word_is_replaced() -> None:
    earlier, revision = word(429, 31, written_at=T0), word(429, 31).revision + 1
    later = evolve(word(429, 31), revision=revision)
    noted = [
        (Hold(LIMIT, Lease("limited", 31.0)), True),
        loaded(LIMIT, earlier),
        written(LIMIT, earlier.revision, later),
    ]
    flight = renewing(APP, None, *told(holds=False), *failing(APP, ISSUE, None, busy(429, 31)), *noted)
    with pytest.raises(RateLimitError):
        play(app(), flight)


def test_another_trouble_of_the_server_is_no_limit() -> None:
    flight = renewing(APP, None, *failing(APP, ISSUE, None, refusal(418)))
    with pytest.raises(Exception, match="no") as caught:
        play(app(), flight)
    assert getattr(caught.value, "status", None) == 418


def test_word_of_a_limit_is_told_from_tokens_by_its_key() -> None:
    assert [is_limit(key) for key in (LIMIT, APP, IVAN)] == [True, False, False]

"""When a token will do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exbo_oauth import AppToken, ConfigurationError, Entry
from exbo_oauth.flow.needs import Held, Need, revision_after

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def entry(life: float) -> Entry:
    token = AppToken(token_type="Bearer", access_token="token", expires_in=NOON + timedelta(seconds=life))
    return Entry(token=token, revision=1, issued_by="test", issued_at=NOON)


@pytest.mark.parametrize(
    ("life", "age", "min_ttl", "serves"),
    [
        (3600, 0, 60, True),
        (3600, 3540, 60, True),
        (3600, 3541, 60, False),
        (3600, 3600, 0, False),
        (30, 0, 60, True),
        (30, 29, 60, True),
        (30, 30, 60, False),
        (60, 59, 60, True),
        (61, 30, 60, True),
        (61, 31, 60, False),
        (3000, 59, 2999, True),
        (3000, 60, 2999, False),
    ],
)
def test_a_token_serves_for_as_long_as_it_is_asked_to(life: float, age: float, min_ttl: float, serves: bool) -> None:
    assert Held.of(entry(life), 0.0).serves(NOON.timestamp() + age, min_ttl) is serves
    assert Need(min_ttl).met_by(entry(life), NOON + timedelta(seconds=age)) is serves


@pytest.mark.parametrize(
    "min_ttl", ["60", None, -1, float("nan"), float("inf"), True, 10**400], ids=lambda value: repr(value)[:9]
)
def test_what_is_no_lifetime_is_said_to_be_none(min_ttl: Any) -> None:
    with pytest.raises(ConfigurationError, match="min_ttl"):
        Need(min_ttl)
    with pytest.raises(ConfigurationError, match="wait" if min_ttl is not None else "min_ttl"):
        Need(min_ttl if min_ttl is None else 60, wait=min_ttl)
    if not isinstance(min_ttl, int | float):  # the hot path leaves the complaint to the slow one
        assert not Held.of(entry(3600), 0.0).serves(NOON.timestamp(), min_ttl)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a text": ({"min_ttl": "60"}, "min_ttl must be a number of seconds from 0 up, not '60'"),
    "too few": ({"min_ttl": -1}, "min_ttl must be a number of seconds from 0 up, not -1"),
    "no number": ({"min_ttl": float("nan")}, "min_ttl must be a number of seconds from 0 up, not nan"),
    "too many": (
        {"min_ttl": 10**400},
        f"min_ttl must be a number of seconds from 0 up, not 1{'0' * 39}…",
    ),
    "a wait that is a text": (
        {"min_ttl": 60, "wait": "x"},
        "wait must be a number of seconds from 0 up, not 'x'",
    ),
    "a token that is none": (
        {"min_ttl": 60, "rejected": 5},
        "rejected must be the token that was refused, or its text, not an int",
    ),
}


@pytest.mark.parametrize(("need", "text"), REFUSED.values(), ids=REFUSED)
def test_a_need_that_cannot_be_met_is_refused_in_these_words(need: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Need(**need)
    assert str(caught.value) == text


def test_the_longest_lifetime_is_one_that_can_be_reckoned_with() -> None:
    assert Need(1e300).min_ttl == 1e300


@pytest.mark.parametrize(
    ("now", "known", "expected"),
    [
        pytest.param(NOON, (), int(NOON.timestamp() * 1e6), id="the time"),
        pytest.param(NOON, (5, 10**18), 10**18 + 1, id="above what is to come"),
        pytest.param(datetime(1970, 1, 1, tzinfo=UTC), (), 1, id="a clock that was never set"),
    ],
)
def test_a_revision_is_the_time_or_above_all_others(now: datetime, known: tuple[int, ...], expected: int) -> None:
    assert revision_after(now, *known) == expected

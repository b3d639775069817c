"""When a token will do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exbo_oauth import AppToken, ConfigurationError, Entry
from exbo_oauth.flow.needs import Held, Need

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
    assert Held.of(entry(life)).serves(NOON.timestamp() + age, min_ttl) is serves
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
        assert not Held.of(entry(3600)).serves(NOON.timestamp(), min_ttl)

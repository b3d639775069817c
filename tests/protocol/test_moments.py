"""Moments as callers, servers and stores write them, and what is said of those that are none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from exbo_oauth import ConfigurationError
from exbo_oauth.moments import as_expiry, as_reset, as_saved, aware, seconds_after, utc_now

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOSCOW = timezone(timedelta(hours=3))
NAIVE = datetime(2026, 6, 1, 12)  # noqa: DTZ001
LAST = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))

UNDERSTOOD: dict[str, tuple[Callable[[], datetime | None], datetime | None]] = {
    "in UTC": (lambda: aware(NOON), NOON),
    "elsewhere": (lambda: aware(datetime(2026, 6, 1, 15, tzinfo=MOSCOW)), NOON),
    "seconds later": (lambda: seconds_after(90, NOON), NOON + timedelta(seconds=90)),
    "seconds earlier": (lambda: seconds_after("-1.5", NOON), NOON - timedelta(seconds=1.5)),
    "an expiry that is a moment": (lambda: as_expiry(NOON.astimezone(MOSCOW)), NOON),
    "a reset that is a moment": (lambda: as_reset(NOON.astimezone(MOSCOW)), NOON),
    "no reset": (lambda: as_reset(None), None),
    "epoch seconds": (lambda: as_reset(1_780_315_200), NOON),
    "epoch seconds as text": (lambda: as_reset("1780315200.0"), NOON),
    "epoch milliseconds": (lambda: as_reset(1_780_315_200_000), NOON),
    "milliseconds before the epoch": (
        lambda: as_reset(-100_000_000_000),
        datetime(1966, 10, 31, 14, 13, 20, tzinfo=UTC),
    ),
    "saved with a T": (lambda: as_saved("2026-06-01T12:00:00+00:00"), NOON),
    "saved with a T alone": (lambda: as_saved("20260601T120000Z"), NOON),
    "saved with hyphens alone": (lambda: as_saved("2026-06-01 15:00:00+03:00"), NOON),
    "saved as epoch seconds": (lambda: as_saved(1_780_315_200), NOON),
    "saved as epoch seconds in text": (lambda: as_saved("1780315200"), NOON),
    "saved as of before the epoch": (lambda: as_saved("-5"), datetime(1969, 12, 31, 23, 59, 55, tzinfo=UTC)),
    "nothing saved": (lambda: as_saved(None), None),
}


@pytest.mark.parametrize(("read", "moment"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_a_moment_is_read_in_utc(read: Callable[[], datetime | None], moment: datetime | None) -> None:
    found = read()
    assert found == moment
    assert found is None or found.tzinfo is UTC


def test_now_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC


@pytest.mark.parametrize(
    "read", [lambda: seconds_after(60, None), lambda: as_expiry("60")], ids=["seconds", "an expiry"]
)
def test_seconds_without_a_beginning_begin_now(read: Callable[[], datetime]) -> None:
    before = datetime.now(UTC)
    found = read() - timedelta(seconds=60)
    assert before <= found <= datetime.now(UTC)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "text": (lambda: aware("2026"), "'2026' is not a datetime: pass an aware one"),
    "naive": (
        lambda: aware(NAIVE),
        f"{NAIVE!r} has no UTC offset: pass an aware datetime, as in datetime.now(timezone.utc)",
    ),
    "beyond": (lambda: aware(LAST), f"{LAST!r} in UTC is beyond the calendar"),
    "40 characters": (lambda: aware("x" * 38), f"'{'x' * 38}' is not a datetime: pass an aware one"),
    "41 characters": (lambda: aware("x" * 39), f"'{'x' * 39}… is not a datetime: pass an aware one"),
    "42 characters": (lambda: aware("x" * 40), f"'{'x' * 39}… is not a datetime: pass an aware one"),
    "a boolean": (lambda: seconds_after(True, NOON), "True is not a number of seconds"),
    "nothing": (lambda: seconds_after(None, NOON), "None is not a number of seconds"),
    "a list": (lambda: seconds_after([], NOON), "[] is not a number of seconds"),
    "a word": (lambda: seconds_after("soon", NOON), "'soon' is not a number of seconds"),
    "not a number": (lambda: seconds_after(float("nan"), NOON), "nan is not a number of seconds"),
    "endless": (lambda: seconds_after("inf", NOON), "'inf' is not a number of seconds"),
    "digits": (lambda: seconds_after(10**5000, NOON), "a number of too many digits is not a number of seconds"),
    "far": (lambda: seconds_after(10**12, NOON), "1000000000000 seconds from now is beyond the calendar"),
    "farther": (lambda: seconds_after(1e20, NOON), "1e+20 seconds from now is beyond the calendar"),
    "after a naive one": (
        lambda: seconds_after(5, NAIVE),
        f"{NAIVE!r} has no UTC offset: pass an aware datetime, as in datetime.now(timezone.utc)",
    ),
    "an expiry in epoch seconds": (
        lambda: as_expiry(1_000_000_000),
        "expires_in is 1000000000 seconds, which can only be a moment: pass datetime.fromtimestamp(…, UTC)",
    ),
    "a reset beyond": (lambda: as_reset(1e20), "1e+20 is not a moment"),
    "a reset in words": (lambda: as_reset("soon"), "'soon' is not a number of seconds"),
    "saved wrongly": (lambda: as_saved("some-token"), "this is not an ISO 8601 moment"),
    "saved with a hyphen in the second place": (lambda: as_saved("1-2"), "this is not an ISO 8601 moment"),
}


@pytest.mark.parametrize(("read", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_a_moment_is_named(read: Callable[[], object], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read()
    assert str(caught.value) == told


def test_a_lifetime_may_be_of_31_years() -> None:
    assert as_expiry(999_999_999) > utc_now() + timedelta(days=31 * 365)

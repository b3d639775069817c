"""Moments, as callers, servers and stores write them: aware datetimes in UTC, or one error that says what to pass."""

import math
from datetime import UTC, datetime, timedelta

from .misuse import ConfigurationError

__all__ = ["UNKNOWN_END", "as_expiry", "as_reset", "as_saved", "aware", "seconds_after", "shown", "utc_now"]

_EPOCH_FROM = 1_000_000_000  # as a lifetime 31 years, as a moment in September 2001
_MILLISECONDS_FROM = 100_000_000_000  # as seconds this is the year 5138

UNKNOWN_END = datetime(9999, 1, 1, tzinfo=UTC)
"""When a token ends whose answer did not say so. Not the calendar's last day: that has no local time in Moscow."""


def utc_now() -> datetime:
    """Now."""
    return datetime.now(UTC)


def aware(moment: object) -> datetime:
    """A caller's aware datetime, in UTC."""
    if not isinstance(moment, datetime):
        raise ConfigurationError(f"{shown(moment)} is not a datetime: pass an aware one")
    if moment.tzinfo is UTC:
        return moment  # as nearly all are
    if moment.utcoffset() is None:
        raise ConfigurationError(
            f"{moment!r} has no UTC offset: pass an aware datetime, as in datetime.now(timezone.utc)"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(f"{moment!r} in UTC is beyond the calendar") from None


def shown(value: object) -> str:
    """A value in an error's text: its beginning, if it is long."""
    try:
        text = repr(value)
    except ValueError:  # an int of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= 40 else f"{text[:40]}…"


def _number(value: object) -> float:
    """A finite number from an int, a float or digits; anything else is a ConfigurationError naming it."""
    try:
        fits = isinstance(value, int | float | str) and not isinstance(value, bool)
        number = float(value) if fits else math.nan  # type: ignore[arg-type]  # just looked
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigurationError(f"{shown(value)} is not a number of seconds")
    return number


def seconds_after(value: object, now: datetime | None) -> datetime:
    """The moment so many seconds after `now`, or after this one."""
    seconds = _number(value)
    try:
        return (utc_now() if now is None else aware(now)) + timedelta(seconds=seconds)
    except OverflowError:
        raise ConfigurationError(f"{shown(value)} seconds from now is beyond the calendar") from None


def as_expiry(value: object) -> datetime:
    """A moment, or seconds from now (RFC 6749, section 5.1), as a moment."""
    if isinstance(value, datetime):
        return aware(value)
    if _number(value) >= _EPOCH_FROM:  # what `datetime.timestamp()` gives, say, of a moment that another library kept
        raise ConfigurationError(
            f"expires_in is {shown(value)} seconds, which can only be a moment: pass datetime.fromtimestamp(…, UTC)"
        )
    return seconds_after(value, None)


def as_reset(value: object) -> datetime | None:
    """Epoch seconds (the OAuth server) or milliseconds (the game API), or a moment, as a moment."""
    if value is None or isinstance(value, datetime):
        return None if value is None else aware(value)
    number = _number(value)
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS_FROM else number, UTC)
    except (OverflowError, OSError, ValueError):
        raise ConfigurationError(f"{shown(value)} is not a moment") from None


def as_saved(value: object) -> datetime | None:
    """What `to_dict` wrote (ISO 8601), or another library (epoch seconds), as a moment."""
    if isinstance(value, str) and ("T" in value or "-" in value[1:]):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigurationError("this is not an ISO 8601 moment") from None
    return as_reset(value)

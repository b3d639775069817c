"""How lifetimes and tokens are put into words."""

from datetime import UTC, datetime, timedelta

__all__ = ["lifetime", "moment", "owner"]


def lifetime(left: timedelta) -> str:
    """What is left of a life in the two largest units, or how long ago it ended."""
    seconds = int(left.total_seconds())
    return _span(seconds) if seconds > 0 else f"expired {_span(-seconds)} ago"


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} day{'s' * (days != 1)}"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(value: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def owner(account: str | None) -> str:
    """Whose token it is."""
    return "the application" if account is None else repr(account)

"""How lifetimes and tokens are put into words."""

from datetime import UTC, datetime, timedelta

from ..language import tr, trn

__all__ = ["lifetime", "moment", "process"]


def lifetime(left: timedelta) -> str:
    """What is left of a life in the two largest units, or how long ago it ended."""
    seconds = int(left.total_seconds())
    return _span(seconds) if seconds > 0 else tr("expired {span} ago", span=_span(-seconds))


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return trn("{count} day", "{count} days", days)
    if hours:
        return tr("{hours} h {minutes} min", hours=hours, minutes=minutes)
    if minutes:
        return tr("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
    return tr("{seconds} s", seconds=rest)


def moment(value: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def process(identity: str) -> str:
    """Who got a token: stores keep the host and the process id, with a colon between them."""
    host, colon, pid = identity.rpartition(":")
    return tr("process {pid} on {host}", pid=pid, host=host) if colon and pid.isdecimal() else identity

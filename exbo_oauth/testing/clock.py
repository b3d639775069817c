"""The server's clock: this process's or a given one, which tests push forward."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

from ..errors import ConfigurationError
from .knobs import seconds as seconds_of

__all__ = ["Clock"]


class Clock:
    """Epoch seconds from `source` plus what `advance` added.

    `source` returns epoch seconds or an aware datetime. Without it this is the process's own clock, looked up every
    time, so that it follows whoever freezes or moves that: time-machine, freezegun.
    """

    def __init__(self, source: Callable[[], float | datetime] | None = None) -> None:
        self._source = (lambda: time.time()) if source is None else source
        self.ahead: float = 0.0

    def now(self) -> float:
        value = self._source()
        return (value.timestamp() if isinstance(value, datetime) else value) + self.ahead

    def moment(self) -> datetime:
        """Now as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float | timedelta) -> None:
        """Push the clock forward; it never goes back."""
        step = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if seconds_of("advance", step) < 0:
            raise ConfigurationError(f"the clock cannot go back by {-step} seconds")
        self.ahead += step

    def http_date(self) -> str:
        """Now as an HTTP date (RFC 9110, section 5.6.7)."""
        return _http_date(int(self.now()))


@lru_cache(maxsize=4)
def _http_date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)

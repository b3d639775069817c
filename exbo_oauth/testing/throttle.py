"""Laravel's request limiter: so many requests a minute and address, the minute beginning with the first one.

It counts in whole seconds, as the original does: whoever waits as long as it says is let through.
"""

from math import floor

from attrs import define, frozen

from ..protocol.messages import Response

__all__ = ["FixedWindow", "Standing"]

_WINDOW = 60
_UNLIMITED = 100_000  # what the recordings show where nothing is throttled


@frozen(kw_only=True)
class Standing:
    """Where a caller stands after a request; `retry_after` (whole seconds) only if this one is over the limit."""

    limit: int
    remaining: int
    retry_after: int | None = None
    reset: int | None = None

    def headers(self) -> dict[str, str]:
        headers = {"x-ratelimit-limit": str(self.limit), "x-ratelimit-remaining": str(self.remaining)}
        if self.retry_after is not None:
            headers |= {"retry-after": str(self.retry_after), "x-ratelimit-reset": str(self.reset)}
        return headers

    def on(self, response: Response) -> Response:
        return Response(response.status, {**response.headers, **self.headers()}, response.content)


@define
class _Window:
    ends: int
    used: int = 0


class FixedWindow:
    """`limit` requests a minute for each address; None counts and never refuses."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._windows: dict[str, _Window] = {}

    def hit(self, address: str, now: float) -> Standing:
        second = floor(now)
        window = self._windows.get(address)
        if window is None or window.ends <= second:
            window = self._windows[address] = _Window(second + _WINDOW)
        limit = _UNLIMITED if self.limit is None else self.limit
        if self.limit is not None and window.used >= limit:
            return Standing(limit=limit, remaining=0, retry_after=window.ends - second, reset=window.ends)
        window.used += 1
        return Standing(limit=limit, remaining=max(0, limit - window.used))

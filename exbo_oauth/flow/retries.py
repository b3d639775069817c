"""One call to the server: sent, read, and repeated where a repetition can spend nothing.

What may be repeated, and what for:

=========================================  ======================  =======================
what happened                              app token, user info    code, refresh token
=========================================  ======================  =======================
provably never sent                        after a short pause     after a short pause
429 or 503 with Retry-After                after that time         after that time
429 or 503 without                         raised                  raised
answer lost                                after a short pause     `OutcomeUnknownError`
other 5xx                                  after a short pause     raised
anything else                              raised                  raised
=========================================  ======================  =======================

The pauses of one call add up to 30 seconds at most; a ``Retry-After`` that does not fit is raised at once.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from ..errors import OutcomeUnknownError, RateLimitError, ResponseError, ServerError, TransportError
from ..models import OAuthModel
from ..protocol.answers import retry_after
from ..protocol.exchange import Exchange
from ..protocol.messages import Headers, Response
from .effects import Chance, Now, Program, Send, Sleep

__all__ = ["MAX_WAIT", "exchanged", "pause_after", "repeated", "sent", "sleeping"]

MAX_WAIT = 30.0

T = TypeVar("T", bound=OAuthModel)
R = TypeVar("R")


def exchanged(exchange: Exchange[T], max_retries: int, *, as_json: bool) -> Program[T | dict[str, Any]]:
    """The whole of an explicit call: the model, or with `as_json` the object that the server sent."""

    def read(response: Response, now: datetime) -> T | dict[str, Any]:
        return exchange.json(response) if as_json else exchange.parse(response, now=now)

    return repeated(lambda: sent(exchange, read), exchange.repeatable, max_retries, sleeping)


def sent(exchange: Exchange[Any], read: Callable[[Response, datetime], R]) -> Program[R]:
    """One attempt. A lost answer to a grant is an `OutcomeUnknownError`."""
    now = yield from Now()
    try:
        response = yield from Send(exchange.request)
    except TransportError as error:
        if error.request_sent and exchange.grant is not None:
            raise OutcomeUnknownError(
                f"{error}. The request was sent, so EXBO may have issued a token that nobody received."
            ) from error.__cause__
        raise
    return read(response, now)


def repeated(
    attempt: Callable[[], Program[R]],
    repeatable: bool,
    max_retries: int,
    sleep: Callable[[float, Exception], Program[None]],
) -> Program[R]:
    """`attempt`, again after a `sleep` for as long as the table above and `max_retries` allow."""
    tried, waited = 0, 0.0
    while True:
        try:
            return (yield from attempt())
        except (TransportError, ResponseError) as error:
            pause = yield from pause_after(error, repeatable, tried)
            if pause is None or tried >= max_retries or waited + pause > MAX_WAIT:
                raise
            reason: Exception = error
        yield from sleep(pause, reason)
        tried, waited = tried + 1, waited + pause


def pause_after(error: TransportError | ResponseError, repeatable: bool, attempt: int) -> Program[float | None]:
    """How long to wait before another attempt (seconds), None if there must be none."""
    if isinstance(error, RateLimitError) or (isinstance(error, ServerError) and error.status == 503):
        now = yield from Now()
        return retry_after(Headers(error.headers), now)
    passing = isinstance(error, TransportError) and not error.request_sent
    lost = isinstance(error, TransportError | ServerError) and repeatable
    if not passing and not lost:
        return None
    chance = yield from Chance()
    return float(0.25 * 2 ** min(attempt, 9) * (0.5 + chance))


def sleeping(seconds: float, _reason: Exception) -> Program[None]:
    """Just wait."""
    yield from Sleep(seconds)

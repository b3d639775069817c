"""One call to the server: sent, read, and repeated where a repetition can spend nothing.

What may be repeated, and what for, is `RULES`. The pauses of one call add up to `MAX_WAIT` seconds at most, so a
``Retry-After`` that does not fit is raised at once, and ``max_retries`` says how often a call is repeated.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

from attrs import frozen

from ..errors import OutcomeUnknownError, RateLimitError, ResponseError, ServerError, TransportError
from ..events import RateLimited, RequestRetried, TokenIssued
from ..models import OAuthModel
from ..protocol.answers import retry_after
from ..protocol.exchange import Exchange
from ..protocol.messages import Headers, Response
from ..stores.base import Issue, StoreKey
from .config import Config
from .effects import Chance, Emit, Identity, Now, Program, Send, Sleep
from .entries import fingerprint, tell_followed
from .telling import happened

__all__ = ["MAX_WAIT", "RULES", "Rule", "Wait", "exchanged", "is_throttled", "paused", "repeated", "rule_for", "sent"]

MAX_WAIT = 30.0  # seconds

T = TypeVar("T", bound=OAuthModel)
R = TypeVar("R")

Trouble = TransportError | ResponseError


class Wait(Enum):
    """What comes before a call is repeated."""

    BRIEFLY = "after a short pause"
    """A quarter of a second, doubled with each attempt, half of it or half as much again by chance."""
    AS_TOLD = "after the time that `Retry-After` names"
    NOT = "not repeated"


@frozen
class Rule:
    """What is done about an error that `matches`, of a call that can spend nothing and of a `spending` one."""

    what: str
    matches: Callable[[Trouble], bool]
    harmless: Wait
    spending: Wait
    source: str


def is_throttled(error: Trouble) -> bool:
    """Whether the server wants no request for a while."""
    return isinstance(error, RateLimitError) or (isinstance(error, ServerError) and error.status == 503)


def _names_a_time(error: Trouble) -> bool:
    return isinstance(error, RateLimitError | ServerError) and error.retry_after is not None


# The first rule that matches decides. Harmless are an application's token and the question who a user is; a code and a
# refresh token are spent by a server that never said so.
RULES = (
    Rule(
        "never sent: no connection",
        lambda error: isinstance(error, TransportError) and not error.request_sent,
        harmless=Wait.BRIEFLY,
        spending=Wait.BRIEFLY,
        source="nobody has seen the request",
    ),
    Rule(
        "429 or 503 with `Retry-After`",
        lambda error: is_throttled(error) and _names_a_time(error),
        harmless=Wait.AS_TOLD,
        spending=Wait.AS_TOLD,
        source="RFC 6585, section 4; RFC 9110, section 10.2.3: the server did nothing yet",
    ),
    Rule(
        "429 without it",
        lambda error: isinstance(error, RateLimitError),
        harmless=Wait.NOT,
        spending=Wait.NOT,
        source="asking again is what the server complained of",
    ),
    Rule(
        "sent, and no whole answer came",
        lambda error: isinstance(error, TransportError),
        harmless=Wait.BRIEFLY,
        spending=Wait.NOT,
        source="RFC 9110, section 9.2.2: what is idempotent may be sent again",
    ),
    Rule(
        "another 5xx",
        lambda error: isinstance(error, ServerError),
        harmless=Wait.BRIEFLY,
        spending=Wait.NOT,
        source="the server may have failed after it had spent the grant",
    ),
    Rule(
        "any other answer",
        lambda _: True,
        harmless=Wait.NOT,
        spending=Wait.NOT,
        source="it would be the same once more",
    ),
)


def exchanged(config: Config, exchange: Exchange[T], *, as_json: bool) -> Program[T | dict[str, Any]]:
    """The whole of an explicit call: the model, or with `as_json` the object that the server sent."""
    attempt = partial(_attempted, exchange, as_json, count(1))
    answer, begun, number = yield from repeated(attempt, config.key(), exchange.repeatable, config.max_retries)
    if exchange.grant == "client_credentials":  # whose a user's token is, nobody says here
        yield from _tell_issued(config, answer, begun, number)
    return answer


def _attempted(
    exchange: Exchange[T], as_json: bool, numbers: Iterator[int]
) -> Program[tuple[T | dict[str, Any], datetime, int]]:
    """What came of an attempt, when it began, and which it was."""
    number = next(numbers)
    answer, begun = yield from sent(exchange, partial(_read, exchange, as_json))
    return answer, begun, number


def _read(
    exchange: Exchange[T], as_json: bool, response: Response, now: datetime
) -> tuple[T | dict[str, Any], datetime]:
    return exchange.json(response) if as_json else exchange.parse(response, now=now), now


def _tell_issued(config: Config, answer: Any, begun: datetime, number: int) -> Program[None]:
    token = answer.get("access_token") if isinstance(answer, dict) else answer.access_token
    name, issuer = fingerprint(str(token)), (yield from Identity())
    now, whose = (yield from Now()), config.key()
    seconds = (now - begun).total_seconds()
    yield from Emit(
        TokenIssued(at=now, key=whose, fingerprint=name, issuer=issuer, reason="asked", seconds=seconds, attempt=number)
    )
    yield from tell_followed(config, Issue(at=begun, by=issuer, why="asked", fingerprint=name))


def sent(exchange: Exchange[Any], read: Callable[[Response, datetime], R]) -> Program[R]:
    """One attempt. A lost answer to a grant is an `OutcomeUnknownError`."""
    now = yield from Now()
    try:
        response = yield from Send(exchange.request)
    except TransportError as error:
        if error.request_sent and exchange.grant is not None:
            said = str(error).removesuffix(".")  # the HTTP library's own words end as they like
            raise OutcomeUnknownError(
                f"{said}. The request was sent, so EXBO may have issued a token that nobody received."
            ) from error.__cause__
        raise
    return read(response, now)


def repeated(attempt: Callable[[], Program[R]], key: StoreKey, repeatable: bool, max_retries: int) -> Program[R]:
    """`attempt`, again after a pause for as long as `RULES` and `max_retries` allow; `key` is whose it is."""
    tried, waited = 0, 0.0
    while True:
        try:
            return (yield from attempt())
        except (TransportError, ResponseError) as error:
            if isinstance(error, RateLimitError):
                yield from happened(RateLimited, key, seconds=error.retry_after)
            pause = yield from _pause(error, repeatable, tried)
            if pause is None or tried >= max_retries or waited + pause > MAX_WAIT:
                raise
            reason = str(error)
        yield from paused(key, pause, reason)
        tried, waited = tried + 1, waited + pause


def paused(key: StoreKey, seconds: float, reason: str) -> Program[None]:
    """Wait before a request is repeated, because of `reason`."""
    yield from happened(RequestRetried, key, reason=reason, seconds=seconds)
    yield from Sleep(seconds)


def rule_for(error: Trouble) -> Rule:
    """The one of `RULES` that decides."""
    return next(rule for rule in RULES if rule.matches(error))


def _pause(error: Trouble, repeatable: bool, attempt: int) -> Program[float | None]:
    """How long to wait before another attempt (seconds), None if there must be none."""
    rule = rule_for(error)
    wait = rule.harmless if repeatable else rule.spending
    if wait is Wait.NOT:
        return None
    if wait is Wait.AS_TOLD:
        now = yield from Now()
        return retry_after(Headers(cast("ResponseError", error).headers), now)
    chance = yield from Chance()
    return float(0.25 * 2 ** min(attempt, 9) * (0.5 + chance))

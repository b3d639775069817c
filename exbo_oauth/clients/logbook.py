"""What the library says through the standard library's `logging`, and how it says it: nothing here raises or waits.

Each event is one record, as a sentence and, for structlog and formatters that write JSON, as attributes: `kind` is the
event's name, the others are its fields, with what JSON has (a moment is ISO 8601 text, the key an object). What changes
a token is INFO, what an operator should look at is WARNING, the rest is DEBUG. There is a logger for each area below
``exbo_oauth``. `logging` is not ours to configure: without handlers of the caller's nothing is printed.
"""

import logging
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from attrs import asdict

from ..errors import StoreError
from ..events import (
    AnswerLost,
    ConflictFound,
    Event,
    LeaseAwaited,
    LeaseTakenOver,
    RateLimited,
    RequestRetried,
    SignInRequired,
    StoreFailed,
    StoreRecovered,
    TokenAdopted,
    TokenIssued,
    TokenRefused,
    TokenSuperseded,
)

__all__ = ["failed", "lost", "overflowing", "write"]

_ROOT = logging.getLogger("exbo_oauth")
_ROOT.addHandler(logging.NullHandler())
_TOKENS, _REQUESTS, _LEASES, _STORE, _LISTENERS = map(
    _ROOT.getChild, ("tokens", "requests", "leases", "store", "on_event")
)

_writing: ContextVar[bool] = ContextVar("exbo_oauth.writing", default=False)

_PLACES: dict[type[Event], tuple[logging.Logger, int]] = {
    TokenIssued: (_TOKENS, logging.INFO),
    TokenAdopted: (_TOKENS, logging.INFO),
    TokenSuperseded: (_TOKENS, logging.INFO),
    TokenRefused: (_TOKENS, logging.DEBUG),
    SignInRequired: (_TOKENS, logging.WARNING),
    ConflictFound: (_TOKENS, logging.WARNING),
    AnswerLost: (_REQUESTS, logging.WARNING),
    RequestRetried: (_REQUESTS, logging.WARNING),
    RateLimited: (_REQUESTS, logging.WARNING),
    LeaseAwaited: (_LEASES, logging.WARNING),
    LeaseTakenOver: (_LEASES, logging.WARNING),
    StoreFailed: (_STORE, logging.WARNING),
    StoreRecovered: (_STORE, logging.INFO),
}


def write(event: Event) -> None:
    """Log an event, if anybody listens."""
    logger, level = _PLACES[type(event)]
    if isinstance(event, TokenSuperseded) and event.issuer == "outside":
        level = logging.WARNING
    if not logger.isEnabledFor(level) or _writing.get():
        return
    # A handler that calls a client holds its lock meanwhile, and what happens then may happen on another thread.
    before = _writing.set(True)
    try:
        logger.log(level, str(event), extra={"kind": type(event).__name__, **_fields(event)})
    except Exception:  # noqa: BLE001, S110  # of a handler of the caller's
        pass
    finally:
        _writing.reset(before)


def _fields(event: Event) -> dict[str, Any]:
    return asdict(event, value_serializer=_plain)


def _plain(_event: object, _field: object, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def failed(event: Event, error: BaseException) -> None:
    """The caller's own `on_event` raised `error` when it was told of `event`."""
    with suppress(Exception):
        _LISTENERS.warning("on_event failed when it was told of a %s", type(event).__name__, exc_info=error)


def overflowing(most: int) -> None:
    """The caller's own `on_event` is so slow that events are lost to it."""
    with suppress(Exception):
        _LISTENERS.warning("on_event is slow: more than %d events wait for it, and the oldest are dropped", most)


def lost(problem: StoreError) -> None:
    """A token that was issued and that no store took is gone with this process, or with its store."""
    with suppress(Exception):
        _STORE.error("a token is lost, and a user has to sign in again: %s", problem)

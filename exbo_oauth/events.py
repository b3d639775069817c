"""What happened to a token, as values: for logs, metrics, and whoever has to know why a token was issued.

Each event has the moment `at` (aware UTC) and the `key` that it is about. A token is named by its `fingerprint`, the
first 8 hex digits of the access token's SHA-256; no event shows a secret.
"""

from datetime import datetime

from attrs import frozen

from .stores.base import StoreKey

__all__ = [
    "AnswerLost",
    "ConflictFound",
    "Event",
    "LeaseAwaited",
    "LeaseTakenOver",
    "RateLimited",
    "RequestRetried",
    "SignInRequired",
    "StoreFailed",
    "StoreRecovered",
    "TokenAdopted",
    "TokenIssued",
    "TokenRefused",
    "TokenSuperseded",
]


@frozen(kw_only=True)
class Event:
    """Something that happened."""

    at: datetime
    key: StoreKey


@frozen(kw_only=True)
class TokenIssued(Event):
    """A token was issued to this process and saved. `reason` as in `Issue.why`; it took `seconds`."""

    fingerprint: str
    reason: str
    seconds: float


@frozen(kw_only=True)
class TokenAdopted(Event):
    """A token that `issuer`, another process, had put into the store is used from now on."""

    fingerprint: str
    issuer: str


@frozen(kw_only=True)
class TokenRefused(Event):
    """An API (`host`, `path` without the query) said 401 to a token that was `seconds` old."""

    fingerprint: str
    host: str
    path: str
    seconds: float


@frozen(kw_only=True)
class TokenSuperseded(Event):
    """A token was dead before its time: `issuer` got another one, ``outside`` if that is none of ours."""

    fingerprint: str
    issuer: str


@frozen(kw_only=True)
class AnswerLost(Event):
    """A token was asked for, and the answer was lost. `fingerprint` is the token that was to be replaced, if any."""

    fingerprint: str
    reason: str


@frozen(kw_only=True)
class SignInRequired(Event):
    """The account's user has to sign in again; `reason` says why."""

    reason: str


@frozen(kw_only=True)
class ConflictFound(Event):
    """Our tokens keep dying; `issuer` got the last one."""

    fingerprint: str
    issuer: str


@frozen(kw_only=True)
class LeaseAwaited(Event):
    """Another process renews the token, and this one has waited for it for `seconds` so far."""

    seconds: float


@frozen(kw_only=True)
class LeaseTakenOver(Event):
    """The lease was this process's after it had waited `seconds` for its holder in vain."""

    seconds: float


@frozen(kw_only=True)
class StoreFailed(Event):
    """The store did not take a token; `reason` is what it said. It is asked again."""

    fingerprint: str
    reason: str


@frozen(kw_only=True)
class StoreRecovered(Event):
    """The store took the token that it had failed to take."""

    fingerprint: str


@frozen(kw_only=True)
class RequestRetried(Event):
    """A request for a token is repeated in `seconds`, because of `reason`."""

    reason: str
    seconds: float


@frozen(kw_only=True)
class RateLimited(Event):
    """The token endpoint wants no request for `seconds`, if it said so."""

    seconds: float | None

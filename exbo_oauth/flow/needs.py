"""When a token will do: pure arithmetic, shared by the programs and by the clients' hot path."""

import math
from datetime import datetime
from typing import Any

from attrs import field, frozen, validators

from ..errors import ConfigurationError
from ..masking import Secret
from ..misuse import kind_of
from ..models import AppToken, TokenResponse, UserToken
from ..moments import shown
from ..stores.base import Entry
from .evidence import Refusal

__all__ = ["Held", "Need", "revision_after"]

_YOUNG = 60.0
_MOST = 1e300  # a whole number beyond it is none that could be reckoned with


@frozen(repr=False)
class Held:
    """A token as the hot path wants it: its end and its whole life as plain floats (epoch seconds, seconds).

    `due` is the moment (epoch seconds) from which on its next success is worth reporting.
    """

    token: AppToken | UserToken
    ends: float
    life: float
    due: float

    @classmethod
    def of(cls, entry: Entry, due: float) -> "Held":
        """The stored entry, worked out once."""
        # Whole microseconds: as a difference of floats a life of 60 seconds may come out longer than 60.
        life = (entry.token.expires_in - entry.issued_at).total_seconds()
        return cls(entry.token, entry.token.expires_in.timestamp(), life, due)

    def serves(self, now: float, min_ttl: float) -> bool:
        """Whether the token is alive for `min_ttl` more seconds; a shorter-lived kind serves until it really ends.

        A kind that lives but a little longer would be replaced all the time: a token serves for half its life, or
        for a minute, whichever is less, although another one would then live `min_ttl` seconds.
        """
        left = self.ends - now
        try:
            return left > 0 and (
                left >= min_ttl or self.life <= min_ttl or self.life - left < min(self.life / 2, _YOUNG)
            )
        except TypeError:  # `Need` says what a `min_ttl` is
            return False


def _seconds(_instance: object, attribute: Any, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        raise ConfigurationError(f"{attribute.name} must be a number of seconds from 0 up, not {shown(value)}")


def _rejected(value: "str | Secret | TokenResponse | None") -> Secret | None:
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, TokenResponse):
        return Secret(value.access_token)
    if isinstance(value, str):
        return Secret(value)
    raise ConfigurationError(f"rejected must be the token that was refused, or its text, not {kind_of(value)}")


@frozen
class Need:
    """What a caller wants: a token for `min_ttl` more seconds which is not the `rejected` one.

    With `newer_than`, a revision, its owner just wants another one: what is replaced then is no sign of a conflict.
    With a `refusal`, it was an API that rejected the token, and what that is worth is still to be decided.
    Others who renew it may be waited for `wait` seconds, or without it for as long as they take.
    """

    min_ttl: float = field(validator=_seconds)
    rejected: Secret | None = field(default=None, converter=_rejected)
    newer_than: int | None = None
    refusal: Refusal | None = None
    wait: float | None = field(default=None, validator=validators.optional(_seconds))

    def met_by(self, entry: Entry, now: datetime) -> bool:
        """Whether this entry's token will do at `now`."""
        return self.allows(entry) and Held.of(entry, math.inf).serves(now.timestamp(), self.min_ttl)

    def allows(self, entry: Entry) -> bool:
        """Whether this is another token than the rejected one, and as new as it must be."""
        if self.newer_than is not None and entry.revision <= self.newer_than:
            return False
        return Secret(entry.token.access_token) != self.rejected


def revision_after(now: datetime, *known: int) -> int:
    """A revision above all known ones and, across a delete, above those that nobody remembers: the time in µs."""
    return max(int(now.timestamp() * 1_000_000), *(revision + 1 for revision in known), 1)

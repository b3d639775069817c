"""One sign-in of one user, from `begin_login` to `finish_login`.

The attempt holds what binds the callback to the browser that was sent out: the state (RFC 6749, section 10.12), the
PKCE verifier (RFC 7636) and the redirect URI. It serves once. Keep it where only that user's session reaches it;
`to_dict` fits into a web session or a bot's database.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import define, field

from ..errors import AttemptUsedError, ConfigurationError
from ..masking import MASK, Secret
from ..misuse import narrowed
from ..protocol.text import sendable

__all__ = ["MAX_AGE", "LoginAttempt"]

MAX_AGE = timedelta(hours=1)

_NEW, _TAKEN, _USED = "new", "taken", "used"


def _verifier(value: str | None) -> Secret | None:
    return None if value is None else Secret(sendable("verifier", value))


@define(kw_only=True, repr=False)
class LoginAttempt:
    """What a sign-in needs to know until the user is back.

    Send the user to `url`. `state` is what the callback must carry, `redirect_uri` where it arrives, `created_at`
    (aware UTC) when the attempt began: it is good for an hour.

    ::

        session = {"login": oauth.begin_login().to_dict()}  # of this visitor alone
        attempt = LoginAttempt.from_dict(session["login"])
        oauth.finish_login(attempt, fake.authorize(attempt.url), account="ivan")
    """

    url: str = field(repr=False)  # with the state in it
    state: str = field(repr=False)
    redirect_uri: str
    created_at: datetime
    verifier: Secret | None = field(default=None, converter=_verifier)
    _phase: list[str] = field(factory=lambda: [_NEW], eq=False)

    @property
    def used(self) -> bool:
        """Whether the attempt has served."""
        return self._phase == [_USED]

    def check(self, now: datetime) -> None:
        """Raise `AttemptUsedError` unless the attempt can still serve."""
        if self.used:
            raise narrowed(AttemptUsedError("this sign-in is finished: begin a new one with begin_login()"), "finished")
        if abs(now - self.created_at) > MAX_AGE:  # a moment to come is not a licence to live until then
            text = "this sign-in began more than an hour ago: begin a new one with begin_login()"
            raise narrowed(AttemptUsedError(text), "too-old")

    def take(self) -> None:
        """Claim the attempt for one exchange; `AttemptUsedError` if another thread or task has it."""
        try:
            self._phase.remove(_NEW)  # atomic: one of many wins
        except ValueError:
            text = "this sign-in is being finished already, or is finished"
            raise narrowed(AttemptUsedError(text), "finished") from None
        self._phase.append(_TAKEN)

    def settle(self, *, used: bool) -> None:
        """End a claim: the attempt has served, or may be tried again."""
        self._phase[:] = [_USED if used else _NEW]

    def to_dict(self) -> dict[str, Any]:
        """The attempt as JSON-safe values, the verifier included."""
        return {
            "url": self.url,
            "state": self.state,
            "redirect_uri": self.redirect_uri,
            "created_at": self.created_at.isoformat(),
            "verifier": None if self.verifier is None else self.verifier.reveal(),
            "used": self.used,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LoginAttempt":
        """The attempt that `to_dict` wrote; raises `ConfigurationError` if this is not one."""
        try:
            attempt = cls(
                url=_text(data["url"]),
                state=_text(data["state"]),
                redirect_uri=_text(data["redirect_uri"]),
                created_at=_moment(data["created_at"]),
                verifier=data["verifier"],
            )
            if data["used"]:
                attempt.settle(used=True)
        except (KeyError, TypeError, ValueError, AttributeError):
            # Neither chained nor quoted: what was read may hold a verifier.
            raise ConfigurationError("this is not a saved sign-in: save what LoginAttempt.to_dict() gives") from None
        return attempt

    def __repr__(self) -> str:
        verifier = "None" if self.verifier is None else MASK
        return f"LoginAttempt(redirect_uri={self.redirect_uri!r}, state={MASK}, verifier={verifier}, used={self.used})"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.utcoffset() is None:
        raise ValueError
    return moment


LoginAttempt.__module__ = "exbo_oauth"

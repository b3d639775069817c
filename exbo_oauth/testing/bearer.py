"""Routes behind a bearer token: ``/oauth/user`` and ``/demo/app``, a resource that any live token opens.

The token is looked up, never parsed: whatever is not in the vault was not signed here. All failures look alike
(surprise 7), and only the spelling ``Bearer`` is understood (case U08).
"""

from collections.abc import Mapping
from re import IGNORECASE
from re import compile as pattern

from attrs import define

from ..masking import MADE_UP, MASK
from ..protocol.messages import Request, Response
from .issuing import Issuer
from .jwt import claims_of
from .laravel import json_answer, unauthenticated
from .php import trimmed_ascii
from .state import IssuedToken, User

__all__ = ["Bearer"]

_GUARDED = pattern("Bearer ", IGNORECASE)
_SCHEME = pattern(r"^\s*Bearer\s")
_SCHEME_IN_ANY_CASE = pattern(_SCHEME.pattern, IGNORECASE)


@define
class Bearer:
    """The guard."""

    issuer: Issuer

    def presented(self, request: Request) -> IssuedToken | None:
        """The token in the Authorization header, dead or alive, if it was issued here."""
        return self.issuer.vault.by_access(_text(request))

    def _guarded(self, request: Request) -> IssuedToken | None:
        """The token that Laravel's guard hands on: in any case, but the league then knows one spelling only."""
        return self.presented(request) if _GUARDED.search(request.header("authorization")) else None

    def live(self, token: IssuedToken | None) -> bool:
        return token is not None and token.ended is None and token.expires > self.issuer.clock.now()

    def owner(self, token: IssuedToken) -> User | None:
        """Whose account the token opens. On league 9 an app token opens the user with the client's id (case U06)."""
        user_id = token.user_id
        if user_id is None and self.issuer.dialect.app_token_subject and token.client_id.isdigit():
            user_id = int(token.client_id)
        if user_id is None or self.issuer.registry.active_app(token.client_id) is None:
            return None
        return self.issuer.registry.users.get(user_id)

    def user(self, request: Request) -> Response:
        """``GET /oauth/user``."""
        token = self._guarded(request)
        owner = self.owner(token) if token is not None and self.live(token) else None
        if owner is None:
            return self._refused(request)
        return json_answer(owner.to_dict())

    def resource(self, request: Request) -> Response:
        """``GET /demo/app``. No guard is before it, so that only the league has a say."""
        token = self.issuer.vault.by_access(_text(request, any_case=self.issuer.dialect.bearer_in_any_case))
        return json_answer({"ok": True}) if self.live(token) else self._refused(request)

    def _refused(self, request: Request) -> Response:
        self.note_refusal(request)
        return unauthenticated(request)

    def note_refusal(self, request: Request) -> None:
        """Tell the timeline why a token was not good enough."""
        token = self.presented(request)
        why = self._of_a_stranger(_text(request)) if token is None else self._of_ours(token)
        self.issuer.journal.note("refused", self.issuer.clock.now(), status=401, **why)

    def _of_ours(self, token: IssuedToken) -> dict[str, int | str | None]:
        expired = "expired" if token.expires <= self.issuer.clock.now() else "no_user"
        return {
            "token": token.number,
            "by": token.ended_by,
            "client_id": token.client_id,
            "user_id": token.user_id,
            "detail": token.ended or expired,
        }

    def _of_a_stranger(self, text: str) -> dict[str, int | str | None]:
        """A token that says to be older than this server may well be of an earlier run of it."""
        if MASK in text:
            return {"detail": "masked"}
        if text == MADE_UP:
            return {"detail": "made_up"}
        claims = claims_of(text)
        client_id, issued = claims.get("aud"), claims.get("iat")
        if not isinstance(client_id, str) or client_id not in self.issuer.registry.apps:
            return {"detail": "unknown"}
        older = isinstance(issued, int | float) and issued < self.issuer.started
        if not older:
            return {"detail": "unknown"}
        return {"detail": "earlier", "client_id": client_id, "user_id": self._user_in(claims)}

    def _user_in(self, claims: Mapping[str, object]) -> int | None:
        """The id of the user whose token it was; None for an application's own."""
        subject = claims.get("sub")
        return int(subject) if isinstance(subject, str) and subject.isascii() and subject.isdecimal() else None


def _text(request: Request, *, any_case: bool = False) -> str:
    """What the league takes for a token: what follows the scheme, if there is one."""
    scheme = _SCHEME_IN_ANY_CASE if any_case else _SCHEME
    return trimmed_ascii(scheme.sub("", request.header("authorization")))

"""``/oauth/authorize`` without its browser: what an authorization request is checked for, and how it ends.

The league's order again (RFC 6749, section 4.1.1; RFC 7636, section 4.3). Nearly every mistake is shown to the user
instead of being sent to the application (surprise 9); a bad scope travels back, on league 8 without its state.
"""

from collections.abc import Mapping

from attrs import define, frozen

from .dialect import Refused, appended
from .grants import VERIFIER, checked_scopes
from .issuing import Issuer
from .redirects import allows
from .state import App, Code, User

__all__ = ["AuthorizeRequest", "Authorizer"]


@frozen(kw_only=True, repr=False)
class AuthorizeRequest:
    """A checked request. `redirect_uri` is None if it named none; `target` is where the answer goes in either case."""

    app: App
    redirect_uri: str | None
    target: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str | None
    challenge_method: str

    def refused(self, reason: str) -> Refused:
        """The refusal of this request as it goes to the application."""
        return Refused(reason, redirect_uri=appended(self.target, {"state": self.state}))


@define
class Authorizer:
    """Checks authorization requests and answers them with codes."""

    issuer: Issuer

    def check(self, query: Mapping[str, str]) -> AuthorizeRequest:
        """The request in these query parameters; raises `Refused`."""
        if query.get("response_type") != "code" or "client_id" not in query:
            raise Refused("grant_type")
        app = self.issuer.registry.active_app(query["client_id"])
        if app is None:
            raise Refused("client")
        target = self._target(app, query.get("redirect_uri"))
        scopes = self._scopes(query, target)
        self._check_challenge(app, query)
        return AuthorizeRequest(
            app=app,
            redirect_uri=query.get("redirect_uri"),
            target=target,
            scopes=scopes,
            state=query.get("state"),
            challenge=query.get("code_challenge"),
            challenge_method=query.get("code_challenge_method", "plain"),
        )

    def _target(self, app: App, redirect_uri: str | None) -> str:
        if redirect_uri is not None:
            if not allows(app, redirect_uri):
                raise Refused("client", unregistered=redirect_uri)
            return redirect_uri
        if len(app.redirect_uris) != 1:
            raise Refused("client", unregistered="")
        return app.redirect_uris[0]

    def _scopes(self, query: Mapping[str, str], target: str) -> tuple[str, ...]:
        try:
            return checked_scopes(query.get("scope", ""), self.issuer.settings.scopes)
        except Refused as refusal:
            if self.issuer.dialect.scope_error_keeps_state:
                target = appended(target, {"state": query.get("state")})
            raise Refused("scope", refusal.about, redirect_uri=target) from None

    def _check_challenge(self, app: App, query: Mapping[str, str]) -> None:
        challenge = query.get("code_challenge")
        if challenge is None:
            if app.public:
                raise Refused("challenge_missing")
            return
        if query.get("code_challenge_method", "plain") not in ("S256", "plain"):
            raise Refused("challenge_method")
        if not VERIFIER.fullmatch(challenge):
            raise Refused("challenge_malformed")

    def consented(self, request: AuthorizeRequest, user: User) -> bool:
        """Whether the consent page is skipped: a first-party application, or a live token for these scopes (Z15)."""
        live = self.issuer.vault.live((request.app.client_id, user.id), self.issuer.clock.now())
        return request.app.first_party or any(token.scopes == request.scopes for token in live)

    def approve(self, request: AuthorizeRequest, user: User) -> str:
        """The callback URL with a new code."""
        code = Code(
            client_id=request.app.client_id,
            user_id=user.id,
            redirect_uri=request.redirect_uri,
            scopes=request.scopes,
            challenge=request.challenge,
            challenge_method=request.challenge_method,
            expires=self.issuer.clock.now() + self.issuer.settings.code_ttl,
        )
        text = self.issuer.vault.keep_code(code)
        self._note("approved", request, user)
        return appended(request.target, {"code": text, "state": request.state})

    def deny(self, request: AuthorizeRequest, user: User) -> str:
        """The callback URL that says no."""
        self._note("denied", request, user)
        refusal = request.refused("denied")
        return appended(refusal.redirect_uri or "", self.issuer.dialect.payload(refusal)[1])

    def _note(self, kind: str, request: AuthorizeRequest, user: User) -> None:
        self.issuer.journal.note(kind, self.issuer.clock.now(), client_id=request.app.client_id, user_id=user.id)

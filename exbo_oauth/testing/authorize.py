"""``/oauth/authorize`` without its browser: what an authorization request is checked for, and how it ends.

The league's order again (RFC 6749, section 4.1.1; RFC 7636, section 4.3). Nearly every mistake is shown to the user
instead of being sent to the application (surprise 9); a bad scope travels back, on league 8 without its state.
"""

from attrs import define, frozen

from .dialect import Refused, appended
from .grants import VERIFIER
from .issuing import Issuer
from .laravel import ServerCrash
from .parameters import Parameters
from .php import Array, Value, as_text
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
    state: Value
    challenge: str | None
    challenge_method: str


@define
class Authorizer:
    """Checks authorization requests and answers them with codes."""

    issuer: Issuer

    def check(self, query: Array) -> AuthorizeRequest:
        """The request in these query parameters; raises `Refused` or `ServerCrash`."""
        parameters = Parameters(self.issuer.dialect, query)
        if query.get("response_type") != "code" or "client_id" not in query:
            raise Refused("grant_type")
        app = self._app(parameters)
        redirect_uri = parameters.text("redirect_uri")
        target = self._target(app, redirect_uri)
        state = parameters.value("state")
        scopes = self._scopes(parameters, target, state)
        challenge, method = self._challenge(app, parameters)
        return AuthorizeRequest(
            app=app,
            redirect_uri=redirect_uri,
            target=target,
            scopes=scopes,
            state=state,
            challenge=challenge,
            challenge_method=method,
        )

    def _app(self, parameters: Parameters) -> App:
        client = parameters.client()
        app = self.issuer.registry.active_app(client.client_id)
        if app is None:
            raise Refused("client", why="unknown_app")
        if client.is_array:
            raise ServerCrash
        return app

    def _target(self, app: App, redirect_uri: str | None) -> str:
        if redirect_uri is not None:
            if not allows(app, redirect_uri):
                raise Refused("client", unregistered=redirect_uri)
            return redirect_uri
        if len(app.redirect_uris) != 1:
            raise Refused("client", unregistered="")
        return app.redirect_uris[0]

    def _scopes(self, parameters: Parameters, target: str, state: Value) -> tuple[str, ...]:
        try:
            return parameters.scopes(self.issuer.settings.scopes)
        except Refused as refusal:
            if refusal.reason == "parameter":
                raise
            if self.issuer.dialect.scope_error_keeps_state:
                target = appended(target, {"state": state})
            raise Refused(refusal.reason, refusal.about, redirect_uri=target) from None

    def _challenge(self, app: App, parameters: Parameters) -> tuple[str | None, str]:
        challenge = parameters.value("code_challenge")
        if challenge is None:
            if app.public:
                raise Refused("challenge_missing")
            return None, "plain"
        method = parameters.scalar("code_challenge_method", "plain")
        if method not in ("S256", "plain"):
            raise Refused("challenge_method")
        if isinstance(challenge, dict):
            raise ServerCrash
        if not VERIFIER.fullmatch(as_text(challenge)):
            raise Refused("challenge_malformed")
        return as_text(challenge), method

    def defined(self, scopes: tuple[str, ...]) -> list[str]:
        """Those of the scopes that have a definition, each once: what a person is asked about."""
        return [scope for scope in dict.fromkeys(scopes) if scope in self.issuer.settings.scopes]

    def consented(self, request: AuthorizeRequest, user: User) -> bool:
        """Whether the consent page is skipped: a first-party application, or a live token for these scopes (Z15).

        Version 8 looks at the token that lives longest, and at its very list; version 9 at what all of them allow.
        """
        live = list(self.issuer.vault.live((request.app.client_id, user.id), self.issuer.clock.now()))
        if request.app.first_party or not live:
            return request.app.first_party
        asked = self.defined(request.scopes)
        if self.issuer.dialect.adds_up_consents:
            return set(asked) <= {scope for token in live for scope in token.scopes}
        return list(max(reversed(live), key=lambda token: token.expires).scopes) == asked

    def refused(self, request: AuthorizeRequest, reason: str) -> Refused:
        """The refusal of a request that was understood, as it goes to the application."""
        target, state = request.target, request.state
        if reason == "denied":
            return Refused(reason, redirect_uri=appended(target, {"state": state}))
        if self.issuer.dialect.has_prompt_errors:
            return Refused(reason, redirect_uri=target if state is None else appended(target, {"state": state}))
        if reason == "not_signed_in":
            if isinstance(state, dict):
                raise ServerCrash
            bare = "" if state is None else as_text(state)
            return Refused(reason, redirect_uri=f"{appended(target, {})}state={bare}")
        return Refused(reason, redirect_uri=appended(target, {"state": state}))

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
        refusal = self.refused(request, "denied")
        return appended(refusal.redirect_uri or "", self.issuer.dialect.payload(refusal)[1])

    def _note(self, kind: str, request: AuthorizeRequest, user: User) -> None:
        self.issuer.journal.note(kind, self.issuer.clock.now(), client_id=request.app.client_id, user_id=user.id)

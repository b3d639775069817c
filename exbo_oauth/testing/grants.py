"""``POST /oauth/token``: client authentication and the three grants, step by step in the league's own order.

The order matters, since it decides which of two mistakes is reported, and whether a code survives a failed try
(cases D06d, P01b, R10: nothing is consumed until everything has been checked).
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from re import compile as pattern

from attrs import define

from ..masking import MADE_UP
from .dialect import Refused
from .issuing import Issuer
from .laravel import ServerCrash
from .parameters import Credentials, Parameters
from .php import Value
from .redirects import allows
from .state import App, Code, IssuedToken

__all__ = ["VERIFIER", "Grants"]

VERIFIER = pattern(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636, section 4.1


@define
class Grants:
    """The token endpoint's decisions; raises `Refused` or `ServerCrash`."""

    issuer: Issuer

    def grant(self, parameters: Parameters, authorization: str) -> IssuedToken:
        """The token that was asked for."""
        match parameters.given.get("grant_type"):
            case "client_credentials":
                return self._client_credentials(parameters, authorization)
            case "authorization_code":
                return self._authorization_code(parameters, authorization)
            case "refresh_token":
                return self._refresh_token(parameters, authorization)
            case "personal_access":
                return self._personal_access(parameters, authorization)
            case _:
                raise Refused("grant_type")

    def _app(self, credentials: Credentials) -> App:
        app = self.issuer.registry.active_app(credentials.client_id)
        if app is None:
            raise Refused("client", why="unknown_app")
        return app

    def _named_app(self, credentials: Credentials) -> App:
        app = self._app(credentials)
        if credentials.is_array:
            raise ServerCrash  # recorded case C08
        return app

    def _check_redirect(self, app: App, parameters: Parameters) -> None:
        if self.issuer.dialect.checks_redirect_with_client:
            redirect_uri = parameters.text("redirect_uri")
            if redirect_uri is not None and not allows(app, redirect_uri):
                raise Refused("client", unregistered=redirect_uri)

    def _check_secret(self, app: App, secret: str | None) -> None:
        if app.public:
            return
        if secret is None and self.issuer.dialect.names_missing_secret:
            raise Refused("parameter", "client_secret")
        if secret != app.client_secret:
            raise Refused("client", why="wrong_secret")

    def _client_credentials(self, parameters: Parameters, authorization: str) -> IssuedToken:
        credentials = parameters.credentials(authorization)
        app = self._named_app(credentials)
        if app.public:
            raise Refused("client")
        self._check_secret(app, credentials.secret)
        self._check_redirect(app, parameters)
        scopes = parameters.scopes(self.issuer.settings.scopes)
        return self.issuer.issue(app, None, scopes, "client_credentials")

    def _personal_access(self, parameters: Parameters, authorization: str) -> IssuedToken:
        """A grant that Passport enables and only its own pages can use: there is no client for it here."""
        if self.issuer.dialect.casts_parameters:
            raise Refused("grant_type")
        parameters.credentials(authorization)
        raise Refused("client")

    def _authorization_code(self, parameters: Parameters, authorization: str) -> IssuedToken:
        credentials = parameters.credentials(authorization)
        app = self._named_app(credentials)
        self._check_secret(app, credentials.secret)
        if not app.public:
            self._check_redirect(app, parameters)
        text = parameters.required("code")
        code = self._good_code(text, app, parameters)
        _check_verifier(code, parameters)
        self.issuer.vault.use_code(text)
        scopes = tuple(scope for scope in code.scopes if scope != "*")
        return self.issuer.issue(app, code.user_id, scopes, "authorization_code")

    def _good_code(self, text: str, app: App, parameters: Parameters) -> Code:
        vault = self.issuer.vault
        code = vault.code(text)
        if code is None:
            raise Refused("code_garbled" if vault.by_refresh(text) is None else "code_of_other_kind")
        if code.expires < self.issuer.clock.now():
            raise Refused("code_expired")
        if vault.code_used(text):
            raise Refused("code_revoked")
        if code.client_id != app.client_id:
            raise Refused("code_of_other_client")
        _check_same_redirect(code, parameters.value("redirect_uri"))
        return code

    def _refresh_token(self, parameters: Parameters, authorization: str) -> IssuedToken:
        credentials = parameters.credentials(authorization)
        app = self._app(credentials)
        self._check_secret(app, credentials.secret)
        app = self._named_app(credentials)
        self._check_redirect(app, parameters)
        old = self._good_refresh_token(parameters.required("refresh_token"), app)
        scopes = parameters.scopes(self.issuer.settings.scopes, old.scopes)
        for scope in scopes:
            if scope not in old.scopes:
                raise Refused("scope", scope)
        # The pair it was made from dies with it, whatever else is left alive (cases A22, R04).
        self.issuer.vault.end_refresh(old, "refreshed")
        was_alive = old.ended is None
        self.issuer.vault.end_access(old, "refreshed")
        new = self.issuer.issue(app, old.user_id, scopes, "refresh_token")
        self.issuer.note_end("refreshed", old, new)
        if was_alive:
            old.ended_by = new.number
        return new

    def _good_refresh_token(self, text: str, app: App) -> IssuedToken:
        vault = self.issuer.vault
        old = vault.by_refresh(text)
        if old is None:
            if text == MADE_UP:
                raise Refused("refresh_garbled", why="made_up")
            raise self._not_a_refresh_token(vault.code(text), app)
        if old.client_id != app.client_id:
            raise Refused("refresh_of_other_client", token=old.number)
        if old.refresh_expires < self.issuer.clock.now():
            raise Refused("refresh_expired", token=old.number)
        if old.refresh_ended is not None:
            known = old.refresh_ended in ("superseded", "refreshed") and old.ended_by is not None
            why = f"refresh_{old.refresh_ended}" if known else ""
            raise Refused("refresh_revoked", token=old.number, by=old.ended_by, why=why)
        return old

    def _not_a_refresh_token(self, code: Code | None, app: App) -> Exception:
        """What becomes of a code in its place: it is read like a refresh token until something is missing (R08)."""
        if code is None:
            return Refused("refresh_garbled")
        if code.client_id != app.client_id:
            return Refused("refresh_of_other_client")
        return Refused("refresh_expired") if code.expires < self.issuer.clock.now() else ServerCrash()


def _check_same_redirect(code: Code, redirect_uri: Value) -> None:
    if code.redirect_uri is not None and redirect_uri is None:
        raise Refused("parameter", "redirect_uri")
    if code.redirect_uri != redirect_uri:
        raise Refused("redirect_uri")


def _check_verifier(code: Code, parameters: Parameters) -> None:
    if code.challenge is None:
        if parameters.value("code_verifier") is not None:
            raise Refused("verifier_unexpected")
        return
    verifier = parameters.scalar("code_verifier")
    if verifier is None:
        raise Refused("parameter", "code_verifier")
    if not VERIFIER.fullmatch(verifier):
        raise Refused("verifier_malformed")
    if code.challenge_method == "S256":
        verifier = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if verifier != code.challenge:
        raise Refused("verifier_wrong")

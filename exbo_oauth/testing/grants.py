"""``POST /oauth/token``: client authentication and the three grants, step by step in the league's own order.

The order matters, since it decides which of two mistakes is reported, and whether a code survives a failed try
(cases D06d, P01b, R10: nothing is consumed until everything has been checked).
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from re import compile as pattern

from attrs import define

from .dialect import Refused
from .forms import Parameters, basic_credentials
from .issuing import Issuer
from .laravel import ServerCrash
from .redirects import allows
from .state import App, Code, IssuedToken

__all__ = ["VERIFIER", "Grants", "checked_scopes"]

VERIFIER = pattern(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636, section 4.1


def checked_scopes(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """The scopes of a space-separated list; Passport knows ``*`` beside the defined ones (case S03)."""
    known = {*known, "*"}
    scopes = tuple(filter(None, text.split(" ")))
    for scope in scopes:
        if scope not in known:
            raise Refused("scope", scope)
    return scopes


def _text(parameters: Parameters, name: str) -> str | None:
    value = parameters.get(name)
    return value if isinstance(value, str) else None


def _required(parameters: Parameters, name: str) -> str:
    value = _text(parameters, name)
    if value is None:
        raise Refused("parameter", name)
    return value


@define
class Grants:
    """The token endpoint's decisions; raises `Refused` or `ServerCrash`."""

    issuer: Issuer

    def grant(self, parameters: Parameters, authorization: str) -> IssuedToken:
        """The token that was asked for."""
        grants: dict[str, Callable[[Parameters, str], IssuedToken]] = {
            "client_credentials": self._client_credentials,
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
        }
        grant = grants.get(_text(parameters, "grant_type") or "")
        if grant is None:
            raise Refused("grant_type")
        return grant(parameters, authorization)

    def client_id(self, parameters: Parameters, authorization: str) -> str | None:
        """Who says to be asking: the body wins over HTTP Basic (case A04c)."""
        client_id = parameters.get("client_id", basic_credentials(authorization)[0])
        return client_id if isinstance(client_id, str) else None

    def _client(self, parameters: Parameters, authorization: str) -> App:
        if isinstance(parameters.get("client_id"), list) and not self.issuer.dialect.strict_types:
            raise ServerCrash
        client_id = self.client_id(parameters, authorization)
        if client_id is None:
            raise Refused("parameter", "client_id")
        app = self.issuer.registry.active_app(client_id)
        if app is None:
            raise Refused("client")
        if not app.public:
            self._check_secret(app, parameters, authorization)
            self._check_redirect(app, parameters)
        return app

    def _check_secret(self, app: App, parameters: Parameters, authorization: str) -> None:
        secret = parameters.get("client_secret", basic_credentials(authorization)[1])
        if isinstance(secret, list) or (secret is None and self.issuer.dialect.names_missing_secret):
            raise Refused("parameter", "client_secret")
        if secret != app.client_secret:
            raise Refused("client")

    def _check_redirect(self, app: App, parameters: Parameters) -> None:
        redirect_uri = _text(parameters, "redirect_uri")
        if redirect_uri and self.issuer.dialect.checks_redirect_with_client and not allows(app, redirect_uri):
            raise Refused("client", unregistered=redirect_uri)

    def _client_credentials(self, parameters: Parameters, authorization: str) -> IssuedToken:
        app = self._client(parameters, authorization)
        if app.public:
            raise Refused("client")
        scopes = checked_scopes(_text(parameters, "scope") or "", self.issuer.settings.scopes)
        return self.issuer.issue(app, None, scopes, "client_credentials")

    def _authorization_code(self, parameters: Parameters, authorization: str) -> IssuedToken:
        app = self._client(parameters, authorization)
        text = _required(parameters, "code")
        code = self._good_code(text, app, parameters)
        _check_verifier(code, _text(parameters, "code_verifier"))
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
        _check_same_redirect(code, _text(parameters, "redirect_uri"))
        return code

    def _refresh_token(self, parameters: Parameters, authorization: str) -> IssuedToken:
        app = self._client(parameters, authorization)
        old = self._good_refresh_token(_required(parameters, "refresh_token"), app)
        asked = _text(parameters, "scope")
        scopes = old.scopes if asked is None else checked_scopes(asked, self.issuer.settings.scopes)
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
        if old is None and vault.code(text) is not None:
            raise ServerCrash  # recorded case R08
        if old is None:
            raise Refused("refresh_garbled")
        if old.client_id != app.client_id:
            raise Refused("refresh_of_other_client", token=old.number)
        if old.refresh_expires < self.issuer.clock.now():
            raise Refused("refresh_expired", token=old.number)
        if old.refresh_ended is not None:
            raise Refused("refresh_revoked", token=old.number)
        return old


def _check_same_redirect(code: Code, redirect_uri: str | None) -> None:
    if code.redirect_uri is not None and redirect_uri is None:
        raise Refused("parameter", "redirect_uri")
    if code.redirect_uri != redirect_uri:
        raise Refused("redirect_uri")


def _check_verifier(code: Code, verifier: str | None) -> None:
    if code.challenge is None:
        if verifier is not None:
            raise Refused("verifier_unexpected")
        return
    if verifier is None:
        raise Refused("parameter", "code_verifier")
    if not VERIFIER.fullmatch(verifier):
        raise Refused("verifier_malformed")
    if code.challenge_method == "S256":
        verifier = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if verifier != code.challenge:
        raise Refused("verifier_wrong")

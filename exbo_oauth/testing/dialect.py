"""How the two server generations word their refusals: one table of reasons, and what league 9 says otherwise.

EXBO runs Laravel Passport, which answers through league/oauth2-server; "league-8" and "league-9" are the recorded
major versions. A `Refused` names its reason once; the `Dialect` turns it into status, code, text and hint. The
league speaks JSON whatever the Accept header says (RFC 6749, section 5.2, plus `hint`, plus `message` on league 8).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from attrs import frozen

from ..errors import ConfigurationError
from ..protocol.messages import Response
from .php import Value, built_query, escaped, json_encoded

__all__ = ["DIALECTS", "Dialect", "DialectName", "Refused", "dialect_named"]

DialectName: TypeAlias = Literal["league-8", "league-9"]

_REQUEST = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more "
    "than once, or is otherwise malformed."
)
_GRANT = (
    "The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is "
    "invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued "
    "to another client."
)
_GRANT_TYPE = "The authorization grant type is not supported by the authorization server."
_REFRESH = "The refresh token is invalid."
_SCOPE = "The requested scope is invalid, unknown, or malformed"
_DENIED = "The resource owner or authorization server denied the request."
_NO_LOGIN = "The authorization server requires end-user authentication."
_NO_CONSENT = "The authorization server requires end-user consent."

_Wording: TypeAlias = tuple[int, str, str, str | None]  # status, error, error_description, hint


def _bad(hint: str) -> _Wording:
    return 400, "invalid_request", _REQUEST, hint


def _dead(hint: str) -> _Wording:
    return 400, "invalid_grant", _GRANT, hint


def _bad_refresh(hint: str) -> _Wording:
    return 401, "invalid_request", _REFRESH, hint


def _dead_refresh(hint: str) -> _Wording:
    return 400, "invalid_grant", _REFRESH, hint


_LEAGUE_8: dict[str, _Wording] = {
    "client": (401, "invalid_client", "Client authentication failed", None),
    "parameter": _bad("Check the `{}` parameter"),
    "grant_type": (
        400,
        "unsupported_grant_type",
        _GRANT_TYPE,
        "Check that all required parameters have been provided",
    ),
    "scope": (400, "invalid_scope", _SCOPE, "Check the `{}` scope"),
    "scope_unnamed": (400, "invalid_scope", _SCOPE, "Specify a scope in the request or set a default scope"),
    "code_garbled": _bad("Cannot decrypt the authorization code"),
    "code_of_other_kind": _bad("Authorization code malformed"),
    "code_revoked": _bad("Authorization code has been revoked"),
    "code_expired": _bad("Authorization code has expired"),
    "code_of_other_client": _bad("Authorization code was not issued to this client"),
    "redirect_uri": _bad("Invalid redirect URI"),
    "verifier_wrong": _dead("Failed to verify `code_verifier`."),
    "verifier_malformed": _bad("Code Verifier must follow the specifications of RFC-7636."),
    "verifier_unexpected": _bad("code_verifier received when no code_challenge is present"),
    "challenge_missing": _bad("Code challenge must be provided for public clients"),
    "challenge_method": _bad("Code challenge method must be one of `S256`, `plain`"),
    "challenge_malformed": _bad("Code challenge must follow the specifications of RFC-7636."),
    "refresh_garbled": _bad_refresh("Cannot decrypt the refresh token"),
    "refresh_of_other_client": _bad_refresh("Token is not linked to client"),
    "refresh_expired": _bad_refresh("Token has expired"),
    "refresh_revoked": _bad_refresh("Token has been revoked"),
    "denied": (401, "access_denied", _DENIED, "The user denied the request"),
    "not_signed_in": (401, "access_denied", _DENIED, "Unauthenticated"),
    "not_consented": (401, "access_denied", _DENIED, "The user denied the request"),
}
_LEAGUE_9: dict[str, _Wording] = _LEAGUE_8 | {
    "code_garbled": _dead("Cannot validate the provided authorization code"),
    "code_revoked": _dead("Authorization code has been revoked"),
    "code_expired": _dead("Authorization code has expired"),
    "refresh_garbled": _dead_refresh("Cannot decrypt the refresh token"),
    "refresh_of_other_client": _dead_refresh("Token is not linked to client"),
    "refresh_expired": _dead_refresh("Token has expired"),
    "refresh_revoked": _dead_refresh("Token has been revoked"),
    "not_signed_in": (401, "login_required", _NO_LOGIN, "The user is not authenticated"),
    "not_consented": (401, "consent_required", _NO_CONSENT, None),
}


class Refused(Exception):
    """A league refusal by the name of its reason; `about` fills its hint.

    With `redirect_uri` it travels to the application as a redirect instead (RFC 6749, section 4.1.2.1). For the
    timeline: `token` is the number of the token that was refused, `by` that of the one that took its place, `why` a
    reason that no program is told, `unregistered` the redirect URI that is not registered, empty if there was none.
    """

    def __init__(
        self,
        reason: str,
        about: str = "",
        *,
        redirect_uri: str | None = None,
        token: int | None = None,
        by: int | None = None,
        why: str = "",
        unregistered: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.about = about
        self.redirect_uri = redirect_uri
        self.token = token
        self.by = by
        self.why: str = why or reason
        self.unregistered = unregistered


@frozen(kw_only=True)
class Dialect:
    """One server generation.

    `repeats_message` adds `message` to every refusal; `checks_redirect_with_client` makes an unregistered redirect
    URI a failed client authentication at the token endpoint (recorded case D06); with `names_missing_secret` no
    secret is a malformed request, not a wrong one (B05); `casts_parameters` makes text of every scalar and refuses
    arrays, where others fall over (C08); `app_token_subject` says that an app token's `sub` is its client id, which
    collides with user ids (U06); `scope_error_keeps_state` (Z08); `consent_serves_once`: the consent form works a
    single time (Z13b); `adds_up_consents`: all live tokens together stand for a consent; `has_prompt_errors`: those of
    OpenID Connect, in place of which others glue the state of guests on as it came (Z11); `bearer_in_any_case`: where
    no guard of Laravel's is in between.
    """

    name: DialectName
    wordings: Mapping[str, _Wording]
    repeats_message: bool
    checks_redirect_with_client: bool
    names_missing_secret: bool
    casts_parameters: bool
    app_token_subject: bool
    scope_error_keeps_state: bool
    consent_serves_once: bool
    adds_up_consents: bool
    has_prompt_errors: bool
    bearer_in_any_case: bool

    @property
    def no_authorization(self) -> tuple[str, ...]:
        """What an Authorization header says that is taken for none."""
        return ("",) if self.casts_parameters else ("", "0")

    def payload(self, refusal: Refused) -> tuple[int, dict[str, str]]:
        """Status and body of a refusal, the keys in the recorded order."""
        status, error, description, hint = self.wordings[refusal.reason]
        payload = {"error": error, "error_description": description}
        if hint is not None:
            payload["hint"] = hint.format(escaped(refusal.about))
        return status, payload | ({"message": description} if self.repeats_message else {})

    def answer(self, refusal: Refused, authorization: str = "") -> Response:
        """The refusal as an answer; `authorization` is the request's header of that name (cases B07, M04)."""
        status, payload = self.payload(refusal)
        if refusal.redirect_uri is not None:
            return redirect_answer(appended(refusal.redirect_uri, payload))
        headers = {"content-type": "application/json", "cache-control": "no-cache, private"}
        if payload["error"] == "invalid_client" and authorization not in self.no_authorization:
            scheme = "Bearer" if authorization.startswith("Bearer") else "Basic"
            headers["www-authenticate"] = f'{scheme} realm="OAuth"'
        return Response(status, headers, json_encoded(payload))


def redirect_answer(location: str) -> Response:
    """A redirect as the league makes them: an empty page."""
    headers = {"location": location, "cache-control": "no-cache, private", "content-type": "text/html; charset=UTF-8"}
    return Response(302, headers)


def appended(uri: str, parameters: Mapping[str, Value]) -> str:
    """`uri` with the parameters that are not null."""
    return f"{uri}{'&' if '?' in uri else '?'}{built_query(parameters)}"


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "league-8": Dialect(
            name="league-8",
            wordings=_LEAGUE_8,
            repeats_message=True,
            checks_redirect_with_client=True,
            names_missing_secret=False,
            casts_parameters=False,
            app_token_subject=False,
            scope_error_keeps_state=False,
            consent_serves_once=False,
            adds_up_consents=False,
            has_prompt_errors=False,
            bearer_in_any_case=False,
        ),
        "league-9": Dialect(
            name="league-9",
            wordings=_LEAGUE_9,
            repeats_message=False,
            checks_redirect_with_client=False,
            names_missing_secret=True,
            casts_parameters=True,
            app_token_subject=True,
            scope_error_keeps_state=True,
            consent_serves_once=True,
            adds_up_consents=True,
            has_prompt_errors=True,
            bearer_in_any_case=True,
        ),
    }
)


def dialect_named(name: str) -> Dialect:
    """The dialect of that name; raises `ConfigurationError` for any other."""
    if name not in DIALECTS:
        raise ConfigurationError(f"dialect is {name!r}: pass one of {', '.join(map(repr, DIALECTS))}")
    return DIALECTS[name]

"""Every error of this library, in one tree.

::

    OAuthError
     ├ ConfigurationError(ValueError)     the caller's mistake, before anything was sent
     ├ TransportError                     no answer came
     │  └ OutcomeUnknownError             the request went out, its answer was lost
     ├ ResponseError                      an answer came, and it was not the one asked for
     │  ├ TokenRequestError               RFC 6749, section 5.2
     │  │  ├ InvalidRequestError
     │  │  ├ InvalidClientError
     │  │  ├ InvalidGrantError
     │  │  ├ UnauthorizedClientError
     │  │  ├ UnsupportedGrantTypeError
     │  │  └ InvalidScopeError
     │  ├ UnauthenticatedError            the bearer token was refused
     │  ├ RateLimitError                  429
     │  ├ ServerError                     5xx
     │  └ MalformedResponseError          not what the protocol allows
     ├ CallbackError                      what came back to the redirect URI cannot be used
     │  ├ AccessDeniedError
     │  ├ StateMismatchError
     │  ├ IssuerMismatchError
     │  ├ MissingCodeError
     │  └ AttemptUsedError
     ├ LoginTimeoutError                  nobody came back in time
     ├ LoginRequiredError                 the account's user must sign in again
     ├ LeaseTimeoutError                  others took longer to renew a token than `wait=` allows
     ├ TokenConflictError                 another deployment keeps superseding our tokens
     ├ ReadOnlyError                      a follower found no usable token
     └ StoreError                         the token store failed

No exception of an HTTP library, a parser or a database leaves the package; where one was the cause it is
chained, without its frames. No error text or attribute shows a secret, and all of them can be pickled.
"""

from collections.abc import Mapping
from datetime import datetime

from .misuse import ConfigurationError, OAuthError
from .models import AppToken, UserToken

__all__ = [
    "AccessDeniedError",
    "AttemptUsedError",
    "CallbackError",
    "ConfigurationError",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidScopeError",
    "IssuerMismatchError",
    "LeaseTimeoutError",
    "LoginRequiredError",
    "LoginTimeoutError",
    "MalformedResponseError",
    "MissingCodeError",
    "OAuthError",
    "OutcomeUnknownError",
    "RateLimitError",
    "ReadOnlyError",
    "ResponseError",
    "ServerError",
    "StateMismatchError",
    "StoreError",
    "TokenConflictError",
    "TokenRequestError",
    "TransportError",
    "UnauthenticatedError",
    "UnauthorizedClientError",
    "UnsupportedGrantTypeError",
]


class TransportError(OAuthError):
    """No answer came: no connection, a broken one, or the time was up.

    `request_sent` is False only if the request provably never left this machine.

    ::

        try:
            oauth.ensure_app_token()
        except TransportError as error:
            print("later" if error.request_sent else "is the network there?", error)
    """

    code = "exbo-oauth.transport"

    def __init__(self, message: str, *, request_sent: bool) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class OutcomeUnknownError(TransportError):
    """The request was sent and its answer was lost: the grant may or may not have happened.

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except OutcomeUnknownError as error:
            oauth.finish_login(attempt, callback_url, account="ivan")  # the same attempt may be tried once more
    """

    code = "exbo-oauth.transport.outcome-unknown"

    def __init__(self, message: str, *, request_sent: bool = True) -> None:
        super().__init__(message, request_sent=request_sent)


class ResponseError(OAuthError):
    """The server answered, and not with what was asked for.

    `status` is the HTTP status code, `headers` the answer's headers by lower-case name, `grant` the grant type
    that was tried (None for a call that is not a grant).

    ::

        try:
            oauth.ensure_app_token()
        except ResponseError as error:
            print(error.status, error.grant, error.headers.get("x-request-id"))
    """

    code = "exbo-oauth.response"

    def __init__(
        self, message: str, *, status: int, headers: Mapping[str, str] | None = None, grant: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.grant = grant


class TokenRequestError(ResponseError):
    """The token endpoint refused, in the words of RFC 6749, section 5.2.

    `error` is the server's code as it was sent, `description` its text, and `hint` the league server's own
    addition; the latter two may be None.

    ::

        try:
            oauth.get_app_token()
        except TokenRequestError as error:
            print(error.error, error.description, error.hint)  # the server's words
    """

    code = "exbo-oauth.token-request"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        error: str,
        description: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
        grant: str | None = None,
    ) -> None:
        super().__init__(message, status=status, headers=headers, grant=grant)
        self.error = error
        self.description = description
        self.hint = hint


class InvalidRequestError(TokenRequestError):
    """A parameter is missing, wrong or sent twice.

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except InvalidRequestError as error:
            print("compare the redirect URI with the registered one:", error)
    """

    code = "exbo-oauth.invalid-request"


class InvalidClientError(TokenRequestError):
    """Client authentication failed; EXBO also says so of an unregistered redirect URI and of a revoked application.

    ::

        try:
            oauth.ensure_app_token()
        except InvalidClientError as error:
            raise SystemExit(f"exbo-oauth doctor finds out which of the two it is: {error}")
    """

    code = "exbo-oauth.invalid-client"


class InvalidGrantError(TokenRequestError):
    """The code or the refresh token is dead: used, expired, revoked, garbled, or another client's.

    Raised on every server version, whatever status and code it uses; `error` stays what the server said.

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except InvalidGrantError as error:
            print("once more, please:", oauth.begin_login().url)
    """

    code = "exbo-oauth.invalid-grant.dead"


class UnauthorizedClientError(TokenRequestError):
    """This application may not use this grant.

    ::

        try:
            oauth.get_app_token()
        except UnauthorizedClientError as error:
            raise SystemExit(f"ask EXBO: {error}")
    """

    code = "exbo-oauth.unauthorized-client"


class UnsupportedGrantTypeError(TokenRequestError):
    """The grant type is unknown to the server, or missing from what reached it.

    ::

        try:
            oauth.get_app_token()
        except UnsupportedGrantTypeError as error:
            raise SystemExit(f"is EXBO_OAUTH_URL the OAuth service? {error}")
    """

    code = "exbo-oauth.unsupported-grant-type"


class InvalidScopeError(TokenRequestError):
    """A requested scope does not exist or exceeds what was granted.

    ::

        try:
            oauth.get_app_token(scope="")
        except InvalidScopeError as error:
            print("EXBO defines no scopes: leave it empty.", error)
    """

    code = "exbo-oauth.invalid-scope"


class UnauthenticatedError(ResponseError):
    """The bearer token was refused: expired, superseded, revoked, of the wrong kind, or its user is gone.

    ::

        try:
            oauth.validate_user_token(token)
        except UnauthenticatedError as error:
            print(oauth.user_info("ivan").name)  # this one replaces a token that was refused
    """

    code = "exbo-oauth.unauthenticated"


class RateLimitError(ResponseError):
    """Too many requests (429). `retry_after` is the wait in seconds that the server asks for, None if it names none.

    ::

        try:
            oauth.ensure_app_token()
        except RateLimitError as error:
            time.sleep(error.retry_after or 60)
    """

    code = "exbo-oauth.rate-limit"

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        grant: str | None = None,
    ) -> None:
        super().__init__(message, status=status, headers=headers, grant=grant)
        self.retry_after = retry_after


class ServerError(ResponseError):
    """The server failed (5xx). From EXBO that does not prove a passing fault: some bad input ends here, too.

    `retry_after` is the wait in seconds that the server asks for, None if it names none.

    ::

        try:
            oauth.ensure_app_token()
        except ServerError as error:
            print("EXBO is unwell, try again in", error.retry_after or 60, "s")
    """

    code = "exbo-oauth.server"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        grant: str | None = None,
    ) -> None:
        super().__init__(message, status=status, headers=headers, grant=grant)
        self.retry_after = retry_after


class MalformedResponseError(ResponseError):
    """An answer that the protocol does not allow: not JSON, a redirect, a wrong type, too large.

    The text says what was wrong and where (``$.expires_in``). Never retried: if it answered a code or a refresh
    token, that grant is probably spent.

    ::

        try:
            oauth.ensure_app_token()
        except MalformedResponseError as error:
            raise SystemExit(f"what answers there is not EXBO: {error}")
    """

    code = "exbo-oauth.malformed-response"


class CallbackError(OAuthError):
    """What came back to the redirect URI cannot be used. `error` and `description` are the server's, if it sent any.

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except CallbackError as error:
            print("the sign-in failed:", error.error, error.description)
    """

    code = "exbo-oauth.callback"

    def __init__(self, message: str, *, error: str | None = None, description: str | None = None) -> None:
        super().__init__(message)
        self.error = error
        self.description = description


class AccessDeniedError(CallbackError):
    """The user, or the server for them, said no (``access_denied``).

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except AccessDeniedError as error:
            print("You said no, so nothing was linked.")
    """

    code = "exbo-oauth.callback.access-denied"


class StateMismatchError(CallbackError):
    """The callback is not this attempt's: its ``state`` is missing or another one (RFC 6749, section 10.12).

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except StateMismatchError as error:
            print("That was another sign-in. The one you began still waits.")
    """

    code = "exbo-oauth.callback.state-mismatch"


class IssuerMismatchError(CallbackError):
    """The callback names another authorization server in ``iss`` (RFC 9207).

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except IssuerMismatchError as error:
            raise SystemExit("that was not EXBO: do not go on with it")
    """

    code = "exbo-oauth.callback.issuer-mismatch"


class MissingCodeError(CallbackError):
    """The callback carries neither a code nor an error.

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except MissingCodeError as error:
            print("Please copy the whole address, with everything behind the question mark.")
    """

    code = "exbo-oauth.callback.missing-code"


class AttemptUsedError(CallbackError):
    """This login attempt has been used already; begin a new one.

    ::

        try:
            oauth.finish_login(attempt, callback_url, account="ivan")
        except AttemptUsedError as error:
            print("You are signed in already, or took more than an hour: begin anew.")
    """

    code = "exbo-oauth.callback.attempt-used"


class LoginTimeoutError(OAuthError):
    """Nobody came back to the redirect URI in time.

    ::

        try:
            oauth.login("ivan", timeout=300.0)
        except LoginTimeoutError as error:
            print("nobody came back: is the redirect URI registered letter by letter?", error)
    """

    code = "exbo-oauth.login-timeout"


class LoginRequiredError(OAuthError):
    """No usable token of this account is left: its user must sign in again. `account` is the caller's own key.

    ::

        try:
            oauth.user_info("ivan")
        except LoginRequiredError as error:
            print(f"{error.account} has to sign in:", oauth.begin_login().url)
    """

    code = "exbo-oauth.login-required"

    def __init__(self, message: str, *, account: str | None = None) -> None:
        super().__init__(message)
        self.account = account


class LeaseTimeoutError(OAuthError):
    """Another process or call was renewing the token for longer than ``wait=`` allows. Nothing was sent.

    `holder` names it by its host and process id, and `since` (aware UTC) is when it began; each None if not known.

    ::

        try:
            oauth.ensure_app_token(wait=5.0)
        except LeaseTimeoutError as error:
            print("still being renewed by", error.holder, "since", error.since)
    """

    code = "exbo-oauth.lease-timeout"

    def __init__(self, message: str, *, holder: str | None = None, since: datetime | None = None) -> None:
        super().__init__(message)
        self.holder = holder
        self.since = since


class TokenConflictError(OAuthError):
    """Our fresh tokens keep being superseded by another deployment of the same application.

    `issuer` names the one of ours that issued the token that was superseded last, None if that is not known.

    ::

        try:
            oauth.ensure_app_token()
        except TokenConflictError as error:
            raise SystemExit(f"give both one EXBO_STORE; of ours it was {error.issuer}: {error}")
    """

    code = "exbo-oauth.token-conflict"

    def __init__(self, message: str, *, issuer: str | None = None) -> None:
        super().__init__(message)
        self.issuer = issuer


class ReadOnlyError(OAuthError):
    """A follower (``issue="never"``) was asked for what only an issuing client can give.

    ::

        try:
            oauth.ensure_app_token()
        except ReadOnlyError as error:
            raise SystemExit(f"start the program that issues first: {error}")
    """

    code = "exbo-oauth.read-only"


class StoreError(OAuthError):
    """The token store failed.

    `token` is the new token that could not be saved, None if none was in hand.

    ::

        try:
            oauth.ensure_app_token()
        except StoreError as error:
            print("not saved" if error.token else "not found", error)
    """

    code = "exbo-oauth.store"

    def __init__(self, message: str, *, token: AppToken | UserToken | None = None) -> None:
        super().__init__(message)
        self.token = token


for _name in __all__:
    globals()[_name].__module__ = "exbo_oauth"

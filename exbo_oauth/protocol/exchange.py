"""The protocol as a whole: `OAuthProtocol` describes the four calls, `Exchange` reads their answers.

Bring any HTTP library::

    exchange = OAuthProtocol(client_id=59, client_secret="…").app_token()
    now = datetime.now(timezone.utc)
    # send exchange.request, follow no redirect, read the answer
    token = exchange.parse(Response(status, headers, body), now=now)

`now` is the moment before the request went out: lifetimes are counted from there.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus

from attrs import field, frozen

from .._version import __version__
from ..boundary import bounded
from ..errors import ConfigurationError
from ..masking import Secret
from ..misuse import narrowed
from ..models import HEADER_SAFE, AppToken, OAuthModel, UserInfo, UserToken
from . import authorization
from .addresses import checked_base_url, checked_redirect_uri
from .answers import Call, decoded, modelled
from .messages import Request, Response
from .pkce import checked_verifier
from .text import encodable, sendable

__all__ = ["Exchange", "OAuthProtocol"]

T = TypeVar("T", bound=OAuthModel)

_BEARER_PREFIX = re.compile(r"(\s*bearer(?=\s|$))+", re.IGNORECASE)
_SECRET_FIELDS = {"client_secret", "code", "code_verifier", "refresh_token"}
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": f"exbo-oauth/{__version__}"}


@frozen(repr=False, eq=False)
class Exchange(Generic[T]):
    """One request and the only right way to read its answer.

    ::

        exchange = oauth_protocol.app_token()
        now = datetime.now(UTC)
        asked = exchange.request
        answer = httpx.request(asked.method, asked.url, content=asked.content, headers=asked.headers)
        token = exchange.parse(Response(answer.status_code, answer.headers, answer.content), now=now)
    """

    request: Request
    call: Call
    _build: Callable[[dict[str, Any], datetime], T | str]

    @property
    def grant(self) -> str | None:
        """The grant type, None for the call that asks who a token belongs to."""
        return self.call.grant

    @property
    def repeatable(self) -> bool:
        """Whether sending it again can spend nothing: true of all but a code and a refresh token."""
        return self.call.grant in (None, "client_credentials")

    @bounded
    def parse(self, response: Response, *, now: datetime) -> T:
        """The model in `response`. `now` (aware) is the moment before the request went out.

        Raises the `ResponseError` that fits; a dead code or refresh token is an `InvalidGrantError` on every
        server version (recorded cases D01, D04, R01, R04, R05).
        """
        if not isinstance(now, datetime) or now.utcoffset() is None:
            raise ConfigurationError("now must be an aware datetime, as from datetime.now(timezone.utc)")
        return modelled(self.call, _answer(response), now, lambda data: self._build(data, now))

    @bounded
    def json(self, response: Response) -> dict[str, Any]:
        """The JSON object in `response` as the server sent it; raises as `parse` does, but checks no field."""
        return decoded(self.call, _answer(response), None)

    def __repr__(self) -> str:
        return f"<Exchange {self.call.title}>"


def _answer(response: Response) -> Response:
    if not isinstance(response, Response):
        raise ConfigurationError(
            f"an answer is a Response(status, headers, content) of exbo_oauth.protocol, not {type(response).__name__}"
        )
    return response


def _client_id(value: int | str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ConfigurationError(f"client_id must be a number or a str, not {type(value).__name__}")
    try:
        text = encodable("client_id", str(value))
    except ValueError as error:  # thousands of digits
        raise error if isinstance(error, ConfigurationError) else ConfigurationError("client_id is too long") from None
    if not text or any(character.isspace() or not character.isprintable() for character in text):
        raise ConfigurationError("client_id is empty or has a space or a line break in it: was it copied whole?")
    return text


def _client_secret(value: str | Secret) -> Secret:
    value = value.reveal() if isinstance(value, Secret) else value  # wrapped already: by attrs.evolve
    value = sendable("client_secret", value)
    if value != value.strip() or not value.isprintable():
        text = "client_secret has a space or a line break around or in it: was a line end copied along?"
        raise narrowed(ConfigurationError(text), "copied-along")
    return Secret(value)


def _scope(value: str) -> str:
    return encodable("scope", value)


@bounded
@frozen(kw_only=True, repr=False)
class OAuthProtocol:
    """EXBO's OAuth 2.0 service as pure functions: from values to a `Request`, from a `Response` to values.

    `base_url` is https, or http on a loopback host; `redirect_uri` and `scope` are what calls use that do not name
    their own. Anything that could not work is a `ConfigurationError` here, before a secret is sent anywhere.

    ::

        protocol = OAuthProtocol(client_id=59, client_secret="secret")
        exchange = protocol.refresh("def502")
        assert exchange.request.method == "POST"
    """

    client_id: str = field(converter=_client_id)
    client_secret: Secret = field(converter=_client_secret)
    base_url: str = field(default="https://exbo.net/oauth", converter=checked_base_url)
    redirect_uri: str = field(default="http://localhost", converter=checked_redirect_uri)
    scope: str = field(default="", converter=_scope)

    @bounded
    def authorize_url(
        self,
        state: str | None,
        redirect_uri: str | None = None,
        scope: str | None = None,
        code_challenge: str | None = None,
    ) -> str:
        """Where to send the user's browser (RFC 6749, section 4.1.1; RFC 7636, section 4.3)."""
        uri = self.redirect_uri if redirect_uri is None else redirect_uri
        scope = self.scope if scope is None else scope
        return authorization.authorize_url(self.base_url, self.client_id, uri, scope, state, code_challenge)

    @bounded
    def app_token(self, scope: str | None = None) -> Exchange[AppToken]:
        """Client credentials (RFC 6749, section 4.4)."""
        return self._grant("client_credentials", _fresh(AppToken), scope=self._scope(scope))

    @bounded
    def user_token(
        self, code: str, redirect_uri: str | None = None, code_verifier: str | None = None
    ) -> Exchange[UserToken]:
        """A code for a user's token (RFC 6749, section 4.1.3).

        `redirect_uri` must equal the authorize URL's, and `code_verifier` goes along if and only if that carried a
        challenge (recorded cases D06, P04).
        """
        uri = self.redirect_uri if redirect_uri is None else checked_redirect_uri(redirect_uri)
        code = sendable("code", code)
        verifier = {} if code_verifier is None else {"code_verifier": checked_verifier(code_verifier)}
        return self._grant("authorization_code", _fresh(UserToken), redirect_uri=uri, code=code, **verifier)

    @bounded
    def refresh(self, refresh_token: str | UserToken, scope: str | None = None) -> Exchange[UserToken]:
        """A refresh token for a new pair (RFC 6749, section 6); the old pair is dead afterwards (recorded case A22).

        Where a server sends no new refresh token, the old one stays in force and is kept.
        """
        given = refresh_token.refresh_token if isinstance(refresh_token, UserToken) else refresh_token
        old = sendable("refresh_token", given)
        read = _fresh(UserToken)

        def build(data: dict[str, Any], now: datetime) -> UserToken | str:
            kept = {"refresh_token": old} if data.get("refresh_token") is None else {}
            return read(data | kept, now)

        return self._grant("refresh_token", build, refresh_token=old, scope=self._scope(scope))

    @bounded
    def user_info(self, token: str | UserToken) -> Exchange[UserInfo]:
        """Who a user's token belongs to (RFC 6750). A pasted ``Bearer`` in front of the token is dropped."""
        bearer = _bearer(token.access_token if isinstance(token, UserToken) else token)
        headers = {**_HEADERS, "Authorization": f"Bearer {bearer}"}
        call = Call("GET /user", self.base_url, None, (Secret(bearer),))
        return Exchange(Request("GET", f"{self.base_url}/user", headers), call, UserInfo.read)

    def _scope(self, scope: str | None) -> str:
        return self.scope if scope is None else encodable("scope", scope)

    def _grant(self, grant: str, build: Callable[[dict[str, Any], datetime], T | str], **fields: str) -> Exchange[T]:
        secret = self.client_secret.reveal()
        form = {"grant_type": grant, "client_id": self.client_id, "client_secret": secret, **fields}
        headers = {**_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
        content = "&".join([f"{name}={quote_plus(value)}" for name, value in form.items()])
        request = Request("POST", f"{self.base_url}/token", headers, content.encode())
        secrets = tuple(Secret(value) for name, value in form.items() if name in _SECRET_FIELDS)
        return Exchange(request, Call(f"POST /token ({grant})", self.base_url, grant, secrets), build)

    def __repr__(self) -> str:
        # A traceback may render an instance whose construction failed half-way.
        base_url, client_id = getattr(self, "base_url", None), getattr(self, "client_id", None)
        return f"OAuthProtocol(base_url={base_url!r}, client_id={client_id!r})"


def _fresh(kind: type[T]) -> Callable[[dict[str, Any], datetime], T | str]:
    """Reads a server's answer. An ``expires_at`` in it is not a field of the protocol, and may be in any form."""
    return lambda data, now: kind.read(_without_moment(data) if "expires_at" in data else data, now)


def _without_moment(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "expires_at"}


def _bearer(token: str) -> str:
    text = sendable("token", token)
    scheme = _BEARER_PREFIX.match(text)
    bare = (text[scheme.end() :] if scheme else text).strip()
    if not HEADER_SAFE.fullmatch(bare):
        raise ConfigurationError("the token must be visible ASCII: was it copied with something around it?")
    return bare


for _public in (Exchange, OAuthProtocol):
    _public.__module__ = "exbo_oauth"

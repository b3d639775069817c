"""Where a sign-in comes back to: the redirect URI, read as an address of this machine to listen on.

RFC 8252, section 7.3, as far as EXBO allows it: the redirect URI has to be registered letter by letter, so the port
is the registered one and never a free one.
"""

from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urlsplit

from attrs import frozen

from ..errors import ConfigurationError
from ..language import mark
from ..protocol.addresses import is_loopback, origin_of
from ..protocol.advice import BOT

__all__ = [
    "HOW_TO_REGISTER",
    "HOW_TO_REGISTER_AT",
    "HOW_TO_REGISTER_AT_SANDBOX",
    "CallbackEndpoint",
    "endpoint_of",
]

HOW_TO_REGISTER_AT = mark(
    "Register a redirect URI such as http://localhost:8080/callback (/myapps in {bot}, EXBO's Telegram bot) and "
    "pass exactly the same one as redirect_uri."
)
HOW_TO_REGISTER = HOW_TO_REGISTER_AT.format(bot=BOT)
HOW_TO_REGISTER_AT_SANDBOX = (
    "The sandbox has to know the redirect URI that you use instead: exbo-oauth sandbox --redirect-uri URI"
)

_NAMES = ("localhost", "127.0.0.1", "[::1]")


@frozen
class CallbackEndpoint:
    """A loopback redirect URI: the `addresses` and the `port` to listen on, and the one `path` that is answered.

    `registering` says how to have another one.
    """

    redirect_uri: str
    host: str
    port: int
    path: str
    registering: str = HOW_TO_REGISTER

    @property
    def addresses(self) -> tuple[str, ...]:
        """Numeric addresses. Browsers take ``localhost`` for either of two."""
        return ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,)

    @property
    def hosts(self) -> frozenset[str]:
        """What a ``Host`` header may say. A page that had its own name point here would say that name."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        named = {f"{name}:{self.port}" for name in (own, *_NAMES)}
        return frozenset(named | {own, *_NAMES} if self.port == 80 else named)

    @property
    def sent_path(self) -> str:
        """The path as browsers send it: letters of other scripts in their UTF-8, encoded."""
        return quote(self.path, safe="/:@!$&'()*+,;=~%|[]")

    @property
    def clean_url(self) -> str:
        """The redirect URI without any query: what may stay in the address bar."""
        return origin_of(self.redirect_uri) + self.sent_path


def endpoint_of(redirect_uri: str, registering: str = HOW_TO_REGISTER) -> CallbackEndpoint:
    """The endpoint that a checked redirect URI names; a `ConfigurationError` if `login` cannot listen there.

    `registering` says how to have another one.
    """
    parts = urlsplit(redirect_uri)
    if "@" in parts.netloc:
        raise ConfigurationError(f"login() cannot listen on a redirect URI with a user name in it. {registering}")
    if not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"login() listens on this machine, and the redirect URI {redirect_uri!r} leads elsewhere. "
            f"{registering} A web site uses begin_login() and finish_login() instead."
        )
    if parts.scheme != "http" or parts.port == 0:
        raise ConfigurationError(
            f"login() listens on plain http and on a known port, which the redirect URI {redirect_uri!r} does not "
            f"lead to. {registering}"
        )
    port = 80 if parts.port is None else parts.port
    return CallbackEndpoint(redirect_uri, _host(parts), port, parts.path or "/", registering)


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    return host if host == "localhost" else str(ip_address(host))

"""What `exbo-oauth doctor` learns by asking the OAuth service. Nothing is issued, and nothing is ended.

Two of its requests are made to be refused, with a token that says so. At ``/user`` the refusal brings the server's
clock and shows who answers. At ``/token`` it shows whether the credentials are good: the server checks those first
and then refuses the refresh token (recorded case R01).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import (
    ConfigurationError,
    InvalidClientError,
    InvalidGrantError,
    MalformedResponseError,
    OAuthError,
    RateLimitError,
    ResponseError,
    ServerError,
    StoreError,
    TransportError,
    UnauthenticatedError,
)
from ..protocol.advice import BOT
from ..stores.base import Entry, TokenStore
from ..stores.memory import MemoryTokenStore
from .findings import Finding
from .hosts import sandbox_api, similar_hosts
from .session import accounts, client, held
from .settings import Settings
from .wording import moment

if TYPE_CHECKING:
    from ..clients.sync import SyncOAuthClient

__all__ = ["dead", "service_findings", "user_findings"]

MADE_UP = "made-up-by-exbo-oauth-doctor-to-be-refused"
_MOST_ACCOUNTS = 20
_LATER = "Try again in a minute."
_IN_THE_WAY = "A proxy, a captive portal or a wrong base URL is in the way."


def service_findings(settings: Settings) -> Iterator[Finding]:
    """How the OAuth service answers."""
    with client(settings, MemoryTokenStore(), timeout=10.0, max_retries=0) as made:
        answer = _answer(made)
        yield _reached(answer, settings)
        if isinstance(answer, UnauthenticatedError):
            yield _clock(answer)
            yield _sign_on(made, settings)


def _answer(made: "SyncOAuthClient") -> OAuthError | None:
    try:
        made.validate_user_token(MADE_UP)
    except OAuthError as error:
        return error
    return None


def _reached(answer: OAuthError | None, settings: Settings) -> Finding:
    if isinstance(answer, UnauthenticatedError):
        return Finding("connection", "ok", "the server refused a made-up token as EXBO does")
    if answer is None:
        text = "something else answers in EXBO's place: it took a made-up token"
        return Finding("connection", "problem", text, _IN_THE_WAY)
    return _trouble("connection", answer, settings)


def _trouble(check: str, error: OAuthError, settings: Settings) -> Finding:
    """An answer that is not the refusal that was expected: it passes, or something has to be fixed."""
    if isinstance(error, ServerError | RateLimitError):
        return Finding(check, "warning", str(error), _LATER)
    if isinstance(error, ConfigurationError):
        return Finding(check, "problem", str(error), "Correct it in the environment: no program here can connect.")
    if isinstance(error, TransportError):
        return Finding(check, "problem", str(error), _how_to_connect(settings))
    if isinstance(error, MalformedResponseError):
        return Finding(check, "problem", str(error), _IN_THE_WAY)
    cure = (
        f"EXBO's OAuth service is https://exbo.net/oauth: correct EXBO_OAUTH_URL, from {settings.source('base_url')}."
    )
    return Finding(check, "problem", f"no OAuth service of EXBO's kind is there: {error}", cure)


def _how_to_connect(settings: Settings) -> str:
    host = urlsplit(settings.text("base_url")).hostname or ""
    if similar_hosts(host):
        return f"There is no {host} of EXBO's: its OAuth service is https://exbo.net/oauth."
    if sandbox_api(settings.text("base_url")):
        return "Is the sandbox running? Start it with: exbo-oauth sandbox"
    return "Check the network, the address and any proxy or firewall."


def _clock(answer: ResponseError) -> Finding:
    try:
        there = parsedate_to_datetime(answer.headers["date"])
        off = (datetime.now(UTC) - there).total_seconds()
    except (KeyError, TypeError, ValueError):  # none, one without its zone, or none that can be read
        return Finding("clock", "warning", "the server sent no date to compare this clock with", "Nothing to be done.")
    if abs(off) <= 60:
        return Finding("clock", "ok", "within a minute of the server's")
    text = f"this clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the server's"
    return Finding("clock", "problem", text, "Set it, best by network time: lifetimes are counted with it.")


def _sign_on(made: "SyncOAuthClient", settings: Settings) -> Finding:
    try:
        made.refresh_user_token(MADE_UP)
    except InvalidGrantError:
        return Finding("sign-on", "ok", "the server takes client id and secret (and refused a made-up refresh token)")
    except InvalidClientError:
        cure = (
            f"Copy both again from {BOT} (/myapps). A demo's do not work here, nor do those of an application that is "
            "not approved yet, although the bot shows them already, or that was revoked."
        )
        return Finding("sign-on", "problem", "the server refuses client id and secret", cure)
    except OAuthError as error:
        return _trouble("sign-on", error, settings)
    return Finding("sign-on", "problem", "the server took a made-up refresh token", _IN_THE_WAY)


def user_findings(settings: Settings, store: TokenStore) -> Iterator[Finding]:
    """How the service takes the stored tokens of users."""
    with client(settings, MemoryTokenStore(), timeout=10.0, max_retries=0) as made:
        for account in accounts(settings, store)[:_MOST_ACCOUNTS]:
            yield _user_token(made, settings, store, account)


def _user_token(made: "SyncOAuthClient", settings: Settings, store: TokenStore, account: str) -> Finding:
    check = f"user {account}"
    try:
        entry = held(settings, store, account)
    except StoreError as error:
        return Finding(check, "warning", str(error), "Mend it, or have the user sign in again: exbo-oauth login")
    try:
        if entry is None or entry.token.is_expired():
            return Finding(check, "ok", "the access token has expired; it is refreshed when it is asked for")
        made.validate_user_token(entry.token.access_token)
    except UnauthenticatedError:
        return dead(check, entry, settings, account)
    except OAuthError as error:
        return _trouble(check, error, settings)
    return Finding(check, "ok", "the stored token works")


def dead(check: str, entry: Entry | None, settings: Settings, account: str | None = None) -> Finding:
    """A stored token that should live, and is refused by those who have to know."""
    issued = "" if entry is None else f" that {entry.issued_by} got at {moment(entry.issued_at)}"
    command = "exbo-oauth refresh" if account is None else f"exbo-oauth refresh --user {quote(account)}"
    if sandbox_api(settings.text("base_url")):
        again = "" if account is None else f", and if that is refused exbo-oauth login --user {quote(account)}"
        cure = f"The sandbox was started anew and knows no earlier token, or somebody got a newer one: {command}{again}"
    else:
        cure = f"Another deployment got a newer one, or it was revoked: let all share one store, and run {command}"
    return Finding(check, "problem", f"the token{issued} is dead before its time", cure)

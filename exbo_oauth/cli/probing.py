"""What `exbo-oauth doctor` learns by asking the server. Nothing is issued, and nothing is ended.

A made-up token at ``/user`` brings the server's clock and shows who answers. A made-up refresh token shows whether
the credentials are good: the server checks those first and then refuses the token (recorded case R01).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import (
    InvalidClientError,
    InvalidGrantError,
    MalformedResponseError,
    OAuthError,
    ResponseError,
    TransportError,
    UnauthenticatedError,
)
from ..protocol.addresses import is_loopback
from ..stores.base import Entry, TokenStore
from .checks import Finding
from .session import accounts, client, held, opened_store
from .settings import Settings
from .wording import moment

if TYPE_CHECKING:
    from ..clients.sync import SyncOAuthClient

__all__ = ["online"]

_MADE_UP = "exbo-oauth-doctor"
_MOST_ACCOUNTS = 20


def online(settings: Settings, api_url: str | None) -> Iterator[Finding]:
    """Everything that needs the server; `api_url` is a protected address to try the application's token at."""
    with opened_store(settings) as store, client(settings, store, timeout=10.0, max_retries=0) as made:
        answer = _answer(made)
        yield from _reached(answer)
        if not isinstance(answer, UnauthenticatedError):
            return
        yield _clock(answer)
        yield from _credentials(made)
        for account in accounts(settings, store)[:_MOST_ACCOUNTS]:
            yield from _user_token(made, account, held(settings, store, account))
        yield from _app_token(settings, store, api_url)


def _answer(made: "SyncOAuthClient") -> OAuthError | None:
    try:
        made.validate_user_token(_MADE_UP)
    except OAuthError as error:
        return error
    return None


def _reached(answer: OAuthError | None) -> Iterator[Finding]:
    if isinstance(answer, TransportError):
        yield Finding("connection", "problem", str(answer), "Check the network, the address and any proxy or firewall.")
    elif isinstance(answer, MalformedResponseError) or answer is None:
        text = "something else answers in EXBO's place" if answer is None else str(answer)
        yield Finding("connection", "problem", text, "A proxy, a captive portal or a wrong base URL is in the way.")
    elif isinstance(answer, UnauthenticatedError):
        yield Finding("connection", "ok", "the server answers as EXBO does")
    else:
        yield Finding("connection", "warning", str(answer), "Try again in a minute.")


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


def _credentials(made: "SyncOAuthClient") -> Iterator[Finding]:
    try:
        made.refresh_user_token(_MADE_UP)
    except InvalidGrantError:
        yield Finding("sign-on", "ok", "the server accepts client id and secret")
    except InvalidClientError:
        cure = "Copy both from EXBO's bot again; a demo's do not work here, nor do those of a revoked application."
        yield Finding("sign-on", "problem", "the server refuses client id and secret", cure)
    except OAuthError as error:
        yield Finding("sign-on", "warning", str(error), "Try again in a minute.")


def _user_token(made: "SyncOAuthClient", account: str, entry: Entry | None) -> Iterator[Finding]:
    check = f"user {account}"
    if entry is None or entry.token.is_expired():
        yield Finding(check, "ok", "the access token has expired; it is refreshed when it is asked for")
        return
    try:
        made.validate_user_token(entry.token.access_token)
    except UnauthenticatedError:
        yield _superseded(check, entry, f"exbo-oauth refresh --user {account}")
    except OAuthError as error:
        yield Finding(check, "warning", str(error), "Try again in a minute.")
    else:
        yield Finding(check, "ok", "the stored token works")


def _superseded(check: str, entry: Entry, command: str) -> Finding:
    text = f"the token that {entry.issued_by} got at {moment(entry.issued_at)} is dead before its time"
    cure = f"Another deployment got a newer one, or it was revoked: let all share one store, and run {command}"
    return Finding(check, "problem", text, cure)


def _app_token(settings: Settings, store: TokenStore, api_url: str | None) -> Iterator[Finding]:
    entry = held(settings, store, None)
    if entry is None or entry.token.is_expired():
        return
    if entry.superseded:
        text = f"its predecessors were superseded {len(entry.superseded)} times in five minutes"
        cure = 'Another deployment fetches its own: let all share one store, or give one of them issue="never".'
        yield Finding("app token", "problem", text, cure)
    if api_url is None:
        yield Finding("app token", "ok", "stored; to try it, name an address that it opens: --api-url URL")
        return
    yield _tried(entry, api_url)


def _tried(entry: Entry, api_url: str) -> Finding:
    import httpx

    parts = urlsplit(api_url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        return Finding("app token", "problem", f"{api_url} is plain http", "Call the game API over https only.")
    try:
        headers = {"Accept": "application/json", "Authorization": entry.token.authorization}
        status = httpx.get(api_url, headers=headers, timeout=10.0).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding("app token", "warning", f"{api_url} cannot be reached: {error}", "Check the address.")
    if status == 401:
        return _superseded("app token", entry, "exbo-oauth refresh")
    return Finding("app token", "ok", f"{api_url} takes it (answered {status})")

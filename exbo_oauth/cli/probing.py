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
from ..language import mark, tr
from ..masking import MADE_UP, Secret
from ..meaning import SANDBOX_AGAIN, in_words
from ..protocol.advice import BOT
from ..stores.base import Entry, TokenStore
from ..stores.memory import MemoryTokenStore
from .findings import Finding, parted
from .hosts import sandbox_api, sandbox_page, similar_hosts
from .owners import is_newer, user_of
from .session import accounts, client, held
from .settings import Settings
from .wording import moment, process

if TYPE_CHECKING:
    from ..clients.sync import SyncOAuthClient

__all__ = ["MOST_ACCOUNTS", "dead", "ended_by", "life_of", "service_findings", "user_findings", "whence"]

MOST_ACCOUNTS = 20
_WHY_401 = mark("https://github.com/exbo-oauth/exbo-oauth/tree/main/docs/why-401.md")
_LATER = mark("Try again in a minute.")
_IN_THE_WAY = mark("A proxy, a captive portal or a wrong base URL is in the way.")


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
        return Finding("connection", "ok", tr("the server refused a made-up token as EXBO does"))
    if answer is None:
        text = tr("something else answers in EXBO's place: it took a made-up token")
        return Finding("connection", "problem", text, tr(_IN_THE_WAY))
    return _trouble("connection", answer, settings)


def _trouble(check: str, error: OAuthError, settings: Settings) -> Finding:
    """An answer that is not the refusal that was expected: it passes, or something has to be fixed."""
    if isinstance(error, ServerError | RateLimitError):
        return Finding(check, "warning", str(error), tr(_LATER), error)
    if isinstance(error, ConfigurationError):
        cure = tr("Correct it in the environment: no program here can connect.")
        return Finding(check, "problem", str(error), cure, error)
    if isinstance(error, TransportError):
        return Finding(check, "problem", str(error), _how_to_connect(settings), error)
    if isinstance(error, MalformedResponseError):
        return Finding(check, "problem", str(error), tr(_IN_THE_WAY), error)
    text = tr("no OAuth service of EXBO's kind is there: {problem}", problem=in_words(error))
    cure = tr(
        "EXBO's OAuth service is https://exbo.net/oauth: correct EXBO_OAUTH_URL, from {source}.",
        source=settings.source("base_url"),
    )
    return Finding(check, "problem", text, cure, error)


def _how_to_connect(settings: Settings) -> str:
    host = urlsplit(settings.text("base_url")).hostname or ""
    if similar_hosts(host):
        return tr("There is no {host} of EXBO's: its OAuth service is https://exbo.net/oauth.", host=host)
    if sandbox_api(settings.text("base_url")):
        return tr(SANDBOX_AGAIN)
    return tr("Check the network, the address and any proxy or firewall.")


def _clock(answer: ResponseError) -> Finding:
    try:
        there = parsedate_to_datetime(answer.headers["date"])
        off = (datetime.now(UTC) - there).total_seconds()
    except (KeyError, TypeError, ValueError):  # none, one without its zone, or none that can be read
        text = tr("the server sent no date to compare this clock with")
        return Finding("clock", "warning", text, tr("Nothing to be done."))
    if abs(off) <= 60:
        return Finding("clock", "ok", tr("within a minute of the server's"))
    seconds = f"{abs(off):.0f}"
    text = (
        tr("this clock is {seconds} s ahead of the server's", seconds=seconds)
        if off > 0
        else tr("this clock is {seconds} s behind the server's", seconds=seconds)
    )
    return Finding("clock", "problem", text, tr("Set it, best by network time: lifetimes are counted with it."))


def _sign_on(made: "SyncOAuthClient", settings: Settings) -> Finding:
    try:
        made.refresh_user_token(MADE_UP)
    except InvalidGrantError:
        text = tr("the server takes client id and secret (and refused a made-up refresh token)")
        return Finding("sign-on", "ok", text)
    except InvalidClientError:
        text = tr("the server refuses client id and secret")
        return Finding("sign-on", "problem", text, whence(sandbox_page(settings.text("base_url"))))
    except OAuthError as error:
        return _trouble("sign-on", error, settings)
    return Finding("sign-on", "problem", tr("the server took a made-up refresh token"), tr(_IN_THE_WAY))


def whence(page: str | None) -> str:
    """Where credentials come from: of the sandbox, if it has this `page`, or of EXBO."""
    if page is not None:
        return tr("Copy both from the sandbox's page, {page}, or from what it said when it began.", page=page)
    return tr(
        "Copy both again from {bot} (/myapps). A demo's do not work here, nor do those of an application that is "
        "not approved yet, although the bot shows them already, or that was revoked.",
        bot=BOT,
    )


def user_findings(settings: Settings, store: TokenStore, rival: Secret | None) -> Iterator[Finding]:
    """How the service takes the stored tokens of users; `rival` is another token, which may have ended one of them."""
    with client(settings, MemoryTokenStore(), timeout=10.0, max_retries=0) as made:
        for account in accounts(settings, store)[:MOST_ACCOUNTS]:
            yield _user_token(made, settings, store, account, rival)


def _user_token(
    made: "SyncOAuthClient", settings: Settings, store: TokenStore, account: str, rival: Secret | None
) -> Finding:
    check = tr("user {account}", account=account)
    try:
        entry = held(settings, store, account)
    except StoreError as error:
        return unreadable(check, error, settings)
    if entry is None or entry.token.is_expired():
        return Finding(check, "ok", tr("the access token has expired; it is refreshed when it is asked for"))
    try:
        made.validate_user_token(entry.token.access_token)
    except UnauthenticatedError:
        return _ended(settings, store, account, entry, rival)
    except OAuthError as error:
        return _trouble(check, error, settings)
    return Finding(check, "ok", tr("the stored token works"))


def _ended(settings: Settings, store: TokenStore, account: str, entry: Entry, rival: Secret | None) -> Finding:
    """Why a user's token is refused: for one that we know of, or for anything."""
    refused = dead(tr("user {account}", account=account), entry, settings, account)
    twin = _twin(settings, store, account, entry)
    if twin is not None:
        text = tr("dead before its time: {other} is the same EXBO account, and its token is newer", other=twin)
        command = f"exbo-oauth logout --user {quote(account)}"
        cure = tr("Let all programs use one of the two names, and forget the other: {command}", command=command)
        return Finding(refused.check, "problem", text, cure)
    outdone = rival is not None and is_newer(rival, entry) and life_of(settings, rival, refused).level == "ok"
    return ended_by(refused, f" --user {quote(account)}") if outdone else refused


def _twin(settings: Settings, store: TokenStore, account: str, entry: Entry) -> str | None:
    """The name under which the same user has a newer token."""
    user = user_of(entry)
    for other in accounts(settings, store)[:MOST_ACCOUNTS] if user is not None else ():
        try:
            theirs = held(settings, store, other)
        except StoreError:  # told where it stands
            continue
        if (
            other != account
            and user_of(theirs) == user
            and theirs
            and is_newer(Secret(theirs.token.access_token), entry)
        ):
            return other
    return None


def ended_by(refused: Finding, whose: str) -> Finding:
    """A stored token that was ended by the one of ``--token-file``, which lives; `whose` is the flag for the user."""
    text = tr("dead before its time: the token of --token-file is newer, and has ended it")
    command, page = f"exbo-oauth refresh{whose}", tr(_WHY_401)
    cure = tr(
        "Give the program that got that one this store, too ({page}). Then: {command}", page=page, command=command
    )
    return Finding(refused.check, "problem", text, cure)


def life_of(settings: Settings, token: Secret, refused: Finding) -> Finding:
    """How the service takes a user's token that somebody copied; `refused` if it does not."""
    with client(settings, MemoryTokenStore(), timeout=10.0, max_retries=0) as made:
        try:
            made.validate_user_token(token.reveal())
        except UnauthenticatedError:
            return refused
        except OAuthError as error:
            return _trouble(refused.check, error, settings)
    return Finding(refused.check, "ok", tr("the server takes it"))


def unreadable(check: str, error: OAuthError, settings: Settings) -> Finding:
    """A stored token that is damaged, or encrypted with a key that is not there."""
    text, cure = parted(error)
    cure = cure or tr("Give the store its key: EXBO_STORE_KEY, or --store-key-file FILE.")
    # Without any key it may be for others to read; with a wrong one no program that has these settings can.
    return Finding(check, "problem" if settings.text("store_key") else "warning", text, cure, error)


def dead(check: str, entry: Entry | None, settings: Settings, account: str | None = None) -> Finding:
    """A stored token that should live, and is refused by those who have to know."""
    text = (
        tr("the token is dead before its time")
        if entry is None
        else tr(
            "the token that {who} got at {moment} is dead before its time",
            who=process(entry.issued_by),
            moment=moment(entry.issued_at),
        )
    )
    command = "exbo-oauth refresh" if account is None else f"exbo-oauth refresh --user {quote(account)}"
    if sandbox_api(settings.text("base_url")):
        cure = tr(
            "Either another program got a newer one, and both need one store ({page}), or the sandbox was started anew "
            "and knows no earlier token. Then: {command}",
            page=tr(_WHY_401),
            command=command,
        )
        if account is not None:
            login = f"exbo-oauth login --user {quote(account)}"
            cure = tr("{cure}, and if that is refused {command}", cure=cure, command=login)
    else:
        cure = tr(
            "Either another deployment got a newer one, and all need one store ({page}), or it was revoked. Then: "
            "{command}",
            page=tr(_WHY_401),
            command=command,
        )
    return Finding(check, "problem", text, cure)

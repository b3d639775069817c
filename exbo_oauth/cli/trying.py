"""The stored tokens, and the credentials, tried at those who have to know whether they are good."""

from collections.abc import Iterator
from datetime import UTC, datetime
from shlex import quote
from urllib.parse import urlsplit

from attrs import evolve

from ..errors import ConfigurationError, OAuthError
from ..flow.evidence import WINDOW
from ..flow.refusals import supersessions
from ..language import tr, trn
from ..masking import Secret
from ..protocol.addresses import is_loopback, origin_of
from ..stores.base import Entry
from .apis import BEARER, PAIR, ApiAnswer, Way, api_findings, asked, asked_at, headers_of_pair, headers_of_token
from .findings import Finding
from .hosts import API_HOSTS, OAUTH_HOST, apis_of, hostname_of, in_place_of, known_host, sandbox_api
from .inspection import bare_token, reading_of
from .owners import is_newer, user_of
from .pasted import AT_SERVER, NOT_ASKED
from .probing import MOST_ACCOUNTS, dead, ended_by, life_of, unreadable, user_findings
from .session import absent_file, accounts, address_of, held, opened_store
from .settings import Settings
from .wording import moment

__all__ = ["app_findings", "host_findings", "pasted_finding"]


def app_findings(
    settings: Settings, api_url: str | None, *, reachable: bool, rival: Secret | None = None
) -> Iterator[Finding]:
    """How the OAuth service takes the stored tokens of users, if it is `reachable`, and the API the application's.

    `rival` is another token, which may have ended one of them.
    """
    rival = None if rival is None else bare_token(rival)
    if absent_file(address_of(settings)) is not None:
        return
    with opened_store(settings) as store:
        if reachable:
            yield from user_findings(settings, store, rival)
        try:
            entry = held(settings, store, None)
        except OAuthError as error:
            yield unreadable("app token", error, settings)
            return
    if entry is not None and not entry.token.is_expired():
        yield from _app_token(settings, entry, api_url, rival)


def _app_token(settings: Settings, entry: Entry, api_url: str | None, rival: Secret | None) -> Iterator[Finding]:
    yield from _ended_early(entry)
    url = api_url or _own_api(settings)
    if url is None:
        yield Finding("app token", "ok", tr("stored; to try it at the API: exbo-oauth doctor --api"))
        return
    refused = dead("app token", entry, settings)
    found = _at_the_api(settings, url, Secret(entry.token.access_token), refused)
    if found is refused and rival is not None and is_newer(rival, entry):
        found = ended_by(found, "") if _at_the_api(settings, url, rival, refused).level == "ok" else found
    yield found


def _ended_early(entry: Entry) -> Iterator[Finding]:
    """What it means that others were dead before their time a moment ago. Once may be somebody's single command."""
    moments = supersessions(entry, datetime.now(UTC), counting=False)
    often = len(moments)
    if often:
        text = trn(
            "its predecessors were superseded {count} time in the last five minutes",
            "its predecessors were superseded {count} times in the last five minutes",
            often,
        )
        cure = tr(
            "If another deployment fetches its own, let all share one store, or let it only read: "
            'from_env(issue="never"). Once that is mended, this passes by {moment}.',
            moment=moment(max(moments) + WINDOW),
        )
        yield Finding("app token", "problem" if often > 1 else "warning", text, cure)


def pasted_finding(
    settings: Settings, text: Secret, api_url: str | None, *, reachable: bool, has_store: bool
) -> Finding:
    """How those take a pasted token who have to know whether a newer one has ended it.

    That is the OAuth service for a user's, if it is `reachable`, and the API for an application's.
    """
    token, reading = bare_token(text), reading_of(text)
    user = reading.claims.get("sub") not in (None, "", reading.audience)  # some servers name the application there
    refused = Finding(AT_SERVER, "problem", tr("it is refused: a newer one has ended it, or it was revoked"))
    url = None if user else api_url or _own_api(settings)
    if (user and reachable) or url is not None:
        found = _answered(settings, token, url, refused)
        if found is not refused:
            return found
        living = _living(settings, str(reading.claims["sub"]) if user else None, url) if has_store else None
        return evolve(refused, cure=_from_whom(living, user=user))
    unknown = tr(NOT_ASKED)
    if user:
        return Finding(AT_SERVER, "warning", unknown, tr("Ask again when the server can be reached."))
    return Finding(AT_SERVER, "warning", unknown, tr("To try it at the API, add --api"))


def _answered(settings: Settings, token: Secret, url: str | None, refused: Finding) -> Finding:
    """How the API at `url` takes an application's token, or without one the OAuth service a user's."""
    return life_of(settings, token, refused) if url is None else _at_the_api(settings, url, token, refused)


def _living(settings: Settings, user: str | None, url: str | None) -> str | None:
    """The command that prints the token of the same owner which lives, if the store has that."""
    if absent_file(address_of(settings)) is not None:
        return None
    refused = Finding(AT_SERVER, "problem", "")
    with opened_store(settings) as store:
        for account in [None] if user is None else accounts(settings, store)[:MOST_ACCOUNTS]:
            try:
                entry = held(settings, store, account)
            except OAuthError:  # told where the store is looked at
                continue
            if entry is None or entry.token.is_expired() or user_of(entry) != user:
                continue
            if _answered(settings, Secret(entry.token.access_token), url, refused).level == "ok":
                return _printing(None if account is None else quote(account))
    return None


def _printing(name: str | None) -> str:
    return "exbo-oauth token" if name is None else f"exbo-oauth token --user {name}"


def _from_whom(living: str | None, *, user: bool) -> str:
    """Where to have another token from: another one that is issued would end the one that lives."""
    if living is not None:
        return tr("To get the one that lives: {command}", command=living)
    return tr(
        "Ask the program that got the newer one for it. This store does not have it: {command} gets another one, and "
        "ends that",
        command=_printing("NAME" if user else None),
    )


def _own_api(settings: Settings) -> str | None:
    """The address to try a token at where nobody named one: at a sandbox's API, which belongs to its OAuth service."""
    base_url = settings.text("base_url")
    return apis_of(base_url, _api_of_sandbox(settings))[0].tried if sandbox_api(base_url) else None


def _at_the_api(settings: Settings, url: str, token: Secret, refused: Finding) -> Finding:
    """How the API takes a token; `refused` if it refuses one that it has to know."""
    try:
        answer = asked(url, headers_of_token(token))
    except ConfigurationError as error:
        return Finding(refused.check, "problem", str(error), _way_to(url), error)
    return _tried(settings, url, answer, refused)


def _way_to(url: str) -> str:
    """What to do where nothing could be sent to an address."""
    if is_loopback(hostname_of(url)) or url.startswith("https://"):
        return tr("Correct it in the environment: no program here can connect.")
    return tr("Call the game API over https only.")


def _tried(settings: Settings, url: str, answer: ApiAnswer, refused: Finding) -> Finding:
    check = refused.check
    if answer.refuses:
        return _refused(settings, url, answer, refused)
    if answer.status is None:
        cure = in_place_of(urlsplit(url).hostname or "") or tr("Check the address.")
        return Finding(check, "warning", tr("{url} cannot be reached: {answer}", url=url, answer=answer), cure)
    if answer.status >= 500:
        text = tr("{url} answered {answer}", url=url, answer=answer)
        return Finding(check, "warning", text, tr("Try again in a minute."))
    if answer.lets_in:
        text = tr("{url} takes it (answered {answer})", url=url, answer=answer.status)
        return Finding(check, "ok", text)
    root = sandbox_api(url) or API_HOSTS[0].root
    text = tr("{url} says nothing of the token: it answered {answer}", url=url, answer=answer)
    if answer.status == 404 and url.startswith(_api_of_sandbox(settings) or "nowhere"):
        cure = tr("The sandbox's API is {url}: set EXBO_API_URL to that.", url=root)
        return Finding(check, "problem", text, cure)
    cure = tr("Try it at an address of the API, such as {root}/regions", root=root)
    return Finding(check, "warning", text, cure)


def _api_of_sandbox(settings: Settings) -> str | None:
    """The API that programs are sent to, if it is on this machine: a sandbox's token goes nowhere else unasked."""
    url = _trusted_api(settings)
    return url if url is not None and is_loopback(hostname_of(url)) else None


def _trusted_api(settings: Settings) -> str | None:
    """The API that programs are sent to, if the user's tokens may go there.

    ``.env`` may be another's: it may name EXBO's own hosts, and the server whose tokens these are.
    """
    url, base_url = settings.api_url, settings.text("base_url")
    if settings.api is not None and settings.api.foreign and known_host(url) is None:
        return url if f"{url}/".startswith(f"{origin_of(base_url)}/") else None
    return url or None


def _refused(settings: Settings, url: str, answer: ApiAnswer, refused: Finding) -> Finding:
    """A refusal says something of the token only if the API is that of the server that issued it."""
    base_url, host, name, check = settings.text("base_url"), known_host(url), urlsplit(url).netloc, refused.check
    said = tr("{host} refuses it ({answer})", host=name, answer=answer)
    sandbox = sandbox_api(base_url)
    if sandbox is not None and origin_of(url) != origin_of(base_url):
        cure = tr(
            "The token is of {base_url}, and {host} is another server's API. Its own is {own}",
            base_url=base_url,
            host=name,
            own=sandbox,
        )
        return Finding(check, "problem", said, cure)
    if host is not None and host.is_demo:
        cure = tr("The demo has tokens of its own, which EXBO publishes. For the real API use a real host of it.")
        return Finding(check, "problem", said, cure)
    if sandbox is None and host is None and urlsplit(base_url).hostname == OAUTH_HOST:
        cure = in_place_of(urlsplit(url).hostname or "") or tr(
            "It is not a known host of EXBO's API: does it take EXBO's tokens at all?"
        )
        return Finding(check, "problem", said, cure)
    return refused


def host_findings(
    settings: Settings,
    pasted: Secret | None,
    *,
    has_store: bool,
    told: bool = False,
    unknown: bool = False,
    file: str | None = None,
) -> Iterator[Finding]:
    """Token and credentials at each host of the API that may take them; `pasted` (`file`) in place of the stored token.

    `told` if something is wrong with the stored one, which was said already; `unknown` if that is the credentials.
    """
    trusted = _trusted_api(settings)
    if settings.api is not None and trusted is None:
        text = tr(
            "{file} sets EXBO_API_URL to {url}, which is not asked", file=settings.api.source, url=settings.api_url
        )
        cure = in_place_of(hostname_of(settings.api_url) or "") or tr(
            "Somebody else may have written that file. If you trust it, set EXBO_API_URL yourself."
        )
        yield Finding("API", "warning", text, cure)
    hosts = apis_of(settings.text("base_url"), trusted)
    if not hosts:
        cure = tr("Name it: EXBO_API_URL.")
        yield Finding("API", "warning", tr("which API belongs to this OAuth service is not known"), cure)
        return
    token = bare_token(pasted) if pasted is not None else _stored(settings) if has_store else None
    ways: dict[Way, dict[str, str]] = {PAIR: headers_of_pair(settings.client_id, settings.client_secret)}
    if token is None:
        cure = tr(
            "If your program fetches its tokens by hand, give one with --token-file FILE; else exbo-oauth token gets "
            "one."
        )
        text = tr("no token was tried: there is none in the store that lives")
        yield Finding("API token", "warning", text, cure)
    else:
        ways = {BEARER: headers_of_token(token), **ways}
    try:
        outcomes = [asked_at(host, ways) for host in hosts]
    except ConfigurationError as error:
        yield Finding("API", "problem", str(error), _way_to(hosts[0].tried), error)
        return
    told, cure = told and (unknown or pasted is None), _instead(file)
    *found, verdict = api_findings(outcomes, cure, told=told, unknown=unknown)
    yield from found
    if pasted is not None:
        verdict = evolve(verdict, text=tr("{text} (asked with the token of --token-file)", text=verdict.text))
    yield verdict


def _instead(file: str | None) -> str:
    """What to do about a token that is refused: the stored one, or that of a file."""
    if file is None:
        return tr(
            "If no other program has a newer one, replace it: exbo-oauth refresh. To see whose it is and how long it "
            "lives: exbo-oauth inspect"
        )
    command = f"exbo-oauth inspect {quote(file)}"
    return tr(
        "Ask the program that got it whether it has a newer one. To see whose it is and how long it lives: {command}",
        command=command,
    )


def _stored(settings: Settings) -> Secret | None:
    """The application's token that is stored, if it can be read and lives."""
    if absent_file(address_of(settings)) is not None:
        return None
    with opened_store(settings) as store:
        try:
            entry = held(settings, store, None)
        except OAuthError:  # told already
            return None
    return None if entry is None or entry.token.is_expired() else Secret(entry.token.access_token)

"""What `exbo-oauth doctor` learns by asking the game API: which host takes the token, and which the credentials.

An address of the API is asked with the bearer token and with the headers ``Client-Id`` and ``Client-Secret``. Nothing
is issued for it: a token that is not there is not tried.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from ..clients.own import made_for
from ..errors import ConfigurationError
from ..language import mark, tr
from ..masking import Secret, redacted
from ..models import RateLimit
from ..protocol.addresses import is_loopback
from ..protocol.advice import BOT
from .findings import Finding
from .hosts import ApiHost, in_place_of, sandbox_api, sandbox_page
from .output import one_line
from .wording import moment

__all__ = [
    "BEARER",
    "PAIR",
    "ApiAnswer",
    "Asked",
    "api_findings",
    "asked",
    "asked_at",
    "headers_of_pair",
    "headers_of_token",
]

Way = Literal["the bearer token", "the header pair"]

BEARER: Way = mark("the bearer token")
PAIR: Way = mark("the header pair")

_MOST_BYTES = 4096  # of an answer: an error is at its beginning


def headers_of_token(token: Secret) -> dict[str, str]:
    """How a token is sent."""
    return {"Authorization": f"Bearer {token.reveal()}"}


def headers_of_pair(client_id: str, client_secret: Secret) -> dict[str, str]:
    """How an application's credentials are sent in place of a token."""
    return {"Client-Id": client_id, "Client-Secret": client_secret.reveal()}


@frozen
class ApiAnswer:
    """What one request came to. `status` is None if there was no answer; `words` are what was said, or why."""

    status: int | None
    words: str = ""
    limits: RateLimit | None = None

    @property
    def lets_in(self) -> bool:
        """Whether whoever asked is known there: a limit that is reached is theirs."""
        return self.status is not None and (200 <= self.status < 300 or self.status == 429)

    @property
    def refuses(self) -> bool:
        """Whether whoever asked is refused for what they showed."""
        return self.status in (401, 403)

    def __str__(self) -> str:
        if self.status is None or not self.words:
            return self.words or str(self.status)
        return f'{self.status} "{self.words}"'


@frozen
class Asked:
    """One host of the API, and its answers by what it was asked with."""

    host: ApiHost
    answers: Mapping[Way, ApiAnswer] = field(factory=dict)

    @property
    def let_in(self) -> list[Way]:
        """With what one is let in."""
        return [way for way, answer in self.answers.items() if answer.lets_in]

    @property
    def refused(self) -> list[Way]:
        """With what one is refused."""
        return [way for way, answer in self.answers.items() if answer.refuses]

    @property
    def is_elsewhere(self) -> bool:
        """Whether the API is not there: what everybody who is let in may ask for is not known."""
        return all(answer.status in (404, 405, 410) for answer in self.answers.values())

    @property
    def is_silent(self) -> bool:
        """Whether no answer came at all."""
        return all(answer.status is None for answer in self.answers.values())


def asked_at(host: ApiHost, ways: Mapping[Way, Mapping[str, str]]) -> Asked:
    """What a host of the API answers to each of the `ways`, which are headers; raises `ConfigurationError`."""
    return Asked(host, {way: asked(host.tried, headers) for way, headers in ways.items()})


def asked(url: str, headers: Mapping[str, str]) -> ApiAnswer:
    """What an address answers to these headers; raises `ConfigurationError` if they must not go there, or cannot.

    It has to be https, or on this machine.
    """
    import httpx

    parts = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ConfigurationError(tr("{url} is plain http", url=url))
    with made_for(url, partial(httpx.Client, timeout=10.0), httpx.create_ssl_context) as http:
        return _answer(http, url, headers)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if not parts.scheme or not parts.hostname:
        raise ConfigurationError(tr("{url} is not a URL: is its https:// missing?", url=url))
    return parts


def _answer(http: Any, url: str, headers: Mapping[str, str]) -> ApiAnswer:
    import httpx

    try:
        with http.stream("GET", url, headers={"Accept": "application/json", **headers}) as response:
            body = next(response.iter_bytes(_MOST_BYTES), b"")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return ApiAnswer(None, one_line(error) or type(error).__name__)
    said = "" if response.is_success else redacted(_words(body), map(Secret, headers.values()))
    return ApiAnswer(response.status_code, said, RateLimit.from_headers(response.headers))


def _words(body: bytes) -> str:
    """The API's own words in an error of its."""
    try:
        data: Any = json.loads(body)
        details = data.get("details") or {}
        said = " ".join(map(str, details.values())) or data.get("title") or data.get("message") or ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    return one_line(said)[:200]


def api_findings(outcomes: list[Asked], cure: str, *, told: bool = False, unknown: bool = False) -> Iterator[Finding]:
    """What each host says, and what that comes to; `cure` is for a token that alone is refused.

    `told` if it was already that the stored token is refused, `unknown` if that of the credentials was.
    """
    for outcome in outcomes:
        yield _described(outcome)
    yield from _limits(outcomes)
    yield _verdict(outcomes, cure, told=told, unknown=unknown)


def _described(outcome: Asked) -> Finding:
    source = tr("known from {source}", source=tr(outcome.host.source))
    verbs = (f"{tr(way)}: {_verb(answer)}" for way, answer in outcome.answers.items())
    said = f"{'; '.join(verbs)} ({source})"
    check = tr("API at {host}", host=outcome.host.name)
    if (outcome.host.is_demo and outcome.refused) or (outcome.let_in and not outcome.refused):
        return Finding(check, "ok", said)
    if outcome.is_silent:
        return Finding(check, "warning", said, in_place_of(outcome.host.name) or tr("Use a host that answers."))
    return Finding(check, "warning", said, tr("What it comes to is below."))


def _verb(answer: ApiAnswer) -> str:
    if answer.lets_in:
        return tr("taken ({answer})", answer=answer)
    if answer.refuses:
        return tr("refused ({answer})", answer=answer)
    return tr("no answer ({answer})", answer=answer) if answer.status is None else str(answer)


def _limits(outcomes: list[Asked]) -> Iterator[Finding]:
    answers = [answer for outcome in outcomes for answer in outcome.answers.values()]
    told = [
        (each, each.limits)
        for each in answers
        if each.limits and None not in (each.limits.remaining, each.limits.limit)
    ]
    if not told:
        return
    newest, limits = told[-1]
    left = tr("{left} of {limit} points are left", left=limits.remaining, limit=limits.limit)
    if limits.reset is not None:
        left = tr("{left}, all again at {moment}", left=left, moment=moment(limits.reset))
    text = tr(
        "{left}; points a minute are counted for each application and for each user's token: a call costs 1, one of "
        "the auction 2, and a second token of the same application gets no more",
        left=left,
    )
    if newest.status == 429:
        cure = tr("Wait until then. The headers x-ratelimit-* say how many are left: slow down before they are gone.")
        yield Finding("limits", "warning", text, cure)
    else:
        yield Finding("limits", "ok", text)


def _verdict(outcomes: list[Asked], cure: str, *, told: bool, unknown: bool) -> Finding:
    real = [outcome for outcome in outcomes if not outcome.host.is_demo]
    let_in: set[Way] = {way for outcome in real for way in outcome.let_in}
    refused: set[Way] = {way for outcome in real for way in outcome.refused}
    if let_in:
        return _usable(real, let_in, refused, cure, told=told)
    if any(outcome.let_in for outcome in outcomes):
        names = tr(" and ").join(outcome.host.name for outcome in outcomes if outcome.let_in)
        text = tr("these are the demo's credentials: {names} takes them, and no other host does", names=names)
        cure = tr("For the real API register an application of your own: /newapp in {bot}.", bot=BOT)
        return Finding("API", "problem", text, cure)
    if refused:
        text = tr("every host that answers refuses {what}", what=tr(" and ").join(map(tr, sorted(refused))))
        if unknown:
            return Finding("API", "warning", text, tr("Fix the problems above first."))
        page = next(filter(None, (sandbox_page(outcome.host.root) for outcome in real)), None)
        cure = _likeliest() if page is None else _of_the_sandbox(page)
        return Finding("API", "problem", text, cure)
    if all(outcome.is_silent for outcome in outcomes):
        cure = tr("Check the network, and any proxy or firewall.")
        return Finding("API", "problem", tr("no host of the API could be reached"), cure)
    elsewhere = [outcome.host for outcome in outcomes if outcome.is_elsewhere]
    if len(elsewhere) == len(outcomes):
        names = tr(" and ").join(host.root for host in elsewhere)
        text = tr("the game API is not at {names}", names=names)
        return Finding("API", "problem", text, _whereabouts(elsewhere[0].root))
    return Finding("API", "warning", tr("no host of the API said yes or no"), tr("Try again in a minute."))


def _of_the_sandbox(page: str) -> str:
    return tr(
        "The sandbox takes its own only: client id and secret are on its page, {page}, and exbo-oauth refresh gets a "
        "token.",
        page=page,
    )


def _likeliest() -> str:
    return tr(
        "The likeliest cause: the application is not approved yet. The bot shows client id and secret before that, "
        "and until then all is answered 401, for days or months: look at /myapps in {bot}. Else they were copied "
        "wrong, or the application was revoked.",
        bot=BOT,
    )


def _whereabouts(url: str) -> str:
    own = sandbox_api(url)
    if own:
        return tr("The sandbox's API is {url}: set EXBO_API_URL to that.", url=own)
    return tr("Correct EXBO_API_URL, or unset it.")


def _usable(real: list[Asked], let_in: set[Way], refused: set[Way], cure: str, *, told: bool) -> Finding:
    best = max(real, key=lambda outcome: len(outcome.let_in))
    if BEARER in refused - let_in:
        text = tr(
            "{host} takes the credentials, and refuses the token: it is dead, or another application's",
            host=best.host.name,
        )
        return Finding("API", "warning" if told else "problem", text, cure)
    ways = tr(" and ").join(map(tr, best.let_in))
    return Finding("API", "ok", tr("use {url}: it takes {ways}", url=best.host.root, ways=ways))

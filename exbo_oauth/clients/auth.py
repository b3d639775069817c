"""Requests to APIs with a shared token, for any HTTP library: what its adapters have in common.

A `Bearer` has the conversation of one request as a generator. It yields `Deliver` where the request has to be sent
with a token, and is sent the `Answer`; everything else that it yields is an effect for the client's performer. Where a
good token is in memory and the API takes it, which is nearly always, there is nothing else. Token requests go out
through the OAuth client, never through the HTTP client that is being served.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from time import time
from typing import Any
from urllib.parse import urljoin, urlsplit

from attrs import define, field, frozen

from ..boundary import boundary
from ..errors import ConfigurationError
from ..flow import drive
from ..flow.config import Config
from ..flow.conversation import MIN_TTL, Answer, Deliver, Request, continued, conversation, limit_seen, unanswered
from ..flow.effects import Program
from ..flow.evidence import Target
from ..flow.needs import Held
from ..masking import Secret
from ..models import AppToken, UserToken
from ..protocol.addresses import is_loopback, origin_of
from ..protocol.messages import Headers
from ..stores.base import StoreKey
from .cache import TokenCache, trial_of

__all__ = [
    "Bearer",
    "Deliver",
    "Pair",
    "Talk",
    "answer_along",
    "answer_of",
    "answer_to",
    "check_target",
    "checked_hosts",
    "stays_at_origin",
]

_HOST = re.compile(r"[^\s/@?#*:\[\]]+")

_AMBIGUOUS = re.compile(r"[^\x21-\x7e]|[\\@]")

_LIMITS = ("retry-after", "date", "x-ratelimit-reset")

_OVER_TLS = {"https": "http", "wss": "ws"}
"""Schemes, and what they are called without TLS."""

_REFUSED, _ACCEPTED, _NEITHER = Answer(refused=True), Answer(accepted=True), Answer()


@frozen(eq=False)
class Bearer:
    """The shared token of `key`, for requests to `hosts` or, if that is None, to any. `held` looks into memory."""

    config: Config
    key: StoreKey
    cache: TokenCache
    held: Callable[[], Held | None]
    perform: Callable[[Any], Any]
    hosts: frozenset[str] | None

    def request(self, target: Target, begun: float, is_replayable: Callable[[], bool]) -> Request:
        return Request(self.config, self.key, target, datetime.fromtimestamp(begun, UTC), is_replayable)

    def broken_off(self, token: AppToken | UserToken, target: Target, answer: Answer) -> Generator[Any, Any, None]:
        """The conversation of a request whose sender raised at the `answer`, and lets nobody send it again."""
        request = self.request(target, time(), bool)
        return unanswered(request, token) if answer.refused else continued(request, token, answer)


@frozen(eq=False)
class Pair:
    """The `headers` that name the application of `key` to `hosts`. `perform` does what waits for nothing."""

    headers: Secret[dict[str, str]]
    key: StoreKey
    perform: Callable[[Any], Any]
    hosts: frozenset[str] | None

    @property
    def names(self) -> frozenset[str]:
        """The names of the headers."""
        return frozenset(self.headers.reveal())

    def answered(self, answer: Answer | None, target: Callable[[Any], Target], asked: Any) -> None:
        """Tell whoever listens if the API wants fewer requests: `target` says where what was `asked` went."""
        if answer is not None and answer.limits is not None:
            drive.run(limit_seen(self.key, target(asked), answer.limits), self.perform)


@define(eq=False, repr=False)
class Talk:
    """The conversation of one request to `target`, as an HTTP library's adapter drives it.

    `step` says with which token the request is to be sent. It is None when the conversation is over: what was answered
    last is the caller's.
    """

    bearer: Bearer
    target: Callable[[], Target]
    is_replayable: Callable[[], bool]
    step: Deliver | None = None
    _held: Held | None = field(default=None, init=False)
    _begun: float = field(default=0.0, init=False)
    _steps: Program[None] | None = field(default=None, init=False)

    def at_once(self, answer: Answer | None = None) -> bool:
        """Go on, as `advance` does, if nothing has to be done for it: a good token is in memory, and was taken."""
        if self._steps is not None:
            return False
        held = self._held
        if held is not None:
            over = answer is _NEITHER or (answer is _ACCEPTED and time() < held.due)
            self.step = None if over else self.step
            return over
        held, self._begun = self.bearer.held(), time()
        if held is None or not held.serves(self._begun, MIN_TTL):
            return False
        self._held, self.step = held, Deliver(held.token)
        return True

    def advance(self, answer: Answer | None = None) -> Deliver | None:
        """Go on to the next sending, with the API's `answer` to the one before, blocking."""
        if not self.at_once(answer):
            self.step = None
            with boundary():
                steps, answer = self._following(answer)
                self.step = _step(drive.upto(Deliver, steps, self.bearer.perform, answer))
        return self.step

    async def aadvance(self, answer: Answer | None = None) -> Deliver | None:
        """`advance` on an event loop, after `at_once` could not."""
        self.step = None
        with boundary():
            steps, answer = self._following(answer)
            self.step = _step(await drive.aupto(Deliver, steps, self.bearer.perform, answer))
        return self.step

    def _following(self, answer: Answer | None) -> tuple[Program[None], Answer | None]:
        """The conversation, and what it is to be sent."""
        if self._steps is not None:
            return self._steps, answer
        request, held = self.bearer.request(self.target(), self._begun, self.is_replayable), self._held
        if held is None or answer is None:
            self._steps = conversation(request)
        else:
            self._steps = continued(request, held.token, answer)
        return self._steps, None

    def broken_off(self, answer: Answer) -> None:
        """The caller's own code raised at this answer, and ended the request: see to it that the next fares better."""
        if self.step is not None:  # pragma: no branch  # a flow that is over is told of nothing, unless asynchronous
            with boundary():
                drive.run(self.bearer.broken_off(self.step.token, self.target(), answer), self.bearer.perform)

    async def abroken_off(self, answer: Answer) -> None:
        """`broken_off` on an event loop."""
        if self.step is not None:
            with boundary():
                await drive.arun(self.bearer.broken_off(self.step.token, self.target(), answer), self.bearer.perform)

    def drop(self) -> None:
        """Whoever drives it gives up, or is done: nobody waits for an answer any more."""
        if self.step is not None and self.step.trying:
            self.bearer.cache.end(self.bearer.key, trial_of(self.target().host))


def _step(outcome: Deliver | drive.Done[None]) -> Deliver | None:
    return outcome if isinstance(outcome, Deliver) else None


def answer_to(status: int, headers: Mapping[str, str]) -> Answer:
    """What an answer says about the token that the request carried, if it was not a redirect."""
    if status == 401:
        return _REFUSED
    if status == 429:
        return Answer(limits=_limits_in(headers))
    return _ACCEPTED if 200 <= status < 300 else _NEITHER


def _limits_in(headers: Mapping[str, str]) -> Headers:
    """Those of an answer's headers, in whatever library, that tell of limits."""
    return Headers((name, headers[name]) for name in _LIMITS if name in headers)


def answer_of(status: int, headers: Mapping[str, str], *, carried: bool = True) -> Answer:
    """What an answer says that may be a redirect; `carried` says whether its request had the token."""
    if carried and 200 <= status < 300:
        return _ACCEPTED
    return answer_along([(status, headers, carried)])


def answer_along(hops: Iterable[tuple[int, Mapping[str, str], bool]]) -> Answer:
    """What answers along redirects say: of each the status, the headers, and whether its request had the token.

    Laravel sends whoever is not signed in to its login page unless the request accepts JSON (wire case U02).
    """
    answer = _NEITHER
    for status, headers, carried in hops:
        answer = answer_to(status, headers) if carried else _NEITHER
        if carried and (answer is _REFUSED or _is_login(headers.get("Location", ""))):
            return _REFUSED
    return answer


def _is_login(location: str) -> bool:
    try:
        return urlsplit(location).path.rstrip("/").endswith("/login")
    except ValueError:
        return False


def stays_at_origin(url: str, location: str) -> bool:
    """Whether a redirect leads to where it comes from: same scheme, host and port. No, where parsers may disagree."""
    if _AMBIGUOUS.search(location):
        return False
    try:
        return origin_of(urljoin(url, location)) == origin_of(url)
    except ValueError:
        return False


def checked_hosts(hosts: str | Iterable[str] | None) -> frozenset[str] | None:
    """The host names in lower case; a `ConfigurationError` for what is none, such as a URL."""
    if hosts is None:
        return None
    given = [hosts] if isinstance(hosts, str) or not isinstance(hosts, Iterable) else list(hosts)
    wrong = [host for host in given if not _is_host(host)]
    if wrong or not given:
        raise ConfigurationError(f"hosts takes host names such as 'eapi.stalcraft.net', not {wrong or 'nothing'}")
    return frozenset(host.lower() for host in given)


def _is_host(host: object) -> bool:
    """Whether this is a name or an address as an HTTP library reports it: without scheme, port, brackets or path."""
    try:
        return isinstance(host, str) and bool(_HOST.fullmatch(host) or ip_address(host))
    except ValueError:
        return False


def check_target(scheme: str, host: str, hosts: frozenset[str] | None) -> bool:
    """Secrets travel over TLS, or inside this machine, and only to whom they are meant for. Whether it is without TLS.

    The upgrade to a web socket is a request like any other.
    """
    is_plain = scheme not in _OVER_TLS
    if is_plain and not (scheme in _OVER_TLS.values() and is_loopback(host)):
        raise ConfigurationError(f"a token never travels over plain {scheme} to {host}: use {_secure(scheme)}")
    if hosts is not None and host.lower() not in hosts:
        allowed = ", ".join(sorted(hosts))
        raise ConfigurationError(f"{host} is not among the hosts that this token may go to: {allowed}")
    return is_plain


def _secure(scheme: str) -> str:
    return next((secure for secure, plain in _OVER_TLS.items() if plain == scheme), "https")

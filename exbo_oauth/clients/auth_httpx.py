"""The auth objects in httpx and httpx2: ``httpx.Client(auth=client.app_auth())``.

Two small flows carry a `Bearer`'s conversation, blocking and asynchronously. They hold nothing while a request is under
way: httpx may close a flow from another task than the one that began it.

httpx follows redirects below its auth flows. It takes ``Authorization`` off where the origin changes, and nothing else;
and whether a request meets a proxy is known to nobody above the connection. So what must not leave is watched where it
goes out, by the connection's trace events (httpx's ``trace`` extension).
"""

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from functools import cache, partial
from typing import Any, TypeAlias
from weakref import ref

from ..errors import ConfigurationError
from ..flow.conversation import Answer
from ..flow.evidence import Target
from ..masking import Secret
from ..models import TokenResponse
from .auth import Bearer, Talk, answer_along, answer_to, check_target, stays_at_origin

__all__ = ["asynchronously", "blocking", "identified"]

# The requests and responses of two libraries, of which only what they have in common is used.
Message: TypeAlias = Any

_MOST_HOPS = 3


def blocking(bearer: Bearer, request: Message) -> Generator[Message, Message, None]:
    """The auth flow of a blocking client."""
    sent = 0
    talk = _talk(bearer, request, asynchronous=False)
    try:
        step = talk.advance()
        while step is not None:
            request.headers["Authorization"] = step.token.authorization
            response, sent = (yield request), sent + 1
            answer = _answer_of(response, step.token, sent)
            if answer.refused:
                response.read()  # its connection may be the one that somebody waits for, and we for him
            step = talk.advance(answer)
    except GeneratorExit as closing:
        if _was_refused(closing.__context__, request):
            talk.refuse()
        raise
    finally:
        talk.drop()


class asynchronously:  # noqa: N801  # to its callers the twin of the function above
    """The auth flow of an asynchronous client.

    Not the generator itself: an asynchronous one is not told why it is closed.
    """

    def __init__(self, bearer: Bearer, request: Message) -> None:
        self._request, self._talk = request, _talk(bearer, request, asynchronous=True)
        self._flow = self._sendings()
        self.__anext__: Any = self._flow.__anext__
        self.asend: Any = self._flow.asend
        self.athrow: Any = self._flow.athrow

    async def _sendings(self) -> AsyncGenerator[Message, Message]:
        talk, request, sent = self._talk, self._request, 0
        try:
            step = await talk.aadvance()
            while step is not None:
                request.headers["Authorization"] = step.token.authorization
                response, sent = (yield request), sent + 1
                answer = _answer_of(response, step.token, sent)
                if answer.refused:
                    await response.aread()  # its connection may be the one that somebody waits for, and we for him
                step = await talk.aadvance(answer)
        finally:
            talk.drop()

    async def aclose(self) -> None:
        """See ``AsyncGenerator``."""
        error = sys.exception()
        await self._flow.aclose()
        if _was_refused(error, self._request):
            await self._talk.arefuse()


def _talk(bearer: Bearer, request: Message, *, asynchronous: bool) -> Talk:
    check_target(request.url.scheme, request.url.host, bearer.hosts)
    if request.url.scheme == "http":
        _watch(request, frozenset({"Authorization"}), asynchronous=asynchronous)
    return Talk(bearer, partial(_target_of, request), partial(_is_replayable, request))


def identified(
    headers: Secret[dict[str, str]], hosts: frozenset[str] | None, request: Message, *, asynchronous: bool
) -> Generator[Message, Message, None]:
    """The auth flow with `headers` that name the application.

    They are gone once they were sent, because redirects copy the request. Where those stayed at the origin, the last
    hop is asked once more, with them.
    """
    replayable = _is_replayable(request)  # and so is what a redirect makes of it
    for _ in range(_MOST_HOPS):
        check_target(request.url.scheme, request.url.host, hosts)
        url, names = request.url, frozenset(headers.reveal())
        request.headers.update(headers.reveal())
        _watch(request, names, asynchronous=asynchronous, once=True)
        _take_off_at_redirects(request, names)
        try:
            response = yield request
        finally:
            request.url = url
        request = response.request
        if not replayable or url == request.url or not stays_at_origin(str(url), str(request.url)):
            return


def _was_refused(error: BaseException | None, request: Message) -> bool:
    """Whether the flow is closed because a hook of the caller's raised at a 401, as ``raise_for_status`` does.

    The libraries close it while that exception, which has the response, is on its way.
    """
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None) == 401 and getattr(response, "request", None) is request


def _watch(request: Message, names: frozenset[str], *, asynchronous: bool, once: bool = False) -> None:
    """Watch the headers of these `names` go out: not to a proxy over plain http, and with `once` only once."""
    traced, url = request.extensions.get("trace"), request.url
    plain = (url.host.strip("[]").lower(), url.port or 80) if url.scheme == "http" else None
    secret = {name.lower().encode() for name in names}
    weakly = ref(request)  # which has the trace: a circle would keep it and its answer until Python looks for circles

    def note(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and plain is not None:
            outgoing = info["request"]
            if any(name.lower() in secret for name, _ in outgoing.headers):
                _check_direct(outgoing.url, plain)
        elif once and event.endswith("send_request_headers.complete"):
            _take_off(weakly, names)

    def blocking_trace(event: str, info: Mapping[str, Any]) -> None:
        note(event, info)
        if traced is not None:
            traced(event, info)

    async def asynchronous_trace(event: str, info: Mapping[str, Any]) -> None:
        note(event, info)
        if traced is not None:
            await traced(event, info)

    request.extensions = {**request.extensions, "trace": asynchronous_trace if asynchronous else blocking_trace}


def _take_off_at_redirects(request: Message, names: frozenset[str]) -> None:
    """See to it that the request has no headers of these `names` any more when the library copies it for a redirect.

    A transport of the caller's need not emit trace events. But between an answer and the copy the libraries ask for
    the fragment of the request's URL, which nobody does who sends it.
    """
    kind: Any = type(request.url)
    request.url = _guarded(kind)(request.url)
    request.url.at_redirect = partial(_take_off, ref(request), names)


@cache
def _guarded(kind: Any) -> Any:
    class URL(kind):  # type: ignore[misc]  # that of either library
        at_redirect: Callable[[], None]

        @property
        def fragment(self) -> Any:
            self.at_redirect()
            return super().fragment

    return URL


def _take_off(weakly: Callable[[], Message], names: frozenset[str]) -> None:
    if (request := weakly()) is not None:
        for name in names:
            request.headers.pop(name, None)


def _check_direct(url: Any, plain: tuple[str, int]) -> None:
    host = url.host.decode("ascii").strip("[]").lower()
    if (host, url.port or 80) != plain:
        raise ConfigurationError(
            f"a proxy would see what is meant for {plain[0]} over plain http: add {plain[0]} to NO_PROXY, or make the "
            "HTTP client with trust_env=False"
        )


def _target_of(request: Message) -> Target:
    url = request.url
    return Target(url.host if url.port is None else f"{url.host}:{url.port}", url.path)


def _is_replayable(request: Message) -> bool:
    """Whether the body is in memory; a stream that was sent is gone."""
    try:
        request.content  # noqa: B018  # the libraries' own way to say whether it was read
    except RuntimeError:  # their RequestNotRead
        return False
    return True


def _answer_of(response: Message, token: TokenResponse, sent: int) -> Answer:
    """What the API said when the request was sent for this time: `response.history` begins with the times before."""
    if response.status_code < 300 and len(response.history) < sent:
        return answer_to(response.status_code)
    hops = [*response.history[sent - 1 :], response]
    return answer_along(
        (hop.status_code, hop.headers.get("Location", ""), _carried(hop.request, token)) for hop in hops
    )


def _carried(request: Message, token: TokenResponse) -> bool:
    """Whether the token was sent: a redirect to another host has it taken off."""
    return bool(request.headers.get("Authorization") == token.authorization)

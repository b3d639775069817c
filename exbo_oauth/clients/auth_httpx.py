"""The auth objects in httpx and httpx2: ``httpx.Client(auth=client.app_auth())``.

Two small flows carry a `Bearer`'s conversation, blocking and asynchronously. They hold nothing while a request is under
way: httpx may close a flow from another task than the one that began it.

httpx follows redirects below its auth flows. It takes ``Authorization`` off where the origin changes, and nothing else;
and whether a request meets a proxy is known to nobody above the connection. So what must not leave is watched where it
goes out, by the connection's trace events (httpx's ``trace`` extension).
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from functools import cache, partial
from typing import Any, TypeAlias
from weakref import ref

from ..flow.conversation import Answer
from ..flow.evidence import Target
from ..models import TokenResponse
from .auth import Bearer, Pair, Talk, answer_along, answer_to, check_target, stays_at_origin
from .proxies import check_direct, origin_in_plain

__all__ = ["aidentified", "asynchronously", "blocking", "identified"]

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
        if (refusal := _raised_at(closing.__context__, request)) is not None:
            talk.broken_off(refusal)
        raise
    finally:
        talk.drop()


def asynchronously(bearer: Bearer, request: Message) -> "_Asynchronous":
    """The auth flow of an asynchronous client."""
    talk = _talk(bearer, request, asynchronous=True)
    return _Asynchronous(_sendings(talk, request), request, talk.abroken_off)


async def _sendings(talk: Talk, request: Message) -> AsyncGenerator[Message, Message]:
    sent = 0
    try:
        if not talk.at_once():
            await talk.aadvance()
        while (step := talk.step) is not None:
            request.headers["Authorization"] = step.token.authorization
            response, sent = (yield request), sent + 1
            answer = _answer_of(response, step.token, sent)
            if answer.refused:
                await response.aread()  # its connection may be the one that somebody waits for, and we for him
            if not talk.at_once(answer):
                await talk.aadvance(answer)
    finally:
        talk.drop()


class _Asynchronous:
    """A `flow` of this `request`, with the answer that a hook of the caller's raised at when it is closed.

    Not the generator itself: an asynchronous one is not told why it is closed.
    """

    def __init__(
        self, flow: AsyncGenerator[Message, Message], request: Message, broken_off: Callable[[Answer], Awaitable[None]]
    ) -> None:
        self._flow, self._request, self._broken_off = flow, request, broken_off
        self.__anext__: Any = flow.__anext__
        self.asend: Any = flow.asend
        self.athrow: Any = flow.athrow

    async def aclose(self) -> None:
        """See ``AsyncGenerator``."""
        error = sys.exception()
        await self._flow.aclose()
        if (answer := _raised_at(error, self._request)) is not None:
            await self._broken_off(answer)


def _talk(bearer: Bearer, request: Message, *, asynchronous: bool) -> Talk:
    if check_target(request.url.scheme, request.url.host, bearer.hosts):
        _watch(request, frozenset({"Authorization"}), asynchronous=asynchronous)
    return Talk(bearer, partial(_target_of, request), partial(_is_replayable, request))


def identified(pair: Pair, request: Message) -> Generator[Message, Message, None]:
    """The auth flow of a blocking client with the headers that name the application."""
    try:
        yield from _identified(pair, request, asynchronous=False)
    except GeneratorExit as closing:
        pair.answered(_raised_at(closing.__context__, request), _target_of, request)
        raise


def aidentified(pair: Pair, request: Message) -> _Asynchronous:
    """`identified` of an asynchronous client."""

    async def broken_off(answer: Answer) -> None:
        pair.answered(answer, _target_of, request)

    return _Asynchronous(_driven(_identified(pair, request, asynchronous=True)), request, broken_off)


async def _driven(flow: Generator[Message, Message, None]) -> AsyncGenerator[Message, Message]:
    try:
        request = next(flow)
        while True:
            request = flow.send((yield request))
    except StopIteration:
        return


def _identified(pair: Pair, request: Message, *, asynchronous: bool) -> Generator[Message, Message, None]:
    """The headers are gone once they were sent, because redirects copy the request.

    Where those stayed at the origin, the last hop is asked once more, with them.
    """
    replayable = _is_replayable(request)  # and so is what a redirect makes of it
    for _ in range(_MOST_HOPS):
        check_target(request.url.scheme, request.url.host, pair.hosts)
        url, names = request.url, pair.names
        request.headers.update(pair.headers.reveal())
        _watch(request, names, asynchronous=asynchronous, once=True)
        _take_off_at_redirects(request, names)
        try:
            response = yield request
        finally:
            request.url = url
        request = response.request
        if url == request.url:
            pair.answered(answer_to(response.status_code, response.headers), _target_of, request)
        if not replayable or url == request.url or not stays_at_origin(str(url), str(request.url)):
            return


def _raised_at(error: BaseException | None, request: Message) -> Answer | None:
    """The 401 or 429 that a hook of the caller's raised at, as ``raise_for_status`` does, if the flow is closed for it.

    The libraries close it while that exception, which has the response, is on its way.
    """
    response: Any = getattr(error, "response", None)
    if getattr(response, "status_code", None) not in (401, 429) or getattr(response, "request", None) is not request:
        return None
    return answer_to(response.status_code, response.headers)


def _watch(request: Message, names: frozenset[str], *, asynchronous: bool, once: bool = False) -> None:
    """Watch the headers of these `names` go out: not to a proxy over plain http, and with `once` only once."""
    traced, url = request.extensions.get("trace"), request.url
    plain = origin_in_plain(url.scheme, url.host, url.port)
    secret = {name.lower().encode() for name in names}
    tunnelled = False
    weakly = ref(request)  # which has the trace: a circle would keep it and its answer until Python looks for circles

    def note(event: str, info: Mapping[str, Any]) -> None:
        nonlocal tunnelled
        tunnelled |= event == "socks.connect_tcp.started"  # by a proxy that the request knows nothing of
        if event.endswith("send_request_headers.started") and plain is not None:
            outgoing = info["request"]
            if any(name.lower() in secret for name, _ in outgoing.headers):
                check_direct(outgoing.url, plain, tunnelled)
                if not once and plain[1] != 80:  # whence httpx takes a token to https of the same host
                    _unwatch(outgoing.extensions, traced)
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


def _unwatch(extensions: Any, traced: Any) -> None:
    """What is sent to this origin goes the same way again, and to another it goes without the token."""
    if traced is None:
        extensions.pop("trace", None)
    else:
        extensions["trace"] = traced


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
        return answer_to(response.status_code, response.headers)
    hops = [*response.history[sent - 1 :], response]
    return answer_along((hop.status_code, hop.headers, _carried(hop.request, token)) for hop in hops)


def _carried(request: Message, token: TokenResponse) -> bool:
    """Whether the token was sent: a redirect to another host has it taken off."""
    return bool(request.headers.get("Authorization") == token.authorization)

"""The auth objects in aiohttp, as client middlewares: ``ClientSession(middlewares=(client.app_auth(),))``.

aiohttp calls a middleware for every request that goes out, also for each hop of a redirect that it follows, and does
not say which of them is one. So each answer that leads elsewhere is noted, for the call that got it: if the next
request of this call goes there, it is that hop, and gets no credential unless it stays at the origin. What a call is
must not be told from the task, for a middleware around this one may send in a task of its own, or something else
between two hops. aiohttp is not imported here.
"""

from asyncio import current_task
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from attrs import frozen

from ..errors import ConfigurationError
from ..flow.evidence import Target
from .auth import Bearer, Pair, Talk, answer_of, answer_to, check_target, stays_at_origin
from .proxies import proxied

__all__ = ["authorized", "identified"]

Message = Any
Handler = Callable[[Message], Awaitable[Message]]


@frozen(eq=False)
class _Hop:
    """A redirect: the origins that it may lead to, by every reading of it, and whether that is where it began.

    It keeps its `call`, so that no other has that identity meanwhile.
    """

    call: object
    origins: frozenset[Any]
    stays: bool


# By the identity of the call. Each lives as long as its answer, which aiohttp keeps while it follows.
_hops: WeakValueDictionary[int, _Hop] = WeakValueDictionary()


async def authorized(bearer: Bearer, request: Message, handler: Handler) -> Message:
    """The answer to the request with the shared token, replayed if that is refused."""
    if _leaves(request):
        return _noted(request, await handler(request), stays=False)
    _check(request, bearer.hosts)
    talk = Talk(bearer, partial(_target_of, request), partial(_is_replayable, request))
    response = None
    try:
        if not talk.at_once():
            await talk.aadvance()
        while (step := talk.step) is not None:
            request.headers["Authorization"] = step.token.authorization
            response = _noted(request, await handler(request), stays=True)
            answer = answer_of(response.status, response.headers)
            if answer.refused:
                await response.read()  # its connection may be the one that somebody waits for, and we for him
            if not talk.at_once(answer):
                await talk.aadvance(answer)
    except BaseException:
        if response is not None:
            response.release()
        raise
    finally:
        talk.drop()
    return response


async def identified(pair: Pair, request: Message, handler: Handler) -> Message:
    """The answer to the request with the headers that name the application."""
    if _leaves(request):
        # aiohttp hands a request's own headers on, and these may have come from there.
        for name in pair.names:
            request.headers.pop(name, None)
        return _noted(request, await handler(request), stays=False)
    _check(request, pair.hosts)
    request.headers.update(pair.headers.reveal())
    response = _noted(request, await handler(request), stays=True)
    pair.answered(answer_to(response.status, response.headers), _target_of, request)
    return response


def _leaves(request: Message) -> bool:
    """Whether this is a hop of a redirect that has left its origin."""
    hop = _hops.get(id(_call_of(request))) if _hops else None
    return hop is not None and not hop.stays and request.url.origin() in hop.origins


def _call_of(request: Message) -> object:
    """What all hops of one call have in common: aiohttp hands its list of traces on from each to the next.

    A request shows nothing of that kind by a public name, and a `TraceConfig` belongs to who makes the session. Where
    the list were missing, `test_no_credential_leaves_its_origin_within_a_middleware` would fail.
    """
    traces = getattr(request, "_traces", None)
    return current_task() if traces is None else traces


def _noted(request: Message, response: Message, *, stays: bool) -> Message:
    if 300 <= response.status < 400:
        location = response.headers.get("Location") or response.headers.get("URI") or ""
        hop = _hop_to(_call_of(request), request.url, location, stays)
        _hops[id(hop.call)] = response.exbo_oauth_hop = hop
    return response


def _hop_to(call: object, url: Any, location: str, stays: bool) -> _Hop:
    readings = (_read(url, location, encoded) for encoded in (False, True))
    origins = frozenset(led.origin() for led in readings if led is not None)
    return _Hop(call, origins, stays and origins == frozenset({url.origin()}) and stays_at_origin(str(url), location))


def _read(url: Any, location: str, encoded: bool) -> Any:
    """Where aiohttp will go; what it cannot read it does not follow."""
    try:
        led = type(url)(location, encoded=encoded)
        led = led if led.scheme else url.join(led)
        led.origin()
    except ValueError:
        return None
    return led


def _check(request: Message, hosts: frozenset[str] | None) -> None:
    url = request.url
    is_plain = check_target(url.scheme, url.host or "", hosts)
    if is_plain and request.proxy:
        raise ConfigurationError(proxied(url.host))


def _target_of(request: Message) -> Target:
    url = request.url
    return Target(url.host if url.explicit_port is None else f"{url.host}:{url.explicit_port}", url.path)


def _is_replayable(request: Message) -> bool:
    """Whether the body can be sent again; since 3.12 aiohttp's payloads say whether they are used up."""
    body = request.body
    if isinstance(body, bytes | bytearray | str) or body is None:
        return True
    consumed = getattr(body, "consumed", None)
    return not consumed if consumed is not None else type(body).__name__ in ("BytesPayload", "StringPayload")

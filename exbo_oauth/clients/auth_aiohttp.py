"""The auth objects in aiohttp, as client middlewares: ``ClientSession(middlewares=(client.app_auth(),))``.

aiohttp calls a middleware for every request that goes out, also for each hop of a redirect that it follows, and does
not say which of them is one. So each answer that leads elsewhere is noted, for the task that got it: if the next
request of this task goes there, it is that hop, and gets no credential unless it stays at the origin. aiohttp is not
imported here.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from attrs import frozen

from ..errors import ConfigurationError
from ..flow.evidence import Target
from .auth import Bearer, Pair, Talk, answer_along, answer_to, check_target, stays_at_origin

__all__ = ["authorized", "identified"]

Message = Any
Handler = Callable[[Message], Awaitable[Message]]


@frozen
class _Hop:
    """A redirect: the origins that it may lead to, by every reading of it, and whether that is where it began."""

    origins: frozenset[Any]
    stays: bool


_hop: ContextVar[_Hop | None] = ContextVar("exbo_oauth_hop", default=None)


async def authorized(bearer: Bearer, request: Message, handler: Handler) -> Message:
    """The answer to the request with the shared token, replayed if that is refused."""
    if _leaves(request):
        return await _sent(request, handler, stays=False)
    target = _checked(request, bearer.hosts)
    talk = Talk(bearer, lambda: target, lambda: _is_replayable(request.body))
    response = None
    try:
        step = await talk.aadvance()
        while step is not None:
            request.headers["Authorization"] = step.token.authorization
            response = await _sent(request, handler, stays=True)
            answer = answer_along([(response.status, response.headers, True)])
            if answer.refused:
                await response.read()  # its connection may be the one that somebody waits for, and we for him
            step = await talk.aadvance(answer)
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
        return await _sent(request, handler, stays=False)
    target = _checked(request, pair.hosts)
    request.headers.update(pair.headers.reveal())
    response = await _sent(request, handler, stays=True)
    pair.answered(target, answer_to(response.status, response.headers))
    return response


def _leaves(request: Message) -> bool:
    """Whether this is a hop of a redirect that has left its origin."""
    hop = _hop.get()
    return hop is not None and not hop.stays and request.url.origin() in hop.origins


async def _sent(request: Message, handler: Handler, *, stays: bool) -> Message:
    response = await handler(request)
    location = response.headers.get("Location") or response.headers.get("URI")
    leads = 300 <= response.status < 400 and location
    _hop.set(_hop_to(request.url, location, stays) if leads else None)
    return response


def _hop_to(url: Any, location: str, stays: bool) -> _Hop:
    readings = (_read(url, location, encoded) for encoded in (False, True))
    origins = frozenset(led.origin() for led in readings if led is not None)
    return _Hop(origins, stays and origins == frozenset({url.origin()}) and stays_at_origin(str(url), location))


def _read(url: Any, location: str, encoded: bool) -> Any:
    """Where aiohttp will go; what it cannot read it does not follow."""
    try:
        led = type(url)(location, encoded=encoded)
        led = led if led.scheme else url.join(led)
        led.origin()
    except ValueError:
        return None
    return led


def _checked(request: Message, hosts: frozenset[str] | None) -> Target:
    url = request.url
    check_target(url.scheme, url.host or "", hosts)
    if url.scheme == "http" and request.proxy:
        raise ConfigurationError(
            f"the session sends through a proxy, which would see what is meant for {url.host}: leave it out here"
        )
    return Target(url.host if url.explicit_port is None else f"{url.host}:{url.explicit_port}", url.path)


def _is_replayable(body: Any) -> bool:
    """Whether a body can be sent again; since 3.12 aiohttp's payloads say whether they are used up."""
    if isinstance(body, bytes | bytearray | str) or body is None:
        return True
    consumed = getattr(body, "consumed", None)
    return not consumed if consumed is not None else type(body).__name__ in ("BytesPayload", "StringPayload")

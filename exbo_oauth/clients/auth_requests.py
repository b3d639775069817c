"""The auth objects in requests and niquests: ``session.auth = client.app_auth()``.

Both libraries call the object with a prepared request, and the hook that it leaves there with every answer, those of
redirects included, before they follow one. So the hook sees each hop before the next one is sent: it replays what was
refused, and takes credentials off that would leave their origin. Neither library is imported here.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from ..errors import ConfigurationError
from ..flow.evidence import Target
from ..masking import Secret
from .auth import Bearer, Talk, answer_along, check_target, stays_at_origin

__all__ = ["authorized", "identified"]

# The request and the response of two libraries, of which only what they have in common is used.
Message = Any


def authorized(bearer: Bearer, request: Message) -> Message:
    """The prepared request with the shared token, and with the hook that replays it if that is refused."""
    target, position = _checked(request, bearer.hosts), _position(request.body)
    sendings = _Sendings(Talk(bearer, lambda: target, lambda: position is not None), position)
    sendings.begin(request)
    request.register_hook("response", sendings.answered)
    return request


def identified(headers: Secret[dict[str, str]], hosts: frozenset[str] | None, request: Message) -> Message:
    """The prepared request with `headers` that name the application, which stay at their origin."""
    _checked(request, hosts)
    request.headers.update(headers.reveal())
    request.register_hook("response", _taking_off(frozenset(headers.reveal())))
    return request


def _taking_off(names: frozenset[str]) -> Callable[..., None]:
    def hook(response: Message, *_: Any, **__: Any) -> None:
        if not stays_at_origin(response.url, response.headers.get("Location", "")):
            for name in names:
                # The library copies this request for the next hop.
                response.request.headers.pop(name, None)

    return hook


def _checked(request: Message, hosts: frozenset[str] | None) -> Target:
    parts = urlsplit(request.url)
    host = parts.hostname or ""
    check_target(parts.scheme, host, hosts)
    if parts.scheme == "http" and _is_proxied(request):
        raise ConfigurationError(
            f"HTTP_PROXY or ALL_PROXY is set, and that proxy would see what is meant for {host}: add {host} to NO_PROXY"
        )
    return Target(host if parts.port is None else f"{host}:{parts.port}", parts.path)


def _is_proxied(request: Message) -> bool:
    """Whether the environment names a proxy for this request, by the library's own reading of it."""
    utils = sys.modules[type(request).__module__.partition(".")[0]].utils
    return bool(utils.select_proxy(request.url, utils.get_environ_proxies(request.url)))


def _position(body: Any) -> int | None:
    """Where a body that can be rewound begins; -1 for one that is in memory, None for one that can be read once."""
    if body is None or isinstance(body, bytes | bytearray | str):
        return -1
    try:
        position: int = body.tell()
        body.seek(position)
    except (AttributeError, OSError, ValueError):  # a generator, a pipe, a file that is closed
        return None
    return position


@define(eq=False, repr=False)
class _Sendings:
    """A request, its replays and the redirects of both, blocking. Its body begins at `position`."""

    talk: Talk
    position: int | None

    def begin(self, request: Message) -> None:
        """Put the token to begin with into the request."""
        self.talk.advance()
        self._authorize(request)

    def _authorize(self, request: Message) -> None:
        if self.talk.step is not None:
            request.headers["Authorization"] = self.talk.step.token.authorization

    def answered(self, response: Message, *_: Any, **options: Any) -> Message:
        """The library's hook: the answer, or that to the last replay."""
        hop = response.request  # the next one is a copy of it
        step = self.talk.step
        while step is not None:
            if _is_asynchronous(response):
                raise ConfigurationError(
                    "this auth object is a SyncOAuthClient's: an AsyncSession would block its event loop with it"
                )
            location = response.headers.get("Location", "")
            carried = response.request.headers.get("Authorization") == step.token.authorization
            answer = answer_along([(response.status_code, location, carried)])
            if response.is_redirect and not answer.refused and not step.trying:
                return response  # the next hop's answer belongs to this conversation, if there is a next hop
            if answer.refused:
                _ = response.content  # its connection may be the one that somebody waits for, and we for him
            step = self.talk.advance(answer)
            if step is not None:
                self._authorize(hop)
                response = self._replayed(response, options)
        return response

    def _replayed(self, response: Message, options: Mapping[str, Any]) -> Message:
        again = response.request.copy()
        self._authorize(again)
        if self.position is not None and self.position >= 0 and again.body is not None:
            again.body.seek(self.position)
        response.close()
        answer = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer

    def __del__(self) -> None:
        self.talk.drop()


def _is_asynchronous(response: Message) -> bool:
    return type(response.connection).__name__.startswith("Async")

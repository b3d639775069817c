"""The auth objects in requests and niquests: ``session.auth = client.app_auth()``.

Both libraries call the object with a prepared request, and the hook that it leaves there with every answer, those of
redirects included, before they follow one. So the hook sees each hop before the next one is sent: it replays what was
refused, and takes credentials off that would leave their origin. Neither library is imported here.
"""

import sys
from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import Any, cast
from urllib.parse import urlsplit
from weakref import ref

from attrs import define, field

from ..errors import ConfigurationError
from ..flow.evidence import Target
from .auth import Bearer, Deliver, Pair, Talk, answer_of, answer_to, check_target, stays_at_origin
from .proxies import proxied

__all__ = ["authorized", "identified"]

# The request and the response of two libraries, of which only what they have in common is used.
Message = Any


def authorized(bearer: Bearer, request: Message) -> Message:
    """The prepared request with the shared token, and with the hook that replays it if that is refused."""
    copies = _Copies.of(request, frozenset({"Authorization"}), _check(request, bearer.hosts))
    position = _position(request.body)
    talk = Talk(bearer, partial(_target_of, request.url), lambda: position is not None)
    sendings = _Sendings(talk, position, copies)
    sendings.begin()
    request.register_hook("response", sendings.answered)
    return request


def identified(pair: Pair, request: Message) -> Message:
    """The prepared request with the headers that name the application, which stay at their origin."""
    copies = _Copies.of(request, pair.names, _check(request, pair.hosts))
    request.headers.update(pair.headers.reveal())

    def hook(response: Message, *_: Any, **__: Any) -> None:
        if "Client-Id" in response.request.headers:
            pair.answered(answer_to(response.status_code, response.headers), _target_of, response.request.url)
        copies.take_off_where_it_leaves(response)

    request.register_hook("response", hook)
    return request


@define(eq=False, repr=False)
class _Copies:
    """The headers of a request and of its copies, among them a credential by these `names`.

    It is `meant` for that host without TLS, if any. The next hop of a redirect is a copy of the request that a session
    was given, which need not be the one that an adapter of the caller's has sent.
    """

    names: frozenset[str]
    meant: str | None
    _known: list[ref[Any]] = field(factory=list)  # weakly: they know this

    @classmethod
    def of(cls, request: Message, names: frozenset[str], meant: str | None) -> "_Copies":
        """From now on, those of this request."""
        copies, kind = cls(names, meant), cast("Any", type(request.headers))
        request.headers.__class__ = _knowing(kind)  # cheaper than a copy
        copies.know(request.headers)
        return copies

    def know(self, headers: Any) -> None:
        """Reckon with these, too."""
        headers.copies = self
        self._known.append(ref(headers))

    def are_of(self, request: Message) -> bool:
        """Whether this is the request itself."""
        return request.headers is self._known[0]()

    def _there(self) -> Iterable[Any]:
        return (headers for known in self._known if (headers := known()) is not None)

    def put(self, name: str, value: str) -> None:
        """Into all of them."""
        for headers in self._there():
            headers.keeps = False
            headers[name] = value
            headers.keeps = True

    def take_off_where_it_leaves(self, response: Message) -> None:
        """Where this answer is a redirect to another origin."""
        location = response.headers.get("Location")
        if location and not stays_at_origin(response.url, location):
            for headers in self._there():
                for name in self.names:
                    headers.pop(name, None)

    def check(self, headers: Any, copying: Any) -> None:
        """That no proxy sees what is meant for this machine, where `copying` is what copies these headers.

        Which proxy a request meets is known to nobody before urllib3's pool, and what it does before it connects is
        to copy the headers.
        """
        if self.meant and _is_proxied(copying) and not self.names.isdisjoint(headers):
            raise ConfigurationError(proxied(self.meant))


@cache
def _knowing(kind: Any) -> Any:
    class Headers(kind):  # type: ignore[misc]  # those of either library
        copies: _Copies
        keeps = False

        def copy(self) -> Any:
            if self.copies.meant:
                self.copies.check(self, sys._getframe(1).f_locals.get("self"))  # noqa: SLF001
            copied = super().copy()
            copied.__class__ = Kept
            copied.keeps = "Authorization" in copied
            self.copies.know(copied)
            return copied

    class Kept(Headers):
        """Those of a hop, where the libraries put what a netrc file says in the place of what is there."""

        def __setitem__(self, name: str, value: str) -> None:
            if not (self.keeps and name.lower() == "authorization"):
                super().__setitem__(name, value)

    return Headers


def _check(request: Message, hosts: frozenset[str] | None) -> str | None:
    """The host that the request is for, if it goes there without TLS."""
    parts = urlsplit(request.url)
    host = parts.hostname or ""
    return host if check_target(parts.scheme, host, hosts) else None


def _target_of(url: str) -> Target:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return Target(host if parts.port is None else f"{host}:{parts.port}", parts.path)


def _is_proxied(pool: Any) -> bool:
    """Whether this is a pool of connections to a proxy."""
    return bool(getattr(pool, "proxy", None) or "_socks_options" in getattr(pool, "conn_kw", ()))


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
    copies: _Copies

    def begin(self) -> None:
        """Put the token to begin with into the request."""
        self._authorize(self.talk.advance())

    def _authorize(self, step: Deliver | None) -> None:
        if step is not None:
            self.copies.put("Authorization", step.token.authorization)

    def answered(self, response: Message, *_: Any, **options: Any) -> Message:
        """The library's hook: the answer, or that to the last replay."""
        step = self.talk.step
        if step is None and response.status_code == 401 and self.copies.are_of(response.request):
            step = self._begun_again()
        while step is not None:
            if _is_asynchronous(response):
                raise ConfigurationError(
                    "this auth object is a SyncOAuthClient's: an AsyncSession would block its event loop with it, "
                    "and there is none for it: use httpx or aiohttp with an AsyncOAuthClient's"
                )
            carried = response.request.headers.get("Authorization") == step.token.authorization
            answer = answer_of(response.status_code, response.headers, carried=carried)
            if response.is_redirect and not answer.refused and not step.trying:
                break  # the next hop's answer belongs to this conversation, if there is a next hop
            if answer.refused:
                _ = response.content  # its connection may be the one that somebody waits for, and we for him
            step = self.talk.advance(answer)
            self._authorize(step)
            if step is not None:
                response = self._replayed(response, options)
        self.copies.take_off_where_it_leaves(response)
        return response

    def _begun_again(self) -> Deliver | None:
        """A prepared request may be sent again, after days: that is another conversation."""
        self.talk = Talk(self.talk.bearer, self.talk.target, self.talk.is_replayable)
        self.begin()
        return self.talk.step

    def _replayed(self, response: Message, options: Mapping[str, Any]) -> Message:
        again = response.request.copy()
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

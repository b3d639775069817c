"""What `app_auth`, `user_auth` and `client_auth` return: one object for every HTTP library.

To httpx and httpx2 it is an ``Auth``, to requests and niquests a callable with a prepared request, to aiohttp a client
middleware. What each library asks of it is in a module of its own; none but our own httpx is imported.
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from ..errors import ConfigurationError
from ..masking import Secret
from ..models import HEADER_SAFE
from ..stores.base import StoreKey
from . import auth_httpx
from .auth import Bearer, Pair, checked_hosts

if TYPE_CHECKING:
    # A class of httpx2 would be Unknown where that is not installed. To its clients a callable will do.
    class _Auth(httpx.Auth):
        def sync_auth_flow(self, request: Any) -> Any: ...
        def async_auth_flow(self, request: Any) -> Any: ...
else:

    class _Auth(httpx.Auth):
        """An ``httpx.Auth``, and an ``httpx2.Auth`` as soon as that library is there to ask for one."""

        @property
        def __class__(self) -> type:
            there = sys.modules.get  # asked with each request
            own = httpx.Auth
            first, second = getattr(there("httpx"), "Auth", own), getattr(there("httpx2"), "Auth", own)
            return type(self) if first is second is own else _class_of(type(self), first, second)

        def __copy__(self) -> Any:
            return self

        def __deepcopy__(self, _: object) -> Any:
            return self

        def __reduce_ex__(self, _: object) -> Any:
            raise ConfigurationError("an auth object is not pickled: make a client, and it, in each process")

    @cache
    def _class_of(kind: type, *wanted: type) -> type:
        more = [base for base in dict.fromkeys(wanted) if not issubclass(kind, base)]
        return type(kind.__name__, (kind, *more), {}) if more else kind


__all__ = ["AsyncAuth", "ClientAuth", "SyncAuth"]

_BLOCKING = "this auth object is a SyncOAuthClient's: {} needs an AsyncOAuthClient's"
_ASYNCHRONOUS = "this auth object is an AsyncOAuthClient's: {} needs a SyncOAuthClient's"
_CALLED = _ASYNCHRONOUS.format("a blocking HTTP library") + ", and for niquests' AsyncSession there is none: use httpx"


class SyncAuth(_Auth):
    """The shared token, for blocking HTTP libraries: httpx, httpx2, requests and niquests."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    def sync_auth_flow(self, request: Any) -> Any:
        """See ``httpx.Auth``."""
        return auth_httpx.blocking(self._bearer, request)

    def async_auth_flow(self, request: Any) -> Any:
        """Refused: this object would block the event loop."""
        raise ConfigurationError(_BLOCKING.format("an AsyncClient"))

    def __call__(self, request: Any, handler: Any = None) -> Any:
        """See ``requests.auth.AuthBase``."""
        if handler is not None:
            raise ConfigurationError(_BLOCKING.format("aiohttp"))
        return _for_requests().authorized(self._bearer, request)

    def __repr__(self) -> str:
        return _shown(self, self._bearer.hosts)


class AsyncAuth(_Auth):
    """The shared token, for asynchronous HTTP libraries: httpx, httpx2 and, as a client middleware, aiohttp."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    def sync_auth_flow(self, request: Any) -> Any:
        """Refused: there is no event loop to wait on."""
        raise ConfigurationError(_ASYNCHRONOUS.format("a Client"))

    def async_auth_flow(self, request: Any) -> Any:
        """See ``httpx.Auth``."""
        return auth_httpx.asynchronously(self._bearer, request)

    def __call__(self, request: Any, handler: Any = None) -> Any:
        """See aiohttp's client middlewares."""
        if handler is None:
            raise ConfigurationError(_CALLED)
        return _for_aiohttp().authorized(self._bearer, request, handler)

    def __repr__(self) -> str:
        return _shown(self, self._bearer.hosts)


class ClientAuth(_Auth):
    """The ``Client-Id`` and ``Client-Secret`` headers that the game API takes in place of an application's token."""

    def __init__(
        self, key: StoreKey, client_secret: Secret, hosts: str | Iterable[str] | None, perform: Callable[[Any], Any]
    ) -> None:
        if not HEADER_SAFE.fullmatch(client_secret.reveal()) or not HEADER_SAFE.fullmatch(key.client_id):
            raise ConfigurationError("client_id and client_secret must be visible ASCII for headers: use app_auth()")
        headers = Secret({"Client-Id": key.client_id, "Client-Secret": client_secret.reveal()})
        self._pair = Pair(headers, key, perform, checked_hosts(hosts))

    def sync_auth_flow(self, request: Any) -> Any:
        """See ``httpx.Auth``."""
        return auth_httpx.identified(self._pair, request)

    def async_auth_flow(self, request: Any) -> Any:
        """See ``httpx.Auth``."""
        return auth_httpx.aidentified(self._pair, request)

    def __call__(self, request: Any, handler: Any = None) -> Any:
        """See ``requests.auth.AuthBase``, and aiohttp's client middlewares."""
        if handler is None:
            return _for_requests().identified(self._pair, request)
        return _for_aiohttp().identified(self._pair, request, handler)

    def __repr__(self) -> str:
        return f"<ClientAuth {self._pair.key.client_id!r}>"


@cache
def _for_requests() -> Any:
    from . import auth_requests

    return auth_requests


@cache
def _for_aiohttp() -> Any:
    from . import auth_aiohttp

    return auth_aiohttp


def _shown(auth: SyncAuth | AsyncAuth, hosts: frozenset[str] | None) -> str:
    return f"<{type(auth).__name__} for {', '.join(sorted(hosts)) if hosts else 'any https host'}>"

"""Authentication objects for the caller's own HTTP client: ``httpx.Client(auth=client.app_auth())``.

One generator says what happens to a request; two small adapters run it in either colour. It asks for a token
between its requests and holds nothing across them: httpx may close a flow from another task than the one that
began it. Token requests go out through the OAuth client, never through the HTTP client that is being served.

The objects are an ``httpx.Auth`` and, where httpx2 is installed, an ``httpx2.Auth`` as well.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Never, TypeAlias

import httpx
from attrs import frozen

from ..errors import ConfigurationError
from ..masking import Secret
from ..models import TokenResponse
from ..protocol.addresses import is_loopback

_libraries: list[Any] = [httpx]
with suppress(ImportError):
    import httpx2

    _libraries.append(httpx2)

_BASES: tuple[type, ...] = tuple(library.Auth for library in _libraries)
_NOT_READ: tuple[type[Exception], ...] = tuple(library.RequestNotRead for library in _libraries)

__all__ = ["AsyncBearerAuth", "ClientAuth", "SyncBearerAuth", "checked_hosts"]

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[^\s/@?#*:\[\]]+")

# The requests and responses of two libraries, of which only what they have in common is used.
Message: TypeAlias = Any


@frozen
class _Ask:
    """What the generator yields when it wants a token: another one than `rejected`."""

    rejected: TokenResponse | None = None


_ANY = _Ask()


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


def _check_target(request: Message, hosts: frozenset[str] | None) -> None:
    """Secrets travel over TLS, or inside this machine, and only to whom they are meant for."""
    url = request.url
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
        raise ConfigurationError(f"a token never travels over plain {url.scheme} to {url.host}: use https")
    if hosts is not None and url.host.lower() not in hosts:
        allowed = ", ".join(sorted(hosts))
        raise ConfigurationError(f"{url.host} is not among the hosts that this token may go to: {allowed}")


def _is_replayable(request: Message) -> bool:
    """Whether the body is in memory; a stream that was sent is gone."""
    try:
        request.content  # noqa: B018  # the libraries' own way to say whether it was read
    except _NOT_READ:
        return False
    return True


def _carried(token: TokenResponse, response: Message) -> bool:
    """Whether the request that was answered had the token with it: a redirect to another host has it taken off."""
    return bool(response.request.headers.get("Authorization") == token.authorization)


class _BearerAuth(*_BASES):  # type: ignore[misc]  # one base or two, by what is installed
    """``Authorization: Bearer``, and one replay with another token if the first is refused (RFC 6750, section 3.1)."""

    def __init__(
        self, ensure: Callable[..., Any], refuse: Callable[[Secret], None], hosts: str | Iterable[str] | None
    ) -> None:
        self._ensure = ensure
        self._refuse = refuse
        self._hosts = checked_hosts(hosts)

    def _steps(self, request: Message) -> Generator[Any, Any, None]:
        _check_target(request, self._hosts)
        token = yield _ANY
        request.headers["Authorization"] = token.authorization
        response = yield request
        if response.status_code != 401 or not _carried(token, response):
            return
        if not _is_replayable(request):
            self._refuse(Secret(token.access_token))
            return
        token = yield _Ask(rejected=token)
        request.headers["Authorization"] = token.authorization
        yield request

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {', '.join(sorted(self._hosts)) if self._hosts else 'any https host'}>"


class SyncBearerAuth(_BearerAuth):
    """For blocking HTTP clients."""

    def sync_auth_flow(self, request: Message) -> Generator[Message, Message, None]:
        """See ``httpx.Auth``."""
        steps, answer = self._steps(request), None
        try:
            while True:
                step = steps.send(answer)
                answer = self._ensure(rejected=step.rejected) if isinstance(step, _Ask) else (yield step)
        except StopIteration:
            return

    def async_auth_flow(self, request: Message) -> Never:
        """Refused: this object would block the event loop."""
        raise ConfigurationError("this auth object is a SyncOAuthClient's: an AsyncClient needs an AsyncOAuthClient's")


class AsyncBearerAuth(_BearerAuth):
    """For asynchronous HTTP clients."""

    def sync_auth_flow(self, request: Message) -> Never:
        """Refused: there is no event loop to wait on."""
        raise ConfigurationError("this auth object is an AsyncOAuthClient's: a Client needs a SyncOAuthClient's")

    async def async_auth_flow(self, request: Message) -> AsyncGenerator[Message, Message]:
        """See ``httpx.Auth``."""
        steps, answer = self._steps(request), None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, _Ask):
                    waiting: Awaitable[TokenResponse] = self._ensure(rejected=step.rejected)
                    answer = await waiting
                else:
                    answer = yield step
        except StopIteration:
            return


class ClientAuth(*_BASES):  # type: ignore[misc]  # one base or two, by what is installed
    """The ``Client-Id`` and ``Client-Secret`` headers that the game API takes in place of an application's token."""

    def __init__(self, client_id: str, client_secret: Secret, hosts: str | Iterable[str] | None) -> None:
        if not _HEADER_SAFE.fullmatch(client_secret.reveal()) or not _HEADER_SAFE.fullmatch(client_id):
            raise ConfigurationError("client_id and client_secret must be visible ASCII for headers: use app_auth()")
        self._client_id = client_id
        self._client_secret = client_secret
        self._hosts = checked_hosts(hosts)

    def auth_flow(self, request: Message) -> Generator[Message, Message, None]:
        """See ``httpx.Auth``."""
        _check_target(request, self._hosts)
        request.headers["Client-Id"] = self._client_id
        request.headers["Client-Secret"] = self._client_secret.reveal()
        yield request

    def __repr__(self) -> str:
        return f"<ClientAuth {self._client_id!r}>"

"""Auth objects for httpx, and where it is installed for httpx2: ``httpx.Client(auth=client.app_auth())``.

Two small adapters carry a `Bearer`'s conversation, blocking and asynchronously. They hold nothing while a request is
under way: httpx may close a flow from another task than the one that began it.
"""

import re
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Never, TypeAlias

import httpx

from ..errors import ConfigurationError
from ..flow.conversation import Answer
from ..flow.evidence import Target
from ..masking import Secret
from ..models import TokenResponse
from .auth import Bearer, Deliver, answer_along, answer_to, check_target, checked_hosts

_libraries: list[Any] = [httpx]
with suppress(ImportError):
    import httpx2

    _libraries.append(httpx2)

_BASES: tuple[type, ...] = tuple(library.Auth for library in _libraries)
_NOT_READ: tuple[type[Exception], ...] = tuple(library.RequestNotRead for library in _libraries)

__all__ = ["AsyncBearerAuth", "ClientAuth", "SyncBearerAuth"]

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")

# The requests and responses of two libraries, of which only what they have in common is used.
Message: TypeAlias = Any


def _target_of(request: Message) -> Target:
    url = request.url
    return Target(url.host if url.port is None else f"{url.host}:{url.port}", url.path)


def _is_replayable(request: Message) -> bool:
    """Whether the body is in memory; a stream that was sent is gone."""
    try:
        request.content  # noqa: B018  # the libraries' own way to say whether it was read
    except _NOT_READ:
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


class _BearerAuth(*_BASES):  # type: ignore[misc]  # one base or two, by what is installed
    """``Authorization: Bearer`` (RFC 6750, section 2.1)."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    def __repr__(self) -> str:
        hosts = self._bearer.hosts
        return f"<{type(self).__name__} for {', '.join(sorted(hosts)) if hosts else 'any https host'}>"


class SyncBearerAuth(_BearerAuth):
    """For blocking HTTP clients."""

    def sync_auth_flow(self, request: Message) -> Generator[Message, Message, None]:
        """See ``httpx.Auth``."""
        bearer, sent, step = self._bearer, 0, None
        check_target(request.url.scheme, request.url.host, bearer.hosts)
        steps = bearer.steps(partial(_target_of, request), partial(_is_replayable, request))
        try:
            step = next(steps)
            while True:
                if isinstance(step, Deliver):
                    request.headers["Authorization"] = step.token.authorization
                    response, sent = (yield request), sent + 1
                    answer = _answer_of(response, step.token, sent)
                    if answer.refused:
                        response.read()  # its connection may be the one that somebody waits for, and we for him
                    step = steps.send(answer)
                    continue
                try:
                    given = bearer.perform(step)
                except BaseException as error:  # noqa: BLE001  # the program decides, also about an interrupt
                    step = steps.throw(error)
                else:
                    step = steps.send(given)
        except StopIteration:
            return
        finally:
            bearer.dropped(step, _target_of(request))

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
        bearer, sent, step = self._bearer, 0, None
        check_target(request.url.scheme, request.url.host, bearer.hosts)
        steps = bearer.steps(partial(_target_of, request), partial(_is_replayable, request))
        try:
            step = next(steps)
            while True:
                if isinstance(step, Deliver):
                    request.headers["Authorization"] = step.token.authorization
                    response, sent = (yield request), sent + 1
                    answer = _answer_of(response, step.token, sent)
                    if answer.refused:
                        await response.aread()  # its connection may be the one that somebody waits for, and we for him
                    step = steps.send(answer)
                    continue
                try:
                    given = await bearer.perform(step)
                except BaseException as error:  # noqa: BLE001  # the program decides, also about a cancellation
                    step = steps.throw(error)
                else:
                    step = steps.send(given)
        except StopIteration:
            return
        finally:
            bearer.dropped(step, _target_of(request))


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
        check_target(request.url.scheme, request.url.host, self._hosts)
        request.headers["Client-Id"] = self._client_id
        request.headers["Client-Secret"] = self._client_secret.reveal()
        yield request

    def __repr__(self) -> str:
        return f"<ClientAuth {self._client_id!r}>"

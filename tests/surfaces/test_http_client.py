"""An HTTP client of the caller's lends its connections, whatever else it was set up for, and stays the caller's."""

import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import httpx2
import pytest

from exbo_oauth import ConfigurationError, InvalidClientError, MalformedResponseError
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

from .calls import CALLS, MODELS, prepared, unprepared
from .conftest import Surface
from .raw import answer, raw_server

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@LIBRARIES
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("way", ["in process", "over a socket"])
def test_it_serves_every_call_and_stays_open(
    surface: Surface, served: FakeExbo, library: Any, call: str, way: str
) -> None:
    act = prepared(served, call)

    async def scenario() -> Any:
        http = surface.raw_http(library, **({"transport": served.transport()} if way == "in process" else {}))
        async with surface.client(served, http_client=http) as client:
            result = await act(client)
        assert not http.is_closed
        answered = await surface.awaited(http).get(served.base_url.removesuffix("/oauth") + "/api")
        assert answered.status_code == 401
        await surface.awaited(http).aclose()
        return result

    assert type(surface.run(scenario)) is MODELS[call]


@LIBRARIES
def test_an_answer_that_is_lost_is_known_from_one_that_was_never_asked_for(
    surface: Surface, served: FakeExbo, library: Any
) -> None:
    served.lose_next_answer(partial=True)

    async def scenario() -> Any:
        http = surface.raw_http(library)
        async with surface.client(served, http_client=http) as client:
            token = await client.get_app_token()
        await surface.awaited(http).aclose()
        return token

    assert surface.run(scenario).access_token
    assert len(served.requests) == 2


def _wrong_clients(surface: Surface) -> dict[str, Any]:
    class Client:
        is_closed = False

    wrong = "AsyncClient" if surface.blocking else "Client"
    return {
        "httpx of the other colour": getattr(httpx, wrong)(),
        "httpx2 of the other colour": getattr(httpx2, wrong)(),
        "somebody else's Client": Client(),
        "a class": httpx.Client,
        "a module": httpx,
        "a transport": httpx.HTTPTransport(),
    }


@pytest.mark.parametrize("which", _wrong_clients(Surface("sync")))
def test_another_kind_of_client_is_refused(surface: Surface, which: str) -> None:
    with pytest.raises(ConfigurationError, match="Client") as caught:
        surface.raw_client(http_client=_wrong_clients(surface)[which])
    assert ("AsyncClient" in str(caught.value)) is (not surface.blocking) or "AsyncClient, not" not in str(caught.value)


@LIBRARIES
def test_a_closed_client_is_refused_when_it_is_passed_in_and_when_it_is_used(
    surface: Surface, fake: FakeExbo, library: Any
) -> None:
    async def scenario() -> None:
        http = surface.raw_http(library, transport=fake.transport())
        client = surface.client(fake, http_client=http)
        await client.get_app_token()
        await surface.awaited(http).aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await client.get_app_token()
        with pytest.raises(ConfigurationError, match="closed"):
            surface.raw_client(fake, http_client=http)

    surface.run(scenario)
    assert len(fake.requests) == 1


@LIBRARIES
def test_a_subclass_is_as_good(surface: Surface, fake: FakeExbo, library: Any) -> None:
    base = library.Client if surface.blocking else library.AsyncClient
    http = type("Custom", (base,), {})(transport=fake.transport())
    result = surface.call(surface.client(fake, http_client=http), lambda client: client.get_app_token())
    assert result.access_token


@LIBRARIES
def test_a_finalizer_of_the_callers_runs_for_the_callers_client_alone(
    surface: Surface, fake: FakeExbo, library: Any
) -> None:
    closed: list[int] = []

    class Tidy(library.Client if surface.blocking else library.AsyncClient):  # type: ignore[misc]
        def __del__(self) -> None:
            closed.append(id(self))
            if surface.blocking:
                self.close()

    http = Tidy(transport=fake.transport())
    for _ in range(2):
        assert surface.call(surface.client(fake, http_client=http), lambda client: client.get_app_token())
        gc.collect()
    assert closed == []
    assert not http.is_closed


@LIBRARIES
def test_nothing_that_the_client_was_set_up_with_goes_along(surface: Surface, library: Any) -> None:
    setup = {
        "auth": ("me", "pw"),
        "headers": {"Authorization": "Bearer foreign", "X-Internal": "1", "Accept": "text/html", "Content-Type": "x/y"},
        "params": {"api_key": "foreign"},
        "cookies": {"session": "foreign"},
        "base_url": "https://elsewhere.test/v1",
        "timeout": 0.001,
        "follow_redirects": True,
    }
    with raw_server(lambda connection: connection.send(answer("400 Bad", b'{"error": "invalid_client"}'))) as server:

        async def scenario() -> None:
            http = surface.raw_http(library, **setup)
            async with surface.client(base_url=server.base_url, http_client=http) as client:
                with pytest.raises(InvalidClientError):
                    await client.get_app_token()
            assert (http.headers["x-internal"], http.params["api_key"]) == ("1", "foreign")
            assert (http.cookies["session"], http.timeout.read) == ("foreign", 0.001)
            await surface.awaited(http).aclose()

        surface.run(scenario)
    [request] = server.requests
    head, _, body = request.decode().partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert line == "POST /oauth/token HTTP/1.1"
    sent = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in headers)}
    expected = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
    assert set(sent) == expected
    assert sent["accept"] == "application/json"
    assert sent["content-type"] == "application/x-www-form-urlencoded"
    assert sent["user-agent"].startswith("exbo-oauth/")
    assert dict(parse_qsl(body))["client_id"] == "59"


@LIBRARIES
def test_hooks_neither_see_the_secrets_nor_turn_a_refusal_into_something_else(
    surface: Surface, fake: FakeExbo, library: Any
) -> None:
    seen: list[Any] = []

    def hook(message: Any) -> None:
        seen.append(message)
        if isinstance(message, library.Response):
            message.raise_for_status()

    async def async_hook(message: Any) -> None:
        hook(message)

    chosen = hook if surface.blocking else async_hook

    async def scenario() -> None:
        hooks = {"request": [chosen], "response": [chosen]}
        http = surface.raw_http(library, transport=fake.transport(), event_hooks=hooks)
        async with surface.client(fake, client_secret="wrong", http_client=http) as client:
            with pytest.raises(InvalidClientError):
                await client.get_app_token()
        assert seen == []
        with pytest.raises(library.HTTPStatusError):
            await surface.awaited(http).get(fake.base_url + "/user")
        assert len(seen) == 2

    surface.run(scenario)


@LIBRARIES
def test_cookies_that_the_server_sets_reach_nobody(surface: Surface, fake: FakeExbo, library: Any) -> None:
    fake.answer_next(Response(200, {"set-cookie": "laravel_session=abc; path=/"}, b"[]"), times=2)

    async def scenario() -> None:
        http = surface.raw_http(library, transport=fake.transport())
        async with surface.client(fake, http_client=http) as client:
            for _ in range(2):
                with pytest.raises(MalformedResponseError):
                    await client.get_app_token()
        assert not http.cookies

    surface.run(scenario)
    assert [request.request.header("cookie") for request in fake.requests] == ["", ""]


def test_cookies_that_the_server_sets_are_not_sent_back_by_our_own_client_either(surface: Surface) -> None:
    reply = answer("400 Bad", b'{"error": "invalid_client"}', "Set-Cookie: laravel_session=abc; path=/")
    with raw_server(lambda connection: connection.send(reply)) as server:

        async def scenario(client: Any) -> None:
            for _ in range(2):
                with pytest.raises(InvalidClientError):
                    await client.get_app_token()

        surface.call(surface.client(base_url=server.base_url), scenario)
    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


class Peeking(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of the caller's that reads every answer, as a logging one does."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.bodies: list[bytes] = []

    def handle_request(self, request: Any) -> Any:
        response = self.inner.handle_request(request)
        self.bodies.append(response.read())
        return response

    async def handle_async_request(self, request: Any) -> Any:
        response = await self.inner.handle_async_request(request)
        self.bodies.append(await response.aread())
        return response

    def close(self) -> None:
        self.inner.close()

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_transport_may_have_read_the_answer_already(surface: Surface, encoding: str) -> None:
    import gzip

    body = b'{"token_type": "Bearer", "expires_in": 60, "access_token": "a.b.c"}'
    reply = answer("200 OK", gzip.compress(body), "Content-Encoding: gzip") if encoding else answer("200 OK", body)
    with raw_server(lambda connection: connection.send(reply)) as server:

        async def scenario() -> Any:
            transport = Peeking(httpx.HTTPTransport() if surface.blocking else httpx.AsyncHTTPTransport())
            http = surface.raw_http(transport=transport)
            async with surface.client(base_url=server.base_url, http_client=http) as client:
                token = await client.get_app_token()
            await surface.awaited(http).aclose()
            return token

        assert surface.run(scenario).access_token == "a.b.c"


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" " * 65536

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536


class Long(Endless):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65536


@pytest.mark.parametrize("stream", [Long, Endless])
def test_a_transport_may_stream_more_than_anybody_reads(surface: Surface, stream: type[Endless]) -> None:
    if surface.name == "trio" and stream is Endless:
        pytest.skip("trio would rightly warn of this transport's generator, which never ends")
    http = surface.raw_http(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=stream())))

    async def scenario(client: Any) -> None:
        with pytest.raises(MalformedResponseError, match="1048576"):
            await client.get_app_token()

    surface.call(surface.client(http_client=http), scenario)


def test_an_environments_proxy_is_not_asked_for_loopback(
    surface: Surface, served: FakeExbo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(lambda connection: connection.send(answer("502 Bad Gateway", b"{}"))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        result = surface.call(surface.client(served), lambda client: client.get_app_token())
        assert result.access_token
        assert proxy.requests == []


@pytest.mark.parametrize("call", ["code", "user info"])
def test_a_proxy_that_refuses_the_tunnel_has_not_passed_the_request_on(
    surface: Surface, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    from exbo_oauth import TransportError

    with raw_server(lambda connection: connection.send(answer("407 Proxy Authentication Required", b""))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        async def scenario(client: Any) -> None:
            with pytest.raises(TransportError) as caught:
                await unprepared(call)(client)
            assert type(caught.value) is TransportError
            assert caught.value.request_sent is False

        surface.call(surface.client(base_url="https://exbo.test/oauth", max_retries=1), scenario)
        assert [request.partition(b"\r\n")[0] for request in proxy.requests] == [b"CONNECT exbo.test:443 HTTP/1.1"] * 2

"""The exact form of the four calls on the wire, through both shells."""

import re
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pytest_httpx import HTTPXMock

from exbo_oauth import MalformedResponseError, UserToken, __version__
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

from .calls import CALLS, MODELS, prepared, unprepared
from .conftest import Surface
from .raw import answer, raw_server

VERIFIER = "v" * 43
TOKEN_URL, USER_URL = "https://exbo.net/oauth/token", "https://exbo.net/oauth/user"
APP_ANSWER = {"token_type": "Bearer", "expires_in": 31536000, "access_token": "new.app.token", "vendor": [1, None]}
USER_ANSWER = APP_ANSWER | {"access_token": "new.user.token", "refresh_token": "def502new"}
INFO_ANSWER = {
    "id": 7,
    "uuid": "00000001-0000-4000-8000-000000000001",
    "login": "ivan",
    "display_login": None,
    "distributor": "exbo",
    "distributor_id": None,
}
PAIR = UserToken(token_type="Bearer", access_token="old.user.token", refresh_token="def502old", expires_in=60)


def _form(grant: str, **fields: str) -> list[tuple[str, str]]:
    given = {"grant_type": grant, "client_id": "59", "client_secret": "s+e c/r=e%t&é:x"} | fields
    return sorted(given.items())


GRANTS: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "app token": (lambda c: c.get_app_token(), _form("client_credentials", scope="")),
    "app token with a scope": (lambda c: c.get_app_token("a b"), _form("client_credentials", scope="a b")),
    "app token with no scope": (lambda c: c.get_app_token(scope=""), _form("client_credentials", scope="")),
    "code": (
        lambda c: c.get_user_token("def502 code+/"),
        _form("authorization_code", code="def502 code+/", redirect_uri="http://localhost"),
    ),
    "code with a verifier": (
        lambda c: c.get_user_token("x", redirect_uri="https://a.test/cb?x=1", code_verifier=VERIFIER),
        _form("authorization_code", code="x", redirect_uri="https://a.test/cb?x=1", code_verifier=VERIFIER),
    ),
    "refresh": (lambda c: c.refresh_user_token("def502"), _form("refresh_token", refresh_token="def502", scope="")),
    "refresh of a pair": (
        lambda c: c.refresh_user_token(PAIR, "a"),
        _form("refresh_token", refresh_token="def502old", scope="a"),
    ),
}


def _client(surface: Surface, **options: Any) -> Any:
    return surface.client(**{"client_secret": "s+e c/r=e%t&é:x"} | options)


@pytest.mark.parametrize("grant", GRANTS)
def test_a_grant_is_a_form_and_nothing_else(surface: Surface, httpx_mock: HTTPXMock, grant: str) -> None:
    act, form = GRANTS[grant]
    httpx_mock.add_response(json=USER_ANSWER)
    surface.call(_client(surface), act)
    [request] = httpx_mock.get_requests()
    assert (request.method, str(request.url)) == ("POST", TOKEN_URL)
    assert sorted(parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=True)) == form
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["accept"] == "application/json"
    assert re.fullmatch(rf"exbo-oauth/{re.escape(__version__)}\b.*", request.headers["user-agent"])
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "token", ["tok.en", PAIR, "Bearer tok.en", " bearer  tok.en "], ids=["bare", "model", "Bearer", "bearer and blanks"]
)
def test_a_token_is_validated_in_the_authorization_header(
    surface: Surface, httpx_mock: HTTPXMock, token: str | UserToken
) -> None:
    httpx_mock.add_response(json=INFO_ANSWER)
    info = surface.call(_client(surface), lambda client: client.validate_user_token(token))
    [request] = httpx_mock.get_requests()
    assert (request.method, str(request.url), request.content) == ("GET", USER_URL, b"")
    assert request.headers["authorization"] == f"Bearer {'old.user.token' if token is PAIR else 'tok.en'}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("exbo-oauth/")
    assert info.login == "ivan"


def test_the_clients_own_scope_and_redirect_uri_are_the_defaults(surface: Surface, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=USER_ANSWER, is_reusable=True)

    async def scenario(client: Any) -> str:
        await client.get_app_token()
        await client.get_user_token("x")
        await client.refresh_user_token("y")
        return client.get_authorize_url("st")

    url = surface.call(_client(surface, scope="mine", redirect_uri="http://127.0.0.1/cb"), scenario)
    forms = [dict(parse_qsl(request.content.decode())) for request in httpx_mock.get_requests()]
    assert [form.get("scope") for form in forms] == ["mine", None, "mine"]
    assert forms[1]["redirect_uri"] == "http://127.0.0.1/cb"
    assert dict(parse_qsl(url.partition("?")[2])) == {
        "response_type": "code",
        "client_id": "59",
        "redirect_uri": "http://127.0.0.1/cb",
        "scope": "mine",
        "state": "st",
    }


def test_what_reaches_a_socket_is_one_plain_request(surface: Surface) -> None:
    with raw_server(lambda connection: connection.send(answer("200 OK", b"{}"))) as server:

        async def scenario(client: Any) -> None:
            with pytest.raises(MalformedResponseError, match="token_type"):
                await client.get_app_token()

        surface.call(_client(surface, base_url=server.base_url + "/"), scenario)
    [request] = server.requests
    head, _, body = request.decode("ascii").partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert line == "POST /oauth/token HTTP/1.1"
    names = sorted(header.partition(":")[0].lower() for header in headers)
    assert names == ["accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"]
    assert dict(parse_qsl(body))["client_secret"] == "s+e c/r=e%t&é:x"


JSON_ANSWERS = {"app token": APP_ANSWER, "code": USER_ANSWER, "refresh": USER_ANSWER, "user info": INFO_ANSWER}


@pytest.mark.parametrize("call", CALLS)
def test_json_returns_what_the_server_sent(surface: Surface, httpx_mock: HTTPXMock, call: str) -> None:
    httpx_mock.add_response(json=JSON_ANSWERS[call])
    assert surface.call(_client(surface, json=True), unprepared(call)) == JSON_ANSWERS[call]


@pytest.mark.parametrize("call", CALLS)
def test_json_checks_no_field(surface: Surface, httpx_mock: HTTPXMock, call: str) -> None:
    httpx_mock.add_response(json={"access_token": None, "expires_in": "soon"})
    result = surface.call(_client(surface, json=True), unprepared(call))
    assert result == {"access_token": None, "expires_in": "soon"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error": "invalid_scope"}'),
        (401, b'{"message": "Unauthenticated."}'),
        (404, b"<html>"),
        (429, b"{}"),
        (503, b"{}"),
        (200, b"[]"),
        (200, b""),
        (204, b""),
        (200, b'{"a": NaN}'),
    ],
    ids=str,
)
def test_json_changes_no_error(surface: Surface, fake: FakeExbo, call: str, status: int, body: bytes) -> None:
    async def scenario(client: Any) -> tuple[type, str, Any]:
        fake.answer_next(Response(status, {"x-from": "server"}, body))
        with pytest.raises(Exception) as caught:  # compared below
            await unprepared(call)(client)
        return type(caught.value), str(caught.value), (caught.value.status, caught.value.headers["x-from"])

    def ending(json: bool) -> Any:
        http = surface.raw_http(transport=fake.transport())
        return surface.call(surface.client(fake, http_client=http, json=json, max_retries=0), scenario)

    assert ending(json=True) == ending(json=False)
    assert ending(json=True)[2] == (status, "server")


LOCATIONS = [
    "https://evil.test/oauth/token",
    "http://evil.test/",
    "javascript:1",
    "//[::bad",
    "https://exbo.net:99999/",
    b"\xff",
    "",
    "/login",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("follow", [False, True], ids=["own", "injected, following"])
def test_a_redirect_is_refused_wherever_it_leads(
    surface: Surface, httpx_mock: HTTPXMock, call: str, location: str | bytes, follow: bool
) -> None:
    httpx_mock.add_response(302, headers={"location": location})

    async def scenario(client: Any) -> None:
        with pytest.raises(MalformedResponseError, match="a redirect") as caught:
            await unprepared(call)(client)
        assert caught.value.status == 302

    http = surface.raw_http(follow_redirects=True) if follow else None
    surface.call(_client(surface, http_client=http), scenario)
    assert len(httpx_mock.get_requests()) == 1
    if http is not None:
        surface.run(surface.awaited(http).aclose)


@pytest.mark.parametrize("status", [300, 301, 303, 304, 307, 308])
def test_every_redirection_status_is_refused(surface: Surface, httpx_mock: HTTPXMock, status: int) -> None:
    httpx_mock.add_response(status, headers={"location": TOKEN_URL})

    async def scenario(client: Any) -> None:
        with pytest.raises(MalformedResponseError):
            await client.get_user_token("a-code")

    surface.call(_client(surface), scenario)
    assert len(httpx_mock.get_requests()) == 1


@pytest.mark.parametrize("call", CALLS)
def test_each_call_returns_its_model_and_is_one_request(surface: Surface, served: FakeExbo, call: str) -> None:
    act = prepared(served, call)
    before = len(served.requests)
    assert type(surface.call(surface.client(served), act)) is MODELS[call]
    assert len(served.requests) - before == 1


def test_the_newest_rate_limit_is_kept(surface: Surface, fake: FakeExbo) -> None:
    def answered(status: int, **limits: str) -> None:
        fake.answer_next(Response(status, {f"x-ratelimit-{name}": value for name, value in limits.items()}, b"{}"))

    async def scenario(client: Any) -> list[Any]:
        seen = [client.ratelimit]
        answered(400, limit="60", remaining="59")
        answered(200)
        answered(429, limit="60", remaining="0", reset="1795461998000")
        for _ in range(3):
            with pytest.raises(Exception):  # noqa: B017  # what counts is the limits
                await client.get_app_token()
            seen.append(client.ratelimit)
        return seen

    http = surface.raw_http(transport=fake.transport())
    before, first, unchanged, last = surface.call(surface.client(fake, http_client=http), scenario)
    assert (before.limit, before.remaining, before.used, before.reset) == (None, None, None, None)
    assert (first.limit, first.remaining, first.reset) == (60, 59, None)
    assert unchanged == first
    assert (last.remaining, last.reset.timestamp()) == (0, 1795461998)

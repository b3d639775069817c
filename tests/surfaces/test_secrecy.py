"""What leaves in tracebacks: with locals rendered, our frames show a secret only where the caller passed it."""

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

import exbo_oauth
from exbo_oauth import ConfigurationError, Entry, MemoryTokenStore, OAuthError, StoreError, StoreKey, UserToken
from exbo_oauth.events import Event
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

from .calls import CALLS
from .conftest import Surface
from .raw import answer, raw_server

PACKAGE = Path(exbo_oauth.__file__).parent

CLIENT_SECRET = "client-secret-0123456789"
CODE = "def50200-code-0123456789"
VERIFIER = "verifier-0123456789-0123456789-0123456789-0123456789"
REFRESH_TOKEN = "def50200-refresh-0123456789"
ACCESS_TOKEN = "access.token.0123456789"
NEW_ACCESS_TOKEN = "new.access.token.9876543210"
NEW_REFRESH_TOKEN = "def50200-new-refresh-9876543210"
SECRETS = (CLIENT_SECRET, CODE, VERIFIER, REFRESH_TOKEN, ACCESS_TOKEN, NEW_ACCESS_TOKEN, NEW_REFRESH_TOKEN)

# The plain parameters of public methods: the caller's own frame shows the same.
GIVEN = {
    ("__init__", "client_secret"),
    ("from_env", "overrides"),
    ("get_user_token", "code"),
    ("get_user_token", "code_verifier"),
    ("refresh_user_token", "refresh_token"),
    ("validate_user_token", "token"),
    ("ensure_app_token", "rejected"),
    ("ensure_user_token", "rejected"),
}

PLAIN_CALLS: dict[str, Callable[[Any], Any]] = {
    "app token": lambda client: client.get_app_token(),
    "code": lambda client: client.get_user_token(CODE, code_verifier=VERIFIER),
    "refresh": lambda client: client.refresh_user_token(REFRESH_TOKEN),
    "user info": lambda client: client.validate_user_token(f"Bearer {ACCESS_TOKEN}"),
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that a report of it would follow."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and not any(current is known for known in seen):
            seen.append(current)
            waiting += [current.__cause__, current.__context__]
            waiting += list(getattr(current, "exceptions", ()))
    return iter(seen)


def _frames(error: BaseException) -> Iterator[FrameType]:
    return (frame for frame, _ in traceback.walk_tb(error.__traceback__))


def leaks(error: BaseException) -> list[str]:
    """Where a report with locals would show a secret: in frames that are not the tests' own, and in texts."""
    found = []
    for link in _chain(error):
        texts = {
            "text": f"{link} {link!r}",
            "attributes": repr(vars(link)),
            "notes": repr(getattr(link, "__notes__", "")),
        }
        places = {f"{type(link).__name__} {name}": text for name, text in texts.items()}
        for frame in _frames(link):
            code = frame.f_code
            if Path(code.co_filename).is_relative_to(Path(__file__).parent):
                continue
            ours = Path(code.co_filename).is_relative_to(PACKAGE)
            for name, value in frame.f_locals.items():
                if not (ours and (code.co_name, name) in GIVEN):
                    places[f"{code.co_filename}:{code.co_name}:{name}"] = repr(value)
        found += [place for place, shown in places.items() if any(secret in shown for secret in SECRETS)]
    return found


def _echo(status: int) -> Response:
    """A refusal that says back all that it was told."""
    said = " ".join(SECRETS)
    body = f'{{"error": "{SECRETS[0]}", "error_description": "{said}", "hint": "{said}", "message": "{said}"}}'
    return Response(status, {"x-echo": said, "retry-after": "99"}, body.encode())


def _token(**changes: Any) -> bytes:
    from json import dumps

    token = {
        "token_type": "Bearer",
        "expires_in": 60,
        "access_token": NEW_ACCESS_TOKEN,
        "refresh_token": NEW_REFRESH_TOKEN,
    }
    return dumps(token | changes).encode()


ANSWERS: dict[str, Response] = {
    "refused": Response(401, {}, b'{"error": "invalid_request", "error_description": "The refresh token is invalid."}'),
    "invalid client": Response(401, {}, b'{"error": "invalid_client"}'),
    "failed": Response(500, {}, b'{"message": "Server Error"}'),
    "throttled": Response(429, {"retry-after": "99"}, b"{}"),
    "an HTML page": Response(200, {}, f"<html>{NEW_ACCESS_TOKEN}".encode()),
    "a broken token": Response(200, {}, _token()[:-2]),
    "a token in a list": Response(200, {}, b"[" + _token() + b"]"),
    "a senseless lifetime": Response(200, {}, _token(expires_in=NEW_ACCESS_TOKEN)),
    "a token where a lifetime should be": Response(200, {}, _token(expires_in=[NEW_ACCESS_TOKEN])),
    "a token with a line end": Response(200, {}, _token(access_token=f"{NEW_ACCESS_TOKEN}\n")),
    "a token that is no string": Response(200, {}, _token(access_token=[NEW_ACCESS_TOKEN])),
    "a refresh token that is no string": Response(200, {}, _token(refresh_token={"x": NEW_REFRESH_TOKEN})),
    "a redirect": Response(302, {"location": f"https://evil.test/{NEW_ACCESS_TOKEN[:3]}"}, b""),
    "too large": Response(200, {}, _token() + b" " * 2**20),
}


HARMLESS = {("a refresh token that is no string", "app token")}  # a field that is unknown there


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("reply", ANSWERS)
@pytest.mark.parametrize("json", [False, True], ids=["model", "json"])
def test_an_answer_that_is_an_error_shows_no_secret(
    surface: Surface, fake: FakeExbo, reply: str, call: str, json: bool
) -> None:
    fake.answer_next(ANSWERS[reply])

    async def scenario(client: Any) -> list[str]:
        try:
            await PLAIN_CALLS[call](client)
        except OAuthError as error:
            return leaks(error)
        assert json or (reply, call) in HARMLESS
        return []

    http = surface.raw_http(transport=fake.transport())
    client = surface.client(fake, client_secret=CLIENT_SECRET, http_client=http, max_retries=0, json=json)
    assert surface.call(client, scenario) == []


SENT = {"code": {CODE, VERIFIER}, "refresh": {REFRESH_TOKEN}, "user info": {ACCESS_TOKEN}, "app token": set()}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_server_that_says_our_secrets_back_is_not_repeated(
    surface: Surface, fake: FakeExbo, status: int, call: str
) -> None:
    fake.answer_next(_echo(status))
    grant_secrets = SENT[call] | ({CLIENT_SECRET} if call != "user info" else set())

    async def scenario(client: Any) -> list[str]:
        with pytest.raises(OAuthError) as caught:
            await PLAIN_CALLS[call](client)
        shown = f"{caught.value} {vars(caught.value)} {dict(caught.value.headers)}"
        return [secret for secret in grant_secrets if secret in shown]

    http = surface.raw_http(transport=fake.transport())
    client = surface.client(fake, client_secret=CLIENT_SECRET, http_client=http, max_retries=0)
    assert surface.call(client, scenario) == []


def _refused_port() -> str:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/oauth"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("trouble", ["refused", "silent", "closed", "cut", "garbage", "redirect"])
def test_a_lost_answer_shows_no_secret(surface: Surface, trouble: str, call: str) -> None:
    def serve(connection: Any) -> None:
        if trouble == "silent":
            connection.over.wait(30)
        elif trouble == "cut":
            connection.send(answer("200 OK", _token())[:-10])
        elif trouble == "garbage":
            connection.send(_token())
        elif trouble == "redirect":
            connection.send(answer("302 Found", b"", "Location: javascript:1"))

    async def scenario(client: Any) -> list[str]:
        with pytest.raises(OAuthError) as caught:
            await PLAIN_CALLS[call](client)
        return leaks(caught.value)

    with raw_server(serve) as server:
        base_url = _refused_port() if trouble == "refused" else server.base_url
        options = {"client_secret": CLIENT_SECRET, "base_url": base_url, "timeout": 0.3, "max_retries": 1}
        assert surface.call(surface.client(**options), scenario) == []


class Raising(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of the caller's that fails with the request in its hands."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        raise httpx.ReadError(f"{len(body)} bytes went nowhere", request=request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        raise httpx.ReadError(f"{len(body)} bytes went nowhere", request=request)


@pytest.mark.parametrize("call", CALLS)
def test_the_frames_of_a_transport_are_cut_off(surface: Surface, call: str) -> None:
    async def scenario(client: Any) -> list[str]:
        with pytest.raises(OAuthError) as caught:
            await PLAIN_CALLS[call](client)
        foreign = [
            frame.f_code.co_filename
            for link in _chain(caught.value)
            for frame in _frames(link)
            if "httpx" in frame.f_code.co_filename
        ]
        return leaks(caught.value) + foreign

    http = surface.raw_http(transport=Raising())
    client = surface.client(client_secret=CLIENT_SECRET, http_client=http, max_retries=0)
    assert surface.call(client, scenario) == []


BAD_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "a code with a surrogate": lambda client: client.get_user_token(CODE + "\ud800"),
    "a verifier that is too short": lambda client: client.get_user_token(CODE, code_verifier=VERIFIER[:30]),
    "a verifier with a space": lambda client: client.get_user_token(CODE, code_verifier=VERIFIER + " "),
    "a redirect URI that is none": lambda client: client.get_user_token(CODE, redirect_uri="nowhere"),
    "a token with a line in it": lambda client: client.validate_user_token(f"{ACCESS_TOKEN}\n{ACCESS_TOKEN}"),
    "a token in a list": lambda client: client.validate_user_token([ACCESS_TOKEN]),
    "a token as bytes": lambda client: client.validate_user_token(ACCESS_TOKEN.encode()),
    "a code in a dict": lambda client: client.get_user_token({"code": CODE}),
    "a refresh token as bytes": lambda client: client.refresh_user_token(REFRESH_TOKEN.encode()),
    "a scope that is none": lambda client: client.refresh_user_token(REFRESH_TOKEN, scope=5),
    "an empty code": lambda client: client.get_user_token(" "),
    "a senseless min_ttl": lambda client: client.ensure_app_token(min_ttl=-1, rejected=ACCESS_TOKEN),
    "no code": lambda client: client.get_user_token(None),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_a_bad_argument_is_one_clear_error_without_the_value(surface: Surface, fake: FakeExbo, case: str) -> None:
    async def scenario(client: Any) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            await BAD_ARGUMENTS[case](client)
        return leaks(caught.value)

    http = surface.raw_http(transport=fake.transport())
    client = surface.client(fake, client_secret=CLIENT_SECRET, http_client=http)
    assert surface.call(client, scenario) == []
    assert fake.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"client_secret": CLIENT_SECRET + "\n"},
        {"client_secret": CLIENT_SECRET, "timeout": -1},
        {"client_secret": CLIENT_SECRET, "base_url": "http://exbo.net"},
        {"client_secret": CLIENT_SECRET, "store": 5},
        {"client_secret": [CLIENT_SECRET]},
    ],
    ids=lambda arguments: ", ".join(arguments),
)
def test_a_constructor_that_refuses_shows_no_secret(surface: Surface, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        surface.kind(**{"client_id": 59} | arguments)
    assert leaks(caught.value) == []


@pytest.mark.parametrize(
    ("given", "overrides"),
    [
        ({"EXBO_CLIENT_SECRET": CLIENT_SECRET}, {}),
        ({}, {"client_secret": CLIENT_SECRET}),
        ({"EXBO_CLIENT_ID": "59", "EXBO_CLIENT_SECRET": CLIENT_SECRET}, {"timeout": -1}),
        ({"EXBO_CLIENT_ID": "59", "EXBO_CLIENT_SECRET": CLIENT_SECRET + "\n"}, {}),
    ],
    ids=["no id, secret set", "no id, secret given", "bad timeout", "bad secret"],
)
def test_an_environment_that_does_not_do_shows_no_secret(
    surface: Surface, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], overrides: dict[str, Any]
) -> None:
    for name in ("EXBO_CLIENT_ID", "EXBO_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        surface.kind.from_env(**overrides)
    from_environment = "client_secret" not in overrides
    assert leaks(caught.value) == []
    if from_environment:  # then the caller passed nothing in plain, and no parameter may show it either
        everywhere = [
            f"{frame.f_code.co_name}:{name}"
            for frame in _frames(caught.value)
            for name, value in frame.f_locals.items()
            if Path(frame.f_code.co_filename).is_relative_to(PACKAGE) and CLIENT_SECRET in repr(value)
        ]
        assert everywhere == []


class Quoting(MemoryTokenStore):
    """A store of the caller's that says what it choked on."""

    broken = False

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        if self.broken:
            raise ValueError(f"cannot write {entry and entry.to_dict()}")
        return super().swap(key, expected, entry)


def test_a_store_that_fails_shows_no_secret_and_the_token_is_rescued(surface: Surface, fake: FakeExbo) -> None:
    fake.answer_next(Response(200, {}, _token()), path="/oauth/token")
    pair = UserToken(token_type="Bearer", access_token=ACCESS_TOKEN, refresh_token=REFRESH_TOKEN, expires_in=60)

    async def scenario(client: Any) -> list[str]:
        with pytest.raises(StoreError) as issuing:
            await client.ensure_app_token()
        assert issuing.value.token.access_token == NEW_ACCESS_TOKEN
        with pytest.raises(StoreError) as saving:
            await client.save_user_token("ivan", pair)
        return leaks(issuing.value) + leaks(saving.value)

    http = surface.raw_http(transport=fake.transport())
    store = Quoting()
    store.broken = True
    client = surface.client(fake, client_secret=CLIENT_SECRET, http_client=http, store=store)
    assert surface.call(client, scenario) == []
    store.broken = False  # for what goes on trying to save the token


@pytest.mark.parametrize("auth", ["app", "user", "client"])
def test_an_auth_object_that_raises_shows_no_secret_in_our_frames(surface: Surface, fake: FakeExbo, auth: str) -> None:
    pair = UserToken(token_type="Bearer", access_token=ACCESS_TOKEN, refresh_token=REFRESH_TOKEN, expires_in=60)
    fake.answer_next(Response(401, {}, b"{}"), path="/api")
    fake.answer_next(ANSWERS["a broken token"], path="/oauth/token")

    async def scenario(client: Any) -> list[str]:
        await client.save_user_token("ivan", pair)
        maker = {"app": client.app_auth, "user": lambda: client.user_auth("ivan"), "client": client.client_auth}[auth]
        url = "http://eapi.stalcraft.net/" if auth == "client" else "https://exbo.test/api"
        async with surface.http(auth=maker(), transport=fake.transport()) as http:
            with pytest.raises(OAuthError) as caught:
                await http.get(url)
        return [place for place in leaks(caught.value) if str(PACKAGE) in place or "Error" in place.split(":")[0]]

    http = surface.raw_http(transport=fake.transport())
    client = surface.client(fake, client_secret=CLIENT_SECRET, http_client=http, max_retries=0)
    assert surface.call(client, scenario) == []


@pytest.mark.parametrize("call", CALLS)
def test_errors_write_nothing_secret_into_logs(
    surface: Surface, fake: FakeExbo, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario(client: Any) -> None:
        for name, reply in ANSWERS.items():
            if (name, call) not in HARMLESS:
                fake.answer_next(reply)
                with pytest.raises(OAuthError):
                    await PLAIN_CALLS[call](client)

    with fake.serve():
        surface.call(surface.client(fake, client_secret=CLIENT_SECRET, max_retries=0), scenario)
    assert [secret for secret in SECRETS if secret in caplog.text] == []


@pytest.mark.parametrize("account", [None, "ivan"], ids=["app", "user"])
def test_events_and_the_log_show_no_secret(
    surface: Surface, fake: FakeExbo, caplog: pytest.LogCaptureFixture, account: str | None
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Event] = []
    store = Quoting()
    said = CLIENT_SECRET if account is None else f"{CLIENT_SECRET} {REFRESH_TOKEN}"
    body = f'{{"error": "{CLIENT_SECRET}", "error_description": "{said}", "hint": "{said}", "message": "{said}"}}'
    pair = UserToken(token_type="Bearer", access_token=ACCESS_TOKEN, refresh_token=REFRESH_TOKEN, expires_in=31_536_000)

    async def ask(client: Any) -> Any:
        return await (client.replace_app_token() if account is None else client.replace_user_token(account))

    async def scenario(client: Any) -> None:
        await client.save_user_token("ivan", pair)
        for status in (429, 503, 401, 500):
            fake.answer_next(Response(status, {"x-echo": said, "retry-after": "0"}, body.encode()))
            if status in (429, 503):
                fake.answer_next(Response(200, {}, _token()))
                await ask(client)
                await client.save_user_token("ivan", pair)
            else:
                with pytest.raises(OAuthError):
                    await ask(client)
        store.broken = True
        fake.answer_next(Response(200, {}, _token()))
        with pytest.raises(StoreError):
            await ask(client)

    http = surface.raw_http(transport=fake.transport())
    client = surface.client(
        fake, client_secret=CLIENT_SECRET, http_client=http, max_retries=1, store=store, on_event=seen.append
    )
    surface.call(client, scenario)
    store.broken = False
    assert {type(event).__name__ for event in seen} >= {"TokenIssued", "RequestRetried", "RateLimited", "StoreFailed"}
    shown = [f"{event} {event!r}" for event in seen]
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records if "exbo" in record.name]
    assert len(shown) >= 2 * len(seen)
    assert [secret for secret in SECRETS if any(secret in text for text in shown)] == []

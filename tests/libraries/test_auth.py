"""The auth objects in every HTTP library: what happens to a token, to a body, and to a redirect."""

import asyncio
import copy
import gc
import io
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import anyio
import httpx
import httpx2
import niquests
import pytest
import requests

from exbo_oauth import (
    AsyncOAuthClient,
    ConfigurationError,
    MemoryTokenStore,
    OAuthError,
    ServerError,
    SyncOAuthClient,
)
from exbo_oauth.clients.proxies import proxied
from exbo_oauth.events import Event, RateLimited
from exbo_oauth.testing import FakeExbo

from ..certificates import certified
from ..free_ports import free_port
from .drivers import LIBRARIES, MAKERS, Caller, Library
from .servers import Api, api, socks

BEARERS = ["app", "user"]
EVERY = [*BEARERS, "client"]

each_library = pytest.mark.parametrize("library", LIBRARIES, ids=[library.name for library in LIBRARIES])
each_bearer = pytest.mark.parametrize("auth", BEARERS)
each_auth = pytest.mark.parametrize("auth", EVERY)


@pytest.fixture
def fake() -> Iterator[FakeExbo]:
    fake = FakeExbo()
    with fake.serve():
        yield fake


def options(fake: FakeExbo) -> dict[str, Any]:
    """A client's arguments; ivan is signed in."""
    given = {
        "client_id": fake.app.client_id,
        "client_secret": fake.app.client_secret,
        "base_url": fake.base_url,
        "store": MemoryTokenStore(),
    }
    with SyncOAuthClient(**given) as client:
        attempt = client.begin_login()
        client.finish_login(attempt, fake.authorize(attempt.url), account="ivan")
        client.ensure_app_token()
    return given


def named(name: str) -> Library:
    return next(library for library in LIBRARIES if library.name == name)


def posts(fake: FakeExbo) -> int:
    return sum(request.path == "/oauth/token" for request in fake.requests)


def end(fake: FakeExbo, auth: str) -> None:
    """Another deployment supersedes the app's token; somebody revokes ivan's."""
    if auth == "app":
        fake.supersede()
    else:
        fake.revoke(next(token for token in fake.issued if token.user_id is not None).access_token)


@each_library
@each_auth
def test_a_fresh_token_or_the_pair_is_accepted(library: Library, auth: str, fake: FakeExbo) -> None:
    given = options(fake)
    with library.caller(auth, **given) as caller:
        path = "/RU/characters" if auth == "user" else "/regions"
        before = posts(fake)
        assert caller.send("GET", fake.api_url + path).status == 200
    assert posts(fake) == before


@each_library
def test_the_first_request_of_a_program_gets_its_token(library: Library, fake: FakeExbo) -> None:
    given = options(fake) | {"store": MemoryTokenStore()}
    before = posts(fake)
    with library.caller("app", **given) as caller:
        assert caller.send("GET", fake.api_url + "/regions").status == 200
    assert posts(fake) == before + 1


@each_library
@each_bearer
def test_a_dead_token_is_replaced_once_for_many_callers(library: Library, auth: str, fake: FakeExbo) -> None:
    given = options(fake)
    path = "/RU/characters" if auth == "user" else "/regions"
    with library.caller(auth, **given) as caller:
        assert caller.send("GET", fake.api_url + path).status == 200
        end(fake, auth)
        before = posts(fake)
        count = 40 if auth == "app" else 15  # a user's token has 50 points a minute
        answers = caller.send_many(count, "GET", fake.api_url + path)
        assert [answer.status for answer in answers] == [200] * count
    assert posts(fake) == before + 1


def first_refuses(*refusals: int) -> Callable[..., tuple[int, dict[str, str], str]]:
    """An API that refuses the first request, and then takes what it is given."""
    left = list(refusals)

    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
        return (left.pop(0) if left else 200), {}, body.decode()

    return respond


BODIES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"the body",
    "a file": lambda: io.BytesIO(b"the body"),
}


@each_library
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_can_be_sent_again_is(library: Library, body: str, fake: FakeExbo) -> None:
    if body == "a file" and library.name.startswith("httpx"):
        pytest.skip("httpx reads a file as a stream, once")
    with library.caller("app", **options(fake)) as caller, api(first_refuses(401)) as server:
        answer = caller.send("POST", f"{server.url}/x", BODIES[body])
    assert (answer.status, answer.text) == (200, "the body")
    assert [sent for _, sent, _ in server.requests] == [b"the body"] * 2


@each_library
def test_a_stream_is_sent_once_and_its_401_is_the_callers(library: Library, fake: FakeExbo) -> None:
    def stream() -> Any:
        async def asynchronous() -> Any:
            yield b"the body"

        return asynchronous() if library.asynchronous else iter([b"the body"])

    with library.caller("app", **options(fake)) as caller, api(first_refuses(401)) as server:
        assert caller.send("POST", f"{server.url}/x", stream).status == 401
    assert len(server.requests) == 1


def takes_the_first_token_once() -> Callable[..., tuple[int, dict[str, str], str]]:
    """An API that takes the first token that it sees, and then somebody ends it."""
    seen: list[str] = []

    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
        seen.append(headers["authorization"])
        return (401 if len(seen) > 1 and seen[-1] == seen[0] else 200), {}, ""

    return respond


@each_library
@each_bearer
def test_programs_whose_bodies_are_all_streams_do_not_keep_a_dead_token(
    library: Library, auth: str, fake: FakeExbo
) -> None:
    def stream() -> Any:
        async def asynchronous() -> Any:
            yield b"the body"

        return asynchronous() if library.asynchronous else iter([b"the body"])

    with library.caller(auth, **options(fake)) as caller, api(takes_the_first_token_once()) as server:
        sent = [caller.send("POST", f"{server.url}/x", stream).status for _ in range(4)]
    assert sent == [200, 401, 401, 200]


def raising_hook(library: Library) -> Any:
    """A response hook of httpx that raises for what is not a success."""

    def raising(response: Any) -> None:
        response.raise_for_status()

    async def raising_asynchronously(response: Any) -> None:
        response.raise_for_status()

    return raising_asynchronously if library.asynchronous else raising


@each_library
@each_bearer
def test_a_hook_that_raises_at_every_401_does_not_keep_a_dead_token(
    library: Library, auth: str, fake: FakeExbo
) -> None:
    if not library.name.startswith("httpx"):
        pytest.skip("hooks that raise end the call before the auth object hears of the answer in httpx only")

    def status(caller: Caller, url: str) -> int:
        try:
            return caller.send("GET", url).status
        except (httpx.HTTPStatusError, httpx2.HTTPStatusError) as error:
            return error.response.status_code

    with library.caller(auth, **options(fake)) as caller, api(takes_the_first_token_once()) as server:
        caller.http.event_hooks = {"response": [raising_hook(library)]}
        assert [status(caller, f"{server.url}/x") for _ in range(4)] == [200, 401, 401, 200]


@each_library
@each_bearer
def test_an_endpoint_that_always_refuses_gets_three_sendings_at_most(
    library: Library, auth: str, fake: FakeExbo
) -> None:
    given = options(fake)
    before = posts(fake)
    with library.caller(auth, **given) as caller, api(first_refuses(*[401] * 99)) as server:
        assert caller.send("GET", f"{server.url}/x").status == 401
        assert 2 <= len(server.requests) <= 3
    assert posts(fake) <= before + 1


@each_library
@each_bearer
def test_a_renewal_that_fails_comes_through_the_request(library: Library, auth: str, fake: FakeExbo) -> None:
    with library.caller(auth, max_retries=0, **options(fake)) as caller, api(first_refuses(401, 401)) as server:
        fake.fail_next(500)
        with pytest.raises(ServerError):
            caller.send("GET", f"{server.url}/x")
        assert caller.send("GET", f"{server.url}/x").status == 200


@each_library
@each_auth
def test_an_api_that_is_not_there_is_the_librarys_to_tell_of(library: Library, auth: str, fake: FakeExbo) -> None:
    with library.caller(auth, **options(fake)) as caller:
        with pytest.raises(Exception, match=r"(?i)connect") as caught:
            caller.send("GET", f"http://127.0.0.1:{free_port()}/x")
        assert not isinstance(caught.value, OAuthError)
        assert caller.send("GET", fake.api_url + "/regions").status == 200


# Limits


def limited(_: str, path: str, *__: Any) -> tuple[int, dict[str, str], str]:
    """An API that says to too many requests when it wants the next one, each of its paths in another way."""
    headers = {
        "/after": {"Retry-After": "7"},
        "/reset": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(_SOON)},
        "/never": {},
    }
    return (302, {"location": "/after"}, "") if path == "/from" else (429, headers[path.partition("?")[0]], "")


_SOON = 4_000_000_000_000  # milliseconds: the year 2096


@each_library
@each_auth
def test_an_api_that_wants_fewer_requests_is_told_of(library: Library, auth: str, fake: FakeExbo) -> None:
    seen: list[Event] = []
    with api(limited) as server:
        with library.caller(auth, on_event=seen.append, **options(fake)) as caller:
            for path in ("/after?region=ru", "/reset", "/never"):
                assert caller.send("GET", server.url + path).status == 429
        told = [event for event in seen if isinstance(event, RateLimited)]
        assert [(event.host, event.path) for event in told] == [
            (f"127.0.0.1:{server.port}", path) for path in ("/after", "/reset", "/never")
        ]
    assert told[0].seconds == 7.0
    assert (told[1].seconds or 0) > 1e9
    assert told[2].seconds is None
    assert {event.key.account for event in told} == {"ivan" if auth == "user" else None}
    assert all(len(event.fingerprint) == (0 if auth == "client" else 8) for event in told)


@each_library
@each_auth
def test_a_limit_along_a_redirect_is_told_of_once(library: Library, auth: str, fake: FakeExbo) -> None:
    seen: list[Event] = []
    with api(limited) as server, library.caller(auth, on_event=seen.append, **options(fake)) as caller:
        assert caller.send("GET", f"{server.url}/from", follow=True).status == 429
    assert [event.seconds for event in seen if isinstance(event, RateLimited)] == [7.0]


@each_library
@each_auth
def test_a_limit_of_another_origin_is_not_ours(library: Library, auth: str, fake: FakeExbo) -> None:
    seen: list[Event] = []
    with api(limited) as foreign, api(leading_to(lambda: f"{foreign.url}/after")) as server:
        with library.caller(auth, on_event=seen.append, **options(fake)) as caller:
            assert caller.send("GET", f"{server.url}/from", follow=True).status == 429
    assert [event for event in seen if isinstance(event, RateLimited)] == []


@each_library
@each_auth
def test_a_hook_that_raises_at_a_limit_does_not_keep_it_secret(library: Library, auth: str, fake: FakeExbo) -> None:
    if not library.name.startswith("httpx"):
        pytest.skip("hooks that raise end the call before the auth object hears of the answer in httpx only")
    seen: list[Event] = []
    with api(limited) as server, library.caller(auth, on_event=seen.append, **options(fake)) as caller:
        caller.http.event_hooks = {"response": [raising_hook(library)]}
        with pytest.raises((httpx.HTTPStatusError, httpx2.HTTPStatusError)):
            caller.send("GET", f"{server.url}/after")
    assert [event.seconds for event in seen if isinstance(event, RateLimited)] == [7.0]


def test_a_header_pair_may_serve_where_no_event_loop_runs(fake: FakeExbo, caplog: pytest.LogCaptureFixture) -> None:
    async def on_event(event: Event) -> None:
        raise AssertionError("there is no loop to await it on")

    auth = AsyncOAuthClient(**options(fake), on_event=on_event).client_auth()
    with api(limited) as server, httpx.Client(auth=auth) as http:
        assert http.get(f"{server.url}/after").status_code == 429
    assert "wants fewer requests, the next in 7 s" in caplog.text


# Redirects


def leading_to(target: Callable[[], str], status: int = 302) -> Callable[..., tuple[int, dict[str, str], str]]:
    def respond(method: str, path: str, *_: Any) -> tuple[int, dict[str, str], str]:
        return (status, {"location": target()}, "") if path == "/from" else (200, {}, "ok")

    return respond


REDIRECTS: dict[str, Callable[[Api], str]] = {
    "another port": lambda foreign: f"{foreign.url}/to",
    "another host": lambda foreign: f"http://localhost:{foreign.port}/to",
    "without a scheme": lambda foreign: f"//127.0.0.1:{foreign.port}/to",
    "with a user name": lambda foreign: f"http://127.0.0.1@127.0.0.1:{foreign.port}/to",
}


@each_library
@each_auth
@pytest.mark.parametrize("redirect", REDIRECTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_credential_leaves_its_origin(
    library: Library, auth: str, redirect: str, status: int, fake: FakeExbo
) -> None:
    with (
        api() as foreign,
        api(leading_to(lambda: REDIRECTS[redirect](foreign), status)) as server,
        library.caller(auth, hosts="127.0.0.1", **options(fake)) as caller,
    ):
        answer = caller.send("GET", f"{server.url}/from", follow=True)
        assert answer.status == 200
        assert foreign.credentials == [set()]
        assert caller.send("GET", f"{server.url}/other").status == 200
        assert server.credentials[-1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with a key, and a certificate of this machine's address."""
    return certified(tmp_path_factory.mktemp("tls"))


@each_library
@each_auth
@pytest.mark.parametrize("to_tls", [False, True], ids=["down to plain http", "to another port over TLS"])
def test_no_credential_leaves_its_origin_over_tls(
    library: Library, auth: str, to_tls: bool, fake: FakeExbo, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would outdo what the session is told
        monkeypatch.delenv(name, raising=False)
    with (
        api(certificate=certificate if to_tls else None) as foreign,
        api(leading_to(lambda: f"{foreign.url}/to", 307), certificate) as server,
        library.caller(auth, trust=certificate, **options(fake)) as caller,
    ):
        assert caller.send("GET", f"{server.url}/from", follow=True).status == 200
        assert caller.send("GET", f"{server.url}/other").status == 200
        assert foreign.credentials == [set()]
        assert all(server.credentials)


def copying(library: Any) -> Any:
    """An adapter of the caller's that sends a copy of what it is given."""

    class Copying(library.adapters.HTTPAdapter):
        def send(self, request: Any, *args: Any, **kw: Any) -> Any:
            return super().send(request.copy(), *args, **kw)

    return Copying()


@pytest.mark.parametrize("library", [requests, niquests], ids=lambda library: library.__name__)
@each_auth
@pytest.mark.parametrize("path", ["/from", "/within"])
def test_no_credential_leaves_its_origin_by_an_adapter_that_copies(
    library: Any, auth: str, path: str, fake: FakeExbo
) -> None:
    def respond(method: str, path: str, *_: Any) -> tuple[int, dict[str, str], str]:
        leads = {"/from": f"{foreign.url}/to", "/within": "/from"}
        return (307, {"location": leads[path]}, "") if path in leads else (200, {}, "ok")

    with (
        api() as foreign,
        api(respond) as server,
        named(library.__name__).caller(auth, **options(fake)) as caller,
    ):
        caller.http.mount("http://", copying(library))
        assert caller.send("GET", f"{server.url}{path}", follow=True).status == 200
        assert foreign.credentials == [set()]
        assert all(server.credentials)


async def sends_in_a_task(request: Any, handler: Any) -> Any:
    return await asyncio.create_task(handler(request))


def tells_a_log(auth: Any, url: str) -> Any:
    async def middleware(request: Any, handler: Any) -> Any:
        answer = await handler(request)
        async with aiohttp.ClientSession(middlewares=(auth,)) as http, http.get(f"{url}/log") as told:
            await told.read()
        return answer

    return middleware


def sends_twice(_: Any, __: str) -> Any:
    async def middleware(request: Any, handler: Any) -> Any:
        (await handler(request)).release()
        return await handler(request)

    return middleware


AROUND: dict[str, Callable[[Any, str], Any]] = {
    "that sends in a task": lambda *_: sends_in_a_task,
    "that sends something else in between": tells_a_log,
    "that sends twice": sends_twice,
}


@each_auth
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("per", ["session", "request"])
def test_no_credential_leaves_its_origin_within_a_middleware(auth: str, around: str, per: str, fake: FakeExbo) -> None:
    async def statuses(foreign: Api, server: Api, url: str) -> list[int]:
        async with AsyncOAuthClient(**options(fake)) as oauth:
            ours = MAKERS[auth](oauth)
            chain = {"middlewares": (AROUND[around](ours, url), ours)}
            of_session, of_request = (chain, {}) if per == "session" else ({}, chain)
            async with aiohttp.ClientSession(**of_session) as http:
                found = []
                for path in ("/from", "/other", "/from"):
                    async with http.get(server.url + path, **of_request) as answer:
                        found.append(answer.status)
                return found

    with api() as foreign, api() as log, api(leading_to(lambda: f"{foreign.url}/to", 307)) as server:
        assert anyio.run(statuses, foreign, server, log.url) == [200] * 3
    assert not any(foreign.credentials)
    assert foreign.requests
    assert all(server.credentials)


@each_auth
def test_a_redirect_that_is_not_followed_leaves_the_next_request_alone(auth: str, fake: FakeExbo) -> None:
    with (
        api() as other,
        api(leading_to(lambda: f"{other.url}/to")) as server,
        named("aiohttp").caller(auth, **options(fake)) as caller,
    ):
        assert caller.send("GET", f"{server.url}/from").status == 302
        assert caller.send("GET", f"{other.url}/to").status == 200
        assert all(other.credentials)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asynchronous"])
@each_auth
def test_no_credential_leaves_its_origin_by_a_transport_that_tells_nothing(
    library: Any, asynchronous: bool, auth: str, fake: FakeExbo
) -> None:
    leads = {"/from": "https://elsewhere.example/to", "/downgraded": "http://api.example/to", "/within": "/to"}
    seen: list[tuple[str, set[str]]] = []

    def respond(request: Any) -> Any:
        seen.append((str(request.url), {"authorization", "client-id", "client-secret"} & set(request.headers)))
        location = leads.get(request.url.path)
        return library.Response(307, headers={"location": location}) if location else library.Response(200)

    def blocking() -> list[int]:
        with SyncOAuthClient(**options(fake)) as oauth, library.Client(**settings(oauth)) as http:
            return [http.get(f"https://api.example{path}").status_code for path in leads]

    async def asynchronously() -> list[int]:
        async with AsyncOAuthClient(**options(fake)) as oauth, library.AsyncClient(**settings(oauth)) as http:
            return [(await http.get(f"https://api.example{path}")).status_code for path in leads]

    def settings(oauth: Any) -> dict[str, Any]:
        transport = library.MockTransport(respond)
        return {"auth": MAKERS[auth](oauth), "transport": transport, "follow_redirects": True}

    assert (anyio.run(asynchronously) if asynchronous else blocking()) == [200] * len(leads)
    by_url = dict(seen)
    assert by_url["https://elsewhere.example/to"] == by_url["http://api.example/to"] == set()
    assert by_url["https://api.example/from"]
    assert by_url["https://api.example/to"]


@each_library
@each_auth
def test_a_credential_does_not_come_back_by_a_foreign_servers_word(library: Library, auth: str, fake: FakeExbo) -> None:
    with (
        api(leading_to(lambda: f"{server.url}/back")) as foreign,
        api(leading_to(lambda: f"{foreign.url}/from")) as server,
        library.caller(auth, **options(fake)) as caller,
    ):
        caller.send("GET", f"{server.url}/from", follow=True)
        assert [(path, bool(sent)) for path, _, sent in server.requests][:2] == [("/from", True), ("/back", False)]


@each_library
@each_auth
@pytest.mark.parametrize("location", ["/to", "to", "{url}/to"])
def test_a_redirect_within_the_origin_keeps_the_credential(
    library: Library, auth: str, location: str, fake: FakeExbo
) -> None:
    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
        if path == "/from":
            return 307, {"location": location.format(url=server.url)}, ""
        known = "authorization" in headers or "client-secret" in headers
        return (200 if known else 401), {}, ""

    with api(respond) as server, library.caller(auth, **options(fake)) as caller:
        assert caller.send("GET", f"{server.url}/from", follow=True).status == 200


@each_library
@each_auth
@pytest.mark.parametrize("follow", [False, True], ids=["looked at", "followed"])
def test_a_redirect_that_leads_nowhere_is_the_librarys_to_judge(
    library: Library, auth: str, follow: bool, fake: FakeExbo
) -> None:
    with api(leading_to(lambda: "http://[/login")) as server, library.caller(auth, **options(fake)) as caller:
        try:
            assert caller.send("GET", f"{server.url}/from", follow=follow).status == 302
        except Exception as error:  # noqa: BLE001  # each has another
            *_, (frame, _) = traceback.walk_tb(error.__traceback__)
            assert not frame.f_globals["__name__"].startswith(("exbo_oauth", "tests"))
        assert caller.send("GET", f"{server.url}/other").status == 200
    assert all(server.credentials)


@pytest.mark.parametrize("library", LIBRARIES[:4], ids=lambda library: library.name)
def test_an_api_that_leads_whoever_names_himself_on_and_on_is_left(library: Library, fake: FakeExbo) -> None:
    """httpx redirects with the header pair are ours to follow: the library's own limit counts each of them as one."""

    def respond(_: str, path: str, headers: dict[str, str], __: bytes) -> tuple[int, dict[str, str], str]:
        known = "client-secret" in headers
        return (307 if known else 401), ({"location": f"/{int(path[1:]) + 1}"} if known else {}), ""

    with api(respond) as server, library.caller("client", **options(fake)) as caller:
        assert caller.send("GET", f"{server.url}/1", follow=True).status == 401
    assert [int(path[1:]) for path, _, sent in server.requests if sent] == [1, 2, 3]


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
@each_auth
def test_a_hook_of_httpx_may_keep_the_address_of_a_request(library: Any, auth: str, fake: FakeExbo) -> None:
    addresses = list[Any]()
    with api() as server, SyncOAuthClient(**options(fake)) as oauth:
        hooks = {"request": [lambda request: addresses.append(request.url)]}
        with library.Client(auth=MAKERS[auth](oauth), event_hooks=hooks) as http:
            assert http.get(f"{server.url}/x").status_code == 200
    gc.collect()
    assert [(address.path, address.fragment) for address in addresses] == [("/x", "")]


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asynchronous"])
@each_auth
def test_a_trace_of_the_callers_is_told_of_each_request(
    library: Any, asynchronous: bool, auth: str, fake: FakeExbo
) -> None:
    told = list[str]()

    def trace(event: str, _: Any) -> None:
        told.append(event)

    async def atrace(event: str, _: Any) -> None:
        told.append(event)

    def blocking(url: str) -> None:
        with SyncOAuthClient(**options(fake)) as oauth, library.Client(auth=MAKERS[auth](oauth)) as http:
            assert http.get(url, extensions={"trace": trace}).status_code == 200

    async def asynchronously(url: str) -> None:
        async with AsyncOAuthClient(**options(fake)) as oauth, library.AsyncClient(auth=MAKERS[auth](oauth)) as http:
            assert (await http.get(url, extensions={"trace": atrace})).status_code == 200

    refused = first_refuses() if auth == "client" else first_refuses(401)
    with api(refused) as server:
        anyio.run(asynchronously, f"{server.url}/x") if asynchronous else blocking(f"{server.url}/x")
    sent = [event for event in told if event.endswith("receive_response_headers.complete")]
    assert len(sent) == len(server.requests) == (1 if auth == "client" else 2)


def netrc(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """What requests reads a user name for this machine from, unless it has been told another."""
    file = folder / "netrc"
    file.write_text("machine 127.0.0.1 login ivan password x\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.parametrize("library", ["requests", "niquests"])
@each_auth
def test_a_netrc_file_neither_replaces_the_credential_nor_gets_it_anywhere(
    library: str, auth: str, fake: FakeExbo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
        leads = {"/from": "/within", "/within": f"{foreign.url}/to"}
        return (307, {"location": leads[path]}, "") if path in leads else (200, {}, "ok")

    netrc(monkeypatch, tmp_path)
    with (
        api() as foreign,
        api(respond) as server,
        named(library).caller(auth, **options(fake)) as caller,
    ):
        assert caller.send("GET", f"{server.url}/from", follow=True).status == 200
        assert [(path, bool(sent)) for path, _, sent in server.requests][:2] == [("/from", True), ("/within", True)]
        assert foreign.credentials == [set()]


@each_library
@each_bearer
def test_a_dead_token_behind_a_redirect_is_replaced(library: Library, auth: str, fake: FakeExbo) -> None:
    refused: list[str] = []

    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
        if path == "/from":
            return 307, {"location": "/to"}, ""
        if not refused or headers["authorization"] in refused:
            refused.append(headers["authorization"])
            return 401, {}, ""
        return 200, {}, ""

    given = options(fake)
    with library.caller(auth, **given) as caller, api(respond) as server:
        assert caller.send("GET", f"{server.url}/from", follow=True).status == 200


# A library's own ways


@pytest.mark.parametrize("library", [requests, niquests], ids=lambda library: library.__name__)
@each_bearer
@pytest.mark.parametrize("leaves", [False, True], ids=["", "after it left"])
def test_a_prepared_request_is_sent_again_with_the_token_of_the_moment(
    library: Any, auth: str, leaves: bool, fake: FakeExbo
) -> None:
    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], str]:
        if not fake.is_live(headers.get("authorization", "").removeprefix("Bearer ")):
            return 401, {}, ""
        return (307, {"location": f"{foreign.url}/to"}, "") if leaves else (200, {}, "")

    with (
        api() as foreign,
        api(respond) as server,
        named(library.__name__).caller(auth, **options(fake)) as caller,
    ):
        prepared = caller.http.prepare_request(library.Request("POST", f"{server.url}/x", data=b"the body"))
        found = [caller.http.send(prepared).status_code]
        end(fake, auth)
        found += [caller.http.send(prepared).status_code for _ in range(2)]
        assert found == [200] * 3
        assert not any(foreign.credentials)
        assert {body for _, body, _ in server.requests} == {b"the body"}


@each_auth
@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_web_socket_is_opened_with_the_credential(auth: str, scheme: str, fake: FakeExbo) -> None:
    refused: list[str] = []

    async def open_socket(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        known = request.headers.get("authorization") or request.headers.get("client-secret")
        if known is None or not refused:
            refused.append("once")
            return aiohttp.web.Response(status=401 if auth != "client" else 200)
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    async def received() -> list[str]:
        app = aiohttp.web.Application()
        app.router.add_get("/socket", open_socket)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/socket"
        try:
            async with (
                AsyncOAuthClient(**options(fake)) as oauth,
                aiohttp.ClientSession(middlewares=(MAKERS[auth](oauth),)) as http,
            ):
                async with http.ws_connect(url) as socket:
                    return [message.data async for message in socket]
        finally:
            await runner.cleanup()

    if auth == "client":
        refused.append("never")
    assert asyncio.run(received()) == ["hello"]


@each_auth
@pytest.mark.parametrize("path", ["from", "within"])
def test_a_session_with_a_base_url_keeps_credentials_at_it(auth: str, path: str, fake: FakeExbo) -> None:
    def respond(method: str, path: str, *_: Any) -> tuple[int, dict[str, str], str]:
        leads = {"/v1/from": f"{foreign.url}/to", "/v1/within": "from"}
        return (307, {"location": leads[path]}, "") if path in leads else (200, {}, "ok")

    async def status() -> int:
        async with (
            AsyncOAuthClient(**options(fake)) as oauth,
            aiohttp.ClientSession(
                base_url=f"{server.url}/v1/", middlewares=(MAKERS[auth](oauth),), raise_for_status=True
            ) as http,
            http.get(path) as answer,
        ):
            return answer.status

    with api() as foreign, api(respond) as server:
        assert asyncio.run(status()) == 200
        assert foreign.credentials == [set()]
        assert all(server.credentials)


@pytest.mark.parametrize("kind", [SyncOAuthClient, AsyncOAuthClient], ids=lambda kind: kind.__name__)
def test_an_async_session_of_niquests_keeps_the_header_pair_at_its_origin(kind: Any, fake: FakeExbo) -> None:
    given = options(fake)

    async def statuses() -> list[int]:
        async with niquests.AsyncSession() as session:
            session.auth = kind(**given).client_auth()
            return [(await session.get(server.url + path)).status_code for path in ("/other", "/from", "/other")]

    with api() as foreign, api(leading_to(lambda: f"{foreign.url}/to", 307)) as server:
        assert asyncio.run(statuses()) == [200] * 3
        assert foreign.credentials == [set()]
        assert server.credentials == [{"client-id", "client-secret"}] * 3


# Refusals of ours


@each_library
@each_auth
@pytest.mark.parametrize(
    ("url", "hosts", "told"),
    [
        pytest.param("http://eapi.example/x", None, "never travels over plain http", id="plain http"),
        pytest.param("http://127.0.0.1:9/x", "eapi.example", "127.0.0.1 is not among the hosts", id="another host"),
        pytest.param("http://127.0.0.1.eapi.example/x", None, "never travels over plain http", id="a name like ours"),
    ],
)
def test_where_a_credential_must_not_go_nothing_is_sent(
    library: Library, auth: str, url: str, hosts: Any, told: str, fake: FakeExbo
) -> None:
    with library.caller(auth, hosts=hosts, **options(fake)) as caller, pytest.raises(ConfigurationError, match=told):
        caller.send("GET", url)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The proxy that the environment names for everything."""
    with api() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        niquests.utils.getproxies.cache_clear()
        yield proxy
    niquests.utils.getproxies.cache_clear()


@each_library
@each_auth
def test_a_proxy_of_the_environment_sees_nothing_that_is_meant_for_this_machine(
    library: Library, auth: str, fake: FakeExbo, proxy: Api
) -> None:
    with api() as server, library.caller(auth, **options(fake)) as caller:
        outcome = sent_or_refused(caller, f"{server.url}/x")
    assert outcome == ("ok" if library.name == "aiohttp" else proxied("127.0.0.1"))  # which asks no environment
    assert not proxy.requests


@each_library
@each_auth
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_that_the_http_client_is_told_of_sees_nothing_that_is_meant_for_this_machine(
    library: Library, auth: str, host: str, fake: FakeExbo
) -> None:
    given = options(fake)
    with api() as proxy, api() as server, library.caller(auth, proxy=proxy.url, **given) as caller:
        for _ in range(2):
            assert sent_or_refused(caller, f"http://{host}:{server.port}/x") == proxied(host)
    assert not proxy.requests
    assert not server.requests


@each_library
@each_auth
def test_neither_does_a_socks_proxy(library: Library, auth: str, fake: FakeExbo) -> None:
    pytest.importorskip("socksio" if library.name.startswith("httpx") else "python_socks")
    if library.name == "aiohttp":
        pytest.skip("aiohttp knows no SOCKS")
    given = options(fake)
    with socks() as proxy, library.caller(auth, proxy=proxy.url, **given) as caller:
        assert sent_or_refused(caller, "http://127.0.0.1:9/x") == proxied("127.0.0.1")
    assert not proxy.requests


@each_library
@each_auth
def test_a_redirect_from_this_machine_may_lead_through_a_proxy_without_the_credential(
    library: Library, auth: str, fake: FakeExbo, proxy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    leads = leading_to(lambda: "http://elsewhere.example/to")
    with api(leads) as server, library.caller(auth, **options(fake)) as caller:
        if library.name == "aiohttp":
            caller.http._trust_env = True
        assert caller.send("GET", f"{server.url}/from", follow=True).status == 200
    assert all(server.credentials)
    assert proxy.credentials == [set()]


def sent_or_refused(caller: Caller, url: str) -> str:
    try:
        return caller.send("GET", url).text
    except ConfigurationError as error:
        return str(error)


@each_library
@each_bearer
def test_the_wrong_kind_of_client_is_refused(library: Library, auth: str, fake: FakeExbo) -> None:
    other = next(one for one in LIBRARIES if one.asynchronous is not library.asynchronous)
    with other.caller(auth, **options(fake)) as made:
        wrong = getattr(made.client, f"{auth}_auth")(*(["ivan"] if auth == "user" else []))

        with pytest.raises(ConfigurationError, match="OAuthClient's"):
            send_with(library, wrong, f"{fake.api_url}/regions")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves open what its hook ended
@each_bearer
@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asynchronous"])
def test_an_async_session_of_niquests_takes_neither_kind(auth: str, asynchronous: bool, fake: FakeExbo) -> None:
    given = options(fake)

    async def send() -> None:
        kind = AsyncOAuthClient if asynchronous else SyncOAuthClient
        async with niquests.AsyncSession() as session:
            await session.get(f"{fake.api_url}/regions", auth=MAKERS[auth](kind(**given)))

    with pytest.raises(ConfigurationError, match=r"AsyncSession.*there is none.*use httpx"):
        asyncio.run(send())
    gc.collect()


def send_with(library: Library, auth: Any, url: str) -> None:
    if not library.asynchronous:
        with library.opened(auth) as http:
            library.call(http, "GET", url, None, False)
        return

    async def call() -> None:
        async with library.opened(auth) as http:
            await library.call(http, "GET", url, None, False)

    anyio.run(call)


# Imports

PROGRAM = """
import sys
{first}
from exbo_oauth import SyncOAuthClient, AsyncOAuthClient
auths = []
for client in (SyncOAuthClient(client_id=1, client_secret="x"), AsyncOAuthClient(client_id=1, client_secret="x")):
    auths += client.app_auth(), client.user_auth(5), client.client_auth()
{then}
"""
WORLDS = {
    "nothing is imported before it is used": (
        "",
        "assert not {'httpx2', 'requests', 'niquests', 'aiohttp'} & set(sys.modules)",
    ),
    "httpx2 afterwards": (
        "",
        "import httpx, httpx2\nassert all(isinstance(one, kind.Auth) for one in auths for kind in (httpx, httpx2))",
    ),
    "httpx2 before": ("import httpx2", "assert all(isinstance(one, httpx2.Auth) for one in auths)"),
    "aliased": (
        "import httpx2; httpx2.alias_httpx()",
        "import httpx\nassert httpx is httpx2 and all(isinstance(one, httpx.Auth) for one in auths)",
    ),
    "without httpx2": (
        "sys.modules['httpx2'] = None",
        "import httpx\nassert all(isinstance(one, httpx.Auth) for one in auths)",
    ),
}


@pytest.mark.parametrize("world", WORLDS)
def test_whatever_is_installed(world: str) -> None:
    first, then = WORLDS[world]
    subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM.format(first=first, then=then)], check=True)


def test_an_auth_object_shows_no_secret(fake: FakeExbo) -> None:
    with SyncOAuthClient(**options(fake)) as client:
        for auth in (client.app_auth(), client.user_auth("ivan"), client.client_auth(hosts=["eapi.example"])):
            assert fake.app.client_secret not in repr(auth) + str(vars(auth))


@pytest.mark.parametrize("kind", [SyncOAuthClient, AsyncOAuthClient], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("what", ["itself", *EVERY])
def test_what_holds_secrets_and_connections_is_not_pickled(kind: Any, what: str, fake: FakeExbo) -> None:
    client = kind(**options(fake))
    with pytest.raises(ConfigurationError, match="in each process"):
        pickle.dumps(client if what == "itself" else MAKERS[what](client))


@each_auth
def test_a_copy_of_an_auth_object_is_the_same_one(auth: str, fake: FakeExbo) -> None:
    with SyncOAuthClient(**options(fake)) as client:
        made = MAKERS[auth](client)
        assert copy.copy(made) is copy.deepcopy({"auth": made})["auth"] is made

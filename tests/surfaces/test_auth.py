"""Auth objects for the caller's own HTTP client."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from exbo_oauth import (
    ConfigurationError,
    InvalidClientError,
    LoginRequiredError,
    MemoryTokenStore,
    ReadOnlyError,
    StoreKey,
    TokenConflictError,
    TransportError,
    UserToken,
)
from exbo_oauth.events import Event, RateLimited
from exbo_oauth.flow import trials
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

from .calls import new_pair
from .conftest import Surface

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
MAKERS: dict[str, Callable[..., Any]] = {
    "app": lambda client, **kw: client.app_auth(**kw),
    "user": lambda client, **kw: client.user_auth("ivan", **kw),
    "client": lambda client, **kw: client.client_auth(**kw),
}
AUTHS = pytest.mark.parametrize("auth", MAKERS)


def _saved(fake: FakeExbo) -> UserToken:
    pair = new_pair(fake)
    return UserToken(
        token_type="Bearer", access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=31_536_000
    )


class Setting:
    """A client, the caller's HTTP client, and what reached the API."""

    def __init__(self, surface: Surface, fake: FakeExbo, library: Any = httpx, **options: Any) -> None:
        self.surface = surface
        self.fake = fake
        self.library = library
        self.api = fake.base_url.removesuffix("/oauth") + "/api"
        self.options = options

    def run(self, scenario: Callable[[Any, Any], Any], auth: str | None = "app", **http_options: Any) -> Any:
        async def within() -> Any:
            own = self.surface.raw_http(transport=self.fake.transport())
            given = {"transport": self.fake.transport()} | http_options
            async with self.surface.client(self.fake, **{"http_client": own} | self.options) as client:
                if auth == "user":
                    await client.save_user_token("ivan", _saved(self.fake))
                maker = MAKERS[auth](client) if auth else None
                async with self.surface.http(self.library, auth=maker, **given) as http:
                    return await scenario(client, http)

        return self.surface.run(within)

    def seen(self) -> list[int | None]:
        return [request.status for request in self.fake.requests if request.path == "/api"]


@LIBRARIES
@AUTHS
def test_a_request_is_authenticated(surface: Surface, fake: FakeExbo, library: Any, auth: str) -> None:
    setting = Setting(surface, fake, library)
    answer = setting.run(lambda client, http: http.get(setting.api), auth)
    assert (answer.status_code, setting.seen()) == (200, [200])


@LIBRARIES
@AUTHS
def test_an_api_that_wants_fewer_requests_is_told_of(surface: Surface, fake: FakeExbo, library: Any, auth: str) -> None:
    seen: list[Event] = []
    setting = Setting(surface, fake, library, on_event=seen.append)

    async def scenario(client: Any, http: Any) -> int:
        fake.answer_next(Response(429, {"retry-after": "7"}, b""), path="/api")
        return (await http.get(setting.api)).status_code

    assert setting.run(scenario, auth) == 429
    assert [event.seconds for event in seen if isinstance(event, RateLimited)] == [7.0]


@LIBRARIES
def test_one_token_serves_many_requests(surface: Surface, fake: FakeExbo, library: Any) -> None:
    setting = Setting(surface, fake, library)

    async def scenario(client: Any, http: Any) -> None:
        for _ in range(5):
            assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario)
    assert len(fake.issued) == 1


BODIES: dict[str, dict[str, Any]] = {
    "no body": {},
    "bytes": {"content": b"small"},
    "form": {"data": {"a": "1"}},
    "json": {"json": {"a": 1}},
}


@LIBRARIES
@pytest.mark.parametrize("auth", ["app", "user"])
@pytest.mark.parametrize("body", BODIES)
def test_a_superseded_token_is_tried_once_more_and_replaced_and_the_request_replayed(
    surface: Surface, fake: FakeExbo, library: Any, auth: str, body: str
) -> None:
    setting = Setting(surface, fake, library)

    async def scenario(client: Any, http: Any) -> Any:
        assert (await http.get(setting.api)).status_code == 200
        if auth == "app":
            fake.supersede()
        else:
            fake.revoke((await client.ensure_user_token("ivan")).access_token)
        return await http.request("GET", setting.api, **BODIES[body])

    answer = setting.run(scenario, auth)
    assert answer.status_code == 200
    assert setting.seen() == [200, 401, 401, 200]
    sent = [received.request.content for received in fake.requests if received.path == "/api"][1:]
    assert sent == [answer.request.content if body != "no body" else b""] * 3


@LIBRARIES
def test_a_request_may_be_sent_again_where_a_hook_that_raised_at_it_is_caught(
    surface: Surface, fake: FakeExbo, library: Any
) -> None:
    setting = Setting(surface, fake, library)

    def raising(response: Any) -> None:
        response.raise_for_status()

    async def araising(response: Any) -> None:
        response.raise_for_status()

    async def scenario(client: Any, http: Any) -> Any:
        assert (await http.get(setting.api)).status_code == 200
        fake.supersede()
        try:
            await http.get(setting.api)
        except library.HTTPStatusError as error:
            await client.replace_app_token()
            return await http.send(error.request)

    hooks = {"response": [raising if surface.blocking else araising]}
    assert setting.run(scenario, event_hooks=hooks).status_code == 200
    assert setting.seen() == [200, 401, 200]


def _generator() -> Iterator[bytes]:
    yield b"streamed"


async def _async_generator() -> AsyncIterator[bytes]:
    yield b"streamed"


@LIBRARIES
def test_a_body_that_is_gone_is_not_replayed_and_the_next_request_finds_out(
    surface: Surface, served: FakeExbo, library: Any
) -> None:
    fake, setting = served, Setting(surface, served, library)

    async def scenario(client: Any, http: Any) -> None:
        await http.get(setting.api)
        fake.supersede()
        body = _generator() if surface.blocking else _async_generator()
        assert (await http.request("GET", setting.api, content=body)).status_code == 401
        assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario, transport=None)
    assert setting.seen() == [200, 401, 401, 200]
    assert len([token for token in fake.issued if token.user_id is None]) == 3  # ours, somebody else's, ours


@LIBRARIES
@pytest.mark.parametrize(("auth", "sent"), [("app", 2), ("user", 3)], ids=["issued for it", "replaced"])
def test_the_last_401_is_the_callers(surface: Surface, fake: FakeExbo, library: Any, auth: str, sent: int) -> None:
    setting = Setting(surface, fake, library)

    async def scenario(client: Any, http: Any) -> Any:
        fake.answer_next(Response(401, {}, b"no"), times=5, path="/api")
        return await http.get(setting.api)

    answer = setting.run(scenario, auth)
    assert (answer.status_code, answer.content) == (401, b"no")
    assert setting.seen() == [401] * sent


def test_a_newer_token_is_adopted_and_none_is_issued(surface: Surface, fake: FakeExbo) -> None:
    store = MemoryTokenStore()
    setting = Setting(surface, fake, store=store)

    async def scenario(client: Any, http: Any) -> None:
        old = await client.ensure_app_token()
        assert (await http.get(setting.api)).status_code == 200
        fake.supersede()
        new = await client.ensure_app_token(rejected=old)
        late = surface.http(auth=client.app_auth(), transport=fake.transport())
        async with late:
            assert (await late.get(setting.api)).request.headers["authorization"] == new.authorization
        assert await client.ensure_app_token(rejected=old) is new

    setting.run(scenario)
    assert [request.status for request in fake.requests if request.path == "/oauth/token"] == [200, 200]


# What is refused before anything leaves


TARGETS = [
    ("http://eapi.stalcraft.net/x", None, "plain http"),
    ("http://localhost.evil.test/x", None, "plain http"),
    ("http://10.0.0.1/x", None, "plain http"),
    ("ws://api.test/x", None, "plain ws to api.test: use wss"),
    ("ftp://127.0.0.1/x", None, "plain ftp"),
    ("https://evil.test/x", ["eapi.stalcraft.net"], "not among the hosts"),
    ("https://stalcraft.net/x", "eapi.stalcraft.net", "not among the hosts"),
    ("https://eapi.stalcraft.net.evil.test/x", "eapi.stalcraft.net", "not among the hosts"),
    ("http://127.0.0.1/x", ["localhost"], "not among the hosts"),
]


@LIBRARIES
@AUTHS
@pytest.mark.parametrize(("url", "hosts", "why"), TARGETS, ids=lambda value: str(value))
def test_a_wrong_target_is_refused_before_a_token_is_issued(
    surface: Surface, fake: FakeExbo, library: Any, auth: str, url: str, hosts: Any, why: str
) -> None:
    setting = Setting(surface, fake, library)

    async def scenario(client: Any, http: Any) -> None:
        with pytest.raises(ConfigurationError, match=why):
            await http.get(url, auth=MAKERS[auth](client, hosts=hosts))

    setting.run(scenario, None)
    assert [request.path for request in fake.requests] == []


@AUTHS
@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://127.0.0.1:1/api", None),
        ("http://[::1]:1/api", "::1"),
        ("http://localhost:1/api", ["LocalHost", "elsewhere.test"]),
        ("https://EAPI.stalcraft.net/api", {"eapi.stalcraft.net"}),
        ("https://anything.test/api", None),
    ],
    ids=lambda value: str(value),
)
def test_a_right_target_is_served(surface: Surface, fake: FakeExbo, auth: str, url: str, hosts: Any) -> None:
    setting = Setting(surface, fake)

    async def scenario(client: Any, http: Any) -> Any:
        if auth == "user":
            await client.save_user_token("ivan", _saved(fake))
        return await http.get(url, auth=MAKERS[auth](client, hosts=hosts))

    assert setting.run(scenario, None).status_code == 200


@AUTHS
@pytest.mark.parametrize(
    "hosts",
    [
        "",
        [],
        [""],
        "https://eapi.stalcraft.net",
        "eapi.stalcraft.net/x",
        "eapi.stalcraft.net:443",
        "*.net",
        "[::1]",
        [1],
        5,
    ],
    ids=repr,
)
def test_hosts_that_could_never_match_are_refused(surface: Surface, auth: str, hosts: Any) -> None:
    with pytest.raises(ConfigurationError, match="host names"):
        MAKERS[auth](surface.raw_client(), hosts=hosts)


@LIBRARIES
@pytest.mark.parametrize("auth", ["app", "user"])
def test_the_other_colours_auth_object_is_refused(surface: Surface, fake: FakeExbo, library: Any, auth: str) -> None:
    setting = Setting(surface, fake, library)
    other = Surface("asyncio" if surface.blocking else "sync").raw_client(fake)

    async def scenario(client: Any, http: Any) -> None:
        with pytest.raises(
            ConfigurationError, match=r"AsyncOAuthClient.*SyncOAuthClient|SyncOAuthClient.*AsyncOAuthClient"
        ):
            await http.get(setting.api, auth=MAKERS[auth](other))

    setting.run(scenario, None)
    assert fake.requests == []


@pytest.mark.parametrize("account", ["", None, True, 1.5, b"x"], ids=repr)
def test_an_account_that_is_none_is_refused(surface: Surface, account: Any) -> None:
    with pytest.raises(ConfigurationError, match="account"):
        surface.raw_client().user_auth(account)


# Errors come through the request


def test_a_user_who_must_sign_in_again_is_told_through_the_request(surface: Surface, fake: FakeExbo) -> None:
    setting = Setting(surface, fake)

    async def scenario(client: Any, http: Any) -> None:
        with pytest.raises(LoginRequiredError) as caught:
            await http.get(setting.api, auth=client.user_auth(7))
        assert caught.value.account == "7"

    setting.run(scenario, None)
    assert setting.seen() == []


@LIBRARIES
def test_a_refused_issue_comes_through_the_request(surface: Surface, fake: FakeExbo, library: Any) -> None:
    setting = Setting(surface, fake, library, client_secret="wrong")

    async def scenario(client: Any, http: Any) -> None:
        with pytest.raises(InvalidClientError):
            await http.get(setting.api)

    setting.run(scenario)
    assert setting.seen() == []


def test_a_lost_connection_of_the_renewal_is_no_error_of_the_http_library(surface: Surface, fake: FakeExbo) -> None:
    setting = Setting(surface, fake, max_retries=0)

    async def scenario(client: Any, http: Any) -> None:
        fake.lose_next_answer(path="/oauth/token")
        with pytest.raises(TransportError):
            await http.get(setting.api)
        assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario)


def test_a_follower_without_a_token_says_so_through_the_request(surface: Surface, fake: FakeExbo) -> None:
    setting = Setting(surface, fake, issue="never")

    async def scenario(client: Any, http: Any) -> None:
        with pytest.raises(ReadOnlyError):
            await http.get(setting.api)

    setting.run(scenario)
    assert fake.issued == []


@LIBRARIES
def test_a_fight_with_another_deployment_comes_through_the_request(
    surface: Surface, fake: FakeExbo, library: Any
) -> None:
    setting = Setting(surface, fake, library)

    async def scenario(client: Any, http: Any) -> int:
        for round_ in range(10):
            try:
                assert (await http.get(setting.api)).status_code == 200
            except TokenConflictError:
                return round_
            fake.supersede()
        raise AssertionError("it would go on fighting for ever")

    assert setting.run(scenario) == 3


def test_a_closed_client_cannot_authenticate_any_more(surface: Surface, fake: FakeExbo) -> None:
    setting = Setting(surface, fake)

    async def scenario(client: Any, http: Any) -> None:
        assert (await http.get(setting.api)).status_code == 200
        await client.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await http.get(setting.api)

    setting.run(scenario)


# Redirects


def _redirecting(library: Any, target: str, elsewhere: list[Any]) -> Any:
    """A site that sends everybody to `target`, where nobody gets in."""

    def answer(request: Any) -> Any:
        if str(request.url) == target:
            elsewhere.append(request)
            return library.Response(401)
        return library.Response(302, headers={"location": target})

    return library.MockTransport(answer)


@LIBRARIES
@pytest.mark.parametrize("target", ["https://elsewhere.test/x", "http://exbo.test/x", "https://exbo.test:8443/x"])
def test_a_redirect_elsewhere_takes_no_token_along_and_its_401_is_no_word_on_the_token(
    surface: Surface, fake: FakeExbo, library: Any, target: str
) -> None:
    setting = Setting(surface, fake, library)
    elsewhere: list[Any] = []

    async def scenario(client: Any, http: Any) -> None:
        assert (await http.get("https://exbo.test/api")).status_code == 401
        await client.ensure_app_token()

    transport = _redirecting(library, target, elsewhere)
    setting.run(scenario, transport=transport, follow_redirects=True)
    assert len(elsewhere) == 1
    assert "authorization" not in elsewhere[0].headers
    assert len(fake.issued) == 1


@LIBRARIES
def test_a_redirect_on_the_same_site_keeps_the_token_and_a_401_there_counts(
    surface: Surface, fake: FakeExbo, library: Any
) -> None:
    setting = Setting(surface, fake, library)
    elsewhere: list[Any] = []

    async def scenario(client: Any, http: Any) -> None:
        assert (await http.get("https://exbo.test/api")).status_code == 401

    transport = _redirecting(library, "https://exbo.test/inner", elsewhere)
    setting.run(scenario, transport=transport, follow_redirects=True)
    assert len(elsewhere) == 2
    assert len({request.headers["authorization"] for request in elsewhere}) == 1
    assert len(fake.issued) == 1  # for this very request: it is not the token


# Cancellation


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@LIBRARIES
def test_a_request_cancelled_during_the_renewal_leaves_nothing_locked(
    fake: FakeExbo, library: Any, backend: str
) -> None:
    setting = Setting(Surface(backend), fake, library)

    async def scenario(client: Any, http: Any) -> None:
        gate = fake.hold(times=1)
        async with anyio.create_task_group() as group:
            cancelled = anyio.CancelScope()

            async def leader() -> None:
                with cancelled:
                    await http.get(setting.api)

            async def waiter() -> None:
                assert (await http.get(setting.api)).status_code == 200

            group.start_soon(leader)
            await gate.wait_async()
            group.start_soon(waiter)
            await anyio.sleep(0.02)
            cancelled.cancel()
            await anyio.sleep(0.02)
            gate.release()
        assert cancelled.cancelled_caught
        with anyio.fail_after(5):
            assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario)
    assert len(fake.issued) == 1  # what the cancelled leader was issued is what everybody uses


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_request_cancelled_while_it_waits_for_somebodys_renewal_costs_nothing(fake: FakeExbo, backend: str) -> None:
    setting = Setting(Surface(backend), fake)

    async def scenario(client: Any, http: Any) -> None:
        with fake.hold(times=1) as gate:
            async with anyio.create_task_group() as group:
                group.start_soon(client.ensure_app_token)
                await gate.wait_async()
                with anyio.move_on_after(0.05) as waiting:
                    await http.get(setting.api)
                assert waiting.cancelled_caught
                gate.release()
        assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario)
    assert len(fake.issued) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_request_cancelled_at_the_api_leaves_nothing_locked(fake: FakeExbo, backend: str) -> None:
    setting = Setting(Surface(backend), fake)

    async def scenario(client: Any, http: Any) -> None:
        with fake.hold("/api", times=1):
            with anyio.move_on_after(0.05) as waiting:
                await http.get(setting.api)
            assert waiting.cancelled_caught
        fake.supersede()
        with anyio.fail_after(5):
            assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_request_cancelled_while_it_tries_a_refused_token_again_holds_nobody_up(
    fake: FakeExbo, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "PATIENCE", 600.0)
    monkeypatch.setattr(trials, "BOUND", 0.2)
    setting, sent = Setting(Surface(backend), fake), list[Any]()

    async def scenario(client: Any, http: Any) -> None:
        async def cancel_at_the_second(request: Any) -> None:
            sent.append(request)
            if len(sent) == 2:
                scope.cancel()
                await anyio.sleep_forever()

        assert (await http.get(setting.api)).status_code == 200
        fake.supersede()
        http.event_hooks = {"request": [cancel_at_the_second]}
        with anyio.CancelScope() as scope:
            await http.get(setting.api)
        assert scope.cancelled_caught
        with anyio.fail_after(60):
            assert (await http.get(setting.api)).status_code == 200

    setting.run(scenario)


def test_a_mark_that_is_somebody_elses_by_now_is_left_to_him(surface: Surface, fake: FakeExbo) -> None:
    marks, sent = list[tuple[StoreKey, str]](), list[Any]()

    class Marked(MemoryTokenStore):
        def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
            if "#" in key.base_url:
                marks.append((key, owner))
            return super().acquire(key, owner, ttl)

    def take_over_at_the_second(request: Any) -> None:
        sent.append(request)
        if len(sent) == 2:
            store.release(*marks[0])
            assert store.acquire(marks[0][0], "another process", 600)

    async def asynchronously(request: Any) -> None:
        take_over_at_the_second(request)

    async def scenario(client: Any, http: Any) -> None:
        assert (await http.get(setting.api)).status_code == 200
        fake.supersede()
        hook = take_over_at_the_second if surface.blocking else asynchronously
        getattr(http, "blocking", http).event_hooks = {"request": [hook]}
        assert (await http.get(setting.api)).status_code == 200

    store = Marked()
    setting = Setting(surface, fake, store=store)
    setting.run(scenario)
    assert store.holder(marks[0][0]) == "another process"


def test_a_request_that_tries_a_refused_token_again_for_ever_holds_nobody_up(
    surface: Surface, fake: FakeExbo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are on their way when the token dies; one stands still while it tries it again."""
    monkeypatch.setattr(trials, "PATIENCE", 0.2)
    monkeypatch.setattr(trials, "BOUND", 0.2)
    setting, seen = Setting(surface, fake), list[str]()
    begun, trying, free = threading.Event(), threading.Event(), threading.Event()

    def awaited_at(request: Any) -> threading.Event:
        name = request.headers["name"]
        seen.append(name)
        if name == "other":
            begun.set()
            return trying
        if seen.count(name) == 1:
            return begun
        trying.set()
        return free

    def hook(request: Any) -> None:
        assert awaited_at(request).wait(60)

    async def asynchronous_hook(request: Any) -> None:
        event = awaited_at(request)
        while not event.is_set():  # noqa: ASYNC110  # an event of threads
            await anyio.sleep(0.01)

    async def get(http: Any, name: str) -> None:
        assert (await http.get(setting.api, headers={"name": name})).status_code == 200

    async def scenario(client: Any, http: Any) -> None:
        assert (await http.get(setting.api)).status_code == 200
        fake.supersede()
        getattr(http, "blocking", http).event_hooks = {"request": [hook if surface.blocking else asynchronous_hook]}
        if surface.blocking:
            with ThreadPoolExecutor(1) as pool:
                slow = pool.submit(surface.run, get, http, "slow")
                await get(http, "other")
                free.set()
                slow.result(60)
            return
        async with anyio.create_task_group() as group:
            group.start_soon(get, http, "slow")
            await get(http, "other")
            free.set()

    setting.run(scenario)


# The headers that stand in for a token


@LIBRARIES
def test_client_auth_sends_two_headers_and_asks_nobody(surface: Surface, fake: FakeExbo, library: Any) -> None:
    setting = Setting(surface, fake, library)
    answer = setting.run(lambda client, http: http.request("GET", setting.api, json={"a": 1}), "client")
    assert answer.status_code == 200
    [received] = fake.requests
    assert received.request.header("client-id") == fake.app.client_id
    assert received.request.header("client-secret") == fake.app.client_secret
    assert received.request.header("authorization") == ""


@pytest.mark.parametrize("secret", ["sécret", "two words", "tab\tbed", "пароль"])
def test_a_secret_that_cannot_travel_in_a_header_is_refused_at_once(surface: Surface, secret: str) -> None:
    if "\t" in secret:
        with pytest.raises(ConfigurationError, match="client_secret"):
            surface.raw_client(client_secret=secret).client_auth()
        return
    client = surface.raw_client(client_secret=secret)
    with pytest.raises(ConfigurationError, match="visible ASCII") as caught:
        client.client_auth()
    assert secret not in str(caught.value)
    client.app_auth()


@AUTHS
def test_an_auth_object_shows_no_secret(surface: Surface, fake: FakeExbo, auth: str) -> None:
    made = MAKERS[auth](surface.raw_client(fake), hosts="eapi.stalcraft.net")
    assert fake.app.client_secret not in f"{made!r} {made} {vars(made)}"
    assert isinstance(made, httpx.Auth)
    assert isinstance(made, httpx2.Auth)

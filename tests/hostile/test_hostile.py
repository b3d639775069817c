"""Whatever comes in from outside is understood or is one error of ours, and no secret shows in what that says.

What a server says goes through the blocking client, asyncio and trio in turn. The last line of a run counts the inputs.
"""

import json
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth import LoginAttempt, OAuthError, OAuthModel, SQLiteTokenStore, StoreKey, SyncOAuthClient
from exbo_oauth.cli.output import Failure
from exbo_oauth.cli.settings import settings_from
from exbo_oauth.environment import VARIABLES
from exbo_oauth.stores.guard import removed
from exbo_oauth.testing.store_suite import user_entry

from ..surfaces.conftest import Surface
from .tally import count

SECRET = "vErYsEcReT0123456789"
CLIENT: dict[str, Any] = {"client_id": 59, "client_secret": SECRET, "max_retries": 0, "timeout": 20}
TOKEN = {"token_type": "Bearer", "expires_in": 60, "access_token": "a.b.c", "refresh_token": "r"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def changed(whole: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """`whole` with some of it replaced, some left out, and some more."""
    names = st.sampled_from(list(whole))
    changes = st.dictionaries(names | st.text(max_size=8), values, max_size=4)
    return st.builds(
        lambda change, without: {name: value for name, value in (whole | change).items() if name not in without},
        changes,
        st.sets(names, max_size=2),
    )


def outcome_of(act: Callable[[], Any]) -> Any:
    """What `act` gives, or our error, which tells no secret."""
    try:
        outcome = act()
    except OAuthError as error:
        outcome = error
    told = isinstance(outcome, OAuthError)
    assert not told or SECRET not in f"{outcome}{outcome!r}{vars(outcome)}"
    count("told" if told else "understood")
    return outcome


surfaces = st.sampled_from(["sync", "asyncio", "trio"]).map(Surface)


def outcome_on(surface: Surface, client: Any, act: Callable[[Any], Awaitable[Any]]) -> Any:
    """What `act` gives with a client of that surface, which is closed afterwards."""
    count(surface.name)
    return outcome_of(lambda: surface.call(client, act))


# Answers, as bytes on the wire and as an HTTP library hands them on

lines = st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 302 Found", "HTTP/1.0 401 No", "HTTP/1.1 100 Continue", "HTTP/2"])
fields = st.sampled_from(
    (
        "Content-Length: 5",
        "Content-Length: -1",
        "Transfer-Encoding: chunked",
        "Location: http://[",
        "Retry-After: 1e9",
        "Content-Encoding: gzip",
        "Content-Encoding: deflate, br",
        "Set-Cookie: a=b",
        "Connection: close",
        "X: \x80",
    )
)
heads = st.builds(
    lambda line, given: "\r\n".join([line, *given, "", ""]).encode("latin-1"), lines, st.lists(fields, max_size=4)
)
bodies = st.binary(max_size=60) | changed(TOKEN).map(lambda data: json.dumps(data).encode())
wire = st.builds(lambda head, body: head + body, heads, bodies) | st.binary(max_size=80)


class Parrot:
    """A server that says to each request what it was told to say, and hangs up."""

    def __init__(self) -> None:
        self.says = b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(self.says)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(120)


@pytest.fixture(scope="module")
def parrot() -> Iterator[Parrot]:
    with closing(Parrot()) as made:
        yield made


CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "app token": lambda client: client.get_app_token(),
    "code": lambda client: client.get_user_token(SECRET),
    "refresh": lambda client: client.refresh_user_token(SECRET),
    "user info": lambda client: client.validate_user_token(SECRET),
    "managed": lambda client: client.ensure_app_token(),
}


@pytest.mark.parametrize("call", CALLS)
@given(surface=surfaces, said=wire)
def test_any_bytes_of_a_server(parrot: Parrot, call: str, surface: Surface, said: bytes) -> None:
    parrot.says = said
    client = surface.client(**CLIENT, base_url=f"http://127.0.0.1:{parrot.port}/oauth")
    assert isinstance(outcome_on(surface, client, CALLS[call]), OAuthModel | OAuthError)


statuses = st.integers(100, 999) | st.sampled_from([200, 400, 401, 429, 503])
names = st.sampled_from(["retry-after", "date", "location", "content-encoding", "x-ratelimit-reset", "content-type"])
headers = st.lists(st.tuples(names.map(str.encode), st.binary(max_size=20)), max_size=4)


@pytest.mark.parametrize("call", CALLS)
@given(surface=surfaces, status=statuses, headers=headers, body=bodies)
def test_any_answer_of_an_http_library(
    call: str, surface: Surface, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    http = surface.raw_http(transport=httpx.MockTransport(answer))
    client = surface.client(**CLIENT, http_client=http)
    assert isinstance(outcome_on(surface, client, CALLS[call]), OAuthModel | OAuthError)
    assert client.ratelimit is not None


# Callbacks and attempts

PROTOCOL = SyncOAuthClient(**CLIENT)
ATTEMPT = PROTOCOL.begin_login()
parameters = st.sampled_from(["code", "state", "iss", "error", "error_description", "x"])
said = st.sampled_from([ATTEMPT.state, "https://exbo.net", "https://exbo.net/oauth", ""]) | st.text(max_size=8)
queries = st.lists(st.tuples(parameters, said), max_size=6).map(lambda pairs: urlencode(pairs, errors="replace"))
callbacks = st.builds(
    lambda before, query, after: f"{before}{query}{after}",
    st.sampled_from(["http://localhost/?", "?", "", "http://localhost/", "'http://localhost/?", "\x1b[200~http://a/?"]),
    queries | st.text(max_size=30),
    st.sampled_from(["", "'", "\r\n", "#", "\x1b[201~", ".", "&state="]) | st.text(max_size=4),
)


@given(surface=surfaces, callback=callbacks)
def test_any_callback(surface: Surface, callback: str) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=TOKEN)

    client = surface.client(**CLIENT, http_client=surface.raw_http(transport=httpx.MockTransport(answer)))
    attempt = LoginAttempt.from_dict(ATTEMPT.to_dict())
    outcome = outcome_on(surface, client, lambda client: client.finish_login(attempt, callback))
    assert isinstance(outcome, OAuthModel | OAuthError)
    assert len(sent) == isinstance(outcome, OAuthModel)
    assert not sent or ATTEMPT.state in callback


@given(data=changed(ATTEMPT.to_dict()) | values)
def test_any_attempt_from_a_session(data: Any) -> None:
    assert isinstance(outcome_of(lambda: LoginAttempt.from_dict(data)), LoginAttempt | OAuthError)


# Stored entries

KEY = StoreKey("https://exbo.net/oauth", "59", "ivan")
ENTRY = user_entry(1).to_dict()
stored = st.one_of(
    changed(ENTRY).map(json.dumps),
    st.builds(lambda token: json.dumps(ENTRY | {"token": token}), changed(ENTRY["token"])),
    values.map(json.dumps),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
)


@pytest.fixture(scope="module")
def store() -> Iterator[SQLiteTokenStore]:
    with tempfile.TemporaryDirectory() as folder, closing(SQLiteTokenStore(Path(folder, "tokens.db"))) as made:
        yield made


@given(surface=surfaces, text=stored)
def test_any_stored_entry(store: SQLiteTokenStore, surface: Surface, text: str) -> None:
    removed(store, KEY)
    store.swap(KEY, None, user_entry(1))
    store._link.run(lambda database: database.execute("UPDATE entries SET entry = ?", (text,)))
    client = surface.client(**CLIENT, store=store, issue="never")
    outcome = outcome_on(surface, client, lambda client: client.ensure_user_token("ivan"))
    assert isinstance(outcome, OAuthModel | OAuthError)
    assert SyncOAuthClient(**CLIENT, store=store).accounts() == ["ivan"]
    removed(store, KEY)
    assert SyncOAuthClient(**CLIENT, store=store).accounts() == []


# What is configured


@given(given_values=st.dictionaries(st.sampled_from(list(VARIABLES.values())), st.text(max_size=20), max_size=7))
def test_any_environment(given_values: dict[str, str]) -> None:
    clean = {name: value.replace("\0", "") for name, value in given_values.items() if name != "EXBO_STORE"}
    encodable = {name: value.encode("utf-8", "ignore").decode() for name, value in clean.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**encodable, "EXBO_STORE": "memory:", "EXBO_CLIENT_SECRET": SECRET}.items():
            patch.setenv(name, value)
        made = outcome_of(SyncOAuthClient.from_env)
    assert isinstance(made, SyncOAuthClient | OAuthError)


variables = st.sampled_from([*VARIABLES.values(), "OTHER", "export EXBO_CLIENT_ID"])
marks = st.sampled_from(["=", " = ", ":", "", "='", '="', "=${OTHER}", "=${EXBO_CLIENT_SECRET}", "=\\"])
dotenv = st.one_of(
    st.binary(max_size=60),
    st.lists(st.tuples(variables, marks, st.text(max_size=10) | st.just(SECRET)).map("".join), max_size=5).flatmap(
        lambda rows: st.sampled_from(["utf-8", "utf-16", "cp1251"]).map(
            lambda encoding: "\n".join(rows).encode(encoding, "replace")
        )
    ),
)
toml = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from([*VARIABLES, "other"]), st.text(max_size=10) | st.just(SECRET)).map(
        lambda data: "\n".join(f"{name} = {json.dumps(value)}" for name, value in data.items()).encode()
    ),
    st.just(f'client_secret = "{SECRET}\nscope = 5'.encode()),
)


@given(env=dotenv, config=toml)
def test_any_file_of_settings(env: bytes, config: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        here = Path(folder)
        (here / ".env").write_bytes(env)
        (here / "exbo-oauth").mkdir()
        (here / "exbo-oauth" / "config.toml").write_bytes(config)
        patch.chdir(here)
        patch.setenv("XDG_CONFIG_HOME", folder)
        for named in (None, ".env"):
            try:
                told = "".join(settings_from({}, named).remarks)
            except (Failure, OAuthError) as error:
                told = str(error)
            assert SECRET not in told
    count("told" if told else "understood")

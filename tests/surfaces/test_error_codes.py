"""Where one class of errors has several cures, the code tells which one it is, and the error index has each."""

import ast
import os
import re
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from exbo_oauth import LoginAttempt, OAuthError, OAuthProtocol, SyncOAuthClient, parse_callback
from exbo_oauth.misuse import ERROR_INDEX
from exbo_oauth.protocol.messages import Headers, Response
from exbo_oauth.stores import EncryptedTokenStore, MemoryTokenStore, SQLiteTokenStore, StoreKey, store_from_url
from exbo_oauth.testing import FakeExbo

from ..libraries.servers import api
from ..libraries.test_auth import certificate as certificate

ROOT = Path(__file__).parents[2]
INDEX = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
IN_THE_INDEX = set(re.findall(r"^- <a id=.*</a>`(exbo-oauth[\w.-]+)`", INDEX, re.MULTILINE))


@define
class Story:
    """A server, clients of it, their store, and what a test may break of them."""

    fake: FakeExbo
    clients: ExitStack
    store: MemoryTokenStore
    tmp: Path
    monkeypatch: pytest.MonkeyPatch
    certificate: str

    def client(self, **options: Any) -> SyncOAuthClient:
        app = self.fake.app
        given = {"client_id": app.client_id, "client_secret": app.client_secret, "base_url": self.fake.base_url}
        given |= {"store": self.store, "max_retries": 0} | options
        return self.clients.enter_context(SyncOAuthClient(**given))

    def sign_in(self, oauth: SyncOAuthClient, change: Callable[[LoginAttempt], LoginAttempt] = lambda it: it) -> None:
        attempt = oauth.begin_login()
        oauth.finish_login(change(attempt), self.fake.authorize(attempt.url, "ivan"), account="ivan")

    def come_back(self, callback: Callable[[LoginAttempt], str], change: Any = lambda it: it) -> None:
        """A sign-in of which `callback` is the end."""
        oauth = self.client()
        attempt = change(oauth.begin_login())
        oauth.finish_login(attempt, callback(attempt), account="ivan")

    def exchange(self, **changed: Any) -> None:
        """A code, exchanged by hand with something else than belongs to it."""
        oauth = self.client()
        attempt = oauth.begin_login()
        given = {
            "code": parse_callback(self.fake.authorize(attempt.url, "ivan"), state=attempt.state),
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.to_dict()["verifier"],
        }
        oauth.get_user_token(**given | changed)


def nothing_set(story: Story) -> None:
    story.monkeypatch.delenv("EXBO_CLIENT_ID", raising=False)
    SyncOAuthClient.from_env()


def port_taken(story: Story) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/callback"
        story.client(redirect_uri=uri).login("ivan", open_browser=False)


def no_library(story: Story) -> None:
    story.monkeypatch.setitem(sys.modules, "redis", None)
    store_from_url("redis://127.0.0.1/0")


def impatient(story: Story) -> None:
    token = story.client().ensure_app_token()
    gate = story.fake.hold("/oauth/user")
    try:
        story.client(timeout=0.05).validate_user_token(token.access_token)
    finally:
        gate.release()


def nobody_vouches(story: Story) -> None:
    with api(certificate=story.certificate) as server, story.client(base_url=f"{server.url}/oauth") as oauth:
        oauth.ensure_app_token()


def answered(response: Response) -> Callable[[Story], None]:
    """What the core makes of an answer to a request for an application's token."""

    def read(story: Story) -> None:
        OAuthProtocol(client_id=59, client_secret="x" * 40).app_token().parse(response, now=datetime.now(UTC))

    return read


def demo(story: Story) -> None:
    refusal = Response(401, Headers({}), b'{"error": "invalid_client"}')
    protocol = OAuthProtocol(client_id=59, client_secret="x" * 40, base_url="https://dapi.stalzone.com/oauth")
    protocol.app_token().parse(refusal, now=datetime.now(UTC))


def misnamed(story: Story) -> None:
    protocol = OAuthProtocol(client_id=59, client_secret="x" * 40)
    refusal = Response(400, Headers({}), b'{"error": "invalid_grant", "hint": "Invalid redirect URI"}')
    protocol.user_token("a code", "http://localhost").parse(refusal, now=datetime.now(UTC))


def used_refresh_token(story: Story) -> None:
    oauth = story.client()
    story.sign_in(oauth)
    token = oauth.ensure_user_token("ivan")
    oauth.refresh_user_token(token)
    oauth.refresh_user_token(token)


def consent_withdrawn(story: Story) -> None:
    oauth = story.client()
    story.sign_in(oauth)
    story.fake.revoke(oauth.ensure_user_token("ivan"), refresh_too=True)
    oauth.replace_user_token("ivan")


def forgotten_meanwhile(story: Story) -> None:
    class Forgetful(MemoryTokenStore):
        """Somebody signs ivan out while his token is being renewed."""

        renewing = False

        def swap(self, key: StoreKey, expected: int | None, entry: Any) -> bool:
            if self.renewing and entry is not None:
                self.renewing = False
                oauth.forget_user_token("ivan")
            return super().swap(key, expected, entry)

    store = Forgetful()
    oauth = story.client(store=store)
    story.sign_in(oauth)
    store.renewing = True
    oauth.replace_user_token("ivan")


def twice(story: Story) -> None:
    oauth = story.client()
    attempt = oauth.begin_login()
    callback = story.fake.authorize(attempt.url, "ivan")
    oauth.finish_login(attempt, callback)
    oauth.finish_login(attempt, callback)


def of_yesterday(attempt: LoginAttempt) -> LoginAttempt:
    yesterday = attempt.created_at - timedelta(days=1)
    return LoginAttempt.from_dict(attempt.to_dict() | {"created_at": yesterday.isoformat()})


def unsaved(story: Story) -> None:
    class Full(MemoryTokenStore):
        def swap(self, key: StoreKey, expected: int | None, entry: Any) -> bool:
            if entry is not None:
                raise OSError("no space left")
            return super().swap(key, expected, entry)

    oauth = story.client(store=Full())
    oauth.ensure_app_token()


def without_its_key(story: Story) -> None:
    inner = MemoryTokenStore()
    oauth = story.client(store=EncryptedTokenStore(inner, EncryptedTokenStore.new_key()))
    oauth.ensure_app_token()
    oauth = story.client(store=inner)
    oauth.ensure_app_token()


def damaged(story: Story) -> None:
    path = story.tmp / "tokens.db"
    oauth = story.client(store=SQLiteTokenStore(path))
    oauth.ensure_app_token()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE entries SET entry = '{'")
    oauth = story.client(store=SQLiteTokenStore(path))
    oauth.ensure_app_token()


def for_all_to_read(story: Story) -> None:
    path = story.tmp / "open" / "tokens.db"
    path.parent.mkdir(mode=0o755)
    oauth = story.client(store=SQLiteTokenStore(path))
    oauth.ensure_app_token()
    path.chmod(0o644)
    oauth = story.client(store=SQLiteTokenStore(path))
    oauth.ensure_app_token()


def of_another_user(story: Story) -> None:
    path = story.tmp / "tokens.db"
    path.touch(0o600)
    if os.geteuid() == 0:
        os.chown(path, 4_000_000, -1)
    else:  # who cannot give it away becomes somebody else
        story.monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with closing(SQLiteTokenStore(path)) as store:
        list(store.keys())


SITUATIONS: dict[str, Callable[[Story], object]] = {
    "configuration.missing-setting": nothing_set,
    "configuration.plain-http": lambda story: story.client(base_url="http://exbo.net/oauth"),
    "configuration.not-installed": no_library,
    "configuration.copied-along": lambda story: story.client(client_secret="of 40 letters \n"),
    "configuration.port-taken": port_taken,
    "read-only.no-token": lambda story: story.client(issue="never").ensure_app_token(),
    "read-only.write": lambda story: story.sign_in(story.client(issue="never")),
    "transport.name": lambda story: story.client(base_url="https://exbo.invalid/oauth").ensure_app_token(),
    "transport.certificate": nobody_vouches,
    "transport.timeout": impatient,
    "invalid-request.redirect-uri": lambda story: story.exchange(redirect_uri="http://localhost/other"),
    "invalid-request.code-verifier": lambda story: story.come_back(
        lambda attempt: story.fake.authorize(re.sub("&code_challenge.*", "", attempt.url), "ivan")
    ),
    "invalid-client.demo": demo,
    "invalid-grant.dead.code": lambda story: story.exchange(code="def50200"),
    "invalid-grant.dead.refresh-token": used_refresh_token,
    "invalid-grant.dead.code-verifier": lambda story: story.exchange(code_verifier="v" * 43),
    "invalid-grant.dead.redirect-uri": misnamed,
    "malformed-response.redirect": answered(Response(302, Headers({"location": "https://exbo.net"}), b"")),
    "malformed-response.web-page": answered(Response(200, Headers({}), b"<!doctype html>")),
    "callback.refused": lambda story: story.come_back(lambda it: f"?error=invalid_scope&state={it.state}"),
    "callback.unreadable": lambda story: story.come_back(lambda it: f"?state={it.state}&code=1&code=2"),
    "callback.state-mismatch.missing": lambda story: story.come_back(lambda _: "http://localhost/?code=1"),
    "callback.attempt-used.finished": twice,
    "callback.attempt-used.too-old": lambda story: story.come_back(lambda _: "", of_yesterday),
    "login-required.never": lambda story: story.client().ensure_user_token("ivan"),
    "login-required.refused": consent_withdrawn,
    "login-required.forgotten": forgotten_meanwhile,
    "store.unsaved": unsaved,
    "store.key": without_its_key,
    "store.damaged": damaged,
    "store.owner": of_another_user,
    "store.readable": for_all_to_read,
}


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str) -> Iterator[Story]:
    fake = FakeExbo(dialect="league-9")
    fake.app = fake.add_app(redirect_uris=["http://localhost", "http://localhost/other"])
    with fake.serve(), ExitStack() as clients:
        yield Story(fake, clients, MemoryTokenStore(), tmp_path, monkeypatch, certificate)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_error_says_in_its_code_which_cure_it_needs(story: Story, situation: str) -> None:
    if situation in ("store.owner", "store.readable") and sys.platform == "win32":
        pytest.skip("files have no modes and owners of that kind there")
    with pytest.raises(OAuthError) as caught:
        SITUATIONS[situation](story)
    code = f"exbo-oauth.{situation}"
    assert caught.value.code == code
    assert code.startswith(f"{type(caught.value).code}.")
    assert caught.value.__notes__ == [f"{code}: {ERROR_INDEX}#{code.replace('.', '-')}"]


def test_the_index_has_these_situations_and_no_others() -> None:
    assert {f"exbo-oauth.{situation}" for situation in SITUATIONS} == IN_THE_INDEX


def test_no_situation_is_told_that_was_never_met() -> None:
    """Whatever the source puts behind a code is the end of one of these."""
    told: set[str] = set()
    for path in (ROOT / "exbo_oauth").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(call, ast.Call)
                and getattr(call.func, "id", None) in ("narrowed", "Advice")
                and call.args[1:]
            ):
                told |= {one.value for one in ast.walk(call.args[1]) if isinstance(one, ast.Constant) and one.value}
    assert told <= {situation.rpartition(".")[2] for situation in SITUATIONS}
    assert len(told) > 15

"""A server that goes on where an earlier one stopped, by the file that was kept."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import ConfigurationError, InvalidGrantError, SyncOAuthClient, UnauthenticatedError
from exbo_oauth.testing import App, FakeExbo

from .scenario import ANY, CALLBACK, Scenario, code_in

MOMENT = 1_795_461_998.5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.json"


def server(path: Path, **knobs: Any) -> FakeExbo:
    return FakeExbo(state=path, **{"clock": lambda: MOMENT} | knobs)


def client_of(fake: FakeExbo) -> SyncOAuthClient:
    import httpx

    http_client = httpx.Client(transport=fake.transport())
    app = fake.app
    return SyncOAuthClient(
        client_id=app.client_id,
        client_secret=app.client_secret,
        base_url=fake.base_url,
        redirect_uri=CALLBACK,
        http_client=http_client,
    )


def test_tokens_codes_and_people_are_there_again(path: Path) -> None:
    before = server(path)
    client = client_of(before)
    anna = before.add_user("anna", display_login="Anna")
    ended = client.get_app_token()
    app_token = client.get_app_token()
    url = client.get_authorize_url(state="x")
    used, code, spare = (code_in(before.authorize(url, login)) for login in ("anna", "ivan", "steam-guest"))
    token = client.get_user_token(used)
    before.save()

    now = server(path)
    client = client_of(now)
    assert now.app == before.app
    assert now.users == before.users
    assert now.is_live(app_token)
    assert not now.is_live(ended)
    assert client.validate_user_token(token).id == anna.id
    with pytest.raises(InvalidGrantError):
        client.get_user_token(used)
    for waiting, login in ((code, "ivan"), (spare, "steam-guest")):
        assert client.validate_user_token(client.get_user_token(waiting)).login == login
    refreshed = client.refresh_user_token(token)
    with pytest.raises(UnauthenticatedError):
        client.validate_user_token(token)
    assert client.validate_user_token(refreshed).login == "anna"
    now.save()
    with pytest.raises(InvalidGrantError):
        client_of(server(path)).refresh_user_token(token)  # it was spent before the file was written
    assert [token.number for token in now.issued] == [1, 2, 3, 4, 5, 6]
    assert now.add_user("boris").id == 4


def test_the_story_goes_on(path: Path) -> None:
    before = server(path)
    client_of(before).get_app_token()
    client_of(before).get_app_token()
    before.advance(60)
    before.save()
    now = server(path)
    assert (now.now - before.now).total_seconds() == 0
    client_of(now).get_app_token()
    assert [(event.number, event.kind, event.token, event.by) for event in now.events] == [
        (1, "issued", 1, None),
        (2, "issued", 2, None),
        (3, "superseded", 1, 2),
        (4, "issued", 3, None),
        (5, "superseded", 2, 3),
    ]
    assert [event.asker.partition("/")[0] for event in now.events] == ["exbo-oauth"] * 5


def test_what_was_revoked_and_removed_stays_so(path: Path) -> None:
    before = server(path)
    other = before.add_app("Other")
    before.revoke_app(other)
    before.remove_user("steam-guest")
    before.save()
    now = server(path)
    assert [app.name for app in now.apps] == ["Sandbox application", "Other"]
    assert [user.login for user in now.users] == ["ivan"]
    assert now.add_user("carla").id == 3  # an id is never given twice
    with pytest.raises(ConfigurationError, match="Client authentication failed"):
        now.authorize(f"{now.base_url}/authorize?response_type=code&client_id={other.client_id}")


def test_an_application_that_is_given_takes_its_place_with_more_redirect_uris(path: Path) -> None:
    app = App(client_id="59", client_secret="s" * 40, redirect_uris=("http://localhost/a",), name="Bot")
    before = server(path, app=app)
    assert before.add_redirect_uri("http://localhost/b").redirect_uris == ("http://localhost/a", "http://localhost/b")
    before.save()
    now = server(
        path, app=App(client_id="59", client_secret="t" * 40, redirect_uris=("http://localhost/c",), name="Bot")
    )
    assert now.app.client_secret == "t" * 40
    assert now.app.redirect_uris == ("http://localhost/c", "http://localhost/a", "http://localhost/b")
    assert now.apps == [now.app]
    assert server(path, app=App(client_id="60", client_secret="", redirect_uris=(), name="New")).app.client_id == "60"


def test_of_what_is_dead_the_newest_is_kept(path: Path) -> None:
    before = server(path)
    survivor = before.supersede(user="ivan")
    for _ in range(1100):
        last = before.supersede()
    before.save()
    now = server(path)
    assert len(now.issued) == 1001
    assert now.is_live(survivor.access_token)
    assert now.is_live(last.access_token)


def test_serving_saves_at_its_end(path: Path) -> None:
    with pytest.raises(RuntimeError), server(path).serve():
        raise RuntimeError("the test fails")
    assert len(server(path).users) == 2
    assert path.exists()


def test_there_may_be_no_file_yet_or_none_at_all(path: Path) -> None:
    assert server(path).users
    assert not path.exists()
    with pytest.raises(ConfigurationError, match="there is no file to save to"):
        FakeExbo().save()


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_file_is_its_owners_alone(path: Path) -> None:
    path.write_text(json.dumps({}))
    path.chmod(0o644)
    path.unlink()
    before = os.umask(0)
    try:
        server(path).save()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_goes_on_leading_to_the_file(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "state.json"
    target.parent.mkdir()
    path.symlink_to(target)
    server(path).save()
    assert path.is_symlink()
    assert json.loads(target.read_text())["version"] == 1


def test_a_reader_finds_a_whole_file_whenever_it_looks(path: Path) -> None:
    fake = server(path)
    fake.save()
    over = threading.Event()

    def write() -> None:
        for _ in range(60):
            fake.supersede()
            fake.save()
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(json.loads(path.read_text(encoding="utf-8"))["token_number"])
    writer.join()
    assert json.loads(path.read_text(encoding="utf-8"))["token_number"] == 60
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_before_is_left_where_no_new_one_can_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = server(path)
    fake.save()
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match=r"sandbox\.json: No space left on device"):
        fake.save()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write the sandbox's state to .*nowhere"):
        server(tmp_path / "nowhere" / "x.json").save()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "something else is in it"),
        (b'{"format": "exbo-oauth sandbox", "version": 2}', "its version is 2, and this exbo-oauth knows version 1"),
        (b'{"format": "exbo-oauth sandbox", "version": 1}', "missing @ "),
    ],
)
def test_a_file_that_is_something_else_is_left_alone(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        server(path)
    assert str(raised.value).startswith(f"{path} is not a sandbox's state: {reason}")
    assert str(raised.value).endswith("; name another file, or remove it")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("users", 0, "id"), "x", "$.users[0].id"),
        (("tokens", 0, "access_token"), None, "$.tokens[0].access_token"),
        (("apps", 0, "redirect_uris"), 5, "$.apps[0].redirect_uris"),
        (("ahead",), "soon", "$.ahead"),
    ],
)
def test_what_does_not_fit_is_named(path: Path, place: tuple[Any, ...], value: Any, told: str) -> None:
    fake = server(path)
    fake.supersede()
    fake.save()
    data = within = json.loads(path.read_text())
    for step in place[:-1]:
        within = within[step]
    within[place[-1]] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigurationError) as raised:
        server(path)
    assert told in str(raised.value)
    assert "eyJ" not in str(raised.value)


def test_browsers_sign_in_again_and_see_what_happened(path: Path) -> None:
    before = Scenario(state=path)
    before.sign_in()
    before.pair()
    before.fake.save()
    now = Scenario.__new__(Scenario)
    now.fake, now.cookie = server(path), before.cookie
    assert now.visit().status == 302
    assert b"Token #1 was issued to ivan in application 1" in now.send("GET", "/", ANY).content

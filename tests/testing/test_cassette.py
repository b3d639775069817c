"""What a server was asked and answered, as a failing test shows it: everything that explains, and no secret."""

import json
import re
from base64 import b64encode

import pytest

from exbo_oauth.protocol.messages import Response

from .scenario import ANY, CALLBACK, JSON, Scenario, basic, code_in, field


def lines(s: Scenario) -> list[str]:
    """The cassette without the moments of requests."""
    return [re.sub(r"(#\d+) [\d:.]{15}", r"\1", line) for line in s.fake.cassette().splitlines()]


def test_nothing_was_asked_yet() -> None:
    assert Scenario().fake.cassette() == ""


def test_a_browsers_way_is_told_without_what_it_carries() -> None:
    s = Scenario()
    s.visit()
    s.sign_in()
    page = s.visit()
    location = s.approve(page).headers["location"]
    told = lines(s)
    for line in (
        "#1 GET /oauth/authorize -> 302",
        f"    > ?client_id=1&redirect_uri={CALLBACK}&response_type=code&scope=&state=***",
        "    < location: http://server.test/login",
        "    > _token=***&login=ivan",
        "    = ivan signed in.",
        f"    < location: {CALLBACK}?code=<code for ivan in application 1>&state=***",
        "    = ivan authorized application 1.",
        "    > cookie: ***",
    ):
        assert line in told
    secrets = (
        code_in(location),
        "st-123",
        s.cookie.partition("=")[2],
        field(page, "_token"),
        field(page, "auth_token"),
    )
    assert not [secret for secret in secrets if secret in s.fake.cassette()]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {token}"},
        {"authorization": "{token}"},
        {"authorization": "bearer {token}"},
        {"cookie": "session={token}"},
        {"client-id": "1", "client-secret": "{secret}"},
        {"authorization": "Basic {basic}"},
        {"user-agent": "bot with {secret} and {token}"},
    ],
    ids=lambda headers: next(iter(headers.values()))[:12],
)
def test_no_header_shows_a_secret(headers: dict[str, str]) -> None:
    s = Scenario()
    secret, token = s.first.client_secret, s.app_pair().access_token
    encoded = b64encode(f"1:{secret}".encode()).decode()
    s.send(
        "GET", "/api", {name: text.format(token=token, secret=secret, basic=encoded) for name, text in headers.items()}
    )
    assert not [hidden for hidden in (secret, token, encoded) if hidden in s.fake.cassette()]
    assert lines(s)[-1].strip().startswith(("<", "="))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", "client_secret={secret}&password=hunter2hunter2"),
        ("application/x-www-form-urlencoded", "clientSecret={secret}&refresh={refresh}"),
        (
            "application/json",
            '{{"a": [{{"refresh_token": "{refresh}"}}, {{"Password": "hunter2hunter2"}}], "x": "{secret}"}}',
        ),
        ("application/json", '{{"code": ["{secret}"], "{refresh}": 1}}'),
        ("application/json", '{{"client_secret": "{secret}'),
        ("text/plain", "{secret}"),
    ],
)
def test_no_body_shows_a_secret(kind: str, body: str) -> None:
    s = Scenario()
    secret, refresh = s.first.client_secret, s.pair().refresh_token or ""
    s.send("POST", "/oauth/token", JSON | {"content-type": kind}, body.format(secret=secret, refresh=refresh).encode())
    assert not [hidden for hidden in (secret, refresh, "hunter2hunter2") if hidden in s.fake.cassette()]


def test_which_token_it_was_is_said() -> None:
    s = Scenario(invalidate="all")
    old = s.pair()
    s.pair()
    s.refresh(old.refresh_token or "")
    s.user(old.access_token)
    s.app_token(client_secret="another")
    s.send("POST", "/oauth/token", JSON | basic("1", s.first.client_secret), b"")
    told = s.fake.cassette()
    for part in (
        "refresh_token=<refresh token #1>",
        "authorization: Bearer <access token #1>",
        "client_secret=<secret of application 1>",
        "client_secret=***",
        "authorization: Basic ***",
    ):
        assert part in told


def test_a_lost_and_a_scripted_answer_are_seen_for_what_they_are() -> None:
    s = Scenario()
    s.fake.lose_next_answer()
    with pytest.raises(ConnectionError):
        s.app_token()
    s.fake.answer_next(Response(503, {"content-type": "text/html", "retry-after": "7"}, b"<h1>later</h1>"))
    s.app_token()
    s.fake.lose_next_answer(processed=False)
    with pytest.raises(ConnectionError):
        s.app_token()
    told = lines(s)
    assert "#1 POST /oauth/token -> lost" in told
    assert "    = The answer to a request (client_credentials) was lost: the server had processed it." in told
    assert "#2 POST /oauth/token -> 503" in told
    assert told.index("    < retry-after: 7") == told.index("    < (text/html, 14 bytes)") - 1
    never_heard = told[told.index("#3 POST /oauth/token -> lost") :]
    assert not [line for line in never_heard if line.startswith("    <")]


def test_a_long_story_is_cut() -> None:
    s = Scenario()
    for _ in range(120):
        s.send("GET", "/oauth/user", ANY)
    told = lines(s)
    assert told[0] == "(70 earlier requests are left out)"
    assert len([line for line in told if line.startswith("#")]) == 50
    assert [received.response is None for received in s.fake.requests].count(True) == 20


def test_what_a_stranger_sends_cannot_play_with_a_terminal() -> None:
    s = Scenario()
    s.send("GET", "/\x1b[2J", JSON | {"user-agent": "\x1b]0;x\x07"})
    s.post("/oauth/token", {"grant_type": "\u202eabc", "\r\n#9": "x"})
    told = s.fake.cassette()
    assert all(char.isprintable() or char == "\n" for char in told)
    assert len([line for line in told.splitlines() if line.startswith("#")]) == 2


def test_the_answer_to_a_request_is_kept() -> None:
    s = Scenario()
    s.app_token()
    assert "access_token" in json.loads((s.fake.requests[0].response or Response(500)).content)
    assert "eyJ" not in repr(s.fake.requests[0].response)

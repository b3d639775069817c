"""The story of the timeline in words: what happened, why, and whose request led to it."""

import re
from hashlib import sha256
from html import unescape

import pytest

from .scenario import ANY, JSON, OTHER, Scenario

REGISTERED = "https://site.example/callback"


def told(s: Scenario, language: str = "en") -> list[str]:
    """The timeline's items, newest first, as a reader has them."""
    page = s.send("GET", "/sandbox/timeline", ANY | {"accept-language": language}).content.decode()
    items = re.findall(r"<time[^>]*>.*?</time>(.*?)(?=<time|</ol>)", page)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", item)).split()) for item in items]


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        ("http://site.example/callback", "what stands before :// differs"),
        ("https://me@site.example/callback", "the user name in it differs"),
        ("https://www.site.example/callback", "the host differs"),
        ("https://site.example:8443/callback", "the port differs"),
        ("https://site.example/oauth", "the path differs"),
        ("https://site.example/callback?from=exbo", "what follows the question mark differs"),
        ("https://site.example/callback#top", "what follows the # differs"),
        ("https://site.example/callback/", "the slash at the end differs"),
        ("https://site.example/Callback", "capital letters differ"),
    ],
)
def test_a_near_miss_of_a_redirect_uri_is_explained(asked: str, difference: str) -> None:
    s = Scenario()
    app = s.fake.add_app(redirect_uris=(OTHER, REGISTERED))
    assert s.visit(app, redirect_uri=asked).status == 401
    assert told(s)[0] == (
        f"The redirect URI {asked} is not registered for application {app.client_id}; only {difference} from "
        f"{REGISTERED}. EXBO itself tells nobody: the browser just does not come back. "
        "--redirect-uri URI registers one more (in code: fake.add_redirect_uri). Registered are: "
        f"{OTHER} {REGISTERED}"
    )


@pytest.mark.parametrize(
    "asked",
    ["nowhere", "http://elsewhere.example/x", "https://[", "<b>", "", "http://127.0.0.1:1/callback?"],
    ids=ascii,
)
def test_any_other_redirect_uri_is_named_beside_the_registered_ones(asked: str) -> None:
    s = Scenario()
    app = s.fake.add_app(redirect_uris=(OTHER, REGISTERED))
    s.visit(app, redirect_uri=asked or None)
    named = f"The redirect URI {asked} is not" if asked else "The request named no redirect URI"
    assert told(s)[0].startswith(named)
    assert told(s)[0].endswith(f"Registered are: {OTHER} {REGISTERED}")
    assert REGISTERED in told(s, "ru")[0]


def test_at_the_exchange_the_program_is_said_to_read_something_else() -> None:
    s = Scenario("league-8")
    s.exchange(s.code(), redirect_uri="https://a.example/x")
    assert told(s)[0].startswith("The redirect URI https://a.example/x is not registered for application 1.")
    assert "What the program reads is only that its authentication failed." in told(s)[0]


def test_whose_request_ended_a_token_is_told() -> None:
    s = Scenario(invalidate="all")
    s.app_token(JSON | {"user-agent": "exbo-oauth/1.2 (host a)"})
    s.app_token(JSON | {"user-agent": "curl/8.5.0"})
    name = sha256(s.fake.issued[1].access_token.encode()).hexdigest()[:8]  # as events and the status command have it
    assert told(s)[:2] == [
        "Token #1 of application 1 died: #2 took its place. curl/8.5.0",
        f"Token #2 was issued to application 1 (client_credentials). SHA-256 {name}… · curl/8.5.0",
    ]
    assert told(s)[2].endswith("exbo-oauth/1.2")
    assert [(event.request, event.asker) for event in s.fake.events] == [
        (1, "exbo-oauth/1.2"),
        (2, "curl/8.5.0"),
        (2, "curl/8.5.0"),
    ]


def test_what_a_test_does_itself_is_nobodys_request() -> None:
    s = Scenario(invalidate="all")
    s.app_token(JSON | {"user-agent": "curl/8.5.0"})
    s.fake.supersede()
    assert told(s)[0] == "Token #1 of application 1 died: #2 took its place. by hand"
    assert told(s, "ru")[0].endswith("вручную")


@pytest.mark.parametrize("agent", ["", "\x1b[2J", "<script>", "x" * 1000, "я"], ids=ascii)
def test_no_programs_name_spoils_the_page(agent: str) -> None:
    s = Scenario()
    s.app_token(JSON | {"user-agent": agent})
    page = s.send("GET", "/sandbox/timeline", ANY).content.decode()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "x" * 41 not in page


@pytest.mark.parametrize(
    ("began", "sentence"),
    [
        (
            1_795_000_001.0,
            "A token of application 1 from an earlier run of this sandbox was refused: this run",
        ),
        (1_794_999_999.0, "A token that was never issued here was refused."),
    ],
    ids=["older", "younger"],
)
def test_a_token_that_is_older_than_this_run_is_said_to_be_an_earlier_ones(began: float, sentence: str) -> None:
    token = Scenario(clock=lambda: 1_795_000_000.0).app_pair().access_token
    s = Scenario(clock=lambda: began)
    assert s.resource(token).status == s.send("GET", "/api", JSON | {"authorization": f"Bearer {token}"}).status == 401
    assert [line.startswith(sentence) for line in told(s)] == [True, True]


def test_the_token_of_a_user_of_an_earlier_run_wants_a_sign_in() -> None:
    token = Scenario(clock=lambda: 1_795_000_000.0).pair().access_token
    s = Scenario(clock=lambda: 1_795_000_001.0)
    s.resource(token)
    [line] = told(s)
    assert line.startswith("A token of ivan in application 1 from an earlier run of this sandbox was refused")
    assert "exbo-oauth login --user ACCOUNT" in line
    assert "refresh" not in line


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "a.bnVsbA.c", "a.eyJhdWQiOiI5OTkifQ.c", "." * 5])
def test_any_other_token_was_never_issued_here(token: str) -> None:
    s = Scenario()
    s.resource(token)
    assert told(s)[0] == "A token that was never issued here was refused."


@pytest.mark.parametrize(
    ("authorization", "sentence"),
    [
        ("Bearer AppToken(token_type='Bearer', access_token=***)", "What was sent as a token is the mask *** of one"),
        ("Bearer ***", "What was sent as a token is the mask *** of one, as in an f-string: use token.authorization"),
        ("Bearer garbage", "A token that was never issued here was refused."),
    ],
)
def test_the_mask_of_a_token_is_recognised(authorization: str, sentence: str) -> None:
    s = Scenario()
    for path in ("/api/regions", "/oauth/user", "/demo/app"):
        assert s.send("GET", path, JSON | {"authorization": authorization}).status == 401
    assert [line.startswith(sentence) for line in told(s)] == [True] * 3


def test_why_a_token_request_was_refused_is_told_in_either_language() -> None:
    s = Scenario()
    old = s.pair()
    s.refresh(old.refresh_token or "")
    s.refresh(old.refresh_token or "")
    s.refresh("def50200")
    s.app_token(client_secret="wrong")
    s.app_token(client_id="77")
    english, russian = (told(s, language)[:4] for language in ("en", "ru"))
    for line, reason in zip(
        english,
        (
            "there is no application 77 here; those that there are: 1, 2, 3, ",
            "the secret is not that of application 1.",
            "this refresh token was never issued here, or by an earlier run of this sandbox: sign in again",
            "the refresh token of #1 is spent: it was refreshed into #2.",
        ),
        strict=True,
    ):
        assert f"was refused with 401: {reason}" in line
    for line, reason in zip(
        russian,
        (
            "приложения 77 здесь нет, есть: 1, 2, 3, ",
            "секрет не от приложения 1.",
            "такого refresh-токена здесь не выдавали или выдал прежний запуск песочницы: войдите снова",
            "refresh-токен от #1 уже использован: вместо него #2.",
        ),
        strict=True,
    ):
        assert re.search(r"Отказ 401 на запрос приложения \d+ \(\w+\): ", line)
        assert reason in line

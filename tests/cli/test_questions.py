"""Ten questions that developers asked EXBO, each answered from what they typed: by `doctor`, or by an error itself."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import LoginTimeoutError, RateLimit, SyncOAuthClient
from exbo_oauth.cli import apis, trying
from exbo_oauth.cli.apis import (
    BEARER,
    PAIR,
    ApiAnswer,
    Asked,
    api_findings,
    asked_at,
    headers_of_pair,
    headers_of_token,
)
from exbo_oauth.cli.findings import Finding
from exbo_oauth.cli.hosts import API_HOSTS, ApiHost, apis_of, known_host, similar_hosts
from exbo_oauth.cli.probing import whence
from exbo_oauth.masking import Secret
from exbo_oauth.testing import FakeExbo
from exbo_oauth.testing.jwt import signed

Told = Callable[..., str]


@pytest.fixture
def told(shell: Any, exbo: Any) -> Told:
    """All that `doctor` says to these flags, in one line."""

    def ask(*flags: str, **options: Any) -> str:
        report = json.loads(shell.within("doctor", "--json", *flags, **options).stdout)
        return " ".join(f"{one['text']}. {one['cure']}" for one in report["findings"])

    return ask


def tried(*outcomes: Asked) -> str:
    """What `doctor --api` makes of these answers, in one line."""
    return " ".join(
        f"{finding.level}: {finding.text}. {finding.cure}" for finding in api_findings(list(outcomes), "Another one.")
    )


def verdict(*outcomes: Asked) -> Finding:
    return list(api_findings(list(outcomes), "Another one."))[-1]


REAL, ANOTHER, THIRD, DEMO, _ = API_HOSTS
TAKEN, REFUSED = ApiAnswer(200), ApiAnswer(401, "Corrupted or illegal authorization token")
AWAY = ApiAnswer(None, "[Errno -2] Name or service not known")


# 1, 4, 48: signed in, and the browser never came back


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000/code", "http://localhost:4200/code"])
def test_the_browser_never_came_back(uri: str, free_port: int) -> None:
    uri = uri.replace("5000", str(free_port)).replace("4200", str(free_port))
    with SyncOAuthClient(client_id=59, client_secret="x", redirect_uri=uri) as client:
        with pytest.raises(LoginTimeoutError) as caught:
            client.login(open_browser=False, timeout=0.1)
    said = str(caught.value)
    for word in (
        uri,
        "letter by letter",
        "scheme, host, port, path",
        "slash at the end",
        "/myapps",
        "@stalzone_api_bot",
    ):
        assert word in said


def test_the_browser_never_came_back_asked_of_the_doctor(told: Told, exbo: Any) -> None:
    said = told("--offline", EXBO_OAUTH_URL="")
    for word in (exbo.redirect_uri, "letter by letter", "scheme, host, port, path", "/myapps in @stalzone_api_bot"):
        assert word in said


def test_the_browser_never_came_back_to_a_tunnel(told: Told) -> None:
    said = told("--offline", EXBO_REDIRECT_URI="https://1f2a-95.ngrok-free.app/code")
    assert "Register it anew each time (/myapps in @stalzone_api_bot takes up to ten)" in said
    assert "http://localhost:8080/callback" in said


# 2: the header pair is refused while the example's works


def test_the_example_works_and_ours_does_not() -> None:
    said = tried(Asked(REAL, {PAIR: REFUSED}), Asked(DEMO, {PAIR: TAKEN}))
    assert f"these are the demo's credentials: {DEMO.name} takes them, and no other host does" in said
    assert "register an application of your own: /newapp in @stalzone_api_bot" in said


# 8: 401 although the token request succeeded


@pytest.mark.parametrize(
    "copied",
    [
        "Bearer {}",
        '"bearer {}"',
        "Authorization: Bearer {}",
        "'authorization: Bearer {}'",
        '"Authorization": "Bearer {}"',
    ],
)
def test_the_header_was_not_the_right_one(told: Told, exbo: Any, copied: str) -> None:
    said = told("--token-file", "-", stdin=copied.format(exbo.user_token().access_token))
    assert '"Bearer " is part of what was copied' in said
    assert "The header that takes it: Authorization: Bearer, a space, and the token" in said


# 40, 46: a token out of the site's own storage


def test_a_token_of_the_site(told: Told) -> None:
    said = told("--offline", "--token-file", "-", stdin=signed({"aud": "3", "exp": 9e9}))
    assert "it belongs to client 3, not to 59" in said
    assert "the site's own or another program's token, such as one copied out of a browser" in said
    assert "exbo-oauth token" in said


def test_a_session_of_the_site(told: Told) -> None:
    said = told("--offline", "--token-file", "-", stdin="5f4dcc3b5aa765d61d8327deb882cf99")
    assert "this is not a JWT" in said
    assert "What a browser keeps of EXBO's site is the site's own, and no API takes it." in said


# 47: "Corrupted or illegal authorization token"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiI", "this is not a JWT"),
        (signed({"aud": "1", "exp": 9e9}), "it is the demo's (client 1)"),
        (signed({"aud": "59", "iat": 1, "exp": 2}), "ended at 1970-01-01 00:00:02 UTC"),
        (signed({"aud": "59", "exp": 9e9}), "an access token of client 59 that has not expired"),
    ],
    ids=["cut off", "of the demo", "expired", "good"],
)
def test_a_token_that_the_documentation_page_does_not_take(told: Told, token: str, words: str) -> None:
    assert words in told("--offline", "--token-file", "-", stdin=token)


# 73: a token of a year stopped working overnight


def test_its_year_is_over(told: Told) -> None:
    ended = datetime.now(UTC) - timedelta(hours=6)
    issued = ended - timedelta(days=365)
    token = signed({"aud": "59", "iat": issued.timestamp(), "exp": ended.timestamp()})
    said = told("--offline", "--token-file", "-", stdin=token)
    assert f"it was issued at {issued:%Y-%m-%d %H:%M:%S} UTC and ended at {ended:%Y-%m-%d %H:%M:%S} UTC" in said
    assert "whatever EXBO's bot shows" in said
    assert "ensure_app_token(), app_auth() and user_auth() renew it by themselves" in said


# 33, 82: how many requests a minute, and twice as many with two tokens?


def test_how_many_requests_a_minute(told: Told, shell: Any, exbo: Any) -> None:
    shell.within("token")
    said = told("--api")
    assert "of 400 points are left, all again at " in said
    assert "a call costs 1, one of the auction 2, and a second token of the same application gets no more" in said


def test_the_points_are_used_up(told: Told, shell: Any, exbo: Any) -> None:
    shell.within("token")
    headers = {"x-ratelimit-limit": "400", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1790000000000"}
    for _ in range(3):
        exbo.fake.answer_next(exbo_limit(headers), path="/api/RU/emission")
    said = told("--api")
    assert "0 of 400 points are left, all again at 2026-09-21 14:13:20 UTC" in said
    assert "Wait until then. The headers x-ratelimit-* say how many are left" in said


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"limit": "400", "remaining": "7"}, "7 of 400 points are left; points a minute"),
        ({"limit": "400"}, None),
    ],
    ids=["no reset", "no count"],
)
def test_only_what_is_counted_is_told(headers: dict[str, str], words: str | None) -> None:
    limits = RateLimit.from_headers({f"x-ratelimit-{name}": value for name, value in headers.items()})
    said = [one.text for one in api_findings([Asked(REAL, {PAIR: ApiAnswer(200, limits=limits)})], "Another one.")]
    assert len(said) == (3 if words else 2)
    assert said[1].startswith(words or "use ")


def exbo_limit(headers: dict[str, str]) -> Any:
    from exbo_oauth.protocol import Response

    body = b'{"title": "Too Many Requests", "status": 429, "details": {}}'
    return Response(429, {"content-type": "application/json", **headers}, body)


# 93: a host without the e in front


@pytest.mark.parametrize("url", ["https://api.stalcraft.net", "https://api.stalzone.com/", "https://eapi.stalcraft.ru"])
def test_the_host_is_nearly_right(told: Told, url: str) -> None:
    said = told("--offline", EXBO_API_URL=url)
    assert "the API is at eapi.stalcraft.net and eapi.stalzone.com and eapi.stalzone.net" in said


def test_the_host_is_nearly_right_when_it_is_tried() -> None:
    said = tried(Asked(ApiHost("https://api.stalcraft.net", "EXBO_API_URL"), {PAIR: AWAY}), Asked(REAL, {PAIR: TAKEN}))
    assert "There is no api.stalcraft.net of EXBO's: the API is at eapi.stalcraft.net and" in said
    assert "use https://eapi.stalcraft.net: it takes the header pair" in said


def test_what_is_right_or_quite_different_is_not_a_slip() -> None:
    assert [similar_hosts(host.name) for host in API_HOSTS] == [[]] * len(API_HOSTS)
    assert [similar_hosts(name) for name in ("exbo.net", "localhost", "127.0.0.1", "prices.example.org", "")] == [
        []
    ] * 5


# 101, 111: the bot does not answer


@pytest.mark.parametrize(
    "settings",
    [{"EXBO_CLIENT_ID": ""}, {"EXBO_REDIRECT_URI": "https://a.ngrok.io/"}],
    ids=["not registered", "a redirect URI"],
)
def test_the_bot_that_is_in_use_is_named(told: Told, settings: dict[str, str]) -> None:
    assert "@stalzone_api_bot" in told(**settings)


# 107: a fresh secret, and 401 everywhere


@pytest.mark.parametrize(
    "answers",
    [{PAIR: REFUSED}, {PAIR: REFUSED, BEARER: REFUSED}, {PAIR: ApiAnswer(403, "Forbidden")}],
    ids=["the pair", "both", "forbidden"],
)
def test_everything_is_refused_everywhere(answers: Any) -> None:
    outcomes = [*(Asked(host, answers) for host in (REAL, ANOTHER, DEMO)), Asked(THIRD, dict.fromkeys(answers, AWAY))]
    found = verdict(*outcomes)
    assert found.level == "problem"
    assert "not approved yet" in found.cure
    assert "The bot shows client id and secret before that" in found.cure
    assert "@stalzone_api_bot" in found.cure
    said = tried(*outcomes)
    for host in (REAL, ANOTHER, THIRD, DEMO):
        assert host.source in said


def test_the_credentials_are_refused_by_the_oauth_service(told: Told) -> None:
    said = whence(None)
    assert said.startswith("Copy both again from @stalzone_api_bot (/myapps).")
    assert "an application that is not approved yet, although the bot shows them already" in said
    said = told(EXBO_CLIENT_SECRET="of-another-sandbox")
    assert "Copy both from the sandbox's page, http://127.0.0.1:" in said
    assert "@stalzone_api_bot" not in said


# What else may come of it


@pytest.mark.parametrize(
    ("answers", "level", "words"),
    [
        ([{BEARER: TAKEN, PAIR: TAKEN}], "ok", "it takes the bearer token and the header pair"),
        ([{BEARER: REFUSED, PAIR: TAKEN}], "problem", "takes the credentials, and refuses the token"),
        ([{BEARER: TAKEN, PAIR: REFUSED}], "ok", "it takes the bearer token"),
        ([{PAIR: REFUSED}, {PAIR: TAKEN}], "ok", "use https://eapi.stalzone.com: it takes the header pair"),
        ([{PAIR: ApiAnswer(429)}], "ok", "it takes the header pair"),
        ([{PAIR: AWAY}, {PAIR: AWAY}], "problem", "no host of the API could be reached"),
        ([{PAIR: ApiAnswer(503)}], "warning", "no host of the API said yes or no"),
        ([{PAIR: ApiAnswer(404)}, {PAIR: ApiAnswer(503)}], "warning", "no host of the API said yes or no"),
        ([{PAIR: ApiAnswer(404), BEARER: ApiAnswer(405)}], "problem", "the game API is not at https://"),
    ],
)
def test_what_the_answers_come_to(answers: list[Any], level: str, words: str) -> None:
    found = verdict(*(Asked(host, answer) for host, answer in zip((REAL, ANOTHER), answers, strict=False)))
    assert found.level == level
    assert words in found.text


def test_where_is_asked() -> None:
    assert known_host("http://[::1") is None
    assert apis_of("https://exbo.net/oauth", None) == list(API_HOSTS)
    own = ApiHost("https://proxy.example/api", "EXBO_API_URL")
    assert apis_of("https://exbo.net/oauth", "https://proxy.example/api/") == [own, *API_HOSTS]
    same = apis_of("https://exbo.net/oauth", "https://eapi.stalzone.com")
    assert sorted(host.root for host in same) == sorted(host.root for host in API_HOSTS)
    assert [host.root for host in apis_of("http://127.0.0.1:8765/oauth", None)] == ["http://127.0.0.1:8765/api"]
    assert [host.root for host in apis_of("http://127.0.0.1:8765/oauth", "http://localhost:1/api")] == [
        "http://localhost:1/api"
    ]
    assert apis_of("https://sso.example.org/oauth", None) == []


def test_the_api_is_asked_with_both(fake_exbo: FakeExbo) -> None:
    with fake_exbo.serve():
        host, app = ApiHost(fake_exbo.api_url, "a test"), fake_exbo.app
        token = Secret(fake_exbo.supersede().access_token)
        ways = {BEARER: headers_of_token(token), PAIR: headers_of_pair(app.client_id, Secret(str(app.client_secret)))}
        outcome = asked_at(host, ways)
        assert outcome.let_in == [BEARER, PAIR]
        wrong = asked_at(host, {BEARER: headers_of_token(Secret("nonsense-of-a-token"))})
    assert wrong.refused == [BEARER]
    assert str(wrong.answers[BEARER]) == '401 "Corrupted or illegal authorization token"'
    assert asked_at(host, ways).is_silent


def test_the_doctor_asks_it(told: Told, shell: Any, exbo: Any) -> None:
    said = told("--api")
    assert "no token was tried: there is none in the store that lives" in said
    assert "give one with --token-file FILE" in said
    assert exbo.fake.issued == []
    shell.within("token")
    said = told("--api")
    assert f"use {exbo.api}: it takes the bearer token and the header pair" in said
    assert len(exbo.fake.issued) == 1


def test_a_pasted_token_is_tried_in_the_place_of_the_stored_one(told: Told, shell: Any, exbo: Any) -> None:
    shell.within("token")
    said = told("--api", "--token-file", "-", stdin=signed({"aud": "59", "exp": 9e9}))
    assert "takes the credentials, and refuses the token: it is dead, or another application's" in said
    assert said.endswith("how long it lives: exbo-oauth inspect -")


def test_no_api_is_known_of_a_service_of_ones_own() -> None:
    from exbo_oauth.cli.settings import Setting, Settings

    settings = Settings({"base_url": Setting("https://sso.example.org/oauth", "a test")})
    [found] = trying.host_findings(settings, None, has_store=False)
    assert (found.level, found.cure) == ("warning", "Name it: EXBO_API_URL.")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"[" * 100_000], ids=["a page", "a list", "without end"])
def test_an_answer_without_words_of_the_apis_is_its_number(fake_exbo: FakeExbo, body: bytes) -> None:
    from exbo_oauth.protocol import Response

    with fake_exbo.serve():
        fake_exbo.answer_next(Response(418, {"content-type": "application/json"}, body), path="/api/regions")
        assert str(apis.asked(f"{fake_exbo.api_url}/regions", {})) == "418"


def test_a_secret_that_comes_back_is_not_shown(fake_exbo: FakeExbo) -> None:
    from exbo_oauth.protocol import Response

    body = json.dumps({"title": "no", "details": {"token": "the-very-secret is bad"}}).encode()
    with fake_exbo.serve():
        fake_exbo.answer_next(Response(401, {"content-type": "application/json"}, body), path="/api/RU/emission")
        answer = apis.asked(f"{fake_exbo.api_url}/RU/emission", headers_of_pair("59", Secret("the-very-secret")))
    assert str(answer) == '401 "*** is bad"'


def test_the_page_lists_the_hosts_and_their_sources() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w.]+)` \| .+ \|$", page.partition("| host |")[2], re.MULTILINE)[: len(API_HOSTS)] == [
        host.name for host in API_HOSTS
    ]

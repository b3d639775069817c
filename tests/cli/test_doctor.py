"""`doctor`: everything that it finds, each by causing it."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import evolve

from exbo_oauth import AppToken, SQLiteTokenStore, UserToken
from exbo_oauth.cli.wording import moment
from exbo_oauth.meaning import SANDBOX_AGAIN
from exbo_oauth.protocol import Response
from exbo_oauth.stores import EncryptedTokenStore
from exbo_oauth.testing import FakeExbo
from exbo_oauth.testing.jwt import signed

from ..stores.servers import redis_server

OK, WARNING, PROBLEM = "ok", "warning", "problem"
UNAUTHENTICATED = Response(401, {"content-type": "application/json"}, b'{"message": "Unauthenticated."}')


@pytest.fixture
def findings(shell: Any) -> Callable[..., dict[str, tuple[str, str, str]]]:
    """The findings by what was checked, and a look at the exit code."""

    def ask(*flags: str, **options: Any) -> dict[str, tuple[str, str, str]]:
        done = shell.within("doctor", "--json", *flags, **options)
        report = json.loads(done.stdout)
        found = {one["check"]: (one["level"], one["text"], one["cure"]) for one in report["findings"]}
        broken = any(level == PROBLEM for level, _, _ in found.values())
        assert (done.returncode, report["ok"], done.stderr) == (int(broken), not broken, "")
        assert all(bool(cure) == (level != OK) for level, _, cure in found.values())
        return found

    return ask


def test_all_is_well(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    shell.within("token")
    done = shell.within("doctor", "--api-url", exbo.api)
    assert (done.returncode, done.stderr) == (0, "")
    beginnings = [
        "✓ credentials: client 59 and its secret, from the environment",
        f"✓ server: {exbo.base_url}, from the environment",
        f"✓ redirect URI: {exbo.redirect_uri}: login can listen there. Where the sandbox knows another one, it ",
        f"✓ store: it opens, 1 user signed in ({exbo.path})",
        "✓ connection: the server refused a made-up token as EXBO does",
        "✓ clock: within a minute of the server's",
        "✓ sign-on: the server takes client id and secret (and refused a made-up refresh token)",
        "✓ user ivan: the stored token works",
        f"✓ app token: {exbo.api} takes it (answered 200)",
        "All is well.",
    ]
    lines = done.stdout.splitlines()
    assert len(lines) == len(beginnings)
    assert all(line.startswith(beginning) for line, beginning in zip(lines, beginnings, strict=True))


def test_the_sandbox_knows_what_the_doctor_made_up(shell: Any, exbo: Any) -> None:
    assert shell.within("doctor").returncode == 0
    told = [(event.kind, event.detail) for event in exbo.fake.events]
    assert told == [("refused", "made_up"), ("declined", "made_up")]


def test_nothing_is_issued_and_nothing_is_ended(shell: Any, exbo: Any) -> None:
    user = exbo.user_token()
    exbo.keep("ivan", user)
    app = shell.within("token").stdout.strip()
    issued = len(exbo.fake.issued)
    shell.within("doctor")
    assert len(exbo.fake.issued) == issued
    assert exbo.fake.is_live(user)
    assert exbo.fake.is_live(app)


def test_trouble_is_a_line_with_its_cure_below(shell: Any, exbo: Any) -> None:
    done = shell.within("doctor", EXBO_CLIENT_ID="", EXBO_REDIRECT_URI="https://example.org/")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "✗ credentials: there is no client id"
    assert lines[1].startswith("    Set EXBO_CLIENT_ID to what EXBO's bot in Telegram, @stalzone_api_bot, gave you")
    assert lines[1].endswith(
        f"Of .env files only {shell.home / '.env'} is read here. No application yet? Start with: exbo-oauth sandbox"
    )
    assert lines[-1] == "1 problem, 2 warnings."


@pytest.mark.parametrize(
    ("variables", "level", "text", "cure"),
    [
        (
            {"EXBO_CLIENT_ID": ""},
            PROBLEM,
            "there is no client id",
            "Set EXBO_CLIENT_ID to what EXBO's bot in Telegram, @stalzone_api_bot, gave you",
        ),
        (
            {"EXBO_CLIENT_SECRET": ""},
            PROBLEM,
            "there is no client secret",
            "Set EXBO_CLIENT_SECRET, or pass --client-secret-file FILE.",
        ),
        (
            {"EXBO_CLIENT_ID": "5 9"},
            PROBLEM,
            "there is a space or a line break in the client id",
            "Copy it again without what stands around it, into EXBO_CLIENT_ID.",
        ),
        (
            {"EXBO_CLIENT_SECRET": "a-good-secret\n"},
            PROBLEM,
            "there is a space or a line break in the client secret",
            "Copy it again without what stands around it, into EXBO_CLIENT_SECRET.",
        ),
        (
            {"EXBO_CLIENT_ID": "my-bot"},
            WARNING,
            "the client id is 'my-bot'",
            "EXBO's are plain numbers such as 59: check it.",
        ),
        *(
            (
                {"EXBO_CLIENT_ID": text},
                WARNING,
                "the client id looks like a secret",
                "EXBO's are plain numbers such as 59. Were id and secret put into each other's place?",
            )
            for text in ("Wq3" * 13, "eyJ0eXAi.x.y")
        ),
        *(
            (
                {"EXBO_CLIENT_SECRET": text},
                PROBLEM,
                "the client secret is a token, copied from the wrong place",
                "Use the secret that @stalzone_api_bot gave you with the client id; tokens are fetched with it.",
            )
            for text in ("Bearer eyJx", "eyJ0eXAi.x.y", "def50200ab")
        ),
    ],
)
def test_credentials(findings: Any, exbo: Any, variables: dict[str, str], level: str, text: str, cure: str) -> None:
    found = findings(**variables)["credentials"]
    assert found[:2] == (level, text)
    assert found[2].startswith(cure)


@pytest.mark.parametrize(
    ("url", "text", "cure"),
    [
        (
            "http://exbo.net/oauth",
            "base_url 'http://exbo.net/oauth' must be https: http is for a loopback host such as 127.0.0.1 only",
            "Use https: the secret would travel in the clear.",
        ),
        (
            "https://exbo.net/oauth?x=1",
            "base_url 'https://exbo.net/oauth?x=1' must be scheme, host and path only, as in https://exbo.net/oauth",
            "EXBO's is https://exbo.net/oauth.",
        ),
        (
            "https://dapi.stalcraft.net/oauth",
            "dapi.stalcraft.net is a demo host: real credentials do not work there",
            "Use https://exbo.net/oauth; the demo's tokens are published by EXBO and need no credentials.",
        ),
        (
            "https://eapi.stalcraft.net",
            "eapi.stalcraft.net is the game API, not the OAuth service",
            "The OAuth service is https://exbo.net/oauth; send only API calls to this host.",
        ),
    ],
    ids=["plain http", "a query", "demo host", "game API"],
)
def test_server(findings: Any, exbo: Any, url: str, text: str, cure: str) -> None:
    exbo.keep("ivan", exbo.user_token())
    assert findings(EXBO_OAUTH_URL=url)["store"][0] == OK
    found = findings(EXBO_OAUTH_URL=url)
    assert found["server"] == (PROBLEM, text, cure)
    assert found["connection"] == (WARNING, "the server was not asked", "Fix the problems above first.")
    assert exbo.fake.requests == []


@pytest.mark.parametrize("uri", ["https://example.org/callback", "https://localhost:1/x"])
def test_a_redirect_uri_that_login_cannot_use(findings: Any, exbo: Any, uri: str) -> None:
    level, text, cure = findings("--offline", EXBO_REDIRECT_URI=uri, EXBO_OAUTH_URL="")["redirect URI"]
    assert level == WARNING
    assert "redirect" in text
    assert "  " not in text
    assert cure.startswith("Register a redirect URI such as http://localhost:8080/callback")
    page = exbo.base_url.removesuffix("oauth")
    assert findings(EXBO_REDIRECT_URI=uri)["redirect URI"] == (
        WARNING,
        text,
        f"Take one of those on the sandbox's page, {page}, or register one: exbo-oauth sandbox --redirect-uri URI",
    )


def test_a_redirect_uri_that_is_none(findings: Any, exbo: Any) -> None:
    level, text, cure = findings("--offline", EXBO_REDIRECT_URI="not a uri", EXBO_OAUTH_URL="")["redirect URI"]
    assert level == PROBLEM
    assert text.startswith("redirect_uri must be a URL without spaces")
    assert cure.startswith("Register a redirect URI such as http://localhost:8080/callback")


def test_a_redirect_uri_whose_port_is_taken(findings: Any, exbo: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        level, text, cure = findings(EXBO_REDIRECT_URI=f"http://127.0.0.1:{port}/back")["redirect URI"]
        assert (level, text) == (
            WARNING,
            f"another program has the port of http://127.0.0.1:{port}/back, and login cannot listen there meanwhile",
        )
        assert cure == "If that is your own bot or site, it is as it should be; else end that program."
        assert (
            findings("--offline", EXBO_REDIRECT_URI=f"http://127.0.0.1:{port}/back", EXBO_OAUTH_URL="")["redirect URI"][
                1
            ]
            == text
        )


def test_a_redirect_uri_that_was_never_set_is_no_trouble(findings: Any, exbo: Any) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 80))
    except OSError:  # whoever has it, or keeps it from us: login cannot listen there
        taken = socket.socket()
    with taken:
        found = findings("--offline", EXBO_REDIRECT_URI="")["redirect URI"]
    assert found == (OK, "none is set, and only a program that signs users in needs one", "")


@pytest.mark.skipif(os.name != "posix", reason="file modes are a thing of POSIX")
def test_a_store_that_others_can_read(findings: Any, exbo: Any) -> None:
    SQLiteTokenStore(exbo.path).close()
    exbo.keep(None, AppToken(token_type="Bearer", access_token="x", expires_in=60))
    exbo.path.chmod(0o644)
    exbo.path.parent.chmod(0o755)
    level, text, cure = findings()["store"]
    assert level == PROBLEM
    assert text.startswith(f"other users of this machine can read the tokens in '{exbo.path}'")
    assert cure.startswith(f"Run: chmod 600 {exbo.path}")


def test_a_store_that_is_none(findings: Any, exbo: Any) -> None:
    exbo.path.write_bytes(b"x" * 5000)
    exbo.path.chmod(0o600)
    level, text, _ = findings()["store"]
    assert level == PROBLEM
    assert "is not a token store" in text


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        ("keyring.backends.fail.Keyring", "there is no keyring on this machine"),
        ("keyring.backends.null.Keyring", "the keyring keeps nothing (it may be disabled)"),
        ("no.such.Backend", "the keyring that is configured cannot be loaded"),
        ("keyrings.alt.file.PlaintextKeyring", "keyrings.alt.file.PlaintextKeyring may keep secrets in plain text"),
    ],
)
def test_a_keyring_that_is_of_no_use(shell: Any, backend: str, text: str) -> None:
    done = shell("doctor", "--json", "--offline", EXBO_STORE="keyring:", PYTHON_KEYRING_BACKEND=backend)
    [found] = [finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "store"]
    assert (done.returncode, found["level"]) == (1, PROBLEM)
    assert found["text"].startswith(text)
    assert "SQLiteTokenStore" in found["text"]


def test_a_keyring_that_keeps_plain_text_and_is_allowed_to(shell: Any) -> None:
    name = "keyrings.alt.file.PlaintextKeyring"
    done = shell("doctor", "--json", "--offline", EXBO_STORE=f"keyring:?allow={name}", PYTHON_KEYRING_BACKEND=name)
    found = [finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "store"]
    assert [(one["level"], one["text"]) for one in found] == [
        (OK, "it opens, 0 users signed in (keyring:)"),
        (WARNING, f"{name} may keep the key in plain text"),
    ]


def test_a_store_on_a_server_that_may_lose_tokens(shell: Any, exbo: Any, tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis", "--maxmemory-policy", "allkeys-lru") as server:
        done = shell.within("doctor", "--offline", "--json", EXBO_STORE=server.url)
    found = [finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "store"]
    assert [(finding["level"], finding["cure"]) for finding in found] == [
        (OK, ""),
        (WARNING, "Set maxmemory-policy noeviction."),
        (WARNING, "Set appendonly yes and appendfsync always."),
    ]
    assert found[1]["text"] == "a full Redis may remove tokens and leases (allkeys-lru)"


def test_a_store_url_that_is_none(findings: Any, exbo: Any) -> None:
    level, text, cure = findings(EXBO_STORE="tokens.db")["store"]
    assert (level, cure) == (PROBLEM, "Correct EXBO_STORE, EXBO_STORE_KEY or their flags.")
    assert "URL of a token store: write sqlite:///tokens.db" in text


@pytest.mark.skipif(os.name != "posix", reason="file modes are a thing of POSIX")
def test_a_secret_in_a_file_that_others_can_read(findings: Any, shell: Any, exbo: Any) -> None:
    path = Path(shell.home, ".env")
    path.write_text("EXBO_CLIENT_SECRET=a-good-secret\n")
    path.chmod(0o644)
    shell.environment["EXBO_CLIENT_SECRET"] = ""
    expected = (WARNING, "others can read the client secret in .env", "Run: chmod 600 .env")
    assert findings("--offline")["secrets"] == expected
    path.chmod(0o600)
    assert "secrets" not in findings("--offline")


def test_a_proxy_in_the_way(findings: Any, exbo: Any) -> None:
    proxied = {"https_proxy": "http://me:hush@proxy.example:3128", "EXBO_OAUTH_URL": "https://exbo.net/oauth"}
    assert findings("--offline", **proxied)["proxy"] == (
        WARNING,
        "requests go through the proxy http://proxy.example:3128",
        "If sign-ins or tokens fail, go around it: NO_PROXY=exbo.net",
    )
    assert "proxy" not in findings("--offline", no_proxy="exbo.net", **proxied)
    assert "proxy" not in findings("--offline", http_proxy="http://proxy.example:3128")


def test_a_server_that_cannot_be_reached(findings: Any, exbo: Any) -> None:
    found = findings(EXBO_OAUTH_URL="http://127.0.0.1:9/oauth")
    level, text, cure = found["connection"]
    assert (level, cure) == (
        PROBLEM,
        SANDBOX_AGAIN,
    )
    assert text.startswith("GET http://127.0.0.1:9/oauth/user")
    exbo.keep("ivan", exbo.user_token())
    found |= findings(EXBO_OAUTH_URL="http://127.0.0.1:9/oauth")
    assert not {"clock", "sign-on", "user ivan"} & set(found)


@pytest.mark.parametrize(
    ("answer", "level", "text", "cure"),
    [
        (
            Response(200, {"content-type": "text/html"}, b"<html>Please log in to the hotel</html>"),
            PROBLEM,
            "GET /user was answered 200 with something unusable: an HTML page in place of JSON.",
            "A proxy, a captive portal or a wrong base URL is in the way.",
        ),
        (
            Response(
                200,
                {"content-type": "application/json"},
                b'{"id": 1, "uuid": "00000001-0000-4000-8000-000000000001", "login": "x", "distributor": "exbo"}',
            ),
            PROBLEM,
            "something else answers in EXBO's place",
            "A proxy, a captive portal or a wrong base URL is in the way.",
        ),
        (
            Response(503, {"content-type": "application/json"}, b'{"message": "Service Unavailable"}'),
            WARNING,
            "GET /user was answered 503: Service Unavailable.",
            "Try again in a minute.",
        ),
    ],
    ids=["a captive portal", "a stranger", "maintenance"],
)
def test_a_server_that_is_not_itself(
    findings: Any, exbo: Any, answer: Response, level: str, text: str, cure: str
) -> None:
    exbo.fake.answer_next(answer, path="/oauth/user")
    found = findings()["connection"]
    assert (found[0], found[2]) == (level, cure)
    assert found[1].startswith(text)


@pytest.mark.parametrize(("hours", "word"), [(1, "behind"), (-1, "ahead of")])
def test_a_clock_that_is_off(findings: Any, exbo: Any, hours: int, word: str) -> None:
    there = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    answer = Response(401, {"content-type": "application/json", "date": there}, b'{"message": "Unauthenticated."}')
    exbo.fake.answer_next(answer, path="/oauth/user")
    level, text, cure = findings()["clock"]
    assert (level, cure) == (PROBLEM, "Set it, best by network time: lifetimes are counted with it.")
    assert text.startswith("this clock is 3")
    assert text.endswith(f" s {word} the server's")


def test_a_server_without_a_clock(findings: Any, exbo: Any) -> None:
    answer = Response(401, {"content-type": "application/json", "date": "never"}, b'{"message": "Unauthenticated."}')
    exbo.fake.answer_next(answer, path="/oauth/user")
    assert findings()["clock"] == (
        WARNING,
        "the server sent no date to compare this clock with",
        "Nothing to be done.",
    )


def json_findings(shell: Any, *arguments: str, **options: Any) -> list[dict[str, str]]:
    report = json.loads(shell.within("doctor", "--json", *arguments, **options).stdout)
    found: list[dict[str, str]] = report["findings"]
    return found


def test_a_dead_token_is_one_problem_and_gets_no_tick(shell: Any, exbo: Any) -> None:
    issued = exbo.fake.supersede(app=exbo.app)
    exbo.keep(None, AppToken(token_type="Bearer", access_token=issued.access_token, expires_in=600))
    exbo.fake.supersede(app=exbo.app)
    found = json_findings(shell, "--api", EXBO_API_URL=exbo.api)
    assert [one["check"] for one in found if one["level"] == PROBLEM] == ["app token"]
    [at_host] = [one for one in found if one["check"].startswith("API at ")]
    assert (at_host["level"], "the bearer token: refused" in at_host["text"]) == (WARNING, True)


def newer(exbo: Any, user: str | None) -> str:
    """A token that is got beside the stored one, and ends it; what EXBO writes into it is to the microsecond."""
    return str(exbo.fake.supersede(app=exbo.app, user=user).access_token)


@pytest.mark.parametrize("flags", [(), ("--api",)], ids=["its own way", "at all hosts"])
@pytest.mark.parametrize(
    ("account", "check", "command"),
    [(None, "app token", "exbo-oauth refresh"), ("ivan", "user ivan", "exbo-oauth refresh --user ivan")],
    ids=["the application's", "a user's"],
)
def test_the_token_in_hand_that_ended_the_stored_one_is_named(
    shell: Any, exbo: Any, account: str | None, check: str, command: str, flags: tuple[str, ...]
) -> None:
    exbo.keep(account, exbo.user_token() if account else AppToken(**dead_soon(exbo)))
    token = newer(exbo, account)
    found = {one["check"]: one for one in json_findings(shell, "--token-file", "-", *flags, stdin=token)}
    text = "dead before its time: the token of --token-file is newer, and has ended it"
    assert (found[check]["level"], found[check]["text"]) == (PROBLEM, text)
    assert found[check]["cure"].endswith(f"Then: {command}")
    if flags and account is None:
        assert found["API"]["text"].endswith(" (asked with the token of --token-file)")
    stranger = jwt(iat=datetime.now(UTC).timestamp(), sub="" if account is None else "1")
    found = {one["check"]: one for one in json_findings(shell, "--token-file", "-", stdin=stranger)}
    assert text != found[check]["text"]


def dead_soon(exbo: Any) -> dict[str, Any]:
    issued = exbo.fake.supersede(app=exbo.app)
    return {"token_type": "Bearer", "access_token": issued.access_token, "expires_in": 600}


def test_a_user_who_is_kept_under_two_names_is_recognised(findings: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    exbo.keep("4711", exbo.user_token())
    found = findings()
    assert found["user 4711"][0] == OK
    assert found["user ivan"] == (
        PROBLEM,
        "dead before its time: 4711 is the same EXBO account, and its token is newer",
        "Let all programs use one of the two names, and forget the other: exbo-oauth logout --user ivan",
    )


def test_a_users_token_that_cannot_be_read_is_in_nobodys_way(findings: Any, shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    old = exbo.user_token()
    for name, token in (("broken", exbo.user_token()), ("guest", exbo.user_token("steam-guest")), ("ivan", old)):
        exbo.keep(name, token)
    exbo.keep("my ivan", exbo.user_token())
    with closing(SQLiteTokenStore(exbo.path)) as store:
        spoilt = "UPDATE entries SET entry = '{' WHERE account = 'broken'"
        store._link.run(lambda database: database.execute(spoilt))
    found = findings("--token-file", "-", stdin=old.access_token)
    assert (found["user broken"][0], found["user guest"][0]) == (WARNING, OK)
    assert found["user ivan"][1] == "dead before its time: my ivan is the same EXBO account, and its token is newer"
    assert found["token at the server"][2] == "To get the one that lives: exbo-oauth token --user 'my ivan'"


def test_wrong_credentials_are_one_problem(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token(), issued_by="bot-1:42")
    exbo.keep("guest", exbo.user_token("steam-guest"))
    exbo.keep(None, AppToken(**dead_soon(exbo)), superseded=(datetime.now(UTC),) * 3)
    exbo.user_token()
    exbo.fake.supersede(app=exbo.app)
    for flags in ((), ("--api",)):
        found = json_findings(shell, *flags, EXBO_CLIENT_SECRET="of-another")
        assert [one["check"] for one in found if one["level"] == PROBLEM] == ["sign-on"]
        assert [one["check"] for one in found if one["check"].startswith("user ")] == ["user guest"]
        [others] = [one["text"] for one in found if one["check"] == "token"]
        assert others.startswith("user ivan, app token: dead or not to be tried, and with these credentials no new one")
        assert not [one for one in found if "exbo-oauth" in one["cure"]]


def test_credentials_that_the_server_refuses(shell: Any, findings: Any, exbo: Any) -> None:
    level, text, cure = findings(EXBO_CLIENT_SECRET="of-the-demo")["sign-on"]
    assert (level, text) == (PROBLEM, "the server refuses client id and secret")
    page = exbo.base_url.removesuffix("oauth")
    assert cure == f"Copy both from the sandbox's page, {page}, or from what it said when it began."


def test_a_token_endpoint_that_fails(findings: Any, exbo: Any) -> None:
    exbo.fake.fail_next(429, retry_after=30, path="/oauth/token")
    level, text, cure = findings()["sign-on"]
    assert (level, cure) == (WARNING, "Try again in a minute.")
    assert text.startswith("POST /token (refresh_token) was answered 429: Too Many Attempts.")


def test_a_server_that_takes_any_refresh_token_is_not_exbo(findings: Any, exbo: Any) -> None:
    body = b'{"token_type": "Bearer", "expires_in": 60, "access_token": "x", "refresh_token": "y"}'
    exbo.fake.answer_next(Response(200, {"content-type": "application/json"}, body), path="/oauth/token")
    assert findings()["sign-on"] == (
        PROBLEM,
        "the server took a made-up refresh token",
        "A proxy, a captive portal or a wrong base URL is in the way.",
    )


def test_a_server_that_fails_for_a_while_says_nothing_of_a_users_token(findings: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    for flags, check in (([], "user ivan"), (["--token-file", "-"], "token at the server")):
        exbo.fake.answer_next(UNAUTHENTICATED, path="/oauth/user")
        exbo.fake.fail_next(503, path="/oauth/user")
        found = findings(*flags, stdin=exbo.stored("ivan").token.access_token)[check]
        assert (found[0], found[2]) == (WARNING, "Try again in a minute.")
        assert found[1].startswith("GET /user was answered 503")


def test_a_users_token_that_another_deployment_superseded(findings: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token(), issued_by="bot-1:42", issued_at=datetime(2026, 1, 2, tzinfo=UTC))
    exbo.user_token()
    assert findings()["user ivan"] == (
        PROBLEM,
        "the token that process 42 on bot-1 got at 2026-01-02 00:00:00 UTC is dead before its time",
        (
            "Either another program got a newer one, and both need one store "
            "(https://github.com/exbo-oauth/exbo-oauth/tree/main/docs/why-401.md), or the sandbox was started anew and "
            "knows no earlier token. Then: exbo-oauth refresh --user ivan, and if that is refused "
            "exbo-oauth login --user ivan"
        ),
    )


def test_a_users_token_that_has_expired_is_no_trouble(findings: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token(lives=-1))
    assert findings()["user ivan"] == (
        OK,
        "the access token has expired; it is refreshed when it is asked for",
        "",
    )


@pytest.mark.parametrize("path", ["", "/", "/oauth", "/api/RU"])
def test_an_address_at_which_the_sandbox_has_no_api_is_a_problem(
    findings: Any, shell: Any, exbo: Any, path: str
) -> None:
    shell.within("token")
    root = exbo.api.removesuffix("/api")
    found = findings("--api", EXBO_API_URL=root + path)
    for check in ("app token", "API"):
        assert found[check][0] == PROBLEM
        assert found[check][2] == f"The sandbox's API is {exbo.api}: set EXBO_API_URL to that."
    assert findings("--api", EXBO_API_URL=f"{exbo.api}/")["API"][0] == OK


@pytest.mark.parametrize("path", ["/oauth", "/api/nothing", "/oauth/token"])
def test_an_answer_that_says_nothing_of_the_token_is_not_taken_for_a_yes(
    findings: Any, shell: Any, exbo: Any, path: str
) -> None:
    shell.within("token")
    level, text, cure = findings("--api-url", exbo.api.removesuffix("/api") + path)["app token"]
    assert level == WARNING
    assert "says nothing of the token" in text
    assert cure == f"Try it at an address of the API, such as {exbo.api}/regions"


def test_an_address_that_takes_no_credentials_ends_the_round_of_the_hosts(findings: Any, shell: Any, exbo: Any) -> None:
    shell.within("token")
    found = findings("--api", EXBO_API_URL="http://eapi.stalcraft.net")["API"]
    assert found == (
        PROBLEM,
        "http://eapi.stalcraft.net/RU/emission is plain http",
        "Call the game API over https only.",
    )


def test_an_app_token_is_tried_where_one_says(findings: Any, shell: Any, exbo: Any) -> None:
    shell.within("token")
    assert findings()["app token"] == (OK, f"{exbo.api}/RU/emission takes it (answered 200)", "")
    exbo.fake.supersede(app=exbo.app)
    level, text, cure = findings("--api-url", exbo.api)["app token"]
    assert (level, cure.rpartition(": ")[2]) == (PROBLEM, "exbo-oauth refresh")
    assert text.endswith("is dead before its time")


@pytest.mark.parametrize(
    ("url", "level", "text"),
    [
        ("http://eapi.stalcraft.net/regions", PROBLEM, "http://eapi.stalcraft.net/regions is plain http"),
        ("http://127.0.0.1:9/", WARNING, "http://127.0.0.1:9/ cannot be reached: "),
    ],
)
def test_an_app_token_is_not_sent_anywhere(
    findings: Any, shell: Any, exbo: Any, url: str, level: str, text: str
) -> None:
    shell.within("token")
    found = findings("--api-url", url)["app token"]
    assert found[0] == level
    assert found[1].startswith(text)


@pytest.mark.parametrize(
    ("ago", "count", "level"),
    [
        pytest.param((0, 60), 2, PROBLEM, id="twice"),
        pytest.param((200, 400), 1, WARNING, id="once of late"),
        pytest.param((301, 302), 0, None, id="more than five minutes ago"),
    ],
)
def test_app_tokens_that_keep_being_superseded(
    shell: Any, exbo: Any, ago: tuple[float, ...], count: int, level: str | None
) -> None:
    issued = exbo.fake.supersede(app=exbo.app)
    token = AppToken(token_type="Bearer", access_token=issued.access_token, expires_in=600)
    moments = tuple(datetime.now(UTC) - timedelta(seconds=seconds) for seconds in ago)
    exbo.keep(None, token, superseded=moments)
    told = [one for one in json_findings(shell) if "superseded" in one["text"]]
    assert [one["level"] for one in told] == ([level] if level else [])
    assert all(f"{count} time" in one["text"] and "let all share one store" in one["cure"] for one in told)
    over = moment(moments[0] + timedelta(minutes=5))
    assert all(one["cure"].endswith(f"Once that is mended, this passes by {over}.") for one in told)
    [status] = json.loads(shell.within("status", "--json").stdout)
    assert status["recently_superseded"] == count


def jwt(**claims: Any) -> str:
    now = datetime.now(UTC).timestamp()
    return signed({"aud": "59", "nbf": now, "exp": now + 86_400, **claims})


@pytest.mark.parametrize(
    ("text", "level", "problem", "cure"),
    [
        (jwt(), OK, "an access token of client 59 that has not expired, by what it says itself. The header ", ""),
        (
            jwt(aud="12"),
            PROBLEM,
            "it belongs to client 12, not to 59",
            "It is the site's own or another program's token",
        ),
        (jwt(aud="1"), PROBLEM, "it is the demo's (client 1): only dapi.stalzone.com and ", "For the real API use"),
        (
            jwt(iat=1, exp=2),
            PROBLEM,
            "it was issued at 1970-01-01 00:00:01 UTC and ended at 1970-01-01 00:00:02 UTC; a token lives for a year",
            "Get a new one: exbo-oauth token (in programs ensure_app_token(), ",
        ),
        (jwt(exp=2), PROBLEM, "it ended at 1970-01-01 00:00:02 UTC; ", "Get a new one: exbo-oauth token"),
        (jwt(nbf=9e9), PROBLEM, "it is not valid yet by this machine's clock", "Set the clock: it is slow."),
        (
            "def50200",
            PROBLEM,
            "this is an authorization code or a refresh token, not an access token",
            "Take the access",
        ),
        (
            "5f4dcc3b5aa765d61d8327deb882cf99",
            PROBLEM,
            "this is not a JWT, and EXBO's access tokens are",
            "Take the access",
        ),
        (
            '{"access_token": "x"}',
            PROBLEM,
            "this is a whole token answer, of which the access_token",
            "Take the access",
        ),
        (
            '{"format":"exbo-oauth sandbox","version":1,"tokens":[]}',
            PROBLEM,
            "this is the state of a sandbox",
            "Take the access",
        ),
        (jwt()[:60], PROBLEM, "this is not a JWT", "Take the access_token of a token answer"),
        (f'"{jwt()}"', OK, "an access token of client 59 that has not expired", ""),
    ],
    ids=[
        "good",
        "another client",
        "demo",
        "expired",
        "expired, undated",
        "not yet",
        "refresh token",
        "site session",
        "whole answer",
        "a sandbox's state",
        "cut off",
        "in quotes",
    ],
)
def test_a_pasted_token(findings: Any, exbo: Any, text: str, level: str, problem: str, cure: str) -> None:
    found = findings("--offline", "--token-file", "-", stdin=f"{text}\n")["token"]
    assert found[0] == level
    assert found[1].startswith(problem)
    assert found[2].startswith(cure)


def test_the_mask_that_python_prints_of_a_token_is_known(shell: Any, findings: Any) -> None:
    token = AppToken(token_type="Bearer", access_token=jwt(), expires_in=datetime.now(UTC))
    found = findings("--offline", "--token-file", "-", stdin=f"Bearer {token}\n")["token"]
    assert (found[0], "mask" in found[1], "token.authorization" in found[2]) == (PROBLEM, True, True)
    assert "This is a token's mask" in shell.within("inspect", "-", stdin=f"Bearer {token}\n").stderr


def test_a_pasted_token_without_a_client_id_to_compare_it_with(findings: Any, exbo: Any) -> None:
    found = findings("--offline", "--token-file", "-", stdin=jwt(), EXBO_CLIENT_ID="")["token"]
    assert found[:2] == (WARNING, "it belongs to client 59, and which one is yours was not said")


def test_a_pasted_bearer(shell: Any, exbo: Any) -> None:
    done = shell.within("doctor", "--offline", "--token-file", "-", stdin=f"Bearer {jwt()}")
    assert done.returncode == 0
    assert '! token: "Bearer " is part of what was copied\n' in done.stdout
    assert "    Keep the token alone: this package writes the Bearer, and twice is refused.\n" in done.stdout
    assert "✓ token: an access token of client 59 that has not expired" in done.stdout


@pytest.mark.parametrize("user", ["ivan", None], ids=["of a user", "of the application"])
def test_whether_a_pasted_token_was_superseded_is_asked(findings: Any, exbo: Any, user: str | None) -> None:
    old = exbo.fake.supersede(app=exbo.app, user=user).access_token
    assert findings("--token-file", "-", stdin=old)["token at the server"][0] == OK
    new = exbo.fake.supersede(app=exbo.app, user=user).access_token
    assert findings("--token-file", "-", stdin=new)["token at the server"][0] == OK
    level, text, cure = findings("--token-file", "-", stdin=f"Bearer {old}")["token at the server"]
    assert (level, text) == (PROBLEM, "it is refused: a newer one has ended it, or it was revoked")
    command = "exbo-oauth token --user NAME" if user else "exbo-oauth token"
    assert cure.startswith("Ask the program that got the newer one for it. This store does not have it: ")
    assert f"{command} gets another one, and ends that" in cure
    kept = {"token_type": "Bearer", "access_token": new, "expires_in": 3600}
    exbo.keep(*(("my ivan", UserToken(**kept, refresh_token="x")) if user else (None, AppToken(**kept))))
    _, _, cure = findings("--token-file", "-", stdin=old)["token at the server"]
    command = "exbo-oauth token --user 'my ivan'" if user else "exbo-oauth token"
    assert cure == f"To get the one that lives: {command}"
    assert exbo.fake.is_live(new)


@pytest.mark.parametrize(
    ("subject", "path"), [("", "/api/RU/emission"), ("59", "/api/RU/emission"), ("8", "/oauth/user")]
)
def test_whoever_has_to_know_a_pasted_token_is_asked(findings: Any, exbo: Any, subject: str, path: str) -> None:
    assert findings("--token-file", "-", stdin=jwt(sub=subject))["token at the server"][0] == PROBLEM
    assert exbo.fake.requests[-1].path == path


@pytest.mark.parametrize(
    ("flags", "variables", "cure"),
    [
        (["--offline"], {}, "To ask, leave --offline out."),
        ([], {"EXBO_OAUTH_URL": "http://127.0.0.1:1/oauth"}, "Ask again when the server can be reached."),
    ],
    ids=["offline", "out of reach"],
)
def test_that_a_pasted_token_was_not_asked_about_is_said(
    findings: Any, exbo: Any, flags: list[str], variables: dict[str, str], cure: str
) -> None:
    found = findings(*flags, "--token-file", "-", stdin=jwt(sub="42"), **variables)["token at the server"]
    assert found == (WARNING, "whether a newer one has ended it was not asked", cure)


def test_offline_asks_nobody(findings: Any, exbo: Any) -> None:
    assert "connection" not in findings("--offline")
    assert exbo.fake.requests == []


def test_no_secret_is_shown(shell: Any, exbo: Any) -> None:
    token = exbo.user_token()
    exbo.keep("ivan", token)
    shown = shell.within("doctor", "--json").stdout
    assert exbo.app.client_secret not in shown
    assert token.access_token not in shown


def test_signs_are_ascii_where_the_encoding_lacks_them(shell: Any, exbo: Any) -> None:
    assert shell.within("doctor", PYTHONIOENCODING="ascii").stdout.startswith("ok credentials: ")


# Settings that look right


def test_a_variable_that_is_nearly_one_is_told(findings: Any, exbo: Any) -> None:
    found = findings("--offline", EXBO_CLIENT_ID="", EXBO_CLIENTID="59")["settings"]
    assert found == (WARNING, "EXBO_CLIENTID means nothing", "Did you mean EXBO_CLIENT_ID?")
    assert "settings" not in findings("--offline", EXBO_ROUNDS="1", EXBO_CLIENTID="59")


@pytest.mark.parametrize(
    ("url", "level", "words"),
    [
        ("https://exbo.com/oauth", WARNING, "exbo.com is not a host of EXBO's, and looks like exbo.net"),
        ("https://ex-bo.net/oauth", WARNING, "ex-bo.net is not a host of EXBO's"),
        ("https://oauth.exbo.net", WARNING, "oauth.exbo.net is not a host of EXBO's"),
        ("https://api.stalcraft.net/oauth", WARNING, "api.stalcraft.net is not a host of EXBO's, and looks like eapi"),
        ("https://eapi.stalzone.com/oauth", PROBLEM, "eapi.stalzone.com is the game API, not the OAuth service"),
        ("https://sso.example.org/oauth", OK, "https://sso.example.org/oauth, from the environment"),
        ("https://exbo.net/oauth", OK, "https://exbo.net/oauth, from the environment"),
    ],
)
def test_a_base_url_that_is_nearly_right(findings: Any, exbo: Any, url: str, level: str, words: str) -> None:
    found = findings("--offline", EXBO_OAUTH_URL=url)["server"]
    assert found[0] == level
    assert found[1].startswith(words)
    assert ("https://exbo.net/oauth" in found[2]) == (level != OK)


@pytest.mark.parametrize(
    ("url", "level", "words"),
    [
        ("https://api.stalcraft.net", WARNING, "eapi.stalcraft.net and eapi.stalzone.com and eapi.stalzone.net"),
        ("https://eapi.stalcraft.com", WARNING, "eapi.stalcraft.net"),
        ("http://eapi.stalcraft.net", PROBLEM, "https only"),
        ("https://eapi.stalcraft.net", WARNING, "lead to the same"),
        ("http://127.0.0.1:8765/api", None, ""),
        ("eapi.stalcraft.net", PROBLEM, "https only"),
        ("http://[::1", PROBLEM, "https only"),
        ("https://prices.example.org", None, ""),
    ],
)
def test_an_address_of_the_api_that_is_nearly_right(
    findings: Any, exbo: Any, url: str, level: str | None, words: str
) -> None:
    found = findings("--offline", EXBO_API_URL=url).get("API", (None, "", ""))
    assert found[0] == level
    assert words in found[2]


def test_the_address_of_the_api_can_stand_in_dotenv(findings: Any, shell: Any, exbo: Any) -> None:
    path = shell.home / ".env"
    path.write_text("EXBO_API_URL='http://eapi.stalcraft.net'\n")
    assert findings("--offline")["API"][:2] == (PROBLEM, "EXBO_API_URL is http://eapi.stalcraft.net")
    assert "API" not in findings("--offline", EXBO_API_URL=exbo.api)
    path.write_text(f"EXBO_API_URL={exbo.api}/RU\n")
    shell.within("token")
    assert findings()["app token"][2] == f"The sandbox's API is {exbo.api}: set EXBO_API_URL to that."


def test_a_foreign_dotenv_does_not_say_which_api_gets_the_users_tokens(findings: Any, shell: Any, exbo: Any) -> None:
    other = FakeExbo()
    shell.within("token")
    with other.serve() as base_url:
        url = f"{base_url.removesuffix('/oauth')}/api"
        (shell.home / ".env").write_text(f"EXBO_API_URL={url}\n")
        done = shell.within("doctor", "--api")
        assert other.requests == []
        assert f".env sets EXBO_API_URL to {url}, which is not asked" in done.stdout
        shell.within("doctor", "--api", EXBO_API_URL=url)
        assert other.requests != []


def test_a_tunnel_has_to_be_registered_anew(findings: Any, exbo: Any) -> None:
    level, text, cure = findings("--offline", EXBO_REDIRECT_URI="https://ab12.ngrok-free.app/cb")["redirect URI"]
    assert level == WARNING
    assert "ab12.ngrok-free.app is a tunnel, and has another name each time" in text
    assert "/myapps in @stalzone_api_bot takes up to ten" in cure


# Stores as they are


def test_a_store_that_is_not_there_yet_is_not_made(findings: Any, exbo: Any) -> None:
    assert findings()["store"] == (OK, f"no token has been kept yet; the first one makes {exbo.path}", "")
    assert not exbo.path.exists()


@pytest.mark.skipif(os.name != "posix", reason="a place in which nothing can be made, as Linux has it")
@pytest.mark.parametrize("folder", ["/dev/null", "/proc/none"])
def test_a_store_that_cannot_be_made(findings: Any, exbo: Any, folder: str) -> None:
    level, text, _ = findings("--offline", EXBO_STORE=f"sqlite:///{folder}/tokens.db")["store"]
    assert level == PROBLEM
    assert folder in text


def test_an_encrypted_store_does_not_end_the_examination(findings: Any, shell: Any, exbo: Any) -> None:
    key = EncryptedTokenStore.new_key()
    exbo.keep("ivan", exbo.user_token())
    with closing(EncryptedTokenStore(SQLiteTokenStore(exbo.path), key)) as store:
        store.rotate()
    assert shell.within("token", EXBO_STORE_KEY=key).returncode == 0
    found = findings()
    assert found["store"][:2] == (WARNING, f"it opens, and its tokens are encrypted ({exbo.path})")
    assert "EXBO_STORE_KEY" in found["store"][2]
    assert found["sign-on"][0] == OK
    found = findings(EXBO_STORE_KEY=key)
    assert found["store"] == (OK, f"it opens, 1 user signed in ({exbo.path})", "")
    assert found["user ivan"] == (OK, "the stored token works", "")
    assert found["app token"][0] == OK


def test_a_key_that_does_not_open_the_store(findings: Any, shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    assert shell.within("token").returncode == 0
    with closing(EncryptedTokenStore(SQLiteTokenStore(exbo.path), EncryptedTokenStore.new_key())) as store:
        store.rotate()
    found = findings(EXBO_STORE_KEY=EncryptedTokenStore.new_key())
    for check, flags in (("app token", "--app"), ("user ivan", "--user ivan")):
        level, text, cure = found[check]
        assert level == PROBLEM
        assert text.startswith("none of the keys opens the token of")
        assert text.endswith(f"If that key is lost for good, exbo-oauth logout {flags} removes it")
        assert cure == "Give the store its key: EXBO_STORE_KEY, or --store-key-file FILE."
    found = findings("--api", EXBO_STORE_KEY=EncryptedTokenStore.new_key())
    assert found["API token"][:2] == (WARNING, "no token was tried: there is none in the store that lives")


def test_a_store_that_is_away_ends_nothing_and_leads_to_no_second_one(findings: Any, exbo: Any) -> None:
    found = findings(EXBO_STORE="redis://127.0.0.1:1/0")
    level, _, cure = found["store"]
    assert level == PROBLEM
    assert cure.startswith("Mend this one. Programs that go on with another store would end the tokens of those")
    assert found["sign-on"][0] == OK
    assert all("refresh" not in cure and "login" not in cure for _, _, cure in found.values())


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written there during the block: by permissions, which root does not heed, or by a mount."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.name != "posix", reason="permissions and mounts as POSIX has them")
def test_a_store_that_can_be_read_only(findings: Any, shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    folder = exbo.path.parent / "ro"
    folder.mkdir()
    exbo.path.rename(folder / "tokens.db")
    (folder / "tokens.db").chmod(0o400)
    with read_only(folder):
        done = shell.within("doctor", "--offline", "--json", EXBO_STORE=f"sqlite:///{folder}/tokens.db")
    found = [finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "store"]
    assert [finding["level"] for finding in found] == [OK, WARNING]
    assert found[1]["text"].startswith("tokens can be read, and not kept: ")
    assert 'issue="never"' in found[1]["cure"]


# Servers as they are


@pytest.mark.parametrize("body", [b'{"message": "Not Found"}', b"<html>nothing here</html>", b""])
@pytest.mark.parametrize(("path", "check"), [("/oauth/user", "connection"), ("/oauth/token", "sign-on")])
def test_an_address_where_no_oauth_service_is(findings: Any, exbo: Any, path: str, check: str, body: bytes) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    exbo.fake.answer_next(Response(404, {"content-type": kind}, body), path=path)
    level, text, cure = findings()[check]
    assert level == PROBLEM
    assert "404" in text
    assert "minute" not in cure


def test_a_sandbox_that_was_started_anew_is_recognised(findings: Any, shell: Any, exbo: Any) -> None:
    fake = FakeExbo()
    app = fake.add_app("Mine", client_id=59, client_secret="a-good-secret", redirect_uris=[exbo.redirect_uri])
    with fake.serve() as base_url:
        anew = evolve(exbo, fake=fake, app=app, base_url=base_url)
        anew.keep("ivan", exbo.user_token())
        assert shell.within("token").returncode == 0
        anew.keep(None, exbo.stored().token)
        found = findings(EXBO_OAUTH_URL=base_url)
        for check, command in (("app token", "exbo-oauth refresh"), ("user ivan", "exbo-oauth login --user ivan")):
            level, _, cure = found[check]
            assert level == PROBLEM
            assert "or the sandbox was started anew and knows no earlier token" in cure
            assert cure.endswith(command)


def test_another_servers_api_is_not_taken_for_a_conflict(findings: Any, shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    other = FakeExbo()
    with other.serve():
        address = urlsplit(other.api_url).netloc
        level, text, cure = findings("--api-url", f"{other.api_url}/regions")["app token"]
    assert level == PROBLEM
    assert f"{address} refuses it (401" in text
    assert cure.startswith(f"The token is of {exbo.base_url}, and {address} is another server's API.")
    assert cure.endswith(exbo.api)


def test_an_address_that_is_not_one(findings: Any, shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    level, text, _ = findings("--api-url", "https://[eapi")["app token"]
    assert (level, text) == (PROBLEM, "https://[eapi is not a URL: is its https:// missing?")

"""`doctor`: everything that it finds, each by causing it."""

import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import AppToken, SQLiteTokenStore
from exbo_oauth.protocol import Response
from exbo_oauth.testing.jwt import signed

from ..stores.servers import redis_server

OK, WARNING, PROBLEM = "ok", "warning", "problem"


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
    assert done.stdout.splitlines() == [
        "✓ credentials: client 59 and its secret, from the environment",
        f"✓ server: {exbo.base_url}, from the environment",
        f"✓ redirect URI: {exbo.redirect_uri}: login can listen there; is it registered letter by letter?",
        "✓ store: it opens, 1 user signed in",
        "✓ connection: the server answers as EXBO does",
        "✓ clock: within a minute of the server's",
        "✓ sign-on: the server accepts client id and secret",
        "✓ user ivan: the stored token works",
        f"✓ app token: {exbo.api} takes it (answered 200)",
        "All is well.",
    ]


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
    assert lines[:2] == ["✗ credentials: there is no client id", "    Set EXBO_CLIENT_ID to what the bot gave you."]
    assert lines[-1] == "1 problem, 2 warnings."


@pytest.mark.parametrize(
    ("variables", "level", "text", "cure"),
    [
        ({"EXBO_CLIENT_ID": ""}, PROBLEM, "there is no client id", "Set EXBO_CLIENT_ID to what the bot gave you."),
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
                {"EXBO_CLIENT_SECRET": text},
                PROBLEM,
                "the client secret is a token, copied from the wrong place",
                "Use the secret that the bot gave you with the client id; tokens are fetched with it.",
            )
            for text in ("Bearer eyJx", "eyJ0eXAi.x.y", "def50200ab")
        ),
    ],
)
def test_credentials(findings: Any, exbo: Any, variables: dict[str, str], level: str, text: str, cure: str) -> None:
    assert findings(**variables)["credentials"] == (level, text, cure)


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
    found = findings(EXBO_OAUTH_URL=url)
    assert found["server"] == (PROBLEM, text, cure)
    assert found["connection"] == (WARNING, "the server was not asked", "Mend the problems above first.")
    assert exbo.fake.requests == []


@pytest.mark.parametrize("uri", ["https://example.org/callback", "https://localhost:1/x"])
def test_a_redirect_uri_that_login_cannot_use(findings: Any, exbo: Any, uri: str) -> None:
    level, text, cure = findings(EXBO_REDIRECT_URI=uri)["redirect URI"]
    assert level == WARNING
    assert "redirect" in text
    assert cure.startswith("Register a redirect URI such as http://localhost:8080/callback")


def test_a_redirect_uri_that_is_none(findings: Any, exbo: Any) -> None:
    level, text, cure = findings(EXBO_REDIRECT_URI="not a uri")["redirect URI"]
    assert (level, text) == (PROBLEM, "redirect_uri must be a URL of visible ASCII characters")
    assert cure.startswith("Register a redirect URI such as http://localhost:8080/callback")


def test_a_redirect_uri_whose_port_is_taken(findings: Any, exbo: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        level, text, _ = findings(EXBO_REDIRECT_URI=f"http://127.0.0.1:{port}/back")["redirect URI"]
    assert level == WARNING
    assert f"cannot listen on 127.0.0.1:{port}" in text


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
        (OK, "it opens, 0 users signed in"),
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
    assert (level, cure) == (PROBLEM, "Mend it, or set EXBO_STORE to another one.")
    assert text.startswith("this is no URL of a token store: write sqlite:///tokens.db")


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
    assert (level, cure) == (PROBLEM, "Check the network, the address and any proxy or firewall.")
    assert text.startswith("GET http://127.0.0.1:9/oauth/user")
    assert not {"clock", "sign-on"} & set(found)


@pytest.mark.parametrize(
    ("answer", "level", "text", "cure"),
    [
        (
            Response(200, {"content-type": "text/html"}, b"<html>Please log in to the hotel</html>"),
            PROBLEM,
            "GET /user was answered 200 with what makes no sense: an HTML page in place of JSON.",
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


def test_credentials_that_the_server_refuses(findings: Any, exbo: Any) -> None:
    assert findings(EXBO_CLIENT_SECRET="of-the-demo")["sign-on"] == (
        PROBLEM,
        "the server refuses client id and secret",
        "Copy both from EXBO's bot again; a demo's do not work here, nor do those of a revoked application.",
    )


def test_a_token_endpoint_that_fails(findings: Any, exbo: Any) -> None:
    exbo.fake.fail_next(429, retry_after=30, path="/oauth/token")
    level, text, cure = findings()["sign-on"]
    assert (level, cure) == (WARNING, "Try again in a minute.")
    assert text.startswith("POST /token (refresh_token) was answered 429: Too Many Attempts.")


def test_a_users_token_that_another_deployment_superseded(findings: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token(), issued_by="bot-1:42", issued_at=datetime(2026, 1, 2, tzinfo=UTC))
    exbo.user_token()
    assert findings()["user ivan"] == (
        PROBLEM,
        "the token that bot-1:42 got at 2026-01-02 00:00:00 UTC is dead before its time",
        (
            "Another deployment got a newer one, or it was revoked: let all share one store, and run "
            "exbo-oauth refresh --user ivan"
        ),
    )


def test_a_users_token_that_has_expired_is_no_trouble(findings: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token(lives=-1))
    assert findings()["user ivan"] == (
        OK,
        "the access token has expired; it is refreshed when it is asked for",
        "",
    )


def test_an_app_token_is_tried_where_one_says(findings: Any, shell: Any, exbo: Any) -> None:
    shell.within("token")
    assert findings()["app token"] == (OK, "stored; to try it, name an address that it opens: --api-url URL", "")
    exbo.fake.supersede(app=exbo.app)
    level, text, cure = findings("--api-url", exbo.api)["app token"]
    assert (level, cure.rpartition("run ")[2]) == (PROBLEM, "exbo-oauth refresh")
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


def test_app_tokens_that_keep_being_superseded(shell: Any, exbo: Any) -> None:
    token = AppToken(token_type="Bearer", access_token="x", expires_in=60)
    exbo.keep(None, token, superseded=(datetime.now(UTC), datetime.now(UTC)))
    done = shell.within("doctor")
    assert done.returncode == 1
    assert "its predecessors were superseded 2 times in five minutes" in done.stdout
    assert "let all share one store, or give one of them" in " ".join(done.stdout.split())


def jwt(**claims: Any) -> str:
    now = datetime.now(UTC).timestamp()
    return signed({"aud": "59", "nbf": now, "exp": now + 86_400, **claims})


@pytest.mark.parametrize(
    ("text", "level", "problem", "cure"),
    [
        (jwt(), OK, "it looks like an access token of EXBO's that is still alive; not verified", ""),
        (
            jwt(aud="12"),
            PROBLEM,
            "it belongs to client 12, not to 59",
            "A token of the docs page or of another program does not work with your credentials: exbo-oauth token",
        ),
        (jwt(exp=1), PROBLEM, "it has expired", "Get another one: exbo-oauth token"),
        (jwt(nbf=9e9), PROBLEM, "it is not valid yet by this machine's clock", "Set the clock: it is slow."),
        (
            "def50200",
            PROBLEM,
            "this is an authorization code or a refresh token, not an access token",
            "Take the access_token of a token answer, or what exbo-oauth token prints.",
        ),
        (
            "5f4dcc3b5aa765d61d8327deb882cf99",
            PROBLEM,
            "this is no JWT, and EXBO's access tokens are: was it copied from somewhere else?",
            "Take the access_token of a token answer, or what exbo-oauth token prints.",
        ),
    ],
    ids=["good", "another client", "expired", "not yet", "refresh token", "site session"],
)
def test_a_pasted_token(findings: Any, exbo: Any, text: str, level: str, problem: str, cure: str) -> None:
    assert findings("--offline", "--token-file", "-", stdin=f"{text}\n")["token"] == (level, problem, cure)


def test_a_pasted_bearer(shell: Any, exbo: Any) -> None:
    done = shell.within("doctor", "--offline", "--token-file", "-", stdin=f"Bearer {jwt()}")
    assert done.returncode == 0
    assert '! token: "Bearer " is part of what was copied\n' in done.stdout
    assert "    Keep the token alone: this package writes the Bearer, and twice is refused.\n" in done.stdout
    assert "✓ token: it looks like an access token" in done.stdout


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

"""`token` and `refresh` as processes against a served sandbox."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from exbo_oauth import AppToken


def app_token(text: str = "an-app-token", lives: float = 3600) -> AppToken:
    return AppToken(token_type="Bearer", access_token=text, expires_in=lives)


def test_token_prints_a_token_that_the_api_takes_and_nothing_else(shell: Any, exbo: Any) -> None:
    done = shell.within("token")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    headers = {"Authorization": f"Bearer {done.stdout.strip()}"}
    assert httpx.get(exbo.api, headers=headers, trust_env=False).json()["application"] == "59"


def test_token_is_issued_once_and_then_comes_from_the_store(shell: Any, exbo: Any) -> None:
    assert shell.within("token").stdout == shell.within("token").stdout
    assert exbo.grants() == ["client_credentials"]


def test_a_stored_token_needs_neither_the_secret_nor_the_server(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token())
    shell.environment["EXBO_CLIENT_SECRET"] = ""
    done = shell.within("token")
    assert (done.returncode, done.stdout) == (0, "an-app-token\n")
    assert exbo.fake.requests == []


def test_an_encrypted_token_is_not_taken_for_one(shell: Any, exbo: Any) -> None:
    exbo.keep(None, AppToken(token_type="exbo-oauth+fernet", access_token="gAAAAABciphertext", expires_in=3600))
    for command in ("token", "refresh"):
        done = shell(command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "is encrypted: give the store its key" in done.stderr
        assert "gAAAAAB" not in done.stderr
    assert exbo.fake.requests == []


@pytest.mark.parametrize("arguments", [["--user", "ivan"], ["--user=ivan"]])
def test_token_of_a_user(shell: Any, exbo: Any, arguments: list[str]) -> None:
    token = exbo.user_token()
    exbo.keep("ivan", token)
    assert shell.within("token", *arguments).stdout == f"{token.access_token}\n"


def test_an_expired_user_token_is_refreshed_and_kept(shell: Any, exbo: Any) -> None:
    old = exbo.user_token(lives=-60)
    exbo.keep("ivan", old)
    new = shell.within("token", "--user", "ivan").stdout.strip()
    assert exbo.fake.is_live(new)
    assert not exbo.fake.is_live(old)
    assert exbo.stored("ivan").token.access_token == new
    assert exbo.grants() == ["refresh_token"]


def test_token_that_lives_too_short_for_the_caller_is_replaced(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token(lives=30), issued_at=datetime.now(UTC) - timedelta(hours=1))
    assert shell.within("token", "--min-ttl", "10").stdout == "an-app-token\n"
    assert shell.within("token").stdout != "an-app-token\n"


def test_token_as_json_has_its_moment_of_expiry(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token())
    facts = json.loads(shell.within("token", "--json").stdout)
    assert facts.pop("expires_in") in range(3500, 3601)
    assert datetime.fromisoformat(facts.pop("expires_at")) == exbo.stored().token.expires_at
    assert facts == {"account": None, "token_type": "Bearer", "access_token": "an-app-token"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["token", "--user", "nobody"], "nobody has signed in as 'nobody' yet: run exbo-oauth login --user nobody"),
        (["refresh", "--user", "nobody"], "nobody has signed in as 'nobody' yet: run exbo-oauth login --user nobody"),
    ],
)
def test_a_user_who_is_not_signed_in_has_no_token(shell: Any, exbo: Any, arguments: list[str], problem: str) -> None:
    done = shell.within(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"exbo-oauth: {problem}\n")


def test_an_empty_account_is_no_account(shell: Any, exbo: Any) -> None:
    done = shell.within("token", "--user", "")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "exbo-oauth: account must be your own non-empty key of the user\n"


def test_a_spent_refresh_token_asks_for_a_sign_in(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token(lives=-60))
    exbo.user_token()
    done = shell.within("token", "--user", "ivan")
    assert done.returncode == 1
    assert done.stderr == (
        "exbo-oauth: the refresh token of 'ivan' is spent or revoked: this user has to sign in again: "
        "run exbo-oauth login --user ivan\n"
    )


def test_wrong_credentials_are_the_servers_words_and_ours(shell: Any, exbo: Any) -> None:
    done = shell.within("token", EXBO_CLIENT_SECRET="another-secret")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("exbo-oauth: POST /token (client_credentials) was answered 401: invalid_client")
    assert "another-secret" not in done.stderr


def test_a_server_that_is_not_there_is_one_line(shell: Any, exbo: Any) -> None:
    done = shell.within("token", EXBO_OAUTH_URL="http://127.0.0.1:9/oauth")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback_and_no_secret(shell: Any, exbo: Any) -> None:
    done = shell.process("token", "--debug", EXBO_CLIENT_SECRET="another-secret")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "InvalidClientError" in done.stderr
    assert "another-secret" not in done.stderr


def test_min_ttl_that_is_no_number_is_wrong_use(shell: Any, exbo: Any) -> None:
    done = shell.within("token", "--min-ttl", "soon")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.endswith("See: exbo-oauth token --help\n")


def test_refresh_replaces_the_applications_token(shell: Any, exbo: Any) -> None:
    old = shell.within("token").stdout.strip()
    done = shell.within("refresh")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "There is a new token for the application, good for 364 days.\n"
    assert not exbo.fake.is_live(old)
    assert exbo.fake.is_live(shell.within("token").stdout.strip())


def test_refresh_replaces_a_users_token(shell: Any, exbo: Any) -> None:
    old = exbo.user_token()
    exbo.keep("ivan", old)
    done = shell.within("refresh", "--user", "ivan")
    assert done.stdout == "There is a new token for 'ivan', good for 364 days.\n"
    assert exbo.fake.is_live(exbo.stored("ivan").token)
    assert exbo.grants() == ["refresh_token"]


def test_refresh_on_purpose_is_no_conflict_however_often(shell: Any, exbo: Any) -> None:
    assert [shell.within("refresh").returncode for _ in range(5)] == [0] * 5
    assert exbo.stored().superseded == ()


def test_refresh_shows_secrets_only_if_asked(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    plain = json.loads(shell.within("refresh", "--user", "ivan", "--json").stdout)
    assert sorted(plain) == ["account", "expires_at", "expires_in", "token_type"]
    revealed = json.loads(shell.within("refresh", "--user", "ivan", "--json", "--reveal").stdout)
    token = exbo.stored("ivan").token
    assert (revealed["access_token"], revealed["refresh_token"]) == (token.access_token, token.refresh_token)
    assert shell.within("refresh", "--reveal").stdout.splitlines()[1] == exbo.stored().token.access_token


_LOADED = """
import sys
from exbo_oauth.__main__ import main
code = main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_fresh_token_is_printed_without_loading_what_is_heavy(shell: Any, exbo: Any, language: str) -> None:
    exbo.keep(None, app_token())
    shell.environment["EXBO_LANG"] = language
    command = [sys.executable, "-c", _LOADED, "token"]
    done = subprocess.run(command, env=shell.environment, cwd=shell.home, capture_output=True, text=True, check=True)
    assert done.stdout == "an-app-token\n"
    assert not {"httpx", "httpx2", "rich", "cryptography", "typer", "pydantic", "asyncio", "gettext"} & set(
        done.stderr.split()
    )


def test_help_loads_no_http_library(shell: Any) -> None:
    command = [sys.executable, "-c", _LOADED, "--help"]
    unwatched = {name: value for name, value in shell.environment.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(command, env=unwatched, cwd=shell.home, capture_output=True, text=True, check=True)
    assert not {"httpx", "httpx2", "cryptography", "pydantic", "sqlite3"} & set(done.stderr.split())

"""`login`, `whoami`, `accounts`, `logout` and `url`: users coming and going."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from exbo_oauth import LoginAttempt, SyncOAuthClient
from exbo_oauth.protocol import Response

USER = {
    "id": 1,
    "uuid": "00000001-0000-4000-8000-000000000001",
    "login": "ivan",
    "display_login": None,
    "distributor": "exbo",
    "distributor_id": None,
}


@contextmanager
def waiting_login(shell: Any, *flags: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`exbo-oauth login` at the point where it waits for the browser, and the address it printed."""
    with shell.started("login", "--no-browser", "--timeout", "20", *flags) as process:
        yield process, next(line.strip() for line in process.stderr if "/authorize?" in line)


def test_login_signs_a_user_in_and_keeps_the_token_under_the_login(shell: Any, exbo: Any, sign_in: Any) -> None:
    with waiting_login(shell) as (process, url):
        assert sign_in(url).status_code == 200
        output, rest = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output == "Signed in as ivan, kept as account 'ivan', good for 364 days.\n"
    assert rest.endswith("Next: exbo-oauth whoami --user ivan\n")
    assert shell.within("accounts").stdout == "ivan\n"
    assert exbo.fake.is_live(exbo.stored("ivan").token)


def test_login_keeps_the_token_under_the_name_that_is_asked_for(shell: Any, exbo: Any, sign_in: Any) -> None:
    with waiting_login(shell, "--user", "my guest", "--json") as (process, url):
        sign_in(url, "steam-guest")
        output, _ = process.communicate(timeout=120)
    facts = json.loads(output)
    assert (facts["account"], facts["user"]["login"]) == ("my guest", "steam-guest")
    assert "access_token" not in facts
    assert shell.within("accounts").stdout == "my guest\n"


def test_a_sign_in_is_kept_even_if_the_server_does_not_say_as_whom(shell: Any, exbo: Any, sign_in: Any) -> None:
    exbo.fake.answer_next(Response(418, {}, b"{}"), times=9, path="/oauth/user")
    with waiting_login(shell) as (process, url):
        sign_in(url)
        output, rest = process.communicate(timeout=120)
    assert process.returncode == 0
    name = re.fullmatch(r"Signed in, kept as account '(sign-in-[0-9]{8}-[0-9]{6})', good for 364 days\.\n", output)
    assert name is not None
    assert "Signed in, but the server did not say as whom: " in rest
    assert shell.within("accounts").stdout == f"{name[1]}\n"


def test_a_refused_sign_in_is_one_line(shell: Any, exbo: Any) -> None:
    with waiting_login(shell) as (process, url):
        callback = exbo.fake.authorize(url, approve=False)
        httpx.get(callback, trust_env=False)
        output, rest = process.communicate(timeout=120)
    assert (process.returncode, output) == (1, "")
    assert rest.splitlines()[-1].startswith("exbo-oauth: the sign-in was denied: access_denied")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a single process on Windows")
def test_an_interrupt_while_waiting_is_quiet(shell: Any, exbo: Any) -> None:
    with waiting_login(shell) as (process, _):
        process.send_signal(signal.SIGINT)
        output, rest = process.communicate(timeout=120)
    assert (process.returncode, output, rest.strip()) == (130, "", "")


def test_nobody_comes_back_in_time(shell: Any, exbo: Any) -> None:
    done = shell.within("login", "--no-browser", "--timeout", "0.2")
    assert done.returncode == 1
    problem = f"exbo-oauth: nobody came back to {exbo.redirect_uri} within 0.2 seconds. The sandbox's terminal says why"
    last = done.stderr.splitlines()[-1]
    assert last.startswith(problem)
    assert last.endswith("exbo-oauth sandbox --redirect-uri URI")
    assert "/myapps" not in done.stderr


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:{taken}/back", "https://localhost:8443/x", "http://localhost:0/x", "https://bot.example/x"],
)
def test_another_redirect_uri_than_one_that_will_not_do_is_the_sandboxs_to_register(
    shell: Any, exbo: Any, uri: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = uri.format(taken=server.getsockname()[1])
        done = shell.within("login", "--no-browser", EXBO_REDIRECT_URI=uri)
    assert done.returncode == 1
    assert "exbo-oauth sandbox --redirect-uri URI" in done.stderr.splitlines()[0]
    assert "/myapps" not in done.stderr


def test_a_redirect_uri_that_is_not_loopback_cannot_be_listened_on(shell: Any, exbo: Any) -> None:
    done = shell.within("login", "--redirect-uri", "https://example.org/callback")
    assert (done.returncode, done.stdout) == (1, "")
    assert "https://example.org/callback" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a thing of POSIX")
def test_the_callback_can_be_pasted_at_the_terminal(shell: Any, exbo: Any) -> None:
    import pty

    parent, child = pty.openpty()
    with shell.started("login", "--no-browser", "--user", "ivan", stdin=child) as process:
        os.close(child)
        url = next(line.strip() for line in process.stderr if "/authorize?" in line)
        os.write(parent, f"{exbo.fake.authorize(url)}\n".encode())
        output, _ = process.communicate(timeout=120)
    os.close(parent)
    assert (process.returncode, output) == (0, "Signed in as ivan, kept as account 'ivan', good for 364 days.\n")


def test_whoami_asks_the_server(shell: Any, exbo: Any) -> None:
    exbo.keep("me", exbo.user_token())
    done = shell.within("whoami")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ivan (id 1, exbo, uuid 00000001-0000-4000-8000-000000000001)\n"
    assert json.loads(shell.within("whoami", "--user", "me", "--json").stdout) == {"account": "me", **USER}


def test_whoami_shows_the_login_beside_another_name(shell: Any, exbo: Any) -> None:
    exbo.keep("guest", exbo.user_token("steam-guest"))
    assert shell.within("whoami").stdout == (
        "Guest (login steam-guest, id 2, steam, uuid 00000002-0000-4000-8000-000000000002)\n"
    )


def test_whoami_replaces_a_token_that_the_server_refuses(shell: Any, exbo: Any) -> None:
    token = exbo.user_token()
    exbo.keep("ivan", token)
    exbo.fake.revoke(token)
    assert shell.within("whoami").stdout.startswith("ivan (id 1")
    assert exbo.fake.is_live(exbo.stored("ivan").token)


def test_whoami_of_a_deleted_user_says_so_after_one_refresh(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    exbo.fake.remove_user("ivan")
    done = shell.within("whoami")
    assert done.returncode == 1
    assert done.stderr.startswith("exbo-oauth: GET /user was answered 401: Unauthenticated.")
    assert exbo.grants() == ["refresh_token"]


@pytest.mark.parametrize("command", ["whoami", "logout"])
def test_with_several_users_one_has_to_be_named(shell: Any, exbo: Any, command: str) -> None:
    exbo.keep("ivan", exbo.user_token())
    exbo.keep("guest", exbo.user_token("steam-guest"))
    done = shell(command)
    assert (done.returncode, done.stdout) == (2, "")
    problem = "several users are signed in, say which: --user guest or --user ivan."
    assert done.stderr == f"exbo-oauth: {problem} See: exbo-oauth {command} --help\n"


def test_with_nobody_signed_in_whoami_says_what_to_run(shell: Any, exbo: Any) -> None:
    done = shell.within("whoami")
    assert (done.returncode, done.stderr) == (1, "exbo-oauth: nobody is signed in: run exbo-oauth login\n")


def test_accounts_are_listed_one_a_line_and_sorted(shell: Any, exbo: Any) -> None:
    assert shell.within("accounts").stderr == "Nobody is signed in: run exbo-oauth login\n"
    exbo.keep("ivan", exbo.user_token())
    exbo.keep("a b", exbo.user_token("steam-guest"))
    shell.within("token")
    assert shell.within("accounts").stdout == "a b\nivan\n"
    assert json.loads(shell.within("accounts", "--json").stdout) == ["a b", "ivan"]


def test_logout_forgets_the_only_user_without_the_server_or_the_secret(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    done = shell.within("logout", EXBO_CLIENT_SECRET="")
    assert (done.returncode, done.stdout) == (0, "The token of 'ivan' is forgotten.\n")
    assert exbo.stored("ivan") is None
    assert exbo.fake.requests == []


def test_logout_of_all_keeps_the_application(shell: Any, exbo: Any) -> None:
    for account, login in (("ivan", "ivan"), ("guest", "steam-guest")):
        exbo.keep(account, exbo.user_token(login))
    shell.within("token")
    assert json.loads(shell.within("logout", "--all", "--json").stdout) == {"accounts": ["guest", "ivan"], "app": False}
    assert exbo.stored() is not None


def test_logout_of_the_application_keeps_the_users(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    shell.within("token")
    assert shell.within("logout", "--app").stdout == "The token of the application is forgotten.\n"
    assert (exbo.stored(), exbo.stored("ivan") is None) == (None, False)


@pytest.mark.parametrize("flags", [[], ["--all"], ["--app"], ["--user", "ivan"]])
def test_logout_of_nobody_is_done_already(shell: Any, exbo: Any, flags: list[str]) -> None:
    done = shell.within("logout", *flags)
    assert (done.returncode, done.stdout) == (0, "There was nothing to forget.\n")


def test_logout_of_one_and_of_all_contradict_each_other(shell: Any, exbo: Any) -> None:
    done = shell.within("logout", "--user", "ivan", "--all")
    assert done.returncode == 2
    assert "name one user with --user, or everybody with --all and the application with --app" in done.stderr


def test_url_is_the_authorize_url_with_an_unguessable_state(shell: Any, exbo: Any) -> None:
    first, second = (shell.within("url", EXBO_CLIENT_SECRET="").stdout.strip() for _ in range(2))
    assert first.startswith(f"{exbo.base_url}/authorize?client_id=59&redirect_uri=http%3A%2F%2Flocalhost%3A")
    assert first != second
    assert "code=" in exbo.fake.authorize(first)


def test_url_takes_state_and_challenge_of_ones_own(shell: Any, exbo: Any) -> None:
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    facts = json.loads(shell.within("url", "--json", "--state", "mine", "--code-challenge", challenge).stdout)
    assert (facts["state"], facts["redirect_uri"]) == ("mine", exbo.redirect_uri)
    assert f"&state=mine&code_challenge={challenge}&code_challenge_method=S256" in facts["url"]


def test_url_hands_a_whole_attempt_to_a_program(shell: Any, exbo: Any) -> None:
    attempt = LoginAttempt.from_dict(json.loads(shell.within("url", "--pkce", "--json", "--reveal").stdout))
    environment = shell.environment
    with SyncOAuthClient(
        client_id=59,
        client_secret=environment["EXBO_CLIENT_SECRET"],
        base_url=exbo.base_url,
        redirect_uri=attempt.redirect_uri,
    ) as oauth:
        token = oauth.finish_login(attempt, exbo.fake.authorize(attempt.url))
    assert exbo.fake.is_live(token)


@pytest.mark.parametrize("flags", [["--pkce"], ["--pkce", "--json"], ["--pkce", "--json", "--reveal", "--state", "x"]])
def test_url_makes_no_verifier_that_nobody_gets(shell: Any, exbo: Any, flags: list[str]) -> None:
    done = shell.within("url", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--pkce makes state and challenge itself and needs --json --reveal to hand them out" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["accounts"], ["whoami"], ["whoami", "--user", "ivan"], ["logout", "--all", "--app"], ["inspect"]]
)
def test_looking_for_people_makes_no_store(shell: Any, exbo: Any, arguments: list[str]) -> None:
    done = shell.within(*arguments)
    assert "Traceback" not in done.stderr
    assert not exbo.path.exists()


@pytest.mark.skipif(os.name != "posix", reason="a home in which nothing can be made, as Linux has it")
def test_a_home_in_which_nothing_can_be_kept_leads_to_the_variable(shell: Any, exbo: Any) -> None:
    del shell.environment["EXBO_STORE"]
    done = shell.within("token", HOME="/proc")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "/proc/.local/share/exbo-oauth/tokens.db" in done.stderr
    assert done.stderr.endswith(": set EXBO_STORE to another place, for all programs that share it\n")

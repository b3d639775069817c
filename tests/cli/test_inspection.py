"""`inspect` and `status`: looking without asking anybody."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth.cli.inspection import WARNING, reading_of
from exbo_oauth.cli.wording import lifetime
from exbo_oauth.masking import Secret


def jwt(claims: Any, header: Any = None) -> str:
    parts = ({"typ": "JWT", "alg": "RS256"} if header is None else header, claims)
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "signature"])


def test_a_stored_token_is_shown_with_a_warning(shell: Any, exbo: Any) -> None:
    exbo.keep("ivan", exbo.user_token())
    done = shell.within("inspect", "--user", "ivan", EXBO_CLIENT_SECRET="")
    assert (done.returncode, done.stderr) == (0, f"{WARNING}\n")
    rows = dict(
        line.split(maxsplit=1) for line in done.stdout.replace(" id ", "-id ").splitlines() if line[:3] != "not"
    )
    assert (rows["client-id"], rows["user-id"], rows["scopes"], rows["algorithm"]) == ("59", "1", "none", "RS256")
    assert rows["expires"].endswith("(364 days)")
    assert len(rows["token-id"]) == 80
    assert exbo.fake.requests == []


def test_an_app_token_of_league_8_has_no_user(shell: Any, exbo: Any) -> None:
    shell.within("token")
    assert "user id    none: the application's own token\n" in shell.within("inspect").stdout


def test_a_token_is_read_from_standard_input_with_a_bearer_before_it(shell: Any) -> None:
    done = shell.within("inspect", "-", "--json", stdin=f"Bearer {jwt({'aud': '7', 'sub': '1'})}\n")
    assert json.loads(done.stdout) == {
        "source": "standard input",
        "verified": False,
        "header": {"typ": "JWT", "alg": "RS256"},
        "claims": {"aud": "7", "sub": "1"},
    }


def test_a_token_is_read_from_a_file_and_what_is_missing_is_left_out(shell: Any) -> None:
    (shell.home / "token.txt").write_text(jwt({"exp": 0, "scopes": ["a", "b"]}, header={}))
    lines = shell.within("inspect", "token.txt").stdout.splitlines()
    assert [line[:11].strip() for line in lines] == ["user id", "scopes", "expires"]
    assert lines[1].endswith("a b")
    assert lines[2].startswith("expires    1970-01-01 00:00:00 UTC (expired ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "There is no token in it"),
        ("Bearer ", "There is no token in it"),
        ("abc def", "There are spaces or line breaks in the token: was more than the token copied?"),
        ("def5020011aa", "This is an authorization code or a refresh token, not an access token"),
        ("abcdef", "This is not a JWT, and EXBO's access tokens are: was it copied from somewhere else?"),
        ("a.b.c", "This is not a whole JWT: it has three parts, but they do not hold JSON"),
        (jwt([1]), "This is not a whole JWT: it has three parts, but they do not hold JSON"),
    ],
    ids=["nothing", "only the scheme", "spaces", "refresh token", "opaque", "no JSON", "no object"],
)
def test_what_is_no_access_token_is_told_apart(shell: Any, text: str, problem: str) -> None:
    done = shell.within("inspect", "-", stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"exbo-oauth: {problem}\n")


@pytest.mark.parametrize("token", [jwt({}), "def50200aa", "Bearer x", f"http://localhost/?code=def50200{'ab' * 200}"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect"],
        ["doctor", "--token-file"],
        ["token", "--user"],
        ["token", "--store"],
        ["token", "--env-file"],
        ["status", "--client-secret-file"],
        ["sandbox", "--state"],
        ["login"],
        [],
    ],
    ids=" ".join,
)
def test_a_token_on_the_command_line_is_refused_with_the_reason(shell: Any, arguments: list[str], token: str) -> None:
    done = shell.within(*arguments, token)
    assert (done.returncode, done.stdout) == (2, "")
    assert "this is a token, not a name: on the command line it is seen by every user of this machine" in done.stderr
    assert token not in done.stderr


def test_a_file_and_a_user_contradict_each_other(shell: Any) -> None:
    done = shell.within("inspect", "token.txt", "--user", "ivan")
    assert done.returncode == 2
    assert "inspect either a FILE or the stored token of --user" in done.stderr


@pytest.mark.parametrize(("flags", "whose"), [([], "the application"), (["--user", "ivan"], "'ivan'")])
def test_nothing_stored_is_nothing_to_inspect(shell: Any, exbo: Any, flags: list[str], whose: str) -> None:
    done = shell.within("inspect", *flags)
    assert (done.returncode, done.stderr) == (1, f"exbo-oauth: the store holds no token of {whose}\n")


@given(st.text())
def test_any_text_is_a_reading_or_a_problem(text: str) -> None:
    reading = reading_of(Secret(text))
    assert reading.problem is None or (reading.header, reading.claims) == ({}, {})
    assert reading.problem is not None or text.count(".") == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (31_536_000, "365 days"),
        (86_400, "1 day"),
        (86_399, "23 h 59 min"),
        (61, "1 min 1 s"),
        (59.9, "59 s"),
        (0, "expired 0 s ago"),
        (-3600, "expired 1 h 0 min ago"),
    ],
)
def test_lifetimes_are_said_in_the_two_largest_units(seconds: float, words: str) -> None:
    assert lifetime(timedelta(seconds=seconds)) == words


def test_status_shows_lifetime_issuer_and_moment_without_a_secret(shell: Any, exbo: Any) -> None:
    token = exbo.user_token(lives=7260)
    exbo.keep("[bold]", token, issued_by="bot-1:42", issued_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    done = shell.within("status", EXBO_CLIENT_SECRET="")
    assert (done.returncode, done.stderr) == (0, "")
    for shown in ("[bold]", "2 h 0 min", "2026-01-02 03:04:05 UTC", "bot-1:42"):
        assert shown in done.stdout
    assert token.access_token not in done.stdout
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80  # the first has a path


def test_status_as_json_shows_secrets_only_if_asked(shell: Any, exbo: Any) -> None:
    token = exbo.user_token()
    exbo.keep("ivan", token)
    (plain,) = json.loads(shell.within("status", "--json").stdout)
    expected = ["account", "base_url", "client_id", "expires_at", "expires_in", "issued_at", "issued_by"]
    assert sorted(plain) == [*expected, "recently_superseded", "token_type"]
    (revealed,) = json.loads(shell.within("status", "--json", "--reveal").stdout)
    assert (revealed["access_token"], revealed["refresh_token"]) == (token.access_token, token.refresh_token)
    assert shell.within("token").returncode == 0  # which is told, too, and has no refresh token
    lines = shell.within("status", "--reveal").stdout.splitlines()[-2:]
    assert lines == [f"ivan: {token.access_token}", f"ivan, refresh token: {token.refresh_token}"]


def test_status_is_about_this_application_unless_all_is_asked_for(shell: Any, exbo: Any) -> None:
    shell.within("token")
    assert shell.within("status", "--client-id", "60").stdout.endswith(
        "\nThe store holds no token of this application.\n"
    )
    everything = shell.within("status", "--client-id", "60", "--all").stdout
    assert everything.startswith(f"store: {exbo.path}\nclient 59 at {exbo.base_url}\n")
    assert "(application)" in everything
    assert "client 59 at " in shell.within("status", EXBO_CLIENT_ID="").stdout


def test_an_empty_store_is_said_to_be_empty(shell: Any, exbo: Any) -> None:
    assert shell.within("status", "--all").stdout.endswith("\nThe store holds no token.\n")
    assert json.loads(shell.within("status", "--json").stdout) == []

"""The attempt on its way through a session, a database and time; and what `finish_login` makes of it."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exbo_oauth import (
    AttemptUsedError,
    ConfigurationError,
    InvalidGrantError,
    LoginAttempt,
    MalformedResponseError,
    MissingCodeError,
    OutcomeUnknownError,
    StateMismatchError,
    SyncOAuthClient,
)
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

REDIRECT_URI = "http://localhost:9999/callback"


def client_of(fake: FakeExbo, **options: Any) -> SyncOAuthClient[Any, Any, Any]:
    import httpx

    given = {"client_id": 1, "client_secret": fake.app.client_secret, "base_url": fake.base_url}
    http = httpx.Client(transport=fake.transport())
    return SyncOAuthClient(http_client=http, redirect_uri=REDIRECT_URI, **{**given, **options})


def exchanges(fake: FakeExbo) -> int:
    return sum(request.path == "/oauth/token" for request in fake.requests)


def test_it_fits_into_a_session_and_comes_back_whole(fake: FakeExbo) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    restored = LoginAttempt.from_dict(json.loads(json.dumps(attempt.to_dict())))
    assert restored == attempt
    assert client.finish_login(restored, fake.authorize(attempt.url)).access_token == fake.issued[-1].access_token


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_serves_as_well(fake: FakeExbo, copied: Any) -> None:
    client = client_of(fake)
    attempt = copied(client.begin_login())
    client.finish_login(attempt, fake.authorize(attempt.url))
    assert attempt.used


def test_it_serves_once_and_remembers_that_in_a_session(fake: FakeExbo) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    callback = fake.authorize(attempt.url)
    client.finish_login(attempt, callback)
    for used in (attempt, LoginAttempt.from_dict(attempt.to_dict())):
        with pytest.raises(AttemptUsedError):
            client.finish_login(used, callback)
    assert exchanges(fake) == 1


def test_neither_state_nor_verifier_is_shown(fake: FakeExbo) -> None:
    attempt = client_of(fake).begin_login()
    assert attempt.verifier
    assert attempt.state not in repr(attempt)
    assert attempt.verifier.reveal() not in repr(attempt)


def test_without_pkce_there_is_no_verifier(fake: FakeExbo) -> None:
    client = client_of(fake)
    attempt = client.begin_login(pkce=False)
    assert attempt.verifier is None
    assert "code_challenge" not in attempt.url
    assert "verifier=None" in repr(attempt)
    client.finish_login(LoginAttempt.from_dict(attempt.to_dict()), fake.authorize(attempt.url))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"url": None}, id="no url"),
        pytest.param({"state": ""}, id="an empty state"),
        pytest.param({"redirect_uri": 7}, id="a number for an address"),
        pytest.param({"created_at": "yesterday"}, id="no moment"),
        pytest.param({"created_at": "2026-01-01T00:00:00"}, id="a moment of no time zone"),
        pytest.param({"created_at": 7}, id="a number for a moment"),
        pytest.param({"verifier": 7}, id="a number for a verifier"),
        pytest.param({"verifier": ""}, id="an empty verifier"),
    ],
)
def test_what_is_no_attempt_is_refused_without_being_shown(fake: FakeExbo, change: dict[str, Any]) -> None:
    saved = client_of(fake).begin_login().to_dict()
    with pytest.raises(ConfigurationError, match="not a saved sign-in") as caught:
        LoginAttempt.from_dict({**saved, **change})
    assert saved["verifier"] not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("missing", ["url", "state", "redirect_uri", "created_at", "verifier", "used"])
def test_half_an_attempt_is_refused(fake: FakeExbo, missing: str) -> None:
    saved = client_of(fake).begin_login().to_dict()
    del saved[missing]
    with pytest.raises(ConfigurationError):
        LoginAttempt.from_dict(saved)


@pytest.mark.parametrize("age", [timedelta(minutes=61), timedelta(days=400), timedelta(minutes=-61)])
def test_it_is_good_for_an_hour(fake: FakeExbo, age: timedelta) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    old = LoginAttempt.from_dict({**attempt.to_dict(), "created_at": (datetime.now(UTC) - age).isoformat()})
    with pytest.raises(AttemptUsedError, match="hour"):
        client.finish_login(old, fake.authorize(attempt.url))
    assert exchanges(fake) == 0


def test_it_is_finished_by_the_application_that_began_it(fake: FakeExbo) -> None:
    other = fake.add_app(redirect_uris=(REDIRECT_URI,))
    attempt = client_of(fake).begin_login()
    stranger = client_of(fake, client_id=other.client_id, client_secret=other.client_secret)
    with pytest.raises(ConfigurationError, match="another application"):
        stranger.finish_login(attempt, fake.authorize(attempt.url))
    assert exchanges(fake) == 0


def test_it_is_finished_at_the_server_that_it_began_at(fake: FakeExbo) -> None:
    attempt = client_of(fake).begin_login()
    elsewhere = client_of(fake, base_url="https://exbo.example/oauth")
    with pytest.raises(ConfigurationError, match="another server"):
        elsewhere.finish_login(attempt, fake.authorize(attempt.url))
    assert exchanges(fake) == 0


@pytest.mark.parametrize(
    ("callback", "error"),
    [
        ("?code=def50200&state=other", StateMismatchError),
        ("?code=def50200", StateMismatchError),
        ("?state={state}", MissingCodeError),
    ],
)
def test_a_strangers_callback_does_not_use_it_up(fake: FakeExbo, callback: str, error: type[Exception]) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    with pytest.raises(error):
        client.finish_login(attempt, REDIRECT_URI + callback.replace("{state}", attempt.state))
    assert not attempt.used
    client.finish_login(attempt, fake.authorize(attempt.url))


def test_what_was_saved_has_to_be_read_again_first(fake: FakeExbo) -> None:
    client = client_of(fake)
    saved: Any = client.begin_login().to_dict()
    with pytest.raises(ConfigurationError, match="from_dict"):
        client.finish_login(saved, f"{REDIRECT_URI}?code=dead&state={saved['state']}")
    assert exchanges(fake) == 0


def test_a_refused_code_uses_it_up(fake: FakeExbo) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    with pytest.raises(InvalidGrantError):
        client.finish_login(attempt, f"{REDIRECT_URI}?code=dead&state={attempt.state}")
    assert attempt.used


def test_a_lost_answer_leaves_it_to_the_caller(fake: FakeExbo) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    callback = fake.authorize(attempt.url)
    fake.lose_next_answer(processed=False, path="/oauth/token")
    with pytest.raises(OutcomeUnknownError):
        client.finish_login(attempt, callback)
    assert not attempt.used
    client.finish_login(attempt, callback)


@pytest.mark.parametrize(("status", "used"), [(200, True), (403, False)])
def test_a_page_of_html_uses_it_up_only_where_a_token_was_due(fake: FakeExbo, status: int, used: bool) -> None:
    client = client_of(fake)
    attempt = client.begin_login()
    fake.answer_next(Response(status, {"content-type": "text/html"}, b"<html>go away</html>"), path="/oauth/token")
    with pytest.raises(MalformedResponseError):
        client.finish_login(attempt, fake.authorize(attempt.url))
    assert attempt.used is used

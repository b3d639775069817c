"""The stand-in for the game API: its credentials, its errors, its points."""

import json
from collections.abc import Callable

import pytest

from exbo_oauth.protocol.messages import Response
from exbo_oauth.testing import FakeExbo

from .scenario import JSON, Scenario

UNAUTHORIZED = {
    "title": "Unauthorized",
    "status": 401,
    "details": {"token": "Corrupted or illegal authorization token"},
}


def call(s: Scenario, path: str = "/api", token: str = "", method: str = "GET", **headers: str) -> Response:
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return s.send(method, path, JSON | bearer | sent)


def test_it_says_who_is_calling() -> None:
    s = Scenario()
    app, user = s.app_pair(), s.pair("steam-guest")
    assert json.loads(call(s, token=app.access_token).content) == {"application": "1", "user": None}
    assert json.loads(call(s, token=user.access_token).content) == {
        "application": "1",
        "user": {"id": 2, "login": "steam-guest"},
    }


def test_client_headers_take_the_place_of_an_app_token() -> None:
    s = Scenario()
    answer = call(s, client_id="1", client_secret=s.first.client_secret)
    assert json.loads(answer.content) == {"application": "1", "user": None}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda s: call(s),
        lambda s: call(s, token="garbage"),
        lambda s: call(s, authorization=s.app_pair().access_token),
        lambda s: call(s, authorization="bearer " + s.app_pair().access_token),
        lambda s: call(s, client_id="1", client_secret="wrong"),
        lambda s: call(s, client_id="99", client_secret=s.first.client_secret),
        lambda s: call(s, client_id="3", client_secret=""),
        lambda s: call(s, token="garbage", client_id="1", client_secret=s.first.client_secret),
    ],
    ids=["nothing", "garbage", "bare", "lower-case", "secret", "client", "public", "both"],
)
def test_bad_credentials_get_the_games_own_answer(attempt: Callable[[Scenario], Response]) -> None:
    answer = attempt(Scenario())
    assert (answer.status, json.loads(answer.content)) == (401, UNAUTHORIZED)


def test_superseded_expired_and_orphaned_tokens_are_refused() -> None:
    s = Scenario(invalidate="all", token_ttl=100)
    superseded = s.app_pair()
    s.app_pair()
    orphaned = s.pair()
    s.fake.remove_user("ivan")
    expired = s.pair("steam-guest")
    assert call(s, token=superseded.access_token).status == 401
    assert call(s, token=orphaned.access_token).status == 401
    s.fake.advance(100)
    assert call(s, token=expired.access_token).status == 401
    assert [event.detail for event in s.fake.events if event.kind == "refused"] == [
        "superseded",
        "no_user",
        "expired",
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/regions", 200),
        ("/api/ru/emission", 200),
        ("/api/EU/auction/y1q9/lots", 200),
        ("/api/EU/characters", 403),
        ("/api/MOON/emission", 404),
        ("/api/nothing", 404),
        ("/oauth/api", 200),
        ("/oauth/api/regions", 200),
    ],
)
def test_routes(path: str, status: int) -> None:
    s = Scenario()
    answer = call(s, path, s.app_pair().access_token)
    assert answer.status == status
    assert status == 200 or json.loads(answer.content)["status"] == status


def test_characters_are_a_users_own() -> None:
    s = Scenario()
    answer = call(s, "/api/ru/characters", s.pair("steam-guest").access_token)
    assert json.loads(answer.content)[0]["information"]["name"] == "Guest"


def test_other_methods_are_refused() -> None:
    s = Scenario()
    assert call(s, token=s.app_pair().access_token, method="HEAD").content == b""
    assert call(s, token=s.app_pair().access_token, method="POST").status == 405


def test_points_are_spent_told_in_milliseconds_and_flow_back() -> None:
    s = Scenario(app_points=60, user_points=3)
    user, app = s.pair().access_token, s.app_pair().access_token
    statuses = [call(s, "/api/regions", user).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = call(s, "/api/regions", user)
    assert json.loads(refused.content)["title"] == "Too Many Requests"
    now = s.fake.now.timestamp()
    assert refused.headers["x-ratelimit-limit"] == "3"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert int(refused.headers["x-ratelimit-reset"]) == pytest.approx((now + 60) * 1000, abs=2)
    assert call(s, "/api/ru/auction/y1q9/lots", app).headers["x-ratelimit-remaining"] == "55"
    s.fake.advance(20)
    again = call(s, "/api/regions", user)
    assert (again.status, again.headers["x-ratelimit-remaining"]) == (200, "0")


def test_the_points_are_the_applications_whichever_way_it_identifies_itself() -> None:
    s = Scenario(app_points=2)
    assert call(s, token=s.app_pair().access_token).status == 200
    assert call(s, client_id="1", client_secret=s.first.client_secret).status == 200
    assert call(s, token=s.app_pair().access_token).status == 429


def test_a_status_without_a_name_is_just_an_error() -> None:
    s = Scenario()
    s.fake.fail_next(599)
    assert json.loads(call(s).content)["title"] == "Error"


@pytest.mark.parametrize("retry_after", [None, 3])
def test_scripted_failures_have_the_games_form(retry_after: int | None) -> None:
    s = Scenario()
    token = s.app_pair().access_token
    s.fake.fail_next(503, retry_after)
    answer = call(s, token=token)
    assert json.loads(answer.content) == {"title": "Service Unavailable", "status": 503, "details": {}}
    assert answer.headers.get("retry-after") == (None if retry_after is None else "3")


def test_the_address_follows_the_base_url() -> None:
    fake = FakeExbo()
    assert fake.api_url == "https://exbo.test/api"
    with fake.serve() as base_url:
        assert fake.api_url == base_url.replace("/oauth", "/api")

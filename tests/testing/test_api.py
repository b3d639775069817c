"""The stand-in for the game API: its credentials, its errors, its points."""

import json
from collections.abc import Callable
from typing import Any

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


OF_APPS = [
    "regions",
    "ru/emission",
    "EU/auction/y1q9/lots",
    "sea/auction/y1q9/history",
    "nea/clans",
    "na/clan/647d6c53-b3d7-4d30-8d08-de874eb1d845/info",
    "ru/character/by-name/%D0%92%D0%BE%D0%BB%D0%BA/profile",
    "ru/operations/sessions",
]
OF_USERS = ["ru/characters", "ru/friends/ivan", "ru/clan/x/members"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *[(f"/api/{path}", 200) for path in OF_APPS],
        *[(f"/api/{path}", 403) for path in OF_USERS],
        ("/api/MOON/emission", 404),
        ("/api/nothing", 404),
        ("/api/ru/auction//lots", 404),
        ("/api/ru/clans/x", 404),
        ("/oauth/api", 200),
        ("/oauth/api/regions", 200),
    ],
)
def test_routes(path: str, status: int) -> None:
    s = Scenario()
    answer = call(s, path, s.app_pair().access_token)
    assert answer.status == status
    assert status == 200 or json.loads(answer.content)["status"] == status


def data(s: Scenario, path: str, token: str) -> Any:
    answer = call(s, f"/api/{path}", token)
    assert answer.status == 200
    return json.loads(answer.content)


@pytest.mark.parametrize("path", [*OF_APPS, *OF_USERS])
def test_the_made_up_game_is_the_same_in_every_run(path: str) -> None:
    first, second = Scenario(), Scenario()
    assert data(first, path, first.pair().access_token) == data(second, path, second.pair().access_token)


def test_characters_are_a_users_own() -> None:
    s = Scenario()
    token = s.pair("steam-guest").access_token
    [first, second] = data(s, "ru/characters", token)
    assert first["information"]["name"] == first["clan"]["member"]["name"] == "Guest"
    assert second["clan"] is None
    assert data(s, "ru/character/by-name/steam-guest/profile", token)["uuid"] == first["information"]["id"]


LISTS = [
    pytest.param("ru/auction/y1q9/lots", "lots", "total", id="lots"),
    pytest.param("ru/auction/y1q9/history", "prices", "total", id="history"),
    pytest.param("ru/clans", "data", "totalClans", id="clans"),
    pytest.param("ru/operations/sessions", "sessions", "total", id="sessions"),
]


@pytest.mark.parametrize(("path", "records", "total"), LISTS)
def test_a_list_comes_in_pages(path: str, records: str, total: str) -> None:
    s = Scenario()
    token = s.app_pair().access_token
    whole = data(s, f"{path}?limit=999", token)
    assert len(whole[records]) == min(whole[total], 200)
    assert data(s, path, token)[records] == whole[records][:20]
    assert data(s, f"{path}?limit=5&offset=3", token)[records] == whole[records][3:8]
    assert data(s, f"{path}?limit=0", token)[records] == []
    assert data(s, f"{path}?offset=100000", token)[records] == []


def test_lots_can_be_sorted_and_bring_details_if_asked() -> None:
    s = Scenario()
    token = s.app_pair().access_token
    lots = data(s, "ru/auction/y1q9/lots?sort=buyout_price&order=asc&limit=200&additional=true", token)["lots"]
    prices = [lot["buyoutPrice"] for lot in lots]
    assert prices == sorted(prices)
    assert all(lot["additional"] for lot in lots)
    newest = data(s, "ru/auction/y1q9/lots", token)["lots"]
    assert [lot["startTime"] for lot in newest] == sorted((lot["startTime"] for lot in newest), reverse=True)
    assert not any(lot["additional"] for lot in newest)


def test_sessions_can_be_searched() -> None:
    s = Scenario()
    token = s.app_pair().access_token
    everything = data(s, "ru/operations/sessions?limit=200", token)["sessions"]
    player, ended = everything[0]["participants"][0]["username"], everything[9]["endTime"]

    def found(query: str) -> list[Any]:
        result = data(s, f"ru/operations/sessions?limit=200&{query}", token)
        assert len(result["sessions"]) == result["total"]
        return list(result["sessions"])

    assert found("map=shock_therapy") == [one for one in everything if one["map"] == "shock_therapy"]
    assert everything[0] in found(f"username={player}")
    assert found(f"before={ended}") == everything[10:]
    assert found(f"after={ended.rstrip('Z')}") == everything[:9]
    assert found("username=nobody") == []


@pytest.mark.parametrize(
    "query", ["limit=x", "offset=-1", "sort=beauty", "order=up", "map=moon", "before=yesterday"], ids=lambda q: q
)
def test_a_query_that_makes_no_sense_is_named(query: str) -> None:
    s = Scenario()
    answer = call(s, f"/api/ru/operations/sessions?{query}", s.app_pair().access_token)
    assert answer.status == 400
    assert list(json.loads(answer.content)["details"]) == [query.partition("=")[0]]


def test_an_emission_passes() -> None:
    s = Scenario()
    token = s.app_pair().access_token
    states = []
    for _ in range(40):
        states.append(data(s, "ru/emission", token))
        s.fake.advance(300)
    running = [state for state in states if state["currentStart"]]
    assert 0 < len(running) < len(states) / 10
    assert all(state["previousStart"] < state["previousEnd"] for state in states)
    assert all(state["previousEnd"] < state["currentStart"] for state in running)


def test_other_methods_are_refused() -> None:
    s = Scenario()
    assert call(s, token=s.app_pair().access_token, method="HEAD").content == b""
    assert call(s, token=s.app_pair().access_token, method="POST").status == 405


def test_points_are_spent_told_in_milliseconds_and_all_there_again_a_minute_later() -> None:
    s = Scenario(app_points=60, user_points=3)
    user, app = s.pair().access_token, s.app_pair().access_token
    began = s.fake.now.timestamp()
    statuses = [call(s, "/api/regions", user).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    s.fake.advance(59)
    refused = call(s, "/api/regions", user)
    assert json.loads(refused.content)["title"] == "Too Many Requests"
    assert refused.headers["x-ratelimit-limit"] == "3"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert int(refused.headers["x-ratelimit-reset"]) == pytest.approx((began + 60) * 1000, abs=2)
    assert call(s, "/api/ru/auction/y1q9/lots?limit=200", app).headers["x-ratelimit-remaining"] == "58"
    s.fake.advance(1)
    again = call(s, "/api/regions", user)
    assert (again.status, again.headers["x-ratelimit-remaining"]) == (200, "2")


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

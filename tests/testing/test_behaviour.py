"""What a test can make the server do: ends of tokens, time, lost and scripted answers, throttling."""

import math
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exbo_oauth import ConfigurationError
from exbo_oauth.protocol.messages import Response
from exbo_oauth.testing import AnswerLost, FakeExbo, IssuedToken

from .scenario import ANY, CALLBACK, JSON, OTHER, Scenario, code_in

DIALECTS = ["league-8", "league-9"]


def refresh_token(token: IssuedToken) -> str:
    assert token.refresh_token is not None
    return token.refresh_token


# What a new token ends


@pytest.mark.parametrize(
    ("invalidate", "access_lives", "refresh_lives"),
    [("all", False, False), ("access", False, True), (None, True, True)],
    ids=["all", "access", "none"],
)
def test_a_new_pair_ends_the_earlier_one_as_told(invalidate: Any, access_lives: bool, refresh_lives: bool) -> None:
    s = Scenario(invalidate=invalidate)
    first, second = s.pair(), s.pair()
    assert s.fake.is_live(first.access_token) is access_lives
    assert s.fake.is_live(refresh_token(first)) is refresh_lives
    assert s.fake.is_live(second.access_token)
    assert s.fake.is_live(refresh_token(second))


@pytest.mark.parametrize("invalidate", ["all", "access"])
def test_tokens_of_other_users_apps_and_kinds_are_left_alone(invalidate: Any) -> None:
    s = Scenario(invalidate=invalidate)
    others = [s.pair("steam-guest"), s.pair(app=s.second), s.app_pair(), s.app_pair(s.second)]
    s.pair()
    assert all(s.fake.is_live(token) for token in others)


@pytest.mark.parametrize("invalidate", ["all", "access", None])
def test_a_refresh_ends_the_pair_it_was_made_from(invalidate: Any) -> None:
    s = Scenario(invalidate=invalidate)
    old = s.pair()
    assert s.refresh(refresh_token(old)).status == 200
    assert not s.fake.is_live(old.access_token)
    assert not s.fake.is_live(refresh_token(old))
    assert old.ended == "refreshed"
    assert old.ended_by == s.fake.issued[-1].number


def test_only_explicit_refreshes_rotate_and_each_gives_another_pair() -> None:
    s = Scenario(invalidate="all")
    pairs = [s.pair()]
    for _ in range(3):
        assert s.refresh(refresh_token(pairs[-1])).status == 200
        pairs.append(s.fake.issued[-1])
    assert len({pair.refresh_token for pair in pairs}) == len({pair.access_token for pair in pairs}) == 4
    assert [s.fake.is_live(pair) for pair in pairs] == [False, False, False, True]


def test_a_superseded_token_names_its_successor() -> None:
    s = Scenario(invalidate="all")
    first, second = s.app_pair(), s.app_pair()
    assert (first.ended, first.ended_by) == ("superseded", second.number)
    assert second.ended is None


@pytest.mark.parametrize("invalidate", ["all", "access", None])
def test_outside_supersession_kills_what_we_hold(invalidate: Any) -> None:
    s = Scenario(invalidate=invalidate)
    app, user, other = s.app_pair(), s.pair(), s.pair("steam-guest")
    theirs = s.fake.supersede()
    assert not s.fake.is_live(app)
    assert s.fake.is_live(user)
    s.fake.supersede(user="ivan")
    assert not s.fake.is_live(user)
    assert s.fake.is_live(refresh_token(user)) is (invalidate == "access")
    assert s.fake.is_live(other)
    assert s.resource(theirs.access_token).status == 200


# Time


def test_an_access_token_dies_by_the_clock() -> None:
    s = Scenario(token_ttl=60)
    pair = s.pair()
    s.fake.advance(59)
    assert s.user(pair.access_token).status == 200
    s.fake.advance(1)
    assert s.user(pair.access_token).status == 401
    assert not s.fake.is_live(pair)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_expired_code_says_so(dialect: str) -> None:
    s = Scenario(dialect, code_ttl=600)
    code = s.code()
    s.fake.advance(601)
    answer = s.exchange(code)
    assert answer.status == 400
    assert b"Authorization code has expired" in answer.content


@pytest.mark.parametrize(("dialect", "status"), [("league-8", 401), ("league-9", 400)])
def test_an_expired_refresh_token_says_so(dialect: str, status: int) -> None:
    s = Scenario(dialect, refresh_ttl=100)
    pair = s.pair()
    s.fake.advance(101)
    answer = s.refresh(refresh_token(pair))
    assert answer.status == status
    assert b"Token has expired" in answer.content
    assert not s.fake.is_live(refresh_token(pair))


def test_a_code_of_another_kind_is_malformed() -> None:
    s = Scenario()
    answer = s.exchange(refresh_token(s.pair()))
    assert answer.status == 400
    assert b"Authorization code malformed" in answer.content


def test_the_clock_does_not_go_back() -> None:
    with pytest.raises(ConfigurationError, match="cannot go back by 5"):
        FakeExbo().advance(-5)


def test_a_revoked_token_may_take_its_refresh_token_along() -> None:
    s = Scenario()
    pair, other = s.pair(), s.pair("steam-guest")
    s.fake.revoke(pair)
    s.fake.revoke(pair.access_token, refresh_too=True)
    s.fake.revoke(other)
    s.fake.revoke(s.app_pair(), refresh_too=True)  # which has none
    assert not s.fake.is_live(refresh_token(pair))
    assert s.fake.is_live(refresh_token(other))
    assert (pair.ended, pair.refresh_ended) == ("revoked", "revoked")
    assert [event.kind for event in s.fake.events].count("revoked") == 3


# People and applications that are gone


def test_a_deleted_user_can_refresh_for_ever_and_open_nothing() -> None:
    s = Scenario()
    pair = s.pair()
    s.fake.remove_user("ivan")
    for _ in range(3):
        assert s.refresh(refresh_token(pair)).status == 200
        pair = s.fake.issued[-1]
        assert s.user(pair.access_token).status == 401


def test_a_revoked_application_is_refused_everything() -> None:
    s = Scenario()
    pair, code = s.pair(), s.code()
    s.fake.revoke_app()
    for answer in (s.refresh(refresh_token(pair)), s.exchange(code), s.app_token()):
        assert (answer.status, b"invalid_client" in answer.content) == (401, True)
    with pytest.raises(ConfigurationError, match="redirects nowhere: 401"):
        s.location()


# Lost answers


def test_a_lost_answer_was_processed_all_the_same() -> None:
    s = Scenario(invalidate="all")
    pair = s.pair()
    s.fake.lose_next_answer()
    with pytest.raises(AnswerLost):
        s.refresh(refresh_token(pair))
    assert len(s.fake.issued) == 2
    assert s.refresh(refresh_token(pair)).status == 401
    assert [(r.grant, r.status, r.lost) for r in s.fake.requests[-2:]] == [
        ("refresh_token", 200, True),
        ("refresh_token", 401, False),
    ]


def test_a_request_lost_before_processing_changes_nothing() -> None:
    s = Scenario(invalidate="all")
    pair = s.pair()
    s.fake.lose_next_answer(processed=False)
    with pytest.raises(AnswerLost):
        s.refresh(refresh_token(pair))
    assert s.fake.requests[-1].status is None
    assert s.fake.requests[-1].grant == "refresh_token"
    assert s.refresh(refresh_token(pair)).status == 200


def test_a_loss_may_be_meant_for_one_endpoint_and_happen_several_times() -> None:
    s = Scenario()
    token = s.pair().access_token
    s.fake.lose_next_answer(path="/oauth/user", times=2)
    assert s.app_token().status == 200
    for _ in range(2):
        with pytest.raises(AnswerLost):
            s.user(token)
    assert s.user(token).status == 200


def test_pages_are_not_struck_by_scripted_trouble() -> None:
    s = Scenario()
    s.fake.fail_next(500)
    assert s.send("GET", "/login", ANY).status == 200
    assert s.app_token().status == 500


# Scripted answers


@pytest.mark.parametrize("retry_after", [None, 7], ids=["without", "with"])
@pytest.mark.parametrize(
    ("status", "message"),
    [(429, "Too Many Attempts."), (500, "Server Error"), (502, "Bad Gateway"), (503, "Service Unavailable")],
)
def test_a_scripted_failure_speaks_like_the_framework(status: int, message: str, retry_after: int | None) -> None:
    s = Scenario()
    s.fake.fail_next(status, retry_after, times=2)
    for _ in range(2):
        answer = s.app_token()
        assert answer.status == status
        assert message.encode() in answer.content
        assert answer.headers.get("retry-after") == (None if retry_after is None else "7")
    assert s.app_token().status == 200
    assert len(s.fake.issued) == 1


def test_a_scripted_failure_is_a_page_for_browsers() -> None:
    s = Scenario()
    s.fake.fail_next(429, 60)
    answer = s.app_token(ANY)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-ratelimit-remaining"] == "0"


def test_any_answer_can_be_scripted() -> None:
    s = Scenario()
    s.fake.answer_next(Response(200, {"content-type": "text/html"}, b"<p>captive portal"))
    assert s.app_token().content == b"<p>captive portal"
    assert s.fake.requests[-1].grant == "client_credentials"


# Throttling


def test_a_minute_later_the_bucket_is_full_again() -> None:
    s = Scenario(throttle=2)
    assert [s.app_token().status for _ in range(3)] == [200, 200, 429]
    s.fake.advance(59)
    refused = s.app_token()
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert float(refused.headers["x-ratelimit-reset"]) == int(s.fake.now.timestamp()) + 1
    s.fake.advance(1)
    assert s.app_token().headers["x-ratelimit-remaining"] == "1"


def test_failures_count_and_other_addresses_do_not() -> None:
    s = Scenario(throttle=1)
    assert s.app_token(client_secret="wrong").status == 401
    assert s.app_token().status == 429
    request = s.fake.requests[-1].request
    assert s.fake.handle(request, address="127.0.0.2").status == 200


def test_wrong_methods_and_user_calls_are_not_counted() -> None:
    s = Scenario(throttle=1)
    s.send("GET", "/oauth/token")
    s.user()
    assert s.app_token().status == 200


# Signing users in without a browser


def test_denial_comes_back_with_its_state() -> None:
    s = Scenario()
    url = "http://server.test" + s.authorize_path()
    location = s.fake.authorize(url, "ivan", approve=False)
    assert location.startswith(f"{CALLBACK}?state=st-123&error=access_denied&")


def test_a_bad_scope_comes_back_from_authorize_too() -> None:
    s = Scenario("league-9")
    assert "error=invalid_scope" in s.location(scope="nosuch")


def test_users_may_be_named_by_object_login_or_id() -> None:
    s = Scenario()
    uuid = "00000003-0000-4000-8000-000000000003"
    user = s.fake.add_user("anna", uuid=uuid, display_login="Anna", distributor="vk", distributor_id="7")
    for name in (user, "anna", user.id):
        s.exchange(code_in(s.location(name)))  # type: ignore[arg-type]
        assert s.fake.issued[-1].user_id == user.id
    assert s.user(s.fake.issued[-1].access_token).content == (
        b'{"id":3,"uuid":"00000003-0000-4000-8000-000000000003","login":"anna","display_login":"Anna",'
        b'"distributor":"vk","distributor_id":"7"}'
    )


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (lambda fake: fake.authorize("http://server.test/oauth/authorize", "nobody"), "no such user: 'nobody'"),
        (lambda fake: fake.supersede(app=77), "no such application: '77'"),
        (lambda fake: fake.add_app(client_id=1), "'1' is registered already"),
        (lambda fake: fake.add_user("ivan"), "login 'ivan' exists already"),
        (lambda fake: fake.add_user("anna", uuid="7"), "uuid is '7': that is not a UUID"),
        (lambda fake: fake.add_user("anna", id=0), "id is 0: pass a whole number, 1 or more"),
        (lambda fake: fake.add_user("a\nb"), r"login is 'a\\nb': pass a text that can be read"),
        (lambda fake: fake.add_user(" "), "login is ' ': pass a text"),
        (lambda fake: fake.add_app(""), "name is '': pass a text"),
        (lambda fake: fake.add_app(redirect_uris="http://localhost"), "redirect_uris is .*: pass a list"),
        (lambda fake: fake.advance(math.nan), "advance is nan"),
        (lambda _: FakeExbo(token_ttl=math.nan), "token_ttl is nan: pass seconds"),
        (lambda _: FakeExbo(token_ttl=-1), "token_ttl is -1: pass seconds, from 0"),
        (lambda fake: fake.fail_next("a"), "status is 'a': pass a number such as 503"),
        (lambda fake: fake.fail_next(503, times=0), "times is 0: pass a whole number, 1 or more"),
        (lambda fake: fake.fail_next(429, retry_after=-1), "retry_after is -1: pass seconds, from 0"),
        (lambda _: FakeExbo(refresh_ttl=math.inf), "refresh_ttl is inf: pass seconds"),
        (lambda _: FakeExbo(code_ttl="60"), "code_ttl is '60': pass seconds, a number"),  # type: ignore[arg-type]
        (lambda _: FakeExbo(latency=-1), "latency is -1: pass seconds, from 0"),
        (lambda _: FakeExbo(throttle=-1), "throttle is -1: pass a whole number, 0 or more"),
        (lambda _: FakeExbo(app_points=1.5), "app_points is 1.5: pass a whole number"),  # type: ignore[arg-type]
        (lambda _: FakeExbo(history=0), "history is 0: pass a whole number, 1 or more"),
        (lambda _: FakeExbo(scopes="read"), "scopes is 'read': pass a list of str"),
        (lambda fake: fake.revoke("abc"), "not issued here"),
        (lambda _: FakeExbo("league-7"), "dialect is 'league-7': pass one of 'league-8', 'league-9'"),  # type: ignore[arg-type]
        (lambda _: FakeExbo(invalidate="some"), "pass 'all', 'access' or None"),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_are_named(mistake: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        mistake(FakeExbo())


# Odd requests


def test_a_list_where_a_client_id_belongs() -> None:
    for dialect, status in (("league-8", 500), ("league-9", 400)):
        s = Scenario(dialect)
        fields = {"grant_type": "client_credentials", "client_id[]": "1", "client_secret": s.first.client_secret}
        assert s.post("/oauth/token", fields).status == status


def test_other_content_types_carry_no_parameters() -> None:
    s = Scenario()
    answer = s.send("POST", "/oauth/token", JSON | {"content-type": "text/plain"}, b"grant_type=client_credentials")
    assert b"unsupported_grant_type" in answer.content


def test_a_redirect_uri_is_checked_with_an_app_token_only_on_league_8() -> None:
    for dialect, status in (("league-8", 401), ("league-9", 200)):
        assert Scenario(dialect).app_token(redirect_uri="http://elsewhere.test").status == status


def test_an_omitted_redirect_uri_must_stay_omitted() -> None:
    s = Scenario()
    code = s.code(app=s.second, redirect_uri=None)
    assert b"Invalid redirect URI" in s.exchange(code, app=s.second, redirect_uri=OTHER).content


def test_options_lists_the_methods() -> None:
    answer = Scenario().send("OPTIONS", "/oauth/user")
    assert (answer.status, answer.headers["allow"]) == (200, "GET,HEAD")


def test_head_has_no_body() -> None:
    s = Scenario()
    answer = s.send("HEAD", "/oauth/user", JSON | {"authorization": f"Bearer {s.pair().access_token}"})
    assert (answer.status, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Basic a", 400), ("Basic bm9jb2xvbg==", 400), ("Digest x", 400), ("Basic OTk6eA==", 401)],
    ids=["garbage", "no-colon", "other-scheme", "unknown"],
)
def test_odd_authorization_headers_identify_nobody(authorization: str, status: int) -> None:
    answer = Scenario().post(
        "/oauth/token", {"grant_type": "client_credentials"}, JSON | {"authorization": authorization}
    )
    assert answer.status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b"", 400),
        (b'{"client_id": ["1"], "grant_type": "client_credentials"}', 500),
        (b'{"client_id": true, "client_secret": null, "grant_type": "client_credentials"}', 401),
    ],
    ids=["array", "empty", "list-inside", "true-is-one"],
)
def test_json_of_other_shapes(body: bytes, status: int) -> None:
    assert Scenario().send("POST", "/oauth/token", JSON | {"content-type": "application/json"}, body).status == status


def test_parts_of_a_multipart_body_that_have_no_name_are_left_out() -> None:
    body = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n"
    answer = Scenario().send("POST", "/oauth/token", JSON | {"content-type": "multipart/form-data; boundary=b"}, body)
    assert b"unsupported_grant_type" in answer.content


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html;q=0.2, application/json", "application/json"),
        ("application/json;q=oops, text/html", "text/html; charset=UTF-8"),
        ("application/json;v=1;q=0.9, */*;q=0.1", "application/json"),
        ("application/vnd.api+json", "application/json"),
    ],
)
def test_the_preferred_type_decides_what_an_error_looks_like(accept: str, kind: str) -> None:
    assert Scenario().send("GET", "/nowhere", {"accept": accept}).headers["content-type"] == kind


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://[::1/callback",
        "http://[::1]:1/callback",
        "https://127.0.0.1/callback",
        "http://127.0.0.1:8080/callback?",
        "http://127.0.0.1:8080/callback#",
        "http://me@127.0.0.1:8080/callback",
    ],
)
def test_only_well_formed_loopback_addresses_may_change_their_port(redirect_uri: str) -> None:
    s = Scenario()
    with pytest.raises(ConfigurationError):
        s.location(redirect_uri=redirect_uri)


def test_ipv6_loopback_may_change_its_port() -> None:
    s = Scenario()
    app = s.fake.add_app(redirect_uris=("http://[::1]/callback",))
    assert s.location(app=app, redirect_uri="http://[::1]:8080/callback").startswith("http://[::1]:8080/callback?code=")


def test_a_challenge_calls_for_a_verifier() -> None:
    s = Scenario()
    answer = s.exchange(s.code(code_challenge="c" * 43))
    assert b"Check the `code_verifier` parameter" in answer.content


# The log


def test_moments_are_aware() -> None:
    s = Scenario(token_ttl=60)
    token = s.app_pair()
    assert token.issued_at == s.fake.now == s.fake.requests[-1].received_at
    assert (token.expires_at - token.issued_at).total_seconds() == 60


def test_a_clock_may_give_moments() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    fake = FakeExbo(clock=lambda: now)
    fake.advance(timedelta(minutes=5))
    assert fake.now == now + timedelta(minutes=5)


def test_nothing_that_can_be_printed_shows_a_secret() -> None:
    s = Scenario(invalidate="all")
    pair = s.pair()
    s.pair()
    s.user(pair.access_token)
    s.refresh(refresh_token(pair))
    printed = repr([s.fake, s.fake.apps, s.fake.users, s.fake.requests, s.fake.issued, s.fake.events, s.fake.app])
    printed += "".join(repr(received.request) for received in s.fake.requests)
    secrets = [s.first.client_secret, pair.access_token, refresh_token(pair)]
    assert not [secret for secret in secrets if secret in printed]


def test_the_timeline_tells_why_a_token_died() -> None:
    s = Scenario(invalidate="all")
    first = s.app_pair()
    s.app_pair()
    s.resource(first.access_token)
    assert [(e.kind, e.token, e.by) for e in s.fake.events] == [
        ("issued", 1, None),
        ("issued", 2, None),
        ("superseded", 1, 2),
        ("refused", 1, 2),
    ]


def test_a_forgotten_token_that_ends_leaves_nothing_behind() -> None:
    s = Scenario(invalidate="all", history=2)
    keeper, lost = s.pair("steam-guest"), s.pair()
    for _ in range(5):
        s.app_pair()
    assert s.refresh(refresh_token(keeper)).status == 200
    for _ in range(3):
        assert s.refresh(refresh_token(s.fake.issued[-1])).status == 200
    again = s.refresh(refresh_token(keeper))
    assert b"Cannot decrypt the refresh token" in again.content
    assert not s.fake.is_live(keeper)
    s.fake.revoke(lost, refresh_too=True)
    assert b"Cannot decrypt the refresh token" in s.refresh(refresh_token(lost)).content


def test_codes_are_forgotten_in_the_end() -> None:
    s = Scenario(history=2)
    first, *_ = [s.code() for _ in range(3)]
    assert b"Cannot decrypt the authorization code" in s.exchange(first).content


def test_applications_may_be_named_by_object_and_any_client_id() -> None:
    s = Scenario()
    app = s.fake.add_app(client_id="my-app", redirect_uris=(OTHER,))
    assert s.app_pair(app).client_id == "my-app"
    assert s.fake.supersede(app=app).client_id == "my-app"
    assert s.fake.add_app().client_id == "5"
    s.fake.revoke_app("my-app")
    assert s.app_token(app=app).status == 401


def test_without_cryptography_the_first_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigurationError, match=r'pip install "exbo-oauth\[testing\]"'):
        FakeExbo()


def test_only_the_newest_are_remembered_and_live_tokens_never_forgotten() -> None:
    s = Scenario(invalidate="all", history=5)
    keeper = s.pair("steam-guest")
    tokens = [s.app_pair() for _ in range(20)]
    assert len(s.fake.issued) == len(s.fake.requests) == 5
    assert s.fake.is_live(keeper)
    assert s.refresh(refresh_token(keeper)).status == 200
    assert s.resource(tokens[-1].access_token).status == 200
    assert s.resource(tokens[0].access_token).status == 401

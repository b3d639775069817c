"""Where the two generations part over several requests; tried on the servers of `test_odd_requests`."""

import json
from typing import Any

import pytest

from .scenario import ANY, CALLBACK, JSON, OTHER, SECOND, Scenario, code_in

EIGHT, NINE = "league-8", "league-9"
SCOPES = ("read", "write")
both = pytest.mark.parametrize("dialect", [EIGHT, NINE])


# How a token is shown

SPELLINGS = [
    # the header, then what /oauth/user and /demo/app say: on league 8, on league 9
    pytest.param("Bearer {}", (200, 200), (200, 200), id="plain"),
    pytest.param("Bearer  {}", (200, 200), (200, 200), id="two blanks"),
    pytest.param("Bearer\t{}", (401, 200), (401, 200), id="tab"),
    pytest.param("bearer {}", (401, 401), (401, 200), id="small"),
    pytest.param("BEARER {}", (401, 401), (401, 200), id="capitals"),
    pytest.param("{}", (401, 200), (401, 200), id="no scheme"),
    pytest.param("Basic {}", (401, 401), (401, 401), id="other scheme"),
    pytest.param("Bearer {}, Bearer x", (401, 401), (401, 401), id="list"),
    pytest.param("Bearer{}", (401, 401), (401, 401), id="no blank"),
    pytest.param('Bearer "{}"', (401, 401), (401, 401), id="quotes"),
]


@pytest.mark.parametrize(("header", "eight", "nine"), SPELLINGS)
def test_a_bearer_token_in_all_spellings(header: str, eight: tuple[int, int], nine: tuple[int, int]) -> None:
    for dialect, statuses in ((EIGHT, eight), (NINE, nine)):
        s = Scenario(dialect)
        sent = JSON | {"authorization": header.format(s.pair().access_token)}
        assert (s.send("GET", "/oauth/user", sent).status, s.send("GET", "/demo/app", sent).status) == statuses


# Codes and refresh tokens


@both
def test_codes_and_refresh_tokens_may_be_written_in_capitals_or_among_blanks(dialect: str) -> None:
    s = Scenario(dialect)
    code = s.code()
    assert s.exchange(code.upper()).status == 200
    assert b"revoked" in s.exchange(code).content
    token = s.fake.issued[-1].refresh_token or ""
    assert s.refresh(f"\ufeff{token.upper()}\u200b\n").status == 200
    assert b"revoked" in s.refresh(token).content


@pytest.mark.parametrize(("dialect", "status"), [(EIGHT, 401), (NINE, 400)])
def test_a_code_in_place_of_a_refresh_token_is_read_until_something_is_missing(dialect: str, status: int) -> None:
    s = Scenario(dialect, code_ttl=600)
    code = s.code()
    foreign = s.refresh(code, app=s.second)
    assert (foreign.status, b"Token is not linked to client" in foreign.content) == (status, True)
    assert s.refresh(code).status == 500
    s.fake.advance(601)
    late = s.refresh(code)
    assert (late.status, b"Token has expired" in late.content) == (status, True)


@pytest.mark.parametrize(("dialect", "status"), [(EIGHT, 401), (NINE, 200)])
def test_only_league_8_looks_at_the_redirect_uri_of_a_refresh(dialect: str, status: int) -> None:
    s = Scenario(dialect)
    assert s.refresh(s.pair().refresh_token or "", redirect_uri="https://elsewhere.example/").status == status
    assert s.refresh(s.pair().refresh_token or "", redirect_uri=SECOND).status == 200


def as_json(s: Scenario, **fields: Any) -> Any:
    known = {"client_id": "1", "client_secret": s.first.client_secret}
    headers = JSON | {"content-type": "application/json"}
    return s.send("POST", "/oauth/token", headers, json.dumps(known | fields).encode())


@both
def test_numbers_may_stand_for_texts_where_a_generation_casts_them(dialect: str) -> None:
    s = Scenario(dialect)
    code = s.code()
    asked = {"grant_type": "authorization_code", "code": code, "client_id": 1}
    verifier = as_json(s, **asked, redirect_uri=CALLBACK, code_verifier=0)
    assert b"code_verifier received when no code_challenge is present" in verifier.content
    assert as_json(s, **asked, redirect_uri=5).status == 400
    assert as_json(s, **asked, redirect_uri=CALLBACK).status == 200


# Consent

SAME, ASKED = 302, 200
CONSENTS = [
    # granted, asked for, what league 8 and 9 do
    pytest.param("", "", SAME, SAME, id="nothing"),
    pytest.param("read", "read", SAME, SAME, id="the same"),
    pytest.param("read write", "read", ASKED, SAME, id="less"),
    pytest.param("read write", "write read", ASKED, SAME, id="other order"),
    pytest.param("read", "", ASKED, SAME, id="none of it"),
    pytest.param("read", "write", ASKED, ASKED, id="another"),
    pytest.param("read", "read write", ASKED, ASKED, id="more"),
    pytest.param("", "*", SAME, SAME, id="everything has no name"),
    pytest.param("read", "read read", SAME, SAME, id="twice"),
]


@pytest.mark.parametrize(("granted", "asked", "eight", "nine"), CONSENTS)
def test_who_is_asked_again(granted: str, asked: str, eight: int, nine: int) -> None:
    for dialect, status in ((EIGHT, eight), (NINE, nine)):
        s = Scenario(dialect, scopes=SCOPES)
        s.pair(scope=granted)
        s.sign_in()
        assert s.visit(scope=asked).status == status


@pytest.mark.parametrize(("dialect", "status"), [(EIGHT, ASKED), (NINE, SAME)])
def test_consents_add_up_on_league_9_only(dialect: str, status: int) -> None:
    s = Scenario(dialect, scopes=SCOPES)
    s.pair(scope="read")
    s.fake.advance(1)
    s.pair(scope="write")
    s.sign_in()
    assert s.visit(scope="read write").status == status


@both
def test_a_token_bears_each_scope_once_and_never_the_star(dialect: str) -> None:
    s = Scenario(dialect, scopes=SCOPES)
    assert s.pair(scope="read * read").scopes == ("read",)
    assert s.app_token(scope="write * write").status == 200
    assert s.fake.issued[-1].scopes == ("write", "*")


@both
def test_only_scopes_with_a_name_are_asked_about_each_once(dialect: str) -> None:
    s = Scenario(dialect, scopes=SCOPES)
    s.sign_in()
    page = s.visit(scope="write * write").content.decode()
    assert page.count("<li>") == page.count("<code>write</code>") == 1


# The consent form


@pytest.mark.parametrize(("dialect", "status"), [(EIGHT, 302), (NINE, 403)])
def test_a_form_that_names_no_request_is_the_last_one_s_on_league_8(dialect: str, status: int) -> None:
    s = Scenario(dialect)
    s.sign_in()
    page = s.visit()
    token = page.content.decode().partition('name="_token" value="')[2].partition('"')[0]
    assert s.post("/oauth/authorize", {"_token": token}).status == status


@both
@pytest.mark.parametrize("auth_token", ["", "another"])
def test_a_form_of_another_request_ends_this_one(dialect: str, auth_token: str) -> None:
    s = Scenario(dialect)
    s.sign_in()
    page = s.visit()
    assert s.approve(page, auth_token=auth_token).status == 403
    assert s.approve(page).status == 403


@pytest.mark.parametrize(("dialect", "status"), [(EIGHT, 500), (NINE, 403)])
def test_a_form_with_an_empty_name_where_nothing_is_asked(dialect: str, status: int) -> None:
    s = Scenario(dialect)
    s.sign_in()
    page = s.visit()
    assert s.approve(page, auth_token="another").status == 403
    assert s.approve(page, auth_token="").status == status


@both
def test_a_decision_may_come_by_a_method_of_its_own(dialect: str) -> None:
    s = Scenario(dialect)
    s.sign_in()
    assert "error=access_denied" in s.approve(s.visit(), _method="delete").headers["location"]
    assert s.approve(s.visit(), _method="PUT").status == 405


# What travels back


@pytest.mark.parametrize(
    ("dialect", "location"),
    [
        (EIGHT, f"{OTHER}?state=a b&error=access_denied&"),
        (NINE, f"{OTHER}?state=a+b&error=login_required&"),
    ],
)
def test_the_state_of_a_guest_who_must_not_be_asked(dialect: str, location: str) -> None:
    s = Scenario(dialect)
    answer = s.visit(s.second, redirect_uri=OTHER, prompt="none", state="a b")
    assert answer.headers["location"].startswith(location)


@pytest.mark.parametrize(
    ("dialect", "locations"),
    [(EIGHT, (f"{OTHER}?state=&error=", f"{OTHER}?error=")), (NINE, (f"{OTHER}?error=", f"{OTHER}?&error="))],
)
def test_refusals_without_a_state(dialect: str, locations: tuple[str, str]) -> None:
    s = Scenario(dialect)
    asked: dict[str, Any] = {"redirect_uri": OTHER, "state": None}
    assert s.visit(s.second, **asked, prompt="none").headers["location"].startswith(locations[0])
    assert s.visit(s.second, **asked, scope="nosuch").headers["location"].startswith(locations[1])


@both
def test_what_is_sent_back_is_written_as_php_does(dialect: str) -> None:
    s = Scenario(dialect)
    location = s.location(state="~ *'é", redirect_uri=SECOND)
    assert location.partition("&state=")[2] == "%7E+%2A%27%C3%A9"
    assert code_in(location)


@both
def test_a_state_of_several_is_sent_back_as_such_or_refused(dialect: str) -> None:
    s = Scenario(dialect)
    s.sign_in()
    answer = s.send("GET", s.authorize_path(state=None) + "&state[]=1&state[b][c]=2", ANY)
    if dialect == NINE:
        assert b"Check the `state` parameter" in answer.content
    else:
        assert s.approve(answer).headers["location"].endswith("&state%5B0%5D=1&state%5Bb%5D%5Bc%5D=2")
        unasked = Scenario(dialect).send("GET", s.authorize_path(state=None, prompt="none") + "&state[]=1", ANY)
        assert unasked.status == 500

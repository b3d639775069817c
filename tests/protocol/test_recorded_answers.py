"""Every answer that two real servers gave to ``/oauth/token`` and ``/oauth/user``, and what it becomes here.

`EXPECTED` is the whole truth: a recorded row that it does not name fails, and so does a name that was not recorded.
"""

import json
from typing import Any

import pytest

from exbo_oauth import (
    AppToken,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    MalformedResponseError,
    RateLimitError,
    ResponseError,
    ServerError,
    TokenRequestError,
    UnauthenticatedError,
    UnsupportedGrantTypeError,
    UserInfo,
    UserToken,
)
from exbo_oauth.protocol import Exchange, Response

from .given import EXCHANGES, NOW, RECORDED

ROWS = [row for row in RECORDED if row["path"] in ("/oauth/token", "/oauth/user")]


def _all(outcome: type, *cases: str) -> dict[str, type]:
    return dict.fromkeys(cases, outcome)


# Where the two generations answer differently, the outcome is keyed by "case league-N".
EXPECTED: dict[str, type] = {
    # Tokens and users
    **_all(AppToken, "A01", "A02", "A03", "A04", "A04c", "A05", "A07", "C09", "M01", "M02", "M06"),
    **_all(AppToken, "S01", "S03", "T00", "T01", "T02", "X01"),
    **_all(UserToken, "A11", "A12", "A13", "A14", "A15", "A16", "A18", "D06d", "M12", "P01b"),
    **_all(UserToken, "A20", "D04c", "E18", "R04c", "R10", "V04", "X00"),
    **_all(UserInfo, "A21", "A24", "D04b", "R04b", "U07", "U07b", "V01", "V03", "W01", "W03", "W05"),
    # An app token at /oauth/user is a stranger to league-8; this league-9 takes client N for user N.
    **_all(UnauthenticatedError, "U06 league-8", "U06b league-8"),
    **_all(UserInfo, "U06 league-9", "U06b league-9"),
    # The bearer token was refused
    **_all(UnauthenticatedError, "A22", "E10", "E15", "U01", "U03", "U08", "U09", "U11", "V02", "V05", "W02", "X03"),
    **_all(MalformedResponseError, "U02", "U02b", "U04"),
    # The client was refused
    **_all(InvalidClientError, "A04b", "B01", "B02", "B04", "B07", "B08", "B09", "B10", "B11", "E12", "M03", "M04"),
    **_all(InvalidClientError, "B05 league-8", "B06 league-8", "D06 league-8"),
    **_all(InvalidRequestError, "B05 league-9", "B06 league-9", "D06 league-9"),
    # The request was refused
    **_all(InvalidRequestError, "B03", "D03", "D06b", "D06c", "M13", "P03", "P03b", "P04", "R02"),
    **_all(UnsupportedGrantTypeError, "A06", "C01", "C03", "C04"),
    **_all(InvalidScopeError, "C10", "R06", "S02", "S04"),
    # A dead code and a dead refresh token, whatever status and code they come with
    **_all(InvalidGrantError, "D01", "D04", "D07b", "P01", "R01", "R04", "R05", "W04"),
    # Laravel around the OAuth server
    **_all(ResponseError, "C05", "C06", "U10"),
    **_all(MalformedResponseError, "C06b"),
    **_all(RateLimitError, "T04"),
    **_all(ServerError, "E01", "E03", "R08"),
}

# What the servers said of a dead grant: (status, error) by generation.
DEAD = {
    "D01": {"league-8": (400, "invalid_request"), "league-9": (400, "invalid_grant")},
    "D04": {"league-8": (400, "invalid_request"), "league-9": (400, "invalid_grant")},
    "D07b": {"league-8": (400, "invalid_request"), "league-9": (400, "invalid_request")},
    "P01": {"league-8": (400, "invalid_grant"), "league-9": (400, "invalid_grant")},
    "R01": {"league-8": (401, "invalid_request"), "league-9": (400, "invalid_grant")},
    "R04": {"league-8": (401, "invalid_request"), "league-9": (400, "invalid_grant")},
    "R05": {"league-8": (401, "invalid_request"), "league-9": (400, "invalid_grant")},
    "W04": {"league-8": (401, "invalid_request"), "league-9": (400, "invalid_grant")},
}


def _name(row: dict[str, Any]) -> str:
    return f"{row['id']} {row['server']}"


def _exchange(row: dict[str, Any]) -> Exchange[Any]:
    # Rows without a known grant type are requests that we never make; any grant reads their answers.
    name = "user" if row["path"] == "/oauth/user" else row["grant_type"]
    return EXCHANGES.get(name, EXCHANGES["client_credentials"])


def _outcome(row: dict[str, Any]) -> object:
    response = Response(row["status"], row["headers"], row["body"].encode())
    try:
        return _exchange(row).parse(response, now=NOW)
    except ResponseError as error:
        return error


def _refused(row: dict[str, Any]) -> ResponseError:
    error = _outcome(row)
    assert isinstance(error, ResponseError)
    return error


REFUSED = [row for row in ROWS if issubclass(EXPECTED.get(row["id"], EXPECTED.get(_name(row), object)), ResponseError)]


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_a_recorded_answer_becomes_what_the_table_says(row: dict[str, Any]) -> None:
    named = [name for name in (row["id"], _name(row)) if name in EXPECTED]
    assert len(named) == 1, "the table must name this row once"
    assert type(_outcome(row)) is EXPECTED[named[0]]


def test_the_table_names_only_what_was_recorded() -> None:
    recorded = {name for row in ROWS for name in (row["id"], _name(row))}
    assert set(EXPECTED) <= recorded


@pytest.mark.parametrize("row", REFUSED, ids=_name)
def test_a_refusal_carries_status_headers_and_grant(row: dict[str, Any]) -> None:
    error = _refused(row)
    assert error.status == row["status"]
    assert dict(error.headers) == row["headers"]
    assert all(name == name.lower() for name in error.headers)
    assert error.grant == _exchange(row).grant
    assert f"was answered {row['status']}: " in str(error) or isinstance(error, MalformedResponseError)


@pytest.mark.parametrize("row", REFUSED, ids=_name)
def test_a_refusal_says_what_the_server_said(row: dict[str, Any]) -> None:
    error = _refused(row)
    if isinstance(error, MalformedResponseError):
        assert "HTML page" in str(error) or "a redirect to http://server.test/login" in str(error)
        return
    body = json.loads(row["body"])
    for said in (body.get(name) for name in ("error", "error_description", "hint", "message")):
        assert said is None or said.rstrip(".") in str(error)
    if isinstance(error, TokenRequestError):
        assert (error.error, error.description, error.hint) == (
            body["error"],
            body["error_description"],
            body.get("hint"),
        )


@pytest.mark.parametrize("row", [row for row in ROWS if row["id"] in DEAD], ids=_name)
def test_a_dead_code_or_refresh_token_is_an_invalid_grant_in_every_dialect(row: dict[str, Any]) -> None:
    error = _refused(row)
    assert type(error) is InvalidGrantError
    assert (error.status, error.error) == DEAD[row["id"]][row["server"]]
    assert error.grant == row["grant_type"]
    again = "another code_verifier" if row["id"] == "P01" else "again."
    assert again in str(error)


def test_the_dead_grants_of_the_table_are_those_of_both_tables() -> None:
    assert {name for name, outcome in EXPECTED.items() if outcome is InvalidGrantError} == set(DEAD)


@pytest.mark.parametrize("row", [row for row in ROWS if row["status"] == 200], ids=_name)
def test_a_recorded_success_reads_the_same_as_json(row: dict[str, Any]) -> None:
    response = Response(row["status"], row["headers"], row["body"].encode())
    assert _exchange(row).json(response) == json.loads(row["body"])


@pytest.mark.parametrize("row", [row for row in ROWS if row["id"] == "T04"], ids=_name)
def test_the_recorded_throttling_names_its_wait(row: dict[str, Any]) -> None:
    error = _refused(row)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 60.0


ADVICE = {
    "an unregistered redirect URI": ("D06 league-8", "redirect URI that is not registered"),
    "a redirect URI that differs": ("D06b league-9", "Send the redirect_uri of the authorize URL"),
    "a revoked application": ("E12 league-8", "revoked or not approved yet"),
    "a misspelt parameter": ("C03 league-9", "missing or misspelt parameter"),
    "an unwanted verifier": ("P04 league-8", "only if the authorize URL carried a code_challenge"),
    "an unknown scope": ("C10 league-9", "leave it empty"),
    "a code sent as refresh token": ("R08 league-8", "a code and no refresh token"),
    "a superseded token": ("A22 league-8", "superseded by a newer one, which another deployment"),
    "another server's token": ("A22 league-8", "exbo.net says so of a token that"),
    "a token of the sandbox": ("A22 league-8", "another server's (the sandbox's, the demo's)"),
    "a user who is gone": ("A22 league-8", "a user who was deleted"),
    "an application that waits for approval": ("A22 league-8", "an application that is not approved yet"),
    "a wrong method or address": ("U10 league-9", "Check base_url"),
    "a web page": ("C06b league-8", "Check base_url"),
}


@pytest.mark.parametrize(("case", "sentence"), ADVICE.values(), ids=ADVICE)
def test_a_refusal_says_what_to_do(case: str, sentence: str) -> None:
    (row,) = [row for row in ROWS if _name(row) == case]
    assert sentence in str(_refused(row))

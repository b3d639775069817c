"""Answers that nobody recorded: each is a model or one typed error that says what was wrong, where, and what to do."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from exbo_oauth import (
    AppToken,
    ConfigurationError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    ResponseError,
    ServerError,
    TokenRequestError,
    UnauthenticatedError,
    UnauthorizedClientError,
    UserInfo,
    UserToken,
)
from exbo_oauth.protocol import MAX_BODY, Headers, OAuthProtocol, Response

from .given import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    CODE,
    EXCHANGES,
    GRANTS,
    NEW_ACCESS_TOKEN,
    NEW_REFRESH_TOKEN,
    NOW,
    PROTOCOL,
    REFRESH_TOKEN,
    SECRETS,
    TOKEN,
    USER,
    VERIFIER,
    answer,
    without,
)

CALLS = list(EXCHANGES)
APP = "client_credentials"
SPENT = "The grant is probably spent"


def refused(call: str, response: Response) -> ResponseError:
    with pytest.raises(ResponseError) as caught:
        EXCHANGES[call].parse(response, now=NOW)
    return caught.value


# Answers as they should be


def test_an_app_token_counts_from_before_the_request() -> None:
    token = EXCHANGES[APP].parse(answer(200, without(TOKEN, "refresh_token")), now=NOW)
    assert token == AppToken(
        token_type="Bearer", access_token=NEW_ACCESS_TOKEN, expires_in=NOW + timedelta(seconds=31536000)
    )


@pytest.mark.parametrize("call", ["authorization_code", "refresh_token"])
def test_a_user_token_brings_its_refresh_token(call: str) -> None:
    token = EXCHANGES[call].parse(answer(200, TOKEN), now=NOW)
    assert type(token) is UserToken
    assert token.refresh_token == NEW_REFRESH_TOKEN


@pytest.mark.parametrize("sent", [{}, {"refresh_token": None}], ids=["none", "null"])
def test_a_refresh_that_brings_no_new_refresh_token_keeps_the_old_one(sent: dict[str, None]) -> None:
    token = EXCHANGES["refresh_token"].parse(answer(200, without(TOKEN, "refresh_token") | sent), now=NOW)
    assert token.refresh_token == REFRESH_TOKEN
    assert token.access_token == NEW_ACCESS_TOKEN


def test_a_moment_in_another_time_zone_is_the_same_moment() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=3)))
    response = answer(200, without(TOKEN, "refresh_token"))
    token = EXCHANGES[APP].parse(response, now=elsewhere)
    assert token == EXCHANGES[APP].parse(response, now=NOW)
    assert token.expires_in.tzinfo is UTC


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    assert EXCHANGES["user"].parse(answer(status, USER), now=NOW).login == "ivan"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_may_come_in_any_unicode_encoding(encoding: str) -> None:
    body = json.dumps(USER | {"login": "Иван"}, ensure_ascii=False).encode(encoding)
    assert EXCHANGES["user"].parse(answer(200, body), now=NOW).login == "Иван"


def test_unknown_fields_are_kept_and_the_json_form_is_as_sent() -> None:
    body = USER | {"guild": {"name": "x"}}
    info = EXCHANGES["user"].parse(answer(200, body), now=NOW)
    assert info.extra == {"guild": {"name": "x"}}
    assert EXCHANGES["user"].json(answer(200, body)) == body


def test_the_json_form_checks_no_field() -> None:
    assert EXCHANGES[APP].json(answer(200, {"expires_in": "soon"})) == {"expires_in": "soon"}


# Fields that do not fit

TOKEN_MISFITS: list[tuple[str, object, str]] = [
    ("token_type", None, "expected a string, got null"),
    ("token_type", 5, "expected a string, got a number"),
    ("access_token", True, "expected a string, got a boolean"),
    ("access_token", ["a"], "expected a string, got an array"),
    ("access_token", {"a": 1}, "expected a string, got an object"),
    ("access_token", "", "expected visible ASCII"),
    ("access_token", "two words", "expected visible ASCII"),
    ("access_token", "line\nbreak", "expected visible ASCII"),
    ("access_token", "токен", "expected visible ASCII"),
    ("access_token", "\ud800", "expected visible ASCII"),
    ("expires_in", True, "expected a number of seconds"),
    ("expires_in", "soon", "expected a number of seconds"),
    ("expires_in", "", "expected a number of seconds"),
    ("expires_in", [], "expected a number of seconds"),
    ("expires_in", {}, "expected a number of seconds"),
    ("expires_in", "9" * 5000, "expected a number of seconds"),
    ("expires_in", "nan", "expected a number of seconds"),
    ("expires_in", 1e300, "expected a number of seconds"),
    ("expires_in", 10**30, "expected a number of seconds"),
]
USER_TOKEN_MISFITS: list[tuple[str, object, str]] = [
    ("refresh_token", 5, "expected a string, got a number"),
    ("refresh_token", "", "expected printable ASCII"),
    ("refresh_token", "a\nb", "expected printable ASCII"),
]
USER_MISFITS = [
    ("id", "seven", "expected a whole number, got a string"),
    ("id", "9" * 5000, "expected a whole number, got a string"),
    ("id", 1.5, "expected a whole number, got a fraction"),
    ("id", None, "expected a whole number, got null"),
    ("id", True, "expected a whole number, got a boolean"),
    ("id", [], "expected a whole number, got an array"),
    ("uuid", 5, "expected a string, got a number"),
    ("uuid", "no uuid", "expected a UUID"),
    ("login", 5, "expected a string, got a number"),
    ("display_login", 1.5, "expected a string, got a number"),
    ("display_login", False, "expected a string, got a boolean"),
    ("distributor", None, "expected a string, got null"),
    ("distributor_id", [], "expected a string, got an array"),
]
MISSING = [
    *((APP, TOKEN, name) for name in ("token_type", "access_token")),
    ("authorization_code", TOKEN, "refresh_token"),
    *(("user", USER, name) for name in ("id", "uuid", "login", "distributor")),
]
MISFITS: list[tuple[Any, ...]] = [
    *((APP, TOKEN, *row) for row in TOKEN_MISFITS),
    *(("refresh_token", TOKEN, *row) for row in USER_TOKEN_MISFITS),
    *(("user", USER, *row) for row in USER_MISFITS),
]


@pytest.mark.parametrize(("call", "body", "name", "value", "problem"), MISFITS, ids=lambda value: str(value)[:20])
def test_a_field_of_the_wrong_type_is_named(
    call: str, body: dict[str, Any], name: str, value: Any, problem: str
) -> None:
    error = refused(call, answer(200, body | {name: value}))
    assert type(error) is MalformedResponseError
    assert problem in str(error)
    assert f"@ $.{name}." in str(error)
    assert "Check base_url" in str(error) or SPENT in str(error)


UNKNOWN_LIFE: dict[str, dict[str, Any]] = {"missing": {}, "null": {"expires_in": None}}


@pytest.mark.parametrize("call", GRANTS)
@pytest.mark.parametrize("life", UNKNOWN_LIFE.values(), ids=UNKNOWN_LIFE)
def test_a_token_without_a_lifetime_is_one_of_unknown_life(life: dict[str, Any], call: str) -> None:
    """RFC 6749, section 5.1: the lifetime is recommended, not required."""
    token = EXCHANGES[call].parse(answer(200, without(TOKEN, "expires_in") | life), now=NOW)
    assert token.access_token == NEW_ACCESS_TOKEN
    assert not token.is_expired()


@pytest.mark.parametrize("call", GRANTS)
@pytest.mark.parametrize("moment", [1893456000, "1893456000", "2031-JUN-12 13:42:36", None, [], {"a": 1}, ""], ids=repr)
def test_a_servers_own_moment_of_expiry_costs_no_token(moment: Any, call: str) -> None:
    """Unknown fields are to be ignored (RFC 6749, section 5.1), also those that we have another use for."""
    token = EXCHANGES[call].parse(answer(200, TOKEN | {"expires_at": moment}), now=NOW)
    assert token.expires_in == NOW + timedelta(days=365)
    assert type(token).from_dict(json.loads(json.dumps(token.to_dict()))) == token


REFUSALS_IN_A_200: dict[str, tuple[dict[str, str], type[ResponseError]]] = {
    "a dead grant": ({"error": "invalid_grant", "error_description": "dead as a doornail"}, InvalidGrantError),
    "a wrong client": ({"error": "invalid_client", "message": "dead as a doornail"}, InvalidClientError),
    "another error": ({"error": "slow_down", "hint": "dead as a doornail"}, TokenRequestError),
}


@pytest.mark.parametrize("call", GRANTS)
@pytest.mark.parametrize(("body", "kind"), REFUSALS_IN_A_200.values(), ids=REFUSALS_IN_A_200)
def test_a_refusal_in_a_success_keeps_the_servers_words(
    body: dict[str, str], kind: type[ResponseError], call: str
) -> None:
    error = refused(call, answer(200, body))
    assert type(error) is kind
    assert "dead as a doornail" in str(error)
    assert error.status == 200
    assert EXCHANGES[call].json(answer(200, body)) == body


def test_an_error_beside_a_token_is_just_another_field() -> None:
    assert EXCHANGES[APP].parse(answer(200, TOKEN | {"error": "none"}), now=NOW).extra["error"] == "none"


@pytest.mark.parametrize(("call", "body", "name"), MISSING, ids=lambda value: str(value)[:20])
def test_a_missing_field_is_named(call: str, body: dict[str, Any], name: str) -> None:
    error = refused(call, answer(200, without(body, name)))
    assert type(error) is MalformedResponseError
    assert f"missing @ $.{name}." in str(error)


@pytest.mark.parametrize("name", [*TOKEN, *USER])
def test_the_value_of_a_field_that_does_not_fit_is_never_shown(name: str) -> None:
    body, call = (TOKEN, "refresh_token") if name in TOKEN else (USER, "user")
    wrong = {"in here": NEW_ACCESS_TOKEN} if name != "expires_in" else NEW_ACCESS_TOKEN
    assert NEW_ACCESS_TOKEN not in str(refused(call, answer(200, body | {name: wrong})))


TOLERATED = [
    ("id", "17", "id", 17),
    ("id", 17.0, "id", 17),
    ("distributor_id", 76561190000000000, "distributor_id", "76561190000000000"),
    ("display_login", "Ivan", "name", "Ivan"),
    ("display_login", None, "name", "ivan"),
    ("distributor", "something new", "distributor", "something new"),
]


@pytest.mark.parametrize(("name", "sent", "read", "value"), TOLERATED)
def test_harmless_variants_of_a_user_are_understood(name: str, sent: object, read: str, value: object) -> None:
    info = EXCHANGES["user"].parse(answer(200, USER | {name: sent}), now=NOW)
    assert getattr(info, read) == value


def test_absent_nullable_fields_of_a_user_are_none() -> None:
    info = EXCHANGES["user"].parse(answer(200, without(without(USER, "display_login"), "distributor_id")), now=NOW)
    assert isinstance(info, UserInfo)
    assert (info.display_login, info.distributor_id) == (None, None)


# Bodies that are no JSON object

DEEP = b'{"a":' * 500 + b"1" + b"}" * 500
BODIES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "application/json", "an empty body"),
    "blank": (b" \r\n", "application/json", "an empty body"),
    "a page": (b"<!DOCTYPE html><title>Oops</title>", "text/html", "an HTML page in place of JSON"),
    "a page called JSON": (b"\n <html>", "application/json", "an HTML page in place of JSON"),
    "text called a page": (b"Oops", "TEXT/HTML; charset=utf-8", "an HTML page in place of JSON"),
    "text": (b"Oops", "text/plain", "a body that is not JSON"),
    "half": (b'{"token_type":"Bear', "application/json", "a body that is not JSON"),
    "no text at all": (b"\xff\xfe\x00\xd8", "application/json", "a body that is not JSON"),
    "nan": (b'{"expires_in":NaN}', "application/json", "a body that is not JSON"),
    "infinity": (b'{"expires_in":-Infinity}', "application/json", "a body that is not JSON"),
    "beyond a float": (b'{"expires_in":1e999}', "application/json", "a body that is not JSON"),
    "5000 digits": (b'{"expires_in":' + b"9" * 5000 + b"}", "application/json", "a body that is not JSON"),
    "an array": (b"[]", "application/json", "JSON that is not an object @ $"),
    "a string": (b'"token"', "application/json", "JSON that is not an object @ $"),
    "null": (b"null", "application/json", "JSON that is not an object @ $"),
    "deep": (DEEP, "application/json", "JSON nested too deep @ $"),
    "bottomless": (b"[" * 100_000, "application/json", "a body that is not JSON"),
    "too large": (b'{"a":"' + b"x" * MAX_BODY + b'"}', "application/json", "a body over 1048576 bytes"),
}


@pytest.mark.parametrize("read", ["parse", "json"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("body", "kind", "problem"), BODIES.values(), ids=BODIES)
def test_a_success_with_such_a_body_is_malformed(body: bytes, kind: str, problem: str, call: str, read: str) -> None:
    response = Response(200, {"Content-Type": kind}, body)
    with pytest.raises(MalformedResponseError) as caught:
        EXCHANGES[call].json(response) if read == "json" else EXCHANGES[call].parse(response, now=NOW)
    spends = call in ("authorization_code", "refresh_token")
    assert problem in str(caught.value)
    assert (SPENT in str(caught.value)) is spends
    assert ("Check base_url" in str(caught.value)) is not spends


@pytest.mark.parametrize("status", [100, 400, 403, 404, 418])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("body", "kind", "problem"), BODIES.values(), ids=BODIES)
def test_a_refusal_with_such_a_body_is_malformed_and_spends_nothing(
    body: bytes, kind: str, problem: str, call: str, status: int
) -> None:
    error = refused(call, Response(status, {"Content-Type": kind}, body))
    assert type(error) is MalformedResponseError
    assert problem in str(error)
    assert SPENT not in str(error)


def test_a_body_of_exactly_one_mebibyte_is_read_and_one_byte_more_is_not() -> None:
    body = json.dumps(USER).encode()
    full = body[:-1] + b" " * (MAX_BODY - len(body)) + b"}"
    assert MAX_BODY == len(full) == 2**20
    assert EXCHANGES["user"].parse(answer(200, full), now=NOW).login == "ivan"
    assert "a body over" in str(refused("user", answer(200, full + b" ")))


@pytest.mark.parametrize(("levels", "read"), [(64, True), (65, False)])
def test_nesting_is_read_up_to_64_levels(levels: int, read: bool) -> None:
    inner: object = "leaf"
    for _ in range(levels - 2):
        inner = [inner]
    response = answer(200, USER | {"extra": inner})
    if read:
        assert EXCHANGES["user"].json(response)["extra"] == inner
    else:
        assert "nested too deep" in str(refused("user", response))


# Redirects

LOCATIONS = {
    "https://exbo.net/login?token=1#top": "a redirect to https://exbo.net/login",
    "/login#access_token=x": "a redirect to /login",
    "javascript:1": "a redirect to javascript:1",
    "http://[": "a redirect to http://[",
    "\x1b[31mred\r\n": "a redirect to [31mred",
    "?only=query": "a redirect",
    "": "a redirect",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
@pytest.mark.parametrize(("location", "shown"), LOCATIONS.items(), ids=repr)
def test_a_redirect_is_malformed_and_never_followed(location: str, shown: str, status: int, call: str) -> None:
    error = refused(call, answer(status, TOKEN, Location=location))
    assert type(error) is MalformedResponseError
    assert f"{shown}. Check base_url" in str(error)
    assert error.headers["location"] == location


# Laravel's own errors


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize(("status", "advice"), [(400, ""), (403, ""), (404, "Check base_url"), (405, "Check base_url")])
def test_a_message_without_an_error_is_a_plain_response_error(grant: str, status: int, advice: str) -> None:
    error = refused(grant, answer(status, {"message": "This is Laravel."}))
    assert type(error) is ResponseError
    assert f"was answered {status}: This is Laravel. {advice}".rstrip() in str(error)


@pytest.mark.parametrize("body", [{"message": "Unauthenticated."}, b"", {}], ids=["message", "empty", "no reason"])
def test_a_401_to_the_bearer_call_is_unauthenticated(body: object) -> None:
    error = refused("user", answer(401, body))
    assert type(error) is UnauthenticatedError
    assert error.grant is None
    assert "superseded" in str(error)


def test_a_401_page_to_the_bearer_call_is_malformed() -> None:
    assert type(refused("user", answer(401, b"<html>"))) is MalformedResponseError


def test_an_oauth_error_to_the_bearer_call_is_no_token_request_error() -> None:
    error = refused("user", answer(403, {"error": "insufficient_scope"}))
    assert type(error) is ResponseError
    assert "insufficient_scope" in str(error)


@pytest.mark.parametrize("grant", GRANTS)
def test_a_401_message_to_a_grant_is_no_bearer_refusal(grant: str) -> None:
    assert type(refused(grant, answer(401, {"message": "Unauthenticated."}))) is ResponseError


SHAPES: dict[str, tuple[object, str]] = {
    "title": ({"title": "Unauthorized", "status": 400}, "Unauthorized"),
    "nothing": ({}, "no reason given"),
    "an error that is no text": ({"error": {"code": 5}, "message": "Hm"}, "Hm"),
    "an empty error": ({"error": "", "message": ""}, "no reason given"),
}


@pytest.mark.parametrize(("body", "said"), SHAPES.values(), ids=SHAPES)
def test_odd_error_shapes_are_plain_response_errors(body: object, said: str) -> None:
    error = refused(APP, answer(400, body))
    assert type(error) is ResponseError
    assert f"was answered 400: {said}." in str(error)


# The token endpoint's errors


def test_an_unknown_code_is_the_token_request_error_itself() -> None:
    error = refused(APP, answer(400, {"error": "slow_down", "hint": "later"}))
    assert type(error) is TokenRequestError
    assert (error.error, error.description, error.hint) == ("slow_down", None, "later")
    assert str(error) == "POST /token (client_credentials) was answered 400: slow_down, hint: later."


def test_unauthorized_client_has_its_class() -> None:
    assert type(refused(APP, answer(400, {"error": "unauthorized_client"}))) is UnauthorizedClientError


def test_an_invalid_grant_of_the_app_token_gets_no_advice_about_codes() -> None:
    error = refused(APP, answer(400, {"error": "invalid_grant"}))
    assert type(error) is InvalidGrantError
    assert "code" not in str(error)


def test_a_demo_host_is_named_as_such() -> None:
    demo = OAuthProtocol(client_id=1, client_secret="secret", base_url="https://dapi.exbo.net/oauth").app_token()
    with pytest.raises(InvalidClientError, match="demo host"):
        demo.parse(answer(401, {"error": "invalid_client"}), now=NOW)


REQUEST = "The request is missing a required parameter."
REFRESH = "The refresh token is invalid."
# (grant, status, error, description, hint) -> dead or not
VARIANTS: dict[str, tuple[tuple[str, int, str, str | None, str | None], bool]] = {
    "refresh, 400 with league-8's words": (("refresh_token", 400, "invalid_request", REFRESH, None), True),
    "refresh, 401 without words": (("refresh_token", 401, "invalid_request", None, None), True),
    "refresh, hint alone": (("refresh_token", 400, "invalid_request", REQUEST, "Token has expired"), True),
    "refresh, linked elsewhere": (
        ("refresh_token", 400, "invalid_request", None, "Token is not linked to client"),
        True,
    ),
    "refresh, parameter missing, even as 401": (
        ("refresh_token", 401, "invalid_request", REQUEST, "Check the `refresh_token` parameter"),
        False,
    ),
    "refresh, 400 without words": (("refresh_token", 400, "invalid_request", REQUEST, None), False),
    "refresh, other client code": (("refresh_token", 401, "invalid_client", REFRESH, None), False),
    "code, expired": (("authorization_code", 400, "invalid_request", None, "Authorization code has expired"), True),
    "code, malformed": (("authorization_code", 400, "invalid_request", None, "Authorization code malformed"), True),
    "code, 401": (("authorization_code", 401, "invalid_request", None, "Authorization code has been revoked"), True),
    "code, parameter missing": (
        ("authorization_code", 400, "invalid_request", None, "Check the `code` parameter"),
        False,
    ),
    "code, no hint": (("authorization_code", 400, "invalid_request", REQUEST, None), False),
    "code, league-9": (("authorization_code", 400, "invalid_grant", None, None), True),
    "app token, the same words": ((APP, 401, "invalid_request", REFRESH, "Token has been revoked"), False),
}


@pytest.mark.parametrize(("said", "dead"), VARIANTS.values(), ids=VARIANTS)
def test_a_dead_grant_is_told_from_a_wrong_request_on_every_version(said: tuple[Any, ...], dead: bool) -> None:
    grant, status, code, description, hint = said
    error = refused(grant, answer(status, {"error": code, "error_description": description, "hint": hint}))
    assert isinstance(error, TokenRequestError)
    assert isinstance(error, InvalidGrantError) is dead
    assert (error.error, error.description, error.hint) == (code, description, hint)
    if not dead and code == "invalid_request":
        assert type(error) is InvalidRequestError


def test_the_servers_words_are_fit_for_one_line_of_a_log() -> None:
    body = {"error": "invalid_request", "error_description": "a\r\nb\x1b[31m\u2028c\ud800" + "д" * 500}
    error = refused(APP, answer(400, body))
    assert len(str(error)) < 500
    assert str(error).isprintable()
    assert "a b [31m c д" in str(error)


# Too many requests, and a failing server

WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"Retry-After": "17"}, 17.0),
    "zero": ({"Retry-After": " 0 "}, 0.0),
    "a date": ({"Retry-After": "Mon, 23 Nov 2026 19:27:08 GMT"}, 30.0),
    "a date that has passed": ({"Retry-After": "Mon, 23 Nov 2026 19:00:00 GMT"}, 0.0),
    "a date without a zone": ({"Retry-After": "Mon, 23 Nov 2026 19:27:08 -0000"}, None),
    "garbage": ({"Retry-After": "in a while"}, None),
    "a fraction": ({"Retry-After": "1.5"}, None),
    "below zero": ({"Retry-After": "-5"}, None),
    "other digits": ({"Retry-After": "\u0663"}, None),
    "twice": ({"Retry-After": "5, 7"}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [{"message": "Too Many Attempts."}, b"<html>", b""], ids=["json", "page", "empty"])
@pytest.mark.parametrize(("headers", "wait"), WAITS.values(), ids=WAITS)
def test_429_says_how_long_to_wait(headers: dict[str, str], wait: float | None, body: object, call: str) -> None:
    error = refused(call, Response(429, headers, answer(429, body).content))
    assert isinstance(error, RateLimitError)
    assert error.retry_after == wait
    assert (f"It asks for {wait:g} s" in str(error)) if wait is not None else ("It asks" not in str(error))


def test_a_wait_of_thousands_of_digits_is_still_a_number() -> None:
    error = refused(APP, answer(429, b"", Retry_After="9" * 5000))
    assert isinstance(error, RateLimitError)
    assert error.retry_after is not None
    assert error.retry_after > 1e9


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "Mon, 23 Nov 2026 19:27:08 GMT", "date": "Mon, 23 Nov 2026 19:27:00 GMT"}, 8.0),
        ({"retry-after": "Mon, 23 Nov 2026 19:27:08 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 19:27:08 GMT", "date": "today"}, None),
        ({"retry-after": "9"}, 9.0),
    ],
    ids=["the answer's date", "no date", "no such date", "seconds"],
)
def test_without_a_clock_a_wait_counts_from_the_answers_own_date(headers: dict[str, str], wait: float | None) -> None:
    with pytest.raises(RateLimitError) as caught:
        EXCHANGES[APP].json(Response(429, headers, b""))
    assert caught.value.retry_after == wait


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [{"message": "Server Error"}, b"<html>", b"", {"error": "server_error"}], ids=repr)
def test_5xx_is_a_server_error_whatever_its_body(status: int, body: object, call: str) -> None:
    error = refused(call, answer(status, body))
    assert type(error) is ServerError
    assert (error.status, error.grant, error.retry_after) == (status, EXCHANGES[call].grant, None)
    assert not isinstance(body, dict) or next(iter(body.values())) in str(error)


# A server that repeats what we sent

ECHOES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda secret: quote(secret, safe=""),
    "quoted as a path": quote,
    "quoted as a form": quote_plus,
    "quoted in lower case": lambda secret: re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")),
}
SENT = {
    APP: (CLIENT_SECRET,),
    "authorization_code": (CLIENT_SECRET, CODE, VERIFIER),
    "refresh_token": (CLIENT_SECRET, REFRESH_TOKEN),
    "user": (ACCESS_TOKEN,),
}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("call", CALLS)
def test_a_secret_that_the_server_repeats_is_masked(call: str, echo: Callable[[str], str], status: int) -> None:
    for secret in SENT[call]:
        said = f"you sent {echo(secret)} to us"
        body = dict.fromkeys(("error", "error_description", "message", "hint", "title"), said)
        error = refused(call, answer(status, body, Location=f"/{echo(secret)}?x", X_Echo=said))
        shown = [str(error), repr(error), *map(repr, vars(error).values()), *error.headers.values()]
        assert not any(secret in text or echo(secret) in text for text in shown)
        assert error.headers["x-echo"] == "you sent *** to us"


def test_a_secret_that_begins_with_another_one_is_masked_whole() -> None:
    exchange = OAuthProtocol(client_id=1, client_secret="abcdef").user_token("abcdefghij")
    with pytest.raises(TokenRequestError) as caught:
        exchange.parse(answer(400, {"error": "x", "hint": "abcdefghij abcdef"}), now=NOW)
    assert caught.value.hint == "*** ***"


def test_a_secret_of_a_few_letters_does_not_blank_out_words() -> None:
    exchange = OAuthProtocol(client_id=1, client_secret="e").app_token()
    with pytest.raises(TokenRequestError, match="server"):
        exchange.parse(answer(400, {"error": "server"}), now=NOW)


def test_no_error_of_a_success_with_tokens_shows_one() -> None:
    for name in TOKEN:
        error = refused("refresh_token", answer(200, TOKEN | {name: {"x": 5}}))
        assert not any(secret in f"{error}{error!r}{vars(error)}" for secret in SECRETS)


# What the caller may get wrong


@pytest.mark.parametrize("now", [None, datetime(2026, 1, 1), 1795462108, "now"], ids=str)  # noqa: DTZ001  # the mistake
@pytest.mark.parametrize("call", CALLS)
def test_a_moment_without_an_offset_is_the_callers_mistake(call: str, now: Any) -> None:
    with pytest.raises(ConfigurationError, match="aware"):
        EXCHANGES[call].parse(answer(200, TOKEN), now=now)


@pytest.mark.parametrize("response", [None, b"{}", {"status": 200}], ids=repr)
def test_only_a_response_can_be_read(response: Any) -> None:
    with pytest.raises(ConfigurationError, match="Response"):
        EXCHANGES["user"].parse(response, now=NOW)
    with pytest.raises(ConfigurationError, match="Response"):
        EXCHANGES["user"].json(response)


RESPONSES: dict[str, tuple[tuple[Any, ...], str]] = {
    "status as text": (("200", {}, b""), "status must be an int, not str"),
    "status as bool": ((True, {}, b""), "status must be an int, not bool"),
    "no status": ((None, {}, b""), "status must be an int, not NoneType"),
    "text": ((200, {}, "{}"), "content is the body in bytes, not str"),
    "no content": ((200, {}, None), "content is the body in bytes, not NoneType"),
    "headers in bytes": ((200, {b"a": b"b"}, b""), "decode bytes as latin-1"),
    "pairs in bytes": ((200, [(b"a", b"b")], b""), "decode bytes as latin-1"),
    "no headers": ((200, None, b""), "headers are a mapping or pairs"),
    "no pairs": ((200, [("a",)], b""), "headers are a mapping or pairs"),
}


@pytest.mark.parametrize(("arguments", "problem"), RESPONSES.values(), ids=RESPONSES)
def test_a_response_of_the_wrong_types_is_refused(arguments: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Response(*arguments)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_body_may_be_any_kind_of_bytes(kind: Callable[[bytes], Any]) -> None:
    assert Response(200, {}, kind(b"{}")).content == b"{}"


# The messages themselves


@pytest.mark.parametrize(
    "given",
    [{"Retry-AFTER": "5", "X": "1"}, [("retry-After", "5"), ("x", "1")], Headers({"RETRY-after": "5", "x": "1"})],
)
def test_headers_are_found_in_any_case_and_listed_in_lower_case(given: Any) -> None:
    headers = Response(200, given, b"").headers
    assert headers["Retry-After"] == headers.get("RETRY-AFTER") == "5"
    assert dict(headers) == {"retry-after": "5", "x": "1"}
    assert len(headers) == 2
    assert headers == Headers(given)
    assert hash(headers) == hash(Headers(given))
    assert "no" not in headers


def test_a_header_that_came_twice_is_joined() -> None:
    assert Headers([("Via", "a"), ("via", "b")])["VIA"] == "a, b"


def test_messages_show_where_they_went_and_never_what_they_carried() -> None:
    request, response = EXCHANGES["authorization_code"].request, answer(200, TOKEN, Set_Cookie=NEW_ACCESS_TOKEN)
    shown = f"{request!r}{request}{response!r}{response.headers!r}{EXCHANGES!r}{EXCHANGES[APP].call!r}{PROTOCOL!r}"
    assert not any(secret in shown for secret in SECRETS)
    assert repr(request) == (
        "<Request POST https://exbo.net/oauth/token [Accept, Accept-Encoding, User-Agent, Content-Type] "
        f"{len(request.content)} bytes>"
    )
    assert repr(response) == f"<Response 200 {len(response.content)} bytes>"
    assert repr(response.headers) == "Headers({'content-type': 'application/json', 'set-cookie': ***})".replace(
        "***", "'***'"
    )
    assert repr(EXCHANGES["user"]) == "<Exchange GET /user>"
    assert repr(PROTOCOL) == "OAuthProtocol(base_url='https://exbo.net/oauth', client_id='59')"

"""Whatever a server answers is a model or one of our errors, for each call and both ways of reading it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exbo_oauth import OAuthModel, RateLimit, ResponseError
from exbo_oauth.protocol import Exchange, Response

from .given import EXCHANGES, SECRETS, TOKEN, USER

NAMES = [*TOKEN, *USER, "error", "error_description", "hint", "message", "title", "expires_at", "extra"]
WORDS = ["invalid_request", "invalid_grant", "Bearer", "The refresh token is invalid.", "Authorization code", *SECRETS]

floats = st.floats()
scalars = st.none() | st.booleans() | st.integers() | floats | st.text() | st.sampled_from(WORDS)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
objects = st.dictionaries(st.sampled_from(NAMES) | st.text(), values, max_size=6)
nearly = st.builds(lambda base, change: {**base, **change}, st.sampled_from([TOKEN, USER]), objects)
bodies = st.one_of(
    st.binary(),
    st.builds(lambda value: json.dumps(value).encode(), values | objects | nearly),
    st.builds(
        lambda value, encoding: json.dumps(value).encode(encoding), nearly, st.sampled_from(["utf-16", "utf-32"])
    ),
    st.sampled_from([b"", b"<html>", b"[" * 100_000, b'{"expires_in":' + b"9" * 5000 + b"}"]),
)
statuses = st.sampled_from([200, 204, 302, 400, 401, 404, 405, 429, 500, 503]) | st.integers()
header_names = st.sampled_from(
    ["Retry-After", "Date", "Location", "Content-Type", "X-RateLimit-Reset", "X-RateLimit-Limit"]
)
dates = st.sampled_from(["Mon, 23 Nov 2026 19:27:08 GMT", "Mon, 23 Nov 2026 19:27:08 -0000", "0", "9" * 5000])
headers = st.lists(st.tuples(header_names | st.text(), dates | st.text() | st.sampled_from(WORDS)), max_size=5)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))])
moments = st.datetimes(timezones=zones)


def outcome_of(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ResponseError as error:
        return error


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
@settings(max_examples=300)
@given(status=statuses, headers=headers, body=bodies, now=moments)
@example(status=200, headers=[], body=json.dumps(TOKEN).encode(), now=datetime.max.replace(tzinfo=UTC))
@example(status=200, headers=[], body=b'{"expires_in":1e999}', now=datetime(2026, 1, 1, tzinfo=UTC))
@example(status=400, headers=[], body=b'{"error":"\\ud800","hint":"\\udfff"}', now=datetime(2026, 1, 1, tzinfo=UTC))
@example(status=300, headers=[("Location", "\xad")], body=b"", now=datetime(2026, 1, 1, tzinfo=UTC))
def test_any_answer_is_a_model_or_a_response_error(
    exchange: Exchange[Any], status: int, headers: list[tuple[str, str]], body: bytes, now: datetime
) -> None:
    response = Response(status, headers, body)
    limits = RateLimit.from_headers(response.headers)
    assert limits is None or json.dumps(limits.to_dict())
    outcome = outcome_of(lambda: exchange.parse(response, now=now))
    if isinstance(outcome, OAuthModel):
        assert type(outcome).from_dict(json.loads(json.dumps(outcome.to_dict()))) == outcome
        assert repr(outcome).isprintable()
    else:
        assert (outcome.status, outcome.grant) == (status, exchange.grant)
        assert str(outcome).isprintable()
        assert not any(secret.reveal() in f"{outcome}{vars(outcome)}" for secret in exchange.call.secrets)


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
@given(status=statuses, headers=headers, body=bodies)
def test_any_answer_is_an_object_or_a_response_error(
    exchange: Exchange[Any], status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    outcome = outcome_of(lambda: exchange.json(Response(status, headers, body)))
    if isinstance(outcome, dict):
        assert outcome == json.loads(body)
    else:
        assert (outcome.status, outcome.grant) == (status, exchange.grant)

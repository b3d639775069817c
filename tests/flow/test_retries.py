"""One call to the server on paper: what is repeated after which pause, and what is not."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth import (
    InvalidGrantError,
    OAuthError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    TransportError,
    UnauthenticatedError,
)
from exbo_oauth.flow.drive import run
from exbo_oauth.flow.effects import Chance, Emit, Identity, Now, Send, Sleep
from exbo_oauth.flow.retries import MAX_WAIT, RULES, exchanged, rule_for
from exbo_oauth.protocol import Exchange, Response

from .transcript import FOLLOWER, HERE, HOUSE, T0, Step, after, answer, at, chanced, play, refusal, sent, slept

PROTOCOL = HOUSE.protocol
APP = PROTOCOL.app_token()
INFO = PROTOCOL.user_info("user-1")
CODE = PROTOCOL.user_token("code-1")
REFRESH = PROTOCOL.refresh("user-1-refresh")

REPEATABLE = [pytest.param(APP, id="app token"), pytest.param(INFO, id="user info")]
SPENDING = [pytest.param(CODE, id="code"), pytest.param(REFRESH, id="refresh token")]
EVERY = [*REPEATABLE, *SPENDING]

UNSENT = TransportError("cannot connect", request_sent=False)
LOST = TransportError("connection dropped", request_sent=True)


def call(exchange: Exchange[Any], max_retries: int = 2, *, as_json: bool = False) -> Any:
    config = evolve(FOLLOWER, max_retries=max_retries)  # which leaves no note in the store
    return exchanged(config, exchange, as_json=as_json)


def good(exchange: Exchange[Any]) -> Response:
    if exchange is INFO:
        body = b'{"id": 1, "uuid": "00000001-0000-4000-8000-000000000001", "login": "ivan", "distributor": "exbo"}'
        return Response(200, {"content-type": "application/json"}, body)
    return answer("app-1" if exchange is APP else "user-1")


@pytest.mark.parametrize("exchange", EVERY)
def test_one_exchange(exchange: Exchange[Any]) -> None:
    assert play(call(exchange), sent(exchange.request, good(exchange))) == exchange.parse(good(exchange), now=T0)


def test_a_lifetime_counts_from_before_the_request() -> None:
    token = play(call(APP), at(5), sent(APP.request, answer("app-1", life=60)))
    assert token.expires_in == after(65)


def test_json_is_what_the_server_sent() -> None:
    body = play(call(APP, as_json=True), sent(APP.request, answer("app-1", life=60)))
    assert body == {"token_type": "Bearer", "expires_in": 60, "access_token": "app-1"}


@pytest.mark.parametrize("exchange", EVERY)
def test_what_was_never_sent_is_repeated_after_growing_pauses(exchange: Exchange[Any]) -> None:
    play(
        call(exchange),
        chanced(0),
        sent(exchange.request, UNSENT),
        slept(0.125),
        chanced(1),
        sent(exchange.request, UNSENT),
        slept(0.75),
        sent(exchange.request, good(exchange)),
    )


@pytest.mark.parametrize("exchange", EVERY)
@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_max_retries_is_the_number_of_repetitions(exchange: Exchange[Any], max_retries: int) -> None:
    again: list[Step] = []
    for attempt in range(max_retries):
        again += [sent(exchange.request, UNSENT), slept(0.25 * 2**attempt)]
    with pytest.raises(TransportError) as caught:
        play(call(exchange, max_retries), *again, sent(exchange.request, UNSENT))
    assert caught.value is UNSENT


@pytest.mark.parametrize("exchange", EVERY)
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_names_a_time_gets_it(exchange: Exchange[Any], status: int) -> None:
    patience = refusal(status, headers={"retry-after": "12"})
    play(call(exchange), sent(exchange.request, patience), slept(12.0), sent(exchange.request, good(exchange)))


@pytest.mark.parametrize("exchange", EVERY)
def test_a_server_that_wants_fewer_requests_and_names_no_time_is_not_asked_again(exchange: Exchange[Any]) -> None:
    with pytest.raises(RateLimitError):
        play(call(exchange), sent(exchange.request, refusal(429)))


@pytest.mark.parametrize(
    ("first", "second", "fits"), [(30, None, True), (31, None, False), (20, 10, True), (20, 11, False)]
)
def test_the_pauses_add_up_to_half_a_minute(first: int, second: int | None, fits: bool) -> None:
    script: list[Step] = []
    waits = [seconds for seconds in (first, second) if seconds is not None]
    for seconds in waits:
        script += [
            sent(APP.request, refusal(429, headers={"retry-after": str(seconds)})),
            slept(float(seconds)),
        ]
    if fits:
        play(call(APP), *script, sent(APP.request, good(APP)))
    else:
        with pytest.raises(RateLimitError) as caught:
            play(call(APP), *script[:-1])
        assert caught.value.retry_after == waits[-1]


def test_a_date_counts_from_the_clock() -> None:
    patience = refusal(503, headers={"retry-after": "Tue, 01 Jan 2030 00:00:09 GMT"})
    play(call(APP), at(2), sent(APP.request, patience), slept(7.0), sent(APP.request, good(APP)))


@pytest.mark.parametrize("exchange", REPEATABLE)
@pytest.mark.parametrize("trouble", [LOST, refusal(500), refusal(502), refusal(503)], ids=["lost", "500", "502", "503"])
def test_what_can_spend_nothing_is_repeated(exchange: Exchange[Any], trouble: Any) -> None:
    play(
        call(exchange),
        sent(exchange.request, trouble),
        slept(0.25),
        sent(exchange.request, good(exchange)),
    )


@pytest.mark.parametrize("exchange", SPENDING)
@pytest.mark.parametrize(
    ("trouble", "kind"), [(LOST, OutcomeUnknownError), (refusal(500), ServerError)], ids=["lost", "500"]
)
def test_a_code_or_refresh_token_is_never_blindly_sent_twice(
    exchange: Exchange[Any], trouble: Any, kind: type[OAuthError]
) -> None:
    with pytest.raises(kind):
        play(call(exchange), sent(exchange.request, trouble))


def test_a_lost_answer_is_told_in_whole_sentences_though_the_http_library_ends_its_own() -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        play(call(APP, 0), sent(APP.request, TransportError("Server disconnected.", request_sent=True)))
    assert str(caught.value).startswith("Server disconnected. The request was sent")


@pytest.mark.parametrize(
    ("exchange", "kind"), [(APP, OutcomeUnknownError), (INFO, TransportError)], ids=["app token", "user info"]
)
def test_a_lost_answer_is_of_unknown_outcome_for_a_grant_only(exchange: Exchange[Any], kind: type[OAuthError]) -> None:
    with pytest.raises(TransportError) as caught:
        play(call(exchange, 0), sent(exchange.request, LOST))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("exchange", "refused", "kind"),
    [
        pytest.param(INFO, refusal(401), UnauthenticatedError, id="a bearer token"),
        pytest.param(REFRESH, refusal(401, "invalid_request"), InvalidGrantError, id="a refresh token"),
    ],
)
def test_a_refusal_is_final(exchange: Exchange[Any], refused: Response, kind: type[OAuthError]) -> None:
    with pytest.raises(kind):
        play(call(exchange), sent(exchange.request, refused))


DOCS = Path(__file__).parents[2] / "docs" / "sharing.md"


def test_the_documents_show_the_rules() -> None:
    rows = [f"| {rule.what} | {rule.harmless.value} | {rule.spending.value} |" for rule in RULES]
    assert "\n".join(rows) in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("trouble", "what"),
    [
        (UNSENT, "never sent: no connection"),
        (RateLimitError("slow down", retry_after=1.0), "429 or 503 with `Retry-After`"),
        (ServerError("not now", status=503, retry_after=0.0), "429 or 503 with `Retry-After`"),
        (RateLimitError("slow down"), "429 without it"),
        (ServerError("not now", status=503), "another 5xx"),
        (LOST, "sent, and no whole answer came"),
        (OutcomeUnknownError("lost"), "sent, and no whole answer came"),
        (ServerError("failed", status=500), "another 5xx"),
        (InvalidGrantError("dead", status=401, error="invalid_grant"), "any other answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_trouble_has_its_rule(trouble: Any, what: str) -> None:
    assert rule_for(trouble).what == what


TROUBLES: dict[str, Callable[[float], Any]] = {
    "unsent": lambda _: UNSENT,
    "lost": lambda _: LOST,
    "500": lambda _: refusal(500),
    "429": lambda wait: refusal(429, headers={"retry-after": str(int(wait))}),
    "503": lambda wait: refusal(503, headers={"retry-after": str(int(wait))}),
    "none": lambda _: refusal(429),
}


@given(
    st.sampled_from([APP, INFO, CODE, REFRESH]),
    st.lists(st.tuples(st.sampled_from(sorted(TROUBLES)), st.floats(0, 40)), max_size=12),
    st.integers(0, 10),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_happens_the_budget_holds(
    exchange: Exchange[Any], troubles: list[tuple[str, float]], max_retries: int, chance: float
) -> None:
    """Any run of trouble: `max_retries` repetitions, 30 seconds of pauses, one sending if it may have been the last."""
    waits: list[float] = []
    sendings: list[str] = []

    def perform(effect: Any) -> Any:
        match effect:
            case Now():
                return T0 + timedelta(seconds=sum(waits))
            case Chance():
                return chance
            case Identity():
                return HERE
            case Emit():
                return None
            case Sleep(seconds):
                waits.append(seconds)
                return None
            case Send():
                kind, wait = troubles[len(sendings)] if len(sendings) < len(troubles) else ("good", 0.0)
                sendings.append(kind)
                outcome = good(exchange) if kind == "good" else TROUBLES[kind](wait)
                if isinstance(outcome, BaseException):
                    raise outcome
                return outcome
            case _:
                raise AssertionError(effect)

    try:
        run(call(exchange, max_retries), perform)
    except OAuthError:
        assert sendings[-1] != "good"
    else:
        assert sendings[-1] == "good"
    assert len(sendings) <= max_retries + 1
    assert sum(waits) <= MAX_WAIT
    if not exchange.repeatable:
        assert not {"lost", "500"} & set(sendings[:-1])

"""A sign-in on paper: what is checked before the code goes out, what an answer makes of the attempt, and the saving."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import (
    AttemptUsedError,
    ConfigurationError,
    InvalidGrantError,
    IssuerMismatchError,
    LoginAttempt,
    MalformedResponseError,
    OutcomeUnknownError,
    ReadOnlyError,
    StateMismatchError,
    StoreError,
    TransportError,
)
from exbo_oauth.events import TokenIssued
from exbo_oauth.flow.drive import arun
from exbo_oauth.flow.effects import Lease, Leased
from exbo_oauth.flow.entries import grave
from exbo_oauth.flow.login import finish_login, new_attempt
from exbo_oauth.protocol import OAuthProtocol, Response

from .transcript import (
    FOLLOWER,
    HOUSE,
    IVAN,
    T0,
    Stage,
    Step,
    after,
    answer,
    at,
    in_vain,
    issued,
    knowing,
    loaded,
    micros,
    nothing,
    play,
    refusal,
    sent,
    shielded,
    slept,
    user_entry,
    written,
)

STATE, VERIFIER = "s" * 43, "v" * 43
CALLBACK = f"http://localhost/?code=code-1&state={STATE}"
EXCHANGE = HOUSE.protocol.user_token("code-1", "http://localhost", VERIFIER)
SAVED = issued(user_entry("user-1", revision=micros(T0)), "sign-in")
UNBURIED = Leased(grave(IVAN), Lease("forgotten", 1.0), nothing), True
LOST = TransportError("connection dropped", request_sent=True)
UNSENT = TransportError("cannot connect", request_sent=False)


def begun(protocol: OAuthProtocol = HOUSE.protocol, *, verifier: str | None = VERIFIER) -> LoginAttempt:
    return new_attempt(protocol, STATE, verifier, T0, None, None)


def ready() -> list[Step]:
    """The store is asked whether it can take the token, before the code is spent."""
    return [loaded(IVAN, None), (Leased(IVAN, Lease("here:7:sign-in", 1.0), nothing), True)]


def exchanged(given: Any, *saving: Step) -> Step:
    return shielded(sent(EXCHANGE.request, given), *saving)


# Before anything is sent


def test_an_attempt_leads_to_the_server_and_remembers_how_it_began() -> None:
    attempt = new_attempt(HOUSE.protocol, STATE, VERIFIER, T0, "http://localhost:9/cb", "mail")
    assert attempt.url.startswith(
        "https://exbo.net/oauth/authorize?client_id=1&redirect_uri=http%3A%2F%2Flocalhost%3A9"
    )
    assert f"state={STATE}" in attempt.url
    assert "scope=mail" in attempt.url
    assert "code_challenge_method=S256" in attempt.url
    assert VERIFIER not in attempt.url
    assert (attempt.redirect_uri, attempt.created_at, attempt.used) == ("http://localhost:9/cb", T0, False)


def test_without_a_verifier_no_challenge_is_sent() -> None:
    attempt = begun(verifier=None)
    assert "code_challenge" not in attempt.url
    exchange = HOUSE.protocol.user_token("code-1", "http://localhost")
    play(finish_login(HOUSE, attempt, CALLBACK, None), shielded(sent(exchange.request, answer("user-1"))))
    assert attempt.used


@pytest.mark.parametrize("attempt", [None, "x", {"url": "https://exbo.net"}], ids=["None", "a str", "a dict"])
def test_what_is_not_an_attempt_is_refused(attempt: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"not a {type(attempt).__name__}"):
        play(finish_login(HOUSE, attempt, CALLBACK, None))


def another_server() -> LoginAttempt:
    return begun(OAuthProtocol(client_id=1, client_secret="S" * 40, base_url="https://elsewhere.example/oauth"))


def another_application() -> LoginAttempt:
    return begun(OAuthProtocol(client_id=11, client_secret="S" * 40))


@pytest.mark.parametrize("make", [another_server, another_application])
def test_a_code_goes_back_to_where_it_came_from_only(make: Callable[[], LoginAttempt]) -> None:
    attempt = make()
    with pytest.raises(ConfigurationError, match="begun at another server or for another application"):
        play(finish_login(HOUSE, attempt, CALLBACK, None))
    assert not attempt.used


def test_a_client_that_only_reads_saves_nobody() -> None:
    attempt = begun()
    with pytest.raises(ReadOnlyError):
        play(finish_login(FOLLOWER, attempt, CALLBACK, "ivan"))
    assert not attempt.used


def test_another_servers_callback_leaves_the_attempt_as_it_is() -> None:
    attempt = begun()
    with pytest.raises(IssuerMismatchError):
        play(finish_login(HOUSE, attempt, f"{CALLBACK}&iss=https%3A%2F%2Felsewhere.example", None))
    assert not attempt.used


def test_a_strangers_callback_leaves_the_attempt_as_it_is() -> None:
    attempt = begun()
    with pytest.raises(StateMismatchError):
        play(finish_login(HOUSE, attempt, "http://localhost/?code=code-1&state=other", None))
    play(finish_login(HOUSE, attempt, CALLBACK, None), exchanged(answer("user-1")))
    assert attempt.used


@pytest.mark.parametrize("seconds", [3600.5, -3600.5], ids=["too old", "from a time to come"])
def test_an_attempt_is_good_for_an_hour(seconds: float) -> None:
    attempt = begun()
    with pytest.raises(AttemptUsedError, match="more than an hour ago"):
        play(finish_login(HOUSE, attempt, CALLBACK, None), stage=Stage(T0 + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_an_attempt_is_good_for_the_whole_hour(seconds: float) -> None:
    stage = Stage(T0 + timedelta(seconds=seconds))
    play(finish_login(HOUSE, begun(), CALLBACK, None), exchanged(answer("user-1")), stage=stage)


def test_a_store_that_is_not_ready_costs_no_code() -> None:
    attempt = begun()
    with pytest.raises(StoreError, match="read only"):
        play(finish_login(HOUSE, attempt, CALLBACK, "ivan"), loaded(IVAN, StoreError("read only")))
    assert not attempt.used


# The exchange


def test_the_token_is_saved_before_anybody_has_it() -> None:
    attempt, stage = begun(), knowing()
    saving = [loaded(IVAN, None), written(IVAN, None, SAVED)]
    token = play(
        finish_login(HOUSE, attempt, CALLBACK, "ivan"),
        *ready(),
        exchanged(answer("user-1"), *saving, UNBURIED),
        stage=stage,
    )
    assert token == SAVED.token
    assert stage.cell(IVAN).entry == SAVED
    assert attempt.used


def test_how_long_a_sign_in_took_and_whose_it_is_is_told() -> None:
    stage = Stage()

    def answering(stage: Stage) -> Response:
        stage.now = after(2)
        return answer("user-1")

    later = issued(user_entry("user-1", revision=micros(after(2))), "sign-in")
    later = evolve(later, issued_at=after(2), history=(evolve(later.history[0], at=after(2)),))
    saving = [loaded(IVAN, None), written(IVAN, None, later), UNBURIED]
    script = [*ready(), exchanged(UNSENT), slept(0.25), exchanged(answering, *saving)]
    play(finish_login(HOUSE, begun(), CALLBACK, "ivan"), *script, stage=stage)
    retried, told = stage.events
    assert (retried.key, told.key) == (IVAN, IVAN)
    assert (type(told), getattr(told, "seconds", None)) == (TokenIssued, 2.0)


def test_a_code_is_exchanged_with_the_address_that_it_came_to() -> None:
    attempt = new_attempt(HOUSE.protocol, STATE, VERIFIER, T0, "http://localhost:9/cb", None)
    exchange = HOUSE.protocol.user_token("code-1", "http://localhost:9/cb", VERIFIER)
    play(finish_login(HOUSE, attempt, CALLBACK, None), shielded(sent(exchange.request, answer("user-1"))))


def test_without_an_account_nothing_is_saved() -> None:
    token = play(finish_login(HOUSE, begun(), CALLBACK, None), exchanged(answer("user-1")))
    assert token == SAVED.token


def test_a_token_that_cannot_be_saved_is_in_the_error_and_has_spent_the_attempt() -> None:
    attempt = begun()
    with pytest.raises(StoreError, match="full") as caught:
        play(
            finish_login(HOUSE, attempt, CALLBACK, "ivan"),
            *ready(),
            exchanged(answer("user-1"), *in_vain([loaded(IVAN, StoreError("full"))])),
        )
    assert caught.value.token == SAVED.token
    assert attempt.used


def test_one_failed_write_does_not_cost_the_sign_in() -> None:
    writing = [loaded(IVAN, None), written(IVAN, None, SAVED, StoreError("reset")), slept(0.1)]
    writing += [loaded(IVAN, None), written(IVAN, None, SAVED), UNBURIED]
    stage = Stage()
    play(finish_login(HOUSE, begun(), CALLBACK, "ivan"), *ready(), exchanged(answer("user-1"), *writing), stage=stage)
    assert stage.cell(IVAN).entry == SAVED


def test_a_code_that_was_never_sent_is_sent_again() -> None:
    attempt = begun()
    play(
        finish_login(HOUSE, attempt, CALLBACK, None),
        exchanged(UNSENT),
        slept(0.25),
        exchanged(answer("user-1")),
    )
    assert attempt.used


@pytest.mark.parametrize(
    ("given", "error", "used"),
    [
        pytest.param(LOST, OutcomeUnknownError, False, id="a lost answer"),
        pytest.param(refusal(400, "invalid_grant"), InvalidGrantError, True, id="a dead code"),
        pytest.param(Response(200, {}, b"{}"), MalformedResponseError, True, id="an answer without a token"),
        pytest.param(Response(404, {}, b"<html>"), MalformedResponseError, False, id="a proxy's page"),
        pytest.param(Response(300, {}, b"<html>"), MalformedResponseError, False, id="a proxy's choice of pages"),
    ],
)
def test_what_ends_an_attempt(given: Any, error: type[Exception], used: bool) -> None:
    attempt = begun()
    with pytest.raises(error):
        play(finish_login(HOUSE, attempt, CALLBACK, None), exchanged(given))
    assert attempt.used is used
    if not used:
        play(finish_login(HOUSE, attempt, CALLBACK, None), exchanged(answer("user-1")))
        assert attempt.used


def test_a_used_attempt_says_so() -> None:
    attempt = begun()
    play(finish_login(HOUSE, attempt, CALLBACK, None), exchanged(answer("user-1")))
    with pytest.raises(AttemptUsedError, match="finished"):
        play(finish_login(HOUSE, attempt, CALLBACK, None), at(1))


def test_of_two_that_finish_at_once_one_sends_the_code() -> None:
    attempt = begun()

    def meanwhile(_: Stage) -> Response:
        with pytest.raises(AttemptUsedError, match="being finished already"):
            play(finish_login(HOUSE, attempt, CALLBACK, None))
        return answer("user-1")

    play(finish_login(HOUSE, attempt, CALLBACK, None), exchanged(meanwhile))
    assert attempt.used


# Between a session and another


def test_an_attempt_is_written_and_read_back() -> None:
    attempt = begun()
    assert LoginAttempt.from_dict(attempt.to_dict()) == attempt
    attempt.settle(used=True)
    assert LoginAttempt.from_dict(attempt.to_dict()).used


@pytest.mark.parametrize(
    "change",
    [{"url": ""}, {"state": 5}, {"created_at": "2030-01-01T00:00:00"}, {"created_at": "soon"}, {"verifier": 5}],
    ids=repr,
)
def test_what_was_not_written_by_an_attempt_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LoginAttempt.from_dict(begun().to_dict() | change)


def test_an_attempt_shows_neither_state_nor_verifier() -> None:
    assert repr(begun()) == "LoginAttempt(redirect_uri='http://localhost', state=***, verifier=***, used=False)"
    assert "verifier=None" in repr(begun(verifier=None))


# On an event loop


def test_a_program_takes_the_same_way_on_an_event_loop() -> None:
    stage, answers, wanted = Stage(), [UNSENT, None, answer("user-1")], list[str]()

    async def perform(effect: Any) -> Any:
        if type(effect).__name__ in ("Now", "Chance", "Emit"):
            return stage.perform(effect)
        wanted.append(type(effect).__name__)
        if type(effect).__name__ == "Shielded":
            return await arun(effect.body(), perform)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    coroutine = arun(finish_login(HOUSE, begun(), CALLBACK, None), perform)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value == SAVED.token
    assert wanted == ["Shielded", "Send", "Sleep", "Shielded", "Send"]

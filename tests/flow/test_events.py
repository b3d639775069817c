"""What is told when: each event where it belongs, with what belongs to it, and never a secret."""

from typing import Any

import pytest
from attrs import evolve, fields

from exbo_oauth import (
    InvalidClientError,
    LoginRequiredError,
    OutcomeUnknownError,
    RateLimitError,
    StoreError,
    TokenConflictError,
)
from exbo_oauth import events as told
from exbo_oauth.flow.conversation import Answer, Deliver, Request, continued
from exbo_oauth.flow.entries import fingerprint
from exbo_oauth.flow.evidence import Target
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.sharing import ensure_app_token, ensure_user_token

from .test_sharing import (
    FIRST,
    ISSUE,
    NEXT,
    OLD,
    PAIR,
    REFRESH,
    SAYS_NO,
    failing,
    in_vain,
    issuing,
    lost,
    renewing,
    saving,
)
from .transcript import (
    APP,
    EXPIRED,
    HERE,
    HOUSE,
    IVAN,
    Stage,
    after,
    app_entry,
    knowing,
    leased,
    loaded,
    play,
    refusal,
    shared,
    slept,
    written,
)

ONE, TWO, NEXT_PAIR = fingerprint("app-1"), fingerprint("app-2"), fingerprint("user-2")


def heard(stage: Stage, program: Any, *script: Any, raises: type[Exception] | None = None) -> list[tuple[Any, ...]]:
    """The events of a program by name, each with what belongs to it beside the moment and the key."""
    if raises is None:
        play(program, *script, stage=stage)
    else:
        with pytest.raises(raises):
            play(program, *script, stage=stage)
    return [
        (type(event).__name__, *(getattr(event, known.name) for known in fields(type(event))[2:]))
        for event in stage.events
    ]


def app(need: Need = Need(60)) -> Any:  # noqa: B008  # frozen
    return ensure_app_token(HOUSE, need)


def ivan() -> Any:
    return ensure_user_token(HOUSE, "ivan", Need(60))


def test_a_token_that_is_issued() -> None:
    flight = renewing(APP, None, *issuing(APP, ISSUE, None, FIRST))
    stage = Stage()
    assert heard(stage, app(), flight) == [("TokenIssued", TWO, "first", 0.0)]
    assert (stage.events[0].at, stage.events[0].key) == (stage.now, APP)


def test_a_token_that_is_adopted_is_told_once() -> None:
    theirs = evolve(OLD, issued_by="web-2:311")
    stage = Stage()
    assert heard(stage, app(), shared(APP, [loaded(APP, theirs)])) == [("TokenAdopted", ONE, "web-2:311")]
    assert heard(stage, app()) == [("TokenAdopted", ONE, "web-2:311")]


def test_a_token_that_an_api_refuses_and_another_deployment_superseded() -> None:
    old = app_entry("app-1", issued_at=after(-9000), life=31_536_000)
    stage = knowing(old)
    newer = app_entry("app-2", revision=2)
    request = Request(HOUSE, APP, Target("api.test", "/x"), after(0), lambda: True)
    seen = heard(
        stage,
        continued(request, old.token, Answer(refused=True)),
        shared(APP, [loaded(APP, newer)], "look"),
        (Deliver(newer.token), Answer()),
    )
    assert seen == [
        ("TokenRefused", ONE, "api.test", "/x", 9000.0),
        ("TokenAdopted", TWO, HERE),
        ("TokenSuperseded", ONE, HERE),
    ]


def test_a_token_that_somebody_outside_superseded() -> None:
    flight = renewing(APP, OLD, *failing(APP, ISSUE, OLD, refusal(401, "invalid_client")))
    seen = heard(knowing(OLD), app(Need(60, "app-1")), flight, raises=InvalidClientError)
    assert seen == [("TokenSuperseded", ONE, "outside")]


def test_an_answer_that_is_lost_and_the_repetition() -> None:
    flight = renewing(
        IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, lost()), slept(0.25), *failing(IVAN, REFRESH, PAIR, lost())
    )
    names = [name for name, *_ in heard(knowing(PAIR, now=EXPIRED), ivan(), flight, raises=OutcomeUnknownError)]
    assert names == ["AnswerLost", "RequestRetried"]


def test_a_user_who_has_to_sign_in_again() -> None:
    flight = renewing(IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, SAYS_NO), loaded(IVAN, PAIR))
    [(name, reason)] = heard(knowing(PAIR, now=EXPIRED), ivan(), flight, raises=LoginRequiredError)
    assert name == "SignInRequired"
    assert "has to sign in again" in reason


def test_a_conflict() -> None:
    old = app_entry(superseded=(after(1), after(150)))
    flight = renewing(APP, old)
    seen = heard(knowing(old, now=after(299)), app(Need(60, "app-1")), flight, raises=TokenConflictError)
    assert seen == [("ConflictFound", ONE, HERE)]


def test_a_lease_that_is_waited_for_and_taken_over() -> None:
    steps = []
    pause, waited = 0.005, 0.0
    while waited < 1:
        steps += [loaded(APP, None), leased(APP, None), slept(pause)]
        waited, pause = waited + pause, min(pause * 1.6, 0.5)
    own = issuing(APP, ISSUE, None, FIRST)
    flight = shared(APP, [*steps, loaded(APP, None), leased(APP, [loaded(APP, None), *own])])
    assert [name for name, *_ in heard(Stage(), app(), flight)] == ["LeaseAwaited", "LeaseTakenOver", "TokenIssued"]


def test_a_store_that_fails_and_one_that_recovers() -> None:
    problem = written(IVAN, 1, NEXT, StoreError("reset"))
    once = renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", problem, slept(0.1), written(IVAN, 1, NEXT), old=PAIR))
    seen = heard(knowing(PAIR, now=EXPIRED), ivan(), once)
    assert seen[:2] == [("StoreFailed", NEXT_PAIR, "reset"), ("StoreRecovered", NEXT_PAIR)]
    always = renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", *in_vain([problem]), old=PAIR))
    failed = heard(knowing(PAIR, now=EXPIRED), ivan(), always, raises=StoreError)
    assert failed == [("StoreFailed", NEXT_PAIR, "reset")] * 6


def test_a_rate_limit() -> None:
    flight = renewing(APP, None, *failing(APP, ISSUE, None, refusal(429, headers={"retry-after": "31"})))
    assert heard(Stage(), app(), flight, raises=RateLimitError) == [("RateLimited", 31.0)]


def test_no_event_has_a_field_for_a_secret() -> None:
    names = {known.name for name in told.__all__ for known in fields(getattr(told, name))}
    assert names == {"at", "key", "fingerprint", "issuer", "reason", "seconds", "host", "path"}

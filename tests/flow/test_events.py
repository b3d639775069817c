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
from exbo_oauth.flow.accounts import save_token
from exbo_oauth.flow.conversation import Answer, Deliver, Request, continued, limit_seen
from exbo_oauth.flow.effects import HolderOf, Later, Lease, Leased
from exbo_oauth.flow.entries import fingerprint, grave
from exbo_oauth.flow.evidence import Target
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.replacement import replace_app_token
from exbo_oauth.flow.retries import exchanged
from exbo_oauth.flow.sharing import ensure_app_token, ensure_user_token
from exbo_oauth.flow.user import user_info
from exbo_oauth.protocol import Headers, Response
from exbo_oauth.stores import Issue

from .test_sharing import (
    FIRST,
    ISSUE,
    NEW,
    NEXT,
    OLD,
    PAIR,
    REFRESH,
    SAYS_NO,
    failing,
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
    T0,
    Stage,
    after,
    answer,
    app_entry,
    chanced,
    in_vain,
    issued,
    knowing,
    leased,
    limit_noted,
    loaded,
    micros,
    nothing,
    play,
    refusal,
    sent,
    shared,
    shielded,
    slept,
    user_entry,
    word,
    written,
)

LOST = "no answer. The request was sent, so EXBO may have issued a token that nobody received."
WHO = Response(
    200,
    {"content-type": "application/json"},
    b'{"id": 1, "uuid": "00000001-0000-4000-8000-000000000001", "login": "ivan", "distributor": "exbo"}',
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
    assert heard(stage, app(), flight) == [("TokenIssued", TWO, HERE, "first", 0.0, 1)]
    assert (stage.events[0].at, stage.events[0].key) == (stage.now, APP)


def test_a_token_that_is_adopted_is_told_once() -> None:
    theirs = evolve(OLD, issued_by="web-2:311")
    stage = Stage()
    assert heard(stage, app(), shared(APP, [loaded(APP, theirs)])) == [("TokenAdopted", ONE, "web-2:311")]
    assert heard(stage, app()) == [("TokenAdopted", ONE, "web-2:311")]


def test_a_token_that_took_several_attempts() -> None:
    flight = renewing(APP, None, *failing(APP, ISSUE, None, lost()), slept(0.25), *issuing(APP, ISSUE, None, FIRST))
    assert heard(Stage(), app(), flight) == [
        ("RequestRetried", LOST, 0.25),
        ("TokenIssued", TWO, HERE, "first", 0.0, 2),
    ]


def test_a_token_that_is_replaced_because_it_ended_is_superseded_by_nobody() -> None:
    flight = renewing(APP, OLD, *issuing(APP, ISSUE, OLD, NEW))
    assert heard(knowing(OLD, now=EXPIRED), app(), flight) == [("TokenIssued", TWO, HERE, "expired", 0.0, 1)]


def test_a_token_that_somebody_asked_to_replace_is_superseded_by_us() -> None:
    newer = issued(app_entry("app-2", issued_at=T0, revision=micros(T0)), "asked")
    seen = heard(
        knowing(OLD), replace_app_token(HOUSE), loaded(APP, OLD), renewing(APP, OLD, *issuing(APP, ISSUE, OLD, newer))
    )
    assert seen == [("TokenIssued", TWO, HERE, "asked", 0.0, 1), ("TokenSuperseded", ONE, HERE, T0)]


def test_an_explicit_call_for_a_token() -> None:
    for as_json in (False, True):
        call = exchanged(HOUSE, HOUSE.protocol.app_token(), as_json=as_json)
        seen = heard(Stage(), call, sent(ISSUE, answer("app-2")), noted(loaded(APP, None)))
        assert seen == [("TokenIssued", TWO, HERE, "asked", 0.0, 1)]


KEPT = issued(evolve(OLD, issued_at=after(-100)), "first")
BY_HAND = Issue(at=T0, by=HERE, why="asked", fingerprint=TWO)


def noted(*steps: Any) -> Any:
    return Later(APP, "followed", nothing), list(steps)


def by_hand() -> Any:
    return exchanged(HOUSE, HOUSE.protocol.app_token(), as_json=False)


def test_an_explicit_call_that_took_several_attempts() -> None:
    attempts = [sent(ISSUE, lost()), slept(0.25), sent(ISSUE, lost()), slept(0.5), sent(ISSUE, answer("app-2"))]
    seen = heard(Stage(), by_hand(), *attempts, noted(loaded(APP, None)))
    assert seen[-1] == ("TokenIssued", TWO, HERE, "asked", 0.0, 3)


def test_a_token_by_hand_that_no_encoding_knows_has_a_name() -> None:
    half = Response(200, {"content-type": "application/json"}, b'{"access_token": "\\ud800", "expires_in": 9}')
    call = exchanged(HOUSE, HOUSE.protocol.app_token(), as_json=True)
    [(name, *_)] = heard(Stage(), call, sent(ISSUE, half), noted(loaded(APP, None)))
    assert name == "TokenIssued"


def test_an_explicit_call_leaves_its_mark_on_the_token_that_it_ends() -> None:
    stage = knowing(KEPT)
    marked = evolve(KEPT, followed=BY_HAND)
    play(by_hand(), sent(ISSUE, answer("app-2")), noted(loaded(APP, KEPT), written(APP, 1, marked)), stage=stage)
    assert stage.cell(APP).entry == marked


def test_a_process_that_knows_no_token_does_not_know_one_for_marking_it() -> None:
    stage = Stage()
    marked = evolve(KEPT, followed=BY_HAND)
    play(by_hand(), sent(ISSUE, answer("app-2")), noted(loaded(APP, KEPT), written(APP, 1, marked)), stage=stage)
    assert stage.cell(APP).entry is None


UNTOUCHED = {
    "one that is as new": evolve(KEPT, issued_at=T0),
    "one that is marked already": evolve(KEPT, followed=Issue(at=after(-1), by="web-2:311")),
}


@pytest.mark.parametrize("entry", UNTOUCHED.values(), ids=UNTOUCHED)
def test_an_explicit_call_leaves_other_tokens_as_they_are(entry: Any) -> None:
    play(by_hand(), sent(ISSUE, answer("app-2")), noted(loaded(APP, entry)))


def test_a_mark_that_another_overtook_is_not_known() -> None:
    stage, marked = knowing(KEPT), evolve(KEPT, followed=BY_HAND)
    script = noted(loaded(APP, KEPT), written(APP, 1, marked, False))
    play(by_hand(), sent(ISSUE, answer("app-2")), script, stage=stage)
    assert stage.cell(APP).entry == KEPT


def test_who_ended_a_token_by_hand_is_named_when_it_is_refused_and_afterwards() -> None:
    mark = Issue(at=after(-60), by="cron-3:77", why="asked", fingerprint="0a1b2c3d")
    marked = evolve(KEPT, followed=mark)
    newer = issued(app_entry("app-2", revision=micros(T0)), "refused", marked)
    newer = evolve(newer, history=(*newer.history[:-1], mark, newer.history[-1]), superseded=(T0,))
    flight = renewing(APP, marked, *saving(APP, ISSUE, "app-2", written(APP, 1, newer), old=marked))
    ended = ("TokenSuperseded", ONE, "cron-3:77", after(-60))
    assert heard(knowing(marked), app(Need(60, "app-1")), flight) == [
        ended,
        ("TokenIssued", TWO, HERE, "refused", 0.0, 1),
    ]
    others = heard(knowing(KEPT), app(Need(60, "app-1")), shared(APP, [loaded(APP, newer)]))
    assert others == [("TokenAdopted", TWO, HERE), ended]


def test_a_sign_in_supersedes_the_pair_that_there_was() -> None:
    newer = issued(user_entry("user-2", revision=micros(T0)), "sign-in")
    token: Any = newer.token
    saving = save_token(HOUSE, "ivan", token, after(-2))
    assert heard(Stage(), saving, loaded(IVAN, PAIR), written(IVAN, 1, newer)) == [
        ("TokenIssued", NEXT_PAIR, HERE, "sign-in", 2.0, 1),
        ("TokenSuperseded", fingerprint("user-1"), HERE, T0),
    ]


def issue(name: str, why: str, by: str, seconds: float) -> Issue:
    return Issue(at=after(seconds), by=by, why=why, fingerprint=fingerprint(name))


FIRST_ISSUE = issue("app-1", "first", HERE, 0)


@pytest.mark.parametrize(
    ("history", "told"),
    [
        pytest.param(
            (FIRST_ISSUE, issue("app-2", "asked", "web-2:311", 5)),
            ("TokenSuperseded", ONE, "web-2:311", after(5)),
            id="by one of ours, who wanted another one",
        ),
        pytest.param(
            (FIRST_ISSUE, issue("app-2", "refused", "web-2:311", 5)),
            ("TokenSuperseded", ONE, "outside", None),
            id="by somebody outside, which one of ours noticed",
        ),
        pytest.param(
            (FIRST_ISSUE, issue("app-x", "asked", "web-3:1", 5), issue("app-2", "refused", "web-2:311", 9)),
            ("TokenSuperseded", ONE, "web-3:1", after(5)),
            id="by one of ours, whose token was superseded itself",
        ),
        pytest.param(
            (issue("app-x", "asked", "web-3:1", 5), issue("app-2", "asked", "web-2:311", 9)),
            ("TokenSuperseded", ONE, "web-2:311", after(9)),
            id="by one of ours, so long ago that nobody remembers which",
        ),
        pytest.param((), ("TokenSuperseded", ONE, "web-2:311", after(9)), id="by one of ours, an earlier version"),
        pytest.param(
            (issue("app-1", "asked", "web-2:311", 5),),
            ("TokenSuperseded", ONE, "web-2:311", after(5)),
            id="by one of ours, which left no note of it",
        ),
        pytest.param((FIRST_ISSUE, issue("app-2", "expired", "web-2:311", 3600)), None, id="by nobody: it had ended"),
    ],
)
def test_a_token_whose_successor_is_adopted_was_superseded(history: tuple[Issue, ...], told: Any) -> None:
    newer = app_entry("app-2", revision=2, issued_at=after(9), life=9999, history=history)
    theirs = evolve(newer, issued_by="web-2:311")
    seen = heard(knowing(OLD), app(Need(60, "app-1")), shared(APP, [loaded(APP, theirs)]))
    assert seen == [("TokenAdopted", TWO, "web-2:311"), *([] if told is None else [told])]


def heard_of_a_refusal(then: Answer) -> list[tuple[object, ...]]:
    """An API refuses a token that another process has replaced, and answers `then` to the newer one."""
    old = app_entry("app-1", issued_at=after(-9000), life=31_536_000)
    newer = app_entry("app-2", revision=2)
    request = Request(HOUSE, APP, Target("api.test", "/x"), after(0), lambda: True)
    return heard(
        knowing(old),
        continued(request, old.token, Answer(refused=True)),
        shared(APP, [loaded(APP, newer)], "look"),
        (Deliver(newer.token), then),
    )


def test_a_token_that_an_api_refuses_and_another_process_replaced() -> None:
    assert heard_of_a_refusal(Answer()) == [
        ("TokenRefused", ONE, "api.test", "/x", 9000.0),
        ("TokenAdopted", TWO, HERE),
        ("TokenSuperseded", ONE, HERE, T0),
    ]


def test_a_token_that_somebody_outside_superseded() -> None:
    flight = renewing(APP, OLD, *failing(APP, ISSUE, OLD, refusal(401, "invalid_client")))
    seen = heard(knowing(OLD), app(Need(60, "app-1")), flight, raises=InvalidClientError)
    assert seen == [("TokenSuperseded", ONE, "outside", None)]


def test_the_end_of_a_token_is_told_once_however_many_calls_come_upon_it() -> None:
    stage = knowing(OLD)
    flight = renewing(APP, OLD, *failing(APP, ISSUE, OLD, refusal(401, "invalid_client")))
    heard(stage, app(Need(60, "app-1")), flight, raises=InvalidClientError)
    seen = heard(stage, app(Need(60, "app-1")), flight, raises=InvalidClientError)
    assert seen == [("TokenSuperseded", ONE, "outside", None)]


def test_a_refused_token_whose_time_may_have_come_by_the_clock_of_its_process_was_superseded_by_nobody() -> None:
    theirs = evolve(app_entry("app-1", life=900), issued_by="web-2:311")
    newer = issued(app_entry("app-2", issued_at=after(9), revision=micros(after(9))), "refused")
    flight = renewing(APP, theirs, *issuing(APP, ISSUE, theirs, newer))
    seen = heard(knowing(theirs, now=after(9)), app(Need(60, "app-1")), flight)
    assert seen == [("TokenIssued", TWO, HERE, "refused", 0.0, 1)]


def test_a_refused_token_whose_time_had_come_was_superseded_by_nobody() -> None:
    flight = renewing(APP, OLD, *failing(APP, ISSUE, OLD, refusal(401, "invalid_client")))
    assert heard(knowing(OLD, now=EXPIRED), app(Need(60, "app-1")), flight, raises=InvalidClientError) == []


def test_an_answer_that_is_lost_and_the_repetition() -> None:
    flight = renewing(
        IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, lost()), slept(0.25), *failing(IVAN, REFRESH, PAIR, lost())
    )
    names = [name for name, *_ in heard(knowing(PAIR, now=EXPIRED), ivan(), flight, raises=OutcomeUnknownError)]
    assert names == ["AnswerLost", "RequestRetried"]


def test_a_refresh_that_is_replayed() -> None:
    flight = renewing(
        IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, lost()), slept(0.25), *issuing(IVAN, REFRESH, PAIR, NEXT)
    )
    assert heard(knowing(PAIR, now=EXPIRED), ivan(), flight) == [
        ("AnswerLost", fingerprint("user-1"), LOST),
        ("RequestRetried", LOST, 0.25),
        ("TokenIssued", NEXT_PAIR, HERE, "expired", 0.0, 2),
    ]


def test_a_first_token_whose_answer_is_lost_takes_the_place_of_none() -> None:
    house = evolve(HOUSE, max_retries=0)
    flight = renewing(APP, None, *failing(APP, ISSUE, None, lost()))
    seen = heard(Stage(), ensure_app_token(house, Need(60)), flight, raises=OutcomeUnknownError)
    assert seen == [("AnswerLost", "", LOST)]


def test_a_user_who_has_to_sign_in_again() -> None:
    flight = renewing(IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, SAYS_NO), loaded(IVAN, PAIR))
    [(name, reason)] = heard(knowing(PAIR, now=EXPIRED), ivan(), flight, raises=LoginRequiredError)
    assert name == "SignInRequired"
    assert "has to sign in again" in reason


def test_a_conflict() -> None:
    old = app_entry(superseded=(after(1), after(150)))
    flight = renewing(APP, old)
    seen = heard(knowing(old, now=after(299)), app(Need(60, "app-1")), flight, raises=TokenConflictError)
    assert seen == [("TokenSuperseded", ONE, "outside", None), ("ConflictFound", ONE, HERE)]


@pytest.mark.parametrize("wait", [None, 1.0], ids=["at last", "when the second is over that may be waited"])
def test_a_lease_that_is_waited_for_and_taken_over(wait: float | None) -> None:
    steps = []
    waited = 0.0
    while waited < 1:
        pause = min(max(0.002, waited / 4), 9 if wait is None else wait - waited)
        steps += [loaded(APP, None), leased(APP, None), slept(pause)]
        steps += [(HolderOf(APP), "1893456000:web-2:311:0123456789ab")] if waited + pause >= 1 else []
        waited += pause
    own = issuing(APP, ISSUE, None, FIRST)
    flight = shared(APP, [*steps, loaded(APP, None), leased(APP, [loaded(APP, None), *own])], wait=wait)
    awaited, taken, got = heard(Stage(), app(Need(60, wait=wait)), flight)
    assert awaited == ("LeaseAwaited", pytest.approx(waited), "web-2:311", T0)
    assert taken == ("LeaseTakenOver", pytest.approx(waited), "web-2:311", T0)
    assert got[0] == "TokenIssued"


def test_a_wait_is_told_of_once_also_if_a_look_falls_on_its_first_second() -> None:
    steps = []
    waited, chance = 0.0, 0.5
    while waited < 1:
        look = max(0.002, waited / 4)
        chance = 0.5 if waited + look < 1 else (1 - waited) / look - 0.5
        pause = look * (0.5 + chance)
        steps += [loaded(APP, None), leased(APP, None), chanced(chance), slept(pause)]
        waited += pause
    assert waited == 1
    another = [loaded(APP, None), leased(APP, None), slept((0.5 + chance) / 4), loaded(APP, NEW)]
    flight = shared(APP, [*steps, (HolderOf(APP), None), *another])
    awaited, adopted = heard(Stage(), app(), flight)
    assert awaited == ("LeaseAwaited", 1, None, None)
    assert adopted[0] == "TokenAdopted"


def test_a_store_that_fails_and_one_that_recovers() -> None:
    problem = written(IVAN, 1, NEXT, StoreError("reset"))
    once = renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", problem, slept(0.1), written(IVAN, 1, NEXT), old=PAIR))
    seen = heard(knowing(PAIR, now=EXPIRED), ivan(), once)
    assert seen[:2] == [("StoreFailed", NEXT_PAIR, "reset"), ("StoreRecovered", NEXT_PAIR)]
    always = renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", *in_vain([problem]), old=PAIR))
    failed = heard(knowing(PAIR, now=EXPIRED), ivan(), always, raises=StoreError)
    assert failed == [("StoreFailed", NEXT_PAIR, "reset")] * 6


def test_a_store_that_cannot_be_asked() -> None:
    stage = Stage()
    away = shared(APP, [loaded(APP, StoreError("no answer"))])
    assert heard(stage, app(), away, raises=StoreError) == [("StoreFailed", "", "no answer")]
    assert heard(stage, app(), away, raises=StoreError) == [("StoreFailed", "", "no answer")] * 2
    again = heard(stage, app(), shared(APP, [loaded(APP, OLD)]))
    assert again[2:] == [("TokenAdopted", ONE, HERE), ("StoreRecovered", "")]
    assert {event.key for event in stage.events} == {APP}
    stage.now = EXPIRED
    assert heard(stage, app(), shared(APP, [loaded(APP, NEW)]))[4:] == [("TokenAdopted", TWO, HERE)]


def test_a_store_that_takes_a_token_with_the_next_call() -> None:
    stage = knowing(PAIR, now=EXPIRED)
    problem = written(IVAN, 1, NEXT, StoreError("reset"))
    heard(
        stage,
        ivan(),
        renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", *in_vain([problem]), old=PAIR)),
        raises=StoreError,
    )
    stage.events.clear()
    assert heard(stage, ivan(), shared(IVAN, [shielded(written(IVAN, 1, NEXT))])) == [("StoreRecovered", "")]


def test_a_store_that_does_not_take_a_sign_in() -> None:
    token: Any = user_entry("user-2").token
    saving = save_token(HOUSE, "ivan", token)
    seen = heard(Stage(), saving, *in_vain([loaded(IVAN, StoreError("full"))]), raises=StoreError)
    assert seen == [("StoreFailed", NEXT_PAIR, "full")] * 6


def test_a_store_that_takes_a_sign_in_at_the_second_attempt() -> None:
    entry = issued(user_entry("user-2", revision=micros(T0)), "sign-in")
    attempts: list[Any] = [loaded(IVAN, StoreError("full")), slept(0.1), loaded(IVAN, PAIR), written(IVAN, 1, entry)]
    unburied = Leased(grave(IVAN), Lease("forgotten", 1.0), nothing), True
    stage = Stage()
    seen = heard(stage, save_token(HOUSE, "ivan", entry.token), *attempts, unburied)
    assert seen[:2] == [("StoreFailed", NEXT_PAIR, "full"), ("StoreRecovered", NEXT_PAIR)]
    assert {event.key for event in stage.events} == {IVAN}


def test_who_an_account_is_is_asked_twice_if_the_first_time_fails() -> None:
    pair, ask = user_entry("user-1"), HOUSE.protocol.user_info("user-1").request
    told_later = Later(IVAN, "tell", nothing), None
    stage = knowing(pair)
    seen = heard(stage, user_info(HOUSE, "ivan"), sent(ask, refusal(503)), slept(0.25), sent(ask, WHO), told_later)
    assert [name for name, *_ in seen] == ["RequestRetried"]
    assert stage.events[0].key == IVAN


def test_a_rate_limit_and_the_repetition() -> None:
    flight = renewing(
        APP,
        None,
        *failing(APP, ISSUE, None, refusal(429, headers={"retry-after": "2"})),
        *limit_noted(word(429, 2)),
        slept(2),
        *issuing(APP, ISSUE, None, FIRST),
    )
    assert [name for name, *_ in heard(Stage(), app(), flight)] == ["RateLimited", "RequestRetried", "TokenIssued"]


def test_a_rate_limit() -> None:
    asked = failing(APP, ISSUE, None, refusal(429, headers={"retry-after": "31"}))
    flight = renewing(APP, None, *asked, *limit_noted(word(429, 31)))
    assert heard(Stage(), app(), flight, raises=RateLimitError) == [("RateLimited", 31.0, "", "", "")]


LIMITS: dict[str, tuple[dict[str, str], float | None]] = {
    "with Retry-After": ({"retry-after": "7", "x-ratelimit-reset": "0"}, 7.0),
    "with Retry-After, a date": ({"retry-after": "Tue, 01 Jan 2030 00:00:09 GMT"}, 9.0),
    "with the end of the minute, in milliseconds": (
        {"x-ratelimit-reset": str(int(after(12).timestamp() * 1000))},
        12.0,
    ),
    "with a minute that is over": ({"x-ratelimit-reset": "1000000000"}, 0.0),
    "without a word on when": ({"x-ratelimit-remaining": "0"}, None),
    "without a word": ({}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), LIMITS.values(), ids=LIMITS)
def test_an_api_that_wants_fewer_requests(headers: dict[str, str], seconds: float | None) -> None:
    request = Request(HOUSE, APP, Target("api.test", "/x"), after(0), lambda: True)
    seen = heard(knowing(OLD), continued(request, OLD.token, Answer(limits=Headers(headers))))
    assert seen == [("RateLimited", seconds, ONE, "api.test", "/x")]


def test_an_api_that_wants_fewer_requests_with_the_header_pair() -> None:
    seen = heard(Stage(), limit_seen(APP, Target("api.test", "/x"), Headers({"retry-after": "7"})))
    assert seen == [("RateLimited", 7.0, "", "api.test", "/x")]


def test_an_api_that_wants_fewer_requests_when_the_refused_token_is_replaced() -> None:
    seen = heard_of_a_refusal(Answer(limits=Headers()))
    assert seen[-1] == ("RateLimited", None, TWO, "api.test", "/x")


def test_who_wants_fewer_requests_is_named() -> None:
    limited = told.RateLimited(at=T0, key=APP, seconds=7.0, host="api.test", path="/x")
    assert str(limited) == "application 1: api.test/x wants fewer requests, the next in 7 s"
    assert str(evolve(limited, host="", seconds=None)) == "application 1: EXBO wants fewer requests"


def test_no_event_has_a_field_for_a_secret() -> None:
    names = {known.name for name in told.__all__ for known in fields(getattr(told, name))}
    assert names == {
        "at",
        "key",
        "fingerprint",
        "issuer",
        "reason",
        "seconds",
        "host",
        "path",
        "attempt",
        "since",
        "holder",
    }

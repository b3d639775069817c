"""How a token is shared, on paper: each transcript is the whole conversation between a program and the world."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import (
    ConfigurationError,
    InvalidClientError,
    InvalidGrantError,
    LeaseTimeoutError,
    LoginRequiredError,
    MalformedResponseError,
    OutcomeUnknownError,
    RateLimitError,
    ReadOnlyError,
    ServerError,
    StoreError,
    TokenConflictError,
    TransportError,
)
from exbo_oauth.flow.effects import Hold, HolderOf, Lease, Leased, Pending
from exbo_oauth.flow.entries import grave, revision_of
from exbo_oauth.flow.evidence import Refusal, Target
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.replacement import replace_app_token, replace_user_token
from exbo_oauth.flow.saving import Obtained, saved_pending
from exbo_oauth.flow.sharing import ensure_app_token, ensure_user_token, flown
from exbo_oauth.masking import Secret
from exbo_oauth.stores import Entry, Issue

from .transcript import (
    APP,
    EXPIRED,
    FOLLOWER,
    HOUSE,
    IVAN,
    LEASE,
    T0,
    Stage,
    Step,
    after,
    answer,
    app_entry,
    at,
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
    still_ours,
    user_entry,
    word,
    written,
)

GRAVE = grave(IVAN)
NEED = Need(60)
ISSUE = HOUSE.protocol.app_token().request
REFRESH = HOUSE.protocol.refresh("user-1-refresh").request
SAYS_NO = refusal(401, "invalid_request")  # league-8 of a dead refresh token, recorded case R04
LATER = (EXPIRED - T0).total_seconds()

OLD = app_entry("app-1")
NEW = issued(app_entry("app-2", issued_at=EXPIRED, revision=micros(EXPIRED)), "expired")
FIRST = issued(app_entry("app-2", revision=micros(T0)), "first")
PAIR = user_entry("user-1")
NEXT = issued(user_entry("user-2", issued_at=EXPIRED, revision=micros(EXPIRED)), "expired")


def lost(*, sent: bool = True) -> TransportError:
    return TransportError("no answer", request_sent=sent)


def app(need: Need = NEED, house: Any = HOUSE) -> Any:
    return ensure_app_token(house, need)


def ivan(need: Need = NEED, house: Any = HOUSE) -> Any:
    return ensure_user_token(house, "ivan", need)


def renewing(key: Any, entry: Entry | None, *under_lease: Step) -> Step:
    """One flight that finds nothing to use and takes the lease at once."""
    return shared(key, [loaded(key, entry), leased(key, [loaded(key, entry), *under_lease])])


def issuing(key: Any, request: Any, old: Entry | None, new: Entry) -> list[Step]:
    """The last look and the shielded part, when all goes well."""
    expected = None if old is None else old.revision
    return [
        *still_ours(key, old),
        shielded(sent(request, answer(new.token.access_token)), written(key, expected, new)),
    ]


def failing(key: Any, request: Any, old: Entry | None, trouble: Any) -> list[Step]:
    """An attempt that came to nothing."""
    return [*still_ours(key, old), shielded(sent(request, trouble))]


# Handing out what is there


def test_a_token_in_memory_is_handed_out_without_a_look_at_the_store() -> None:
    assert play(app(), stage=knowing(OLD)) is OLD.token


@pytest.mark.parametrize(
    ("left", "life", "served"),
    [
        pytest.param(61, 3600, True, id="lives longer than asked"),
        pytest.param(60, 3600, True, id="lives exactly as long as asked"),
        pytest.param(59, 3600, False, id="ends too soon"),
        pytest.param(0, 3600, False, id="ended"),
        pytest.param(1, 60, True, id="is of a kind that lives exactly as long as asked"),
        pytest.param(1, 59, True, id="is of a kind that never lives so long"),
        pytest.param(0, 59, False, id="is of a kind that never lives so long, and ended"),
        pytest.param(35, 70, False, id="is of a kind that lives little longer, and did half of it"),
        pytest.param(36, 70, True, id="is of a kind that lives little longer, and is still young"),
    ],
)
def test_min_ttl(left: float, life: float, served: bool) -> None:
    entry = app_entry(life=life)
    stage = knowing(entry, now=after(life - left))
    tail = [] if served else [shared(APP, Obtained(NEW, issued=True))]
    assert play(app(), *tail, stage=stage) is (entry.token if served else NEW.token)


def test_a_token_in_the_store_is_adopted() -> None:
    stage = Stage()
    assert play(app(), shared(APP, [loaded(APP, OLD)]), stage=stage) is OLD.token
    assert stage.cell(APP).entry == OLD


def test_a_refused_token_is_first_looked_up() -> None:
    need = Need(60, OLD.token)
    assert play(app(need), shared(APP, [loaded(APP, NEW)]), stage=knowing(OLD)) is NEW.token


def test_a_late_refusal_of_an_older_token_costs_nothing() -> None:
    assert play(app(Need(60, "app-1")), stage=knowing(NEW, now=EXPIRED)) is NEW.token


@pytest.mark.parametrize("life", [5, 0])
def test_who_waited_takes_what_was_issued_however_short_its_life(life: float) -> None:
    """Also if it is the newest that this process knows."""
    short = app_entry("app-2", life=life)
    assert play(app(), shared(APP, Obtained(short, issued=True))) is short.token
    issued_here = shared(APP, meanwhile(Obtained(short, issued=True), short))
    assert play(app(), issued_here) is short.token


def meanwhile(obtained: Obtained | None, newest: Entry = NEW) -> Callable[[Stage], Obtained | None]:
    """A flight's end, after which somebody put the newest token into memory."""

    def ending(stage: Stage) -> Obtained | None:
        stage.cache.remember(APP, newest)
        return obtained

    return ending


@pytest.mark.parametrize(
    ("need", "obtained"),
    [
        pytest.param(NEED, None, id="the leader was cancelled"),
        pytest.param(Need(60, "app-1"), Obtained(OLD), id="what was adopted is what this one saw refused"),
        pytest.param(Need(3600), Obtained(app_entry(life=1000)), id="what was adopted suits the leader only"),
        pytest.param(Need(60, "app-1"), Obtained(OLD, issued=True), id="what was issued was refused since"),
        pytest.param(NEED, Obtained(app_entry(issued_at=EXPIRED)), id="what was adopted was replaced since"),
    ],
)
def test_who_waited_in_vain_asks_anew(need: Need, obtained: Obtained | None) -> None:
    stage = Stage(EXPIRED)
    assert play(app(need), shared(APP, meanwhile(obtained)), stage=stage) is NEW.token


def test_a_server_that_gives_the_refused_token_back_is_not_asked_for_ever() -> None:
    same = shared(APP, Obtained(OLD, issued=True))
    with pytest.raises(MalformedResponseError, match="the refused token again") as caught:
        play(app(Need(60, "app-1")), same, same)
    assert caught.value.status == 200


# Issuing


def test_an_empty_store_costs_one_issue() -> None:
    stage = Stage()
    assert play(app(), renewing(APP, None, *issuing(APP, ISSUE, None, FIRST)), stage=stage) == FIRST.token
    assert stage.cell(APP).entry == FIRST


def test_an_expired_token_is_replaced_and_leaves_no_trace_of_a_conflict() -> None:
    flight = renewing(APP, OLD, *issuing(APP, ISSUE, OLD, NEW))
    assert play(app(), flight, stage=knowing(OLD, now=EXPIRED)) == NEW.token


def test_a_refused_token_is_replaced_and_the_supersession_noted() -> None:
    fresh = app_entry("app-2", issued_at=after(9), revision=micros(after(9)), superseded=(after(9),))
    flight = renewing(APP, OLD, *issuing(APP, ISSUE, OLD, issued(fresh, "refused")))
    assert play(app(Need(60, OLD.token)), flight, stage=knowing(OLD, now=after(9))) == fresh.token


# At an API's word


def refused_by_an_api(entry: Entry) -> tuple[Need, Stage]:
    """Somebody of this process wants another token, because this one was refused; the process knows of that."""
    refusal, stage = Refusal(Secret(entry.token.access_token), Target("api.test", "/good"), T0, T0, T0), knowing(entry)
    stage.cache.refuse(APP, refusal)
    return Need(60, entry.token, refusal=refusal), stage


def test_who_has_the_lease_replaces_what_nothing_good_was_heard_of() -> None:
    silent = app_entry("app-1", issued_at=after(-10_000), life=20_000, superseded=(after(-9),))
    fresh = app_entry("app-2", revision=micros(T0), superseded=(after(-9),))
    fresh = issued(fresh, "refused", target="api.test/good")
    need, stage = refused_by_an_api(silent)
    obtained = play(flown(HOUSE, APP, need), renewing(APP, silent, *issuing(APP, ISSUE, silent, fresh)), stage=stage)
    assert obtained == Obtained(fresh, issued=True)


def test_who_has_the_lease_replaces_nothing_that_is_worth_another_try() -> None:
    """Which only this process may know as yet."""
    worked = app_entry("app-1", issued_at=after(-10_000), life=20_000, accepted_at=after(-60))
    need, stage = refused_by_an_api(worked)
    untold = evolve(worked, accepted_at=None)
    assert play(flown(HOUSE, APP, need), renewing(APP, untold), stage=stage) == Obtained(worked)


def test_who_has_the_lease_may_be_the_one_who_finds_a_conflict() -> None:
    issue = Issue(at=after(-400), by="here:7", why="refused", target="api.test/good", taken="target")
    worked = app_entry("app-1", issued_at=after(-390), life=20_000, accepted_at=after(-380), history=(issue,))
    fought = evolve(worked, superseded=(after(-20), after(-10)))
    need, stage = refused_by_an_api(fought)
    again = evolve(need, refusal=evolve(need.refusal, again=True, sent=3))
    with pytest.raises(TokenConflictError, match=r"^api\.test refused three"):
        play(flown(HOUSE, APP, again), renewing(APP, fought), stage=stage)


def test_which_hosts_refuse_living_tokens_is_known_of_the_next_one_for_five_minutes() -> None:
    old = evolve(OLD, doubted=(("a.test", after(0)), ("b.test", EXPIRED - timedelta(seconds=299))))
    fresh = evolve(NEW, doubted=old.doubted[1:])
    flight = renewing(APP, old, *issuing(APP, ISSUE, old, fresh))
    assert play(app(), flight, stage=knowing(old, now=EXPIRED)) == fresh.token


# At its owner's wish


def test_a_good_token_is_replaced_without_a_word_against_it() -> None:
    fresh = issued(app_entry("app-2", issued_at=after(9), revision=micros(after(9))), "asked")
    flight = renewing(APP, OLD, *issuing(APP, ISSUE, OLD, fresh))
    token = play(replace_app_token(HOUSE), loaded(APP, OLD), flight, stage=knowing(OLD, now=after(9)))
    assert token == fresh.token


def test_a_token_that_its_owner_wants_replaced_is_no_sign_of_a_conflict() -> None:
    recent = evolve(OLD, superseded=(after(1), after(2)))
    fresh = app_entry("app-2", issued_at=after(9), revision=micros(after(9)), superseded=(after(1), after(2)))
    flight = renewing(APP, recent, *issuing(APP, ISSUE, recent, issued(fresh, "asked")))
    token = play(replace_app_token(HOUSE), loaded(APP, recent), flight, stage=knowing(recent, now=after(9)))
    assert token == fresh.token


def test_where_there_is_no_token_a_replacement_is_the_first() -> None:
    flight = renewing(APP, None, *issuing(APP, ISSUE, None, FIRST))
    assert play(replace_app_token(HOUSE), loaded(APP, None), flight) == FIRST.token


@pytest.mark.parametrize(
    "program",
    [lambda: replace_app_token(FOLLOWER), lambda: replace_user_token(FOLLOWER, "ivan")],
    ids=["app", "user"],
)
def test_a_follower_replaces_nothing(program: Any) -> None:
    with pytest.raises(ReadOnlyError, match="only reads"):
        play(program(), stage=knowing(OLD, PAIR))


@pytest.mark.parametrize("seconds", [0, 3599.5], ids=["now", "a while ago"])
def test_what_others_put_into_the_store_meanwhile_is_as_good_as_an_issue(seconds: float) -> None:
    stage = knowing(PAIR, now=EXPIRED + timedelta(seconds=seconds))
    flight = shared(IVAN, [loaded(IVAN, NEXT)], wait=3.0)
    program = replace_user_token(HOUSE, "ivan", wait=3.0)
    assert play(program, loaded(IVAN, PAIR), flight, stage=stage) is NEXT.token


def test_others_who_renew_are_waited_for_as_long_as_said_where_a_token_is_to_be_replaced() -> None:
    flight = shared(APP, Obtained(NEW, issued=True), wait=3.0)
    assert play(replace_app_token(HOUSE, wait=3.0), loaded(APP, OLD), flight, stage=knowing(OLD)) is NEW.token


@pytest.mark.parametrize(
    ("known", "stored"),
    [
        pytest.param(knowing(NEW, now=EXPIRED), None, id="what only this process remembers"),
        pytest.param(knowing(OLD, key=APP, pending=Pending(1, NEW), now=EXPIRED), OLD, id="what is still to be saved"),
    ],
)
def test_what_was_there_when_the_call_began_is_no_replacement(known: Stage, stored: Entry | None) -> None:
    known.cache.rescue(APP, pending := known.cell(APP).pending)
    saving = [shielded(written(APP, 1, NEW))] if pending is not None else [loaded(APP, NEW), leased(APP, SERVER_DOWN)]
    flights = [shared(APP, saving)]
    if pending is not None:
        flights.append(shared(APP, [loaded(APP, NEW), leased(APP, SERVER_DOWN)]))
    with pytest.raises(ServerError):
        play(replace_app_token(HOUSE), loaded(APP, stored), *flights, stage=known)


SERVER_DOWN = ServerError("no", status=500)


def test_a_clock_that_was_set_back_still_gives_growing_revisions() -> None:
    ahead = app_entry(life=-10, revision=micros(T0) + 10**9)
    fresh = issued(app_entry("app-2", revision=micros(T0) + 10**10 + 1), "expired")
    flight = renewing(APP, ahead, *issuing(APP, ISSUE, ahead, fresh))
    play(app(), flight, stage=knowing(key=APP, forgotten=micros(T0) + 10**10))


def test_while_another_holds_the_lease_the_store_is_asked_soon_and_at_growing_intervals() -> None:
    polls: list[Step] = []
    waited = 0.0
    while waited < 4:  # an issue takes milliseconds: of what one waits for, a quarter is lost at most
        pause = min(max(0.002, waited / 4), 0.5)
        polls += [loaded(APP, OLD), leased(APP, None), slept(pause)]
        polls += [(HolderOf(APP), None)] if waited < 1 <= waited + pause else []
        waited += pause
    flight = shared(APP, [*polls, loaded(APP, NEW)])
    assert play(app(), flight, stage=knowing(OLD, now=EXPIRED)) is NEW.token


def test_the_last_holder_may_have_been_faster() -> None:
    flight = shared(APP, [loaded(APP, OLD), leased(APP, [loaded(APP, NEW)])])
    assert play(app(), flight, stage=knowing(OLD, now=EXPIRED)) is NEW.token


def test_a_user_token_is_refreshed() -> None:
    flight = renewing(IVAN, PAIR, *issuing(IVAN, REFRESH, PAIR, NEXT))
    assert play(ivan(), flight, stage=knowing(PAIR, now=EXPIRED)) == NEXT.token


# Waiting no longer than the caller likes

HOLDER = "1893456000:web-2:311:0123456789ab"  # since T0


def test_who_waits_for_so_long_is_told_for_whom() -> None:
    polls = [loaded(APP, None), leased(APP, None), slept(0.002), loaded(APP, None), leased(APP, None), slept(0.001)]
    flight = shared(APP, [*polls, loaded(APP, None), leased(APP, None)], wait=0.003)
    with pytest.raises(
        LeaseTimeoutError, match=r"web-2:311 \(since 00:00:00 UTC\) is renewing .* the application"
    ) as caught:
        play(app(Need(60, wait=0.003)), flight, (HolderOf(APP), HOLDER))
    assert (caught.value.holder, caught.value.since) == ("web-2:311", T0)


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        pytest.param(None, (None, None, "another call of here:7 is renewing"), id="another call of this process"),
        pytest.param(StoreError("away"), (None, None, "another call of here:7"), id="a store that does not say"),
        pytest.param("web-2:311:0123", ("web-2:311", None, "web-2:311 is renewing"), id="an earlier version"),
        pytest.param("12345:311:0123", ("12345:311", None, "12345:311 is renewing"), id="one on a host named 12345"),
        pytest.param("1893456000:web-2:3", ("web-2:3", T0, "web-2:3 "), id="a store without room for all of it"),
    ],
)
def test_who_waits_for_another_call_for_so_long_is_told(owner: Any, told: tuple[Any, ...]) -> None:
    with pytest.raises(LeaseTimeoutError) as caught:
        play(app(Need(60, wait=1)), shared(APP, TimeoutError(), wait=1), (HolderOf(APP), owner))
    assert (caught.value.holder, caught.value.since) == told[:2]
    assert told[2] in str(caught.value)


@pytest.mark.parametrize(("passed", "left"), [(2, 3.0), (0.5, 4.5), (7, 0.0), (-9, 5.0)])
def test_what_is_left_of_the_wait_is_what_the_next_flight_gets(passed: float, left: float) -> None:
    """A clock that was set back takes nothing of it, and gives nothing."""
    flights = [shared(APP, None, wait=5), at(passed), shared(APP, Obtained(NEW, issued=True), wait=left)]
    assert play(app(Need(60, wait=5)), *flights) is NEW.token


@pytest.mark.parametrize("wait", [-1, "1", True, float("inf")])
def test_a_wait_is_a_number_of_seconds(wait: Any) -> None:
    with pytest.raises(ConfigurationError, match="wait must be a number of seconds from 0 up"):
        Need(60, wait=wait)


# Failing


def test_an_issue_is_repeated_where_that_is_safe() -> None:
    flight = renewing(
        APP,
        None,
        *failing(APP, ISSUE, None, refusal(500)),
        slept(0.25),
        *failing(APP, ISSUE, None, lost()),
        slept(0.5),
        *issuing(APP, ISSUE, None, FIRST),
    )
    assert play(app(), flight) == FIRST.token


def test_an_issue_fails_with_the_error_of_the_last_retry() -> None:
    flight = renewing(
        APP,
        None,
        *failing(APP, ISSUE, None, lost(sent=False)),
        slept(0.25),
        *failing(APP, ISSUE, None, lost()),
        slept(0.5),
        *failing(APP, ISSUE, None, refusal(500)),
    )
    with pytest.raises(ServerError):
        play(app(), flight)


def test_a_lost_app_token_is_reported_as_such() -> None:
    with pytest.raises(OutcomeUnknownError):
        play(app(house=evolve(HOUSE, max_retries=0)), renewing(APP, None, *failing(APP, ISSUE, None, lost())))


@pytest.mark.parametrize(
    ("key", "entry", "program", "request_"),
    [
        pytest.param(APP, None, app, ISSUE, id="app"),
        pytest.param(IVAN, PAIR, ivan, REFRESH, id="user"),
    ],
)
def test_a_refused_client_is_reported_and_spends_nothing(
    key: Any, entry: Entry | None, program: Callable[[], Any], request_: Any
) -> None:
    stage = Stage(EXPIRED)
    with pytest.raises(InvalidClientError):
        play(
            program(),
            renewing(key, entry, *failing(key, request_, entry, refusal(401, "invalid_client"))),
            stage=stage,
        )
    assert stage.cell(key).spent is None


def test_an_invalid_grant_of_an_app_is_reported_as_it_is() -> None:
    with pytest.raises(InvalidGrantError):
        play(app(), renewing(APP, None, *failing(APP, ISSUE, None, refusal(400, "invalid_grant"))))


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    flight = renewing(
        APP,
        None,
        *failing(APP, ISSUE, None, refusal(429, headers={"retry-after": "28"})),
        *limit_noted(word(429, 28)),
        slept(28),
        *issuing(APP, ISSUE, None, FIRST),
    )
    assert play(app(), flight) == FIRST.token


def test_a_wait_that_is_too_long_is_raised() -> None:
    asked = failing(APP, ISSUE, None, refusal(429, headers={"retry-after": "31"}))
    flight = renewing(APP, None, *asked, *limit_noted(word(429, 31)))
    with pytest.raises(RateLimitError) as caught:
        play(app(), flight)
    assert caught.value.retry_after == 31


OVERTAKEN = [
    pytest.param([(Hold(APP, LEASE), False)], id="another owner has the lease"),
    pytest.param([(Hold(APP, LEASE), True), loaded(APP, NEW)], id="another owner had it meanwhile and let it go"),
]


@pytest.mark.parametrize("look", OVERTAKEN)
def test_who_was_stopped_before_sending_looks_anew(look: list[Step]) -> None:
    flight = shared(
        APP, [loaded(APP, OLD), leased(APP, [loaded(APP, OLD), *look]), chanced(0), slept(0.001), loaded(APP, NEW)]
    )
    assert play(app(), chanced(0), flight, stage=knowing(OLD, now=EXPIRED)) is NEW.token


@pytest.mark.parametrize("look", OVERTAKEN)
def test_who_lost_the_lease_in_a_pause_looks_anew(look: list[Step]) -> None:
    beginning = [loaded(APP, None), *failing(APP, ISSUE, None, lost()), chanced(0), slept(0.125), *look]
    flight = shared(APP, [loaded(APP, None), leased(APP, beginning), slept(0.001), loaded(APP, NEW)])
    assert play(app(), flight) is NEW.token


# Refresh tokens


def test_a_refresh_whose_answer_was_lost_is_tried_once_more() -> None:
    flight = renewing(
        IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, lost()), slept(0.25), *issuing(IVAN, REFRESH, PAIR, NEXT)
    )
    assert play(ivan(), flight, stage=knowing(PAIR, now=EXPIRED)) == NEXT.token


def test_a_refresh_whose_answer_was_lost_twice_is_of_unknown_outcome() -> None:
    flight = renewing(
        IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, lost()), slept(0.25), *failing(IVAN, REFRESH, PAIR, lost())
    )
    with pytest.raises(OutcomeUnknownError):
        play(ivan(), flight, stage=knowing(PAIR, now=EXPIRED))


@pytest.mark.parametrize(
    "stored",
    [PAIR, None, user_entry("user-0", revision=0)],
    ids=["nothing else is stored", "the account was forgotten meanwhile", "the store went back in time"],
)
def test_a_dead_refresh_token_asks_for_a_sign_in_and_is_never_sent_again(stored: Entry | None) -> None:
    stage = knowing(PAIR, now=EXPIRED)
    flight = renewing(IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, SAYS_NO), loaded(IVAN, stored))
    with pytest.raises(LoginRequiredError, match="'ivan'") as caught:
        play(ivan(), flight, stage=stage)
    assert caught.value.account == "ivan"
    assert isinstance(caught.value.__cause__, InvalidGrantError)
    assert stage.cell(IVAN).spent == Secret("user-1-refresh")


def test_what_a_stalled_holder_saved_is_adopted_after_a_refusal() -> None:
    flight = renewing(IVAN, PAIR, *failing(IVAN, REFRESH, PAIR, SAYS_NO), loaded(IVAN, NEXT))
    assert play(ivan(), flight, stage=knowing(PAIR, now=EXPIRED)) is NEXT.token


LOOK = Leased(GRAVE, Lease("somebody who looks", 1.0), nothing)


@pytest.mark.parametrize("stored", [None, PAIR], ids=["lost it", "went back in time"])
def test_a_store_that_forgot_a_user_is_told_what_this_process_remembers(stored: Entry | None) -> None:
    """After a crash, an eviction, a failover or an old backup."""
    looked: list[Step] = [(LOOK, [])] if stored is None else []
    given_back = [loaded(IVAN, stored), *looked, written(IVAN, revision_of(stored), NEXT), *looked]
    newest = user_entry("user-3", issued_at=after(9000), revision=NEXT.revision + 1)
    flight = shared(IVAN, [*given_back, leased(IVAN, [loaded(IVAN, newest)])])
    assert play(ivan(), flight, stage=knowing(NEXT, now=after(9000))) is newest.token


def test_who_is_told_by_somebody_else_meanwhile_adopts() -> None:
    newest = user_entry("user-3", issued_at=after(9000), revision=NEXT.revision + 1)
    steps = [loaded(IVAN, PAIR), written(IVAN, PAIR.revision, NEXT, False), loaded(IVAN, newest)]
    assert play(ivan(), shared(IVAN, steps), stage=knowing(NEXT, now=after(9000))) is newest.token
    told_the_same = [*steps[:2], loaded(IVAN, NEXT), leased(IVAN, [loaded(IVAN, newest)])]
    assert play(ivan(), shared(IVAN, told_the_same), stage=knowing(NEXT, now=after(9000))) is newest.token


def test_a_store_that_goes_back_in_time_twice_is_told_twice() -> None:
    older = user_entry("user-0", revision=0)
    told = [loaded(IVAN, PAIR), written(IVAN, PAIR.revision, NEXT, False), loaded(IVAN, older)]
    newest = user_entry("user-3", issued_at=after(9000), revision=NEXT.revision + 1)
    flight = shared(IVAN, [*told, written(IVAN, 0, NEXT), leased(IVAN, [loaded(IVAN, newest)])])
    assert play(ivan(), flight, stage=knowing(NEXT, now=after(9000))) is newest.token


def test_a_store_that_loses_a_user_twice_is_told_twice() -> None:
    """Found by walking all schedules with two faults."""
    somebody_else_was_faster = [loaded(IVAN, None), (LOOK, True), written(IVAN, None, NEXT, False)]
    told = [*somebody_else_was_faster, loaded(IVAN, None), (LOOK, True), written(IVAN, None, NEXT), (LOOK, True)]
    newest = user_entry("user-3", issued_at=after(9000), revision=NEXT.revision + 1)
    flight = shared(IVAN, [*told, leased(IVAN, [loaded(IVAN, newest)])])
    assert play(ivan(), flight, stage=knowing(NEXT, now=after(9000))) is newest.token


def test_a_store_that_takes_nothing_is_not_told_for_ever() -> None:
    told = [(LOOK, True), written(IVAN, None, NEXT, False), loaded(IVAN, None)] * 4
    with pytest.raises(LoginRequiredError, match="nobody has signed in"):
        play(ivan(), shared(IVAN, [loaded(IVAN, None), *told]), stage=knowing(NEXT, now=after(9000)))


def test_a_user_who_was_forgotten_on_purpose_is_not_brought_back() -> None:
    stage = knowing(NEXT, now=after(9000))
    with pytest.raises(LoginRequiredError, match="nobody has signed in"):
        play(ivan(), shared(IVAN, [loaded(IVAN, None), (LOOK, None)]), stage=stage)
    assert stage.cell(IVAN).entry is None


def test_a_user_who_is_forgotten_on_purpose_at_that_moment_is_not_brought_back_either() -> None:
    steps = [
        loaded(IVAN, None),
        (LOOK, True),
        written(IVAN, None, NEXT),
        (LOOK, None),
        written(IVAN, NEXT.revision, None),
    ]
    with pytest.raises(LoginRequiredError, match="nobody has signed in"):
        play(ivan(), shared(IVAN, steps), stage=knowing(NEXT, now=after(9000)))


def test_a_store_that_lost_an_application_s_token_gets_it_back() -> None:
    flight = shared(APP, [loaded(APP, None), written(APP, None, OLD), leased(APP, [loaded(APP, NEW)])])
    assert play(app(Need(60, OLD.token)), flight, stage=knowing(OLD)) is NEW.token


def test_a_token_that_has_expired_is_not_given_back() -> None:
    flight = shared(APP, [loaded(APP, None), leased(APP, [loaded(APP, NEW)])])
    assert play(app(), flight, stage=knowing(OLD, now=EXPIRED)) is NEW.token


def test_a_refresh_token_that_is_spent_is_not_given_back() -> None:
    with pytest.raises(LoginRequiredError, match="nobody has signed in"):
        play(ivan(), shared(IVAN, [loaded(IVAN, None)]), stage=knowing(PAIR, spent="user-1-refresh", now=EXPIRED))


@pytest.mark.parametrize(
    ("entry", "spent", "text"),
    [
        pytest.param(None, None, "nobody has signed in", id="never signed in"),
        pytest.param(PAIR, "user-1-refresh", "has to sign in again", id="spent"),
    ],
)
def test_what_no_refresh_could_change_costs_no_lease(entry: Entry | None, spent: str | None, text: str) -> None:
    with pytest.raises(LoginRequiredError, match=text):
        play(ivan(), shared(IVAN, [loaded(IVAN, entry)]), stage=knowing(key=IVAN, spent=spent, now=EXPIRED))


# Saving


def saving(key: Any, request: Any, name: str, *steps: Step, old: Entry) -> list[Step]:
    """The shielded part up to the first write."""
    return [*still_ours(key, old), shielded(sent(request, answer(name)), *steps)]


def test_a_holder_that_slept_through_its_lease_adopts_what_came_after_it() -> None:
    late = issued(app_entry("late", issued_at=EXPIRED, revision=micros(EXPIRED)), "expired")
    steps = saving(APP, ISSUE, "late", written(APP, 1, late, False), loaded(APP, NEW), old=OLD)
    assert play(app(), renewing(APP, OLD, *steps), stage=knowing(OLD, now=EXPIRED)) is NEW.token


HELD = user_entry("user-1", revision=2)
GIVEN_BACK = [loaded(IVAN, None), (LOOK, True), written(IVAN, None, NEXT, False), loaded(IVAN, HELD)]


@pytest.mark.parametrize(
    "came_back",
    [
        pytest.param([loaded(IVAN, PAIR), written(IVAN, 1, NEXT), (LOOK, True)], id="the store went back in time"),
        pytest.param([*GIVEN_BACK, written(IVAN, 2, NEXT)], id="a store that lost it was given it back"),
    ],
)
def test_a_pair_is_saved_over_its_predecessor_that_came_back(came_back: list[Step]) -> None:
    """Found by walking all schedules: the new pair, the only one that lives, gave way to what it had replaced."""
    steps = saving(IVAN, REFRESH, "user-2", written(IVAN, 2, NEXT, False), *came_back, old=HELD)
    assert play(ivan(), renewing(IVAN, HELD, *steps), stage=knowing(HELD, now=EXPIRED)) == NEXT.token


def test_an_app_token_is_saved_over_an_earlier_one_that_an_empty_store_was_given_back() -> None:
    """Found by walking all schedules: it ended the earlier one when it was issued."""
    earlier = app_entry("app-1", issued_at=after(-60), revision=micros(after(-59)))
    written_twice = [written(APP, None, FIRST, False), loaded(APP, earlier), written(APP, earlier.revision, FIRST)]
    sending = shielded(sent(ISSUE, answer("app-2")), *written_twice)
    assert play(app(), renewing(APP, None, *still_ours(APP, None), sending)) == FIRST.token


def test_an_app_token_that_a_clock_set_back_makes_look_older_is_saved_with_a_growing_revision() -> None:
    def answering(stage: Stage) -> Any:
        stage.now = after(-100)
        return answer("app-2")

    earlier = app_entry("app-1", issued_at=after(-60), revision=micros(after(-59)))
    fresh = evolve(FIRST, revision=micros(after(-100)))
    saving = [written(APP, None, fresh, False), loaded(APP, earlier)]
    saving += [written(APP, earlier.revision, evolve(fresh, revision=earlier.revision + 1))]
    sending = shielded(sent(ISSUE, answering), *saving)
    assert play(app(), renewing(APP, None, *still_ours(APP, None), sending)) == FIRST.token


def test_a_store_that_has_nothing_newer_and_takes_nothing_is_not_asked_for_ever() -> None:
    attempt = [written(IVAN, 2, NEXT, False), loaded(IVAN, HELD)] * 6
    stage, steps = knowing(HELD, now=EXPIRED), saving(IVAN, REFRESH, "user-2", *in_vain(attempt), old=HELD)
    with pytest.raises(StoreError, match="does not take the new token") as caught:
        play(ivan(), renewing(IVAN, HELD, *steps), stage=stage)
    assert caught.value.token == NEXT.token
    assert stage.cell(IVAN).pending == Pending(2, NEXT)


def test_a_store_that_fails_once_it_has_lost_everything_loses_no_token() -> None:
    """Found by walking all schedules with two faults."""
    lost_it = [written(IVAN, 1, NEXT, False), loaded(IVAN, None)]
    down = (LOOK, StoreError("restarting."))
    steps = [*lost_it, down, slept(0.1), *lost_it, (LOOK, True), written(IVAN, None, NEXT), (LOOK, True)]
    flight = renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", *steps, old=PAIR))
    assert play(ivan(), flight, stage=knowing(PAIR, now=EXPIRED)) == NEXT.token


def test_an_app_token_is_saved_although_its_predecessor_vanished() -> None:
    steps = saving(
        APP, ISSUE, "app-2", written(APP, 1, NEW, False), loaded(APP, None), written(APP, None, NEW), old=OLD
    )
    assert play(app(), renewing(APP, OLD, *steps), stage=knowing(OLD, now=EXPIRED)) == NEW.token


def forgetting(stage: Stage) -> bool:
    """Another task of this process forgets the user at that moment."""
    stage.cache.forget(IVAN, NEXT.revision)
    return True


def test_a_user_who_was_forgotten_during_a_refresh_stays_forgotten_and_one_who_was_lost_does_not() -> None:
    vanished = [written(IVAN, 1, NEXT, False), loaded(IVAN, None)]
    steps = saving(IVAN, REFRESH, "user-2", *vanished, (LOOK, None), old=PAIR)
    with pytest.raises(LoginRequiredError, match="was forgotten"):
        play(ivan(), renewing(IVAN, PAIR, *steps), stage=knowing(PAIR, now=EXPIRED))
    at_that_moment = [(LOOK, True), written(IVAN, None, NEXT), (LOOK, None), written(IVAN, NEXT.revision, None)]
    steps = saving(IVAN, REFRESH, "user-2", *vanished, *at_that_moment, old=PAIR)
    with pytest.raises(LoginRequiredError, match="was forgotten"):
        play(ivan(), renewing(IVAN, PAIR, *steps), stage=knowing(PAIR, now=EXPIRED))
    forgotten_here = [(LOOK, True), written(IVAN, None, NEXT, forgetting), written(IVAN, NEXT.revision, None)]
    steps = saving(IVAN, REFRESH, "user-2", *vanished, *forgotten_here, old=PAIR)
    with pytest.raises(LoginRequiredError, match="was forgotten"):
        play(ivan(), renewing(IVAN, PAIR, *steps), stage=knowing(PAIR, now=EXPIRED))
    steps = saving(IVAN, REFRESH, "user-2", *vanished, (LOOK, True), written(IVAN, None, NEXT), (LOOK, True), old=PAIR)
    assert play(ivan(), renewing(IVAN, PAIR, *steps), stage=knowing(PAIR, now=EXPIRED)) == NEXT.token


@pytest.mark.parametrize("fails", ["swap", "load"])
@pytest.mark.parametrize("text", ["the disk is full", "the disk is full."])
def test_a_token_that_cannot_be_saved_is_kept_and_named_in_the_error(fails: str, text: str) -> None:
    stage, problem = knowing(PAIR, now=EXPIRED), StoreError(text)
    last = [loaded(IVAN, problem)] if fails == "load" else []
    tries = in_vain([written(IVAN, 1, NEXT, problem if fails == "swap" else False), *last])
    with pytest.raises(StoreError, match=r"the disk is full\. The new token is kept in memory") as caught:
        play(ivan(), renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", *tries, old=PAIR)), stage=stage)
    assert caught.value.token == NEXT.token
    assert stage.cell(IVAN).pending == Pending(1, NEXT)


def test_one_failed_write_is_repeated() -> None:
    writes = [written(IVAN, 1, NEXT, StoreError("reset")), slept(0.1), written(IVAN, 1, NEXT)]
    flight = renewing(IVAN, PAIR, *saving(IVAN, REFRESH, "user-2", *writes, old=PAIR))
    assert play(ivan(), flight, stage=knowing(PAIR, now=EXPIRED)) == NEXT.token


def rescuing(*steps: Step) -> tuple[Stage, Step]:
    """What a flight does first, if there is a token to be saved."""
    stage = knowing(PAIR, key=IVAN, pending=Pending(1, NEXT), now=EXPIRED)
    return stage, shared(IVAN, [shielded(*steps)])


def test_a_rescued_token_is_saved_by_the_next_call() -> None:
    stage, flight = rescuing(written(IVAN, 1, NEXT))
    assert play(ivan(), flight, stage=stage) is NEXT.token
    assert stage.cell(IVAN).pending is None


def test_a_rescued_token_gives_way_to_a_newer_one() -> None:
    newer = user_entry("user-3", issued_at=EXPIRED, revision=9)
    stage, flight = rescuing(written(IVAN, 1, NEXT, False), loaded(IVAN, newer))
    assert play(ivan(), flight, stage=stage) is newer.token


def test_a_rescued_token_that_was_written_all_the_same_is_written_again() -> None:
    """The store said that it failed: whatever it could not promise then, it is asked to promise now."""
    again = [written(IVAN, NEXT.revision, NEXT), (LOOK, True)]
    stage, flight = rescuing(written(IVAN, 1, NEXT, False), loaded(IVAN, NEXT), *again)
    assert play(ivan(), flight, stage=stage) is NEXT.token


def test_a_store_that_has_it_and_takes_it_no_second_time_has_it() -> None:
    again = [written(IVAN, NEXT.revision, NEXT, False), loaded(IVAN, NEXT)]
    stage, flight = rescuing(written(IVAN, 1, NEXT, False), loaded(IVAN, NEXT), *again)
    assert play(ivan(), flight, stage=stage) is NEXT.token


def test_a_rescued_token_that_was_written_all_the_same_and_was_taken_since_is_adopted() -> None:
    taken = evolve(NEXT, accepted_at=EXPIRED)
    stage, flight = rescuing(written(IVAN, 1, NEXT, False), loaded(IVAN, taken))
    play(ivan(), flight, stage=stage)
    assert stage.cell(IVAN).entry == taken


def test_a_rescued_token_is_saved_without_a_pause_where_none_is_wanted() -> None:
    stage, _ = rescuing()
    with pytest.raises(StoreError, match="still full"):
        play(saved_pending(IVAN, pauses=()), shielded(written(IVAN, 1, NEXT, StoreError("still full"))), stage=stage)


def test_a_rescued_token_is_not_handed_out_while_its_store_promises_nothing() -> None:
    problem = StoreError("no replica has it.")
    stage, flight = rescuing(
        *in_vain(
            [written(IVAN, 1, NEXT, False), loaded(IVAN, NEXT), written(IVAN, NEXT.revision, NEXT, problem)],
        ),
    )
    with pytest.raises(StoreError, match="no replica has it"):
        play(ivan(), flight, stage=stage)
    assert stage.cell(IVAN).pending == Pending(1, NEXT)


def test_a_rescued_token_stays_rescued_while_the_store_fails() -> None:
    stage, flight = rescuing(*in_vain([written(IVAN, 1, NEXT, StoreError("still full."))]))
    with pytest.raises(StoreError) as caught:
        play(ivan(), flight, stage=stage)
    assert caught.value.token == NEXT.token
    assert stage.cell(IVAN).pending == Pending(1, NEXT)


def test_a_rescued_token_that_has_ended_meanwhile_is_saved_and_renewed() -> None:
    much_later = LATER + timedelta(days=1).total_seconds()
    newest = user_entry("user-3", issued_at=after(much_later), revision=NEXT.revision + 1)
    stage, flight = rescuing(written(IVAN, 1, NEXT))
    token = play(ivan(), at(much_later), flight, shared(IVAN, [loaded(IVAN, newest)]), stage=stage)
    assert token is newest.token


# Conflicts, by the caller's own word


def test_the_third_supersession_within_five_minutes_is_a_conflict() -> None:
    old = app_entry(superseded=(after(1), after(150)))
    with pytest.raises(TokenConflictError, match=r"another deployment.* the API refuses whatever") as caught:
        play(app(Need(60, "app-1")), renewing(APP, old), stage=knowing(old, now=after(299)))
    assert caught.value.issuer == "here:7"


def test_a_users_third_supersession_may_mean_that_he_was_deleted() -> None:
    old = user_entry(superseded=(after(1), after(150)))
    with pytest.raises(TokenConflictError, match=r"another deployment.* the user 'ivan' was deleted"):
        play(ivan(Need(60, "user-1")), renewing(IVAN, old), stage=knowing(old, now=after(299)))


@pytest.mark.parametrize(
    ("moments", "moment", "kept"),
    [
        pytest.param((1, 150), 301, (150, 301), id="the first is five minutes ago"),
        pytest.param((1000, 1001), 150, (150,), id="the clock was set back for long"),
        pytest.param((), 299, (299,), id="the first"),
    ],
)
def test_supersessions_are_remembered_for_five_minutes(
    moments: tuple[float, ...], moment: float, kept: tuple[float, ...]
) -> None:
    old = app_entry(superseded=tuple(map(after, moments)))
    now = after(moment)
    fresh = app_entry("app-2", issued_at=now, revision=micros(now), superseded=tuple(map(after, kept)))
    flight = renewing(APP, old, *issuing(APP, ISSUE, old, issued(fresh, "refused")))
    assert play(app(Need(60, "app-1")), flight, stage=knowing(old, now=now)) == fresh.token


@pytest.mark.parametrize(
    ("life", "by"),
    [
        pytest.param(100, "here:7", id="by the clock that it was issued by"),
        pytest.param(900, "there:8", id="perhaps, by the clock of another process"),
    ],
)
def test_a_token_at_its_natural_end_never_counts(life: float, by: str) -> None:
    old = evolve(app_entry(life=life, superseded=(after(1), after(50))), issued_by=by)
    now = after(100)
    fresh = app_entry("app-2", issued_at=now, revision=micros(now), superseded=(after(1), after(50)))
    flight = renewing(APP, old, *issuing(APP, ISSUE, old, issued(fresh, "refused")))
    assert play(app(Need(60, "app-1")), flight, stage=knowing(old, now=now)) == fresh.token


# Followers


def test_a_follower_adopts() -> None:
    assert play(app(house=FOLLOWER), shared(APP, [loaded(APP, OLD)], "read")) is OLD.token


@pytest.mark.parametrize(
    ("key", "entry", "text"),
    [
        pytest.param(APP, None, "holds no token of the application", id="no app token"),
        pytest.param(APP, OLD, "holds only an expired or refused token of the application", id="an expired app token"),
        pytest.param(IVAN, None, "holds no token of 'ivan'", id="no user token"),
        pytest.param(IVAN, PAIR, "holds only an expired or refused token of 'ivan'", id="an expired user token"),
    ],
)
def test_a_follower_never_issues(key: Any, entry: Entry | None, text: str) -> None:
    program = (app if key is APP else ivan)(house=FOLLOWER)
    with pytest.raises(ReadOnlyError, match=text):
        play(program, shared(key, [loaded(key, entry)], "read"), stage=Stage(EXPIRED))


def test_a_follower_does_not_save_what_an_issuing_client_rescued() -> None:
    stage = knowing(key=APP, pending=Pending(None, OLD))
    with pytest.raises(ReadOnlyError):
        play(app(house=FOLLOWER), shared(APP, [loaded(APP, None)], "read"), stage=stage)
    assert stage.cell(APP).pending is not None


# Stores that fail or lie


@pytest.mark.parametrize(
    ("key", "entry", "program"),
    [pytest.param(APP, PAIR, app, id="a user's token"), pytest.param(IVAN, OLD, ivan, id="an app's token")],
)
def test_a_token_of_another_kind_never_gets_into_memory(key: Any, entry: Entry, program: Callable[[], Any]) -> None:
    stage = Stage()
    with pytest.raises(StoreError, match="of another kind"):
        play(program(), shared(key, [loaded(key, entry)]), stage=stage)
    assert stage.cell(key).entry is None


def test_a_store_that_cannot_be_read_costs_no_issue() -> None:
    with pytest.raises(StoreError, match="gone"):
        play(app(), shared(APP, [loaded(APP, StoreError("gone"))]))


# What callers ask for


@pytest.mark.parametrize(
    "value",
    [-1, float("nan"), float("inf"), True, "60", None, timedelta(seconds=60)],
    ids=["negative", "nan", "infinite", "bool", "str", "None", "timedelta"],
)
def test_min_ttl_is_a_number_of_seconds(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="min_ttl must be a number of seconds"):
        Need(value)


@pytest.mark.parametrize("value", [5, b"app-1", {"access_token": "app-1"}], ids=["int", "bytes", "dict"])
def test_rejected_is_a_token_or_its_text(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="rejected must be"):
        Need(60, value)


@pytest.mark.parametrize("value", [OLD.token, "app-1", Secret("app-1")], ids=["model", "str", "secret"])
def test_rejected_is_known_by_its_text(value: Any) -> None:
    assert Need(60, value).rejected == Secret("app-1")

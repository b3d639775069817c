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
    LoginRequiredError,
    OutcomeUnknownError,
    RateLimitError,
    ReadOnlyError,
    ServerError,
    StoreError,
    TokenConflictError,
    TransportError,
)
from exbo_oauth.flow.effects import (
    Cell,
    Forget,
    Keys,
    Load,
    Pending,
    Recall,
    Refuse,
    Remember,
    Remove,
    Rescue,
    Sleep,
    Spend,
    Swap,
)
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.replacement import replace_app_token, replace_user_token
from exbo_oauth.flow.sharing import (
    Outcome,
    accounts,
    ensure_app_token,
    ensure_user_token,
    forget_token,
    save_token,
)
from exbo_oauth.masking import Secret
from exbo_oauth.stores import Entry

from .transcript import (
    APP,
    FOLLOWER,
    HOUSE,
    IVAN,
    T0,
    Step,
    after,
    answer,
    app_entry,
    chanced,
    leased,
    looked,
    micros,
    named,
    now,
    paused,
    play,
    refusal,
    sent,
    shared,
    shielded,
    user_entry,
    weighed,
    written,
)

NEED = Need(60)
ISSUE = HOUSE.protocol.app_token().request
REFRESH = HOUSE.protocol.refresh("user-1-refresh").request
SAYS_NO = refusal(401, "invalid_request")  # league-8 of a dead refresh token, recorded case R04
EXPIRED = after(4000)  # an hour's token of T0 is over

OLD = app_entry("app-1")
NEW = app_entry("app-2", issued_at=EXPIRED, revision=micros(EXPIRED))
REFUSED = Cell(entry=OLD, refused=(Secret("app-1"),))
PAIR = user_entry("user-1")
NEXT = user_entry("user-2", issued_at=EXPIRED, revision=micros(EXPIRED))


def lost(*, sent: bool = True) -> TransportError:
    return TransportError("no answer", request_sent=sent)


def app(need: Need = NEED, house: Any = HOUSE) -> Any:
    return ensure_app_token(house, need)


def ivan(need: Need = NEED, house: Any = HOUSE) -> Any:
    return ensure_user_token(house, "ivan", need)


def renewing(key: Any, entry: Entry | None, cell: Cell, moment: Any, *under_lease: Step) -> Step:
    """One flight that finds nothing to use and takes the lease at once."""
    good: list[Step] = [now(moment)] if entry is not None and not cell.refuses(entry) else []
    return shared(
        key,
        [
            (Recall(key), cell),
            *named(),
            *looked(key, entry, cell),
            *good,
            leased(key, [*weighed(key, entry, cell, moment), *good, *under_lease]),
        ],
    )


def issuing(key: Any, request: Any, old: Entry | None, cell: Cell, new: Entry, moment: Any = T0) -> Step:
    """The shielded part, when all goes well."""
    expected = None if old is None else old.revision
    name = new.token.access_token
    return shielded(
        *sent(request, answer(name), moment),
        *written(key, cell, expected, new, True, moment),
        (Remember(key, new), None),
    )


# Handing out what is there


def test_a_token_in_memory_is_handed_out_without_a_look_at_the_store() -> None:
    assert play(app(), (Recall(APP), Cell(entry=OLD)), now()) is OLD.token


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
    ],
)
def test_min_ttl(left: float, life: float, served: bool) -> None:
    entry = app_entry(life=life)
    moment = after(life - left)
    tail = [] if served else [shared(APP, Outcome(NEW)), (Recall(APP), Cell(entry=NEW)), now(EXPIRED)]
    token = play(app(), (Recall(APP), Cell(entry=entry)), now(moment), *tail)
    assert token is (entry.token if served else NEW.token)


def test_a_token_in_the_store_is_adopted() -> None:
    flight = shared(APP, [(Recall(APP), Cell()), *named(), *looked(APP, OLD), now()])
    assert play(app(), (Recall(APP), Cell()), flight, (Recall(APP), Cell(entry=OLD)), now()) is OLD.token


def test_a_refused_token_is_first_looked_up() -> None:
    dead = Secret("app-1")
    cell = Cell(entry=OLD, refused=(dead,))
    flight = shared(APP, [(Recall(APP), cell), *named(), *looked(APP, NEW, evolve(cell, entry=NEW)), now()])
    token = play(
        app(Need(60, OLD.token)),
        (Refuse(APP, dead), None),
        (Recall(APP), cell),
        flight,
        (Recall(APP), evolve(cell, entry=NEW)),
        now(),
    )
    assert token is NEW.token


def test_a_late_refusal_of_an_older_token_costs_nothing() -> None:
    cell = Cell(entry=NEW, refused=(Secret("app-1"),))
    need = Need(60, "app-1")
    assert play(app(need), (Refuse(APP, Secret("app-1")), None), (Recall(APP), cell), now(EXPIRED)) is NEW.token


def test_who_waited_takes_what_was_issued_however_short_its_life() -> None:
    short = app_entry("app-2", life=5)
    assert (
        play(app(), (Recall(APP), Cell()), shared(APP, Outcome(short, issued=True)), (Recall(APP), Cell()))
        is short.token
    )


@pytest.mark.parametrize(
    ("outcome", "judging"),
    [
        pytest.param(None, [], id="the leader was cancelled"),
        pytest.param(Outcome(OLD), [(Recall(APP), REFUSED)], id="what was adopted was refused since"),
        pytest.param(
            Outcome(OLD), [(Recall(APP), Cell()), now(after(3550))], id="what was adopted suits the leader only"
        ),
        pytest.param(Outcome(OLD, issued=True), [(Recall(APP), REFUSED)], id="what was issued was refused since"),
    ],
)
def test_who_waited_in_vain_asks_anew(outcome: Outcome | None, judging: list[Step]) -> None:
    token = play(
        app(),
        (Recall(APP), Cell()),
        shared(APP, outcome),
        *judging,
        (Recall(APP), Cell(entry=NEW)),
        now(EXPIRED),
    )
    assert token is NEW.token


def test_who_refuses_the_very_token_that_was_issued_asks_anew() -> None:
    token = play(
        app(Need(60, "app-1")),
        (Refuse(APP, Secret("app-1")), None),
        (Recall(APP), Cell()),
        shared(APP, Outcome(OLD, issued=True)),
        (Recall(APP), Cell()),
        (Recall(APP), Cell(entry=NEW)),
        now(EXPIRED),
    )
    assert token is NEW.token


# Issuing


def test_an_empty_store_costs_one_issue() -> None:
    fresh = app_entry("app-2", revision=micros(T0))
    token = play(
        app(),
        (Recall(APP), Cell()),
        renewing(APP, None, Cell(), T0, issuing(APP, ISSUE, None, Cell(), fresh)),
        (Recall(APP), Cell(entry=fresh)),
    )
    assert token == fresh.token


def test_an_expired_token_is_replaced_and_leaves_no_trace_of_a_conflict() -> None:
    cell = Cell(entry=OLD)
    token = play(
        app(),
        (Recall(APP), cell),
        now(EXPIRED),
        renewing(APP, OLD, cell, EXPIRED, issuing(APP, ISSUE, OLD, cell, NEW, EXPIRED)),
        (Recall(APP), Cell(entry=NEW)),
    )
    assert token == NEW.token


def test_a_refused_token_is_replaced_and_the_supersession_noted() -> None:
    cell = REFUSED
    fresh = app_entry("app-2", issued_at=after(9), revision=micros(after(9)), superseded=(after(9),))
    token = play(
        app(Need(60, OLD.token)),
        (Refuse(APP, Secret("app-1")), None),
        (Recall(APP), cell),
        renewing(APP, OLD, cell, after(9), issuing(APP, ISSUE, OLD, cell, fresh, after(9))),
        (Recall(APP), evolve(cell, entry=fresh)),
    )
    assert token == fresh.token


# At its owner's wish


def wished(key: Any, entry: Entry | None, cell: Cell) -> list[Step]:
    """What there is when the call begins: whatever is newer will do."""
    return [(Load(key), entry), (Recall(key), cell), (Recall(key), cell)]


def test_a_good_token_is_replaced_without_a_word_against_it() -> None:
    cell = Cell(entry=OLD)
    fresh = app_entry("app-2", issued_at=after(9), revision=micros(after(9)))
    token = play(
        replace_app_token(HOUSE),
        *wished(APP, OLD, cell),
        now(after(9)),
        renewing(APP, OLD, cell, after(9), issuing(APP, ISSUE, OLD, cell, fresh, after(9))),
        (Recall(APP), Cell(entry=fresh)),
    )
    assert token == fresh.token


def test_a_refused_token_that_its_owner_wants_replaced_is_no_sign_of_a_conflict() -> None:
    recent = evolve(OLD, superseded=(after(1), after(2)))
    cell = Cell(entry=recent, refused=(Secret("app-1"),))
    fresh = app_entry("app-2", issued_at=after(9), revision=micros(after(9)), superseded=(after(1), after(2)))
    token = play(
        replace_app_token(HOUSE),
        *wished(APP, recent, cell),
        renewing(APP, recent, cell, after(9), issuing(APP, ISSUE, recent, cell, fresh, after(9))),
        (Recall(APP), evolve(cell, entry=fresh)),
    )
    assert token == fresh.token


def test_what_others_put_into_the_store_meanwhile_is_as_good_as_an_issue() -> None:
    cell = Cell(entry=PAIR)
    flight = shared(IVAN, [(Recall(IVAN), cell), *named(), *looked(IVAN, NEXT), now(EXPIRED)])
    token = play(
        replace_user_token(HOUSE, "ivan"),
        *wished(IVAN, PAIR, cell),
        now(EXPIRED),
        flight,
        (Recall(IVAN), Cell(entry=NEXT)),
        now(EXPIRED),
    )
    assert token is NEXT.token


@pytest.mark.parametrize(
    ("stored", "cell"),
    [
        pytest.param(None, Cell(entry=NEW), id="what only this process remembers"),
        pytest.param(OLD, Cell(entry=OLD, pending=Pending(1, NEW)), id="what is still to be saved"),
    ],
)
def test_what_was_there_when_the_call_began_is_no_replacement(stored: Entry | None, cell: Cell) -> None:
    program = replace_app_token(HOUSE)
    with pytest.raises(ServerError):
        play(
            program,
            *wished(APP, stored, cell),
            now(EXPIRED),
            shared(
                APP,
                [
                    (Recall(APP), evolve(cell, pending=None)),
                    *named(),
                    *looked(APP, NEW),
                    now(EXPIRED),
                    leased(APP, ServerError("no", status=500)),
                ],
            ),
        )


def test_a_clock_that_was_set_back_still_gives_growing_revisions() -> None:
    ahead = app_entry(life=-10, revision=micros(T0) + 10**9)
    cell = Cell(entry=ahead, forgotten=micros(T0) + 10**10)
    fresh = app_entry("app-2", revision=micros(T0) + 10**10 + 1)
    play(
        app(),
        (Recall(APP), cell),
        now(),
        renewing(APP, ahead, cell, T0, issuing(APP, ISSUE, ahead, cell, fresh)),
        (Recall(APP), Cell(entry=fresh)),
    )


def test_while_another_holds_the_lease_the_store_is_asked_at_growing_intervals() -> None:
    cell = Cell(entry=OLD)
    waiting = [*looked(APP, OLD), now(EXPIRED), leased(APP, None), chanced()]
    polls: list[Step] = []
    pause = 0.05
    for _ in range(8):
        polls += [*waiting, (Sleep(pause), None)]
        pause = min(pause * 1.5, 0.5)
    flight = shared(APP, [(Recall(APP), cell), *named(), *polls, *looked(APP, NEW), now(EXPIRED)])
    token = play(app(), (Recall(APP), cell), now(EXPIRED), flight, (Recall(APP), Cell(entry=NEW)), now(EXPIRED))
    assert token is NEW.token


def test_the_last_holder_may_have_been_faster() -> None:
    cell = Cell(entry=OLD)
    token = play(
        app(),
        (Recall(APP), cell),
        now(EXPIRED),
        shared(
            APP,
            [
                (Recall(APP), cell),
                *named(),
                *looked(APP, OLD),
                now(EXPIRED),
                leased(APP, [*weighed(APP, NEW, Cell(entry=NEW), EXPIRED), now(EXPIRED)]),
            ],
        ),
        (Recall(APP), Cell(entry=NEW)),
        now(EXPIRED),
    )
    assert token is NEW.token


def test_a_user_token_is_refreshed() -> None:
    cell = Cell(entry=PAIR)
    token = play(
        ivan(),
        (Recall(IVAN), cell),
        now(EXPIRED),
        renewing(IVAN, PAIR, cell, EXPIRED, issuing(IVAN, REFRESH, PAIR, cell, NEXT, EXPIRED)),
        (Recall(IVAN), Cell(entry=NEXT)),
    )
    assert token == NEXT.token


# Failing


def failed(key: Any, entry: Entry | None, cell: Cell, moment: Any, program: Any, *under_lease: Step) -> None:
    """A program that ends in its first flight."""
    head: list[Step] = [(Recall(key), cell)]
    if cell.entry is not None and not cell.refuses(cell.entry):
        head.append(now(moment))
    play(program, *head, renewing(key, entry, cell, moment, *under_lease))


def test_an_issue_is_repeated_where_that_is_safe() -> None:
    fresh = app_entry("app-2", revision=micros(T0))
    token = play(
        app(),
        (Recall(APP), Cell()),
        renewing(
            APP,
            None,
            Cell(),
            T0,
            shielded(*sent(ISSUE, refusal(500))),
            chanced(),
            *paused(APP, 0.25, None),
            shielded(*sent(ISSUE, lost())),
            chanced(),
            *paused(APP, 0.5, None),
            issuing(APP, ISSUE, None, Cell(), fresh),
        ),
        (Recall(APP), Cell(entry=fresh)),
    )
    assert token == fresh.token


def test_an_issue_fails_with_the_error_of_the_last_retry() -> None:
    with pytest.raises(ServerError):
        failed(
            APP,
            None,
            Cell(),
            T0,
            app(),
            shielded(*sent(ISSUE, lost(sent=False))),
            chanced(),
            *paused(APP, 0.25, None),
            shielded(*sent(ISSUE, lost())),
            chanced(),
            *paused(APP, 0.5, None),
            shielded(*sent(ISSUE, refusal(500))),
            chanced(),
        )


def test_a_lost_app_token_is_reported_as_such() -> None:
    with pytest.raises(OutcomeUnknownError):
        failed(
            APP,
            None,
            Cell(),
            T0,
            ensure_app_token(evolve(HOUSE, max_retries=0), NEED),
            shielded(*sent(ISSUE, lost())),
            chanced(),
        )


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
    with pytest.raises(InvalidClientError):
        failed(
            key,
            entry,
            Cell(entry=entry),
            EXPIRED,
            program(),
            shielded(*sent(request_, refusal(401, "invalid_client"), EXPIRED)),
        )


def test_an_invalid_grant_of_an_app_is_reported_as_it_is() -> None:
    with pytest.raises(InvalidGrantError):
        failed(APP, None, Cell(), T0, app(), shielded(*sent(ISSUE, refusal(400, "invalid_grant"))))


def test_a_long_pause_is_slept_in_naps_that_keep_the_lease() -> None:
    patience = refusal(429, headers={"retry-after": "28"})
    fresh = app_entry("app-2", revision=micros(T0))
    token = play(
        app(),
        (Recall(APP), Cell()),
        renewing(
            APP,
            None,
            Cell(),
            T0,
            shielded(*sent(ISSUE, patience)),
            now(),
            *paused(APP, 28, None, naps=2),
            issuing(APP, ISSUE, None, Cell(), fresh),
        ),
        (Recall(APP), Cell(entry=fresh)),
    )
    assert token == fresh.token


def test_a_wait_that_is_too_long_is_raised() -> None:
    with pytest.raises(RateLimitError) as caught:
        failed(APP, None, Cell(), T0, app(), shielded(*sent(ISSUE, refusal(429, headers={"retry-after": "31"}))), now())
    assert caught.value.retry_after == 31


@pytest.mark.parametrize(
    "pause",
    [
        pytest.param(paused(APP, 0.25, None, held=False), id="another owner has the lease"),
        pytest.param(paused(APP, 0.25, NEW), id="another owner had it meanwhile and let it go"),
    ],
)
def test_who_lost_the_lease_in_a_pause_starts_over(pause: list[Step]) -> None:
    beginning: list[Step] = [*weighed(APP, None, Cell(), T0), shielded(*sent(ISSUE, lost())), chanced(), *pause]
    flight = shared(
        APP,
        [
            (Recall(APP), Cell()),
            *named(),
            *looked(APP, None, Cell()),
            leased(APP, beginning),
            chanced(0),
            (Sleep(0.025), None),
            *looked(APP, NEW),
            now(EXPIRED),
        ],
    )
    assert play(app(), (Recall(APP), Cell()), flight, (Recall(APP), Cell(entry=NEW)), now(EXPIRED)) is NEW.token


# Refresh tokens


def test_a_refresh_whose_answer_was_lost_is_tried_once_more() -> None:
    cell = Cell(entry=PAIR)
    token = play(
        ivan(),
        (Recall(IVAN), cell),
        now(EXPIRED),
        renewing(
            IVAN,
            PAIR,
            cell,
            EXPIRED,
            shielded(*sent(REFRESH, lost(), EXPIRED)),
            *paused(IVAN, 0.25, PAIR),
            issuing(IVAN, REFRESH, PAIR, cell, NEXT, EXPIRED),
        ),
        (Recall(IVAN), Cell(entry=NEXT)),
    )
    assert token == NEXT.token


def test_a_refresh_whose_answer_was_lost_twice_is_of_unknown_outcome() -> None:
    with pytest.raises(OutcomeUnknownError):
        failed(
            IVAN,
            PAIR,
            Cell(entry=PAIR),
            EXPIRED,
            ivan(),
            shielded(*sent(REFRESH, lost(), EXPIRED)),
            *paused(IVAN, 0.25, PAIR),
            shielded(*sent(REFRESH, lost(), EXPIRED)),
        )


@pytest.mark.parametrize("stored", [PAIR, None], ids=["nothing else is stored", "the account was forgotten meanwhile"])
def test_a_dead_refresh_token_asks_for_a_sign_in_and_is_never_sent_again(stored: Entry | None) -> None:
    known: list[Step] = [] if stored is None else [(Remember(IVAN, PAIR), None)]
    with pytest.raises(LoginRequiredError, match="'ivan'") as caught:
        failed(
            IVAN,
            PAIR,
            Cell(entry=PAIR),
            EXPIRED,
            ivan(),
            shielded(*sent(REFRESH, SAYS_NO, EXPIRED)),
            (Load(IVAN), stored),
            *known,
            *([] if stored is None else [(Recall(IVAN), Cell(entry=PAIR))]),
            (Spend(IVAN, Secret("user-1-refresh")), None),
        )
    assert caught.value.account == "ivan"
    assert isinstance(caught.value.__cause__, InvalidGrantError)


def test_what_a_stalled_holder_saved_is_adopted_after_a_refusal() -> None:
    cell = Cell(entry=PAIR)
    token = play(
        ivan(),
        (Recall(IVAN), cell),
        now(EXPIRED),
        renewing(
            IVAN,
            PAIR,
            cell,
            EXPIRED,
            shielded(*sent(REFRESH, SAYS_NO, EXPIRED)),
            (Load(IVAN), NEXT),
            (Remember(IVAN, NEXT), None),
        ),
        (Recall(IVAN), Cell(entry=NEXT)),
        now(EXPIRED),
    )
    assert token is NEXT.token


@pytest.mark.parametrize("told", [True, False], ids=["told", "somebody else was faster"])
def test_a_store_that_went_back_in_time_is_told_what_this_process_remembers(told: bool) -> None:
    """After a crash or a failover it holds a pair that was renewed long ago; its successor has only expired."""
    cell, later = Cell(entry=NEXT), after(9000)
    newest = user_entry("user-3", issued_at=later, revision=9)
    flight = shared(
        IVAN,
        [
            (Recall(IVAN), cell),
            *named(),
            *looked(IVAN, PAIR, cell),
            now(later),
            leased(
                IVAN,
                [
                    *weighed(IVAN, PAIR, cell, later),
                    now(later),
                    shielded(*sent(REFRESH, SAYS_NO, later)),
                    (Load(IVAN), PAIR),
                    (Remember(IVAN, PAIR), None),
                    (Recall(IVAN), cell),
                    (Swap(IVAN, PAIR.revision, NEXT), told),
                ],
            ),
            chanced(0),
            (Sleep(0.025), None),
            *looked(IVAN, newest),
            now(later),
        ],
    )
    token = play(ivan(), (Recall(IVAN), cell), now(later), flight, (Recall(IVAN), Cell(entry=newest)), now(later))
    assert token is newest.token


@pytest.mark.parametrize(
    ("entry", "cell", "text"),
    [
        pytest.param(None, Cell(), "nobody has signed in", id="never signed in"),
        pytest.param(PAIR, Cell(entry=PAIR, spent=Secret("user-1-refresh")), "has to sign in again", id="spent"),
    ],
)
def test_what_no_refresh_could_change_costs_no_lease(entry: Entry | None, cell: Cell, text: str) -> None:
    seen: list[Step] = [] if entry is None else [now(EXPIRED)]
    flight = shared(IVAN, [(Recall(IVAN), cell), *named(), *looked(IVAN, entry, cell), *seen])
    with pytest.raises(LoginRequiredError, match=text):
        play(ivan(), (Recall(IVAN), cell), *seen, flight)


# Saving


def test_a_holder_that_slept_through_its_lease_adopts_what_came_after_it() -> None:
    cell = Cell(entry=OLD)
    late = app_entry("late", issued_at=EXPIRED, revision=micros(EXPIRED))
    token = play(
        app(),
        (Recall(APP), cell),
        now(EXPIRED),
        renewing(
            APP,
            OLD,
            cell,
            EXPIRED,
            shielded(
                *sent(ISSUE, answer("late"), EXPIRED),
                *written(APP, cell, 1, late, False, EXPIRED),
                (Load(APP), NEW),
                (Remember(APP, NEW), None),
            ),
        ),
        (Recall(APP), Cell(entry=NEW)),
        now(EXPIRED),
    )
    assert token is NEW.token


def test_an_app_token_is_saved_although_its_predecessor_vanished() -> None:
    cell = Cell(entry=OLD)
    token = play(
        app(),
        (Recall(APP), cell),
        now(EXPIRED),
        renewing(
            APP,
            OLD,
            cell,
            EXPIRED,
            shielded(
                *sent(ISSUE, answer("app-2"), EXPIRED),
                *written(APP, cell, 1, NEW, False, EXPIRED),
                (Load(APP), None),
                (Swap(APP, None, NEW), True),
                (Remember(APP, NEW), None),
            ),
        ),
        (Recall(APP), Cell(entry=NEW)),
    )
    assert token == NEW.token


def test_a_user_who_was_forgotten_during_a_refresh_stays_forgotten() -> None:
    cell = Cell(entry=PAIR)
    with pytest.raises(LoginRequiredError, match="was forgotten"):
        failed(
            IVAN,
            PAIR,
            cell,
            EXPIRED,
            ivan(),
            shielded(
                *sent(REFRESH, answer("user-2"), EXPIRED),
                *written(IVAN, cell, 1, NEXT, False, EXPIRED),
                (Load(IVAN), None),
            ),
        )


@pytest.mark.parametrize("fails", ["swap", "load"])
@pytest.mark.parametrize("text", ["the disk is full", "the disk is full."])
def test_a_token_that_cannot_be_saved_is_kept_and_named_in_the_error(fails: str, text: str) -> None:
    cell, problem = Cell(entry=PAIR), StoreError(text)
    last = [(Load(IVAN), problem)] if fails == "load" else []
    with pytest.raises(StoreError, match=r"the disk is full\. The new token is kept in memory") as caught:
        failed(
            IVAN,
            PAIR,
            cell,
            EXPIRED,
            ivan(),
            shielded(
                *sent(REFRESH, answer("user-2"), EXPIRED),
                *written(IVAN, cell, 1, NEXT, problem if fails == "swap" else False, EXPIRED),
                *last,
                (Rescue(IVAN, Pending(1, NEXT)), None),
            ),
        )
    assert caught.value.token == NEXT.token


RESCUED = Cell(entry=PAIR, pending=Pending(1, NEXT))


def rescuing(*saving: Step) -> list[Step]:
    """What a flight does first, if there is a token to be saved."""
    return [
        (Recall(IVAN), RESCUED),
        now(EXPIRED),
        shared(IVAN, [(Recall(IVAN), RESCUED), shielded((Rescue(IVAN, None), None), *saving)]),
    ]


def test_a_rescued_token_is_saved_by_the_next_call() -> None:
    saved = [(Swap(IVAN, 1, NEXT), True), (Remember(IVAN, NEXT), None)]
    assert play(ivan(), *rescuing(*saved), (Recall(IVAN), Cell(entry=NEXT)), now(EXPIRED)) is NEXT.token


def test_a_rescued_token_gives_way_to_a_newer_one() -> None:
    newer = user_entry("user-3", issued_at=EXPIRED, revision=9)
    adopted: list[Step] = [(Swap(IVAN, 1, NEXT), False), (Load(IVAN), newer), (Remember(IVAN, newer), None)]
    assert play(ivan(), *rescuing(*adopted), (Recall(IVAN), Cell(entry=newer)), now(EXPIRED)) is newer.token


def test_a_rescued_token_that_was_written_all_the_same_is_written_again() -> None:
    """The store said that it failed: whatever it could not promise then, it is asked to promise now."""
    found: list[Step] = [(Swap(IVAN, 1, NEXT), False), (Load(IVAN), NEXT)]
    saved: list[Step] = [(Swap(IVAN, NEXT.revision, NEXT), True), (Remember(IVAN, NEXT), None)]
    token = play(ivan(), *rescuing(*found, *saved), (Recall(IVAN), Cell(entry=NEXT)), now(EXPIRED))
    assert token is NEXT.token


def test_a_store_that_has_it_and_takes_it_no_second_time_has_it() -> None:
    found: list[Step] = [(Swap(IVAN, 1, NEXT), False), (Load(IVAN), NEXT)]
    again: list[Step] = [(Swap(IVAN, NEXT.revision, NEXT), False), (Load(IVAN), NEXT), (Remember(IVAN, NEXT), None)]
    token = play(ivan(), *rescuing(*found, *again), (Recall(IVAN), Cell(entry=NEXT)), now(EXPIRED))
    assert token is NEXT.token


def test_a_rescued_token_is_not_handed_out_while_its_store_promises_nothing() -> None:
    found: list[Step] = [(Swap(IVAN, 1, NEXT), False), (Load(IVAN), NEXT)]
    problem, pending = StoreError("no replica has it."), Pending(NEXT.revision, NEXT)
    with pytest.raises(StoreError, match="no replica has it"):
        play(ivan(), *rescuing(*found, (Swap(IVAN, NEXT.revision, NEXT), problem), (Rescue(IVAN, pending), None)))


def test_a_rescued_token_stays_rescued_while_the_store_fails() -> None:
    problem = StoreError("still full.")
    with pytest.raises(StoreError) as caught:
        play(ivan(), *rescuing((Swap(IVAN, 1, NEXT), problem), (Rescue(IVAN, Pending(1, NEXT)), None)))
    assert caught.value.token == NEXT.token


def test_a_rescued_token_that_has_ended_meanwhile_is_saved_and_renewed() -> None:
    much_later = EXPIRED + timedelta(days=1)
    saved = [(Swap(IVAN, 1, NEXT), True), (Remember(IVAN, NEXT), None)]
    newest = user_entry("user-3", issued_at=much_later, revision=9)
    token = play(
        ivan(),
        *rescuing(*saved),
        (Recall(IVAN), Cell(entry=NEXT)),
        now(much_later),
        (Recall(IVAN), Cell(entry=newest)),
        now(much_later),
    )
    assert token is newest.token


# Conflicts


def test_the_third_supersession_within_five_minutes_is_a_conflict() -> None:
    old = app_entry(superseded=(after(1), after(150)))
    cell = Cell(entry=old, refused=(Secret("app-1"),))
    with pytest.raises(TokenConflictError, match="another deployment") as caught:
        failed(APP, old, cell, after(300), app())
    assert caught.value.issuer == "here:7"


@pytest.mark.parametrize(
    ("moments", "at", "kept"),
    [
        pytest.param((1, 150), 301, (150, 301), id="the first is five minutes ago"),
        pytest.param((1000, 1001), 150, (150,), id="the clock was set back for long"),
        pytest.param((), 299, (299,), id="the first"),
    ],
)
def test_supersessions_are_remembered_for_five_minutes(
    moments: tuple[float, ...], at: float, kept: tuple[float, ...]
) -> None:
    old = app_entry(superseded=tuple(map(after, moments)))
    cell = Cell(entry=old, refused=(Secret("app-1"),))
    moment = after(at)
    fresh = app_entry("app-2", issued_at=moment, revision=micros(moment), superseded=tuple(map(after, kept)))
    token = play(
        app(),
        (Recall(APP), cell),
        renewing(APP, old, cell, moment, issuing(APP, ISSUE, old, cell, fresh, moment)),
        (Recall(APP), evolve(cell, entry=fresh)),
    )
    assert token == fresh.token


def test_a_token_at_its_natural_end_never_counts() -> None:
    old = app_entry(life=100, superseded=(after(1), after(50)))
    cell = Cell(entry=old, refused=(Secret("app-1"),))
    moment = after(100)
    fresh = app_entry("app-2", issued_at=moment, revision=micros(moment), superseded=(after(1), after(50)))
    play(
        app(),
        (Recall(APP), cell),
        renewing(APP, old, cell, moment, issuing(APP, ISSUE, old, cell, fresh, moment)),
        (Recall(APP), evolve(cell, entry=fresh)),
    )


# Followers


def test_a_follower_adopts() -> None:
    flight = shared(APP, [(Recall(APP), Cell()), *named(), *looked(APP, OLD), now()], "read")
    assert play(app(house=FOLLOWER), (Recall(APP), Cell()), flight, (Recall(APP), Cell(entry=OLD)), now()) is OLD.token


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
    cell = Cell(entry=entry)
    seen: list[Step] = [] if entry is None else [now(EXPIRED)]
    flight = shared(key, [(Recall(key), cell), *named(), *looked(key, entry, cell), *seen], "read")
    with pytest.raises(ReadOnlyError, match=text):
        play((app if key is APP else ivan)(house=FOLLOWER), (Recall(key), cell), *seen, flight)


def test_a_follower_does_not_save_what_an_issuing_client_rescued() -> None:
    cell = Cell(pending=Pending(None, OLD))
    flight = shared(APP, [(Recall(APP), cell), *named(), *looked(APP, None, cell)], "read")
    with pytest.raises(ReadOnlyError):
        play(app(house=FOLLOWER), (Recall(APP), cell), flight)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(lambda: save_token(FOLLOWER, "ivan", PAIR.token), id="save"),
        pytest.param(lambda: forget_token(FOLLOWER, "ivan"), id="forget"),
    ],
)
def test_a_follower_never_writes(program: Callable[[], Any]) -> None:
    with pytest.raises(ReadOnlyError):
        play(program())


# Stores that fail or lie


@pytest.mark.parametrize(
    ("key", "entry", "program"),
    [pytest.param(APP, PAIR, app, id="a user's token"), pytest.param(IVAN, OLD, ivan, id="an app's token")],
)
def test_a_token_of_another_kind_never_gets_into_memory(key: Any, entry: Entry, program: Callable[[], Any]) -> None:
    with pytest.raises(StoreError, match="of another kind"):
        play(program(), (Recall(key), Cell()), shared(key, [(Recall(key), Cell()), *named(), (Load(key), entry)]))


def test_a_store_that_cannot_be_read_costs_no_issue() -> None:
    problem = StoreError("gone")
    with pytest.raises(StoreError, match="gone"):
        play(app(), (Recall(APP), Cell()), shared(APP, [(Recall(APP), Cell()), *named(), (Load(APP), problem)]))


# Saving and forgetting by hand


def test_a_saved_token_replaces_whatever_is_there() -> None:
    entry = user_entry("user-2", revision=micros(T0))
    racing = user_entry("user-x", revision=2)
    play(
        save_token(HOUSE, "ivan", entry.token),
        (Load(IVAN), PAIR),
        now(),
        *written(IVAN, Cell(entry=PAIR), 1, entry, False),
        (Load(IVAN), racing),
        now(),
        *written(IVAN, Cell(entry=racing), 2, entry, True),
        (Remember(IVAN, entry), None),
    )


def test_a_token_that_could_not_be_saved_by_hand_is_in_the_error() -> None:
    with pytest.raises(StoreError, match="full") as caught:
        play(save_token(HOUSE, "ivan", PAIR.token), (Load(IVAN), StoreError("full")))
    assert caught.value.token is PAIR.token


@pytest.mark.parametrize("token", [OLD.token, {"access_token": "x"}, "x"], ids=["an app token", "a dict", "a str"])
def test_only_a_user_token_is_saved(token: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"not a {type(token).__name__}"):
        play(save_token(HOUSE, "ivan", token))


@pytest.mark.parametrize(
    ("known", "removed", "gone"),
    [
        pytest.param(PAIR, None, 1, id="the store has none, memory has"),
        pytest.param(None, None, 0, id="nobody has one"),
        pytest.param(None, 1, 1, id="the store has one"),
        pytest.param(NEXT, 1, NEXT.revision, id="memory has a newer one"),
        pytest.param(PAIR, 9, 9, id="the store has a newer one"),
    ],
)
def test_forgetting_covers_what_anybody_knew(known: Entry | None, removed: int | None, gone: int) -> None:
    play(
        forget_token(HOUSE, "ivan"),
        (Recall(IVAN), Cell(entry=known)),
        (Remove(IVAN), removed),
        (Forget(IVAN, gone), None),
    )


def test_accounts_are_those_of_this_application_sorted() -> None:
    other_app, other_server = evolve(IVAN, client_id="2"), evolve(IVAN, base_url="https://elsewhere.example/oauth")
    keys = (HOUSE.key("b"), APP, other_app, HOUSE.key("a"), other_server)
    assert play(accounts(HOUSE), (Keys(), keys)) == ["a", "b"]


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

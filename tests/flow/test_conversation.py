"""One request to an API with a shared token, on paper: a transcript for each cause of a 401."""

from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import LoginRequiredError, StoreError, TokenConflictError, UnauthenticatedError
from exbo_oauth.flow.conversation import (
    Answer,
    Deliver,
    Request,
    answered_by,
    continued,
    conversation,
    unanswered,
)
from exbo_oauth.flow.drive import upto
from exbo_oauth.flow.effects import Hold, Later, Lease, Leased, Shared, Sleep, Try
from exbo_oauth.flow.evidence import Target
from exbo_oauth.flow.saving import Obtained
from exbo_oauth.flow.trials import BOUND, PATIENCE
from exbo_oauth.flow.user import user_info
from exbo_oauth.protocol import Response
from exbo_oauth.stores import Entry, StoreKey

from .transcript import (
    APP,
    FOLLOWER,
    HERE,
    HOUSE,
    INNER,
    IVAN,
    LEASE,
    T0,
    Stage,
    Step,
    after,
    answer,
    app_entry,
    at,
    issued,
    knowing,
    leased,
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
    written,
)

YES, NO, NEITHER = Answer(accepted=True), Answer(refused=True), Answer()
GOOD = Target("api.test", "/good")
MARK = StoreKey(f"{APP.base_url}#tried at api.test", APP.client_id)
MINE = f"{HERE}:{'u' * 12}"
IN_VAIN = ("tokens of https://exbo.net/oauth are for another API", "sandbox", "demo", "not approved yet")
YEAR = 31_536_000.0
OLD = issued(app_entry("app-1", issued_at=after(-10_000), life=YEAR), "first")
WORKED = evolve(OLD, accepted_at=after(-60))
NEW = issued(app_entry("app-2", life=YEAR, revision=2), "refused", OLD, target="api.test/good")


def request(house: Any = HOUSE, key: Any = APP, *, replayable: bool = True) -> Request:
    return Request(house, key, GOOD, after(0), lambda: replayable)


def delivered(entry: Entry, given: Any, *, trying: bool = False) -> Step:
    return Deliver(entry.token, trying), given


def tried_again(entry: Entry, given: Any, *meanwhile: Step) -> list[Step]:
    """One tries a token again; others go on when he has an answer and, if that is a refusal, has acted upon it."""
    at_once = [] if isinstance(given, Answer) and given.refused else [others_go_on()]
    return [*trial(marked()), *meanwhile, delivered(entry, given, trying=True), *at_once]


def trial(*finding: Step) -> list[Step]:
    return [(Try(APP, GOOD.host, PATIENCE), True), *finding]


def marked(*, free: bool = True) -> Step:
    """Others can see that somebody tries the token, or this one sees that others do."""
    return Hold(MARK, Lease("", BOUND)), free


def others_go_on() -> Step:
    return Later(MARK, MINE, nothing), [(Leased(MARK, Lease(MINE, BOUND), nothing), [])]


def look(entry: Entry | None) -> Step:
    return shared(APP, [loaded(APP, entry)], "look")


def replaced(entry: Entry = NEW) -> Step:
    """A flight that issued a token, which everybody in this process knows then."""

    def ending(stage: Stage) -> Obtained:
        stage.cache.remember(APP, entry)
        return Obtained(entry, issued=True)

    return shared(APP, ending)


def replaced_for_this_request(entry: Entry, new: Entry) -> Step:
    """The whole of such a flight, down to the server."""
    renewed = [(Hold(APP, LEASE), True), loaded(APP, entry)]
    issuing = shielded(sent(HOUSE.protocol.app_token().request, answer("app-2")), written(APP, entry.revision, new))
    return shared(APP, [loaded(APP, entry), leased(APP, [loaded(APP, entry), *renewed, issuing])])


def refusing_while_others_replace(entry: Entry) -> Any:
    """The API says no, and by then this process knows a newer token."""

    def refusing(stage: Stage) -> Answer:
        stage.cache.remember(APP, entry)
        return NO

    return refusing


def told(entry: Entry, **notes: Any) -> list[Step]:
    """The processes are told something about the token."""
    return [telling(loaded(APP, entry), written(APP, entry.revision, evolve(entry, **notes)))]


def telling(*steps: Step, key: StoreKey = APP) -> Step:
    return Later(key, "tell", nothing), list(steps)


def after_refusal(*script: Step, stage: Stage, house: Any = HOUSE, replayable: bool = True) -> None:
    """A token from memory was refused."""
    token = stage.cell(APP).entry
    assert token is not None
    play(continued(request(house, replayable=replayable), token.token, NO), *script, stage=stage)


# Tokens that work


def test_the_first_success_of_a_token_is_told_to_everybody() -> None:
    stage = knowing(OLD)
    play(continued(request(), OLD.token, YES), *told(OLD, accepted_at=after(0)), stage=stage)
    assert stage.cell(APP).entry == evolve(OLD, accepted_at=after(0))


def test_what_everybody_knows_is_not_told_again() -> None:
    play(continued(request(), OLD.token, YES), stage=knowing(WORKED))


def test_a_success_of_a_token_that_was_replaced_says_nothing() -> None:
    play(continued(request(), OLD.token, YES), stage=knowing(NEW))


def test_an_answer_that_says_nothing_of_the_token_is_the_callers() -> None:
    play(continued(request(), OLD.token, NEITHER), stage=knowing(OLD))


def test_a_follower_tells_nobody() -> None:
    play(continued(request(FOLLOWER), OLD.token, YES), stage=knowing(OLD))


def test_a_store_that_fails_does_not_break_a_call_that_worked() -> None:
    down = StoreError("down")
    play(continued(request(), OLD.token, YES), telling(loaded(APP, down)), stage=knowing(OLD))
    failing = telling(loaded(APP, OLD), written(APP, 1, evolve(OLD, accepted_at=after(0)), down))
    play(continued(request(), OLD.token, YES), failing, stage=knowing(OLD))


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(evolve(OLD, accepted_at=after(1)), id="others said so already"),
        pytest.param(NEW, id="it was replaced"),
        pytest.param(None, id="it was removed"),
    ],
)
def test_what_is_not_needed_is_not_written(there: Entry | None) -> None:
    play(continued(request(), OLD.token, YES), telling(loaded(APP, there)), stage=knowing(OLD))


# Dead tokens


def test_a_token_that_others_have_replaced_is_adopted() -> None:
    after_refusal(look(NEW), delivered(NEW, NEITHER), stage=knowing(WORKED))


@pytest.mark.parametrize(
    "getting",
    [pytest.param([look(NEW)], id="others had one issued"), pytest.param([look(OLD), replaced()], id="this one had")],
)
def test_a_token_that_is_refused_in_place_of_another_is_the_last_but_for_a_newer_one(getting: list[Step]) -> None:
    """The request is sent three times in all."""
    newer, newest = app_entry("app-3", life=YEAR, revision=3), app_entry("app-4", life=YEAR, revision=4)
    after_refusal(*getting, delivered(NEW, NO), stage=knowing(OLD))
    after_refusal(
        *getting,
        delivered(NEW, refusing_while_others_replace(newer)),
        delivered(newer, refusing_while_others_replace(newest)),
        stage=knowing(OLD),
    )


def test_a_refused_token_that_this_process_has_forgotten_is_not_taken_from_the_store_again() -> None:
    flight = shared(APP, [loaded(APP, OLD), leased(APP, [loaded(APP, NEW)])])
    play(continued(request(), OLD.token, NO), flight, delivered(NEW, NEITHER))


def test_a_superseded_token_is_tried_once_more_and_replaced() -> None:
    stage = knowing(WORKED)
    after_refusal(
        look(WORKED),
        *tried_again(WORKED, NO),
        look(WORKED),
        replaced(),
        others_go_on(),
        delivered(NEW, YES),
        *told(NEW, accepted_at=after(0), history=(NEW.history[0], evolve(NEW.history[1], taken="target"))),
        stage=stage,
    )


def test_a_token_that_nothing_good_was_heard_of_for_long_is_replaced_at_once() -> None:
    new = issued(app_entry("app-2", revision=micros(T0)), "refused", OLD, target="api.test/good")
    after_refusal(look(OLD), replaced_for_this_request(OLD, new), delivered(new, NEITHER), stage=knowing(OLD))


def test_who_waited_while_another_tried_in_vain_goes_on_to_the_replacement() -> None:
    def in_vain(stage: Stage) -> bool:
        with_trial(stage, NO)
        return False

    after_refusal(
        look(WORKED),
        (Try(APP, GOOD.host, PATIENCE), in_vain),
        replaced(),
        delivered(NEW, NEITHER),
        stage=knowing(WORKED),
    )


def with_trial(stage: Stage, given: Answer) -> None:
    """What another of the process sees who was refused a moment later and tries the token again."""
    entry = stage.cell(APP).entry
    assert entry is not None
    rest = [look(entry), replaced(entry)] if given.refused else []
    play(
        continued(request(), entry.token, NO),
        look(entry),
        *tried_again(entry, given),
        *([*rest, *[replaced(entry)] * 7, others_go_on()] if given.refused else []),
        stage=stage,
    )


def test_who_waited_for_somebody_who_gave_up_tries_himself() -> None:
    after_refusal(
        look(WORKED), (Try(APP, GOOD.host, PATIENCE), False), *tried_again(WORKED, NEITHER), stage=knowing(WORKED)
    )


def test_a_flight_of_which_nobody_knows_how_it_ended_is_followed_by_another() -> None:
    after_refusal(look(OLD), shared(APP, None), replaced(), delivered(NEW, NEITHER), stage=knowing(OLD))


def test_a_replacement_that_was_made_in_vain_is_not_asked_for_for_ever() -> None:
    """Others of the process fly for other targets, and issue nothing."""
    after_refusal(look(OLD), *[shared(APP, Obtained(OLD))] * 8, stage=knowing(OLD))


# One try for all processes


def test_who_is_refused_while_another_process_tries_waits_for_the_token_that_it_gets() -> None:
    after_refusal(
        look(WORKED),
        *trial(
            marked(free=False), slept(0.002), loaded(APP, WORKED), marked(free=False), slept(0.002), loaded(APP, NEW)
        ),
        delivered(NEW, NEITHER),
        stage=knowing(WORKED),
    )


def test_all_who_waited_try_at_once_where_another_process_got_no_other_token() -> None:
    after_refusal(
        look(WORKED),
        *trial(marked(free=False), slept(0.002), loaded(APP, WORKED), marked(), others_go_on()),
        delivered(WORKED, NEITHER, trying=True),
        stage=knowing(WORKED),
    )


def test_a_mark_is_about_the_token_of_one_account() -> None:
    pair = user_entry("user-1", life=YEAR, issued_at=after(-9000), accepted_at=after(-60))
    mark = StoreKey(MARK.base_url, MARK.client_id, "ivan")
    play(
        continued(request(key=IVAN), pair.token, NO),
        shared(IVAN, [loaded(IVAN, pair)], "look"),
        (Try(IVAN, GOOD.host, PATIENCE), True),
        (Hold(mark, Lease("", BOUND)), True),
        delivered(pair, NEITHER, trying=True),
        (Later(mark, MINE, nothing), [(Leased(mark, Lease(MINE, BOUND), nothing), [])]),
        stage=knowing(pair),
    )


@pytest.mark.parametrize(("wait", "longest"), [(None, BOUND), (0.5, 0.5), (0, 0)])
def test_no_process_waits_for_ever_for_the_trial_of_another(wait: float | None, longest: float) -> None:
    found, waited = [marked(free=False)], 0.0
    while waited < longest:
        pause = min(max(0.002, waited / 4), 0.25)
        found += [slept(pause), loaded(APP, WORKED), marked(free=False)]
        waited += pause
    tried = [delivered(WORKED, NEITHER, trying=True)]
    hurried = evolve(request(), wait=wait)
    play(
        continued(hurried, WORKED.token, NO),
        look(WORKED),
        *trial(*found),
        *tried,
        stage=knowing(WORKED),
    )


@pytest.mark.parametrize(
    ("house", "entry"),
    [
        pytest.param(FOLLOWER, WORKED, id="a follower, which writes nothing"),
        pytest.param(HOUSE, evolve(WORKED, doubted=(("api.test", after(-9)),)), id="a host that has a sick node"),
    ],
)
def test_some_tell_no_other_process_that_they_try(house: Any, entry: Entry) -> None:
    after_refusal(look(entry), *trial(), delivered(entry, NEITHER, trying=True), stage=knowing(entry), house=house)


def test_a_store_that_fails_keeps_nobody_from_trying() -> None:
    down = (marked()[0], StoreError("down"))
    after_refusal(look(WORKED), *trial(down), delivered(WORKED, NEITHER, trying=True), stage=knowing(WORKED))


def test_a_token_that_was_removed_meanwhile_is_tried_as_before() -> None:
    def removing(stage: Stage) -> bool:
        stage.cache.forget(APP, WORKED.revision)
        return True

    stage = knowing(WORKED)
    after_refusal(
        look(WORKED), (Try(APP, GOOD.host, PATIENCE), removing), delivered(WORKED, NEITHER, trying=True), stage=stage
    )


def test_who_cannot_get_another_token_lets_the_other_processes_go_on() -> None:
    with pytest.raises(StoreError, match="down"):
        after_refusal(
            look(WORKED),
            *tried_again(WORKED, NO),
            look(WORKED),
            shared(APP, StoreError("down")),
            others_go_on(),
            stage=knowing(WORKED),
        )


# Tokens that are not to blame


@pytest.mark.parametrize("given", [YES, NEITHER], ids=["taken", "another answer"])
def test_a_sick_node_costs_nothing(given: Answer) -> None:
    doubts = told(WORKED, doubted=(("api.test", after(0)),)) if given.accepted else []
    after_refusal(look(WORKED), *tried_again(WORKED, given), *doubts, stage=knowing(WORKED))


def test_who_waited_while_another_tried_with_success_sends_the_same_again() -> None:
    def good(stage: Stage) -> bool:
        with_trial(stage, NEITHER)
        return False

    waited = [look(WORKED), (Try(APP, GOOD.host, PATIENCE), good)]
    after_refusal(*waited, delivered(WORKED, NEITHER), stage=knowing(WORKED))


def refused_after(seconds: float, *, others_are_served_first: bool = False) -> Any:
    """The API says no so many seconds after the request began."""

    def refusing(stage: Stage) -> Answer:
        if others_are_served_first:
            others_are_served(stage)
        stage.now = after(seconds)
        return NO

    return refusing


def test_who_is_refused_again_after_that_takes_nobody_s_word_any_more() -> None:
    def good(stage: Stage) -> bool:
        with_trial(stage, NEITHER)
        return False

    waited = [look(WORKED), (Try(APP, GOOD.host, PATIENCE), good)]
    again = [*waited, delivered(WORKED, refused_after(2)), look(WORKED)]
    after_refusal(*again, replaced(), delivered(NEW, NEITHER), stage=knowing(WORKED))


def test_others_who_are_served_between_two_refusals_show_that_the_token_lives() -> None:
    def good(stage: Stage) -> bool:
        with_trial(stage, NEITHER)
        return False

    after_refusal(
        look(WORKED),
        (Try(APP, GOOD.host, PATIENCE), good),
        delivered(WORKED, refused_after(2, others_are_served_first=True)),
        look(WORKED),
        *told(WORKED, doubted=(("api.test", after(2)),)),
        delivered(WORKED, NEITHER),
        stage=knowing(WORKED),
    )


def others_are_served(stage: Stage) -> None:
    """Another request of this process began after the refusal, and was answered."""
    stage.now = after(2)
    entry = stage.cell(APP).entry
    assert entry is not None
    begun = evolve(request(), begun=after(1))
    noted = told(entry, accepted_at=after(2)) if entry.accepted_at is None else []
    play(continued(begun, entry.token, YES), *noted, stage=stage)


SUSPECT = evolve(WORKED, history=(evolve(NEW.history[-1], taken="target"),))


@pytest.mark.parametrize(
    ("entry", "news"),
    [
        pytest.param(SUSPECT, True, id="which nobody knew"),
        pytest.param(evolve(SUSPECT, doubted=(("api.test", after(-9)),)), False, id="which everybody knew"),
    ],
)
def test_a_host_that_has_had_one_token_replaced_is_given_a_moment_to_show_that_the_next_one_lives(
    entry: Entry, news: bool
) -> None:
    """One of its nodes is sick: nothing more is issued for this host."""
    doubts = told(entry, doubted=(("api.test", after(2)),)) if news else []
    mark, over = ([marked()], [others_go_on()]) if news else ([], [])
    after_refusal(
        look(entry),
        *trial(*mark, (slept(1.1)[0], others_are_served)),
        delivered(entry, NO, trying=True),
        look(entry),
        *doubts,
        *over,
        delivered(entry, NEITHER),
        stage=knowing(entry),
    )


def test_a_young_token_that_some_nodes_know_says_nothing_of_the_others() -> None:
    young = issued(app_entry(life=YEAR), "first")
    after_refusal(
        look(young),
        *trial(marked(), (slept(1.1)[0], others_are_served)),
        delivered(young, NO, trying=True),
        look(young),
        others_go_on(),
        delivered(young, NEITHER),
        stage=knowing(young),
    )


def test_an_api_that_learns_of_a_token_a_second_late_is_given_that_second() -> None:
    first = issued(app_entry("app-1", issued_at=after(0.1), life=YEAR), "first")
    found = shared(APP, [loaded(APP, first)])
    play(
        conversation(request()),
        found,
        at(0.2),
        delivered(first, NO),
        look(first),
        *tried_again(first, YES, slept(1.0)),
        *told(first, accepted_at=after(0.2)),
    )


def test_what_was_issued_for_a_request_and_is_refused_to_it_is_not_replaced() -> None:
    """Another server's API, an application that is not approved yet, an endpoint that wants another kind of token."""
    first = issued(app_entry("app-1", issued_at=after(0), life=YEAR), "first")
    blame = told(first, history=(evolve(first.history[0], target="api.test/good"),))
    stage = Stage()
    play(
        conversation(request()),
        shared(APP, [loaded(APP, first)]),
        at(9),
        delivered(first, NO),
        look(first),
        *tried_again(first, NO),
        look(first),
        *blame,
        others_go_on(),
        stage=stage,
    )
    blamed = stage.cell(APP).entry
    assert blamed is not None
    stage.now = after(20)
    after_refusal(look(blamed), stage=stage)  # the next request gets its 401 at once


def test_a_token_of_a_process_whose_clock_is_ahead_was_not_issued_for_this_request() -> None:
    theirs = evolve(WORKED, issued_by="there:8", issued_at=after(100), accepted_at=after(101))
    play(
        conversation(request()),
        shared(APP, [loaded(APP, theirs)]),
        delivered(theirs, NO),
        look(theirs),
        *tried_again(theirs, NO),
        look(theirs),
        replaced(),
        others_go_on(),
        delivered(NEW, NEITHER),
    )


def test_what_is_known_to_be_issued_in_vain_is_not_noted_twice() -> None:
    first = issued(app_entry("app-1", issued_at=after(1), life=YEAR), "first", target="api.test/good")
    stage = Stage()
    refused = [delivered(first, NO), look(first), *tried_again(first, NO), look(first), others_go_on()]
    play(conversation(request()), shared(APP, [loaded(APP, first)]), at(9), *refused, stage=stage)
    assert stage.cell(APP).entry == first


def test_a_replacement_that_is_refused_as_well_is_the_callers_answer() -> None:
    after_refusal(look(OLD), replaced(), delivered(NEW, NO), stage=knowing(OLD))


def test_a_request_that_cannot_be_sent_again_gets_its_401_and_the_next_one_knows() -> None:
    stage = knowing(WORKED, now=after(1))
    after_refusal(stage=stage, replayable=False)
    stage.now = after(3)
    later = evolve(request(), begun=after(2))
    play(continued(later, OLD.token, NO), look(WORKED), replaced(), delivered(NEW, NEITHER), stage=stage)


def test_the_second_request_that_cannot_be_sent_again_has_the_token_replaced_for_the_third() -> None:
    stage = knowing(WORKED, now=after(1))
    after_refusal(stage=stage, replayable=False)
    stage.now = after(3)
    new = app_entry("app-2", issued_at=after(3), revision=micros(after(3)), superseded=())
    flight = replaced_for_this_request(WORKED, issued(new, "refused", WORKED, target="api.test/good"))
    play(unanswered(evolve(request(), begun=after(2)), OLD.token), look(WORKED), flight, stage=stage)


def test_requests_that_cannot_be_sent_again_and_are_refused_at_once_say_no_more_than_one() -> None:
    stage = knowing(WORKED, now=after(1))
    after_refusal(stage=stage, replayable=False)
    stage.now = after(3)
    play(unanswered(request(), OLD.token), look(WORKED), stage=stage)


def test_a_second_request_that_cannot_be_sent_again_adopts_what_others_were_issued() -> None:
    stage = knowing(WORKED, now=after(1))
    after_refusal(stage=stage, replayable=False)
    stage.now = after(3)
    play(unanswered(evolve(request(), begun=after(2)), OLD.token), look(NEW), stage=stage)
    assert stage.cell(APP).entry == NEW


def test_a_follower_gets_the_401() -> None:
    after_refusal(look(OLD), stage=knowing(OLD), house=FOLLOWER)


# Conflicts, and what fails


def test_the_third_token_that_had_worked_is_a_conflict() -> None:
    fought = evolve(
        issued(WORKED, "refused", target="api.test/good", taken="target"), superseded=(after(-100), after(-50))
    )
    with pytest.raises(TokenConflictError) as caught:
        after_refusal(
            look(fought),
            *tried_again(fought, NO),
            look(fought),
            others_go_on(),
            delivered(fought, NO),
            look(fought),
            stage=knowing(fought),
        )
    assert caught.value.issuer == OLD.issued_by
    assert str(caught.value).startswith("api.test refused three of our tokens")
    for cause in ("another deployment", *IN_VAIN, "api.test refuses whatever it is given"):
        assert cause in str(caught.value)


def test_a_token_of_another_process_whose_time_may_have_come_by_its_clock_is_replaced() -> None:
    theirs = evolve(
        issued(WORKED, "refused", target="api.test/good", taken="target"),
        token=evolve(WORKED.token, expires_in=after(600)),
        issued_by="there:8",
        superseded=(after(-100), after(-50)),
    )
    after_refusal(
        look(theirs),
        *tried_again(theirs, NO),
        look(theirs),
        replaced(),
        others_go_on(),
        delivered(NEW, NEITHER),
        stage=knowing(theirs),
    )


def test_an_account_that_was_forgotten_meanwhile_has_to_sign_in() -> None:
    entry = user_entry()
    gone = shared(IVAN, LoginRequiredError("nobody", account="ivan"))
    with pytest.raises(LoginRequiredError):
        play(continued(request(key=IVAN), entry.token, NO), gone)


def test_a_store_that_cannot_be_read_is_told_of() -> None:
    with pytest.raises(StoreError, match="down"):
        after_refusal(shared(APP, StoreError("down"), "look"), stage=knowing(OLD))


@pytest.mark.parametrize("where", ["while the request is sent", "in the pause before it", "while others see to it"])
def test_who_gives_up_lets_the_others_go_on(where: str) -> None:
    class Cancelled(BaseException):
        pass

    stage = knowing(issued(app_entry(life=YEAR), "first"))
    entry = stage.cell(APP).entry
    assert entry is not None
    way = {
        "while the request is sent": [marked(), slept(1.1), delivered(entry, Cancelled(), trying=True), others_go_on()],
        "in the pause before it": [marked(), (slept(1.1)[0], Cancelled()), others_go_on()],
        "while others see to it": [(marked()[0], Cancelled())],
    }
    with pytest.raises(Cancelled):
        after_refusal(look(entry), *trial(*way[where]), stage=stage)
    assert stage.tried == [GOOD.host]


# Whoever sends the request


def test_a_conversation_that_is_dropped_half_way_asks_for_nothing_more() -> None:
    program = continued(request(), OLD.token, YES)
    next(program)
    program.close()


@pytest.mark.parametrize(
    "where", [Deliver, Sleep, Hold], ids=["while the request is sent", "in the pause before it", "while others see it"]
)
def test_a_trial_that_is_dropped_half_way_asks_for_nothing_more(where: type[Any]) -> None:
    """A generator that is closed must not yield: to let the others go on is up to whoever closed it."""
    young = issued(app_entry(life=YEAR), "first")
    stage, outside = knowing(young), {Shared: None, Try: True, Hold: True, Sleep: None}

    def perform(effect: Any) -> Any:
        return stage.perform(effect) if isinstance(effect, INNER) else outside[type(effect)]

    program = continued(request(), young.token, NO)
    assert isinstance(upto(where, program, perform), where)
    program.close()
    assert stage.tried == []


ASK = HOUSE.protocol.user_info("user-1").request
INFO = b'{"id": 1, "uuid": "00000001-0000-4000-8000-000000000001", "login": "ivan", "distributor": "exbo"}'


def test_who_an_account_is_is_asked_with_a_token_that_works() -> None:
    pair, successor = user_entry("user-1", life=YEAR, issued_at=after(-9000)), user_entry("user-2", revision=2)

    def ending(stage: Stage) -> Obtained:
        stage.cache.remember(IVAN, successor)
        return Obtained(successor, issued=True)

    again = HOUSE.protocol.user_info("user-2").request
    json = {"content-type": "application/json"}
    info = play(
        user_info(HOUSE, "ivan"),
        sent(ASK, refusal(401)),
        shared(IVAN, [loaded(IVAN, pair)], "look"),
        shared(IVAN, ending),
        sent(again, Response(200, json, INFO)),
        telling(loaded(IVAN, successor), written(IVAN, 2, evolve(successor, accepted_at=after(0))), key=IVAN),
        stage=knowing(pair),
    )
    assert info.login == "ivan"


def test_who_an_account_is_is_asked_with_the_token_at_hand_and_others_waited_for_as_long_as_said() -> None:
    pair, json = user_entry("user-1", life=YEAR), {"content-type": "application/json"}
    told = telling(loaded(IVAN, pair), written(IVAN, 1, evolve(pair, accepted_at=after(0))), key=IVAN)
    flight = shared(IVAN, [loaded(IVAN, pair)], wait=3.0)
    info = play(user_info(HOUSE, "ivan", wait=3.0), flight, sent(ASK, Response(200, json, INFO)), told)
    assert info.login == "ivan"


def test_a_user_who_was_deleted_is_unauthenticated_however_new_the_token() -> None:
    pair, successor = user_entry("user-1", life=YEAR, issued_at=after(-9000)), user_entry("user-2", revision=2)

    def ending(stage: Stage) -> Obtained:
        stage.cache.remember(IVAN, successor)
        return Obtained(successor, issued=True)

    with pytest.raises(UnauthenticatedError, match=r"exbo\.net .*another deployment.* a user who was deleted"):
        play(
            user_info(HOUSE, "ivan"),
            sent(ASK, refusal(401)),
            shared(IVAN, [loaded(IVAN, pair)], "look"),
            shared(IVAN, ending),
            sent(HOUSE.protocol.user_info("user-2").request, refusal(401)),
            stage=knowing(pair),
        )


def test_another_trouble_of_that_call_is_raised_as_it_is() -> None:
    pair = user_entry("user-1", life=YEAR)
    with pytest.raises(Exception, match="no") as caught:
        play(user_info(HOUSE, "ivan"), sent(ASK, refusal(418)), stage=knowing(pair))
    assert getattr(caught.value, "status", None) == 418


def test_a_program_in_a_program_is_closed_with_it() -> None:
    closed: list[bool] = []

    def inner() -> Any:
        try:
            yield Deliver(OLD.token)
        finally:
            closed.append(True)

    def deliver(_: Any) -> Any:
        yield from ()
        yield "something"

    program = answered_by(inner(), deliver)
    next(program)
    program.close()
    assert closed == [True]

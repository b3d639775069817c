"""The table of `exbo_oauth.flow.refusals`, line by line, and the evidence that it weighs."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth.flow.evidence import (
    UNKNOWN,
    Acceptance,
    Refusal,
    Target,
    Witness,
    accepted,
    answered,
    blamed,
    merged,
    refused,
    remembered,
    reported_at,
    with_next_token,
)
from exbo_oauth.flow.refusals import Verdict, pause, verdict
from exbo_oauth.masking import Secret
from exbo_oauth.stores import Entry, Issue

from .transcript import HERE, after, app_entry, issued

HERE_TARGET = Target("api.test", "/good")
NOW = after(1000)
LONG_AGO = after(-100_000)
TAKING = {"/good": after(2)}
SUSPECT: dict[str, Any] = {
    "accepted_at": after(997),
    "history": (Issue(at=after(996), by=HERE, why="refused", target="api.test/x", taken="target"),),
}


def old(**more: Any) -> Entry:
    """A token of a year, issued long ago."""
    return app_entry(issued_at=LONG_AGO, life=31_536_000, **more)


def refusal(**more: Any) -> Refusal:
    given: dict[str, Any] = {"token": Secret("app-1"), "target": HERE_TARGET, "at": NOW, "begun": after(999)}
    given["first"] = more.get("at", NOW)
    return Refusal(**given | more)


def for_whom(path: str, seconds: float = 990, taken: str = "") -> Issue:
    """A token was issued because `path` of the same host had refused one."""
    return Issue(at=after(seconds), by=HERE, why="refused", target=f"api.test{path}", taken=taken)


def taking(entry: Entry, witness: Witness, target: Target, at: datetime, *, again: bool) -> tuple[Entry, Witness]:
    """A request of a second was answered."""
    begun = at - timedelta(seconds=1)
    return accepted(entry, witness, Acceptance(Secret("app-1"), target, at, begun, again=again))


def decided(entry: Entry, witness: Witness = UNKNOWN, *, ours: bool = True, now: datetime = NOW, **more: Any) -> str:
    return verdict(entry, witness, refusal(**more), now, ours=ours).name


GOOD = old(accepted_at=after(900))
TAKEN = for_whom("/good", 500, "target")
TAKEN_AT_ONCE = for_whom("/good", 990, "target")
CONFLICT = evolve(GOOD, superseded=(after(800), after(900)), history=(TAKEN,))
DOUBTED = evolve(GOOD, doubted=(("api.test", after(950)),))


@pytest.mark.parametrize(
    ("entry", "witness", "more", "expected"),
    [
        pytest.param(old(), UNKNOWN, {"token": Secret("app-0")}, "ADOPT", id="a newer token is known"),
        pytest.param(old(), UNKNOWN, {"token": Secret("app-0"), "sent": 3}, "RETURN", id="a newer token, sent thrice"),
        pytest.param(old(), UNKNOWN, {}, "REPLACE", id="nothing good was heard of it for long"),
        pytest.param(old(), UNKNOWN, {"final": True}, "RETURN", id="its replacement was refused"),
        pytest.param(app_entry(life=990, accepted_at=after(989)), UNKNOWN, {}, "REPLACE", id="it reached its end"),
        pytest.param(app_entry(life=500), UNKNOWN, {"sent": 3}, "RETURN", id="it reached its end, sent thrice"),
        pytest.param(GOOD, UNKNOWN, {}, "TRY", id="it was accepted a moment ago"),
        pytest.param(old(accepted_at=after(700)), UNKNOWN, {}, "REPLACE", id="it was accepted five minutes ago"),
        pytest.param(app_entry(issued_at=after(800)), UNKNOWN, {}, "TRY", id="it was issued a moment ago"),
        pytest.param(GOOD, Witness(answered_at=NOW), {}, "AGAIN", id="others tried it: it is good"),
        pytest.param(GOOD, Witness(answered_at=after(999)), {}, "TRY", id="others tried it, before this refusal"),
        pytest.param(GOOD, Witness(refused_at=NOW), {}, "REPLACE", id="others tried it: it is refused"),
        pytest.param(GOOD, Witness(refused_at=after(999)), {}, "TRY", id="others tried it in vain, but long before"),
        pytest.param(GOOD, Witness(row=1, since=after(998)), {}, "REPLACE", id="it was refused before this one began"),
        pytest.param(
            app_entry(issued_at=after(998)), Witness(row=1, since=after(998)), {}, "TRY", id="it is too young for that"
        ),
        pytest.param(
            app_entry(issued_at=after(990)), Witness(row=1, since=after(998)), {}, "REPLACE", id="it is old enough"
        ),
        pytest.param(
            app_entry(issued_at=after(996), accepted_at=after(997)),
            Witness(row=1, since=after(998)),
            {},
            "REPLACE",
            id="it is young, but was accepted",
        ),
        pytest.param(GOOD, UNKNOWN, {"again": True, "sent": 2}, "REPLACE", id="this one tried it in vain"),
        pytest.param(GOOD, UNKNOWN, {"again": True, "sent": 3}, "RETURN", id="this one tried it twice in vain"),
        pytest.param(GOOD, UNKNOWN, {"again": True, "fresh": True}, "RETURN", id="it was issued for this one"),
        pytest.param(DOUBTED, UNKNOWN, {"again": True, "sent": 2}, "AGAIN", id="the host refuses living tokens"),
        pytest.param(DOUBTED, UNKNOWN, {"again": True, "sent": 3}, "RETURN", id="the host refuses them thrice"),
        pytest.param(
            DOUBTED,
            Witness(row=5, since=after(998.9)),
            {"again": True, "sent": 2},
            "REPLACE",
            id="it has refused too often, for too long",
        ),
        pytest.param(
            DOUBTED,
            Witness(row=99, since=after(999)),
            {"again": True, "sent": 2},
            "AGAIN",
            id="many at once got to its sick node",
        ),
        pytest.param(
            evolve(DOUBTED, history=(TAKEN_AT_ONCE,)),
            Witness(row=99, since=after(900)),
            {"again": True, "sent": 2},
            "AGAIN",
            id="it refuses living tokens, and has had one replaced",
        ),
        pytest.param(
            evolve(GOOD, history=(TAKEN_AT_ONCE,)),
            Witness(row=1, since=after(998.95)),
            {},
            "TRY",
            id="the host has had one replaced, and refuses the next for less than a second",
        ),
        pytest.param(
            evolve(GOOD, history=(TAKEN_AT_ONCE,)),
            Witness(row=1, since=after(998.9)),
            {},
            "REPLACE",
            id="the host has had one replaced, and refuses the next for a second",
        ),
        pytest.param(
            GOOD, Witness(taking={"/good": NOW}), {"again": True, "sent": 2}, "AGAIN", id="others were served since"
        ),
        pytest.param(
            GOOD,
            Witness(taking={"/good": NOW}),
            {"again": True, "sent": 3},
            "RETURN",
            id="others were, but not this one",
        ),
        pytest.param(
            GOOD,
            Witness(taking={"/good": after(999), "/x": NOW}),
            {"again": True, "sent": 2},
            "REPLACE",
            id="others were served who had come earlier, or elsewhere",
        ),
        pytest.param(
            evolve(GOOD, doubted=(("other.test", after(950)), ("api.test", after(600)))),
            UNKNOWN,
            {"again": True},
            "REPLACE",
            id="another host refuses living tokens, this one did long ago",
        ),
        pytest.param(CONFLICT, UNKNOWN, {"again": True, "sent": 2}, "AGAIN", id="a third look before a conflict"),
        pytest.param(CONFLICT, UNKNOWN, {"again": True, "sent": 3}, "CONFLICT", id="the third in five minutes"),
        pytest.param(CONFLICT, Witness(row=5), {"again": True, "sent": 2}, "CONFLICT", id="a conflict, seen often"),
        pytest.param(
            evolve(CONFLICT, doubted=DOUBTED.doubted),
            Witness(row=5),
            {"again": True, "sent": 3},
            "RETURN",
            id="no conflict on the word of a host that refuses living tokens",
        ),
        pytest.param(
            evolve(CONFLICT, doubted=DOUBTED.doubted),
            Witness(row=5, since=after(900)),
            {"again": True, "sent": 2},
            "RETURN",
            id="nor if it refuses them often, and for long",
        ),
        pytest.param(
            evolve(CONFLICT, history=()),
            Witness(row=5, taking=TAKING),
            {"again": True, "sent": 3},
            "CONFLICT",
            id="a conflict, seen by this process",
        ),
        pytest.param(
            evolve(CONFLICT, history=()),
            UNKNOWN,
            {"again": True, "sent": 2},
            "REPLACE",
            id="no conflict on the word of a target that never took a token",
        ),
        pytest.param(
            evolve(CONFLICT, history=(for_whom("/good", 500, "host"), for_whom("/x", 500, "target"))),
            UNKNOWN,
            {"again": True, "sent": 2},
            "REPLACE",
            id="although others on its host did, and another target had one issued",
        ),
        pytest.param(
            evolve(CONFLICT, accepted_at=None),
            UNKNOWN,
            {"again": True, "sent": 2},
            "REPLACE",
            id="what nobody took is no supersession",
        ),
    ],
)
def test_the_table(entry: Entry, witness: Witness, more: dict[str, Any], expected: str) -> None:
    assert decided(entry, witness, **more) == expected


@pytest.mark.parametrize(
    ("issue", "witness", "expected"),
    [
        pytest.param(for_whom("/good"), UNKNOWN, "RETURN", id="this target refused what was issued for it"),
        pytest.param(for_whom("/good", 690), UNKNOWN, "REPLACE", id="it did, more than five minutes ago"),
        pytest.param(for_whom("/good", taken="target"), UNKNOWN, "REPLACE", id="this target took it"),
        pytest.param(for_whom("/good", taken="host"), UNKNOWN, "RETURN", id="others on its host took it"),
        pytest.param(
            for_whom("/good", taken="host"), Witness(taking=TAKING), "RETURN", id="this target took an earlier one"
        ),
        pytest.param(for_whom("/bad"), UNKNOWN, "RETURN", id="nobody on this host took it"),
        pytest.param(for_whom("/bad"), Witness(taking=TAKING), "RETURN", id="this target took an earlier one alone"),
        pytest.param(for_whom("/bad/one"), UNKNOWN, "RETURN", id="nobody on this host took it, whatever the path"),
        pytest.param(for_whom("/bad", taken="target"), UNKNOWN, "REPLACE", id="the other target took it"),
        pytest.param(
            for_whom("/bad", taken="host"), UNKNOWN, "RETURN", id="somebody on this host took it, perhaps not us"
        ),
        pytest.param(
            for_whom("/bad", taken="host"),
            Witness(taking=TAKING),
            "REPLACE",
            id="this target took it as well",
        ),
        pytest.param(
            for_whom("/bad", taken="host"),
            Witness(row=9, since=after(995), refusing={"a": after(995), **dict.fromkeys("bcde", after(996))}),
            "REPLACE",
            id="the host says no to everybody now",
        ),
        pytest.param(
            for_whom("/bad", taken="host"),
            Witness(row=9, since=after(995), refusing={**dict.fromkeys("abcd", after(996)), "e": after(994)}),
            "RETURN",
            id="the same few say no again and again",
        ),
        pytest.param(
            evolve(for_whom("/bad"), target="other.test/bad"), UNKNOWN, "REPLACE", id="another host refused it"
        ),
        pytest.param(
            Issue(at=after(990), by=HERE, why="expired"), UNKNOWN, "REPLACE", id="nobody had refused anything"
        ),
    ],
)
def test_who_is_heard(issue: Issue, witness: Witness, expected: str) -> None:
    assert decided(evolve(GOOD, history=(issue,)), witness, again=True, sent=2) == expected


def test_who_is_heard_is_asked_of_each_issue() -> None:
    history = (for_whom("/good", taken="target"), for_whom("/good"))
    assert decided(evolve(GOOD, history=history), again=True, sent=2) == "RETURN"


def test_a_target_that_is_known_to_refuse_is_not_asked_twice_each_time() -> None:
    entry = evolve(GOOD, history=(for_whom("/good"),))
    assert decided(entry, Witness(refusing={"/good": after(995)})) == "RETURN"
    young = evolve(entry, issued_at=after(997))
    assert decided(young, Witness(refusing={"/good": after(998)})) == "TRY"


@pytest.mark.parametrize(
    ("left", "ours", "expected"),
    [
        pytest.param(1, True, "CONFLICT", id="by our own clock"),
        pytest.param(900, False, "REPLACE", id="by the clock of another process, which may be ahead"),
        pytest.param(901, False, "CONFLICT", id="beyond what clocks may differ by"),
    ],
)
def test_a_natural_end_by_whichever_clock_is_no_conflict(left: float, ours: bool, expected: str) -> None:
    token = evolve(CONFLICT.token, expires_in=NOW + timedelta(seconds=left))
    assert decided(evolve(CONFLICT, token=token), Witness(row=5), again=True, sent=2, ours=ours) == expected


@pytest.mark.parametrize(
    ("age", "more", "seconds"),
    [
        pytest.param(0.3, {}, 0.8, id="a node may not know it yet"),
        pytest.param(1.1, {}, 0, id="all nodes know it"),
        pytest.param(-1, {}, 0, id="the clock was set back"),
        pytest.param(0.3, {"accepted_at": after(999.9)}, 0, id="some node knows it"),
        pytest.param(99, SUSPECT, 1.1, id="the host has had one replaced a moment ago"),
        pytest.param(
            99, {**SUSPECT, "history": (evolve(SUSPECT["history"][0], at=after(700)),)}, 0, id="that is long ago"
        ),
        pytest.param(
            99, {**SUSPECT, "history": (evolve(SUSPECT["history"][0], target="b.test/x"),)}, 0, id="it was another host"
        ),
        pytest.param(
            99, {**SUSPECT, "history": (evolve(SUSPECT["history"][0], why="first"),)}, 0, id="nothing was replaced"
        ),
    ],
)
def test_a_token_is_tried_again_after_a_moment_where_that_can_tell_more(
    age: float, more: dict[str, Any], seconds: float
) -> None:
    entry = app_entry(issued_at=after(1000 - age), **more)
    assert pause(entry, "api.test", NOW) == timedelta(seconds=seconds)


# Evidence


def test_refusals_count_in_a_row_and_a_success_ends_the_row() -> None:
    first, second = refusal(at=after(1)), refusal(at=after(2), again=True, target=Target("api.test", "/bad"))
    witness = refused(refused(UNKNOWN, first), second)
    assert witness == Witness(
        row=2, since=after(1), refused_at=after(2), refusing={"/good": after(1), "/bad": after(2)}
    )
    entry, witness = taking(old(), witness, HERE_TARGET, after(3), again=False)
    assert witness == Witness(refused_at=after(2), refusing={"/bad": after(2)}, taking=TAKING)
    assert entry.accepted_at == after(3)
    assert with_next_token(refused(witness, first)) == Witness(taking=TAKING)


def test_a_refusal_fades() -> None:
    witness = refused(refused(UNKNOWN, refusal(at=after(0))), refusal(at=after(300), target=Target("api.test", "/x")))
    assert set(witness.refusing) == {"/x"}


def test_of_the_paths_of_a_host_those_are_remembered_that_refused_last() -> None:
    witness = UNKNOWN
    for number in range(70):
        witness = refused(witness, refusal(at=after(number), target=Target("api.test", f"/{99 - number}")))
    assert set(witness.refusing) == {f"/{99 - number}" for number in range(6, 70)}


def test_an_answer_that_says_nothing_is_no_acceptance() -> None:
    assert answered(UNKNOWN, NOW) == Witness(answered_at=NOW)


@pytest.mark.parametrize(
    ("age", "again", "more", "doubted"),
    [
        pytest.param(6, True, {}, True, id="a token that had been refused before"),
        pytest.param(4, True, {}, False, id="so young a token that a node may not have known it"),
        pytest.param(6, False, {}, False, id="a token that was not refused"),
        pytest.param(4, True, SUSPECT, True, id="a young one that it had taken, and had another replaced by"),
        pytest.param(4, True, {"history": SUSPECT["history"]}, False, id="a young one that it had never taken"),
    ],
)
def test_a_host_that_takes_what_it_refused_is_doubted(
    age: float, again: bool, more: dict[str, Any], doubted: bool
) -> None:
    entry, _ = taking(app_entry(issued_at=after(1000 - age), **more), UNKNOWN, HERE_TARGET, NOW, again=again)
    assert entry.doubted == ((("api.test", NOW),) if doubted else ())


def test_of_the_hosts_that_are_doubted_the_last_are_remembered_for_five_minutes() -> None:
    earlier = [("gone.test", after(600)), ("api.test", after(800)), *((f"{n}.test", after(900 + n)) for n in range(20))]
    entry, _ = taking(old(doubted=tuple(earlier)), UNKNOWN, HERE_TARGET, NOW, again=True)
    assert entry.doubted == (*earlier[-16:], ("api.test", NOW))
    few, _ = taking(old(doubted=tuple(earlier[:3])), UNKNOWN, HERE_TARGET, NOW, again=True)
    assert few.doubted == (earlier[2], ("api.test", NOW))


@pytest.mark.parametrize(
    ("path", "target", "taken"),
    [("/good", "api.test/good", "target"), ("/x", "api.test/good", "host"), ("/good", "other.test/good", "")],
)
def test_a_success_speaks_for_the_host_that_a_token_was_issued_for(path: str, target: str, taken: str) -> None:
    issue = Issue(at=after(990), by=HERE, why="refused", target=target)
    entry, _ = taking(old(history=(issue,)), UNKNOWN, Target("api.test", path), NOW, again=False)
    assert entry.history[0].taken == taken


def test_a_success_of_another_path_takes_nothing_back() -> None:
    entry, _ = taking(
        old(history=(for_whom("/good", taken="target"),)), UNKNOWN, Target("api.test", "/x"), NOW, again=False
    )
    assert entry.history[0].taken == "target"


def test_a_host_that_refused_the_replacement_and_takes_it_later_was_no_witness_of_a_supersession() -> None:
    """An API was down for some seconds: whether the predecessor was dead, nobody knows."""
    before = Issue(at=after(499), by=HERE, why="expired")
    entry = old(history=(before, for_whom("/good")), superseded=(after(499), after(989)))
    down, _ = taking(entry, Witness(refusing={"/good": after(991)}), HERE_TARGET, NOW, again=False)
    assert down.superseded == (after(499),)
    up, _ = taking(entry, UNKNOWN, HERE_TARGET, NOW, again=False)
    assert up.superseded == entry.superseded
    first, _ = taking(
        evolve(entry, history=entry.history[1:]), Witness(refusing={"/good": after(991)}), HERE_TARGET, NOW, again=False
    )
    assert first.superseded == ()


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(Issue(at=after(995), by=HERE, why="expired"), id="for nobody"),
        pytest.param(Issue(at=after(995), by=HERE, why="refused", target="other.test/x"), id="for another host"),
    ],
)
def test_a_host_is_no_worse_a_witness_for_what_was_issued_since(last: Issue) -> None:
    entry = old(history=(for_whom("/good"), last), superseded=(after(989), after(994)))
    there, _ = taking(entry, Witness(refusing={"/good": after(991)}), HERE_TARGET, NOW, again=False)
    assert there.superseded == entry.superseded


def test_acceptance_is_noted_now_and_then() -> None:
    once, _ = taking(old(), UNKNOWN, HERE_TARGET, after(0), again=False)
    soon, _ = taking(once, UNKNOWN, HERE_TARGET, after(149), again=False)
    later, _ = taking(once, UNKNOWN, HERE_TARGET, after(150), again=False)
    assert (soon.accepted_at, later.accepted_at) == (after(0), after(150))


@pytest.mark.parametrize(
    ("entry", "witness", "moment"),
    [
        pytest.param(old(), UNKNOWN, None, id="never accepted"),
        pytest.param(GOOD, UNKNOWN, after(1050), id="accepted"),
        pytest.param(GOOD, Witness(row=1), None, id="refused since"),
        pytest.param(GOOD, Witness(refusing={"/bad": NOW}), None, id="refused elsewhere"),
        pytest.param(
            evolve(app_entry(issued_at=after(890), accepted_at=after(900)), history=(for_whom("/x"),)),
            UNKNOWN,
            None,
            id="issued for somebody who has not taken it yet",
        ),
        pytest.param(
            app_entry(
                issued_at=after(890),
                accepted_at=after(900),
                history=(for_whom("/x", taken="target"), Issue(at=after(890), by=HERE, why="expired")),
            ),
            UNKNOWN,
            after(1050),
            id="issued for somebody who has taken it, and for nobody",
        ),
        pytest.param(
            evolve(GOOD, history=(for_whom("/x"),)), UNKNOWN, after(1050), id="somebody refused a token before this one"
        ),
    ],
)
def test_when_another_success_is_worth_reporting(entry: Entry, witness: Witness, moment: datetime | None) -> None:
    assert reported_at(entry, [witness]) == moment


def test_what_was_issued_for_a_target_in_vain_is_remembered_once() -> None:
    entry = issued(old(), "expired", issued(old(), "first"))
    assert [issue.target for issue in blamed(entry, HERE_TARGET).history] == ["", "api.test/good"]
    assert blamed(blamed(entry, HERE_TARGET), Target("x", "/")) == blamed(entry, HERE_TARGET)
    assert blamed(old(), HERE_TARGET) == old()


def test_the_history_is_short_but_keeps_what_a_decision_needs() -> None:
    history: tuple[Issue, ...] = (for_whom("/old", 0), for_whom("/bad", 995))
    for second in range(20):
        history = remembered(history, Issue(at=after(1000 + second), by=HERE, why="expired"))
    assert [issue.target for issue in history if issue.target] == ["api.test/bad"]
    assert len(history) <= 8
    assert history[-1].at == after(1019)


def test_notes_of_two_processes_are_put_together() -> None:
    issue = for_whom("/good")
    mine = old(
        accepted_at=after(5),
        history=(evolve(issue, taken="host"),),
        doubted=(("z", after(1)), ("a", after(2))),
        superseded=(NOW,),
        followed=issue,
    )
    theirs = old(
        accepted_at=after(3),
        history=(issue,),
        doubted=(("a", after(3)), ("b", after(1.5))),
        superseded=(after(1), after(2)),
    )
    both = merged(mine, theirs)
    assert both.accepted_at == after(5)
    assert both.history[0].taken == "host"
    assert both.doubted == (("z", after(1)), ("b", after(1.5)), ("a", after(3)))
    assert both.superseded == (NOW,)
    assert both.followed == issue
    assert merged(theirs, mine).history == both.history
    assert merged(mine, evolve(theirs, history=(TAKEN, issue))).history == (TAKEN, issue)
    assert merged(mine, evolve(theirs, revision=9)) == evolve(theirs, revision=9)


def test_every_verdict_is_in_the_table() -> None:
    assert {kind.name for kind in Verdict} == {"ADOPT", "AGAIN", "TRY", "REPLACE", "RETURN", "CONFLICT"}

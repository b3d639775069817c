"""The walk sees what is wrong: each promise is broken on purpose, and the schedule that shows it is printed."""

import re
from typing import Any

import pytest

from exbo_oauth.flow import renewal, saving, sharing
from exbo_oauth.flow.effects import Program

from . import moves
from .house import SECOND, Scenario
from .moves import Moves
from .promises import Broken
from .walk import Walk, replay

QUIET = Scenario("app", "expired", "all", (1, 1), faults=0)
AGAIN = re.compile(r'again: python -m tests\.explore "(.*)" "(.*)"')


def broken_by(scenario: Scenario, *, compares: bool = True) -> str:
    """What the walk finds, which another go along the same way finds again."""
    with pytest.raises(Broken) as caught:
        Walk(scenario, compares).run()
    found = AGAIN.search(str(caught.value))
    assert found is not None
    assert found[1] == str(scenario)
    lines = iter(str(caught.value).splitlines())
    problem = next(lines)
    if problem != "this goes round and round":
        with pytest.raises(Broken, match=f"^{re.escape(problem)}$"):
            for step in replay(Moves(scenario, compares), found[2]):
                assert step == next(lines)
    return str(caught.value)


def unleased(_key: object, _lease: object, body: Any) -> Program[Any]:
    return body()


def held(_key: object, _lease: object) -> Program[bool]:
    yield from ()
    return True


def test_a_program_that_takes_no_lease_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "Leased", unleased)
    monkeypatch.setattr(renewal, "Hold", held)
    assert "2 issues to replace app-2" in broken_by(QUIET)


def test_a_store_that_does_not_compare_is_seen() -> None:
    suspended = Scenario("app", "nothing", "all", (1, 1), among=("suspension",))
    assert "a good token in the store is overwritten" in broken_by(suspended, compares=False)


def test_an_endless_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Program[None]:
        yield from ()

    monkeypatch.setattr(renewal, "_attempted", never)
    assert "round and round" in broken_by(QUIET)


def test_a_long_wait_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "TTL", 60 * SECOND)
    assert "it took 60" in broken_by(Scenario("user", "expired", "all", (1, 1), among=("crash",)))


def test_a_lost_token_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_is_dead", lambda *_: False)
    schedule = broken_by(Scenario("user", "expired", "all", (1, 1), among=("store gone back",)))
    assert "nobody has it any more" in schedule
    assert "*** store gone back ***" in schedule

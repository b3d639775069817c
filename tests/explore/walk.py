"""Every way through a scenario: depth first, and each state once."""

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field, frozen

from exbo_oauth.flow.conversation import Deliver
from exbo_oauth.flow.effects import Swap

from . import house
from .histories import Leave, Received
from .house import SECOND, Label, Scenario, State
from .moves import Moves
from .promises import Broken, Promises

__all__ = ["Walk", "Walked", "replay"]


@frozen
class Walked:
    """How many ways there are from the beginning to an end, and through how many states they lead."""

    schedules: int
    states: int
    ends: int

    def __str__(self) -> str:
        return f"{self.schedules:.3g} schedules through {self.states:,} states to {self.ends:,} ends"


@define(eq=False)
class _Visit:
    """A state on the way: what comes after it, which of that was taken last, and the ways found so far."""

    state: State
    following: Iterator[tuple[Label, State]]
    label: Label | None = None
    ways: int = 0


@define(eq=False)
class Walk:
    """A walk through all of a scenario. With `compares` off, the store overwrites what it should compare first."""

    scenario: Scenario
    compares: bool = True
    moves: Moves = field(init=False)
    promises: Promises = field(init=False)
    _ways: dict[State, int] = field(factory=dict)
    _ends: int = 0

    def __attrs_post_init__(self) -> None:
        self.moves = Moves(self.scenario, self.compares)
        self.promises = Promises(self.moves)

    def run(self) -> Walked:
        """Walk all of it; raises `Broken` with the first schedule that breaks a promise."""
        start = self.moves.start()
        way = [self._visit(start)]
        try:
            while way:
                self._advance(way)
        except Broken as broken:
            labels = [visit.label for visit in way if visit.label is not None]
            raise Broken(_told(self.moves, labels, broken)) from broken
        return Walked(self._ways[start], len(self._ways), self._ends)

    def _advance(self, way: list[_Visit]) -> None:
        """Take the next step from where the way has come to, or go back one."""
        visit = way[-1]
        step = next(visit.following, None)
        if step is None:
            self._leave(way)
            return
        visit.label, following = step
        self.promises.check(visit.state, visit.label, following)
        known = self._ways.get(following)
        if known is None:
            way.append(self._visit(following))
        elif known:
            visit.ways += known
        else:
            raise Broken("this goes round and round")

    def _visit(self, state: State) -> _Visit:
        self._ways[state] = 0  # as long as what follows is not known
        return _Visit(state, self.moves.after(state))

    def _leave(self, way: list[_Visit]) -> None:
        visit = way[-1]
        if visit.label is None:
            self.promises.check_last(visit.state)
            self._ends += 1
            visit.ways = 1
        way.pop()
        self._ways[visit.state] = visit.ways
        if way:
            way[-1].ways += visit.ways


def replay(moves: Moves, word: str) -> Iterator[str]:
    """Go the way that a failure printed, up to the promise that it breaks; the steps, one a line."""
    promises, state = Promises(moves), moves.start()
    for name in word.split():
        following = {str(label): (label, after) for label, after in moves.after(state)}
        label, after = following[name]
        yield _described(moves, state, label)
        promises.check(state, label, after)
        state = after
    if not any(moves.after(state)):
        promises.check_last(state)


def _told(moves: Moves, labels: Iterable[Label], broken: Broken) -> str:
    state, lines = moves.start(), list[str]()
    for label in labels:
        lines.append(_described(moves, state, label))
        state = next(after for known, after in moves.after(state) if known == label)
    word = " ".join(map(str, labels))
    return "\n".join([str(broken), *lines, f'again: python -m tests.explore "{moves.scenario}" "{word}"'])


def _described(moves: Moves, state: State, label: Label) -> str:
    """What a step does, for somebody who knows `exbo_oauth.flow`."""
    fault = f"  *** {label.fault} ***" if label.fault else ""
    if label.what == "goes on":
        process = state.callers[label.who].process
        does = f"process {process + 1}, caller {label.who + 1}: {_does(moves, state, label)}"
    elif label.who >= 0:
        does = f"process {label.who + 1} {label.what}"
    else:
        does = label.what
    return f"{state.time / SECOND:9.3f}  {does}{fault}"


def _does(moves: Moves, state: State, label: Label) -> str:
    caller = state.callers[label.who]
    node = moves.tree.nodes[caller.node]
    want: Any = node.want
    match caller.status, want:
        case house.READY, Deliver():
            return f"sends its request with {want.token.access_token}"
        case house.READY, Swap(_, expected, entry):
            return f"Swap of revision {expected} for {entry and entry.token.access_token}"
        case house.READY, Leave():
            return f"leaves {type(want.scope).__name__}"
        case house.READY, _:
            return type(want).__name__
        case house.COMING, _:
            given = moves.values[caller.detail]
            return f"is answered with {moves.scenario.name(given.received) if isinstance(given, Received) else given}"
        case _:
            return "looks again" if node.waits_for_lease else "has slept"

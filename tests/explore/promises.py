"""What has to be so, whatever happens, as one function of each step and one of each end."""

from collections.abc import Iterable

from attrs import define, field

from exbo_oauth import LoginRequiredError, OAuthError, StoreError, TransportError
from exbo_oauth.clients.cache import Landing
from exbo_oauth.flow.conversation import Deliver
from exbo_oauth.flow.effects import Cell, Send

from .histories import End, Node
from .house import COMING, DONE, GONE, READY, SECOND, Caller, Label, State, number_of
from .inside import moment
from .moves import Moves

__all__ = ["MOST_STEPS", "Broken", "Promises"]

MOST_STEPS = 400  # effects of one caller; a renewal with its request has about 60

# What may cost another issue for the same token: an answer or a write that nobody knows of, or a clock.
COSTLY = {
    "crash",
    "suspension",
    "answer lost after",
    "store error before",
    "store error after",
    "store emptied",
    "store gone back",
    "clock forward",
    "clock back",
}
# What makes a good token look dead to some process, or a dead one good.
DOUBTFUL = {"clock forward", "clock back", "outside supersession"}
# After what nobody knows which of two tokens was issued first.
CONFUSING = {"store emptied", "store gone back", "clock forward", "clock back"}
# What may leave nothing that could be renewed.
ENDING = {
    "crash",
    "suspension",
    "answer lost after",
    "store emptied",
    "store gone back",
    "outside supersession",
}
# Seconds that a fault may make others wait: a lease that nobody prolongs any more, or the pause before another try.
COSTS = {"crash": 10, "suspension": 10, "store error before": 10.2, "store error after": 10.2}


# A token that was refused to the request that it was issued for is handed out for five minutes, whoever ended it.
LATER = 400 * SECOND


class Broken(AssertionError):
    """A promise was not kept."""


@define(eq=False)
class Promises:
    """The promises of one scenario."""

    moves: Moves
    _seen: set[State] = field(factory=set)
    _of: dict[int, frozenset[int]] = field(factory=dict)

    # Each step

    def check(self, before: State, label: Label, after: State) -> None:
        """Raise `Broken` if this step keeps a promise not."""
        if label.who < 0 or label.what != "goes on":
            return
        self._check_issue(before, label, after)
        self._check_nothing_lost(before, label, after)
        self._check_nothing_overwritten(before, after)
        for caller in after.callers:
            if caller not in before.callers:
                self._check_caller(before, label, caller, after)

    def _check_caller(self, before: State, label: Label, caller: Caller, after: State) -> None:
        node = self.moves.tree.nodes[caller.node]
        if node.depth > MOST_STEPS:
            raise Broken("no end in sight")
        if isinstance(node.want, End):
            was = before.callers[label.who]
            followed = was.status == COMING and isinstance(self.moves.values[was.detail], Landing)
            self._check_outcome(node, caller.process, after, followed=followed)
        if caller.status == READY and isinstance(node.want, Deliver) and not node.want.trying:
            self._check_handed(node.want, caller.process, after)

    def _check_issue(self, before: State, label: Label, after: State) -> None:
        caller = before.callers[label.who]
        node = self.moves.tree.nodes[caller.node]
        if caller.status != READY or not isinstance(node.want, Send):
            return
        allowed = 1 + sum(fault in COSTLY for fault in after.faults)
        for number, (was, now) in enumerate(zip(before.tokens, after.tokens, strict=False), 1):
            if now.issues > max(allowed, was.issues):
                raise Broken(f"{now.issues} issues to replace {self.moves.scenario.name(number)}")
            if now.issues > was.issues and was.alive and before.time < was.ends and not self._is_doubtful(after):
                raise Broken(f"{self.moves.scenario.name(number)} was good, and is replaced")
        if after.first > allowed:
            raise Broken(f"{after.first} issues where there was nothing")

    def _is_doubtful(self, state: State) -> bool:
        """Whether somebody may take a good token for a dead one."""
        wrong = state.faults.count("wrong 401") > (not self.moves.scenario.by_hand)
        return wrong or not DOUBTFUL.isdisjoint(state.faults)

    def _check_nothing_lost(self, before: State, label: Label, after: State) -> None:
        if label.fault in ("crash", "store emptied", "store gone back"):
            return
        honoured = self._honoured(after)
        if not honoured or honoured <= (held := self._held(after)):
            return
        for number in self._held(before) & honoured:
            if number not in held:
                raise Broken(f"{self.moves.scenario.name(number)} is honoured, and nobody has it any more")

    def _check_nothing_overwritten(self, before: State, after: State) -> None:
        """Whoever slept puts no dead token in the place of a good one, where clocks and the store can be trusted."""
        if before.entry == after.entry or not CONFUSING.isdisjoint(after.faults):
            return
        was, now = (self._tokens_in(state.entry) for state in (before, after))
        if any(after.tokens[number - 1].alive for number in was) and not any(after.tokens[n - 1].alive for n in now):
            raise Broken(f"a good token in the store is overwritten by {self.moves.values[after.entry]}")

    def _honoured(self, state: State) -> set[int]:
        return {number for number, token in enumerate(state.tokens, 1) if token.honoured and token.ours}

    def _held(self, state: State) -> set[int]:
        """The tokens that the store, or somebody alive, has."""
        held = self._kept(state, range(len(state.processes)))
        for caller in state.callers:
            if caller.status != DONE:
                held.add(self.moves.tree.nodes[caller.node].received)
            if caller.status == COMING:
                held.add(getattr(self.moves.values[caller.detail], "received", 0))
        return held

    def _kept(self, state: State, processes: Iterable[int]) -> set[int]:
        """The tokens in the store, and in the memory of these processes."""
        there = (state.entry, *(state.processes[process].cell for process in processes))
        return set().union(*map(self._tokens_in, there))

    def _tokens_in(self, value: int) -> frozenset[int]:
        """Those in an entry, or a cell."""
        known = self._of.get(value)
        if known is None:
            there = self.moves.values[value]
            entries = [there.entry, there.pending and there.pending.entry] if isinstance(there, Cell) else [there]
            known = frozenset(number_of(entry.token) for entry in entries if entry is not None)
            self._of[value] = known
        return known

    def _check_handed(self, want: Deliver, process: int, state: State) -> None:
        known = self.moves.values[state.processes[process].cell].entry
        jumped = "clock forward" in state.faults  # perhaps since it was issued
        if not jumped and want.token.is_expired(now=moment(state, process)):
            raise Broken("an expired token is handed out")
        if known is not None and number_of(known.token) > number_of(want.token):
            raise Broken(f"{want.token.access_token} is handed out, and {known.token.access_token} is known")

    def _check_outcome(self, node: Node, process: int, state: State, *, followed: bool) -> None:
        outcome = node.want.outcome
        if not isinstance(outcome, BaseException):
            return
        if not isinstance(outcome, OAuthError):
            raise Broken(f"{outcome!r} is not an error of ours") from outcome
        loaded = self._tokens_in(node.loaded) if node.loaded >= 0 else frozenset()
        seen = loaded | self._tokens_in(state.processes[process].cell)
        good = set[int]() if followed else self._honoured(state) & seen
        if not self._has_cause(outcome, state, good):
            raise Broken(f"without a cause: {outcome!r}") from outcome

    def _has_cause(self, outcome: OAuthError, state: State, good: set[int]) -> bool:
        struck = set(state.faults)
        match outcome:
            case LoginRequiredError():
                ended = self.moves.scenario.starts == "dead" and self.moves.scenario.invalidate == "all"
                return (ended or not ENDING.isdisjoint(struck)) and not good
            case StoreError():
                return not {"store error before", "store error after"}.isdisjoint(struck)
            case TransportError():
                return not {"answer lost before", "answer lost after"}.isdisjoint(struck)
            case _:
                return False

    # The end

    def check_last(self, state: State) -> None:
        """Raise `Broken` if this cannot be the end."""
        for caller in state.callers:
            if caller.status != DONE:
                raise Broken(f"a caller waits for ever, at {self.moves.tree.nodes[caller.node].want}")
        longest = sum(COSTS.get(fault, 1.2) for fault in state.faults)
        longest += 10 * state.faults.count("suspension")  # its own
        if state.time > longest * SECOND + SECOND / 10:
            raise Broken(f"it took {state.time / SECOND} s, where {longest} s would be long")
        self._check_newcomers(state)

    def _check_newcomers(self, state: State) -> None:
        """Who is still there, and who comes now, gets a token that works, if there is one to be had."""
        app = self.moves.scenario.kind == "app"
        later = 0 if not app and DOUBTFUL.isdisjoint(state.faults) else LATER
        state = state._replace(callers=(), time=state.time + later, faults=(), left=0)
        if state in self._seen:
            return
        self._seen.add(state)
        living = [number for number, process in enumerate(state.processes) if process.doing != GONE]
        for number in [*living, len(state.processes)]:
            had = app or self._kept(state, {number} & {*living}) & self._honoured(state)
            state, node = self._served(self.moves.joined_by(state, number))
            if had and not node.taken:
                raise Broken(f"process {number + 1}, asked afterwards, is not served: {node.want}")

    def _served(self, state: State) -> tuple[State, Node]:
        while (following := next(iter(self.moves.after(state)), None)) is not None:
            state = following[1]
        [caller] = state.callers
        return state._replace(callers=()), self.moves.tree.nodes[caller.node]

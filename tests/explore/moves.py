"""The steps that lead from one state to the next."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from attrs import define, field

from exbo_oauth import StoreError
from exbo_oauth.clients.performer import Immediate
from exbo_oauth.flow.conversation import Answer, Deliver
from exbo_oauth.flow.effects import (
    Cell,
    Chance,
    Emit,
    Hold,
    Identity,
    Leased,
    Load,
    Now,
    Send,
    Shared,
    Sleep,
    Swap,
    Try,
    Unguessable,
)

from .beginning import asking, by_hand, first_state, key_of
from .faults import Faults, lets_go, only_looks
from .histories import End, Leave, Node, Start, Tree, Values, is_renewal, is_word
from .house import (
    COMING,
    DONE,
    GONE,
    LIFE,
    READY,
    RUNS,
    SECOND,
    SLEEPING,
    SUSPENDED,
    TTL,
    WAITING,
    Caller,
    Draft,
    Label,
    Process,
    Scenario,
    State,
)
from .inside import Inside
from .outside import Server, Store, is_free

__all__ = ["Moves"]

MEMORY = (Immediate, Shared, Try, Leave)
APART = (Now, Chance, Unguessable, Identity, Emit)  # the same, whatever others do
OUTWARD = (Start, Load, Swap, Leased, Hold, Send, Deliver)

DOWN = StoreError("the store is down")


@define(eq=False)
class Moves:
    """The steps of one scenario. With `compares` off, the store overwrites what it should compare first."""

    scenario: Scenario
    compares: bool = True
    values: Values = field(factory=Values)
    tree: Tree = field(init=False)
    faults: Faults = field(init=False)
    inside: Inside = field(init=False)
    store: Store = field(init=False)
    server: Server = field(init=False)
    _none: int = field(init=False)
    _down: int = field(init=False)
    _asker: Node = field(init=False)

    def __attrs_post_init__(self) -> None:
        key = key_of(self.scenario)
        self._none, self._down = map(self.values.number, (None, DOWN))
        self.tree = Tree(self.values)
        self.store, self.server = Store(self.values, self.compares), Server(self.scenario)
        self.inside, self.faults = (
            Inside(key, self.tree, self.values),
            Faults(self.scenario, self.server, self._none),
        )
        self._asker = self.tree.root(partial(by_hand if self.scenario.by_hand else asking, key))

    def start(self) -> State:
        """The first state."""
        return first_state(self.scenario, self.values, self._asker.number)

    def joined_by(self, state: State, process: int) -> State:
        """`state` with another caller, in a new process if that is none of those there are."""
        processes = state.processes
        if process == len(processes):
            processes = (*processes, Process(self.values.number(Cell())))
        caller = Caller(process, self._asker.number, READY)
        return state._replace(callers=(*state.callers, caller), processes=processes)

    # What may come next

    def after(self, state: State) -> Iterator[tuple[Label, State]]:
        """Every step that can be made in `state`, and where it leads."""
        movable = list(self._movable(state))
        alone = next((who for who in movable if self._is_alone(state, who)), None)
        if alone is not None:
            yield from self._steps(state, alone)
            return
        for who in movable:
            yield from self._steps(state, who)
        for number, process in enumerate(state.processes):
            if process.doing == SUSPENDED and state.time > process.since:
                yield Label("wakes up", number), self._woken(state, number)
        if not movable:
            later = self._later(state)
            if later is not None:
                yield Label("time passes"), later

    def _is_alone(self, state: State, who: int) -> bool:
        """Whether the next step is within a process where nobody else can move: others neither see nor disturb it."""
        caller = state.callers[who]
        if caller.status != COMING and not (caller.status == READY and self.tree.nodes[caller.node].parent is None):
            return False
        return all(
            other.process != caller.process or other.status in (WAITING, DONE) or at == who
            for at, other in enumerate(state.callers)
        )

    def _movable(self, state: State) -> Iterator[int]:
        before = None
        for who, caller in enumerate(state.callers):
            if caller != before and state.processes[caller.process].doing == RUNS and self._can_go_on(state, caller):
                yield who  # one of several that are all alike
            before = caller

    def _can_go_on(self, state: State, caller: Caller) -> bool:
        if caller.status in (READY, COMING):
            return True
        if caller.status != SLEEPING:
            return False
        node = self.tree.nodes[caller.node]
        return not node.waits_for_lease or caller.detail != state.entry or is_free(state.lease, state.time)

    def _steps(self, state: State, who: int) -> Iterator[tuple[Label, State]]:
        yield Label("goes on", who), self.step(state, who)
        if state.left:
            for fault in self.faults.possible(state, state.callers[who], self.tree.nodes[state.callers[who].node]):
                yield Label("goes on", who, fault), self.step(state, who, fault)

    def _later(self, state: State) -> State | None:
        """The next moment at which something happens by itself, if anybody waits for one."""
        ends = [process.since + TTL for process in state.processes if process.doing == SUSPENDED]
        if state.lease is not None and state.lease[1] is not None:
            ends += [state.lease[1] for caller in state.callers if self._waits(state, caller)]
        ends = [end for end in ends if end > state.time]
        return state._replace(time=min(ends)) if ends else None

    def _waits(self, state: State, caller: Caller) -> bool:
        return caller.status == SLEEPING and state.processes[caller.process].doing == RUNS

    # Doing it

    def step(self, state: State, who: int, fault: str = "") -> State:
        """What becomes of `state` when this caller goes on, and when this goes wrong meanwhile."""
        draft = Draft.of(state)
        if fault:
            draft.left -= 1
            draft.faults = tuple(sorted((*draft.faults, fault)))
            self._strike_before(draft, who, fault)
        caller = draft.callers[who]
        if caller.status == COMING:
            self._go_on(draft, who, caller.detail)
        elif caller.status == SLEEPING:
            if not self.tree.nodes[caller.node].waits_for_lease:
                draft.time = max(draft.time, caller.detail)
            self._go_on(draft, who, self._none)
        else:
            self._do(draft, who, fault)
        if fault in ("crash", "suspension"):
            self._stop(draft, draft.callers[who].process, fault)
        if not draft.left:
            draft.older = draft.entry  # nobody will ask
        draft.callers.sort(key=_order)
        return draft.state()

    def _strike_before(self, draft: Draft, who: int, fault: str) -> None:
        match fault:
            case "store emptied":
                draft.older, draft.entry, draft.lease = draft.entry, self._none, None
            case "store gone back":
                draft.older, draft.entry, draft.lease = draft.entry, draft.older, None
            case "outside supersession":
                self.server.issue(draft, ours=False)
            case "clock forward" | "clock back":
                number = draft.callers[who].process
                process = draft.processes[number]
                step = 2 * LIFE * SECOND * (1 if fault == "clock forward" else -1)
                draft.processes[number] = process._replace(ahead=process.ahead + step)
            case _:
                pass

    def _stop(self, draft: Draft, number: int, fault: str) -> None:
        """The process is gone, or stands still: nobody prolongs its lease any more."""
        if draft.lease is not None and draft.lease[1] is None and self._holds(draft, number):
            draft.lease = draft.lease[0], draft.time + TTL
        process = draft.processes[number]
        if fault == "suspension":
            draft.processes[number] = process._replace(doing=SUSPENDED, since=draft.time)
            return
        draft.processes[number] = Process(self.values.number(Cell()), doing=GONE)
        for who, caller in enumerate(draft.callers):
            if caller.process == number:
                draft.callers[who] = Caller(number, self._asker.number, DONE)

    def _holds(self, draft: Draft, number: int) -> bool:
        assert draft.lease is not None
        owner = draft.lease[0]
        nodes = (self.tree.nodes[caller.node] for caller in draft.callers if caller.process == number)
        return any(node.owner == owner for node in nodes)

    def _woken(self, state: State, number: int) -> State:
        draft = Draft.of(state)
        draft.processes[number] = draft.processes[number]._replace(doing=RUNS, since=0)
        if draft.lease is not None and self._holds(draft, number):
            draft.lease = draft.lease[0], None
        return draft.state()

    def _do(self, draft: Draft, who: int, fault: str) -> None:
        caller = draft.callers[who]
        node = self.tree.nodes[caller.node]
        want = node.want
        match want:
            case Send(request):
                given = self.server.process(draft, request, self.values[node.loaded], fault)
                draft.callers[who] = caller._replace(status=COMING, detail=self.values.number(given))
            case Deliver():
                taken = fault != "wrong 401" and self.server.takes(draft, want.token)
                given = Answer(refused=not taken, accepted=taken)
                draft.callers[who] = caller._replace(status=COMING, detail=self.values.number(given))
            case Leave(scope) if lets_go(want):
                pending = self.values[draft.processes[caller.process].cell].pending is not None
                self.store.let_go(draft, scope.lease.owner, fails=pending or fault.startswith("store error"))
                self._go_on(draft, who, self._none)
            case Start():
                self._go_on(draft, who, self._none)
            case Load() | Swap() | Leased() | Hold():
                given = self._down if fault == "store error before" else self.store.asked(draft, want, fault)
                self._go_on(draft, who, self._down if fault == "store error after" else given)
            case _:
                given = self.inside.answer(draft, who)
                if given is not None:
                    self._go_on(draft, who, given)

    def _go_on(self, draft: Draft, who: int, answer: int) -> None:
        """Give the caller its answer; what it does with that by itself is done at once."""
        process, number, _, looked = draft.callers[who]
        node = self._next(self.tree.nodes[number], answer)
        while True:
            if node.asked is not None and is_renewal(node.want):
                # Who asks for the lease again is where he was when he asked first: only his next pause is longer.
                node, looked = node.asked, node.loaded
            status = self._standing(node)
            detail = looked if node.waits_for_lease or is_renewal(node.want) else None
            if status == SLEEPING and not node.waits_for_lease:
                detail = draft.time + int(node.want.seconds * SECOND)
            draft.callers[who] = Caller(process, node.number, READY if status is None else status, detail)
            given = None if status is not None else self.inside.answer(draft, who)
            if given is None:
                return
            node = self._next(node, given)

    def _next(self, node: Node, answer: int) -> Node:
        if isinstance(node.want, Leave):
            node, answer = node.left(self.values.number)
        return self.tree.child(node, answer)

    def _standing(self, node: Node) -> int | None:
        """What a caller is at this node, None if it goes on at once."""
        if isinstance(node.want, End):
            return DONE
        if isinstance(node.want, Sleep):
            return SLEEPING
        if node.outward is None:
            node.outward = self._is_outward(node.want)
        return READY if node.outward else None

    def _is_outward(self, want: Any) -> bool:
        """Whether others can tell when this is done, so that it is a step of its own."""
        if is_word(want):
            return False
        if only_looks(want):
            return any(fault.startswith("store error") for fault in self.scenario.among)
        fine = self.scenario.fine and isinstance(want, MEMORY) and not isinstance(want, APART)
        return fine or lets_go(want) or isinstance(want, OUTWARD)


def _order(caller: Caller) -> Any:
    return caller.process, caller.node, caller.status, str(caller.detail)

"""The steps that lead from one state to the next."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field

from exbo_oauth import AppToken, StoreError, TransportError, UserToken
from exbo_oauth.clients.cache import Landing, TokenCache
from exbo_oauth.clients.performer import Immediate, immediately
from exbo_oauth.flow.config import Config
from exbo_oauth.flow.conversation import Answer, Deliver, Request, conversation
from exbo_oauth.flow.effects import (
    Cell,
    Chance,
    Emit,
    Hold,
    Identity,
    Leased,
    Load,
    Now,
    Program,
    Recall,
    Send,
    Shared,
    Sleep,
    Swap,
    Tried,
    Try,
    Unguessable,
)
from exbo_oauth.flow.evidence import Target
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.sharing import shared_entry
from exbo_oauth.masking import Secret
from exbo_oauth.protocol import OAuthProtocol
from exbo_oauth.stores import Entry, Issue, StoreKey

from ..flow.transcript import answer, refusal
from .histories import LEADING, End, Leave, Node, Received, Start, Tree, Values, is_renewal
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
    WAITING,
    Caller,
    Label,
    Process,
    Scenario,
    State,
    Token,
)

__all__ = ["TTL", "Moves"]

T0 = datetime(2030, 1, 1, tzinfo=UTC)
TTL = 10 * SECOND
HOUSE = Config(
    OAuthProtocol(client_id=1, client_secret="S" * 40), lease=10.0, patience=65.0, max_retries=2, issues=True
)
TARGET = Target("api.example", "/items")

ANYWHERE = ("crash", "suspension", "clock forward", "clock back")
MEMORY = (Immediate, Shared, Try, Leave)
APART = (Now, Chance, Unguessable, Identity, Emit)  # the same, whatever others do
OUTWARD = (Start, Load, Swap, Leased, Hold, Send, Deliver)

DOWN = StoreError("the store is down")
LOST = TransportError("no answer", request_sent=True)


def asking(key: StoreKey) -> Program[None]:
    """A request through an auth object."""
    begun = yield from Now()
    return (yield from conversation(Request(HOUSE, key, TARGET, begun, lambda: True)))


def by_hand(key: StoreKey) -> Program[Any]:
    """A request of a caller who asks for a token, and for another one if that is refused."""
    token = (yield from shared_entry(HOUSE, key, Need(60))).token
    if (yield from Deliver(token)).refused:
        token = (yield from shared_entry(HOUSE, key, Need(60, token))).token
        yield from Deliver(token)


@define(eq=False)
class Draft:
    """The state that is being made."""

    callers: list[Caller]
    processes: list[Process]
    entry: int
    older: int
    lease: tuple[str, int | None] | None
    tokens: list[Token]
    time: int
    left: int
    faults: tuple[str, ...]
    first: int

    @classmethod
    def of(cls, state: State) -> "Draft":
        callers, processes, entry, older, lease, tokens, time, left, faults, first = state
        return cls(list(callers), list(processes), entry, older, lease, list(tokens), time, left, faults, first)

    def state(self) -> State:
        return State(
            tuple(self.callers),
            tuple(self.processes),
            self.entry,
            self.older,
            self.lease,
            tuple(self.tokens),
            self.time,
            self.left,
            self.faults,
            self.first,
        )


@define(eq=False)
class Moves:
    """The steps of one scenario. With `compares` off, the store overwrites what it should compare first."""

    scenario: Scenario
    compares: bool = True
    values: Values = field(factory=Values)
    tree: Tree = field(init=False)
    key: StoreKey = field(init=False)
    _anywhere: tuple[str, ...] = field(init=False)
    _none: int = field(init=False)
    _down: int = field(init=False)
    _asker: Node = field(init=False)
    _moments: dict[int, int] = field(factory=dict)
    _yes: int = field(init=False)
    _remembered: dict[tuple[int, int], tuple[int, int]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.tree = Tree(self.values)
        self._anywhere = tuple(fault for fault in self.scenario.among if fault in ANYWHERE)
        self._none, self._yes, self._down = map(self.values.number, (None, True, DOWN))
        self.key = HOUSE.key(None if self.scenario.kind == "app" else "ivan")
        self._asker = self.tree.root(partial(by_hand if self.scenario.by_hand else asking, self.key))

    # Where it begins

    def start(self) -> State:
        """Both tokens of the past are known: the older one is dead, the newer one is as the scenario has it."""
        starts, user = self.scenario.starts, self.scenario.kind == "user"
        if starts == "nothing":
            entry = older = self._none
            tokens: tuple[Token, ...] = ()
        else:
            ends = -100 * SECOND if starts == "expired" else 1800 * SECOND
            honoured = user and not (starts == "dead" and self.scenario.invalidate == "all")
            first = Token(alive=False, honoured=False, ends=ends - LIFE * SECOND, issues=1)
            tokens = (first, Token(alive=starts != "dead", honoured=honoured, ends=ends))
            older = self.values.number(self._old_entry(1, tokens[0].ends))
            entry = self.values.number(self._old_entry(2, ends))
        knows = self.values.number(Cell() if entry == self._none else self._remembering(self.values[entry]))
        stranger = self.values.number(Cell())
        callers = [Caller(0, self._asker.number, READY)] * self.scenario.callers[0]
        callers += [Caller(1, self._asker.number, READY)] * self.scenario.callers[1]
        processes = (Process(knows), Process(stranger))
        return State(tuple(callers), processes, entry, older, None, tokens, 0, self.scenario.faults)

    def _remembering(self, entry: Entry) -> Cell:
        cache = TokenCache()
        cache.remember(self.key, entry)
        return cache.recall(self.key)

    def _old_entry(self, number: int, ends: int) -> Entry:
        issued = T0 + timedelta(microseconds=ends) - timedelta(seconds=LIFE)
        return Entry(
            token=self._token(number, T0 + timedelta(microseconds=ends)),
            revision=number,
            issued_by="here:0",
            issued_at=issued,
            accepted_at=min(issued + timedelta(seconds=LIFE), T0) - timedelta(seconds=60),
            history=(Issue(at=issued, by="here:0", why="first"),),
        )

    def _token(self, number: int, ends: datetime) -> AppToken | UserToken:
        name = self.name(number)
        if self.scenario.kind == "app":
            return AppToken(token_type="Bearer", access_token=name, expires_in=ends)
        return UserToken(token_type="Bearer", access_token=name, refresh_token=f"{name}-refresh", expires_in=ends)

    def name(self, number: int) -> str:
        return f"{self.scenario.kind}-{number}"

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
        return not node.waits_for_lease or caller.detail != state.entry or self._is_free(state.lease, state.time)

    def _is_free(self, lease: tuple[str, int | None] | None, time: int) -> bool:
        return lease is None or (lease[1] is not None and lease[1] <= time)

    def _steps(self, state: State, who: int) -> Iterator[tuple[Label, State]]:
        yield Label("goes on", who), self.step(state, who)
        if state.left:
            for fault in self._possible(state, who):
                yield Label("goes on", who, fault), self.step(state, who, fault)

    def _possible(self, state: State, who: int) -> Iterator[str]:
        caller = state.callers[who]
        node = self.tree.nodes[caller.node]
        if caller.status != READY:
            yield from self._anywhere
            return
        if node.faults is None:
            node.faults = tuple(self._conceivable(node.want))
        for fault in node.faults:
            if not self._changes_nothing(state, node.want, fault):
                yield fault

    def _conceivable(self, want: Any) -> Iterator[str]:
        """What may go wrong while this is done."""
        yield from self._anywhere
        stored = isinstance(want, (Load, Swap, Leased, Hold))
        fitting = {
            "answer lost before": isinstance(want, Send),
            "answer lost after": isinstance(want, Send),
            "store error before": stored or self._lets_go(want),
            "store error after": isinstance(want, (Swap, Leased, Hold)),
            "store emptied": stored and not self._only_looks(want),
            "store gone back": stored and not self._only_looks(want),
            "outside supersession": isinstance(want, (Send, Deliver)) and self.scenario.invalidate is not None,
            "wrong 401": isinstance(want, Deliver),
        }
        yield from (fault for fault in self.scenario.among if fitting.get(fault, False))

    def _changes_nothing(self, state: State, want: Any, fault: str) -> bool:
        match fault:
            case "store emptied":
                return state.entry == self._none
            case "store gone back":
                return state.entry == state.older
            case "wrong 401":
                return not self._is_taken(state, want)
            case _:
                return False

    def _only_looks(self, want: Any) -> bool:
        """Whether this is the lease by which one sees that an account was forgotten."""
        return isinstance(want, Leased) and not is_renewal(want)

    def _lets_go(self, want: Any) -> bool:
        return isinstance(want, Leave) and is_renewal(want.scope)

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
                self._issue(draft, ours=False)
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
        want = self.tree.nodes[caller.node].want
        match want:
            case Send(request):
                given = self._processed(draft, who, request, fault)
                draft.callers[who] = caller._replace(status=COMING, detail=self.values.number(given))
            case Deliver():
                taken = fault != "wrong 401" and self._is_taken(draft, want)
                given = Answer(refused=not taken, accepted=taken)
                draft.callers[who] = caller._replace(status=COMING, detail=self.values.number(given))
            case Leave(scope) if self._lets_go(want):
                self._let_go(draft, who, scope.lease.owner, fault)
                self._go_on(draft, who, self._none)
            case Start():
                self._go_on(draft, who, self._none)
            case Load() | Swap() | Leased() | Hold():
                given = self._down if fault == "store error before" else self._stored(draft, want, fault)
                self._go_on(draft, who, self._down if fault == "store error after" else given)
            case _:
                given = self._inward(draft, who)
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
            given = None if status is not None else self._inward(draft, who)
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
        if self._only_looks(want):
            return any(fault.startswith("store error") for fault in self.scenario.among)
        fine = self.scenario.fine and isinstance(want, MEMORY) and not isinstance(want, APART)
        return fine or self._lets_go(want) or isinstance(want, OUTWARD)

    # Inside a process

    def _inward(self, draft: Draft, who: int) -> int | None:
        """What the caller's own process answers; None if it waits for another caller there."""
        caller = draft.callers[who]
        node = self.tree.nodes[caller.node]
        process = draft.processes[caller.process]
        match node.want:
            case Recall():
                return process.cell
            case Now():
                return self._now(draft.time + process.ahead + caller.process)
            case Leased():
                return self._yes  # nobody forgets anybody here
            case Leave(Leased()):
                return self._none
            case Chance():
                return self.values.number(0.5)
            case Identity():
                return self.values.number(f"here:{caller.process + 1}")
            case Unguessable():
                draft.processes[caller.process] = process._replace(drawn=process.drawn + 1)
                return self.values.number(Secret(f"{caller.process + 1}-{process.drawn + 1}".ljust(43, "u")))
            case Emit():
                return self._none
            case Shared(_, purpose):
                return self._joined(draft, who, purpose, self._is_flying(draft, caller.process, purpose), LEADING)
            case Leave(Shared(_, purpose), outcome):
                landing = Landing(error=outcome) if isinstance(outcome, Exception) else Landing(outcome)
                self._landed(draft, caller.process, purpose, landing)
                return self._none
            case Try(_, host):
                purpose = f"try {host}"
                if purpose not in process.tries:
                    draft.processes[caller.process] = process._replace(tries=(*process.tries, purpose))
                return self._joined(draft, who, purpose, purpose in process.tries, True)
            case Tried(_, host):
                tries = tuple(known for known in process.tries if known != f"try {host}")
                draft.processes[caller.process] = process._replace(tries=tries)
                self._landed(draft, caller.process, f"try {host}", False)
                return self._none
            case _:
                cell, given = self._recalled(process.cell, node)
                draft.processes[caller.process] = process._replace(cell=cell)
                return given

    def moment(self, draft: Draft | State, process: int) -> datetime:
        """The present by the clock of a process; no two show the same."""
        return T0 + timedelta(microseconds=draft.time + draft.processes[process].ahead + process)

    def _now(self, time: int) -> int:
        known = self._moments.get(time)
        if known is None:
            known = self._moments[time] = self.values.number(T0 + timedelta(microseconds=time))
        return known

    def _is_flying(self, draft: Draft, process: int, purpose: str) -> bool:
        nodes = (self.tree.nodes[caller.node] for caller in draft.callers if caller.process == process)
        return any(purpose in node.leads for node in nodes)

    def _joined(self, draft: Draft, who: int, purpose: str, others: bool, alone: Any) -> int | None:
        if not others:
            return self.values.number(alone)
        draft.callers[who] = draft.callers[who]._replace(status=WAITING, detail=purpose)
        return None

    def _landed(self, draft: Draft, process: int, purpose: str, given: Any) -> None:
        for who, caller in enumerate(draft.callers):
            if caller.process == process and caller.status == WAITING and caller.detail == purpose:
                draft.callers[who] = caller._replace(status=COMING, detail=self.values.number(given))

    def _recalled(self, cell: int, node: Node) -> tuple[int, int]:
        """What memory answers, and what is in it afterwards."""
        known = self._remembered.get((cell, node.number))
        if known is None:
            cache = TokenCache()
            cache._cells[self.key] = self.values[cell]
            given = self.values.number(immediately(node.want, cache, _unheard))
            known = self._remembered[cell, node.number] = self.values.number(cache.recall(self.key)), given
        return known

    # The store

    def _stored(self, draft: Draft, want: Any, fault: str) -> int:
        """Do what the store is asked to."""
        match want:
            case Load():
                return draft.entry
            case Swap(_, expected, entry):
                return self.values.number(self._swapped(draft, expected, entry))
            case Leased() if self._only_looks(want):
                return self._yes
            case Leased(_, lease) | Hold(_, lease):
                return self.values.number(self._acquired(draft, want, lease.owner, fault))
            case _:
                raise AssertionError(f"what is the store to do with {want}?")

    def _acquired(self, draft: Draft, want: Any, owner: str, fault: str) -> bool:
        if draft.lease is not None and draft.lease[0] != owner and not self._is_free(draft.lease, draft.time):
            return False
        unknown = fault == "store error after" and isinstance(want, Leased)  # to its holder, who prolongs nothing then
        draft.lease = owner, draft.time + TTL if unknown else None
        return True

    def _swapped(self, draft: Draft, expected: int | None, entry: Entry | None) -> bool:
        there: Entry | None = self.values[draft.entry]
        if self.compares and (None if there is None else there.revision) != expected:
            return False
        if there is None or entry is None or there.token != entry.token:
            draft.older = draft.entry
        draft.entry = self.values.number(entry)
        return True

    def _let_go(self, draft: Draft, who: int, owner: str, fault: str) -> None:
        """Release a lease, unless that fails, or a token waits to be saved; nobody prolongs it any more."""
        if draft.lease is None or draft.lease[0] != owner:
            return
        pending = self.values[draft.processes[draft.callers[who].process].cell].pending
        draft.lease = (owner, draft.time + TTL) if fault.startswith("store error") or pending is not None else None

    # The server

    def _is_taken(self, draft: Draft | State, want: Deliver) -> bool:
        token = draft.tokens[self.number_of(want.token) - 1]
        return token.alive and draft.time < token.ends

    def number_of(self, token: AppToken | UserToken) -> int:
        return int(token.access_token.rpartition("-")[2])

    def _issue(self, draft: Draft, *, ours: bool) -> int:
        if self.scenario.invalidate is not None:
            draft.tokens = [
                token._replace(alive=False, honoured=token.honoured and self.scenario.invalidate != "all")
                for token in draft.tokens
            ]
        draft.time += 1000  # no two issues at the same time
        draft.tokens.append(Token(True, self.scenario.kind == "user", draft.time + LIFE * SECOND, ours))
        return len(draft.tokens)

    def _processed(self, draft: Draft, who: int, request: Any, fault: str) -> Any:
        if fault == "answer lost before":
            return LOST
        form = dict(parse_qsl(request.content.decode()))
        if form["grant_type"] == "refresh_token":
            old = int(form["refresh_token"].removesuffix("-refresh").rpartition("-")[2])
            if not draft.tokens[old - 1].honoured:
                return LOST if fault == "answer lost after" else refusal(401, "invalid_request")
            draft.tokens[old - 1] = draft.tokens[old - 1]._replace(alive=False, honoured=False)
        number = self._issue(draft, ours=True)
        self._count(draft, who)
        if fault == "answer lost after":
            return LOST
        return Received(number, answer(self.name(number), life=LIFE))

    def _count(self, draft: Draft, who: int) -> None:
        """Note which token the latest one replaced."""
        replaced: Entry | None = self.values[self.tree.nodes[draft.callers[who].node].loaded]
        if replaced is None:
            draft.first += 1
            return
        index = self.number_of(replaced.token) - 1
        draft.tokens[index] = draft.tokens[index]._replace(issues=draft.tokens[index].issues + 1)


def _unheard(_event: object) -> None:
    raise AssertionError("events are told nobody")


def _order(caller: Caller) -> Any:
    return caller.process, caller.node, caller.status, str(caller.detail)

"""A small world to run programs in, one effect at a time and in any order.

Several processes, each with its own memory (the real `TokenCache`), share one store and one server with the rules
that were recorded of EXBO's: refresh tokens rotate, and a new token ends earlier ones in one of three ways. A caller
is a program and how far it got; the world does the one effect that it waits for. Between any two effects another
caller may run, time may pass, and a process may vanish.

The world also keeps the books that the invariants are checked against.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, evolve, field

from exbo_oauth import StoreError, TransportError
from exbo_oauth.clients.cache import TokenCache
from exbo_oauth.flow.config import Config
from exbo_oauth.flow.conversation import Answer, Deliver
from exbo_oauth.flow.effects import (
    Accept,
    Answered,
    Chance,
    Emit,
    End,
    Failing,
    Forget,
    Hold,
    HolderOf,
    Identity,
    Later,
    Leased,
    Load,
    Now,
    Program,
    Recall,
    Refuse,
    Remember,
    Remove,
    Rescue,
    Send,
    Shared,
    Shielded,
    Sleep,
    Spend,
    Swap,
    Tried,
    Try,
    Unguessable,
)
from exbo_oauth.masking import Secret
from exbo_oauth.protocol import OAuthProtocol, Request
from exbo_oauth.stores import Entry, StoreKey

from .transcript import answer, refusal

LIFE = 3600
HOUSE = Config(
    OAuthProtocol(client_id=1, client_secret="S" * 40), lease=65.0, patience=65.0, max_retries=1, issues=True
)
FOLLOWER = evolve(HOUSE, issues=False)
APP, IVAN = HOUSE.key(), HOUSE.key("ivan")


class Cancelled(BaseException):
    """What an event loop throws into a task."""


@define
class Pair:
    """An issued token. `alive` is about the access token, `honoured` about its refresh token.

    `delivered_to` is where its answer has arrived, or is bound to: a process that is still there.
    """

    name: str
    number: int
    born: float
    ends: float
    alive: bool = True
    honoured: bool = False
    delivered_to: "Process | None" = None


@define
class Server:
    """The recorded rules. `invalidate` as in `FakeExbo`: what a new token ends of the earlier ones."""

    invalidate: str | None
    tokens: dict[str, Pair] = field(factory=dict)
    superseded: Counter[StoreKey] = field(factory=Counter)

    def issue(self, key: StoreKey, now: float) -> Pair:
        kind = "app" if key == APP else "user"
        for earlier in self.of(kind):
            if self.invalidate is not None:
                self._end(key, earlier, now)
            if self.invalidate == "all":
                earlier.honoured = False
        number = len(self.tokens) + 1
        pair = Pair(f"{kind}-{number}", number, now, now + LIFE, honoured=kind == "user")
        self.tokens[pair.name] = pair
        return pair

    def of(self, kind: str) -> list[Pair]:
        return [pair for pair in self.tokens.values() if pair.name.startswith(kind)]

    def _end(self, key: StoreKey, pair: Pair, now: float) -> None:
        if pair.alive and now < pair.ends:
            self.superseded[key] += 1
        pair.alive = False

    def token(self, form: dict[str, str], now: float) -> Pair | None:
        """The token endpoint: a new token, None for a dead refresh token."""
        if form["grant_type"] == "client_credentials":
            return self.issue(APP, now)
        old = self.tokens[form["refresh_token"].removesuffix("-refresh")]
        if not old.honoured:
            return None
        old.honoured = False  # rotation
        self._end(IVAN, old, now)
        return self.issue(IVAN, now)

    def revoke(self, key: StoreKey, now: float) -> None:
        """End the access tokens alone, as an administrator does (recorded case E18)."""
        for pair in self.of("app" if key == APP else "user"):
            self._end(key, pair, now)

    def accepts(self, name: str, now: float) -> bool:
        pair = self.tokens[name]
        return pair.alive and now < pair.ends


@define
class Api:
    """An API that takes living tokens at most of its endpoints; `weather` says how it is at the moment.

    It does not know a token before `lag` seconds have passed, refuses everybody until `down_until`, and answers in
    turn by as many nodes as there are in `sick`, which refuse everybody where that is true.
    """

    server: Server
    lag: float = 0.0
    down_until: float = 0.0
    sick: tuple[bool, ...] = (False,)
    asked: Counter[str] = field(factory=Counter)
    _node: int = 0

    def answer(self, path: str, name: str, now: float) -> bool:
        """Whether the token is taken at `path`; paths that begin with ``/no`` take none."""
        self.asked[path] += 1
        self._node = (self._node + 1) % len(self.sick)
        knows = self.server.accepts(name, now) and now >= self.server.tokens[name].born + self.lag
        return knows and now >= self.down_until and not self.sick[self._node] and not path.startswith("/no")


@define(eq=False)
class Process:
    """Memory that only this process has. Its clock is `ahead` of the others'."""

    name: str
    ahead: float = 0.0
    cache: TokenCache = field(factory=TokenCache)
    flights: "dict[tuple[StoreKey, str], SimulatedFlight]" = field(factory=dict)
    handed: list[tuple[StoreKey, str]] = field(factory=list)
    gone: bool = False


@define(eq=False)
class SimulatedFlight:
    """Who waits for the outcome of a leader, and when that one last did something."""

    last_step: float
    waiting: "list[Caller]" = field(factory=list)


@define
class Frame:
    """A running program and the scope whose body it is; None for the program that the caller asked for."""

    program: Program[Any]
    scope: Any = None


@define(eq=False)
class Caller:
    """A program on its way.

    `rejected` is the token that it does not want, `path` the endpoint that it calls, `behind` whether its process
    does not know the newest token. `wants` is the effect that it waits for; `answer` a call to the
    server that is on its way back; `waits_for` a flight; `asleep_until` a moment. `came_after` is how many tokens there
    were before it. `seen` is what it recalled last, `loaded` what it found in the store, `result` how it ended.
    `has_looked` says that it found its lease held, with nothing left to do but to see whether the store is as it was,
    and to send. `delivered` are the answers that its request got from an API.
    """

    process: Process
    key: StoreKey
    frames: list[Frame]
    came_after: int
    clock_steps: int
    rejected: str | None = None
    path: str = ""
    behind: bool = False
    wants: Any = None
    answer: Any = None
    waits_for: SimulatedFlight | None = None
    asleep_until: float | None = None
    cancelled: bool = False
    seen: Any = None
    loaded: Any = None
    has_looked: bool = False
    delivered: list[bool] = field(factory=list)
    done: bool = False
    result: Any = None

    @property
    def shielded(self) -> bool:
        return any(isinstance(frame.scope, Shielded) for frame in self.frames)


@define
class World:
    """Everything outside the programs. `time` only grows; the wall clock is `skew` ahead of it."""

    server: Server
    time: float = 0.0
    skew: float = 0.0
    clock_steps: int = 0
    store: dict[StoreKey, Entry] = field(factory=dict)
    leases: dict[StoreKey, tuple[str, float]] = field(factory=dict)
    callers: list[Caller] = field(factory=list)
    processes: list[Process] = field(factory=list)
    store_failures: int = 0
    failing_store_applies: bool = False
    excuses: Counter[StoreKey] = field(factory=Counter)
    excuses_before: dict[tuple[StoreKey, Any], int] = field(factory=dict)
    issues: Counter[tuple[StoreKey, Any]] = field(factory=Counter)
    forgotten: bool = False
    api: Api | None = None
    written: list[Entry] = field(factory=list)
    events: list[Any] = field(factory=list)
    _numbers: Any = field(factory=lambda: count(1))
    _leading: "dict[Caller, SimulatedFlight]" = field(factory=dict)

    @property
    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time + self.skew)

    # Callers

    def begin(self, process: Process, key: StoreKey, program: Program[Any], rejected: str | None = None) -> Caller:
        caller = Caller(process, key, [Frame(program)], len(self.server.tokens), self.clock_steps, rejected)
        self.callers.append(caller)
        self._resume(caller, None)
        return caller

    def step(self, caller: Caller, trouble: str = "none") -> None:
        """Do what the caller waits for. `trouble` happens to a request, if it is one."""
        self._sign_of_life(caller)
        if caller.answer is not None:
            (_, given), caller.answer = caller.answer, None
            self._resume(caller, given)
        elif caller.asleep_until is not None:
            self.time, caller.asleep_until = max(self.time, caller.asleep_until), None
            self._resume(caller, None)
        elif isinstance(caller.wants, Send):
            caller.answer = self._answered(caller, caller.wants.request, trouble)
        elif isinstance(caller.wants, Deliver):
            caller.answer = "API", self._asked(caller, caller.wants.token.access_token)
        elif caller.waits_for is None:
            self._perform(caller)

    def _asked(self, caller: Caller, name: str) -> Answer:
        assert self.api is not None
        path = caller.path
        taken = self.api.answer(path, name, self.time)
        caller.delivered.append(taken)
        caller.rejected = caller.rejected if taken else name
        return Answer(refused=not taken, accepted=taken)

    def cancel(self, caller: Caller, *, performed: bool) -> None:
        """Cancel the caller at the effect that it waits for, which may have happened all the same."""
        if caller.shielded:
            caller.cancelled = True
            return
        if caller.waits_for is not None:
            caller.waits_for.waiting.remove(caller)
            caller.waits_for = None
        elif performed and isinstance(caller.wants, Swap):
            self._swapped(caller.wants)
        elif performed and isinstance(caller.wants, Remove):
            self._removed(caller.wants.key)
        caller.asleep_until = caller.answer = None
        self._resume(caller, Cancelled())

    def lose_patience(self, caller: Caller) -> None:
        """A waiter that has watched a silent leader for long enough goes its own way."""
        flight = caller.waits_for
        assert flight is not None
        if self.time - flight.last_step <= HOUSE.lease:
            return
        flight.waiting.remove(caller)
        caller.waits_for = None
        self._take_off_the_board(caller.process, flight)
        self._resume(caller, None)

    def crash(self, process: Process) -> None:
        """A process is gone, with its memory. What it held in the store ends by itself."""
        process.gone = True
        self.processes.remove(process)
        self.callers = [caller for caller in self.callers if caller.process is not process]
        for key in (APP, IVAN):
            self.excuses[key] += 1
        for pair in self.server.tokens.values():
            if pair.delivered_to is process:
                pair.delivered_to = None

    # Running generators

    def _resume(self, caller: Caller, given: Any) -> None:
        """Hand an answer, or raise an exception, to the innermost program, up to its next wish."""
        while caller.frames:
            program = caller.frames[-1].program
            try:
                caller.wants = program.throw(given) if isinstance(given, BaseException) else program.send(given)
                return
            except StopIteration as stop:
                given = stop.value
            except (Exception, Cancelled) as error:  # noqa: BLE001  # how a program ends is its caller's business
                given = error
            given = self._leave(caller, caller.frames.pop().scope, given)
        caller.wants, caller.done, caller.result = None, True, given
        self.callers.remove(caller)

    def _leave(self, caller: Caller, scope: Any, given: Any) -> Any:
        match scope:
            case Leased(key, lease):
                if self.leases.get(key, ("", 0))[0] == lease.owner and not self._store_fails(key)[0]:
                    del self.leases[key]
            case Shared():
                flight = self._leading.pop(caller)
                self._take_off_the_board(caller.process, flight)
                self._settle(flight, None if isinstance(given, Cancelled) else given)
            case Later() if isinstance(given, StoreError):
                return None  # nobody hears of it
            case Shielded() if caller.cancelled and not caller.shielded:
                caller.cancelled = False
                return Cancelled()
            case _:
                pass
        return given

    def _settle(self, flight: SimulatedFlight, given: Any) -> None:
        waiting, flight.waiting = flight.waiting, []
        for waiter in waiting:
            waiter.waits_for = None
            waiter.wants = None
            waiter.answer = ("settled", given)

    def _take_off_the_board(self, process: Process, flight: SimulatedFlight) -> None:
        process.flights = {name: known for name, known in process.flights.items() if known is not flight}

    def _sign_of_life(self, caller: Caller) -> None:
        if caller in self._leading:
            self._leading[caller].last_step = self.time

    # Effects

    def _perform(self, caller: Caller) -> None:
        effect, cache = caller.wants, caller.process.cache
        match effect:
            case Shared(key, purpose, _, body):
                self._share(caller, key, purpose, body)
                return
            case Leased(key, lease, body):
                self._lease(caller, effect, key, lease, body)
                return
            case Shielded(body) | Later(_, _, body):
                caller.frames.append(Frame(body(), effect))
                self._resume(caller, None)
                return
            case Sleep(seconds):
                caller.has_looked = False
                caller.asleep_until = self.time + seconds
                return
            case Now():
                self.time += 0.00001  # no two looks at a clock show the same, so no two entries have one revision
                given: Any = self.now + timedelta(seconds=caller.process.ahead)
            case Emit(event):
                given = self.events.append(event)
            case Accept(key, acceptance):
                given = cache.accept(key, acceptance)
            case Refuse(key, refusal):
                given = cache.refuse(key, refusal)
            case Answered(key, token, target, at):
                given = cache.note_answer(key, token, target, at)
            case Try(key, host):
                self._try(caller, key, f"try {host}")
                return
            case Tried(key, host):
                given = self._tried(caller.process, key, f"try {host}")
            case Chance():
                given = 0.5
            case Identity():
                given = caller.process.name
            case Unguessable():
                given = Secret(f"{next(self._numbers):043d}"[::-1])
            case Recall(key):
                given = caller.seen = cache.recall(key)
            case Remember(key, entry):
                given = cache.remember(key, entry)
            case Spend(key, token):
                given = cache.spend(key, token)
            case Rescue(key, pending):
                given = cache.rescue(key, pending)
            case Failing(key, failing):
                given = cache.note_failing(key, failing)
            case End(key, name):
                given = cache.note_end(key, name)
            case Forget(key, revision):
                given = cache.forget(key, revision)
                flights = caller.process.flights
                caller.process.flights = {name: flight for name, flight in flights.items() if name[0] != key}
            case Load(key):
                given = self._stored(key, lambda: self.store.get(key))
                caller.loaded = given if key == caller.key else caller.loaded
            case Swap(key):
                given = self._stored(key, lambda: self._swapped(effect))
            case Remove(key):
                given = self._stored(key, lambda: self._removed(key))
            case Hold(key, lease):
                given = self._stored(key, lambda: self._acquired(key, lease.owner, lease.ttl))
                caller.has_looked = given is True if key == caller.key else caller.has_looked
            case HolderOf(key):
                owner, until = self.leases.get(key, (None, 0.0))
                given = owner if self.time < until else None
            case _:
                raise AssertionError(f"nobody does {effect} here")
        self._resume(caller, given)

    def _share(self, caller: Caller, key: StoreKey, purpose: str, body: Any) -> None:
        flight = caller.process.flights.get((key, purpose))
        if flight is not None:
            caller.waits_for = flight
            flight.waiting.append(caller)
            return
        flight = caller.process.flights[key, purpose] = SimulatedFlight(self.time)
        self._leading[caller] = flight
        caller.frames.append(Frame(body(), caller.wants))
        self._resume(caller, None)

    def _try(self, caller: Caller, key: StoreKey, purpose: str) -> None:
        flight = caller.process.flights.get((key, purpose))
        if flight is None:
            caller.process.flights[key, purpose] = SimulatedFlight(self.time)
            self._resume(caller, True)
            return
        caller.waits_for = flight
        flight.waiting.append(caller)

    def _tried(self, process: Process, key: StoreKey, purpose: str) -> None:
        flight = process.flights.pop((key, purpose), None)
        if flight is not None:
            self._settle(flight, False)

    def _lease(self, caller: Caller, effect: Any, key: StoreKey, lease: Any, body: Any) -> None:
        taken = self._stored(key, lambda: self._acquired(key, lease.owner, lease.ttl))
        caller.has_looked = False
        if taken is True:
            caller.frames.append(Frame(body(), effect))
            taken = None
        elif taken is False:
            taken = None
        self._resume(caller, taken)

    # The store

    def _store_fails(self, key: StoreKey) -> tuple[bool, bool]:
        """Whether the store fails now, and whether it does what was asked for all the same."""
        if not self.store_failures:
            return False, True
        self.store_failures -= 1
        self.excuses[key] += 1
        return True, self.failing_store_applies

    def _stored(self, key: StoreKey, call: Any) -> Any:
        fails, applies = self._store_fails(key)
        given = call() if applies else None
        return StoreError("the store is down") if fails else given

    def _swapped(self, swap: Swap) -> bool:
        stored = self.store.get(swap.key)
        if (None if stored is None else stored.revision) != swap.expected:
            return False
        if swap.entry is None:
            self.store.pop(swap.key, None)
            return True
        same = stored is not None and stored.token == swap.entry.token
        assert stored is None or same or swap.entry.revision > stored.revision, "revisions grow"
        self.store[swap.key] = swap.entry
        if swap.key not in (APP, IVAN):  # a word to the others
            return True
        self.written += [] if same else [swap.entry]
        token = swap.entry.token
        for name in (token.access_token, getattr(token, "refresh_token", None)):
            self.excuses_before.setdefault((swap.key, name), self.excuses[swap.key])
        return True

    def _removed(self, key: StoreKey) -> int | None:
        entry = self.store.pop(key, None)
        return None if entry is None else entry.revision

    def _acquired(self, key: StoreKey, owner: str, ttl: float) -> bool:
        holder, until = self.leases.get(key, (owner, self.time))
        if holder != owner:
            if self.time < until:
                return False
            self.excuses[key] += self._is_past_looking(holder)
        self.leases[key] = (owner, self.time + ttl)
        return True

    def _is_past_looking(self, owner: str) -> bool:
        """Whether a holder that let its lease run out may issue without another look at it."""
        holding = [
            caller
            for caller in self.callers
            if any(isinstance(frame.scope, Leased) and frame.scope.lease.owner == owner for frame in caller.frames)
        ]
        return any(caller.has_looked for caller in holding)

    # The server

    def _answered(self, caller: Caller, request: Request, trouble: str) -> Any:
        form = dict(parse_qsl(request.content.decode()))
        if trouble == "unsent":
            return "error", TransportError("no connection", request_sent=False)
        if trouble == "lost before":
            return "error", TransportError("no answer", request_sent=True)
        if trouble == "busy":
            return "refusal", refusal(429, headers={"retry-after": "20"})
        if trouble == "broken":
            return "refusal", refusal(500)
        return self._processed(caller, form, trouble)

    def _processed(self, caller: Caller, form: dict[str, str], trouble: str) -> Any:
        replaced = self._replaced(caller, form)
        pair = self.server.token(form, self.time)
        if pair is not None:
            self._note(caller.key, replaced)
            pair.delivered_to = None if "after" in trouble else caller.process
        if trouble in ("lost after", "broken after"):
            self.excuses[caller.key] += 1
            lost = TransportError("no answer", request_sent=True)
            return ("error", lost) if trouble == "lost after" else ("refusal", refusal(502))
        if pair is None:
            return "refusal", refusal(401, "invalid_request")
        return "token", answer(pair.name, life=LIFE)

    def _replaced(self, caller: Caller, form: dict[str, str]) -> Any:
        """Which token a request is to replace: the owner of a refresh token, or the app token in the store."""
        assert not self._needless(caller), "a good token is left alone"
        if form["grant_type"] == "client_credentials":
            return None if caller.loaded is None else caller.loaded.token.access_token
        spent = caller.seen.spent
        assert spent != Secret(form["refresh_token"]), "a refresh token known to be refused is never sent again"
        return form["refresh_token"]

    def _needless(self, caller: Caller) -> bool:
        """Whether the token to be replaced came after the caller did, and is still young and not known to be dead."""
        if caller.loaded is None or caller.clock_steps != self.clock_steps:
            return False
        token = caller.loaded.token
        came = self.server.tokens[token.access_token].number > caller.came_after
        young = token.expires_in - self.now > timedelta(seconds=LIFE / 2 + 60)
        return came and young and token.access_token != caller.rejected

    def _note(self, key: StoreKey, replaced: Any) -> None:
        """The law: one issue for each token that has to be replaced."""
        self.issues[key, replaced] += 1
        excused = self.excuses[key] - self.excuses_before.get((key, replaced), 0)
        assert self.issues[key, replaced] <= 1 + excused, f"too many issues to replace {replaced}"

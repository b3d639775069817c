"""Any interleaving of callers, crashes, clock steps, lost answers and failing stores keeps the promises.

The promises, precisely:

- *One issue.* For every token that has to be replaced, the server issues one, and one more at most for each excuse
  since that token was stored: an answer was lost or spoilt after the server had acted, a process was killed, a lease
  ran out behind its holder's last look, the store failed. And nobody sends a refresh token that was known to be
  refused when they last looked.
- *None for nothing.* Nobody replaces a good token that came while they were on their way.
- *Nothing dead.* No caller is handed the token that it saw refused.
- *Nothing forgotten.* An account that was forgotten stays so in this process until somebody signs in again, unless a
  clock was set back: then a process that knew nothing of what is gone may give its revision away a second time.
- *Nothing lost.* If the server still honours a refresh token that reached a process which is still alive, then the
  store, or the rescue of a process, holds one that it honours.
- *No false alarm.* A conflict is reported only if three tokens were superseded before their end, or the clock was set
  and nobody can tell.
- *Progress.* Once faults stop, every caller comes to an end, and a newcomer gets a token that works.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from exbo_oauth import OAuthError, TokenConflictError, TokenResponse, UserToken
from exbo_oauth.flow.accounts import forget_token, save_token
from exbo_oauth.flow.effects import (
    Chance,
    Emit,
    End,
    Failing,
    Forget,
    Hold,
    Identity,
    Leased,
    Load,
    Now,
    Program,
    Recall,
    Remember,
    Rescue,
    Send,
    Shielded,
    Sleep,
    Spend,
    Swap,
    Unguessable,
)
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.sharing import ensure_app_token, ensure_user_token
from exbo_oauth.stores import StoreKey

from .world import APP, FOLLOWER, HOUSE, IVAN, LIFE, Caller, Cancelled, Pair, Process, Server, World

Blow = tuple[Any, str]

NUMBERS = st.integers(0, 1000)
STOPS = st.integers(0, 12)  # a renewal has about eight
TROUBLES = ("unsent", "lost before", "lost after", "busy", "broken", "broken after")
PLACES = st.sampled_from([Send, None, Swap, Load, Leased, Sleep, Hold, Remember])
PLAGUES = ("nothing", "cancel", "crash", "stall", "store", "overtaken", "forgotten")
DEADLY: list[Blow] = [
    *((Send, trouble) for trouble in TROUBLES),
    (Swap, "store"),
    (Swap, "stall"),
    (Remember, "forgotten"),
    (Send, "overslept"),
    (None, "cancel"),
    (None, "stall"),
    (Leased, "overtaken"),
    (Shielded, "used up"),
]
BLOWS = st.one_of(st.sampled_from(DEADLY), st.tuples(PLACES, st.sampled_from(PLAGUES)))
INWARD = (Now, Chance, Identity, Unguessable, Recall, Remember, Spend, Rescue, Forget, Emit, Failing, End)
ENOUGH = 3000


def token_of(world: World, pair: Pair) -> UserToken:
    return UserToken(
        token_type="Bearer",
        access_token=pair.name,
        refresh_token=f"{pair.name}-refresh",
        expires_in=world.now + timedelta(seconds=pair.ends - world.time),
    )


def uninterrupted(program: Program[Any]) -> Program[Any]:
    """As a sign-in saves its token."""
    return (yield from Shielded(lambda: program))


class Sharing(RuleBasedStateMachine):
    """Anything may happen in any order."""

    @initialize(invalidate=st.sampled_from(["all", "access", None]), processes=st.integers(1, 3))
    def build(self, invalidate: str | None, processes: int) -> None:
        self.world = World(Server(invalidate))
        self.born = 0
        self.blocked: dict[tuple[Process, str], int] = {}
        self.begun: dict[Caller, int] = {}
        self.events = 0
        self.signing: Caller | None = None
        for _ in range(processes):
            self.start_process()
        self.seed()

    def seed(self) -> None:
        """Everything works: both tokens are in the store, and everybody uses them."""
        world = self.world
        pair = world.server.issue(IVAN, world.time)
        self.finished(self.begin(self.process(0), IVAN, save_token(HOUSE, "ivan", token_of(world, pair))))
        pair.delivered_to = self.process(0)
        for process in world.processes:
            for key in (APP, IVAN):
                self.finished(self.ensure(process, key, Need(60)))

    # Helpers

    def start_process(self) -> Process:
        self.born += 1
        process = Process(f"here:{self.born}")
        self.world.processes.append(process)
        return process

    def process(self, number: int) -> Process:
        return self.world.processes[number % len(self.world.processes)]

    def caller(self, number: int) -> Caller:
        return self.world.callers[number % len(self.world.callers)]

    def begin(self, process: Process, key: Any, program: Program[Any], rejected: str | None = None) -> Caller:
        self.events += 1
        caller = self.world.begin(process, key, program, rejected)
        self.begun[caller] = self.events
        return caller

    def ensure(self, process: Process, key: Any, need: Need, *, follows: bool = False) -> Caller:
        house = FOLLOWER if follows else HOUSE
        app = key == APP
        program: Any = ensure_app_token(house, need) if app else ensure_user_token(house, "ivan", need)
        return self.begin(process, key, program, None if need.rejected is None else need.rejected.reveal())

    def advance(self, caller: Caller, trouble: str = "none") -> None:
        self.world.step(caller, trouble)
        self.check_if_done(caller)

    def check_if_done(self, caller: Caller) -> None:
        if caller.done:
            self.check(caller)

    def go(self, caller: Caller, stops: int) -> None:
        """Let the caller do so many things outside its own memory."""
        while stops > 0 and not caller.done and caller.waits_for is None:
            stops -= caller.answer is not None or not isinstance(caller.wants, INWARD)
            self.advance(caller)

    def check(self, caller: Caller) -> None:
        result = caller.result
        if caller is self.signing:
            self.give_up_what_was_before(self.signed_in, saved=result is None)
        if isinstance(result, BaseException):
            assert isinstance(result, OAuthError | Cancelled), result
            if isinstance(result, TokenConflictError) and not self.world.clock_steps:
                assert self.world.server.superseded[caller.key] >= 3, "no false alarm"
            return
        if result is None:
            return
        assert result.access_token != caller.rejected, "nothing dead"
        gone = self.blocked.get((caller.process, result.access_token))
        assert gone is None or gone > self.begun[caller] or self.world.clock_steps, "nothing forgotten"
        caller.process.handed.append((caller.key, result.access_token))

    def give_up_what_was_before(self, signed_in: Pair, *, saved: bool) -> None:
        """A sign-in replaces what is stored. If it fails, its token is in the error, for whoever wanted it saved."""
        for pair in self.world.server.of("user"):
            if pair.number < signed_in.number or (pair is signed_in and not saved):
                pair.delivered_to = None

    # What callers do

    @rule(
        key=st.sampled_from([APP, IVAN, IVAN]),
        why=st.sampled_from(["revoked", "revoked", "superseded", "expired", "ends soon", "no reason"]),
        callers=st.lists(st.tuples(NUMBERS, STOPS), min_size=1, max_size=4),
        struck=NUMBERS,
        blow=BLOWS,
        applies=st.booleans(),
        rounds=st.integers(0, 40),
    )
    def need_a_token(
        self,
        key: StoreKey,
        why: str,
        callers: list[tuple[int, int]],
        struck: int,
        blow: Blow,
        applies: bool,
        rounds: int,
    ) -> None:
        """An episode: something makes a renewal necessary, some ask for it, and one of them is struck on its way."""
        need = self.worn_out(key, why)
        for number, stops in callers:
            owner = self.process(number)
            self.go(self.ensure(owner, key, need(owner), follows=number % 10 == 9), stops)
        if self.world.callers:
            self.strike(self.caller(struck), blow, applies)
        self.everybody_goes_on(rounds)

    def worn_out(self, key: StoreKey, why: str) -> Callable[[Process], Need]:
        """Make a renewal necessary; what a process will ask for then."""
        world = self.world
        if why == "superseded":
            world.server.issue(key, world.time)
        if why == "revoked":
            world.server.revoke(key, world.time)
        world.time += {"expired": LIFE + 1, "ends soon": LIFE / 2}.get(why, 1)

        def need(process: Process) -> Need:
            had = [name for known, name in process.handed if known == key]
            refused = had and not world.server.accepts(had[-1], world.time)
            return Need(LIFE / 2 + 60 if why == "ends soon" else 60, had[-1] if refused else None)

        return need

    @rule(process=NUMBERS, number=NUMBERS)
    def be_refused_late(self, process: int, number: int) -> None:
        """A 401 for a token that was replaced long ago."""
        owner = self.process(process)
        dead = [(key, name) for key, name in owner.handed if not self.world.server.accepts(name, self.world.time)]
        if dead:
            key, name = dead[number % len(dead)]
            self.ensure(owner, key, Need(60, name))

    @precondition(lambda self: self.signing is None or self.signing.done)
    @rule(process=NUMBERS, stops=STOPS)
    def sign_in(self, process: int, stops: int) -> None:
        """One at a time: of two sign-ins to one account the one that is saved last wins, which may be the older."""
        pair = self.signed_in = self.world.server.issue(IVAN, self.world.time)
        pair.delivered_to = self.process(process)
        program = save_token(HOUSE, "ivan", token_of(self.world, pair))
        caller = self.signing = self.begin(self.process(process), IVAN, uninterrupted(program))
        self.go(caller, 1 + stops)  # into the shield at least, where the code was exchanged

    @rule(process=NUMBERS, really=st.sampled_from([False] * 5 + [True]))
    def forget(self, process: int, really: bool) -> None:
        if really:
            self.forget_in(self.process(process))

    def forget_in(self, owner: Process) -> None:
        self.world.forgotten = True
        caller = self.begin(owner, IVAN, forget_token(HOUSE, "ivan"))
        # Run through at once: what it promises is about calls that begin after it has ended.
        while not caller.done:
            self.world.step(caller)
        signing = self.signing is not None and not self.signing.done  # and may yet save what it has
        if caller.result is None and not signing:
            self.events += 1
            for pair in self.world.server.of("user"):
                self.blocked[owner, pair.name] = self.events

    # What happens to them

    @precondition(lambda self: self.world.callers)
    @rule(number=NUMBERS, blow=BLOWS, applies=st.booleans())
    def be_struck(self, number: int, blow: Blow, applies: bool) -> None:
        self.strike(self.caller(number), blow, applies)

    def strike(self, caller: Caller, blow: Blow, applies: bool) -> None:
        """Let the caller go on to a certain point, if there is one, and have the worst happen there."""
        where, what = blow
        self.reach(caller, where)
        if caller.done:
            return
        match what:
            case "cancel":
                self.world.cancel(caller, performed=applies)
                self.check_if_done(caller)
            case "crash":
                self.crash(caller.process)
            case "stall":
                self.world.time += HOUSE.lease + 1
            case "store":
                self.world.store_failures, self.world.failing_store_applies = 1, applies
                self.advance(caller)
            case "overtaken":
                self.finished(self.ensure(self.start_process(), caller.key, Need(60)))
            case "forgotten":
                self.forget_in(caller.process)
            case "overslept":
                self.oversleep(caller, 6 if applies else ENOUGH)
            case "used up":
                self.use_up(caller)
            case trouble if trouble in TROUBLES:
                self.advance(caller, trouble)

    def oversleep(self, caller: Caller, stops: int) -> None:
        """Something goes wrong, and in the pause before the next attempt the lease ends and another one is faster."""
        self.advance(caller, "lost before")
        self.reach(caller, Sleep)
        if isinstance(caller.wants, Sleep):
            self.world.time += HOUSE.lease + 1
            had = caller.loaded.token if caller.loaded is not None else None
            self.go(self.ensure(self.start_process(), caller.key, Need(60, had)), stops)

    def use_up(self, caller: Caller) -> None:
        """The leader has its token, and sees it refused, before those wake up who waited for it."""
        token = self.finished(caller)
        if isinstance(token, TokenResponse):
            self.world.server.revoke(caller.key, self.world.time)
            self.go(self.ensure(caller.process, caller.key, Need(60, token)), 1)

    def reach(self, caller: Caller, where: Any) -> None:
        """Let the caller go on until it wants such an effect; `None` stands for an answer that is on its way."""
        for _ in range(40):
            there = caller.answer is not None if where is None else isinstance(caller.wants, where)
            if caller.done or caller.waits_for is not None or there:
                return
            self.advance(caller)

    def crash(self, process: Process) -> None:
        if self.signing is not None and self.signing.process is process:
            self.signing = None
        self.world.crash(process)
        self.start_process()

    @precondition(lambda self: self.world.callers)
    @rule(number=NUMBERS, inner=st.integers(1, 12))
    def step(self, number: int, inner: int) -> None:
        """Between two thoughts, too, somebody else may run: threads do not ask."""
        caller = self.caller(number)
        for _ in range(inner):
            if not caller.done:
                self.advance(caller)

    @rule(rounds=st.integers(1, 60))
    def drift(self, rounds: int) -> None:
        self.everybody_goes_on(rounds)

    def everybody_goes_on(self, rounds: int) -> None:
        for _ in range(rounds):
            for caller in list(self.world.callers):
                if not caller.done:
                    self.advance(caller)

    @precondition(lambda self: any(caller.waits_for for caller in self.world.callers))
    @rule(number=NUMBERS)
    def lose_patience(self, number: int) -> None:
        waiting = [caller for caller in self.world.callers if caller.waits_for is not None]
        self.world.lose_patience(waiting[number % len(waiting)])

    @rule(seconds=st.sampled_from([0.1, 5, 66, 400]))
    def wait(self, seconds: float) -> None:
        self.world.time += seconds

    @rule(seconds=st.sampled_from([-7200, -60, 60, 7200]))
    def set_the_clock(self, seconds: float) -> None:
        self.world.skew += seconds
        self.world.clock_steps += 1

    # The end

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.store_failures = 0
        self.let_everybody_finish()
        self.check_that_nothing_is_lost()
        self.check_that_newcomers_are_served()

    def let_everybody_finish(self) -> None:
        for _ in range(ENOUGH):
            if not self.world.callers:
                return
            for caller in list(self.world.callers):
                if not caller.done:
                    self.advance(caller)
            # The lease of a process that is gone ends by itself.
            self.world.time += 0.5
        raise AssertionError(f"no progress: {self.world.callers}")

    def check_that_nothing_is_lost(self) -> None:
        world = self.world
        if world.forgotten:
            return
        kept = [world.store[IVAN]] if IVAN in world.store else []
        kept += [cell.pending.entry for cell in self.cells() if cell.pending is not None]
        honoured = {pair.name for pair in world.server.of("user") if pair.honoured}
        reached = {pair.name for pair in world.server.of("user") if pair.honoured and pair.delivered_to is not None}
        assert not reached or honoured & {entry.token.access_token for entry in kept}, "nothing lost"

    def cells(self) -> list[Any]:
        return [process.cache.recall(IVAN) for process in self.world.processes]

    def check_that_newcomers_are_served(self) -> None:
        world, process = self.world, self.start_process()
        token = self.finished(self.ensure(process, APP, Need(60)))
        if not world.server.accepts(token.access_token, world.time):
            caller = self.ensure(process, APP, Need(60, token))
            token = self.finished(caller)
            if isinstance(token, TokenConflictError):
                return
        assert world.server.accepts(token.access_token, world.time)

    def finished(self, caller: Caller) -> Any:
        """Run it to its end, and those that it waits for."""
        for _ in range(ENOUGH):
            if caller.done:
                return caller.result
            self.advance(caller)
            if caller.waits_for is not None:
                self.everybody_goes_on(1)
            elif not caller.done and isinstance(caller.wants, Sleep):
                self.world.time += 1.0  # the lease that it waits for ends by itself
        raise AssertionError(f"no progress: {caller}")


TestSharing = Sharing.TestCase
TestSharing.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

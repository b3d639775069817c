"""Any interleaving of callers, crashes, clock steps, lost answers and failing stores keeps the promises.

The promises, precisely:

- *One issue.* For every token that has to be replaced, the server issues one, and one more at most for each excuse since
  that token was stored: an answer was lost or spoilt after the server had acted, a process was killed, a holder let
  its lease run out, the store failed. And no process sends a refresh token that it saw refused.
- *Nothing dead.* No caller is handed a token that its process knew to be refused when it last looked.
- *Nothing forgotten.* An account that was forgotten stays so in this process until somebody signs in again.
- *Nothing lost.* If the server still honours a refresh token that reached a process which is still alive, then the
  store, or the rescue of a process, holds one that it honours.
- *No false alarm.* A conflict is reported only if three tokens were superseded before their end.
- *Progress.* Once faults stop, every caller comes to an end, and a newcomer gets a token that works.
"""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from exbo_oauth import OAuthError, TokenConflictError, UserToken
from exbo_oauth.flow.effects import (
    Chance,
    Forget,
    Identity,
    Now,
    Program,
    Recall,
    Refuse,
    Remember,
    Rescue,
    Send,
    Shielded,
    Spend,
    Unguessable,
)
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.sharing import ensure_app_token, ensure_user_token, forget_token, save_token
from exbo_oauth.masking import Secret

from .world import APP, FOLLOWER, HOUSE, IVAN, LIFE, Caller, Cancelled, Pair, Process, Server, World

NUMBERS = st.integers(0, 1000)
STOPS = st.integers(0, 12)  # a renewal has about eight
TROUBLES = st.sampled_from(["unsent", "lost before", "lost after", "busy", "broken", "broken after"])
INWARD = (Now, Chance, Identity, Unguessable, Recall, Remember, Refuse, Spend, Rescue, Forget)
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

    def begin(self, process: Process, key: Any, program: Program[Any]) -> Caller:
        self.events += 1
        caller = self.world.begin(process, key, program)
        self.begun[caller] = self.events
        return caller

    def ensure(self, process: Process, key: Any, need: Need, *, follows: bool = False) -> Caller:
        house = FOLLOWER if follows else HOUSE
        if key == APP:
            return self.begin(process, key, ensure_app_token(house, need))
        return self.begin(process, key, ensure_user_token(house, "ivan", need))

    def advance(self, caller: Caller, trouble: str = "none") -> None:
        self.world.step(caller, trouble)
        if caller.done:
            self.check(caller)

    def go(self, caller: Caller, stops: int) -> None:
        """Let the caller do so many things outside its own memory."""
        while stops > 0 and not caller.done and caller.waits_for is None:
            stops -= caller.answer is not None or not isinstance(caller.wants, INWARD)
            self.advance(caller)

    def check(self, caller: Caller) -> None:
        result = caller.result
        if isinstance(result, BaseException):
            assert isinstance(result, OAuthError | Cancelled), result
            if isinstance(result, TokenConflictError):
                assert self.world.server.superseded[caller.key] >= 3, "no false alarm"
            if caller is self.signing:
                self.signed_in.delivered_to = None  # it was in the error, for whoever wanted it saved
            return
        if result is None:
            return
        assert Secret(result.access_token) not in caller.seen.refused, "nothing dead"
        gone = self.blocked.get((caller.process, result.access_token))
        assert gone is None or gone > self.begun[caller], "nothing forgotten"
        caller.process.handed.append((caller.key, result.access_token))

    # What callers do

    @rule(
        process=NUMBERS,
        key=st.sampled_from([APP, IVAN]),
        min_ttl=st.sampled_from([0, 60, 2000]),
        follows=st.sampled_from([False] * 5 + [True]),
        stops=STOPS,
    )
    def ask(self, process: int, key: Any, min_ttl: float, follows: bool, stops: int) -> None:
        if len(self.world.callers) < 8:
            self.go(self.ensure(self.process(process), key, Need(min_ttl), follows=follows), stops)

    @precondition(lambda self: any(process.handed for process in self.world.processes))
    @rule(process=NUMBERS, number=NUMBERS, stops=st.lists(STOPS, min_size=1, max_size=3))
    def be_refused(self, process: int, number: int, stops: list[int]) -> None:
        """A late 401, or a few: whoever was handed a token that is dead now, or has just been superseded."""
        users = [process for process in self.world.processes if process.handed]
        owner = users[process % len(users)]
        key, name = owner.handed[-1 - number % min(3, len(owner.handed))]
        if self.world.server.accepts(name, self.world.time):
            self.world.server.issue(key, self.world.time)
        if self.world.server.accepts(name, self.world.time):
            return  # this server ends nothing
        for many in stops:
            self.go(self.ensure(owner, key, Need(60, name)), many)

    @precondition(lambda self: self.signing is None or self.signing.done)
    @rule(process=NUMBERS, stops=STOPS)
    def sign_in(self, process: int, stops: int) -> None:
        """One at a time: of two sign-ins to one account the one that is saved last wins, which may be the older."""
        pair = self.signed_in = self.world.server.issue(IVAN, self.world.time)
        pair.delivered_to = self.process(process)
        program = save_token(HOUSE, "ivan", token_of(self.world, pair))
        caller = self.signing = self.begin(self.process(process), IVAN, uninterrupted(program))
        self.go(caller, 1 + stops)  # into the shield at least, where the code was exchanged

    @rule(process=NUMBERS)
    def forget(self, process: int) -> None:
        self.world.forgotten = True
        owner = self.process(process)
        caller = self.begin(owner, IVAN, forget_token(HOUSE, "ivan"))
        # Run through at once: what it promises is about calls that begin after it has ended.
        for _ in range(ENOUGH):
            if caller.done:
                break
            self.world.step(caller)
        signing = self.signing is not None and not self.signing.done  # and may yet save what it has
        if caller.result is None and not signing:
            self.events += 1
            for pair in self.world.server.of("user"):
                self.blocked[owner, pair.name] = self.events

    # What happens to them

    @precondition(lambda self: self.world.callers)
    @rule(number=NUMBERS, trouble=TROUBLES)
    def meet_trouble(self, number: int, trouble: str) -> None:
        """Go on to the next request, if there is one, and have something happen to it."""
        caller = self.caller(number)
        for _ in range(20):
            if caller.done or caller.waits_for is not None or isinstance(caller.wants, Send):
                break
            self.advance(caller)
        if not caller.done:
            self.advance(caller, trouble)

    @precondition(lambda self: self.world.callers)
    @rule(number=NUMBERS, stops=STOPS)
    def run_on(self, number: int, stops: int) -> None:
        self.go(self.caller(number), stops)

    @precondition(lambda self: self.world.callers)
    @rule(number=NUMBERS, inner=st.integers(1, 12))
    def step(self, number: int, inner: int) -> None:
        """Between two thoughts, too, somebody else may run: threads do not ask."""
        caller = self.caller(number)
        for _ in range(inner):
            if not caller.done:
                self.advance(caller)

    @rule(rounds=st.integers(1, 60))
    def everybody_goes_on(self, rounds: int) -> None:
        for _ in range(rounds):
            for caller in list(self.world.callers):
                if not caller.done:
                    self.advance(caller)

    @precondition(lambda self: self.world.callers)
    @rule(number=NUMBERS, performed=st.booleans())
    def cancel(self, number: int, performed: bool) -> None:
        caller = self.caller(number)
        self.world.cancel(caller, performed=performed)
        if caller.done:
            self.check(caller)

    @precondition(lambda self: any(caller.waits_for for caller in self.world.callers))
    @rule(number=NUMBERS)
    def lose_patience(self, number: int) -> None:
        waiting = [caller for caller in self.world.callers if caller.waits_for is not None]
        self.world.lose_patience(waiting[number % len(waiting)])

    @rule(number=NUMBERS)
    def crash(self, number: int) -> None:
        if self.signing is not None and self.signing.process is self.process(number):
            self.signing = None
        self.world.crash(self.process(number))
        self.start_process()

    @rule(seconds=st.sampled_from([0.1, 5, 30, 66, 400, LIFE - 30, LIFE + 1]))
    def wait(self, seconds: float) -> None:
        self.world.time += seconds

    @rule(seconds=st.sampled_from([-7200, -60, -1, 1, 60, 7200]))
    def set_the_clock(self, seconds: float) -> None:
        self.world.skew += seconds

    @rule(key=st.sampled_from([APP, IVAN]))
    def be_superseded(self, key: Any) -> None:
        self.world.server.issue(key, self.world.time)

    @rule(times=st.integers(1, 3), applies=st.booleans())
    def break_the_store(self, times: int, applies: bool) -> None:
        self.world.store_failures, self.world.failing_store_applies = times, applies

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
        for _ in range(ENOUGH):
            if caller.done:
                return caller.result
            self.advance(caller)
        raise AssertionError(f"no progress: {caller}")


TestSharing = Sharing.TestCase
TestSharing.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

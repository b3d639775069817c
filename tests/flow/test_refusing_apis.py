"""Calls of a fleet to an API that refuses tokens for every reason there is: what is served, and what it costs.

Several processes with clocks of their own share a store and an application. The API has endpoints that work and such
that take no token, nodes that may be sick, replicas that learn of a token late, and times when it refuses everybody;
another deployment may fetch tokens of its own. Whatever happens in whatever order:

- *Served.* While the API works, a call to an endpoint that works is answered; where it is not, the newest token was
  superseded or is unknown to the API yet, and was last issued for this API less than five minutes ago, in vain; or
  this process had slept through one supersession and met the next one; or the API was seen to refuse living tokens.
- *Three sendings* of one request at most, and after a refused replacement none.
- *Cheap.* Tokens are issued for the first call, for natural ends and for supersessions; besides, an API that refuses
  good ones costs one token in five minutes.
- *No false conflict.* An error blames another deployment only if three tokens that had worked were refused for good,
  which a superseded one is, and one that is refused again and again while the API is down looks like.
- *A crowd* that meets a superseded token costs one issue, one replay each, and three requests more for all.
"""

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from exbo_oauth import TokenConflictError
from exbo_oauth.flow.conversation import MIN_TTL, Deliver, Request, continued, conversation
from exbo_oauth.flow.effects import Now, Program, Sleep
from exbo_oauth.flow.evidence import Target

from .world import APP, HOUSE, LIFE, Api, Caller, Process, Server, World

NUMBERS = st.integers(0, 1000)
PATHS = st.sampled_from(["/a", "/a", "/b", "/no", "/no2"])
WINDOW = 300
MOST_TRIALS = 3


def request_of(process: Process, path: str) -> Program[None]:
    """A request as an adapter carries it: with the token in memory if there is one."""
    begun = yield from Now()
    request = Request(HOUSE, APP, Target("api.test", path), begun, lambda: True)
    held = process.cache.shelf(APP.base_url, APP.client_id).get(None)
    if held is None or not held.serves(begun.timestamp(), MIN_TTL):
        yield from conversation(request)
        return
    answer = yield from Deliver(held.token)
    if answer.refused or (yield from Now()).timestamp() >= held.due:
        yield from continued(request, held.token, answer)


class RefusingApis(RuleBasedStateMachine):
    """Anything may happen in any order."""

    @initialize(processes=st.integers(1, 4), lag=st.sampled_from([0, 0, 0.3, 1]), ahead=st.sampled_from([0, 0, 120]))
    def build(self, processes: int, lag: float, ahead: float) -> None:
        server = Server("all")
        self.world = World(server, time=10_000.0)
        self.api = self.world.api = Api(server, lag=lag)
        self.fleet = [Process(f"here:{number}", ahead=ahead * (number == 1)) for number in range(processes)]
        self.world.processes = list(self.fleet)
        self.outside: list[float] = []
        self.troubles: list[float] = []
        self.sicknesses = 0

    # What the fleet does

    def begin(self, number: int, path: str) -> Caller:
        process = self.fleet[number % len(self.fleet)]
        caller = self.world.begin(process, APP, request_of(process, path))
        caller.path = path
        known, stored = process.cache.recall(APP).entry, self.world.store.get(APP)
        caller.behind = known is not None and stored is not None and known.revision != stored.revision
        return caller

    def finish(self, callers: list[Caller]) -> None:
        """Let them run in turns."""
        for _ in range(5000):
            waiting = [caller for caller in callers if not caller.done]
            if not waiting:
                return
            awake = [caller for caller in waiting if caller.waits_for is None and not isinstance(caller.wants, Sleep)]
            for caller in awake or waiting:
                if not caller.done:
                    self.world.step(caller)
            self.world.time += 0.001
        raise AssertionError(f"no end: {waiting}")

    @rule(number=NUMBERS, path=PATHS, times=st.integers(1, 4), pause=st.sampled_from([0, 0.2, 6, 31]))
    def call(self, number: int, path: str, times: int, pause: float) -> None:
        for _ in range(times):
            before = self.picture()
            caller = self.begin(number, path)
            self.finish([caller])
            self.check(caller, before)
            self.world.time += pause

    @rule(numbers=st.lists(NUMBERS, min_size=2, max_size=12), path=st.sampled_from(["/a", "/b"]))
    def crowd(self, numbers: list[int], path: str) -> None:
        before = self.picture()
        callers = [self.begin(number, path) for number in numbers]
        self.finish(callers)
        for caller in callers:
            self.check(caller, before)

    @rule(numbers=st.lists(NUMBERS, min_size=2, max_size=12), path=st.sampled_from(["/a", "/b"]))
    def crowd_that_meets_a_superseded_token(self, numbers: list[int], path: str) -> None:
        for number in range(len(self.fleet)):
            self.call(number, path, 2, 0)
        untroubled = self.is_untroubled()
        self.supersede(1)
        written, asked = len(self.world.written), sum(self.api.asked.values())
        self.crowd(numbers, path)
        if untroubled:
            assert len(self.world.written) == written + 1, "one issue"
            assert sum(self.api.asked.values()) - asked <= 2 * len(numbers) + MOST_TRIALS, "one replay each"

    def is_untroubled(self) -> bool:
        """Whether nothing happened lately but that tokens were issued."""
        world, entry = self.world, self.world.store[APP]
        recent = [issue for issue in entry.history if abs(world.now - issue.at) < timedelta(seconds=WINDOW + 150)]
        quiet = not entry.doubted and not entry.superseded and all(issue.taken or not issue.target for issue in recent)
        alive = world.server.accepts(entry.token.access_token, world.time)  # else its target is not heard at the moment
        return quiet and alive and world.time >= self.api.down_until and not any(self.api.sick) and not self.api.lag

    # What happens to it

    @rule(times=st.sampled_from([1, 1, 1, 2]))
    def supersede(self, times: int) -> None:
        for _ in range(times):
            self.world.server.issue(APP, self.world.time)
            self.outside.append(self.world.time)

    @rule(seconds=st.sampled_from([0.5, 5, 60, 400]))
    def go_down(self, seconds: float) -> None:
        self.api.down_until = self.world.time + seconds
        self.troubles.append(self.api.down_until)

    @rule(nodes=st.sampled_from([1, 1, 5]))
    def fall_sick(self, nodes: int) -> None:
        self.sicknesses += nodes > 1
        self.api.sick = tuple(number == 0 and nodes > 1 for number in range(nodes))

    @rule(seconds=st.sampled_from([0.5, 2, 20, 301, LIFE + 1]))
    def wait(self, seconds: float) -> None:
        self.world.time += seconds

    # What must hold

    def picture(self) -> tuple[float, int]:
        return self.world.time, len(self.outside)

    def check(self, caller: Caller, before: tuple[float, int]) -> None:
        assert len(caller.delivered) <= 3, "three sendings"
        if isinstance(caller.result, TokenConflictError):
            assert len(self.outside + self.troubles) >= 3 or self.sicknesses, "no false conflict"
            return
        assert caller.result is None, caller.result
        if caller.delivered[-1] or caller.path.startswith("/no") or caller.behind or self.is_excused(before[0]):
            return
        raise AssertionError(f"not served: {caller.delivered}")

    def is_excused(self, began: float) -> bool:
        """Whether the API refuses good tokens, or was lately given one in vain that is not good any more."""
        world, entry = self.world, self.world.store[APP]
        newest = world.server.tokens[entry.token.access_token]
        if began < self.api.down_until or any(self.api.sick) or began < newest.born + self.api.lag:
            return True
        recent = [issue for issue in entry.history if abs(world.now - issue.at) < timedelta(seconds=WINDOW + 150)]
        in_vain = any(issue.target and issue.taken != "target" for issue in recent)
        return bool(entry.doubted) or (in_vain and not world.server.accepts(newest.name, world.time))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        replaced = [entry for entry in self.world.written if entry.history[-1].why == "refused"]
        elapsed = self.world.time - 10_000 + max(process.ahead for process in self.fleet)  # by the fastest clock
        troubles = len(self.outside) + len(self.troubles) + self.sicknesses
        assert len(replaced) <= troubles + elapsed / WINDOW + 1, "cheap"


TestRefusingApis = RefusingApis.TestCase
TestRefusingApis.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

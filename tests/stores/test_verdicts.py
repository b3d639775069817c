"""What a 401 costs a fleet: four processes on one store, threads and tasks, against servers that count.

The state machine in `tests/flow/test_refusing_apis.py` has the same numbers on paper. What was counted is printed.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from exbo_oauth import SyncOAuthClient
from exbo_oauth.stores import store_from_url
from exbo_oauth.testing import App, FakeExbo

from .fleet import Part
from .refusing_api import RefusingApi
from .servers import RedisServer

COLOURS = ("threads", "asyncio", "threads", "trio")
CROWD = (13, 13, 12, 12)
WINDOW = 301.0


@define(eq=False)
class Fleet:
    """Processes on one store. Their clocks, and that of the server, are set forward together."""

    store_url: str
    fake: FakeExbo
    base_url: str
    workers: list[Part]
    app: App
    account: str | None = None
    calls: list[tuple[str, str, float]] = field(factory=list)

    def options(self, base_url: str = "") -> dict[str, Any]:
        secret = self.app.client_secret
        return {"client_id": self.app.client_id, "client_secret": secret, "base_url": base_url or self.base_url}

    def begin(
        self,
        *urls: str,
        callers: tuple[int, ...] = (1, 1, 1, 1),
        times: int = 1,
        pause: float = 0.0,
        later: float = 0.0,
        base_url: str = "",
        together: bool = False,
    ) -> None:
        """Have the URLs called one after the other by each of so many callers, `times` times.

        `together`, none ends before all others of its process have.
        """
        self.fake.advance(later)
        for worker, number in zip(self.workers, callers, strict=True):
            order = {"app": self.options(base_url), "account": self.account, "urls": urls, "callers": number}
            worker.tell(json.dumps({**order, "times": times, "pause": pause, "ahead": later, "together": together}))

    def end(self) -> Counter[str]:
        """What the calls came to; each is also in `calls`."""
        self.calls = [tuple(call) for worker in self.workers for call in json.loads(worker.hears("["))]
        return Counter(f"{path} {said}" for path, said, _ in self.calls)

    def call(self, *urls: str, **order: Any) -> Counter[str]:
        self.begin(*urls, **order)
        return self.end()

    @property
    def issued(self) -> int:
        """How many tokens the application got."""
        return sum(token.client_id == self.app.client_id for token in self.fake.issued)

    def asked_for_tokens(self) -> int:
        return sum(one.client_id == self.app.client_id and one.path.endswith("/token") for one in self.fake.requests)


@pytest.fixture(scope="module")
def fake() -> Iterator[tuple[FakeExbo, str]]:
    ours = FakeExbo(app_points=10**9, user_points=10**9)
    with ours.serve() as base_url:
        yield ours, base_url


@pytest.fixture(scope="module", params=["sqlite", "redis", "postgres"])
def workers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, list[Part]]]:
    if request.param == "sqlite":
        url = f"sqlite:///{(tmp_path_factory.mktemp('verdicts') / 'tokens.db').as_posix()}"
    else:
        server = request.getfixturevalue(request.param)
        url = server.url if isinstance(server, RedisServer) else server
    parts = [Part.start(colour, url, program=Path(__file__).with_name("caller.py")) for colour in COLOURS]
    try:
        for part in parts:
            part.hears("ready")
        yield url, parts
    finally:
        for part in parts:
            part.kill()


@pytest.fixture
def fleet(fake: tuple[FakeExbo, str], workers: tuple[str, list[Part]]) -> Fleet:
    """All processes, and an application that nobody has used yet."""
    return Fleet(workers[0], *fake, workers[1], fake[0].add_app())


@pytest.fixture
def api(fake: tuple[FakeExbo, str]) -> Iterator[RefusingApi]:
    with RefusingApi(fake[0]).served() as ours:
        yield ours


@pytest.fixture
def other(fake: tuple[FakeExbo, str]) -> Iterator[RefusingApi]:
    with RefusingApi(fake[0]).served() as ours:
        yield ours


@pytest.mark.parametrize("refusing", ["endpoints", "host"])
def test_what_refuses_every_token_costs_one_in_five_minutes_and_nobody_a_call(
    fleet: Fleet, api: RefusingApi, other: RefusingApi, refusing: str
) -> None:
    other.down = True
    bad = [f"{other.url}/x"] if refusing == "host" else [f"{api.url}/no", f"{api.url}/no2"]
    for windows in range(1, 3):
        seen = fleet.call(f"{api.url}/good", *bad, callers=(3, 3, 3, 3), times=4, later=WINDOW)
        print(f"{dict(seen)}: {fleet.issued} tokens issued in {windows} windows of five minutes")
        assert seen["/good 200"] == 12 * 4, "not served"
        assert len(seen) == 1 + len(bad), "something else than the 401"
        assert fleet.issued <= 1 + windows


def test_calls_are_served_within_a_second_after_an_outage(fleet: Fleet, api: RefusingApi) -> None:
    fleet.call(f"{api.url}/good")
    fleet.begin(f"{api.url}/good", callers=(3, 3, 3, 3), times=50, pause=0.05)
    time.sleep(0.3)
    api.down = True
    time.sleep(1.2)
    api.down, recovered = False, time.time()
    seen = fleet.end()
    later = Counter(said for _, said, begun in fleet.calls if begun >= recovered + 1)
    print(f"{dict(seen)}, from a second after the recovery on {dict(later)}: {fleet.issued} tokens issued")
    assert set(later) == {"200"}
    assert set(seen) == {"/good 200", "/good 401"}
    assert fleet.issued <= 2


def test_fifty_callers_who_meet_a_superseded_token_cost_one_token_and_one_replay_each(
    fleet: Fleet, api: RefusingApi
) -> None:
    fleet.call(f"{api.url}/good", callers=CROWD)
    fleet.fake.supersede(app=fleet.app)
    issued, api.asked = fleet.issued, Counter()
    api.gather(sum(CROWD))
    seen = fleet.call(f"{api.url}/good", callers=CROWD)
    requests, tokens = api.asked.total(), fleet.issued - issued
    print(f"{dict(seen)}: {requests} requests for {sum(CROWD)} calls, {tokens} tokens issued")
    assert seen == {"/good 200": sum(CROWD)}
    assert tokens == 1
    assert requests <= 2 * sum(CROWD) + 3


def test_with_one_bad_node_of_five_no_less_is_served_than_with_a_fixed_token(fleet: Fleet, api: RefusingApi) -> None:
    fleet.call(f"{api.url}/good")
    api.sick = (True, False, False, False, False)
    seen = fleet.call(f"{api.url}/good", callers=(5, 5, 5, 5), times=10, together=True)
    fixed = 0.8 * seen.total()
    print(f"{dict(seen)}, with a fixed token {fixed:.0f}: {fleet.issued} tokens issued")
    assert seen["/good 200"] >= fixed
    assert fleet.issued <= 2


def test_a_deleted_user_costs_one_token_in_five_minutes(fleet: Fleet, api: RefusingApi) -> None:
    fleet.account = "ivan"
    with SyncOAuthClient(**fleet.options(), store=(store := store_from_url(fleet.store_url))) as oauth:
        attempt = oauth.begin_login()
        oauth.finish_login(attempt, fleet.fake.authorize(attempt.url), account="ivan")
    store.close()
    api.down = True
    for windows in range(1, 3):
        seen = fleet.call(f"{api.url}/a", f"{api.url}/b", callers=(2, 2, 2, 2), times=3, later=WINDOW)
        print(f"{dict(seen)}: {fleet.issued} tokens issued in {windows} windows of five minutes")
        assert set(seen) == {"/a 401", "/b 401"}
        assert fleet.issued <= 1 + windows


def test_a_server_that_gives_the_refused_token_back_is_not_asked_for_ever(fleet: Fleet, api: RefusingApi) -> None:
    for windows in range(1, 3):
        base_url = f"{api.url}/cached/oauth"
        seen = fleet.call(f"{api.url}/good", callers=(2, 2, 2, 2), times=2, later=WINDOW, base_url=base_url)
        asked = api.asked["/cached/oauth/token"]
        print(f"{dict(seen)}: {asked} token requests in {windows} windows of five minutes")
        assert set(seen) <= {"/good 401", "/good MalformedResponseError"}
        assert asked <= 1 + 2 * windows


def test_a_dead_token_that_leads_to_a_login_page_is_replaced(fleet: Fleet, api: RefusingApi) -> None:
    fleet.call(f"{api.url}/web")
    fleet.fake.supersede(app=fleet.app)
    issued = fleet.issued
    seen = fleet.call(f"{api.url}/web", callers=(3, 3, 3, 3), times=2)
    print(f"{dict(seen)}: {fleet.issued - issued} tokens issued")
    assert seen == {"/web 200": 24}
    assert fleet.issued == issued + 1


def test_fifty_callers_do_not_ask_a_token_endpoint_that_wants_to_be_left_alone(fleet: Fleet, api: RefusingApi) -> None:
    fleet.fake.fail_next(429, retry_after=60)
    seen = fleet.call(f"{api.url}/good", callers=CROWD)
    print(f"{dict(seen)}: {fleet.asked_for_tokens()} token requests")
    assert seen == {"/good RateLimitError": sum(CROWD)}
    assert fleet.asked_for_tokens() == 1

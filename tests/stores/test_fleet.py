"""Eight processes of 25 tasks each on one store, against a server that ends the earlier token with each new one.

What each fleet did is printed, and beside it what the same one did whose processes fetch tokens for themselves.
EXBO_FLEET_SECONDS says how long each is at work, 20 unless it is set.
"""

import os
import random
import time
from pathlib import Path

import pytest

from .fleet import Report, fleet
from .servers import RedisServer, redis_server

TTL = 2.0
SECONDS = float(os.environ.get("EXBO_FLEET_SECONDS", "20"))


@pytest.fixture(scope="module")
def naive() -> Report:
    with fleet("naive", ttl=TTL) as ours:
        time.sleep(SECONDS)
        return ours.report()


@pytest.mark.parametrize("which", ["redis", "postgres"])
def test_a_fleet_issues_one_token_a_life_and_sees_no_401(
    which: str, naive: Report, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(which)
    with fleet(server.url if isinstance(server, RedisServer) else server, ttl=TTL) as ours:
        time.sleep(SECONDS)
        ours.everyone_is_served()
        report = ours.report()
    print(f"shared in {which}: {report}\neach its own: {naive}")
    assert set(report.answers) == {"200"}
    assert not report.errors
    assert report.used == set(report.issued), "a token was issued for nobody"
    # On a busy machine some time passes between the end of a token and the next, but not a whole life.
    assert report.lives / 2 <= len(report.issued) <= report.lives + 1
    assert len(naive.issued) > 2 * naive.lives, "tokens that end each other did not get into each other's way"


def test_nothing_stops_a_fleet_whose_store_restarts_and_whose_workers_are_killed(tmp_path: Path) -> None:
    with redis_server(tmp_path, durable=True) as server, fleet(server.url, ttl=TTL) as ours:
        kills, end = 0, time.monotonic() + SECONDS
        while kills < 3 or time.monotonic() < end:
            time.sleep(random.uniform(0.2, 1.0))
            ours.replace()
            kills += 1
            server.kill()
            time.sleep(random.uniform(0.0, 0.5))
            server.start()
        ours.everyone_is_served()
        report = ours.report()
    print(f"{report}, {kills} workers killed and as many restarts")
    assert set(report.answers) == {"200"}
    # Who needs the store while it is away is told so; nothing else goes wrong.
    assert set(report.errors) <= {"StoreError"}
    # What nobody could use, somebody had in hand who was killed, or whose store was, before it was saved.
    assert len(report.used) <= report.lives + 1
    assert len(report.issued) <= report.lives + 1 + kills

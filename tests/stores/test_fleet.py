"""Eight processes of 25 tasks each on one store, against a server that ends the earlier token with each new one.

A run takes some seconds; EXBO_FLEET_SECONDS makes it longer.
"""

import os
import random
import time
from pathlib import Path

import pytest

from .fleet import fleet
from .servers import RedisServer, redis_server

TTL = 2.0
SECONDS = float(os.environ.get("EXBO_FLEET_SECONDS", "6"))


@pytest.mark.parametrize("which", ["redis", "postgres"])
def test_a_fleet_issues_one_token_a_life_and_sees_no_401(which: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(which)
    with fleet(server.url if isinstance(server, RedisServer) else server, ttl=TTL) as ours:
        time.sleep(SECONDS)
        ours.everyone_is_served()
        report = ours.report()
    print(report.told(TTL))
    assert set(report.answers) == {"200"}
    assert not report.errors
    assert 1 < len(report.issued) <= report.lives(TTL) + 1


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
    print(report.told(TTL), f"{kills} kills and restarts")
    assert set(report.answers) == {"200"}
    # Who needs the store while it is away is told so; nothing else goes wrong.
    assert set(report.errors) <= {"StoreError"}
    # A worker that was killed with a new token in hand takes it along.
    assert len(report.issued) <= report.lives(TTL) + 1 + kills

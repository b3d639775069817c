"""Why did my token die? A fleet of processes is asked by its events, and by the store, and the server's journal knows.

Some tokens are replaced by one of the processes, others ended from outside. Whoever ended one is named: by the events
of those who noticed, and by the store alone.
"""

import json
import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from exbo_oauth import StoreKey
from exbo_oauth.flow.entries import fingerprint, successor
from exbo_oauth.stores import store_from_url
from exbo_oauth.testing import FakeExbo

from .servers import RedisServer

ROOT = Path(__file__).parents[2]
SIZE = 4
# Two at most that are noticed by a 401: the third within five minutes is a conflict, after which nothing is issued.
PLOT = ("0", "1", "outside", "2", "3", "by hand", "1", "0")


@define(eq=False)
class Teller:
    """One process, and the events that it told of."""

    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(factory=list)

    @property
    def name(self) -> str:
        return f"{socket.gethostname()}:{self.process.pid}"

    def ask(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def done(self) -> Any:
        assert self.process.stdout is not None
        while "done" not in (line := json.loads(self.process.stdout.readline())):
            self.events.append(line)
        return line["done"]


@contextmanager
def tellers(fake: FakeExbo, store_url: str) -> Iterator[list[Teller]]:
    """The fleet at work."""
    environment = {"PYTHONPATH": str(ROOT), "STORY_CLIENT": fake.app.client_id, "STORY_SECRET": fake.app.client_secret}
    command = [sys.executable, str(Path(__file__).with_name("storyteller.py")), store_url, fake.base_url, fake.api_url]
    pipe, started = subprocess.PIPE, list[Teller]()
    try:
        for _ in range(SIZE):
            process = subprocess.Popen(command, env=os.environ | environment, stdin=pipe, stdout=pipe, text=True)
            started.append(Teller(process))
        for teller in started:
            assert teller.done() == "ready"
        yield started
    finally:
        for teller in started:
            teller.process.kill()
            teller.process.communicate()


def all_call(fleet: list[Teller]) -> None:
    for teller in fleet:
        teller.ask("call")
    assert [teller.done() for teller in fleet] == [200] * SIZE


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'tokens.db').as_posix()}"
    server = request.getfixturevalue(request.param)
    return server.url if isinstance(server, RedisServer) else str(server)


def test_whoever_ended_a_token_is_named_by_the_events_and_by_the_store(store_url: str) -> None:
    fake, strangers, unshared = FakeExbo(), set[str](), set[str]()
    key, by_the_store = None, dict[str, str]()
    with fake.serve(), tellers(fake, store_url) as fleet:
        key, store = StoreKey(fake.base_url, fake.app.client_id), store_from_url(store_url)
        for who in PLOT:
            all_call(fleet)
            entry = store.load(key)
            assert entry is not None
            dying = fingerprint(entry.token.access_token)
            if who == "outside":
                strangers.add(fingerprint(fake.supersede().access_token))
            elif who == "by hand":
                fleet[2].ask("by hand")
                assert fleet[2].done() == 200
                unshared.add(fingerprint(fake.issued[-1].access_token))
            else:
                fleet[int(who)].ask("replace")
                assert fleet[int(who)].done() == 200
            all_call(fleet)
            entry = store.load(key)
            assert entry is not None
            following = successor(entry, dying)
            by_the_store[dying] = "outside" if following.why == "refused" else following.by
        store.close()
    by_the_journal = told_by_the_server(fake, fleet, strangers)
    by_the_journal = {ended: by for ended, by in by_the_journal.items() if ended not in unshared}
    assert len(by_the_journal) == len(PLOT)
    assert sorted(by_the_journal.values()).count("outside") == PLOT.count("outside")
    assert by_the_store == by_the_journal
    assert told_by_the_events(fleet) == {name: {issuer} for name, issuer in by_the_journal.items()}


def told_by_the_server(fake: FakeExbo, fleet: list[Teller], strangers: set[str]) -> dict[str, str]:
    """Of each token of the fleet that was superseded: who was issued the token that ended it."""
    names = {token.number: fingerprint(token.access_token) for token in fake.issued}
    issued_to = {
        event["fingerprint"]: teller.name
        for teller in fleet
        for event in teller.events
        if event["event"] == "TokenIssued"
    }
    ends = {names[event.token]: names[event.by] for event in fake.events if event.kind == "superseded"}
    return {
        ended: "outside" if by in strangers else issued_to[by] for ended, by in ends.items() if ended not in strangers
    }


def told_by_the_events(fleet: list[Teller]) -> dict[str, set[str]]:
    """Of each token that the fleet saw superseded: who is said to have done it."""
    told: dict[str, set[str]] = defaultdict(set)
    for event in (event for teller in fleet for event in teller.events if event["event"] == "TokenSuperseded"):
        told[event["fingerprint"]].add(event["issuer"])
    return dict(told)

"""Processes that are killed, ended and stopped at random moments of a refresh lose nothing that was reported as saved.

Real processes, on SQLite, Redis and PostgreSQL, against a server that ends a pair with each new one. Every process has
a user of its own, so whatever it leaves is its own doing: what the store has is compared with what the server honours.
``EXBO_KILLS=1000,1000,500`` says how often each is done, 40,40,20 unless it is set; what came of it is printed.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from exbo_oauth import SyncOAuthClient, UserToken
from exbo_oauth.flow.entries import fingerprint
from exbo_oauth.stores import Entry, StoreKey, TokenStore, store_from_url
from exbo_oauth.testing import FakeExbo
from exbo_oauth.testing.state import IssuedToken

from ..stores.servers import postgres_server, redis_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, and sends POSIX signals")

ROOT = Path(__file__).parents[2]
KILLS, TERMS, STOPS = (int(number) for number in os.environ.get("EXBO_KILLS", "40,40,20").split(","))
INCIDENTS = [signal.SIGKILL] * KILLS + [signal.SIGTERM] * TERMS + [signal.SIGSTOP] * STOPS
KINDS = ("blocking", "asyncio", "trio")
LANES = 4


@frozen
class House:
    """A server and a store."""

    fake: FakeExbo
    base_url: str
    url: str
    numbers: "count[int]" = field(factory=count)

    @property
    def options(self) -> dict[str, Any]:
        app = self.fake.app
        return {"client_id": app.client_id, "client_secret": app.client_secret, "base_url": self.base_url}

    def key(self, account: str) -> StoreKey:
        return StoreKey(self.base_url, self.fake.app.client_id, account)


@frozen
class Outcome:
    """What came of one incident: ``kept``, ``lost in the window``, or what should not be."""

    signal: int
    kind: str
    verdict: str
    saved: int


@define
class Lane:
    """One workshop, whose processes are ended one after the other."""

    house: House
    store: TokenStore
    workshop: "subprocess.Popen[str]"
    client: SyncOAuthClient

    def suffers(self, number: int, kind: str) -> Outcome:
        """Have a process renew a new user's token, and end it with signal `number` at a random moment of that."""
        account = f"user-{next(self.house.numbers)}"
        self.house.fake.add_user(account)
        attempt = self.client.begin_login()
        self.client.finish_login(attempt, self.house.fake.authorize(attempt.url, account), account=account)
        said = self._incident(number, kind, account)
        names = [line.split()[1] for line in said if line.startswith("saved ")]
        problems = [line for line in said if line.startswith("failed ")]
        return Outcome(number, kind, problems[0] if problems else self._verdict(account, names), len(names))

    def _incident(self, number: int, kind: str, account: str) -> list[str]:
        """All that the process said."""
        assert self.workshop.stdin is not None
        self.workshop.stdin.write(f"{kind} {account}\n")
        self.workshop.stdin.flush()
        begun = self._line()
        if not begun.startswith("begun "):
            return [begun, *self._until_its_end()]
        pid = int(begun.split()[1])
        heard = [self._line() for _ in range(random.randrange(3))]
        time.sleep(random.uniform(0.0, 0.05))
        os.kill(pid, number)
        if number == signal.SIGSTOP:
            time.sleep(random.uniform(0.0, 0.3))
            os.kill(pid, signal.SIGCONT)
            heard += [self._line() for _ in range(2)]  # it goes on, after what it had said before it was stopped
            os.kill(pid, signal.SIGTERM)
        return [*heard, *self._until_its_end()]

    def _line(self) -> str:
        assert self.workshop.stdout is not None
        return self.workshop.stdout.readline().strip()

    def _until_its_end(self) -> list[str]:
        said = list[str]()
        while (line := self._line()) and not line.startswith("ended "):
            said.append(line)
        return said

    def _verdict(self, account: str, names: list[str]) -> str:
        entry = self.store.load(self.house.key(account))
        if entry is None or not isinstance(entry.token, UserToken):
            return "the store has nothing"
        name = fingerprint(entry.token.access_token)
        if name in names and name != names[-1]:
            return "what was reported as saved is not in the store"
        if self.house.fake.is_live(entry.token.refresh_token):
            return "kept"
        return self._loss(entry, names)

    def _loss(self, entry: Entry, names: list[str]) -> str:
        """The explanation of a loss: the pair that came after the stored one, of which nobody had been told."""
        issued = self.house.fake.issued
        stored = next(one for one in issued if one.access_token == entry.token.access_token)
        after = [one for one in issued if one.user_id == stored.user_id and one.number > stored.number]
        if len(after) != 1 or _name(after[0]) in names:
            return f"{len(after)} pairs after the stored one"
        return "lost in the window"


def _name(issued: IssuedToken) -> str:
    return fingerprint(issued.access_token)


@contextmanager
def lane(house: House) -> Iterator[Lane]:
    app, program, pipe = house.fake.app, str(Path(__file__).with_name("workshop.py")), subprocess.PIPE
    store = store_from_url(house.url)
    with (
        subprocess.Popen(
            [sys.executable, program, house.url, house.base_url, app.client_id, app.client_secret],
            stdin=pipe,
            stdout=pipe,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as workshop,
        SyncOAuthClient(**house.options, store=store) as client,
    ):
        yield Lane(house, store, workshop, client)
    store.close()


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tokens.db'}"
    elif request.param == "redis":
        with redis_server(tmp_path / "redis", durable=True) as server:
            yield server.url
    else:
        # A short path: a UNIX socket's may have 107 characters.
        with tempfile.TemporaryDirectory(prefix="pg") as folder, postgres_server(Path(folder) / "data") as server_url:
            yield server_url


def work_off(house: House, incidents: list[tuple[int, str]]) -> list[Outcome]:
    with lane(house) as ours:
        return [ours.suffers(number, kind) for number, kind in incidents]


def report(outcomes: list[Outcome]) -> str:
    lines = list[str]()
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
        those = [outcome for outcome in outcomes if outcome.signal == number]
        verdicts = ", ".join(f"{name}: {times}" for name, times in Counter(one.verdict for one in those).items())
        saved = sum(outcome.saved for outcome in those)
        lines.append(f"{number.name} {len(those)} times, {saved} pairs reported as saved; {verdicts}")
    return "\n".join(lines)


def test_what_was_reported_as_saved_is_there_whatever_becomes_of_the_process(url: str) -> None:
    fake = FakeExbo(app_points=10**9, user_points=10**9, throttle=10**9, history=10**6)
    incidents = [(int(number), kind) for number, kind in zip(INCIDENTS, cycle(KINDS), strict=False)]
    random.shuffle(incidents)
    with fake.serve() as base_url, ThreadPoolExecutor(LANES) as pool:
        house = House(fake, base_url, url)
        parts = [incidents[start::LANES] for start in range(LANES)]
        outcomes = [outcome for part in pool.map(lambda part: work_off(house, part), parts) for outcome in part]
    print(f"\n{url.partition(':')[0]}:\n{report(outcomes)}")
    allowed = {signal.SIGKILL: {"kept", "lost in the window"}}
    strange = [one for one in outcomes if one.verdict not in allowed.get(signal.Signals(one.signal), {"kept"})]
    assert strange == []
    assert len(outcomes) == len(INCIDENTS)

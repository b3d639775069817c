"""A fleet: processes full of tasks that call the game API with one token, and the server that counts what they issue.

As a program it is one of its parts: ``python fleet.py serve TTL`` or ``python fleet.py work STORE BASE_URL TASKS``,
where STORE is a URL, or ``naive`` for programs that fetch their own token and another one at every 401.
A worker prints ``ready``, says ``done N`` when all of its tasks had an answer after the line ``round N`` came in, and
its report when its input ends.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
from attrs import define, field, frozen

from exbo_oauth import AppToken, AsyncOAuthClient, OAuthError
from exbo_oauth.stores import store_from_url
from exbo_oauth.testing import FakeExbo

ROOT = Path(__file__).parents[2]
PAUSES = (0.3, 0.9)
# A lease is at most twice that and five seconds more: how long the others wait for a holder that was killed.
TIMEOUT = 2.0


# The parts


def serve(ttl: str) -> None:
    fake = FakeExbo(token_ttl=float(ttl), invalidate="all", app_points=10**9, user_points=10**9, history=10**6)
    with fake.serve() as base_url:
        print(json.dumps({"base_url": base_url, "secret": fake.app.client_secret}), flush=True)
        sys.stdin.read()
        issued = {_fingerprint(token.access_token): token.issued_at.timestamp() for token in fake.issued}
        refused = sum(received.status == 401 for received in fake.requests if "/api" in received.path)
        print(json.dumps({"issued": issued, "refused": refused, "ended": fake.now.timestamp()}), flush=True)


def _fingerprint(access_token: str) -> str:
    return sha256(access_token.encode()).hexdigest()[:16]


async def work(store_url: str, base_url: str, tasks: str) -> None:
    lines: Queue[str] = Queue()
    threading.Thread(target=_read_into, args=[lines], daemon=True).start()
    crew = Crew(int(tasks))
    secret = os.environ["FLEET_SECRET"]
    common = {"client_id": 1, "client_secret": secret, "base_url": base_url, "timeout": TIMEOUT}
    store = None if store_url == "naive" else store_from_url(store_url)
    api_url = base_url.removesuffix("/oauth") + "/api"
    async with AsyncOAuthClient(**common, store=store) as oauth, httpx.AsyncClient(timeout=60) as api:
        auth = NaiveAuth(oauth) if store is None else oauth.app_auth()
        async with asyncio.TaskGroup() as group:
            for number in range(crew.size):
                group.create_task(crew.task(number, api, api_url, auth))
            print("ready", flush=True)
            while (line := await asyncio.to_thread(lines.get)) != "":
                crew.begin(line.split()[-1])
            crew.over = True
    if store is not None:
        store.close()
    print(json.dumps({"answers": crew.answers, "errors": crew.errors, "used": sorted(crew.used)}), flush=True)


def _read_into(lines: "Queue[str]") -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


@define(eq=False)
class Crew:
    """The tasks of one worker."""

    size: int
    over: bool = False
    answers: Counter[int] = field(factory=Counter)
    errors: Counter[str] = field(factory=Counter)
    used: set[str] = field(factory=set)
    _round: str = ""
    _served: set[int] = field(factory=set)

    def begin(self, name: str) -> None:
        self._round, self._served = name, set()

    async def task(self, number: int, api: httpx.AsyncClient, url: str, auth: Any) -> None:
        while not self.over:
            name = self._round
            try:
                self._note(await api.get(url, auth=auth), number, name)
            except (OAuthError, httpx.TransportError) as error:
                self.errors[type(error).__name__] += 1
            await asyncio.sleep(random.uniform(*PAUSES))

    def _note(self, response: httpx.Response, number: int, name: str) -> None:
        self.answers[response.status_code] += 1
        if response.status_code == 200:
            self.used.add(_fingerprint(response.request.headers["Authorization"].removeprefix("Bearer ")))
            self._count(number, name)

    def _count(self, number: int, name: str) -> None:
        if name == self._round and number not in self._served:
            self._served.add(number)
            if name and len(self._served) == self.size:
                print(f"done {name}", flush=True)


class NaiveAuth(httpx.Auth):
    """What most programs do: a token in a variable, fetched at the start and again at every 401."""

    def __init__(self, oauth: AsyncOAuthClient) -> None:
        self._oauth = oauth
        self._token: AppToken | None = None

    async def async_auth_flow(self, request: httpx.Request) -> Any:
        if self._token is None:
            self._token = await self._oauth.get_app_token()
        request.headers["Authorization"] = self._token.authorization
        response = yield request
        if response.status_code == 401:
            self._token = await self._oauth.get_app_token()
            request.headers["Authorization"] = self._token.authorization
            yield request


# Those who start them


@frozen(kw_only=True)
class Report:
    """What a fleet did. `issued` are the moments at which tokens were issued, by the server's clock.

    `refused` counts the 401s on the wire, `answers` what callers got in the end; `used` are the tokens that an answer
    was got with, as far as the workers that were not killed know.
    """

    ttl: float
    issued: dict[str, float]
    ended: float
    refused: int
    answers: Counter[str]
    errors: Counter[str]
    used: set[str]

    @property
    def lives(self) -> int:
        """How many lives of tokens began between the first issue and the end."""
        return int((self.ended - min(self.issued.values())) / self.ttl) + 1

    def __str__(self) -> str:
        return (
            f"{len(self.issued)} tokens issued for {self.lives} lives of {self.ttl:g} s, {sum(self.answers.values())} "
            f"calls answered, {self.answers['401']} of them with 401, {self.refused} refusals on the wire"
            + (f", errors {dict(self.errors)}" if self.errors else "")
        )


@define(eq=False)
class Part:
    """One process and the lines that it says."""

    process: "subprocess.Popen[str]"
    _lines: "Queue[str | None]" = field(factory=Queue)

    @classmethod
    def start(cls, *arguments: object, program: Path = Path(__file__), **environment: str) -> "Part":
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, str(program), *map(str, arguments)],
            stdin=pipe,
            stdout=pipe,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **environment},
        )
        part = cls(process)
        threading.Thread(target=part._listen, daemon=True).start()
        return part

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.put(line.strip())
        self._lines.put(None)

    def hears(self, wanted: str = "", seconds: float = 120.0) -> str:
        """The next line that begins with `wanted`; nothing for two minutes is a deadlock."""
        while (line := self._next(wanted, seconds)) is not None and not line.startswith(wanted):
            pass
        assert line is not None, f"a process ended before it said {wanted!r}"
        return line

    def _next(self, wanted: str, seconds: float) -> str | None:
        try:
            return self._lines.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"a process does not say {wanted!r}") from None

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        """End its input; its last words."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        report: dict[str, Any] = json.loads(self.hears("{"))
        self.process.wait(60)
        return report

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


@define(eq=False)
class Fleet:
    """All processes of a fleet."""

    store_url: str
    ttl: float
    tasks: int
    server: Part
    _greeting: dict[str, str] = field(factory=dict)
    workers: list[Part] = field(factory=list)
    _rounds: int = 0

    def hire(self, number: int) -> None:
        """Start workers; they are at work when this returns."""
        fresh = [
            Part.start(
                "work", self.store_url, self._greeting["base_url"], self.tasks, FLEET_SECRET=self._greeting["secret"]
            )
            for _ in range(number)
        ]
        self.workers += fresh
        for worker in fresh:
            worker.hears("ready")

    def replace(self) -> None:
        """Kill one at random, and start another."""
        self.workers.pop(random.randrange(len(self.workers))).kill()
        self.hire(1)

    def everyone_is_served(self) -> None:
        """Return when every task of every worker has had an answer from now on."""
        self._rounds += 1
        for worker in self.workers:
            worker.tell(f"round {self._rounds}")
        for worker in self.workers:
            worker.hears(f"done {self._rounds}")

    def report(self) -> Report:
        """End the fleet; what it did."""
        reports = [worker.end() for worker in self.workers]
        answers = sum((Counter(report["answers"]) for report in reports), Counter())
        errors = sum((Counter(report["errors"]) for report in reports), Counter())
        used = set().union(*(report["used"] for report in reports))
        return Report(ttl=self.ttl, answers=answers, errors=errors, used=used, **self.server.end())


@contextmanager
def fleet(store_url: str, *, ttl: float, size: int = 8, tasks: int = 25) -> Iterator[Fleet]:
    """A fleet at work on one store, against a server of its own."""
    ours = Fleet(store_url, ttl, tasks, Part.start("serve", ttl))
    try:
        ours._greeting.update(json.loads(ours.server.hears("{")))
        ours.hire(size)
        yield ours
    finally:
        for part in [*ours.workers, ours.server]:
            if part.process.poll() is None:
                part.kill()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        asyncio.run(work(*sys.argv[2:]))

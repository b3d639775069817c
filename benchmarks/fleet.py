"""Four processes of 25 tasks on one token that lives for 2 s, beside the same fleet with one eternal token.

The server ends the earlier token with each new one, as EXBO does. Then the same with an eternal token that another
deployment ends twice, and both with authlib, whose processes have a token each.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest
from attrs import frozen

from tests.stores.fleet import Part
from tests.stores.servers import redis_server

from .ratio import Share

PROCESSES, TASKS, SECONDS, ROUNDS = 4, 25, 8.0, 3
AIM = 0.95
SHORT, ETERNAL = 2.0, 31_536_000.0
PROGRAM = Path(__file__).with_name("_fleet_part.py")


@frozen(kw_only=True)
class Fleet:
    """What is to be at work. `superseded` is how often somebody else ends the token meanwhile."""

    kind: str = "ours"
    store: str = ""
    ttl: float = ETERNAL
    superseded: int = 0


@frozen(kw_only=True)
class Outcome:
    """What a fleet did: answers by their status, errors by their names, and how many tokens were issued."""

    answers: Counter[str]
    issued: int

    @property
    def served(self) -> int:
        return self.answers["200"]

    def __str__(self) -> str:
        others = ", ".join(f"{number:,} × {name}" for name, number in self.answers.items() if name != "200")
        return f"{self.served:,} calls answered, {others or 'nothing else'}, {self.issued} tokens issued"


def measure() -> Iterator[Share | str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        stores = {"SQLite": ""}
        try:
            stores["Redis"] = stack.enter_context(redis_server(folder / "redis")).url
        except pytest.skip.Exception as missing:
            yield f"  {missing}"
        for name, url in stores.items():
            yield from _compared(name, lambda **how: Fleet(store=url, **how), folder)  # noqa: B023
        yield from _compared("authlib", lambda **how: Fleet(kind="authlib", **how), folder)


def _compared(name: str, fleet: "type[Fleet]", folder: Path) -> Iterator[Share]:
    cases = {"one eternal token": fleet(), "tokens of 2 s": fleet(ttl=SHORT), "superseded twice": fleet(superseded=2)}
    found: dict[str, list[Outcome]] = {what: [] for what in cases}
    rounds = 1 if name == "authlib" else ROUNDS
    for number in range(rounds):
        for what, case in cases.items():
            found[what].append(_outcome(case, folder / f"{name}-{what}-{number}.db".replace(" ", "-")))
    eternal = median(one.served for one in found["one eternal token"])
    for what, outcomes in found.items():
        usual = sorted(outcomes, key=lambda one: one.served)[rounds // 2]
        yield Share(
            what=f"{name}, {what}: calls answered, of those with one eternal token",
            share=usual.served / eternal,
            told=str(usual),
            aim=None if name == "authlib" or what == "one eternal token" else AIM,
            faults=usual.answers["401"],
        )


def _outcome(fleet: Fleet, file: Path) -> Outcome:
    with ExitStack() as stack:
        server = Part.start("serve", fleet.ttl, program=PROGRAM)
        stack.callback(server.kill)
        where = json.loads(server.hears("{"))
        store = fleet.store or f"sqlite:///{file.as_posix()}"
        workers = []
        for _ in range(PROCESSES):
            command = ("work", fleet.kind, store, where["base_url"], TASKS)
            workers.append(Part.start(*command, program=PROGRAM, FLEET_SECRET=where["secret"]))
            stack.callback(workers[-1].kill)
        for worker in workers:
            worker.hears("ready")
        for worker in workers:
            worker.tell("go")
        for _ in range(fleet.superseded):
            time.sleep(SECONDS / (fleet.superseded + 1))
            server.tell("supersede")
        time.sleep(SECONDS / (fleet.superseded + 1))
        answers = sum((Counter(worker.end()["answers"]) for worker in workers), Counter[str]())
        return Outcome(answers=answers, issued=server.end()["issued"])

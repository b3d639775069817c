"""What the callers share, and what becomes of it: processes with their memory, a store, and a server, as values.

A `State` is everything outside the programs, and where each caller stands. States are values, so two ways that lead
to the same one are walked on from there once. What is modelled, and how:

- A process's memory is a real `TokenCache`. Who joins whose flight is modelled, as `clients.cache` has it: those who
  want the same of the same key at the same time get what one of them gets.
- Effects on a process's own memory follow the effect before them at once, as on an event loop. In a `fine` scenario
  each is a step of its own, as between threads.
- Steps are left out that make no difference: what a caller does within a process where nobody else can move is done
  before others move, for they neither see nor disturb it; who looks for a lease in vain is where he was when he first
  did, but for the length of his pauses; and once a scope is left, only what its body came to remains of it.
- Lengths of time: whoever can go on does, before a lease ends by itself. Who is slower than that is suspended, which
  is a fault. A lease is prolonged while its holder runs. Who waits for one looks again when there is something new.
- Nobody signs in, is forgotten, is cancelled, or limits how long he waits: `tests/flow/test_invariants.py` and the
  transcripts are about those.
- The server has the recorded rules: refresh tokens rotate, which ends the pair before, and a new token ends all
  earlier ones, their access tokens alone, or none.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from attrs import define, frozen

from exbo_oauth import AppToken, UserToken

__all__ = ["FAULTS", "Caller", "Draft", "Label", "Process", "Scenario", "State", "Token", "number_of"]

READY, COMING, SLEEPING, WAITING, DONE = range(5)
RUNS, SUSPENDED, GONE = range(3)

LIFE = 3600
SECOND = 1_000_000  # the clock counts microseconds
TTL = 10 * SECOND  # of a lease
T0 = datetime(2030, 1, 1, tzinfo=UTC)

FAULTS = (
    "crash",
    "suspension",
    "answer lost before",
    "answer lost after",
    "store error before",
    "store error after",
    "store emptied",
    "store gone back",
    "clock forward",
    "clock back",
    "outside supersession",
    "wrong 401",
)


class Caller(NamedTuple):
    """A program on its way: its node, whether it is READY for what it wants, or what it waits for instead.

    `detail` is the answer that is COMING, the moment until which it is SLEEPING, or the purpose of the flight that it
    is WAITING for.
    """

    process: int
    node: int
    status: int
    detail: Any = None


class Process(NamedTuple):
    """`cell` is what it knows; its clock is `ahead`. Where a refused token is tried again: `tries`, by purpose.

    `drawn` counts its random strings, `since` is when it was suspended.
    """

    cell: int
    ahead: int = 0
    doing: int = RUNS
    since: int = 0
    drawn: int = 0
    tries: tuple[str, ...] = ()


class Token(NamedTuple):
    """An issued token. `alive` is about the access token, `honoured` about its refresh token.

    It `ends` by itself, is `ours` or another deployment's, and was replaced by as many `issues`.
    """

    alive: bool
    honoured: bool
    ends: int
    ours: bool = True
    issues: int = 0


class State(NamedTuple):
    """All there is. `entry` is in the store, and `older` what was there before; `lease` is its owner and its end.

    An end of None is a lease that is prolonged all the time. `first` counts the issues that replaced nothing. `left`
    faults may still come, those of `faults` have.
    """

    callers: tuple[Caller, ...]
    processes: tuple[Process, ...]
    entry: int
    older: int
    lease: tuple[str, int | None] | None
    tokens: tuple[Token, ...]
    time: int
    left: int
    faults: tuple[str, ...] = ()
    first: int = 0


class Label(NamedTuple):
    """One step: which caller went on and what went wrong then, or which process woke up, or that time passed."""

    what: str
    who: int = -1
    fault: str = ""

    def __str__(self) -> str:
        name = "" if self.what == "goes on" else self.what.partition(" ")[0]
        number = "" if self.who < 0 else str(self.who + 1)
        return f"{name}{number}{':' * bool(self.fault)}{self.fault.replace(' ', '-')}"


@define(eq=False)
class Draft:
    """The state that is being made."""

    callers: list[Caller]
    processes: list[Process]
    entry: int
    older: int
    lease: tuple[str, int | None] | None
    tokens: list[Token]
    time: int
    left: int
    faults: tuple[str, ...]
    first: int

    @classmethod
    def of(cls, state: State) -> "Draft":
        callers, processes, entry, older, lease, tokens, time, left, faults, first = state
        return cls(list(callers), list(processes), entry, older, lease, list(tokens), time, left, faults, first)

    def state(self) -> State:
        return State(
            tuple(self.callers),
            tuple(self.processes),
            self.entry,
            self.older,
            self.lease,
            tuple(self.tokens),
            self.time,
            self.left,
            self.faults,
            self.first,
        )


@frozen
class Scenario:
    """What is walked: `kind` of key, how it `starts`, what a new token does to earlier ones, who calls, what fails."""

    kind: str
    starts: str
    invalidate: str | None
    callers: tuple[int, int] = (2, 2)
    faults: int = 1
    by_hand: bool = False
    fine: bool = False
    among: tuple[str, ...] = FAULTS

    def __str__(self) -> str:
        ends = {"all": "ends pairs", "access": "ends tokens", None: "ends none"}[self.invalidate]
        parts = [
            self.kind,
            self.starts,
            ends,
            "+".join(map(str, self.callers)),
            f"{self.faults} {'fault' if self.faults == 1 else 'faults'}",
        ]
        parts += ["by hand"] * self.by_hand + ["fine"] * self.fine
        return ", ".join(parts if self.among == FAULTS else [*parts, *self.among])

    def name(self, number: int) -> str:
        """What the token of this number is called."""
        return f"{self.kind}-{number}"


def number_of(token: AppToken | UserToken) -> int:
    """Which of the server's tokens this is."""
    return int(token.access_token.rpartition("-")[2])

"""Programs as trees: where a program stands is decided by the answers that it was given so far.

A generator cannot be copied, so it is made anew where a second way leads on from where it stood, and is given the same
answers once more. A `Node` is a program after certain answers, and what it wants next. Answers are small numbers, by
which nodes are found without looking at what they stand for; `Values` knows what that is.
"""

import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any

import attrs
from attrs import define, field, frozen

from exbo_oauth.clients.cache import Landing
from exbo_oauth.flow.effects import Hold, Later, Leased, Load, Program, Shared, Shielded, Sleep
from exbo_oauth.masking import Secret

LEADING = "leads the flight"


@frozen
class Start:
    """The caller has not begun yet."""


@frozen
class Leave:
    """The body of a scope is over, and came to this."""

    scope: Any
    outcome: Any


@frozen
class End:
    """The program is over, and came to this: a value, or an error that it raised."""

    outcome: Any


@frozen
class Received:
    """A server's answer with the token of this number in it."""

    received: int
    response: Any


@define(eq=False)
class Values:
    """Values as numbers, equal ones as the same number."""

    _known: dict[Any, int] = field(factory=dict)
    _values: list[Any] = field(factory=list)

    def number(self, value: Any) -> int:
        number = self._known.setdefault(_plain(value), len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number

    def __getitem__(self, number: int) -> Any:
        return self._values[number]


_SIMPLE = {str, int, float, bool, NoneType, datetime}  # most of all that is asked for, and found at once


def _plain(value: Any) -> Any:
    """Something hashable that is equal for equal values, also where these are mappings, or errors."""
    kind = type(value)
    if kind in _SIMPLE:
        return kind, value
    names = _fields(kind)
    if names is not None:
        return kind, *[_plain(getattr(value, name)) for name in names]
    if isinstance(value, Mapping):
        return tuple((key, _plain(inner)) for key, inner in value.items())
    if isinstance(value, Secret):
        return Secret, _plain(value.reveal())
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if isinstance(value, BaseException):
        return kind, str(value), type(value.__cause__)
    return kind, value


@cache
def _fields(kind: type) -> tuple[str, ...] | None:
    """What the fields of an attrs class are called; None for any other."""
    return tuple(known.name for known in attrs.fields(kind)) if attrs.has(kind) else None


@define(eq=False)
class Run:
    """One generator under way, with those whose bodies it runs inside of scopes."""

    want: Any
    frames: list[tuple[Program[Any], Any]]

    def feed(self, given: Any) -> Any:
        """Answer what is wanted; what is wanted next."""
        match self.want:
            case Start():
                self.want = self._go_on(None)
            case Leased(body=body) if given is True:
                self.want = self._enter(body)
            case Leased() if given is False:
                self.want = self._go_on(None)
            case Shared(body=body) if given == LEADING:
                self.want = self._enter(body)
            case _:
                self.want = self._go_on(given)
        return self.want

    def scopes(self) -> list[Any]:
        """The scopes that it is in, that which it is about to leave among them."""
        left = [self.want.scope] if isinstance(self.want, Leave) else []
        return [scope for _, scope in self.frames if isinstance(scope, Leased | Shared)] + left

    def _enter(self, body: Callable[[], Program[Any]]) -> Any:
        self.frames.append((body(), self.want))
        return self._go_on(None)

    def _go_on(self, given: Any) -> Any:
        while True:
            program, scope = self.frames[-1]
            try:
                want = _answered(program, given)
            except StopIteration as stop:
                given = stop.value
            except Exception as error:  # noqa: BLE001  # how a program ends is its caller's business
                given = error
            else:
                if not isinstance(want, Later | Shielded):
                    return want
                self.frames.append((want.body(), want))  # nobody is cancelled here, and what is put off is done now
                given = None
                continue
            self.frames.pop()
            if isinstance(scope, Leased | Shared):
                return Leave(scope, given)
            if isinstance(scope, Later):
                given = None  # nobody hears of it
            if not self.frames:
                return End(given)


def is_renewal(scope: Any) -> bool:
    """Whether a scope is the lease that a token is renewed under; the other kind is to see whether it was forgotten."""
    return isinstance(scope, Leased) and scope.lease.most > 0


def is_word(want: Any) -> bool:
    """Whether this is about what processes tell each other at a key of its own, and no token's."""
    return isinstance(want, Load | Hold) and "#" in want.key.base_url


def _answered(program: Program[Any], given: Any) -> Any:
    if isinstance(given, Landing):
        return program.throw(copy.copy(given.error)) if given.error is not None else program.send(given.value)
    if isinstance(given, BaseException):
        return program.throw(copy.copy(given))
    return program.send(given.response if isinstance(given, Received) else given)


@define(eq=False)
class Node:
    """A program after certain answers. `want` is what it wants next.

    It is inside the scopes that were `entered` from these nodes, runs under the lease of `owner`, and `leads` flights
    for these purposes. What it `loaded` last has this number. `asked` is where this flight asked for its lease first.
    `received` is the newest token that a server's answer gave it, and `taken` says whether the API took the token that
    it was sent last. Whether it is `outward`, and what `faults` there may be, is found out by `Moves`.
    """

    number: int
    want: Any
    program: Callable[[], Program[Any]]
    parent: "Node | None" = None
    answer: int = -1
    depth: int = 0
    entered: "tuple[Node, ...]" = ()
    owner: str = ""
    leads: tuple[str, ...] = ()
    loaded: int = -1
    asked: "Node | None" = None
    received: int = 0
    taken: bool = False
    children: "dict[int, Node]" = field(factory=dict)
    run: Run | None = None
    outward: bool | None = None
    faults: tuple[str, ...] | None = None

    @property
    def waits_for_lease(self) -> bool:
        """Whether it sleeps until it looks for the lease again."""
        return self.asked is not None and not self.owner and isinstance(self.want, Sleep)

    def left(self, number: Callable[[Any], int]) -> "tuple[Node, int]":
        """Where the scope that is left now was entered, and the answer that this amounts to.

        What happened inside makes no difference any more: its program is gone, and what it came to is all that remains.
        """
        entered, outcome = self.entered[-1], self.want.outcome
        if isinstance(outcome, Exception):
            return entered, number(Landing(error=outcome))
        return entered, number(False if is_renewal(entered.want) and outcome is None else Landing(outcome))


@define(eq=False)
class Tree:
    """All programs, and all ways that they were seen to go."""

    values: Values
    nodes: list[Node] = field(factory=list)

    def root(self, program: Callable[[], Program[Any]]) -> Node:
        """A program that has not begun."""
        node = Node(len(self.nodes), Start(), program)
        self.nodes.append(node)
        return node

    def child(self, node: Node, answer: int) -> Node:
        """Where `node` goes with this answer."""
        known = node.children.get(answer)
        return known if known is not None else self._grown(node, answer)

    def _grown(self, node: Node, answer: int) -> Node:
        run, node.run = (node.run or self._replayed(node)), None
        given = self.values[answer]
        want = run.feed(given)
        entered = node.entered
        if isinstance(node.want, Leave):
            entered = entered[:-1]
        elif isinstance(node.want, Leased | Shared) and len(run.scopes()) > len(entered):
            entered = (*entered, node)
        child = Node(
            len(self.nodes),
            want,
            node.program,
            parent=node,
            answer=answer,
            depth=node.depth + 1,
            entered=entered,
            owner=next((scope.lease.owner for scope in run.scopes() if is_renewal(scope)), ""),
            leads=tuple(scope.purpose for scope in run.scopes() if isinstance(scope, Shared)),
            loaded=answer
            if isinstance(node.want, Load) and not is_word(node.want) and not isinstance(given, Exception)
            else node.loaded,
            received=getattr(given, "received", node.received),
            taken=getattr(given, "accepted", node.taken),
            run=run,
        )
        child.asked = node.asked if child.leads == node.leads else None
        if child.asked is None and is_renewal(want):
            child.asked = child
        node.children[answer] = child
        self.nodes.append(child)
        return child

    def _replayed(self, node: Node) -> Run:
        answers: list[int] = []
        program = node.program
        while node.parent is not None:
            answers.append(node.answer)
            node = node.parent
        run = Run(Start(), [(program(), None)])
        for answer in reversed(answers):
            run.feed(self.values[answer])
        return run

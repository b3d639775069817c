"""What may go wrong, and when that would make a difference."""

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from exbo_oauth.flow.conversation import Deliver
from exbo_oauth.flow.effects import Hold, Leased, Load, Send, Swap

from .histories import Leave, Node, is_renewal
from .house import READY, Caller, Scenario, State
from .outside import Server

__all__ = ["Faults", "lets_go", "only_looks"]

ANYWHERE = ("crash", "suspension", "clock forward", "clock back")


def only_looks(want: Any) -> bool:
    """Whether this is the lease by which one sees that an account was forgotten."""
    return isinstance(want, Leased) and not is_renewal(want)


def lets_go(want: Any) -> bool:
    """Whether a lease is released."""
    return isinstance(want, Leave) and is_renewal(want.scope)


@define(eq=False)
class Faults:
    """The faults of a scenario. `nothing` is the number of an empty store."""

    scenario: Scenario
    server: Server
    nothing: int
    _anywhere: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._anywhere = tuple(fault for fault in self.scenario.among if fault in ANYWHERE)

    def possible(self, state: State, caller: Caller, node: Node) -> Iterator[str]:
        """What may go wrong while this caller, which is at this node, does its next step."""
        if caller.status != READY:
            yield from self._anywhere
            return
        if node.faults is None:
            node.faults = tuple(self._conceivable(node.want))
        for fault in node.faults:
            if not self._changes_nothing(state, node.want, fault):
                yield fault

    def _conceivable(self, want: Any) -> Iterator[str]:
        """What may go wrong while this is done."""
        yield from self._anywhere
        stored = isinstance(want, (Load, Swap, Leased, Hold))
        fitting = {
            "answer lost before": isinstance(want, Send),
            "answer lost after": isinstance(want, Send),
            "store error before": stored or lets_go(want),
            "store error after": isinstance(want, (Swap, Leased, Hold)),
            "store emptied": stored and not only_looks(want),
            "store gone back": stored and not only_looks(want),
            "outside supersession": isinstance(want, (Send, Deliver)) and self.scenario.invalidate is not None,
            "wrong 401": isinstance(want, Deliver),
        }
        yield from (fault for fault in self.scenario.among if fitting.get(fault, False))

    def _changes_nothing(self, state: State, want: Any, fault: str) -> bool:
        match fault:
            case "store emptied":
                return state.entry == self.nothing
            case "store gone back":
                return state.entry == state.older
            case "wrong 401":
                return not self.server.takes(state, want.token)
            case _:
                return False

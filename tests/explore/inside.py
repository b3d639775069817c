"""What is inside of a process: its memory, its flights, its clock."""

from datetime import datetime, timedelta
from typing import Any

from attrs import define, field

from exbo_oauth.clients.cache import Landing, TokenCache
from exbo_oauth.clients.performer import immediately
from exbo_oauth.flow.effects import (
    Chance,
    Emit,
    Hold,
    Identity,
    Leased,
    Load,
    Now,
    Recall,
    Shared,
    Tried,
    Try,
    Unguessable,
)
from exbo_oauth.masking import Secret
from exbo_oauth.stores import StoreKey

from .histories import LEADING, Leave, Node, Tree, Values
from .house import COMING, T0, WAITING, Draft, State

__all__ = ["Inside", "moment"]


def moment(state: Draft | State, process: int) -> datetime:
    """The present by the clock of a process; no two show the same."""
    return T0 + timedelta(microseconds=state.time + state.processes[process].ahead + process)


def _unheard(_event: object) -> None:
    raise AssertionError("events are told nobody")


@define(eq=False)
class Inside:
    """The processes."""

    key: StoreKey
    tree: Tree
    values: Values
    _moments: dict[int, int] = field(factory=dict)
    _remembered: dict[tuple[int, int], tuple[int, int]] = field(factory=dict)

    def answer(self, draft: Draft, who: int) -> int | None:
        """What the caller's own process answers; None if it waits for another caller there."""
        caller = draft.callers[who]
        node = self.tree.nodes[caller.node]
        process = draft.processes[caller.process]
        match node.want:
            case Recall():
                return process.cell
            case Now():
                return self._now(draft.time + process.ahead + caller.process)
            case Load():
                return self.values.number(None)  # nobody is told to wait here
            case Hold():
                return self.values.number(True)  # that a mark holds others up is the transcripts' matter
            case Leased():
                return self.values.number(True)  # nobody forgets anybody here
            case Leave(Leased()):
                return self.values.number(None)
            case Chance():
                return self.values.number(0.5)
            case Identity():
                return self.values.number(f"here:{caller.process + 1}")
            case Unguessable():
                draft.processes[caller.process] = process._replace(drawn=process.drawn + 1)
                return self.values.number(Secret(f"{caller.process + 1}-{process.drawn + 1}".ljust(43, "u")))
            case Emit():
                return self.values.number(None)
            case Shared(_, purpose):
                return self._joined(draft, who, purpose, self._is_flying(draft, caller.process, purpose), LEADING)
            case Leave(Shared(_, purpose), outcome):
                landing = Landing(error=outcome) if isinstance(outcome, Exception) else Landing(outcome)
                self._landed(draft, caller.process, purpose, landing)
                return self.values.number(None)
            case Try(_, host):
                purpose = f"try {host}"
                if purpose not in process.tries:
                    draft.processes[caller.process] = process._replace(tries=(*process.tries, purpose))
                return self._joined(draft, who, purpose, purpose in process.tries, True)
            case Tried(_, host):
                tries = tuple(known for known in process.tries if known != f"try {host}")
                draft.processes[caller.process] = process._replace(tries=tries)
                self._landed(draft, caller.process, f"try {host}", False)
                return self.values.number(None)
            case _:
                cell, given = self._recalled(process.cell, node)
                draft.processes[caller.process] = process._replace(cell=cell)
                return given

    def _now(self, time: int) -> int:
        known = self._moments.get(time)
        if known is None:
            known = self._moments[time] = self.values.number(T0 + timedelta(microseconds=time))
        return known

    def _is_flying(self, draft: Draft, process: int, purpose: str) -> bool:
        nodes = (self.tree.nodes[caller.node] for caller in draft.callers if caller.process == process)
        return any(purpose in node.leads for node in nodes)

    def _joined(self, draft: Draft, who: int, purpose: str, others: bool, alone: Any) -> int | None:
        if not others:
            return self.values.number(alone)
        draft.callers[who] = draft.callers[who]._replace(status=WAITING, detail=purpose)
        return None

    def _landed(self, draft: Draft, process: int, purpose: str, given: Any) -> None:
        for who, caller in enumerate(draft.callers):
            if caller.process == process and caller.status == WAITING and caller.detail == purpose:
                draft.callers[who] = caller._replace(status=COMING, detail=self.values.number(given))

    def _recalled(self, cell: int, node: Node) -> tuple[int, int]:
        """What memory answers, and what is in it afterwards."""
        known = self._remembered.get((cell, node.number))
        if known is None:
            cache = TokenCache()
            cache._cells[self.key] = self.values[cell]
            given = self.values.number(immediately(node.want, cache, _unheard))
            known = self._remembered[cell, node.number] = self.values.number(cache.recall(self.key)), given
        return known

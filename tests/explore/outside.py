"""What is outside of all processes: the store and the server."""

from typing import Any
from urllib.parse import parse_qsl

from attrs import define

from exbo_oauth import AppToken, TransportError, UserToken
from exbo_oauth.flow.effects import Hold, Leased, Load, Swap
from exbo_oauth.stores import Entry

from ..flow.transcript import answer, refusal
from .histories import Received, Values, is_renewal
from .house import LIFE, SECOND, TTL, Draft, Scenario, State, Token, number_of

__all__ = ["Server", "Store", "is_free"]

LOST = TransportError("no answer", request_sent=True)


def is_free(lease: tuple[str, int | None] | None, time: int) -> bool:
    """Whether anybody may take the lease."""
    return lease is None or (lease[1] is not None and lease[1] <= time)


@define(eq=False)
class Store:
    """A store. With `compares` off, it overwrites what it should compare first."""

    values: Values
    compares: bool

    def asked(self, draft: Draft, want: Any, fault: str) -> int:
        """Do what the store is asked to."""
        match want:
            case Load():
                return draft.entry
            case Swap(_, expected, entry):
                return self.values.number(self._swapped(draft, expected, entry))
            case Leased() if not is_renewal(want):
                return self.values.number(True)  # nobody forgets anybody here
            case Leased(_, lease) | Hold(_, lease):
                return self.values.number(self._acquired(draft, want, lease.owner, fault))
            case _:
                raise AssertionError(f"what is the store to do with {want}?")

    def _acquired(self, draft: Draft, want: Any, owner: str, fault: str) -> bool:
        if draft.lease is not None and draft.lease[0] != owner and not is_free(draft.lease, draft.time):
            return False
        unknown = fault == "store error after" and isinstance(want, Leased)  # to its holder, who prolongs nothing then
        draft.lease = owner, draft.time + TTL if unknown else None
        return True

    def _swapped(self, draft: Draft, expected: int | None, entry: Entry | None) -> bool:
        there: Entry | None = self.values[draft.entry]
        if self.compares and (None if there is None else there.revision) != expected:
            return False
        if there is None or entry is None or there.token != entry.token:
            draft.older = draft.entry
        draft.entry = self.values.number(entry)
        return True

    def let_go(self, draft: Draft, owner: str, *, fails: bool) -> None:
        """Release a lease; if that fails, or is not done, nobody prolongs it any more."""
        if draft.lease is not None and draft.lease[0] == owner:
            draft.lease = (owner, draft.time + TTL) if fails else None


@define(eq=False)
class Server:
    """EXBO by the recorded rules."""

    scenario: Scenario

    def takes(self, state: Draft | State, token: AppToken | UserToken) -> bool:
        """Whether an API takes this token."""
        known = state.tokens[number_of(token) - 1]
        return known.alive and state.time < known.ends

    def issue(self, draft: Draft, *, ours: bool) -> int:
        """Another token; its number."""
        if self.scenario.invalidate is not None:
            draft.tokens = [
                token._replace(alive=False, honoured=token.honoured and self.scenario.invalidate != "all")
                for token in draft.tokens
            ]
        draft.time += 1000  # no two issues at the same time
        draft.tokens.append(Token(True, self.scenario.kind == "user", draft.time + LIFE * SECOND, ours))
        return len(draft.tokens)

    def process(self, draft: Draft, request: Any, replaced: Entry | None, fault: str) -> Any:
        """What comes back for a request that is to replace the token of an entry."""
        if fault == "answer lost before":
            return LOST
        form = dict(parse_qsl(request.content.decode()))
        if form["grant_type"] == "refresh_token":
            old = int(form["refresh_token"].removesuffix("-refresh").rpartition("-")[2])
            if not draft.tokens[old - 1].honoured:
                return LOST if fault == "answer lost after" else refusal(401, "invalid_request")
            draft.tokens[old - 1] = draft.tokens[old - 1]._replace(alive=False, honoured=False)
        number = self.issue(draft, ours=True)
        self._count(draft, replaced)
        if fault == "answer lost after":
            return LOST
        return Received(number, answer(self.scenario.name(number), life=LIFE))

    def _count(self, draft: Draft, replaced: Entry | None) -> None:
        """Note which token the latest one replaced."""
        if replaced is None:
            draft.first += 1
            return
        index = number_of(replaced.token) - 1
        draft.tokens[index] = draft.tokens[index]._replace(issues=draft.tokens[index].issues + 1)

"""Where a walk begins: the tokens of the past, and the programs that callers run."""

from datetime import datetime, timedelta
from typing import Any

from exbo_oauth import AppToken, UserToken
from exbo_oauth.clients.cache import TokenCache
from exbo_oauth.flow.config import Config
from exbo_oauth.flow.conversation import Deliver, Request, conversation
from exbo_oauth.flow.effects import Cell, Now, Program
from exbo_oauth.flow.evidence import Target
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.sharing import shared_entry
from exbo_oauth.protocol import OAuthProtocol
from exbo_oauth.stores import Entry, Issue, StoreKey

from .histories import Values
from .house import LIFE, READY, SECOND, T0, Caller, Process, Scenario, State, Token

__all__ = ["asking", "by_hand", "first_state", "key_of"]

HOUSE = Config(
    OAuthProtocol(client_id=1, client_secret="S" * 40), lease=10.0, patience=65.0, max_retries=2, issues=True
)
TARGET = Target("api.example", "/items")


def asking(key: StoreKey) -> Program[None]:
    """A request through an auth object."""
    begun = yield from Now()
    return (yield from conversation(Request(HOUSE, key, TARGET, begun, lambda: True)))


def by_hand(key: StoreKey) -> Program[Any]:
    """A request of a caller who asks for a token, and for another one if that is refused."""
    token = (yield from shared_entry(HOUSE, key, Need(60))).token
    if (yield from Deliver(token)).refused:
        token = (yield from shared_entry(HOUSE, key, Need(60, token))).token
        yield from Deliver(token)


def key_of(scenario: Scenario) -> StoreKey:
    """Whose token it is."""
    return HOUSE.key(None if scenario.kind == "app" else "ivan")


def first_state(scenario: Scenario, values: Values, node: int) -> State:
    """Two tokens are known from the past: the older one is dead, the newer one is as the scenario has it.

    The first process remembers it, the second one has just been started.
    """
    entries, tokens = _past(scenario)
    older, entry = map(values.number, entries)
    processes = Process(values.number(_remembering(scenario, entries[1]))), Process(values.number(Cell()))
    callers = (Caller(process, node, READY) for process, many in enumerate(scenario.callers) for _ in range(many))
    return State(tuple(callers), processes, entry, older, None, tokens, 0, scenario.faults)


def _past(scenario: Scenario) -> tuple[tuple[Entry | None, Entry | None], tuple[Token, ...]]:
    if scenario.starts == "nothing":
        return (None, None), ()
    ends = -100 * SECOND if scenario.starts == "expired" else 1800 * SECOND
    dead = scenario.starts == "dead"
    honoured = scenario.kind == "user" and not (dead and scenario.invalidate == "all")
    first = Token(alive=False, honoured=False, ends=ends - LIFE * SECOND, issues=1)
    second = Token(alive=not dead, honoured=honoured, ends=ends)
    return (_entry(scenario, 1, first.ends), _entry(scenario, 2, ends)), (first, second)


def _remembering(scenario: Scenario, entry: Entry | None) -> Cell:
    cache, key = TokenCache(), key_of(scenario)
    if entry is not None:
        cache.remember(key, entry)
    return cache.recall(key)


def _entry(scenario: Scenario, number: int, ends: int) -> Entry:
    issued = T0 + timedelta(microseconds=ends) - timedelta(seconds=LIFE)
    return Entry(
        token=_token(scenario, number, T0 + timedelta(microseconds=ends)),
        revision=number,
        issued_by="here:0",
        issued_at=issued,
        accepted_at=min(issued + timedelta(seconds=LIFE), T0) - timedelta(seconds=60),
        history=(Issue(at=issued, by="here:0", why="first"),),
    )


def _token(scenario: Scenario, number: int, ends: datetime) -> AppToken | UserToken:
    name = scenario.name(number)
    if scenario.kind == "app":
        return AppToken(token_type="Bearer", access_token=name, expires_in=ends)
    return UserToken(token_type="Bearer", access_token=name, refresh_token=f"{name}-refresh", expires_in=ends)

"""Programs on paper: a program runs against a list of the effects it should want, each with its answer.

A step is ``(effect, answer)``. An exception as the answer is raised at the program; a list is what happens inside a
scope (`Shared`, `Leased`, `Shielded`), whose body is run against it. `play` checks every effect, the order and that
nothing is left over, and returns the program's result.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any

from attrs import evolve

from exbo_oauth import AppToken, UserToken
from exbo_oauth.flow.drive import run
from exbo_oauth.flow.effects import (
    Cell,
    Chance,
    Hold,
    Identity,
    Lease,
    Leased,
    Load,
    Now,
    Program,
    Recall,
    Remember,
    Send,
    Shared,
    Shielded,
    Sleep,
    Swap,
    Unguessable,
)
from exbo_oauth.flow.sharing import Config
from exbo_oauth.masking import Secret
from exbo_oauth.protocol import OAuthProtocol, Response
from exbo_oauth.stores import Entry

Step = tuple[Any, Any]

T0 = datetime(2030, 1, 1, tzinfo=UTC)
HOUSE = Config(OAuthProtocol(client_id=1, client_secret="S" * 40), lease=65.0, max_retries=2, issues=True)
FOLLOWER = evolve(HOUSE, issues=False)
APP = HOUSE.key()
IVAN = HOUSE.key("ivan")
OWNER = "here:7:uuuuuuuuuuuu"
LEASE = Lease(OWNER, 65.0)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def micros(moment: datetime) -> int:
    """The revision that a first entry written at this moment gets."""
    return int(moment.timestamp() * 1_000_000)


def app_entry(
    name: str = "app-1", *, life: float = 3600, issued_at: datetime = T0, revision: int = 1, **more: Any
) -> Entry:
    token = AppToken(token_type="Bearer", access_token=name, expires_in=issued_at + timedelta(seconds=life))
    return Entry(token=token, revision=revision, issued_by="here:7", issued_at=issued_at, **more)


def user_entry(
    name: str = "user-1", *, life: float = 3600, issued_at: datetime = T0, revision: int = 1, **more: Any
) -> Entry:
    ends = issued_at + timedelta(seconds=life)
    token = UserToken(token_type="Bearer", access_token=name, refresh_token=f"{name}-refresh", expires_in=ends)
    return Entry(token=token, revision=revision, issued_by="here:7", issued_at=issued_at, **more)


def answer(name: str, *, life: int = 3600) -> Response:
    """The server's 200 with a token of this name, for a user if the name says so."""
    body = {"token_type": "Bearer", "expires_in": life, "access_token": name}
    if name.startswith("user"):
        body["refresh_token"] = f"{name}-refresh"
    return Response(200, {"content-type": "application/json"}, dumps(body).encode())


def refusal(status: int, error: str | None = None, headers: dict[str, str] | None = None) -> Response:
    body = {"message": "no"} if error is None else {"error": error, "error_description": "no"}
    return Response(status, {"content-type": "application/json", **(headers or {})}, dumps(body).encode())


def play(program: Program[Any], *script: Step) -> Any:
    """Run a program by the script; fails at the first difference."""
    return _inside(lambda: program, list(script))


def _inside(body: Callable[[], Program[Any]], script: list[Step]) -> Any:
    steps = iter(script)
    try:
        return run(body(), lambda effect: _performed(effect, steps))
    except AssertionError:
        steps = iter(())
        raise
    finally:
        left = list(steps)
        assert not left, f"the program ended before {left[0][0]}"


def _performed(effect: Any, steps: Iterator[Step]) -> Any:
    expected, given = next(steps, (None, None))
    assert _shape(effect) == _shape(expected), f"the program wants {effect}, the script says {expected}"
    if isinstance(given, BaseException):
        raise given
    return _inside(effect.body, given) if isinstance(given, list) else given


def _shape(effect: Any) -> Any:
    """An effect without its body, which is a function and equals nothing."""
    return evolve(effect, body=nothing) if isinstance(effect, Shared | Leased | Shielded) else effect


# Passages that most transcripts share


def nothing() -> Program[None]:
    """The body of an expected scope."""
    yield from ()


def now(moment: datetime = T0) -> Step:
    return Now(), moment


def shared(key: Any, given: Any, purpose: str = "issue") -> Step:
    return Shared(key, purpose, 65.0, nothing), given


def leased(key: Any, given: Any) -> Step:
    return Leased(key, LEASE, nothing), given


def shielded(*steps: Step) -> Step:
    return Shielded(nothing), list(steps)


def named() -> list[Step]:
    """A flight makes up the name under which it takes the lease."""
    return [(Identity(), "here:7"), (Unguessable(), Secret("u" * 43))]


def looked(key: Any, entry: Entry | None, cell: Cell | None = None) -> list[Step]:
    """A look at the store, and at what this process knows besides."""
    known: list[Step] = [] if entry is None else [(Remember(key, entry), None)]
    return [(Load(key), entry), *known, (Recall(key), Cell(entry=entry) if cell is None else cell)]


def weighed(key: Any, entry: Entry | None, cell: Cell, moment: datetime) -> list[Step]:
    """The holder of the lease looks at the store, the clock, and what this process knows, and finds nothing to use."""
    known: list[Step] = [] if entry is None else [(Remember(key, entry), None)]
    return [(Load(key), entry), *known, now(moment), (Recall(key), cell)]


def sent(request: Any, given: Any, moment: datetime = T0) -> list[Step]:
    return [now(moment), (Send(request), given)]


def written(key: Any, cell: Cell, expected: int | None, entry: Entry, given: Any, moment: datetime = T0) -> list[Step]:
    """A new token becomes an entry and goes into the store."""
    named = [(Recall(key), cell), (Identity(), "here:7"), now(moment)]
    return [*named, (Swap(key, expected, entry), given)]


def paused(key: Any, seconds: float, stored: Entry | None, *, held: bool = True, naps: int = 1) -> list[Step]:
    """A pause of a holder: it naps, prolongs its lease, and looks whether the store is as it was."""
    nap: list[Step] = [(Sleep(seconds / naps), None), (Hold(key, LEASE), held)]
    return [*nap * naps, *([(Load(key), stored)] if held else [])]


def chanced(value: float = 0.5) -> Step:
    return Chance(), value

"""Programs on paper: a program runs against a list of what it should want of the outside, each with its answer.

The program's own process is real: a `Stage` has a `TokenCache` and a clock that stands still until the script moves
it. What a program asks of those is not written down. A step is ``(effect, answer)``. An exception as the answer is
raised at the program; a list is what happens inside a scope (`Shared`, `Leased`, `Later`, `Shielded`), whose body is
run against it; a function is called with the stage, and what it returns is the answer. `at` moves the clock. A look for
word of a limit that finds none need not be written down.

`play` checks every effect, the order and that nothing is left over, and returns the program's result.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any

from attrs import define, evolve, field

from exbo_oauth import AppToken, StoreError, UserToken
from exbo_oauth.clients.cache import TokenCache
from exbo_oauth.events import Event
from exbo_oauth.flow.config import Config
from exbo_oauth.flow.drive import run
from exbo_oauth.flow.effects import (
    Accept,
    Answered,
    Cell,
    Chance,
    Emit,
    End,
    Failing,
    Forget,
    Hold,
    Identity,
    Later,
    Lease,
    Leased,
    Load,
    Now,
    Pending,
    Program,
    Recall,
    Refuse,
    Remember,
    Rescue,
    Send,
    Shared,
    Shielded,
    Sleep,
    Spend,
    Swap,
    Tried,
    Unguessable,
)
from exbo_oauth.flow.entries import fingerprint
from exbo_oauth.flow.holders import owner_text
from exbo_oauth.flow.limits import limit_key
from exbo_oauth.masking import Secret
from exbo_oauth.protocol import OAuthProtocol, Response
from exbo_oauth.stores import Entry, Issue, StoreKey

Step = tuple[Any, Any]

T0 = datetime(2030, 1, 1, tzinfo=UTC)
EXPIRED = T0 + timedelta(seconds=4000)  # an hour's token of T0 is over
HOUSE = Config(
    OAuthProtocol(client_id=1, client_secret="S" * 40), lease=10.0, patience=65.0, max_retries=2, issues=True
)
FOLLOWER = evolve(HOUSE, issues=False)
APP = HOUSE.key()
IVAN = HOUSE.key("ivan")
LIMIT = limit_key(HOUSE)
HERE = "here:7"
OWNER = owner_text(HERE, T0, "u" * 12)
LEASE = Lease(OWNER, 10.0, 65.0)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def micros(moment: datetime) -> int:
    """The revision that a first entry written at this moment gets."""
    return int(moment.timestamp() * 1_000_000)


@define
class Stage:
    """The process that the program runs in."""

    now: datetime = T0
    cache: TokenCache = field(factory=TokenCache)
    chance: float = 0.5
    tried: list[str] = field(factory=list)
    events: list[Event] = field(factory=list)

    def cell(self, key: StoreKey) -> Cell:
        return self.cache.recall(key)

    def perform(self, effect: Any) -> Any:
        """Do what needs nobody outside."""
        match effect:
            case Now():
                return self.now
            case Chance():
                return self.chance
            case Identity():
                return HERE
            case Unguessable():
                return Secret("u" * 43)
            case Recall(key):
                return self.cache.recall(key)
            case Remember(key, entry):
                return self.cache.remember(key, entry)
            case Accept(key, acceptance):
                return self.cache.accept(key, acceptance)
            case Refuse(key, refusal):
                return self.cache.refuse(key, refusal)
            case Answered(key, token, target, at):
                return self.cache.note_answer(key, token, target, at)
            case Spend(key, token):
                return self.cache.spend(key, token)
            case Rescue(key, pending):
                return self.cache.rescue(key, pending)
            case Failing(key, failing):
                return self.cache.note_failing(key, failing)
            case End(key, name):
                return self.cache.note_end(key, name)
            case Forget(key, revision):
                return self.cache.forget(key, revision)
            case Emit(event):
                return self.events.append(event)
            case Tried(_, host):
                return self.tried.append(host)
            case _:
                raise AssertionError(f"{effect} is not an inner matter")


INNER = (
    Now, Chance, Identity, Unguessable, Recall, Remember, Accept, Refuse, Answered, Spend, Rescue, Failing, End,
    Forget,
    Tried, Emit,
)  # fmt: skip


def knowing(
    *entries: Entry,
    key: StoreKey | None = None,
    pending: Pending | None = None,
    spent: str | None = None,
    forgotten: int = 0,
    now: datetime = T0,
) -> Stage:
    """A stage whose process knows these tokens, each by the key of its kind unless one is named."""
    stage = Stage(now)
    for entry in entries:
        stage.cache.remember(key or (IVAN if isinstance(entry.token, UserToken) else APP), entry)
    for known in (key,) if key else (APP, IVAN):
        if pending is not None:
            stage.cache.rescue(known, pending)
        if spent is not None:
            stage.cache.spend(known, Secret(spent))
        if forgotten:
            stage.cache.forget(known, forgotten)
    return stage


def app_entry(
    name: str = "app-1", *, life: float = 3600, issued_at: datetime = T0, revision: int = 1, **more: Any
) -> Entry:
    token = AppToken(token_type="Bearer", access_token=name, expires_in=issued_at + timedelta(seconds=life))
    return Entry(token=token, revision=revision, issued_by=HERE, issued_at=issued_at, **more)


def user_entry(
    name: str = "user-1", *, life: float = 3600, issued_at: datetime = T0, revision: int = 1, **more: Any
) -> Entry:
    ends = issued_at + timedelta(seconds=life)
    token = UserToken(token_type="Bearer", access_token=name, refresh_token=f"{name}-refresh", expires_in=ends)
    return Entry(token=token, revision=revision, issued_by=HERE, issued_at=issued_at, **more)


def issued(entry: Entry, why: str, predecessor: Entry | None = None, target: str = "", taken: str = "") -> Entry:
    """`entry` with its own issue at the end of its history."""
    issue = Issue(
        at=entry.issued_at,
        by=HERE,
        why=why,
        fingerprint=fingerprint(entry.token.access_token),
        target=target,
        taken=taken,
    )
    return evolve(entry, history=(*(predecessor.history if predecessor is not None else ()), issue))


def answer(name: str, *, life: int = 3600) -> Response:
    """The server's 200 with a token of this name, for a user if the name says so."""
    body = {"token_type": "Bearer", "expires_in": life, "access_token": name}
    if name.startswith("user"):
        body["refresh_token"] = f"{name}-refresh"
    return Response(200, {"content-type": "application/json"}, dumps(body).encode())


def refusal(status: int, error: str | None = None, headers: dict[str, str] | None = None) -> Response:
    body = {"message": "no"} if error is None else {"error": error, "error_description": "no"}
    return Response(status, {"content-type": "application/json", **(headers or {})}, dumps(body).encode())


def play(program: Program[Any], *script: Step, stage: Stage | None = None) -> Any:
    """Run a program by the script; fails at the first difference."""
    return _inside(lambda: program, list(script), Stage() if stage is None else stage)


def at(seconds: float) -> Step:
    """From here on the clock shows so many seconds after `T0`."""
    return "now", after(seconds)


def chanced(chance: float) -> Step:
    """From here on random numbers are this one."""
    return "chance", chance


def _inside(body: Callable[[], Program[Any]], script: list[Step], stage: Stage) -> Any:
    steps = _Steps(script, stage)
    try:
        result = run(body(), lambda effect: _performed(effect, steps, stage))
    except AssertionError:
        raise
    except BaseException:
        steps.check_over()
        raise
    steps.check_over()
    return result


class _Steps:
    """The rest of a script; the stage is changed as soon as it is that step's turn."""

    def __init__(self, script: list[Step], stage: Stage) -> None:
        self._steps: Iterator[Step] = iter(script)
        self._stage = stage
        self._next: Step | None = None
        self.advance()

    def advance(self) -> None:
        self._next = next(self._steps, None)
        while self._next is not None and isinstance(self._next[0], str):
            setattr(self._stage, *self._next)
            self._next = next(self._steps, None)

    def take(self, effect: Any) -> Any:
        expected, given = self._next or (None, None)
        assert _shape(effect) == _shape(expected), f"the program wants {effect}, the script says {expected}"
        return given

    def expect(self, effect: Any) -> bool:
        return self._next is not None and _shape(effect) == _shape(self._next[0])

    def check_over(self) -> None:
        assert self._next is None, f"the program ended before {self._next[0]}"


def _performed(effect: Any, steps: _Steps, stage: Stage) -> Any:
    if isinstance(effect, INNER):
        return stage.perform(effect)
    if effect == Load(LIMIT) and not steps.expect(effect):
        return None
    given = steps.take(effect)
    try:
        if callable(given):
            given = given(stage)
        if isinstance(given, BaseException):
            raise given
        return _scoped(effect, given, stage) if isinstance(given, list) else given
    finally:
        steps.advance()


def _scoped(effect: Any, given: list[Step], stage: Stage) -> Any:
    with suppress(*([StoreError] if isinstance(effect, Later) else [])):  # nobody hears of it
        return _inside(effect.body, given, stage)


def _shape(effect: Any) -> Any:
    """An effect without its body, which is a function and equals nothing, and without the age of a lease."""
    if isinstance(effect, Shared | Leased | Later | Shielded):
        effect = evolve(effect, body=nothing)
    return evolve(effect, lease=evolve(effect.lease, owner="")) if isinstance(effect, Leased | Hold) else effect


# Passages that most transcripts share


def nothing() -> Program[None]:
    """The body of an expected scope."""
    yield from ()


def shared(key: Any, given: Any, purpose: str = "issue", wait: float | None = None) -> Step:
    return Shared(key, purpose, 65.0, nothing, wait), given


def leased(key: Any, given: Any) -> Step:
    return Leased(key, LEASE, nothing), given


def shielded(*steps: Step) -> Step:
    return Shielded(nothing), list(steps)


def loaded(key: Any, entry: Any) -> Step:
    return Load(key), entry


def still_ours(key: Any, entry: Entry | None) -> list[Step]:
    """The holder's last look before it sends: the lease is its own, and the store is as it was."""
    return [(Hold(key, LEASE), True), loaded(key, entry)]


def written(key: Any, expected: int | None, entry: Entry | None, given: Any = True) -> Step:
    return Swap(key, expected, entry), given


def slept(seconds: float) -> Step:
    return Sleep(seconds), None


def sent(request: Any, given: Any) -> Step:
    return Send(request), given


def word(status: int, seconds: float, *, written_at: datetime = T0, by: str = HERE) -> Entry:
    """What the store has to say of a limit of the server's."""
    nothing_to_use = AppToken(
        token_type="limit", access_token="none", expires_in=written_at + timedelta(seconds=seconds)
    )
    issue = Issue(at=written_at, by=by, why=str(status))
    return Entry(
        token=nothing_to_use, revision=micros(written_at), issued_by=by, issued_at=written_at, history=(issue,)
    )


def limit_noted(entry: Entry) -> list[Step]:
    """Others are told."""
    seconds = (entry.token.expires_in - entry.issued_at).total_seconds()
    return [(Hold(LIMIT, Lease("limited", seconds)), True), loaded(LIMIT, None), written(LIMIT, None, entry)]


def in_vain(steps: list[Step]) -> list[Step]:
    """Steps that fail, and are repeated as long as the lease lasts."""
    return [*steps, *(step for pause in (0.1, 0.2, 0.4, 0.8, 1.6) for step in (slept(pause), *steps))]

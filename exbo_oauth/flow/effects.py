"""The vocabulary: everything that a program may want from the world.

An effect is a frozen value; ``answer = yield from Load(key)`` hands it to the driver and returns the answer, with
its static type. A performer is one ``match`` over `Operation` that ends in ``assert_never``: a new effect fails
type checking in both shells until both can do it.

`Leased`, `Shared` and `Shielded` are scopes. They take a body to run inside them, as no ``finally`` of a program
could promise to let go: a closed generator cannot yield.
"""

from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeAlias, TypeVar

from attrs import field, fields, frozen

from ..events import Event
from ..masking import Secret
from ..protocol.messages import Request, Response
from ..stores.base import Entry, StoreKey
from .evidence import UNKNOWN, Acceptance, Refusal, Target, Witness

__all__ = [
    "Accept",
    "Answered",
    "Cell",
    "Chance",
    "Effect",
    "Emit",
    "End",
    "Failing",
    "Forget",
    "Hold",
    "HolderOf",
    "Identity",
    "Keys",
    "Later",
    "Lease",
    "Leased",
    "Load",
    "Now",
    "Operation",
    "Pending",
    "Program",
    "Recall",
    "Refuse",
    "Remember",
    "Remove",
    "Rescue",
    "Send",
    "Shared",
    "Shielded",
    "Sleep",
    "Spend",
    "Swap",
    "Tried",
    "Try",
    "Unguessable",
]

T = TypeVar("T")

Program: TypeAlias = Generator[Any, Any, T]


class Effect(Generic[T]):
    """Something to be done by whoever drives the program; `T` is the type of its answer."""

    __slots__ = ()

    def _fields(self) -> Any:  # attrs' own __eq__ and __repr__, for each of the thirty, take long to import
        kind: Any = type(self)
        return fields(kind)

    def _values(self) -> tuple[Any, ...]:
        return type(self), *(getattr(self, known.name) for known in self._fields())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Effect) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = (f"{known.name}={getattr(self, known.name)!r}" for known in self._fields() if known.repr)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __iter__(self) -> Generator[Self, Any, T]:
        answer: T = yield self
        return answer


@frozen
class Pending:
    """A token that was issued and could not be saved: `entry` still has to replace revision `expected`."""

    expected: int | None
    entry: Entry


@frozen
class Cell:
    """What this process knows of one key.

    `entry` is the newest token seen, and `witnesses` by their names are the hosts that it was sent to. `spent` is a
    refresh token that the server said no to, and `pending` is a token that the store still has to take. Entries up to
    the revision `forgotten` were removed on purpose. `failing` says that the store failed when it was asked last, and
    `ended` is the fingerprint of the token whose early end was told of last.
    """

    entry: Entry | None = None
    witnesses: Mapping[str, Witness] = field(factory=dict)
    spent: Secret | None = None
    pending: Pending | None = None
    forgotten: int = 0
    failing: bool = False
    ended: str = ""

    def witness(self, target: Target) -> Witness:
        """What was seen of the target's host."""
        return self.witnesses.get(target.host, UNKNOWN)


@frozen
class Lease:
    """The right to renew one key: taken by `owner`, over after `ttl` seconds without a sign of life.

    While its holder lives it is prolonged, `most` seconds in all.
    """

    owner: str
    ttl: float
    most: float = 0.0


@frozen(eq=False, repr=False)
class Now(Effect[datetime]):
    """The present, aware UTC."""


@frozen(eq=False, repr=False)
class Chance(Effect[float]):
    """A random number from 0 up to 1."""


@frozen(eq=False, repr=False)
class Unguessable(Effect[Secret]):
    """A fresh random string of 43 unreserved characters: a state, or a PKCE verifier."""


@frozen(eq=False, repr=False)
class Identity(Effect[str]):
    """This process by a name that people recognise: host and process id."""


@frozen(eq=False, repr=False)
class Emit(Effect[None]):
    """Tell whoever listens what happened."""

    event: Event


@frozen(eq=False, repr=False)
class Sleep(Effect[None]):
    """Wait. Cancellable."""

    seconds: float


@frozen(eq=False, repr=False)
class Send(Effect[Response]):
    """One exchange with the server, bounded by the client's timeout; raises `TransportError`."""

    request: Request


@frozen(eq=False, repr=False)
class Load(Effect[Entry | None]):
    """What the store holds, fit for use; raises `StoreError`, as every effect on the store does."""

    key: StoreKey


@frozen(eq=False, repr=False)
class Swap(Effect[bool]):
    """Compare-and-swap in the store."""

    key: StoreKey
    expected: int | None
    entry: Entry | None


@frozen(eq=False, repr=False)
class Remove(Effect[int | None]):
    """Delete what the store holds, whatever it is; the revision of that, None if there was nothing."""

    key: StoreKey


@frozen(eq=False, repr=False)
class Keys(Effect[list[StoreKey]]):
    """All keys of the store."""


@frozen(eq=False, repr=False)
class Recall(Effect[Cell]):
    """What this process knows of a key."""

    key: StoreKey


@frozen(eq=False, repr=False)
class Remember(Effect[None]):
    """Know an entry from now on, unless a newer revision is known or this one was forgotten."""

    key: StoreKey
    entry: Entry


@frozen(eq=False, repr=False)
class Accept(Effect[bool]):
    """Note that an API took a token; whether there is something in this that others have to know."""

    key: StoreKey
    acceptance: Acceptance


@frozen(eq=False, repr=False)
class Refuse(Effect[None]):
    """Note that an API refused a token."""

    key: StoreKey
    refusal: Refusal


@frozen(eq=False, repr=False)
class Answered(Effect[None]):
    """Note that an API, asked again, gave an answer that says nothing of the token."""

    key: StoreKey
    token: Secret
    target: Target
    at: datetime


@frozen(eq=False, repr=False)
class Try(Effect[bool]):
    """Be the one of this process who sends a refused token to a host again: True. `Tried` ends that.

    While somebody else is at it, wait until he has an answer, or was silent for `patience` seconds: False.
    """

    key: StoreKey
    host: str
    patience: float


@frozen(eq=False, repr=False)
class Tried(Effect[None]):
    """Let those go on who wait for our `Try`."""

    key: StoreKey
    host: str


@frozen(eq=False, repr=False)
class Spend(Effect[None]):
    """Never send this refresh token again."""

    key: StoreKey
    refresh_token: Secret


@frozen(eq=False, repr=False)
class Rescue(Effect[None]):
    """Keep a token that could not be saved, or, with None, let it go."""

    key: StoreKey
    pending: Pending | None


@frozen(eq=False, repr=False)
class Failing(Effect[None]):
    """Note whether the store failed when it was asked for a key."""

    key: StoreKey
    failing: bool


@frozen(eq=False, repr=False)
class End(Effect[None]):
    """Note that the early end of the token of this fingerprint is told."""

    key: StoreKey
    fingerprint: str


@frozen(eq=False, repr=False)
class Forget(Effect[None]):
    """Know no token of a key up to this revision any more, also if somebody is just about to remember one."""

    key: StoreKey
    revision: int


@frozen(eq=False, repr=False)
class HolderOf(Effect[str | None]):
    """Who holds the lease of a key, as it stands in the store; None if nobody does, or the store cannot tell."""

    key: StoreKey


@frozen(eq=False, repr=False)
class Hold(Effect[bool]):
    """Prolong a lease that is held; False if it was lost meanwhile."""

    key: StoreKey
    lease: Lease


@frozen(eq=False, repr=False)
class Leased(Effect[T | None]):
    """Run `body` under the lease of `key`, prolonged meanwhile; None at once if another owner has it.

    Afterwards it is let go, unless this process holds a token that the store still has to take.
    """

    key: StoreKey
    lease: Lease
    body: Callable[[], Program[T]] = field(repr=False)


@frozen(eq=False, repr=False)
class Later(Effect[None]):
    """Have `body` run some time soon, behind the caller's back, and once if others ask for it by its `name` meanwhile.

    It may want the store, what can be done at once, and a lease that it finds free; what it raises is lost.
    """

    key: StoreKey
    name: str
    body: "Callable[[], Program[None]]" = field(repr=False)


@frozen(eq=False, repr=False)
class Shared(Effect[T | None]):
    """Run `body` once in this process for all who ask for `key` and `purpose` at the same time.

    Everybody gets its answer or its error. None if the one who ran it was cancelled, or did nothing for `patience`
    seconds (its event loop is blocked, or gone): ask anew. Who waits for another for `wait` seconds, if that is given,
    gets a `TimeoutError`; the one that runs is left alone.
    """

    key: StoreKey
    purpose: str
    patience: float
    body: Callable[[], Program[T]] = field(repr=False)
    wait: float | None = None


@frozen(eq=False, repr=False)
class Shielded(Effect[T]):
    """Run `body` to its end even if the caller is cancelled meanwhile; the cancellation follows afterwards."""

    body: Callable[[], Program[T]] = field(repr=False)


Operation: TypeAlias = (
    Now
    | Chance
    | Unguessable
    | Identity
    | Sleep
    | Send
    | Load
    | Swap
    | Remove
    | Keys
    | Recall
    | Remember
    | Accept
    | Refuse
    | Answered
    | Try
    | Tried
    | Emit
    | Spend
    | Rescue
    | Failing
    | End
    | Forget
    | Hold
    | HolderOf
    | Later
    | Leased[Any]
    | Shared[Any]
    | Shielded[Any]
)

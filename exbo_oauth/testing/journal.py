"""What came in and what happened: the log that tests count in, and the timeline that the live page draws.

Neither shows a secret: requests are kept as `exbo_oauth.protocol.Request`, whose repr is masked, and a timeline
entry knows a token by its number only.
"""

import re
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from attrs import define, evolve, frozen

from ..protocol.messages import Request, Response

__all__ = ["Event", "Journal", "Received"]


@define(kw_only=True, eq=False, repr=False)
class Received:
    """One request that reached the server.

    `grant` is the grant type of a token request, `client_id` who sent it as far as the server could tell. `status` is
    what it was answered with: None if the answer never was made (a loss before processing). `lost` says that the
    answer, made or not, did not get through. The `response` itself is kept of the newest hundred.

    ::

        for received in fake.requests:
            print(received.request.method, received.request.url)
    """

    number: int
    at: float
    method: str
    path: str
    request: Request
    grant: str | None = None
    client_id: str | None = None
    status: int | None = None
    lost: bool = False
    response: Response | None = None

    @property
    def received_at(self) -> datetime:
        """When it came in, by the server's clock (aware UTC)."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def asked(self) -> str:
        """What it was for: its grant, or else its path."""
        return self.grant or self.path

    def __repr__(self) -> str:
        grant = f" {self.grant}" if self.grant else ""
        outcome = "lost" if self.lost else self.status
        return f"<{self.method} {self.path}{grant}: {outcome}>"


@frozen(kw_only=True)
class Event:
    """A line of the timeline.

    `kind` is one of issued, superseded, refreshed, revoked (what became of a token), refused (a bearer token),
    declined (a token or authorization request), unregistered (its redirect URI, which is the `detail`), unreadable
    (nothing that this server understands), lost, answered (as scripted), joined, signed_in, approved, denied. `request`
    is the number of the request that led to it and `asker` the program that sent it, by its User-Agent; None and empty
    for what a test did itself, `after` that many requests.

    ::

        for event in fake.events:
            print(event)
    """

    number: int
    at: float
    kind: str
    client_id: str | None = None
    user_id: int | None = None
    grant: str | None = None
    token: int | None = None
    by: int | None = None
    status: int | None = None
    detail: str = ""
    request: int | None = None
    asker: str = ""
    after: int | None = None


_ANSWERS = 100
_PRODUCT = re.compile(r"[!-~]{1,40}")  # the first of a User-Agent, as far as it can be shown


class Journal:
    """The newest `limit` requests and events."""

    def __init__(self, limit: int) -> None:
        self.requests: deque[Received] = deque(maxlen=limit)
        self.events: deque[Event] = deque(maxlen=min(limit, 1000))
        self._requests = 0
        self.event_number: int = 0
        self._current: Received | None = None
        self._answered: deque[Received] = deque()

    def receive(self, request: Request, path: str, at: float, *, logged: bool) -> Received:
        """Make the entry of a request, which is the cause of all that is noted until `done`.

        The live page's own ones are not `logged`.
        """
        self._requests += logged
        received = self._current = Received(
            number=self._requests, at=at, method=request.method.upper(), path=path, request=request
        )
        if logged:
            self.requests.append(received)
        return received

    def restore(self, events: Iterable[Event], number: int) -> None:
        """Put in what happened before, oldest first; `number` is the last event's. The requests are forgotten."""
        self.events.extend(evolve(event, request=event.request and 0, after=None) for event in events)
        self.event_number = number

    def done(self, received: Received, response: Response | None) -> None:
        """Take the answer to a request; what is noted from now on is not its doing."""
        received.response = response
        self._answered.append(received)
        if len(self._answered) > _ANSWERS:
            self._answered.popleft().response = None
        self._current = None

    def note(self, kind: str, at: float, **facts: Any) -> None:
        self.event_number += 1
        self.events.append(Event(number=self.event_number, at=at, kind=kind, **self._cause(), **facts))

    def _cause(self) -> dict[str, Any]:
        if self._current is None:
            return {"after": self._requests}
        product = _PRODUCT.match(self._current.request.header("user-agent"))
        return {"request": self._current.number, "asker": product[0] if product else ""}


for _public in (Event, Received):
    _public.__module__ = "exbo_oauth.testing"

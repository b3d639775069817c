"""Trouble on purpose: lost answers, scripted answers, and answers held back until a test lets them go.

`Faults` only decides; what becomes of an answer is told by its `Delivery`. A `Gate` works for threads, asyncio and trio
alike: blocking waiters wait for an event, async ones look again every few milliseconds, so that a release may come
from anywhere.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from attrs import define, field

from ..protocol.messages import Request, Response

__all__ = ["AnswerLost", "Faults", "Gate", "Scripted"]

_GLANCE = 0.002


class AnswerLost(ConnectionError):
    """The connection dropped before the answer was through.

    Raised by `FakeExbo.handle`; a transport raises its HTTP library's error instead.

    ::

        fake.lose_next_answer()
        oauth.ensure_app_token()  # a client raises TransportError, or tries again
    """


class Gate:
    """Holds answers to `path` until `release`; the requests behind them are processed already.

    As a context manager it releases on the way out. `times` bounds how many answers are caught, None catches all.

    ::

        gate = fake.hold()
        asking = threading.Thread(target=oauth.get_app_token)
        asking.start()
        gate.wait()  # the request is there
        gate.release()
        asking.join()
    """

    def __init__(self, path: str, times: int | None) -> None:
        self.path = path
        self._left = times
        self._held = 0
        self._caught = threading.Condition()
        self._open = threading.Event()

    @property
    def held(self) -> int:
        """How many answers were caught so far."""
        return self._held

    @property
    def released(self) -> bool:
        """Whether answers pass again."""
        return self._open.is_set()

    def catches(self, path: str) -> bool:
        """Whether an answer to `path` is to wait here; counts it if so."""
        with self._caught:
            if self.released or path != self.path or self._left == 0:
                return False
            self._left = None if self._left is None else self._left - 1
            self._held += 1
            self._caught.notify_all()
            return True

    def release(self) -> None:
        """Let every held answer go, and hold no further ones."""
        self._open.set()

    def wait(self, count: int = 1, timeout: float = 10.0) -> None:
        """Block until `count` answers were caught; `TimeoutError` after `timeout` seconds."""
        with self._caught:
            if not self._caught.wait_for(lambda: self._held >= count, timeout):
                raise TimeoutError(f"{self._held} of {count} answers were caught within {timeout} seconds")

    async def wait_async(self, count: int = 1, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the twin of wait
        """`wait` for asyncio and trio."""
        import anyio

        deadline = time.monotonic() + timeout
        while self._held < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._held} of {count} answers were caught within {timeout} seconds")
            await anyio.sleep(_GLANCE)

    def pass_through(self, timeout: float | None) -> bool:
        """Block until released; False if `timeout` seconds were not enough. For transports."""
        return self._open.wait(timeout)

    async def pass_through_async(self, sleep: Callable[[float], Awaitable[object]], timeout: float | None) -> bool:  # noqa: ASYNC109
        """`pass_through` with the `sleep` of any event loop."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.released:
            if deadline is not None and time.monotonic() > deadline:
                return False
            await sleep(_GLANCE)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


@define(kw_only=True)
class Scripted:
    """What is to happen to the next `times` requests to `path` (None: to any endpoint that programs call).

    With an `answer` that is what they get; without one the connection drops, after the request was `processed` or
    before, and with `partial` only in the middle of the answer's body.
    """

    times: int = 1
    path: str | None = None
    answer: Callable[[Request, str], Response] | None = None
    processed: bool = False
    partial: bool = False


@define
class Faults:
    """The script, first come first served, and the gates."""

    _scripted: list[Scripted] = field(factory=list)
    _gates: list[Gate] = field(factory=list)

    def add(self, scripted: Scripted) -> None:
        self._scripted.append(scripted)

    def add_gate(self, gate: Gate) -> None:
        self._gates = [*(known for known in self._gates if not known.released), gate]

    def take(self, path: str) -> Scripted | None:
        """The first entry of the script that means `path`, used once more."""
        for scripted in self._scripted:
            if scripted.path in (None, path):
                scripted.times -= 1
                if scripted.times <= 0:
                    self._scripted.remove(scripted)
                return scripted
        return None

    def gate(self, path: str) -> Gate | None:
        return next((gate for gate in self._gates if gate.catches(path)), None)


for _public in (AnswerLost, Gate):
    _public.__module__ = "exbo_oauth.testing"

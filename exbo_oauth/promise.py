"""A one-shot value that threads and tasks of any event loop can wait for.

Threads wait with an event, tasks with a wake-up call into their own loop: no lock of one world is waited for in the
other. The first to settle it wins, also against a waiter that gives up: both learn who was first.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from attrs import define, field

__all__ = ["Promise"]

T = TypeVar("T")

_SLICE = 0.25  # seconds: Windows delivers Ctrl-C between waits only, never within one


@define(eq=False)
class Promise(Generic[T]):
    """Empty until it is settled."""

    _values: list[T] = field(factory=list, repr=False)
    _event: threading.Event = field(factory=threading.Event, repr=False)
    _wakers: list[Callable[[], None]] = field(factory=list, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)

    @property
    def settled(self) -> bool:
        """Whether there is a value."""
        return bool(self._values)

    def settle(self, value: T) -> T:
        """Give it a value, unless it has one; the value that it has now."""
        with self._lock:
            if not self._values:
                self._values.append(value)
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()
        self._event.set()  # last: who waits may rely on what the wakers do
        return self._values[0]

    def when_settled(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from whichever thread settles; at once if that has happened."""
        with self._lock:
            if not self.settled:
                self._wakers.append(wake)
                return
        wake()

    def wait(self, timeout: float) -> None:
        """Block this thread until there is a value, `timeout` seconds at most."""
        end = monotonic() + timeout
        while not self._event.is_set() and (left := end - monotonic()) > 0:
            self._event.wait(min(left, _SLICE))

"""A one-shot value that threads and tasks of any event loop can wait for.

Threads wait with an event, tasks with a wake-up call into their own loop: no lock of one world is waited for in the
other. The first to settle it wins, also against a waiter that gives up: both learn who was first.

Whoever is to settle it may be unable to, because its event loop is blocked or was abandoned. It is noticed by its
silence: it counts its steps, and those who wait look at the counter. They measure how long they looked, not what a
clock says, so a process that was stopped as a whole does not take its own absence for the other's.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define, field

__all__ = ["LOOKS", "Awake", "Promise", "Watch"]

T = TypeVar("T")

LOOKS = 8

_SLICE = 0.25  # seconds: Windows delivers Ctrl-C between waits only, never within one


@define(eq=False)
class Promise(Generic[T]):
    """Empty until it is settled. `owner` is the thread that made it, `steps` counts the signs of life of its maker."""

    owner: int = field(factory=threading.get_ident)
    steps: int = 0
    _values: list[T] = field(factory=list, repr=False)
    _event: threading.Event = field(factory=threading.Event, repr=False)
    _wakers: list[Callable[[], None]] = field(factory=list, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)

    @property
    def settled(self) -> bool:
        """Whether there is a value."""
        return bool(self._values)

    def step(self) -> None:
        """A sign of life."""
        self.steps += 1

    def settle(self, value: T) -> T:
        """Give it a value, unless it has one, and wake everybody; the value that it has now.

        If an interrupt cuts that short, doing it again wakes whoever sleeps still.
        """
        with self._lock:
            if not self._values:
                self._values.append(value)
            wakers = self._wakers
        for wake in wakers:
            wake()
        self._event.set()  # last: who waits may rely on what the wakers do
        self._wakers = []
        return self._values[0]

    def when_settled(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from whichever thread settles; at once if that has happened."""
        with self._lock:
            if not self.settled:
                self._wakers.append(wake)
                return
        wake()

    def wait(self, patience: float, most: float = math.inf) -> bool:
        """Block this thread until there is a value; False after `patience` seconds without a sign of life.

        A `TimeoutError` after `most` seconds.
        """
        watch = Watch(self)
        while not watch.is_over():
            if self._waited(min(patience / LOOKS, most)):
                return True
            most -= patience / LOOKS
            if most <= 0:
                raise TimeoutError
        return self.settled

    def _waited(self, seconds: float) -> bool:
        while seconds > _SLICE and not self._event.wait(_SLICE):
            seconds -= _SLICE
        return self._event.wait(min(seconds, _SLICE))


@define
class Watch:
    """Looks at a promise from time to time, and has had enough after `LOOKS` looks without a sign of life."""

    _promise: Promise[Any]
    _seen: int = field(default=-1, init=False)
    _silent: int = field(default=0, init=False)

    def is_over(self) -> bool:
        """One look, before each wait."""
        steps = self._promise.steps
        self._silent = self._silent + 1 if steps == self._seen else 0
        self._seen = steps
        return self._silent >= LOOKS


@define
class Awake:
    """Seconds that are `left`, of which those do not count in which this process was stopped.

    They are waited for in slices. One that took much longer than it should have is the stop's; what came meanwhile
    lies in a socket's buffer, and whoever is to read it gets the next slice to do so. A process to which that happens
    again and again is not stopped but busy: then all counts.
    """

    left: float
    _stops: int = 0

    @property
    def slice(self) -> float:
        """For how long to wait now (seconds)."""
        return min(_SLICE, self.left)

    def waited(self, seconds: float) -> bool:
        """Count a slice that took `seconds`; whether it was the last."""
        if seconds < self.slice + _SLICE or self._stops == LOOKS:
            self.left -= seconds
        else:
            self._stops += 1
        return self.left <= 0

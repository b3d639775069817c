"""Single flight: many callers of one process, in any colour and any thread, wait for one of them.

A `Flight` is a one-shot promise that threads wait for with an event and tasks with a wake-up call into their own
loop; no lock of one world is ever waited for in the other. Whoever leads settles it, whatever happens: with a
value, with an error that everybody gets, or, if the leader was cancelled, with nothing, and somebody else starts.

A leader that can settle nothing any more, because its event loop is blocked or was abandoned, is noticed by its
silence: it counts its steps, and those who wait look at the counter. They measure how long they looked, not what
a clock says, so a process that was stopped as a whole does not take its own absence for the leader's.
"""

import copy
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

__all__ = ["LOOKS", "Flight", "Watch"]

LOOKS = 8


@define(eq=False)
class Flight:
    """One attempt that others may wait for. `leader` is the thread it runs on, `steps` counts its signs of life."""

    leader: int = field(factory=threading.get_ident)
    steps: int = 0
    _settled: threading.Event = field(factory=threading.Event, repr=False)
    _wakers: list[Callable[[], None]] = field(factory=list, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)
    _value: Any = field(default=None, repr=False)
    _error: Exception | None = field(default=None, repr=False)

    @contextmanager
    def led(self) -> Generator[Callable[[Any], None]]:
        """Lead: call what is given with the value. An error that passes through is everybody's."""
        try:
            yield self._keep
        except Exception as error:
            self._error = error
            raise

    def _keep(self, value: Any) -> None:
        self._value = value

    def step(self) -> None:
        """A sign of life."""
        self.steps += 1

    def settle(self) -> None:
        """Wake everybody. To be called when no one can join the flight any more."""
        with self._lock:
            self._settled.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait(self, patience: float) -> bool:
        """Block this thread until the flight is settled; False if its leader was silent for `patience` seconds."""
        watch = Watch(self)
        while not self._settled.wait(patience / LOOKS):
            if watch.is_over():
                return False
        return True

    def when_settled(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from the leader's thread, once the flight is settled; at once if it is."""
        with self._lock:
            if not self._settled.is_set():
                self._wakers.append(wake)
                return
        wake()

    def outcome(self) -> Any:
        """The value, None if the leader was cancelled; raises a copy of its error, so that tracebacks stay apart."""
        if self._error is not None:
            error = copy.copy(self._error)
            raise error from self._error.__cause__
        return self._value


@define
class Watch:
    """Looks at a flight from time to time, and has had enough after `LOOKS` looks without a sign of life."""

    _flight: Flight
    _seen: int = field(init=False)
    _silent: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = self._flight.steps

    def is_over(self) -> bool:
        """One look."""
        steps = self._flight.steps
        self._silent = self._silent + 1 if steps == self._seen else 0
        self._seen = steps
        return self._silent >= LOOKS

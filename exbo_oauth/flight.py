"""Single flight: many callers of one process, in any colour and any thread, wait for one of them.

A `Flight` is a one-shot promise that threads wait for with an event and tasks with a wake-up call into their own
loop; no lock of one world is ever waited for in the other. Whoever leads settles it, whatever happens: with a
value, with an error that everybody gets, or, if the leader was cancelled, with nothing, and somebody else starts.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

__all__ = ["Flight"]


@define(eq=False)
class Flight:
    """One attempt that others may wait for. `leader` is the thread it runs on."""

    leader: int = field(factory=threading.get_ident)
    _settled: threading.Event = field(factory=threading.Event, repr=False)
    _wakers: list[Callable[[], None]] = field(factory=list, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)
    _value: Any = field(default=None, repr=False)
    _error: Exception | None = field(default=None, repr=False)

    @contextmanager
    def leading(self, landed: Callable[[], None]) -> Iterator[Callable[[Any], None]]:
        """Lead: call what is given with the value. `landed` runs before anybody is woken."""
        try:
            yield self._keep
        except Exception as error:
            self._error = error
            raise
        finally:
            landed()
            self._settle()

    def _keep(self, value: Any) -> None:
        self._value = value

    def _settle(self) -> None:
        with self._lock:
            self._settled.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait(self) -> None:
        """Block this thread until the flight is settled."""
        self._settled.wait()

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

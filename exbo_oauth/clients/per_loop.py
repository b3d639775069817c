"""What there is one of for each event loop, and gone with it.

A loop that was closed without having been asked to finish first leaves connections that refer to it: they are let go
when the next loop comes or goes.
"""

import threading
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from attrs import define, field

from .loops import running_loop

__all__ = ["PerLoop"]

T = TypeVar("T")


@define(eq=False, repr=False)
class PerLoop(Generic[T]):
    """A value for each event loop."""

    _values: "WeakKeyDictionary[Any, T]" = field(factory=WeakKeyDictionary)
    _lock: Any = field(factory=threading.RLock)  # of threads that run loops of their own

    def get(self) -> T | None:
        """The running loop's, None if it has none."""
        loop = running_loop()
        with self._lock:
            return self._values.get(loop)

    def set(self, value: T) -> None:
        """Give the running loop one."""
        loop = running_loop()
        with self._lock:
            self._let_go()
            self._values[loop] = value

    def pop(self, loop: Any) -> T | None:
        """The value that `loop` had until now, None if there was none."""
        with self._lock:
            self._let_go()
            return self._values.pop(loop, None)

    def _let_go(self) -> None:
        for loop in list(self._values):
            if getattr(loop, "is_closed", bool)():
                self._values.pop(loop, None)

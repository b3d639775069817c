"""What is left of the time for an exchange as a whole, in the hands of whoever waits for a part of it."""

from time import monotonic
from typing import Self

from ..promise import Awake

__all__ = ["Deadline", "OverError"]


class OverError(Exception):
    """The time for the whole is over."""


class Deadline(float):
    """How many seconds the whole may take: a number, as HTTP libraries take for a limit and hand on as it is.

    They grant it to each read and write. Whoever knows what it is asks for the next `slice` instead, again and again;
    a time in which this process was stopped is not counted.
    """

    _awake: Awake
    _seen: float

    def __new__(cls, seconds: float) -> Self:
        self = super().__new__(cls, seconds)
        self._awake, self._seen = Awake(float(seconds)), monotonic()
        return self

    def slice(self) -> float:
        """For how long to wait now (seconds), before another look at whether it is over; raises `OverError`."""
        now = monotonic()
        over = self._awake.waited(now - self._seen)
        self._seen = now
        if over:
            raise OverError
        return self._awake.slice

    def count(self) -> None:
        """Count all that has passed: somebody waited, without slices."""
        now = monotonic()
        self._awake.left -= now - self._seen
        self._seen = now

"""Work that whoever asked for it cannot be called away from: what lies between a token's issue and its being saved.

It is done on a thread of its own, so an exception that is raised into the caller's thread (Ctrl-C, a time limit) or
greenlet (a kill, a time-out) does not reach it. The caller waits for its end and hears of the exception then. Should
somebody get away all the same, the work goes on, and so does the lease that it is done under.
"""

import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from attrs import define, field

from ..threads import begin

__all__ = ["Tenure", "Work", "finished"]

T = TypeVar("T")

_under_way: "dict[Future[Any], None]" = {}


@define(eq=False)
class Tenure:
    """A lease that was taken: `end` lets it go when the last of those leaves who are at work under it."""

    end: Callable[[], object]
    _workers: set[int] = field(factory=set, repr=False)
    _lock: Any = field(factory=threading.Lock, repr=False)

    def enter(self, worker: object) -> None:
        """Somebody is at work."""
        with self._lock:
            self._workers.add(id(worker))

    def leave(self, worker: object) -> None:
        """Somebody has done."""
        with self._lock:
            self._workers.discard(id(worker))
            last = not self._workers
        if last:
            self.end()


@define(eq=False, repr=False)
class Work(Generic[T]):
    """One piece of work, done once, under `tenure` if it is given."""

    _do: Callable[[], T]
    _tenure: Tenure | None = None
    _outcome: "Future[T]" = field(factory=Future)
    _claimed: Any = field(factory=threading.Lock)

    def outlast(self) -> T:
        """What comes of it, waited for through every interrupt; the first one is passed on then.

        In the main thread a second one is obeyed at once: somebody at the keyboard means it.
        """
        hurried = threading.current_thread() is threading.main_thread()
        interrupts: list[BaseException] = []
        while not (self._outcome.done() or (hurried and len(interrupts) > 1)):
            try:
                self.begin()
                self._outcome.exception()
            except BaseException as error:  # noqa: BLE001  # whatever somebody raises into this thread
                interrupts.append(error)
        if interrupts:
            raise interrupts[0]
        return self._outcome.result()

    def begin(self) -> None:
        """Start it, unless that was done before an interrupt. Twice would do no harm."""
        if self._claimed.locked():
            return
        _under_way[self._outcome] = None
        if self._tenure is not None:
            self._tenure.enter(self)
        run = contextvars.copy_context().run
        try:
            begin(threading.Thread(target=run, args=(self._carry,), name="exbo-oauth", daemon=True))
        except RuntimeError:  # the interpreter is going down and starts no thread any more
            self._carry()

    def _carry(self) -> None:
        if not self._claimed.acquire(blocking=False):  # pragma: no cover  # begun twice: an interrupt came in between
            return
        try:
            result = self._do()
        except BaseException as error:  # noqa: BLE001  # belongs to the thread that waits
            self._leave()
            self._outcome.set_exception(error)
        else:
            self._leave()
            self._outcome.set_result(result)

    def _leave(self) -> None:
        _under_way.pop(self._outcome, None)
        if self._tenure is not None:
            self._tenure.leave(self)


def finished(seconds: float) -> bool:
    """Whether all that is under way in this process comes to its end, which is waited for."""
    return not concurrent.futures.wait(list(_under_way), timeout=seconds).not_done


def _after_fork() -> None:
    _under_way.clear()  # their threads are in the parent


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

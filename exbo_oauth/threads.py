"""Threads are begun so that an exception raised into whoever begins them (a time limit, say) holds nobody up.

Until Python 3.11 a thread that is being made has the number of its maker. An exception that is raised into the maker
may then end the new thread before it has said that it runs, and the maker would wait for that for ever: with all the
locks that it holds. So there a thread that nobody waits for without limit does the waiting.
"""

import sys
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from typing import Any

from attrs import Factory

__all__ = ["CHANGED", "begin", "carry_out"]

CHANGED: Any = Factory(lambda self: threading.Condition(self._lock), takes_self=True)
"""The default of a field `_changed`, the condition that goes with the `_lock` before it.

To look at something, take `_lock` as it is: an exception raised into a thread could leave a condition locked for ever.
"""

_LOOK = 0.2  # seconds


def begin(thread: threading.Thread) -> None:
    """Start a thread, or raise the `RuntimeError` of an interpreter that starts none any more.

    When something else is raised, it may run all the same.
    """
    if sys.version_info >= (3, 12):  # pragma: no branch  # Python 3.11 is not measured
        thread.start()
    else:  # pragma: no cover
        _begin_by_another(thread)


def carry_out(work: Callable[[], object]) -> None:
    """Do `work` on a thread of its own, or here if the interpreter is going down and starts none any more: once."""
    claimed = allocate_lock()

    def once() -> None:
        if claimed.acquire(blocking=False):  # pragma: no branch  # both come to it on Python 3.11 only
            work()

    try:
        begin(threading.Thread(target=once, name="exbo-oauth", daemon=True))
    except RuntimeError as error:
        if type(error) is not RuntimeError or "new thread" not in str(error):  # raised into this thread
            raise  # pragma: no cover  # its test traces, so that coverage cannot
        once()


def _begin_by_another(thread: threading.Thread) -> None:  # pragma: no cover  # Python 3.11 is not measured
    claimed, done = allocate_lock(), allocate_lock()
    done.acquire()
    refused: list[RuntimeError] = []

    def start() -> None:
        if claimed.acquire(blocking=False):
            try:
                thread.start()
            except RuntimeError as error:
                refused.append(error)
            finally:
                done.release()

    start_new_thread(start, ())
    while not done.acquire(timeout=_LOOK):
        start_new_thread(start, ())  # an exception that was meant for us has ended the other
    if refused:
        raise refused[0]

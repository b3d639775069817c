"""Signals that end a process: while a token is between its issue and its being saved, they wait.

That is for signals whose action is the default one, which asks nobody and ends everything at once. A handler of the
program's own stays where it is: it decides when the process ends. Python lets handlers be set by the main thread only;
work on other threads is waited for if the main thread has some, too.
"""

import os
import signal
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from .shield import finished

__all__ = ["deferred", "is_due"]

_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]
_GRACE = 5.0  # seconds, for what other threads are at

_came: list[int] = []
_replaced: list[int] = []


def _main_thread() -> int | None:
    """The system's number of the main thread; Python's own is that of the parent's in a process that was forked."""
    ours = threading.current_thread() is threading.main_thread()
    return threading.get_native_id() if ours else threading.main_thread().native_id


_main = _main_thread()


class _Work:
    """Somebody who is not to be ended. Known for as long as it is referred to: an interrupt may come at any step."""


_at_work: "weakref.WeakSet[_Work]" = weakref.WeakSet()


@contextmanager
def deferred() -> Generator[None]:
    """Have endings wait for this block, if it runs in the main thread; the last such block that ends obeys them."""
    if threading.get_native_id() != _main:  # greenlets have threads of their own, to Python
        yield
        return
    work = _Work()
    try:
        _begin(work)
        yield
    finally:
        _end(work)


def is_due() -> bool:
    """Whether an ending waits already: nothing else should be begun."""
    return bool(_came)


def _begin(work: _Work) -> None:
    _at_work.add(work)
    with suppress(ValueError):  # an interpreter that is not the main one has no signals
        for number in _ENDINGS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _note)
                _replaced.append(number)


def _end(work: _Work) -> None:
    _at_work.discard(work)
    if not _at_work:
        _give_back()
        if _came:
            finished(_GRACE)
            _obey()


def _give_back() -> None:
    while _replaced:
        number = _replaced.pop()
        if signal.getsignal(number) is _note:  # else the program has set a handler of its own meanwhile
            signal.signal(number, signal.SIG_DFL)


def _obey() -> None:
    number = _came[0]
    _came.clear()
    signal.raise_signal(number)


def _note(number: int, _frame: Any) -> None:
    _came.append(number)
    if not _at_work:  # pragma: no cover  # an interrupt has cut short the end of the last block
        _give_back()
        _obey()


def _after_fork() -> None:
    global _main
    _main = threading.get_native_id()  # whichever thread forked
    _at_work.clear()  # in the parent
    _came.clear()
    _give_back()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)

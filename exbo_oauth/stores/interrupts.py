"""Which errors a store has nothing to do with: what a handler of the program's signals raised while it was at work.

The time limit of a job is set in that way, for instance. It may be raised as anything, a `TimeoutError` too, and
whoever it came upon (a driver, a library) may have taken it for an error of a socket's and made another one of it.
"""

import signal
from functools import partial
from traceback import walk_tb
from types import CodeType
from typing import Any

__all__ = ["interrupt"]


def interrupt(error: BaseException, outer: BaseException | None) -> BaseException | None:
    """What a handler raised, if that is `error` or was made into it; None if no handler did.

    `outer` is what the caller was handling when the work began (`sys.exception`): that is over.
    """
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    found, link = None, error if handlers else None
    while link is not None and link is not outer:
        # Whoever made another error of it may have given that one the same frames. What begins with the handler
        # itself, on the other hand, was caught there.
        codes = [frame.f_code for frame, _ in walk_tb(link.__traceback__)]
        found = found if handlers.isdisjoint(codes[1:]) else link
        link = link.__cause__ or link.__context__
    return found


def _code(handler: Any) -> CodeType | None:
    """What is run as this handler: a function, a method, a part of one, an object that can be called."""
    while isinstance(handler, partial):
        handler = handler.func
    if not callable(handler):
        return None
    codes = (getattr(each, "__code__", None) for each in (handler, handler.__call__))
    return next((code for code in codes if isinstance(code, CodeType)), None)

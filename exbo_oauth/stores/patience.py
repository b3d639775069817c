"""How long a store waits for what lies behind it, and calls that are given up when that is over.

Where a driver has time-outs of its own, a store sets them. A caller's client or engine is as its caller made it: a
call into it is made on another thread, which is left to itself when the time is over.
"""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar

from attrs import define, field

from ..errors import StoreError

__all__ = ["PATIENCE", "Impatient"]

T = TypeVar("T")

PATIENCE = 5.0
"""For how many seconds a store waits at most for what lies behind it: less than a lease lasts."""

_MOST_HANGING = 20


@define(eq=False)
class Impatient:
    """Makes calls that may never come back, and waits for each of them for a limited time.

    Those that did not come back yet hold a thread each, and perhaps a connection of the caller's: when there are many,
    no others are begun. `drop` is told what came back too late for anybody to take it.
    """

    drop: Callable[[Any], object] = lambda _: None
    _hanging: set[object] = field(factory=set, init=False)

    def __call__(self, call: Callable[..., T], *args: Any) -> T:
        """What `call` gives; raises `StoreError` if it does not come back."""
        future = Future[T]()
        if len(self._hanging) >= _MOST_HANGING:
            raise _silence()
        self._hanging.add(future)
        work = (contextvars.copy_context().run, self._carry, future, call, args)
        try:
            threading.Thread(target=work[0], args=work[1:], name="exbo-oauth", daemon=True).start()
        except RuntimeError:  # the interpreter is going down and starts no thread any more
            self._carry(future, call, args)
        try:
            return future.result(PATIENCE)
        except TimeoutError:
            if not future.cancel():
                return future.result()  # it came back just now, or the error is its own
        raise _silence()

    def _carry(self, future: "Future[Any]", call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._hand_over(future, call(*args))
        except BaseException as error:  # noqa: BLE001  # belongs to the thread that waits
            with suppress(InvalidStateError):  # which does not wait any more
                future.set_exception(error)
        finally:
            self._hanging.discard(future)

    def _hand_over(self, future: "Future[Any]", value: Any) -> None:
        try:
            future.set_result(value)
        except InvalidStateError:
            self.drop(value)


def _silence() -> StoreError:
    return StoreError(f"what the token store stands on gave no answer within {PATIENCE:g} s")

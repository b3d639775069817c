"""How long a store waits for what lies behind it, and calls that are given up when that is over.

Where a driver has time-outs of its own, a store sets them. A caller's client or engine is as its caller made it: a
call into it is made on another thread, which is left to itself when the time is over.
"""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from ..errors import StoreError
from ..threads import begin

__all__ = ["PATIENCE", "Impatient", "silence"]

T = TypeVar("T")

PATIENCE = 5.0
"""For how many seconds a store waits at most for what lies behind it: less than a lease lasts."""

_MOST_HANGING = 20


def silence(seconds: float) -> StoreError:
    """Why a call was given up."""
    return StoreError(f"what the token store stands on gave no answer within {seconds:g} s")


@define(eq=False)
class _Call:
    """One call on a thread of its own. `ended` is set when it came back, whether or not anybody waited for that."""

    work: Callable[[], Any] = field(repr=False)  # its arguments may be secrets
    late: Callable[[Any], object]
    answer: "Future[Any]" = field(factory=Future)
    ended: threading.Event = field(factory=threading.Event)

    def start(self) -> None:
        run = contextvars.copy_context().run
        try:
            begin(threading.Thread(target=run, args=(self.carry,), name="exbo-oauth", daemon=True))
        except RuntimeError:  # the interpreter is going down and starts no thread any more
            self.carry()

    def carry(self) -> None:
        try:
            self._hand_over(self.work())
        except BaseException as error:  # noqa: BLE001  # belongs to the thread that waits
            with suppress(InvalidStateError):  # which does not wait any more
                # Without this frame: it still runs, so the boundary could not empty it.
                self.answer.set_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        finally:
            self.ended.set()

    def _hand_over(self, value: Any) -> None:
        try:
            self.answer.set_result(value)
        except InvalidStateError:
            self.late(value)


@define(eq=False)
class Impatient:
    """Makes calls that may never come back, and waits for each of them for `patience` seconds.

    Those that were given up hold a thread each, and perhaps a connection of the caller's: while there are many, no
    others are begun. `late` is given what came back when nobody waited for it any more.
    """

    late: Callable[[Any], object] = lambda _: None
    patience: float = PATIENCE
    _given_up: list[_Call] = field(factory=list, init=False)

    def __call__(self, work: Callable[..., T], *args: Any) -> T:
        """What `work` gives; raises `StoreError` if it does not come back."""
        if self.hanging() >= _MOST_HANGING:
            raise StoreError(f"{_MOST_HANGING} calls hang in what the token store stands on: no others are begun")
        call = _Call(partial(work, *args), self.late)
        call.start()
        if wait([call.answer], self.patience).done or not call.answer.cancel():  # or it came back just now
            result: T = call.answer.result()
            return result
        self._given_up.append(call)
        raise silence(self.patience)

    def hanging(self) -> int:
        """How many calls were given up and did not come back."""
        self._given_up = [call for call in self._given_up if not call.ended.is_set()]
        return len(self._given_up)

"""Waiting for a reception and leaving it, on an event loop. `waiting` is the same for threads."""

from typing import Any

import anyio

from ..aio_io import shielded, waker
from ..masking import Secret
from .promise import Promise
from .reception import Reception
from .waiting import LEAVING

__all__ = ["leave", "opened"]


async def opened(reception: Reception) -> Secret:
    """Open the reception and wait: the callback, or whatever `Reception.callback` raises."""
    reception.open()
    await _until(reception.arrival, reception.timeout)
    return reception.callback()


async def leave(reception: Reception) -> None:
    """Close the reception, the last page shown if there is one. Nothing listens any more afterwards.

    A cancellation cuts the last page short, and is passed on when the port is free.
    """
    try:
        if reception.lingers:
            await _until(reception.gone, LEAVING)
    finally:
        reception.stop()
        await shielded(lambda: _until(reception.gone, LEAVING))


async def _until(promise: Promise[Any], seconds: float) -> None:
    event = anyio.Event()
    promise.when_settled(waker(event))
    with anyio.move_on_after(seconds):
        await event.wait()

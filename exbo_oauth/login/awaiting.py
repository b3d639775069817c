"""Waiting for a session and leaving it, on an event loop. `waiting` is the same for threads."""

from typing import Any

import anyio

from ..clients.aio_performer import shielded, waker
from ..masking import Secret
from ..promise import Promise
from .session import LoginSession
from .waiting import LEAVING

__all__ = ["leave", "opened"]


async def opened(session: LoginSession) -> Secret:
    """Open the session and wait: the callback, or whatever `LoginSession.callback` raises."""
    session.open()
    await _until(session.arrival, session.timeout)
    return session.callback()


async def leave(session: LoginSession) -> None:
    """Close the session, the last page shown if there is one. Nothing listens any more afterwards.

    A cancellation cuts the last page short, and is passed on when the port is free.
    """
    try:
        if session.lingers:
            await _until(session.gone, LEAVING)
    finally:
        session.stop()
        await shielded(lambda: _until(session.gone, LEAVING))


async def _until(promise: Promise[Any], seconds: float) -> None:
    event = anyio.Event()
    promise.when_settled(waker(event))
    with anyio.move_on_after(seconds):
        await event.wait()

"""Waiting for a session and leaving it, on a thread. `awaiting` is the same for event loops."""

from ..masking import Secret
from .session import LoginSession

__all__ = ["leave", "opened"]

LEAVING = 5.0  # seconds: far more than a listener needs to be gone


def opened(session: LoginSession) -> Secret:
    """Open the session and wait: the callback, or whatever `LoginSession.callback` raises."""
    session.open()
    session.arrival.wait(session.timeout)
    return session.callback()


def leave(session: LoginSession) -> None:
    """Close the session, the last page shown if there is one. Nothing listens any more afterwards."""
    try:
        if session.lingers:
            session.gone.wait(LEAVING)
    finally:
        session.stop()
        session.gone.wait(LEAVING)

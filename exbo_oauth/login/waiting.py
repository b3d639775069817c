"""Waiting for a reception and leaving it, on a thread. `awaiting` is the same for event loops."""

from ..masking import Secret
from .reception import Reception

__all__ = ["leave", "opened"]

LEAVING = 5.0  # seconds: far more than a listener needs to be gone


def opened(reception: Reception) -> Secret:
    """Open the reception and wait: the callback, or whatever `Reception.callback` raises."""
    reception.open()
    reception.arrival.wait(reception.timeout)
    return reception.callback()


def leave(reception: Reception) -> None:
    """Close the reception, the last page shown if there is one. Nothing listens any more afterwards."""
    try:
        if reception.lingers:
            reception.gone.wait(LEAVING)
    finally:
        reception.stop()
        reception.gone.wait(LEAVING)

"""What the library says through the standard library's `logging`, and how it says it: nothing here raises or waits.

`logging` is not ours to configure: without handlers nothing is printed, for the root of our loggers has a NullHandler.
"""

import logging
from contextlib import suppress

from ..events import Event

__all__ = ["failed", "overflowing"]

_ROOT = logging.getLogger("exbo_oauth")
_ROOT.addHandler(logging.NullHandler())
_LISTENERS = logging.getLogger("exbo_oauth.events")


def failed(event: Event, error: BaseException) -> None:
    """The caller's own `on_event` raised `error` when it was told of `event`."""
    with suppress(Exception):
        _LISTENERS.warning("on_event failed when it was told of a %s", type(event).__name__, exc_info=error)


def overflowing(most: int) -> None:
    """The caller's own `on_event` is so slow that events are lost to it."""
    with suppress(Exception):
        _LISTENERS.warning("on_event is slow: more than %d events wait for it, and the oldest are dropped", most)

"""What all who share a store can see, and any store can keep: a lease that nobody works under.

It lasts by the store's own clock, so hosts whose clocks differ agree on whether it is there.
"""

from ..stores.base import StoreKey
from .effects import Hold, Lease, Leased, Program, Sleep

__all__ = ["is_marked", "marked", "unmarked"]

_LOOK = Lease("somebody who looks", 1.0)


def marked(key: StoreKey, mark: Lease) -> Program[None]:
    """Leave `mark` at `key`, anew if it is there already."""
    while not (yield from Hold(key, mark)):
        yield from Sleep(0.02)  # somebody looks


def is_marked(key: StoreKey) -> Program[bool]:
    """Whether there is a mark at `key`."""
    return (yield from Leased(key, _LOOK, _nobody)) is None


def unmarked(key: StoreKey, mark: Lease) -> Program[None]:
    """Take `mark` away from `key`."""
    yield from Leased(key, mark, _nobody)


def _nobody() -> Program[tuple[()]]:
    yield from ()
    return ()

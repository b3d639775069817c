"""Whether the store can take a token, asked while nothing is lost: before a browser is opened, or a code is spent."""

from ..stores.base import StoreKey
from .effects import Identity, Lease, Leased, Load, Program

__all__ = ["check_store"]


def check_store(key: StoreKey) -> Program[None]:
    """Raise `StoreError` if the store cannot take a token of `key`.

    What is there is read, for a token that cannot be read is not overwritten; and a lease is taken and let go, which
    any store can do, and which no store can do without writing. Whether somebody else has it does not matter.
    """
    yield from Load(key)
    yield from Leased(key, Lease(f"{(yield from Identity())}:sign-in", 1.0), _nothing)


def _nothing() -> Program[None]:
    yield from ()

"""Telling what happened."""

from typing import Any

from ..events import Event
from ..stores.base import StoreKey
from .effects import Emit, Now, Program

__all__ = ["happened"]


def happened(kind: type[Event], key: StoreKey, **more: Any) -> Program[None]:
    """Tell whoever listens of an event of this `kind`."""
    yield from Emit(kind(at=(yield from Now()), key=key, **more))

"""Telling what happened."""

from typing import Any, TypeVar

from ..errors import StoreError
from ..events import Event, StoreFailed, StoreRecovered
from ..stores.base import StoreKey
from .effects import Emit, Failing, Now, Program, Recall

__all__ = ["happened", "watched"]

T = TypeVar("T")


def happened(kind: type[Event], key: StoreKey, **more: Any) -> Program[None]:
    """Tell whoever listens of an event of this `kind`."""
    yield from Emit(kind(at=(yield from Now()), key=key, **more))


def watched(key: StoreKey, program: Program[T]) -> Program[T]:
    """`program`, which asks the store: if that fails, it is told, and when it works again."""
    try:
        result = yield from program
    except StoreError as error:
        if error.token is None:  # else it was told by whoever could not save it
            yield from happened(StoreFailed, key, fingerprint="", reason=str(error))
        yield from Failing(key, True)
        raise
    if (yield from Recall(key)).failing:
        yield from Failing(key, False)
        yield from happened(StoreRecovered, key, fingerprint="")
    return result

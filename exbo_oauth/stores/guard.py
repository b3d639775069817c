"""Calls into a store, ours or a user's: whatever goes wrong leaves as a `StoreError` that shows no token."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import StoreError
from ..masking import Secret, redacted
from ..models import UserToken
from ..protocol.text import quoted
from .base import Entry

__all__ = ["guarded"]

T = TypeVar("T")


def guarded(call: Callable[..., T], *args: Any) -> T:
    """`call(*args)`, any exception of it as a `StoreError`.

    A driver's exception can quote the row it choked on, so it is not chained, and its text is masked.
    """
    try:
        return call(*args)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's own store may raise anything
        problem = f"{type(error).__name__}: {quoted(redacted(str(error), _secrets(args)))}"
    raise StoreError(f"the token store failed with {problem}")


def _secrets(args: tuple[Any, ...]) -> list[Secret]:
    tokens = [argument.token for argument in args if isinstance(argument, Entry)]
    renewing = [Secret(token.refresh_token) for token in tokens if isinstance(token, UserToken)]
    return [*(Secret(token.access_token) for token in tokens), *renewing]

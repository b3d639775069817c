"""Calls into a store, ours or a user's: whatever goes wrong leaves as a `StoreError` that shows no token."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..errors import ConfigurationError, StoreError
from ..masking import Secret, redacted
from ..models import UserToken
from ..protocol.text import quoted
from .base import Entry, StoreKey, TokenStore

__all__ = ["guarded", "guarded_keys", "missing"]

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
        problem = _described(error, args)
    raise StoreError(f"the token store failed with {problem}")


def guarded_keys(store: TokenStore) -> Iterator[StoreKey]:
    """The keys of `store` one by one, any exception on the way as a `StoreError`."""
    keys = guarded(lambda: iter(store.keys()))

    def following() -> StoreKey | None:
        return next(keys, None)

    while (key := guarded(following)) is not None:
        yield key


def missing(store: str, extra: str, error: ImportError) -> ConfigurationError:
    """The error for a `store` whose libraries are not installed, in one line."""
    return ConfigurationError(f"{store} needs more than is installed: pip install 'exbo-oauth[{extra}]' ({error})")


def _described(error: Exception, args: tuple[Any, ...]) -> str:
    try:
        return f"{type(error).__name__}: {quoted(redacted(str(error), _secrets(args)))}"
    except Exception:  # noqa: BLE001  # some cannot even say what they are
        return type(error).__name__


def _secrets(args: tuple[Any, ...]) -> list[Secret]:
    tokens = [argument.token for argument in args if isinstance(argument, Entry)]
    renewing = [Secret(token.refresh_token) for token in tokens if isinstance(token, UserToken)]
    return [*(Secret(token.access_token) for token in tokens), *renewing]

"""Copies of what one store holds in another."""

from ..boundary import bounded
from ..errors import ConfigurationError
from ..misuse import kind_of
from .base import StoreKey, TokenStore, is_limit
from .guard import Progress, each_key, loaded, replaced

__all__ = ["copy"]


@bounded
def copy(source: TokenStore, target: TokenStore, *, progress: Progress | None = None) -> int:
    """Copy every token of `source` that is newer than what `target` holds; how many were written.

    May run while both are used, and again: nothing newer is overwritten. What is forgotten in one store only comes
    back with the next copy from the other. What cannot be copied is told of in a `StoreError` when all others are.
    `progress` is called after each entry with its key and True, False for one that the target has as new, or the
    `StoreError` for which it was left alone.

    ::

        moved = copy(SQLiteTokenStore("old.db"), SQLiteTokenStore("new.db"))
    """
    for store in (source, target):
        if not isinstance(store, TokenStore):
            raise ConfigurationError(f"copy takes two token stores, not {kind_of(store)}")
    return each_key(source, lambda key: _copied(source, target, key), progress)


def _copied(source: TokenStore, target: TokenStore, key: StoreKey) -> bool:
    if is_limit(key):  # holds in the store that it was left in, and is no token
        return False
    entry = loaded(source, key)
    return entry is not None and replaced(target, key, entry)

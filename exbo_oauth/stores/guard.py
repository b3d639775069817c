"""Calls into a store, ours or a user's: whatever goes wrong leaves as a `StoreError` that shows no token.

What a signal handler of the program raises meanwhile, the time limit of a job for instance, is not about the store.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..environment import install_command
from ..errors import ConfigurationError, StoreError
from ..masking import Secret, redacted
from ..misuse import kind_of, narrowed
from ..models import UserToken
from ..protocol.text import quoted
from .base import Entry, StoreKey, TokenStore, is_limit
from .entry_text import UnreadableEntry
from .interrupts import interrupt

__all__ = [
    "SEALED",
    "Progress",
    "each_key",
    "guarded",
    "guarded_keys",
    "holder",
    "is_blocking",
    "loaded",
    "method",
    "missing",
    "removed",
    "replaced",
    "token_keys",
    "usable",
]

T = TypeVar("T")

Progress = Callable[[StoreKey, bool | StoreError], object]
"""Hears what became of a key's entry: True if it was written, False if there was no need, or why it was left alone."""

SEALED = "exbo-oauth+fernet"
"""The token type of what `EncryptedTokenStore` keeps in the place of a token."""


def guarded(call: Callable[..., T], *args: Any) -> T:
    """`call(*args)`, any exception of it as a `StoreError`.

    A driver's exception can quote the row it choked on, so it is not chained, and its text is masked.
    """
    outer = sys.exception()
    try:
        return call(*args)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's own store may raise anything
        problem = interrupt(error, outer) or StoreError(f"the token store failed with {_described(error, args)}")
    raise problem


def method(store: TokenStore, name: str) -> Callable[..., Any]:
    """The method of `store` that has this name, looked up when it is called: that, too, may raise."""
    return lambda *args: getattr(store, name)(*args)


def is_blocking(store: TokenStore) -> bool:
    """Whether calls of `store` may wait; one that does not say so may."""
    try:
        return bool(getattr(store, "blocking", True))
    except Exception:  # noqa: BLE001  # a user's own store may raise anything
        return True


def loaded(store: TokenStore, key: StoreKey) -> Entry | None:
    """`store.load(key)`, any exception of it, and anything else than an entry, as a `StoreError`."""
    entry: Any = _unquoted(method(store, "load"), key)
    if isinstance(entry, Entry | None):
        return entry
    raise StoreError(f"the token store gave {kind_of(entry)} for {key!r}, not an Entry")


def usable(store: TokenStore, key: StoreKey) -> Entry | None:
    """What `loaded` gives, whose token can be sent; a `StoreError` for one that was encrypted by another store."""
    entry = loaded(store, key)
    if entry is not None and entry.token.token_type == SEALED:
        text = f"the token of {key!r} is encrypted: give the store its key (EXBO_STORE_KEY)"
        raise narrowed(StoreError(text), "key")
    return entry


def holder(store: TokenStore, key: StoreKey) -> str | None:
    """Who has the lease of `key`, None if nobody has; nor does every `store` have to know."""
    asked: Callable[[StoreKey], str | None] | None = _unquoted(getattr, store, "holder", None)
    return None if asked is None else _unquoted(asked, key)


def removed(store: TokenStore, key: StoreKey) -> int | None:
    """Delete what `store` has of `key`, usable or not; its revision, None if there was nothing."""
    while (revision := _revision(store, key)) is not None:
        if guarded(method(store, "swap"), key, revision, None):
            return revision
    return None


def _revision(store: TokenStore, key: StoreKey) -> int | None:
    try:
        entry = loaded(store, key)
    except UnreadableEntry as error:
        return error.revision
    return None if entry is None else entry.revision


def replaced(store: TokenStore, key: StoreKey, entry: Entry) -> bool:
    """Write `entry` unless what `store` has of `key` is as new; whether it was written."""
    while (there := loaded(store, key)) is None or there.revision < entry.revision:
        if guarded(method(store, "swap"), key, None if there is None else there.revision, entry):
            return True
    return False


def guarded_keys(store: TokenStore) -> Iterator[StoreKey]:
    """The keys of `store` one by one, any exception on the way as a `StoreError`."""
    keys: Iterator[StoreKey] = _unquoted(lambda: iter(store.keys()))
    while (key := _unquoted(lambda: next(keys, None))) is not None:
        yield key


def token_keys(store: TokenStore) -> Iterator[StoreKey]:
    """Those of `guarded_keys` that have a token."""
    return (key for key in guarded_keys(store) if not is_limit(key))


def each_key(store: TokenStore, work: Callable[[StoreKey], bool], progress: Progress | None = None) -> int:
    """Do `work` for each key of `store`; for how many tokens it said True. `progress` hears of each token.

    A failure stops nothing: a `StoreError` tells of it when all others are done. A store that cannot even be listed
    raises its own.
    """
    done, problems = list[bool](), list[StoreError]()
    for key, outcome in _outcomes(store, work):
        if isinstance(outcome, StoreError):
            if key is None and not (done or problems):
                raise outcome
            problems.append(outcome)
        elif key is None or is_limit(key):
            continue
        else:
            done.append(outcome)
        if progress is not None and key is not None:
            progress(key, outcome)
    if problems:
        total = len(problems) + len(done)
        raise StoreError(f"{len(problems)} of {total} tokens were left as they are; the first: {problems[0]}")
    return sum(done)


def _outcomes(
    store: TokenStore, work: Callable[[StoreKey], bool]
) -> Iterator[tuple[StoreKey | None, bool | StoreError]]:
    """What becomes of each key; without a key, why there are no more."""
    try:
        for key in guarded_keys(store):
            yield key, _outcome(work, key)
    except StoreError as error:
        yield None, error


def _outcome(work: Callable[[StoreKey], bool], key: StoreKey) -> bool | StoreError:
    try:
        return work(key)
    except StoreError as error:
        return error


def _unquoted(call: Callable[..., T], *args: Any) -> T:
    """`guarded`, without the text of a foreign exception: it may quote what was read, which nobody here knows."""
    outer = sys.exception()
    try:
        return call(*args)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's own store may raise anything
        failed = f"the token store failed with {type(error).__name__} while it was read"
        problem = interrupt(error, outer) or StoreError(failed)
    raise problem


def missing(store: str, extra: str, error: ImportError) -> ConfigurationError:
    """The error for a `store` whose libraries are not installed, in one line."""
    text = f"{store} needs more than is installed ({error}): {install_command(extra)}"
    return narrowed(ConfigurationError(text), "not-installed")


def _described(error: Exception, args: tuple[Any, ...]) -> str:
    try:
        return f"{type(error).__name__}: {quoted(redacted(str(error), _secrets(args)))}"
    except Exception:  # noqa: BLE001  # some cannot even say what they are
        return type(error).__name__


def _secrets(args: tuple[Any, ...]) -> list[Secret]:
    tokens = [argument.token for argument in args if isinstance(argument, Entry)]
    renewing = [Secret(token.refresh_token) for token in tokens if isinstance(token, UserToken)]
    unknown = [Secret(value) for token in tokens for value in token.extra.values() if isinstance(value, str)]
    return [*(Secret(token.access_token) for token in tokens), *renewing, *unknown]

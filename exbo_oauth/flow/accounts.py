"""What callers do to the stored tokens by hand: save one, forget one, list whose there are."""

from datetime import datetime

from ..errors import ConfigurationError, ReadOnlyError
from ..events import StoreRecovered
from ..misuse import kind_of, narrowed
from ..models import UserToken
from ..stores.base import Entry, StoreKey
from .config import Config
from .effects import Forget, Keys, Load, Now, Program, Recall, Remember, Remove, Swap
from .entries import bury, entry_of, fingerprint, revision_of, tell_issued, unbury
from .needs import revision_after
from .saving import persistently
from .telling import happened

__all__ = ["accounts", "forget_token", "save_token"]


def save_token(config: Config, account: str, token: UserToken, begun: datetime | None = None) -> Program[None]:
    """Store a user's token, whatever is there; a store that fails is asked again, as for a token that was renewed.

    Raises `StoreError` with the token if that is in vain. It was asked for when it was `begun` (aware UTC), or long
    ago.
    """
    key = _writable(config, account)
    if not isinstance(token, UserToken):
        raise ConfigurationError(f"only a UserToken can be saved, not {kind_of(token)}")
    (current, entry), failures = yield from persistently(key, token, lambda: _placed(key, token))
    if failures:
        yield from happened(StoreRecovered, key, fingerprint=fingerprint(token.access_token))
    yield from Remember(key, entry)
    if current is None or failures:  # what is there may be what seemed to fail
        yield from unbury(key)
    yield from tell_issued(key, current, entry, entry.issued_at if begun is None else begun)


def _placed(key: StoreKey, token: UserToken) -> Program[tuple[Entry | None, Entry]]:
    """What was there, and what is there now."""
    while True:
        current = yield from Load(key)
        entry = yield from entry_of(key, token, current, (yield from Now()), "sign-in")
        if (yield from Swap(key, revision_of(current), entry)):
            return current, entry


def forget_token(config: Config, account: str) -> Program[None]:
    """Remove a user's token from the store and from this process."""
    key = _writable(config, account)
    known = (yield from Recall(key)).entry
    yield from bury(key)
    removed = yield from Remove(key)
    # Revisions count time: somebody may be about to remember what was written since this process looked last.
    now = revision_after((yield from Now()))
    revisions = (removed, None if known is None else known.revision, now)
    yield from Forget(key, max(one for one in revisions if one is not None))


def accounts(config: Config) -> Program[list[str]]:
    """The accounts of this application that the store has a token of, sorted."""
    keys = yield from Keys()
    return sorted({key.account for key in keys if key.account is not None and key == config.key(key.account)})


def _writable(config: Config, account: str) -> StoreKey:
    if not config.issues:
        text = 'this client only reads (issue="never"): write with the client that issues'
        raise narrowed(ReadOnlyError(text), "write")
    return config.key(account)

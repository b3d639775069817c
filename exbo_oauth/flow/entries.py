"""Entries of the store: reading them into this process's memory, and making the next one."""

from datetime import datetime
from hashlib import sha256

from ..errors import StoreError
from ..models import AppToken, UserToken
from ..stores.base import Entry, Issue, StoreKey
from .config import Config
from .effects import Identity, Load, Now, Program, Recall, Remember, Swap
from .evidence import WINDOW, merged, remembered, within
from .needs import revision_after

__all__ = ["adopted", "entry_of", "fingerprint", "revision_of", "stored", "tell"]


def stored(key: StoreKey) -> Program[Entry | None]:
    """What the store holds, known to this process from now on, and with what this process knows of it."""
    entry = yield from Load(key)
    if entry is None:
        return None
    yield from adopted(key, entry)
    known = (yield from Recall(key)).entry
    return known if revision_of(known) == entry.revision else entry


def adopted(key: StoreKey, entry: Entry) -> Program[Entry]:
    """`entry`, known to this process from now on; raises `StoreError` if its token is of the wrong kind."""
    kind = AppToken if key.account is None else UserToken
    if not isinstance(entry.token, kind):
        raise StoreError(f"the store holds a token of another kind where {key!r} should have {kind.__name__}")
    yield from Remember(key, entry)
    return entry


def tell(config: Config, key: StoreKey) -> Program[None]:
    """Note in the store what this process learned of its token; that this fails is no harm."""
    if not config.issues:
        return
    try:
        there, known = (yield from Load(key)), (yield from Recall(key)).entry
        if there is None or known is None or there.revision != known.revision:
            return
        whole = merged(known, there)
        if whole != there:
            yield from Swap(key, there.revision, whole)
    except StoreError:
        return


def revision_of(entry: Entry | None) -> int | None:
    """What to expect of the store that holds `entry`."""
    return None if entry is None else entry.revision


def entry_of(
    key: StoreKey,
    token: AppToken | UserToken,
    current: Entry | None,
    issued_at: datetime,
    why: str,
    target: str = "",
    superseded: tuple[datetime, ...] = (),
) -> Program[Entry]:
    """The entry that `token` becomes, in place of `current`: what `Issue` says of `why` and `target` is noted."""
    cell, identity, now = (yield from Recall(key)), (yield from Identity()), (yield from Now())
    known = [entry.revision for entry in (current, cell.entry) if entry is not None]
    issue = Issue(at=issued_at, by=identity, why=why, fingerprint=fingerprint(token.access_token), target=target)
    doubted = () if current is None else current.doubted
    return Entry(
        token=token,
        revision=revision_after(now, cell.forgotten, *known),
        issued_by=identity,
        issued_at=issued_at,
        superseded=superseded,
        history=remembered(() if current is None else current.history, issue),
        doubted=tuple((host, moment) for host, moment in doubted if within(WINDOW, moment, now)),
    )


def fingerprint(access_token: str) -> str:
    """A name for a token that does not give it away."""
    return sha256(access_token.encode()).hexdigest()[:8]

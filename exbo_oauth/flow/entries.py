"""Entries of the store: reading them into this process's memory, and making the next one."""

from datetime import datetime
from hashlib import sha256

from attrs import evolve

from ..errors import StoreError
from ..events import TokenAdopted, TokenIssued, TokenSuperseded
from ..masking import Secret
from ..models import AppToken, UserToken
from ..stores.base import Entry, Issue, StoreKey
from .config import Config
from .effects import End, Forget, Identity, Later, Lease, Load, Now, Program, Recall, Remember, Swap
from .evidence import WINDOW, merged, remembered, within
from .marks import is_marked, marked, unmarked
from .needs import revision_after
from .telling import happened

__all__ = [
    "adopted",
    "bury",
    "ender",
    "entry_of",
    "fingerprint",
    "grave",
    "is_buried",
    "revision_of",
    "stored",
    "successor",
    "tell",
    "tell_end",
    "tell_followed",
    "tell_issued",
    "tell_superseded",
    "unbury",
    "was_forgotten",
]

_BURIED = "forgotten"
_FOR_EVER = 10 * 365 * 86_400.0


def stored(config: Config, key: StoreKey) -> Program[Entry | None]:
    """What the store holds, known to this process from now on, and with what this process knows of it.

    A store that lost its data, or went back in time, gets back what this process still holds.
    """
    entry, known = (yield from Load(key)), (yield from Recall(key)).entry
    if known is not None and (entry is None or entry.revision < known.revision) and config.issues:
        entry = yield from _given_back(key, entry, known)
    if entry is None:
        return None
    yield from adopted(key, entry)
    known = (yield from Recall(key)).entry
    return known if known is not None and known.revision == entry.revision else entry


def _given_back(key: StoreKey, entry: Entry | None, known: Entry, tries: int = 3) -> Program[Entry | None]:
    """The entry after `known`, which is newer than what the store has, was given back to it if it was lost there."""
    cell = yield from Recall(key)
    if isinstance(known.token, UserToken):
        useless = cell.spent == Secret(known.token.refresh_token)
    else:
        useless = known.token.is_expired(now=(yield from Now()))
    if useless:
        return entry
    if entry is None and key.account is not None and (yield from is_buried(key)):
        yield from Forget(key, known.revision)  # by somebody else, on purpose
        return None
    if not (yield from Swap(key, revision_of(entry), known)):
        entry = yield from Load(key)
        lost_again = entry is None or entry.revision < known.revision
        return (yield from _given_back(key, entry, known, tries - 1)) if lost_again and tries else entry
    if entry is None and (yield from was_forgotten(key, known)):
        return None
    return known


def was_forgotten(key: StoreKey, entry: Entry) -> Program[bool]:
    """Whether the account was forgotten while `entry` was written where nothing was; if so, it is removed again."""
    forgotten = (yield from Recall(key)).forgotten >= entry.revision
    if key.account is None or not (forgotten or (yield from is_buried(key))):
        return False
    yield from Swap(key, entry.revision, None)
    yield from Forget(key, entry.revision)
    return True


def grave(key: StoreKey) -> StoreKey:
    """Where a store remembers that a key was forgotten on purpose: as a lease, for that is not an entry."""
    return StoreKey(f"{key.base_url}#forgotten", key.client_id, key.account)


def bury(key: StoreKey) -> Program[None]:
    """Tell all that what is about to vanish is not lost."""
    yield from marked(grave(key), Lease(_BURIED, _FOR_EVER))


def is_buried(key: StoreKey) -> Program[bool]:
    """Whether somebody forgot the key on purpose."""
    return (yield from is_marked(grave(key)))


def unbury(key: StoreKey) -> Program[None]:
    """Forget that a key was forgotten."""
    yield from unmarked(grave(key), Lease(_BURIED, 1.0))


def adopted(key: StoreKey, entry: Entry) -> Program[Entry]:
    """`entry`, known to this process from now on; raises `StoreError` if its token is of the wrong kind."""
    kind = AppToken if key.account is None else UserToken
    if not isinstance(entry.token, kind):
        raise StoreError(f"the store holds a token of another kind where {key!r} should have {kind.__name__}")
    known = (yield from Recall(key)).entry
    yield from Remember(key, entry)
    if known is None or known.revision < entry.revision:
        name = fingerprint(entry.token.access_token)
        yield from happened(TokenAdopted, key, fingerprint=name, issuer=entry.issued_by)
        yield from tell_superseded(key, known, entry)
    return entry


def tell_issued(key: StoreKey, old: Entry | None, entry: Entry, begun: datetime, attempt: int = 1) -> Program[None]:
    """Tell that `entry` took the place of `old`: what it was `begun` for (aware UTC) came of this `attempt`."""
    yield from happened(
        TokenIssued,
        key,
        fingerprint=fingerprint(entry.token.access_token),
        issuer=entry.issued_by,
        reason=_last(entry).why,
        seconds=((yield from Now()) - begun).total_seconds(),
        attempt=attempt,
    )
    if _last(entry).why != "refused":  # that was told when it was decided
        yield from tell_superseded(key, old, entry)


def tell_superseded(key: StoreKey, old: Entry | None, entry: Entry) -> Program[None]:
    """Tell by whom `old` was superseded, if its time had not come when it was followed by what led to `entry`."""
    if old is None or old.token == entry.token:
        return
    name = fingerprint(old.token.access_token)
    following = successor(entry, name)
    if following.at >= old.token.expires_in:
        return
    # A token that was refused before the next one was issued had been ended by somebody else.
    outside = following.why == "refused"
    issuer, since = ("outside", None) if outside else (following.by, following.at)
    yield from tell_end(key, name, issuer, since)


def tell_end(key: StoreKey, name: str, issuer: str, since: datetime | None) -> Program[None]:
    """Tell by whom the token of this fingerprint was superseded, once, however many calls come upon it."""
    if (yield from Recall(key)).ended != name:
        yield from End(key, name)
        yield from happened(TokenSuperseded, key, fingerprint=name, issuer=issuer, since=since)


def successor(entry: Entry, name: str) -> Issue:
    """The issue that followed the token of this fingerprint, as far as `entry` remembers."""
    issues = iter(entry.history)
    if any(issue.fingerprint == name for issue in issues):
        return next(issues, _last(entry))
    return _last(entry)


def _last(entry: Entry) -> Issue:
    return entry.history[-1] if entry.history else Issue(at=entry.issued_at, by=entry.issued_by)


def tell(config: Config, key: StoreKey) -> Program[None]:
    """Have what this process learned of its token noted in the store; nobody waits for it, and no harm if it fails."""
    if config.issues:
        yield from Later(key, "tell", lambda: _told(key))


def tell_followed(config: Config, issue: Issue) -> Program[None]:
    """Have it noted in the store that an app token was got by hand: it may have ended the one there."""
    if config.issues:
        yield from Later(config.key(), "followed", lambda: _followed(config.key(), issue))


def _followed(key: StoreKey, issue: Issue) -> Program[None]:
    there = yield from Load(key)
    if there is None or there.followed is not None or there.issued_at >= issue.at:
        return
    noted = evolve(there, followed=issue)
    if (yield from Swap(key, there.revision, noted)) and (yield from Recall(key)).entry is not None:
        yield from Remember(key, noted)


def ender(entry: Entry) -> tuple[str, datetime | None]:
    """Who ended a token that was found dead before its time, as far as that is known, and when."""
    return ("outside", None) if entry.followed is None else (entry.followed.by, entry.followed.at)


def _told(key: StoreKey) -> Program[None]:
    there, known = (yield from Load(key)), (yield from Recall(key)).entry
    if there is None or known is None or there.revision != known.revision:
        return
    whole = merged(known, there)
    if whole != there:
        yield from Swap(key, there.revision, whole)


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
    history = () if current is None else current.history
    if current is not None and current.followed is not None:
        history = remembered(history, current.followed)
    doubted = () if current is None else current.doubted
    return Entry(
        token=token,
        revision=revision_after(now, cell.forgotten, *known),
        issued_by=identity,
        issued_at=issued_at,
        superseded=superseded,
        history=remembered(history, issue),
        doubted=tuple((host, moment) for host, moment in doubted if within(WINDOW, moment, now)),
    )


def fingerprint(access_token: str) -> str:
    """A name for a token that does not give it away."""
    return sha256(access_token.encode(errors="backslashreplace")).hexdigest()[:8]

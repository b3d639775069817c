"""One token for everybody who shares a store: when to hand it out, adopt a newer one, or issue the next.

The way of a request for a token, each step only if the one before did not answer it::

    this process's memory
      └ one flight for all who ask in this process         (`Shared`)
          └ the store                                      another process was faster: adopt
              └ the lease of the key                       (`Leased`; waiting is cancellable)
                  └ the store once more                    the last holder was faster: adopt
                      └ send, read, save                   (`Shielded`)

EXBO ends the earlier token when it issues the next one, so nothing is renewed early or in the background, and a
refused token is first looked up: somebody may have replaced it already. Writing is compare-and-swap, so a holder
that slept through its lease cannot overwrite what came after it.

A refresh whose answer was lost is tried once more with the same refresh token. On this server a replay harms
nothing (wire fact 13: no reuse detection), and it is the cure where the first never arrived.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, cast

from attrs import frozen

from ..errors import (
    ConfigurationError,
    InvalidGrantError,
    LoginRequiredError,
    OAuthError,
    OutcomeUnknownError,
    ReadOnlyError,
    StoreError,
    TokenConflictError,
)
from ..masking import Secret
from ..models import AppToken, UserToken
from ..protocol.exchange import Exchange, OAuthProtocol
from ..stores.base import Entry, StoreKey
from .effects import (
    Cell,
    Chance,
    Forget,
    Hold,
    Identity,
    Keys,
    Lease,
    Leased,
    Load,
    Now,
    Pending,
    Program,
    Recall,
    Refuse,
    Remember,
    Remove,
    Rescue,
    Shared,
    Shielded,
    Sleep,
    Spend,
    Swap,
    Unguessable,
)
from .needs import CONFLICTS, Need, revision_after, supersessions
from .retries import repeated, sent

__all__ = ["Config", "Outcome", "accounts", "ensure_app_token", "ensure_user_token", "forget_token", "save_token"]

AnyExchange: TypeAlias = Exchange[AppToken] | Exchange[UserToken]
Moments: TypeAlias = tuple[datetime, ...]


@frozen
class Config:
    """What the programs have to know of their client. `lease` is how long a holder may be silent, in seconds."""

    protocol: OAuthProtocol
    lease: float
    max_retries: int
    issues: bool

    def key(self, account: str | None = None) -> StoreKey:
        """Where a token of this application is stored."""
        return StoreKey(self.protocol.base_url, self.protocol.client_id, account)


@frozen
class Outcome:
    """A token, and whether it was issued just now (or else adopted from somebody faster)."""

    entry: Entry
    issued: bool = False


class _StartOver(Exception):
    """Look at the store again: the lease, or the entry, is not what it was."""


def ensure_app_token(config: Config, need: Need) -> Program[AppToken]:
    """The application's token that meets `need`, at the price of one issue for everybody."""
    return cast("AppToken", (yield from _shared_token(config, config.key(), need)))


def ensure_user_token(config: Config, account: str, need: Need) -> Program[UserToken]:
    """The account's token that meets `need`, at the price of one refresh for everybody."""
    return cast("UserToken", (yield from _shared_token(config, config.key(account), need)))


def _shared_token(config: Config, key: StoreKey, need: Need) -> Program[AppToken | UserToken]:
    if need.rejected is not None:
        yield from Refuse(key, need.rejected)
    while True:
        cell = yield from Recall(key)
        if cell.entry is not None and (yield from _good(cell, cell.entry, need)):
            return cell.entry.token
        purpose = "issue" if config.issues else "read"
        outcome = yield from Shared(key, purpose, config.lease, lambda: _obtain(config, key, need))
        if outcome is not None and (yield from _acceptable(key, outcome, need)):
            return outcome.entry.token


def save_token(config: Config, account: str, token: UserToken) -> Program[None]:
    """Store a user's token, whatever is there; raises `StoreError` with the token if that fails."""
    key = _writable(config, account)
    if not isinstance(token, UserToken):
        raise ConfigurationError(f"only a UserToken can be saved, not a {type(token).__name__}")
    try:
        while True:
            current = yield from Load(key)
            entry = yield from _entry(key, token, current, (yield from Now()))
            if (yield from Swap(key, _revision(current), entry)):
                break
    except StoreError as error:
        raise StoreError(str(error), token=token) from error.__cause__
    yield from Remember(key, entry)


def forget_token(config: Config, account: str) -> Program[None]:
    """Remove a user's token from the store and from this process."""
    key = _writable(config, account)
    known = (yield from Recall(key)).entry
    removed = yield from Remove(key)
    yield from Forget(key, max(removed or 0, 0 if known is None else known.revision))


def accounts(config: Config) -> Program[list[str]]:
    """The accounts of this application that the store has a token of, sorted."""
    keys = yield from Keys()
    return sorted({key.account for key in keys if key.account is not None and key == config.key(key.account)})


def _writable(config: Config, account: str) -> StoreKey:
    if not config.issues:
        raise ReadOnlyError('this client only reads (issue="never"): write with the client that issues')
    return config.key(account)


def _good(cell: Cell, entry: Entry, need: Need) -> Program[bool]:
    """Whether `entry` can be handed out."""
    return not cell.refuses(entry) and need.met_by(entry, (yield from Now()))


def _acceptable(key: StoreKey, outcome: Outcome, need: Need) -> Program[bool]:
    """What was issued while we waited will do, however short its life; what was adopted is measured.

    Either may have been refused since: the one who flew uses a token before the last of those who waited wakes up.
    """
    cell = yield from Recall(key)
    if outcome.issued:
        return need.allows(outcome.entry) and not cell.refuses(outcome.entry)
    return (yield from _good(cell, outcome.entry, need))


def _stored(key: StoreKey) -> Program[Entry | None]:
    """What the store holds, known to this process from now on."""
    entry = yield from Load(key)
    return None if entry is None else (yield from _adopted(key, entry))


def _adopted(key: StoreKey, entry: Entry) -> Program[Entry]:
    kind = AppToken if key.account is None else UserToken
    if not isinstance(entry.token, kind):
        raise StoreError(f"the store holds a token of another kind where {key!r} should have {kind.__name__}")
    yield from Remember(key, entry)
    return entry


def _obtain(config: Config, key: StoreKey, need: Need) -> Program[Outcome]:
    """The flight: what one caller does for all others of this process."""
    rescued = yield from _save_pending(config, key)
    if rescued is not None:
        return rescued
    owner = f"{(yield from Identity())}:{(yield from Unguessable()).reveal()[:12]}"
    lease, pause = Lease(owner, config.lease), 0.05
    while True:
        entry = yield from _stored(key)
        cell = yield from Recall(key)
        if entry is not None and (yield from _good(cell, entry, need)):
            return Outcome(entry)
        _check_renewable(config, key, entry, cell)
        outcome = yield from _under_lease(config, key, need, lease)
        if outcome is not None:
            return outcome
        yield from Sleep(pause * (0.5 + (yield from Chance())))
        pause = min(pause * 1.5, 0.5)


def _under_lease(config: Config, key: StoreKey, need: Need, lease: Lease) -> Program[Outcome | None]:
    try:
        return (yield from Leased(key, lease, lambda: _renew(config, key, need, lease)))
    except _StartOver:
        return None


def _renew(config: Config, key: StoreKey, need: Need, lease: Lease) -> Program[Outcome]:
    """What the holder of the lease does."""
    entry, now = (yield from _stored(key)), (yield from Now())
    cell = yield from Recall(key)
    if entry is not None and (yield from _good(cell, entry, need)):
        return Outcome(entry)
    refused = entry is not None and cell.refuses(entry) and need.newer_than is None
    superseded = supersessions(entry, refused, now)
    if len(superseded) >= CONFLICTS:
        raise _conflict(entry)
    _check_renewable(config, key, entry, cell)
    exchange = _exchange(config, entry)

    def attempt() -> Program[Outcome]:
        return (yield from Shielded(lambda: _issue(exchange, key, entry, superseded)))

    def sleep(seconds: float) -> Program[None]:
        return _sleep_holding(key, lease, entry, seconds)

    try:
        return (yield from _persistently(attempt, exchange.repeatable, config.max_retries, sleep))
    except InvalidGrantError as error:
        if entry is None or key.account is None:
            raise
        return (yield from _after_refusal(key, entry, error))


def _persistently(
    attempt: Callable[[], Program[Outcome]], repeatable: bool, max_retries: int, sleep: Callable[[float], Program[None]]
) -> Program[Outcome]:
    """`attempt` with the retries that are safe, and one more if a refresh's answer was lost."""
    try:
        return (yield from repeated(attempt, repeatable, max_retries, sleep))
    except OutcomeUnknownError:
        if repeatable:
            raise
    yield from sleep(0.25)
    return (yield from repeated(attempt, repeatable, max_retries, sleep))


def _sleep_holding(key: StoreKey, lease: Lease, entry: Entry | None, seconds: float) -> Program[None]:
    """Wait without letting the lease run out, and make sure that it did not.

    A lease that ended and was let go by its next owner is ours for the asking, so the store is looked at, too.
    """
    naps = max(1, math.ceil(seconds / (lease.ttl / 3)))
    for _ in range(naps):
        yield from Sleep(seconds / naps)
        if not (yield from Hold(key, lease)):
            raise _StartOver
    if _revision((yield from Load(key))) != _revision(entry):
        raise _StartOver


def _revision(entry: Entry | None) -> int | None:
    return None if entry is None else entry.revision


def _check_renewable(config: Config, key: StoreKey, entry: Entry | None, cell: Cell) -> None:
    """Raise what no attempt could change."""
    if not config.issues:
        raise _nothing_to_read(key, entry)
    if key.account is None:
        return
    if entry is None:
        raise LoginRequiredError(f"nobody has signed in as {key.account!r} yet", account=key.account)
    if _refresh_token(entry) == cell.spent:
        raise _login_required(key)


def _refresh_token(entry: Entry) -> Secret:
    return Secret(cast("UserToken", entry.token).refresh_token)


def _exchange(config: Config, entry: Entry | None) -> AnyExchange:
    if entry is not None and isinstance(entry.token, UserToken):
        return config.protocol.refresh(entry.token)
    return config.protocol.app_token()


def _issue(exchange: AnyExchange, key: StoreKey, entry: Entry | None, superseded: Moments) -> Program[Outcome]:
    """Send, read, save: from the first byte to the last write nobody is interrupted."""
    token, before = yield from sent(exchange, lambda response, now: (exchange.parse(response, now=now), now))
    fresh = yield from _entry(key, token, entry, before, superseded)
    return (yield from _save(key, Pending(_revision(entry), fresh)))


def _entry(
    key: StoreKey, token: AppToken | UserToken, current: Entry | None, issued_at: datetime, superseded: Moments = ()
) -> Program[Entry]:
    cell, identity = (yield from Recall(key)), (yield from Identity())
    known = [entry.revision for entry in (current, cell.entry) if entry is not None]
    revision = revision_after((yield from Now()), cell.forgotten, *known)
    return Entry(token=token, revision=revision, issued_by=identity, issued_at=issued_at, superseded=superseded)


def _save(key: StoreKey, pending: Pending) -> Program[Outcome]:
    """Put a new token into the store before anybody is handed it; adopt what is there if somebody was faster."""
    try:
        if (yield from Swap(key, pending.expected, pending.entry)):
            yield from Remember(key, pending.entry)
            return Outcome(pending.entry, issued=True)
        current = yield from Load(key)
        if current is not None and (current != pending.entry or pending.expected == current.revision):
            return Outcome((yield from _adopted(key, current)))
    except StoreError as error:
        yield from Rescue(key, pending)
        text = f"{str(error).rstrip('.')}. The new token is kept in memory and saved with the next call."
        raise StoreError(text, token=pending.entry.token) from error.__cause__
    if current is None:
        return (yield from _save_after_delete(key, pending))
    # Written, though we were told that it failed: only another write can confirm it, once. The same entry has the
    # same revision, so whoever is renewing it already can still put its successor here.
    return (yield from _save(key, Pending(current.revision, current)))


def _save_after_delete(key: StoreKey, pending: Pending) -> Program[Outcome]:
    if key.account is not None:
        raise LoginRequiredError(f"{key.account!r} was forgotten while being renewed", account=key.account)
    return (yield from _save(key, Pending(None, pending.entry)))


def _save_pending(config: Config, key: StoreKey) -> Program[Outcome | None]:
    """Save what an earlier call could not, before anything else is issued."""
    pending = (yield from Recall(key)).pending
    if pending is None or not config.issues:
        return None

    def save() -> Program[Outcome]:
        yield from Rescue(key, None)
        return (yield from _save(key, pending))

    saved = yield from Shielded(save)
    return Outcome(saved.entry)  # issued, but perhaps long ago: to be measured


def _after_refusal(key: StoreKey, entry: Entry, error: OAuthError) -> Program[Outcome]:
    """A refresh token was refused: adopt what a stalled holder may have saved meanwhile, or ask for a sign-in.

    A store that went back in time, in a crash or a failover, is told what this process remembers.
    """
    current = yield from _stored(key)
    if current is not None and current.revision != entry.revision:
        return Outcome(current)
    known = None if current is None else (yield from Recall(key)).entry
    if known is not None and known.revision > entry.revision:
        yield from Swap(key, entry.revision, known)
        raise _StartOver
    yield from Spend(key, _refresh_token(entry))
    raise _login_required(key) from error


def _nothing_to_read(key: StoreKey, entry: Entry | None) -> OAuthError:
    whose = "the application" if key.account is None else repr(key.account)
    problem = "holds no token" if entry is None else "holds only an expired or refused token"
    return ReadOnlyError(f'the store {problem} of {whose}, and this client only reads (issue="never")')


def _login_required(key: StoreKey) -> LoginRequiredError:
    text = f"the refresh token of {key.account!r} is spent or revoked: this user has to sign in again"
    return LoginRequiredError(text, account=key.account)


def _conflict(entry: Entry | None) -> TokenConflictError:
    return TokenConflictError(
        f"{CONFLICTS} of our fresh tokens were superseded within five minutes: another deployment uses the same "
        'application and fetches its own tokens. Let all share one store, or give one of them issue="never".',
        issuer=None if entry is None else entry.issued_by,
    )

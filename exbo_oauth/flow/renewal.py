"""What the holder of a key's lease does: look once more, send, read, save.

From the first byte sent to the last byte saved nobody is interrupted (`Shielded`). A refresh whose answer was lost is
tried once more with the same refresh token: on this server a replay harms nothing (wire fact 13: no reuse
detection), and it is the cure where the first never arrived. Writing is compare-and-swap, so a holder that slept
through its lease overwrites nothing that came after it; and it looks again before each sending, for what came after
it would die of another issue.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, cast

from attrs import frozen

from ..errors import (
    InvalidGrantError,
    LoginRequiredError,
    OAuthError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    TokenConflictError,
)
from ..events import (
    AnswerLost,
    ConflictFound,
    SignInRequired,
)
from ..masking import Secret
from ..misuse import narrowed
from ..models import AppToken, UserToken
from ..protocol.exchange import Exchange
from ..stores.base import Entry, StoreKey
from .config import Config
from .effects import (
    Cell,
    Hold,
    Identity,
    Lease,
    Load,
    Now,
    Pending,
    Program,
    Recall,
    Shielded,
    Spend,
)
from .entries import ender, entry_of, fingerprint, revision_of, stored, tell_end, tell_issued
from .evidence import Target
from .limits import check_limit, limited, unlimited
from .needs import Need
from .refusals import Verdict, counts, end_of_conflict, ended_early, is_conflict, supersessions, verdict
from .retries import paused, repeated, sent
from .saving import Obtained, saved
from .telling import happened

__all__ = ["check_sign_in", "conflict", "renewed"]


AnyExchange: TypeAlias = Exchange[AppToken] | Exchange[UserToken]


@frozen
class _Plan:
    """A renewal that was decided on: what takes the place of `entry`, and why."""

    key: StoreKey
    lease: Lease
    entry: Entry | None
    exchange: AnyExchange
    why: str
    target: str
    superseded: tuple[datetime, ...]


def renewed(config: Config, key: StoreKey, need: Need, lease: Lease) -> Program[Obtained | None]:
    """What meets `need`, issued if it must be, or what there is if nothing may be issued; None: look anew."""
    entry, now = (yield from stored(config, key)), (yield from Now())
    if entry is not None and need.met_by(entry, now):
        return Obtained(entry)
    superseded = () if entry is None else (yield from _superseded(key, entry, need, now))
    if superseded is None:
        return None if entry is None else Obtained(entry)
    check_sign_in(key, entry, (yield from Recall(key)))
    exchange = _exchange(config, entry)
    target = "" if need.refusal is None else str(need.refusal.target)
    plan = _Plan(key, lease, entry, exchange, _reason(entry, need), target, superseded)
    try:
        return (yield from _within_limits(config, plan))
    except InvalidGrantError as error:
        if entry is None or key.account is None:
            raise
        return (yield from _after_refusal(config, key, entry, error))


def _superseded(key: StoreKey, entry: Entry, need: Need, now: datetime) -> Program[tuple[datetime, ...] | None]:
    """The supersessions of the last minutes if `entry` is to be replaced, None if it is not; a conflict is raised."""
    if _reason(entry, need) != "refused":
        return supersessions(entry, now, counting=False)
    ours = entry.issued_by == (yield from Identity())
    if need.refusal is None:  # by the caller's own word, who alone knows whether the token had worked
        superseded = supersessions(entry, now, counting=ended_early(entry, now, ours=ours))
        decided = Verdict.CONFLICT if is_conflict(superseded) else Verdict.REPLACE
    else:
        witness = (yield from Recall(key)).witness(need.refusal.target)
        counting = counts(entry, witness, need.refusal.target, now, ours=ours)
        superseded = supersessions(entry, now, counting=counting)
        decided = verdict(entry, witness, need.refusal, now, ours=ours)
    if decided is Verdict.CONFLICT:
        raise (yield from conflict(key, entry, None if need.refusal is None else need.refusal.target))
    if decided is not Verdict.REPLACE:
        return None
    if ended_early(entry, now, ours=ours):
        yield from _told_superseded(key, entry)
    return superseded


def _told_superseded(key: StoreKey, entry: Entry) -> Program[None]:
    issuer, since = ender(entry)
    yield from tell_end(key, fingerprint(entry.token.access_token), issuer, since)


def _reason(entry: Entry | None, need: Need) -> str:
    """Why the next token is issued, as `Issue.why` has it."""
    if entry is None:
        return "first"
    if need.newer_than is not None:
        return "asked"
    return "expired" if need.allows(entry) else "refused"


def _within_limits(config: Config, plan: _Plan) -> Program[Obtained | None]:
    """Attempts, none of which is made while the server wants nobody to ask."""
    number = 0

    def attempt() -> Program[Obtained | None]:
        nonlocal number
        left_over, number = (yield from check_limit(config, plan.exchange.grant)), number + 1
        try:
            obtained = yield from _attempted(plan, number)
        except (RateLimitError, ServerError) as error:
            yield from limited(config, error)
            raise
        if left_over is not None and obtained is not None and obtained.issued:
            yield from unlimited(config, left_over)
        return obtained

    return (yield from _persistently(plan, config.max_retries, attempt))


def _persistently(
    plan: _Plan, max_retries: int, attempt: Callable[[], Program[Obtained | None]]
) -> Program[Obtained | None]:
    """Attempts, as far as they are safe, and one more if a refresh's answer was lost."""
    repeatable = plan.exchange.repeatable
    try:
        return (yield from repeated(attempt, plan.key, repeatable, max_retries))
    except OutcomeUnknownError as error:
        replaced = "" if plan.entry is None else fingerprint(plan.entry.token.access_token)
        yield from happened(AnswerLost, plan.key, fingerprint=replaced, reason=str(error))
        if repeatable:
            raise
        lost = str(error)
    yield from paused(plan.key, 0.25, lost)
    return (yield from repeated(attempt, plan.key, repeatable, max_retries))


def _attempted(plan: _Plan, number: int) -> Program[Obtained | None]:
    """One attempt, after another look: None if what is to be replaced is not there any more.

    A process may have been stopped for hours since it took the lease; a lease that ended and was let go by its next
    owner is ours for the asking, so the store is looked at, too.
    """
    if not (yield from Hold(plan.key, plan.lease)):
        return None
    there = yield from Load(plan.key)
    if (there and there.token) != (plan.entry and plan.entry.token):
        return None
    return (yield from Shielded(lambda: _issued(plan, number)))


def check_sign_in(key: StoreKey, entry: Entry | None, cell: Cell) -> None:
    """Raise `LoginRequiredError` where a user has nothing that could be renewed."""
    if key.account is None:
        return
    if entry is None:
        text = f"nobody has signed in as {key.account!r} yet"
        raise narrowed(LoginRequiredError(text, account=key.account), "never")
    if Secret(_refresh_token(entry)) == cell.spent:
        raise _login_required(key)


def _refresh_token(entry: Entry) -> str:
    return cast("UserToken", entry.token).refresh_token


def _exchange(config: Config, entry: Entry | None) -> AnyExchange:
    if entry is not None and isinstance(entry.token, UserToken):
        return config.protocol.refresh(entry.token)
    return config.protocol.app_token()


def _issued(plan: _Plan, number: int) -> Program[Obtained]:
    """Send, read, save: from the first byte to the last write nobody is interrupted."""
    exchange = plan.exchange
    token, before = yield from sent(exchange, lambda response, now: (exchange.parse(response, now=now), now))
    entry = yield from entry_of(
        plan.key, token, plan.entry, before, why=plan.why, target=plan.target, superseded=plan.superseded
    )
    obtained = yield from saved(plan.key, Pending(revision_of(plan.entry), entry))
    if obtained.issued:
        yield from tell_issued(plan.key, plan.entry, entry, before, number)
    return obtained


def _after_refusal(config: Config, key: StoreKey, entry: Entry, error: OAuthError) -> Program[Obtained]:
    """A refresh token was refused: adopt what a stalled holder may have saved meanwhile, or ask for a sign-in."""
    yield from Spend(key, Secret(_refresh_token(entry)))
    current = yield from stored(config, key)
    if current is not None and current.revision > entry.revision:
        return Obtained(current)
    required = _login_required(key)
    yield from happened(SignInRequired, key, reason=str(required))
    raise required from error


def _login_required(key: StoreKey) -> LoginRequiredError:
    text = f"the refresh token of {key.account!r} is spent or revoked: this user has to sign in again"
    return narrowed(LoginRequiredError(text, account=key.account), "refused")


def conflict(key: StoreKey, entry: Entry, target: Target | None = None) -> Program[TokenConflictError]:
    """The error for tokens that somebody else keeps superseding, as far as one can tell at `target`."""
    name = fingerprint(entry.token.access_token)
    yield from _told_superseded(key, entry)
    yield from happened(ConflictFound, key, fingerprint=name, issuer=entry.issued_by)
    end = end_of_conflict(entry.superseded)
    return TokenConflictError(f"{_causes(key, target)} {_until(key, end)}", issuer=entry.issued_by)


def _until(key: StoreKey, end: datetime) -> str:
    command = "exbo-oauth refresh" if key.account is None else "exbo-oauth refresh --user NAME"
    return f"No other is issued until {end:%H:%M:%S} UTC; once the cause is gone, that ends at once with: {command}"


def _causes(key: StoreKey, target: Target | None) -> str:
    api = "the API" if target is None else target.host
    user = "" if key.account is None else f", or the user {key.account!r} was deleted"
    return (
        f"{api} refused three of our tokens within five minutes, each before its time. Either another deployment uses "
        "the same application and fetches its own tokens: let all share one store, or give one of them "
        f'issue="never". Or {api} refuses whatever it is given, because tokens of {key.base_url} are for another API '
        f"(the sandbox's and the demo's open only their own), or the application is not approved yet{user}."
    )

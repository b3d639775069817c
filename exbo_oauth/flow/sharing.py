"""One token for everybody who shares a store: when to hand it out, adopt a newer one, or issue the next.

EXBO ends the earlier token when it issues the next one. So a token is shared by all tasks, threads, processes and
hosts of an application; nothing is renewed early or in the background; and an issue that two would make at the same
time has to be made by one, whoever of them dies, sleeps or is cancelled half-way.

A call for a token goes through these rooms, each only if the one before had no answer, and comes out of the first
that has one:

=================  ==============================================  ===================================================
room               who is in it                                    how one gets out
=================  ==============================================  ===================================================
this process's     anybody; no lock, no store, no program at all   the token there is good
memory             on the fast path
one flight         the first of this process for this key          (`Shared`) its end is everybody's who waited
  the rescue       the flight                                      a token that could not be saved is saved now
  the store        the flight                                      another process was faster: adopt
  the lease        one process; the others look at the store       (`Leased`) taken: go in. Let go, or not prolonged any
                   from time to time, and may be cancelled         more by its holder: somebody else's turn
    the store,     the holder                                      the last holder was faster: adopt
    once more
    sending        the holder, after another look right before     an answer: save; none: once more, if that is safe
    saving         the holder                                      (`Shielded` from the first byte on) written: all have
                                                                   it; overtaken: adopt; the store fails: rescued
=================  ==============================================  ===================================================

A flight that cannot find out who is right begins anew with the store: the lease was lost, or the entry is not what it
was. What the holder does is in `renewal`, what a refused token means in `refusals`.
"""

import math
from datetime import datetime
from functools import partial
from typing import cast

from attrs import evolve

from ..errors import LeaseTimeoutError, MalformedResponseError, OAuthError, ReadOnlyError, StoreError
from ..events import LeaseAwaited, LeaseTakenOver
from ..misuse import narrowed
from ..models import AppToken, UserToken
from ..stores.base import Entry, StoreKey
from .config import Config
from .effects import Chance, HolderOf, Identity, Lease, Leased, Now, Program, Recall, Shared, Sleep, Unguessable
from .entries import stored
from .holders import Holder, holder_of, next_look, owner_text
from .needs import Need
from .renewal import check_sign_in, renewed
from .saving import Obtained, saved_pending
from .telling import happened, watched

_LONG = 1.0  # seconds to wait for another process before that is worth a word

__all__ = ["Config", "ensure_app_token", "ensure_user_token", "flown", "shared_entry"]


def ensure_app_token(config: Config, need: Need) -> Program[AppToken]:
    """The application's token that meets `need`, at the price of one issue for everybody."""
    return cast("AppToken", (yield from shared_entry(config, config.key(), need)).token)


def ensure_user_token(config: Config, account: str, need: Need) -> Program[UserToken]:
    """The account's token that meets `need`, at the price of one refresh for everybody."""
    return cast("UserToken", (yield from shared_entry(config, config.key(account), need)).token)


def shared_entry(config: Config, key: StoreKey, need: Need) -> Program[Entry]:
    """The entry whose token meets `need`."""
    given_back, begun = 0, (yield from Now())
    while True:
        entry = (yield from Recall(key)).entry
        if entry is not None and need.met_by(entry, (yield from Now())):
            return entry
        obtained = yield from flown(config, key, need)
        known = (yield from Recall(key)).entry
        if obtained is None or (known is not None and known.revision > obtained.entry.revision):
            need = yield from _in_a_hurry(need, begun)  # nobody can know, or others here were faster than we woke up
            continue
        if obtained.issued and need.allows(obtained.entry):
            return obtained.entry  # however short its life
        if need.met_by(obtained.entry, (yield from Now())):
            return obtained.entry
        given_back += obtained.issued
        if given_back > 1:
            raise _given_back()


def flown(config: Config, key: StoreKey, need: Need) -> Program[Obtained | None]:
    """What came of the flight for `key`, ours or another's of this process; None if nobody can know."""
    purpose, over = "issue" if config.issues else "read", list[bool]()
    obtained: Obtained | None = None

    def body() -> Program[Obtained | None]:
        ours = yield from watched(key, _obtained(config, key, need))
        over.append(ours is None)
        return ours

    try:
        obtained = yield from Shared(key, purpose, config.patience, body, need.wait)
    except TimeoutError:
        over.append(True)
    if any(over):
        raise (yield from _waited_in_vain(key))
    return obtained


def _in_a_hurry(need: Need, begun: datetime) -> Program[Need]:
    """`need` with what is left of its `wait`, of which some has passed since it was `begun`."""
    if need.wait is None:
        return need
    passed = ((yield from Now()) - begun).total_seconds()
    return evolve(need, wait=max(0.0, need.wait - max(0.0, passed)))


def _obtained(config: Config, key: StoreKey, need: Need) -> Program[Obtained | None]:
    """The flight: what one caller does for all others of this process. None if he cannot wait any longer."""
    rescued = (yield from saved_pending(key)) if config.issues else None
    if rescued is not None:
        return rescued
    identity, unguessable = (yield from Identity()), (yield from Unguessable()).reveal()[:12]
    waited, holder = 0.0, None
    while True:
        entry = yield from stored(config, key)
        if entry is not None and need.met_by(entry, (yield from Now())):
            return Obtained(entry)
        if not config.issues:
            raise _nothing_to_read(config, key, entry)
        check_sign_in(key, entry, (yield from Recall(key)))
        owner = owner_text(identity, (yield from Now()), unguessable)
        lease = Lease(owner, config.lease, config.patience)
        obtained = yield from Leased(key, lease, partial(_holding, config, key, need, lease, waited, holder))
        if obtained is not None:
            return obtained
        left = math.inf if need.wait is None else need.wait - waited
        if left <= 0:
            return None
        pause = min(next_look(waited, 0.5) * (0.5 + (yield from Chance())), left)
        yield from Sleep(pause)
        if waited < _LONG <= waited + pause:
            holder = yield from _holder(key)
            yield from _told(LeaseAwaited, key, waited + pause, holder)
        waited += pause


def _holding(
    config: Config, key: StoreKey, need: Need, lease: Lease, waited: float, holder: Holder | None
) -> Program[Obtained | None]:
    if waited >= _LONG:
        yield from _told(LeaseTakenOver, key, waited, holder)
    return (yield from renewed(config, key, need, lease))


def _told(
    kind: type[LeaseAwaited | LeaseTakenOver], key: StoreKey, waited: float, holder: Holder | None
) -> Program[None]:
    name, since = (None, None) if holder is None else (holder.name, holder.since)
    yield from happened(kind, key, seconds=waited, holder=name, since=since)


def _holder(key: StoreKey) -> Program[Holder | None]:
    """Who renews the token, as far as the store can tell."""
    try:
        owner = yield from HolderOf(key)
    except StoreError:
        return None
    return None if owner is None else holder_of(owner)


def _waited_in_vain(key: StoreKey) -> Program[LeaseTimeoutError]:
    """The error for a wait that is over."""
    holder = yield from _holder(key)
    who = f"another call of {(yield from Identity())}" if holder is None else str(holder)
    whose = "the application" if key.account is None else repr(key.account)
    return LeaseTimeoutError(
        f"{who} is renewing the token of {whose} and was waited for for as long as wait= says: call again, or "
        "with more seconds. Should it have been killed, another one takes its place within 10 seconds.",
        holder=None if holder is None else holder.name,
        since=None if holder is None else holder.since,
    )


def _nothing_to_read(config: Config, key: StoreKey, entry: Entry | None) -> OAuthError:
    whose = "the application" if key.account is None else repr(key.account)
    problem = "holds no token" if entry is None else "holds only an expired or refused token"
    text = (
        f'the store{config.place} {problem} of {whose}, and this client only reads (issue="never"): start the program '
        "that issues, and give both the same store"
    )
    return narrowed(ReadOnlyError(text), "no-token")


def _given_back() -> MalformedResponseError:
    text = "the server issues the refused token again and again: does a cache stand between here and there?"
    return MalformedResponseError(text, status=200)

"""What a 401 means: a question about the token, which this module answers.

A resource server says 401 for many reasons, and the answer looks the same for all of them. The token may be dead,
because another deployment was issued a newer one, because somebody revoked it, or because it came to its end by the
server's clock. Or nothing is wrong with it: the API has not heard of it yet, is down for a moment, or one of its
nodes is; this endpoint wants another kind of token; the user was deleted; the application was never approved; this
is the API of another server. In the first three cases a new token is the cure. In all others it is the disease: at
EXBO each new token ends the one before, so whoever asks for another one at every 401 takes down with his own request
all that were working, and goes on doing so for as long as the cause lasts.

So a refusal is weighed against what else is known. Success is evidence: a token that the API took a moment ago, or
that was issued a moment ago, is tried once more before it is replaced, by one for all that wait (see `trials`), and
if it is taken then, it was not the token. What was issued for a request and is refused to this very request is not to
blame either: its caller gets the 401, and its target (host and path) gets nothing issued for five minutes, unless it
shows that it can tell good tokens from bad ones by taking one. A host that has taken nothing since is not heard at
all; of a host that has, other endpoints are heard if they are known to take tokens, or when so many of them in a row
have said no that this is about the token after all. Likewise a host that was seen to refuse a living token, because
one of its nodes is sick, has to say no several times, and for a second; many calls at once can tell less than that. A
request that was begun after a refusal and served shows that the token lives; where a host has had one token replaced
and refuses the next, too, a second passes before the trial, so that one can be. Nothing here lasts: a refusal fades
after five minutes, and the newest token goes on being handed to everybody.

Three tokens that had been accepted, and were dead before their time within five minutes, are another deployment's
doing, against which there is no cure but a sentence to its operators. Only targets that are known to take tokens can
say so.

The states of a refused token; the first line that fits decides:

==================================================================  ==========  ======================================
what is known of the refused token                                  verdict     what follows
==================================================================  ==========  ======================================
a newer one is known                                                `ADOPT`     sent again with that one
its replacement was refused to this request, or it is its own       `RETURN`    the 401 goes to the caller
it reached its natural end                                          `REPLACE`   another is issued
others tried it again since, or called this target later, and it    `AGAIN`     sent again with the same one
was taken
nobody tried it again since, and it was accepted or issued within   `TRY`       one sends it again, others wait for that
five minutes
it was issued for this very request                                 `RETURN`
its target is not to be heard (see above)                           `RETURN`
its host refuses living tokens, and has not said no often enough,   `AGAIN`     sent again, at most three times in all
or had one replaced less than five minutes ago
two that had been accepted went the same way within five minutes    `CONFLICT`  after a third try, `TokenConflictError`
none of these                                                       `REPLACE`   another is issued
==================================================================  ==========  ======================================

What is decided with: `Entry` carries what the processes tell each other through the store (when the token was last
accepted, for whom the last ones were issued, which hosts are doubtful), and `Witness` what this process saw itself.
Everything is a pure function of those and of the clock.
"""

from datetime import datetime, timedelta
from enum import Enum, auto

from ..masking import Secret
from ..stores.base import Entry
from .evidence import WINDOW, YOUNG, Refusal, Target, Witness, host_of, is_doubtful, is_served, is_suspect, within

__all__ = [
    "LAG",
    "MOST_SENDINGS",
    "Verdict",
    "counts",
    "end_of_conflict",
    "ended_early",
    "is_conflict",
    "pause",
    "supersessions",
    "verdict",
]

LAG = timedelta(seconds=1.1)  # a replica that knows a token a second late
MOST_SENDINGS = 3

_CONFLICT = 3
_SKEW = timedelta(minutes=15)  # what clocks of one fleet may differ by
_OFTEN = 5  # of five nodes with a sick one, that many in a row refuse a living token once in three thousand times


class Verdict(Enum):
    """What to do about a refused token; see the table above."""

    ADOPT = auto()
    AGAIN = auto()
    TRY = auto()
    REPLACE = auto()
    RETURN = auto()
    CONFLICT = auto()


def verdict(entry: Entry, witness: Witness, refusal: Refusal, now: datetime, *, ours: bool) -> Verdict:
    """The first line of the table that fits. `ours` says that this process was issued the token, by its own clock."""
    if refusal.token != Secret(entry.token.access_token):
        return Verdict.ADOPT if refusal.sent < MOST_SENDINGS else Verdict.RETURN
    if refusal.final:
        return Verdict.RETURN
    if entry.token.is_expired(now=now):
        return Verdict.REPLACE if refusal.sent < MOST_SENDINGS else Verdict.RETURN
    if is_served(witness, refusal):
        return Verdict.AGAIN if refusal.sent < MOST_SENDINGS else Verdict.RETURN
    if not refusal.again:
        if _since(witness.answered_at, refusal.at):
            return Verdict.AGAIN
        if not _was_tried(entry, witness, refusal, now) and _is_worth_a_try(entry, witness, refusal, now):
            return Verdict.TRY
    if refusal.fresh or _is_not_heard(entry, witness, refusal.target, now):
        return Verdict.RETURN
    return _of_a_witness_to_be_heard(entry, witness, refusal, now, ours=ours)


def pause(entry: Entry, host: str, now: datetime) -> timedelta:
    """How long to wait before a token is tried again: an API may not know so young a one everywhere yet.

    Where a host has had a token replaced a moment ago, and refuses that one, too, others may show that it lives.
    """
    if is_suspect(entry, host, now):
        return LAG
    age = now - entry.issued_at
    if entry.accepted_at is not None or age < timedelta():
        return timedelta()
    return max(LAG - age, timedelta())


def _of_a_witness_to_be_heard(
    entry: Entry, witness: Witness, refusal: Refusal, now: datetime, *, ours: bool
) -> Verdict:
    doubtful = is_doubtful(entry, refusal.target.host, now)
    counting = counts(entry, witness, refusal.target, now, ours=ours)
    conflict = is_conflict(supersessions(entry, now, counting=counting))
    last, often = refusal.sent >= MOST_SENDINGS, witness.row >= _OFTEN
    dear = doubtful and is_suspect(entry, refusal.target.host, now)
    if dear or (doubtful and not (often and _lasts(witness, now))) or (conflict and not last and not often):
        return Verdict.RETURN if last else Verdict.AGAIN
    if conflict:
        return Verdict.RETURN if doubtful else Verdict.CONFLICT
    return Verdict.RETURN if last else Verdict.REPLACE


def counts(entry: Entry, witness: Witness, target: Target, now: datetime, *, ours: bool) -> bool:
    """Whether the end of this token is a supersession.

    It had worked, its time had not come, and whoever says that it is dead is known to take tokens of ours.
    """
    takes = target.path in witness.taking or any(
        issue.target == str(target) and issue.taken == "target" for issue in entry.history
    )
    return takes and entry.accepted_at is not None and ended_early(entry, now, ours=ours)


def ended_early(entry: Entry, now: datetime, *, ours: bool) -> bool:
    """Whether a token that is dead at `now` died before its natural end, by whichever clock.

    Who was issued it counts by the same clock; others' clocks may be some minutes ahead.
    """
    return entry.token.expires_in - now > (timedelta() if ours else _SKEW)


def supersessions(entry: Entry | None, now: datetime, *, counting: bool) -> tuple[datetime, ...]:
    """The moments within five minutes at which tokens of this key died before their time; now, too, if `counting`."""
    known = () if entry is None else entry.superseded
    recent = tuple(moment for moment in known if within(WINDOW, moment, now))
    return (*recent, now) if counting else recent


def is_conflict(superseded: tuple[datetime, ...]) -> bool:
    """Whether so many tokens died that somebody else must be at it."""
    return len(superseded) >= _CONFLICT


def end_of_conflict(superseded: tuple[datetime, ...]) -> datetime:
    """When too few of the moments that make a conflict will be left for one more to make it."""
    return sorted(superseded)[1 - _CONFLICT] + WINDOW


def _lasts(witness: Witness, now: datetime) -> bool:
    """Whether a host has refused a token for some time: with many calls at once, a few in a row are soon together."""
    return witness.since is not None and now - witness.since >= LAG


def _was_tried(entry: Entry, witness: Witness, refusal: Refusal, now: datetime) -> bool:
    """Whether the token was refused twice: to somebody who tried it again, or to somebody before this request began."""
    if _since(witness.refused_at, refusal.at):
        return True
    if is_suspect(entry, refusal.target.host, now) and not _lasts(witness, now):
        return False
    known_everywhere = entry.accepted_at is not None or not within(YOUNG, entry.issued_at, now)
    return known_everywhere and witness.since is not None and witness.since < refusal.begun


def _is_worth_a_try(entry: Entry, witness: Witness, refusal: Refusal, now: datetime) -> bool:
    """Whether success may still be expected of the same token: it was good a moment ago."""
    since = witness.refusing.get(refusal.target.path, now)
    known = since < refusal.at and _is_not_heard(entry, witness, refusal.target, now)
    if known and not within(YOUNG, entry.issued_at, now):
        return False  # this target goes on as we know it
    good = [entry.issued_at] if entry.accepted_at is None else [entry.issued_at, entry.accepted_at]
    return any(within(WINDOW, moment, now) for moment in good)


def _is_not_heard(entry: Entry, witness: Witness, target: Target, now: datetime) -> bool:
    """Whether a token was issued for this host in vain: nothing else is issued for it then."""
    for issue in entry.history:
        if issue.taken == "target" or host_of(issue) != target.host or not within(WINDOW, issue.at, now):
            continue
        if issue.target == str(target) or not issue.taken:
            return True
        if target.path not in witness.taking and witness.paths_in_a_row < _OFTEN:
            return True
    return False


def _since(moment: datetime | None, start: datetime) -> bool:
    return moment is not None and moment >= start

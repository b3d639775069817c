"""What is known of a token besides its text: what this process saw of it, and what the processes tell each other.

A `Witness` is one host as this process saw it, with the present token; it lives in the process's memory. What others
have to know as well is in the notes of the store's `Entry`: when the token was last accepted, for whose refusal the
last tokens were issued, which hosts refused a living one. Everything is a pure function of those and of the clock.
What to make of it is `refusals`' business.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from attrs import evolve, field, frozen

from ..masking import Secret
from ..stores.base import Entry, Issue

__all__ = [
    "UNKNOWN",
    "WINDOW",
    "YOUNG",
    "Acceptance",
    "Refusal",
    "Target",
    "Witness",
    "accepted",
    "answered",
    "blamed",
    "doubted",
    "host_of",
    "is_doubtful",
    "is_served",
    "is_suspect",
    "is_telling",
    "merged",
    "refused",
    "remembered",
    "reported_at",
    "with_next_token",
    "within",
]

WINDOW = timedelta(minutes=5)
YOUNG = timedelta(seconds=5)  # an API may not know such a token everywhere yet

_MOST_ISSUES, _MOST_PATHS, _MOST_HOSTS = 5, 64, 16


@frozen
class Target:
    """Where a request went: `host` (with the port, if one was named) and `path`, without the query."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}{self.path}"


@frozen
class Refusal:
    """One request that was answered with a 401 `at` (aware UTC) some moment.

    It was `begun` before, refused `first` then or now, and `sent` that often. `again` says that it was sent twice at
    least with this very token; `fresh` that the token was issued while the request was waiting for one; `final` that it
    took the place of a refused one here.
    """

    token: Secret
    target: Target
    at: datetime
    begun: datetime
    first: datetime
    sent: int = 1
    again: bool = False
    fresh: bool = False
    final: bool = False


@frozen
class Acceptance:
    """One request that was `begun` some moment, and whose token was taken `at` another (aware UTC).

    `again` says that it had been refused to this request before.
    """

    token: Secret
    target: Target
    at: datetime
    begun: datetime
    again: bool = False


@frozen
class Witness:
    """What this process saw of one host with the present token.

    `row` counts its refusals in a row, which began at `since`. When somebody tried the token again, it was refused
    (`refused_at`), or something else was answered (`answered_at`). `taking` are paths that took a token of ours,
    this or an earlier one, each with the moment when the youngest request that it took it from had begun; `refusing`
    are those that did not take this one, each since when.
    """

    row: int = 0
    since: datetime | None = None
    refused_at: datetime | None = None
    answered_at: datetime | None = None
    taking: Mapping[str, datetime] = field(factory=dict)
    refusing: Mapping[str, datetime] = field(factory=dict)

    @property
    def paths_in_a_row(self) -> int:
        """How many paths began to refuse the token since anybody took it."""
        return sum(self.since is not None and moment >= self.since for moment in self.refusing.values())


UNKNOWN = Witness()


# What this process sees


def refused(witness: Witness, refusal: Refusal) -> Witness:
    """One refusal more."""
    path, now = refusal.target.path, refusal.at
    since = {known: moment for known, moment in witness.refusing.items() if within(WINDOW, moment, now)}
    return evolve(
        witness,
        row=witness.row + 1,
        since=now if witness.since is None else witness.since,
        refused_at=now if refusal.again else witness.refused_at,
        refusing=_newest({**since, path: since.get(path, now)}),
    )


def with_next_token(witness: Witness) -> Witness:
    """What remains of it when another token comes."""
    return Witness(taking=witness.taking)


def answered(witness: Witness, now: datetime) -> Witness:
    """The token was tried again, and not refused."""
    return evolve(witness, answered_at=now)


def accepted(entry: Entry, witness: Witness, acceptance: Acceptance) -> tuple[Entry, Witness]:
    """The token was taken.

    That a refused one is taken after all is worth remembering where that `is_telling`.
    """
    target, now = acceptance.target, acceptance.at
    due = entry.accepted_at is None or not within(WINDOW / 2, entry.accepted_at, now)
    history = _heard(entry.history, target, now)
    known = evolve(entry, accepted_at=now if due else entry.accepted_at, history=history)
    if target.path in witness.refusing and _was_issued_for(entry, target.host):
        known = evolve(known, superseded=_without_the_last(known))
    if acceptance.again and is_telling(entry, target.host, now):
        known = doubted(known, target.host, now)
    since = {path: moment for path, moment in witness.refusing.items() if path != target.path}
    youngest = max(acceptance.begun, witness.taking.get(target.path, acceptance.begun))
    taking = _newest({**witness.taking, target.path: youngest})
    return known, evolve(witness, row=0, since=None, taking=taking, refusing=since)


def is_telling(entry: Entry, host: str, now: datetime) -> bool:
    """Whether `host` knows this token for sure, which is not so young that a node may not have heard of it."""
    return not within(YOUNG, entry.issued_at, now) or is_suspect(entry, host, now)


def is_suspect(entry: Entry, host: str, now: datetime) -> bool:
    """Whether this token had worked, and `host` has had one replaced by it, or an earlier one, in the last minutes."""
    recent = (issue for issue in entry.history if issue.why == "refused" and within(WINDOW, issue.at, now))
    return entry.accepted_at is not None and any(host_of(issue) == host for issue in recent)


def _heard(history: tuple[Issue, ...], target: Target, now: datetime) -> tuple[Issue, ...]:
    """The issues that were made for the host of `target`, which has taken a token since."""
    return tuple(
        evolve(issue, taken="target" if issue.target == str(target) else issue.taken or "host")
        if host_of(issue) == target.host and within(WINDOW, issue.at, now)
        else issue
        for issue in history
    )


def _was_issued_for(entry: Entry, host: str) -> bool:
    """Whether it was a refusal of this host's that this token was issued for."""
    return any(issue.why == "refused" and host_of(issue) == host for issue in entry.history[-1:])


def _without_the_last(entry: Entry) -> tuple[datetime, ...]:
    """The supersessions before this token's predecessor.

    That this one was dead was said by a host that refuses what it takes later, so nobody knows.
    """
    if len(entry.history) < 2:
        return ()
    predecessor = entry.history[-2]
    return tuple(moment for moment in entry.superseded if moment <= predecessor.at)


def is_doubtful(entry: Entry, host: str, now: datetime) -> bool:
    """Whether `host` was seen to refuse a living token in the last minutes."""
    return any(known == host and within(WINDOW, moment, now) for known, moment in entry.doubted)


def doubted(entry: Entry, host: str, now: datetime) -> Entry:
    """`entry`, whose living token was refused by `host`."""
    others = [(known, moment) for known, moment in entry.doubted if known != host and within(WINDOW, moment, now)]
    return evolve(entry, doubted=(*others[-_MOST_HOSTS:], (host, now)))


def is_served(witness: Witness, refusal: Refusal) -> bool:
    """Whether another request that began after this one was refused was taken at the same target: the token lived."""
    moment = witness.taking.get(refusal.target.path)
    return moment is not None and moment >= refusal.first


def _newest(since: dict[str, datetime]) -> dict[str, datetime]:
    return dict(sorted(since.items(), key=lambda item: item[1])[-_MOST_PATHS:])


def reported_at(entry: Entry, witnesses: Iterable[Witness]) -> datetime | None:
    """From when on another success is worth reporting; None stands for at once.

    While some target refuses the token, each success elsewhere says something. Otherwise now and then is enough.
    """
    if entry.accepted_at is None or any(witness.row or witness.refusing for witness in witnesses):
        return None
    waiting = any(issue.target and issue.taken != "target" for issue in entry.history)
    return None if waiting and within(WINDOW, entry.issued_at, entry.accepted_at) else entry.accepted_at + WINDOW / 2


# What the processes tell each other


def remembered(history: tuple[Issue, ...], issue: Issue) -> tuple[Issue, ...]:
    """The last few issues with one more; those that a decision may still need stay longer."""
    needed = [known for known in history[:-_MOST_ISSUES] if known.target and within(WINDOW, known.at, issue.at)]
    return (*needed[-_MOST_ISSUES:], *history[-_MOST_ISSUES:], issue)


def blamed(entry: Entry, target: Target) -> Entry:
    """`entry`, whose token was refused by `target` at its very first use."""
    if not entry.history or entry.history[-1].target:
        return entry
    return evolve(entry, history=(*entry.history[:-1], evolve(entry.history[-1], target=str(target))))


def merged(known: Entry, entry: Entry) -> Entry:
    """`entry` with what `known`, the same token, says beyond it: a note that was overwritten is not lost."""
    if known is entry or known.revision != entry.revision or known.token != entry.token:
        return entry
    return evolve(
        entry,
        accepted_at=_later(known.accepted_at, entry.accepted_at),
        history=_fuller(known.history, entry.history),
        doubted=tuple(dict(sorted([*known.doubted, *entry.doubted], key=lambda pair: pair[1])).items()),
        superseded=min(known.superseded, entry.superseded, key=len),
        followed=known.followed or entry.followed,
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _fuller(one: tuple[Issue, ...], other: tuple[Issue, ...]) -> tuple[Issue, ...]:
    if len(one) != len(other):
        return max(one, other, key=len)
    return tuple(map(_more_telling, one, other))


def _more_telling(one: Issue, other: Issue) -> Issue:
    return max(one, other, key=lambda issue: (bool(issue.target), len(issue.taken)))


def host_of(issue: Issue) -> str:
    """The host that the issue was made for, empty if it was made for nobody."""
    return issue.target.partition("/")[0]


def within(span: timedelta, moment: datetime, now: datetime) -> bool:
    """Whether `moment` is less than `span` away from `now`."""
    return abs(now - moment) < span  # abs: a clock that was set back must not make the past last longer

"""Who holds a lease: what stands in a store for a process that renews a token, since when, and when to look again."""

from datetime import UTC, datetime

from attrs import frozen

__all__ = ["Holder", "holder_of", "next_look", "owner_text"]

_EPOCH_DIGITS = 10
_SOONEST = 0.002  # seconds; an issue takes a few milliseconds


@frozen
class Holder:
    """The process that holds a lease, by its host and process id, and `since` (aware UTC) when, if that is known."""

    name: str
    since: datetime | None = None

    def __str__(self) -> str:
        return self.name if self.since is None else f"{self.name} (since {self.since:%H:%M:%S} UTC)"


def owner_text(identity: str, since: datetime, unguessable: str) -> str:
    """The owner of a lease, as the store has it; `unguessable` tells one flight of a process from another."""
    return f"{int(since.timestamp())}:{identity}:{unguessable}"


def holder_of(owner: str) -> Holder:
    """Who that is. Earlier versions wrote no moment, and a store without room for all of it has only the beginning."""
    moment, _, rest = owner.partition(":")
    if not (moment.isascii() and moment.isdigit() and len(moment) == _EPOCH_DIGITS):
        return Holder(_process(owner))
    return Holder(_process(rest), datetime.fromtimestamp(int(moment), UTC))


def _process(text: str) -> str:
    """Host and process id, without what follows."""
    return ":".join(text.split(":")[:2])


def next_look(waited: float, longest: float) -> float:
    """Seconds until the next look, after so many: whoever waits loses, on average, at most a quarter more."""
    return min(max(_SOONEST, waited / 4), longest)

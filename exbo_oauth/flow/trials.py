"""Who tries a refused token again: one for all, also among processes.

Within a process the others wait for the answer (`Try`, `Tried`). Among those who share the store, whoever tries leaves
a mark (see `marks`) until he has acted on the answer: a token that is dead is refused to one of them once more, not to
one of each process. Whoever finds a mark waits until it is gone, or a newer token is there, and goes on as if he had
not waited; nobody is held up for longer than a mark lasts without its owner, who may have been killed.

A mark is no lock: a request is under way meanwhile. That it cannot be left, or is gone too early, costs a request. A
host that refuses living tokens now and then, because one of its nodes is sick, gets no mark: each of its refusals is
about that one request.
"""

from attrs import frozen

from ..errors import StoreError
from ..masking import Secret
from ..stores.base import StoreKey
from .config import Config
from .effects import Hold, Identity, Later, Lease, Now, Program, Recall, Sleep, Tried, Try, Unguessable
from .entries import stored
from .evidence import Target, is_doubtful
from .holders import next_look
from .marks import unmarked

__all__ = ["BOUND", "PATIENCE", "Trial", "acted_upon", "ended", "trial"]

PATIENCE = 5.0
"""How long those of this process wait, in seconds, who were refused while another tries the token again."""

BOUND = 3.0
"""For how many seconds a mark lasts."""


@frozen
class Trial:
    """The right to try the token of `key` again at `host`; `owner` of the mark, empty if there is none."""

    key: StoreKey
    host: str
    owner: str = ""

    @property
    def mark_key(self) -> StoreKey:
        """Where the mark lies."""
        return StoreKey(f"{self.key.base_url}#tried at {self.host}", self.key.client_id, self.key.account)


def trial(config: Config, key: StoreKey, target: Target, wait: float | None) -> Program[Trial | None]:
    """Be the one who tries the token that this process knows; None if others were, or have replaced it meanwhile."""
    if not (yield from Try(key, target.host, PATIENCE)):
        return None
    ours = Trial(key, target.host)
    try:
        if not config.issues:
            return ours
        return (yield from _marked(config, ours, BOUND if wait is None else min(wait, BOUND)))
    except StoreError:
        return ours
    except GeneratorExit:
        raise
    except BaseException:
        yield from Tried(key, target.host)
        raise


def _marked(config: Config, ours: Trial, bound: float) -> Program[Trial | None]:
    """The right with a mark, or without one after others had theirs; None if the token was replaced."""
    entry = (yield from Recall(ours.key)).entry
    if entry is None or is_doubtful(entry, ours.host, (yield from Now())):
        return ours
    owner = f"{(yield from Identity())}:{(yield from Unguessable()).reveal()[:12]}"
    with_mark, waited = Trial(ours.key, ours.host, owner), 0.0
    while not (free := (yield from Hold(ours.mark_key, Lease(owner, BOUND)))) and waited < bound:
        pause = next_look(waited, 0.25)
        yield from Sleep(pause)
        waited += pause
        there = yield from stored(config, ours.key)
        if there is None or Secret(there.token.access_token) != Secret(entry.token.access_token):
            yield from Tried(ours.key, ours.host)
            return None
    if free and waited:
        yield from acted_upon(with_mark)  # all who waited go at once
    return with_mark if free and not waited else ours


def ended(over: Trial) -> Program[None]:
    """Let all others go on: there is no answer, or nothing follows from it."""
    yield from Tried(over.key, over.host)
    yield from acted_upon(over)


def acted_upon(over: Trial) -> Program[None]:
    """Let other processes go on: what follows from the answer is done."""
    if over.owner:
        mark = Lease(over.owner, BOUND)
        yield from Later(over.mark_key, over.owner, lambda: unmarked(over.mark_key, mark))

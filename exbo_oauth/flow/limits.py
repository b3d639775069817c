"""What the token endpoint asks for when it is asked too often, known to all who share the store.

A 429, or a 503, that names a time is not about one token: whoever of an application asks next, for whomever, gets the
same, and most servers count that against it. So who is told to wait leaves word of it in the store, and the others
raise what was said to him and send nothing, until the time is over. One of them asks then. A token that is issued takes
the word back.

Two things make up such a word, under a key of its own: what callers are told is in an `Entry`, whose "token" lives as
long as the limit; whether it still holds says a mark (see `marks`), by the store's clock, for those of the hosts may
be minutes apart. A limit holds for five minutes at most, whatever the server asks for. What names no time is no limit,
for nobody could say when it is over; nor is what is gone from the store, or cannot be read there.
"""

from datetime import datetime, timedelta
from math import ceil

from ..errors import RateLimitError, ServerError, StoreError
from ..models import AppToken
from ..stores.base import LIMIT_MARK, Entry, Issue, StoreKey
from .config import Config
from .effects import Identity, Lease, Load, Now, Program, Swap
from .entries import revision_of
from .marks import is_marked, marked, unmarked
from .needs import revision_after
from .retries import is_throttled

__all__ = ["LONGEST", "check_limit", "limit_key", "limited", "unlimited"]

LONGEST = 300.0

_OWNER = "limited"


def limit_key(config: Config) -> StoreKey:
    """Where the word of a limit lies. No account of anybody: it is the application's as a whole."""
    return StoreKey(f"{config.protocol.base_url}{LIMIT_MARK}", config.protocol.client_id)


def limited(config: Config, error: RateLimitError | ServerError) -> Program[None]:
    """Leave word of a limit, if this is one; that it fails is no harm."""
    key, now = limit_key(config), (yield from Now())
    if not is_throttled(error) or not error.retry_after:
        return
    seconds = min(error.retry_after, LONGEST)
    try:
        yield from marked(key, Lease(_OWNER, seconds))
        there = yield from Load(key)
        yield from Swap(key, revision_of(there), _word((yield from Identity()), there, error, now, seconds))
    except StoreError:
        return


def _word(
    identity: str, there: Entry | None, error: RateLimitError | ServerError, now: datetime, seconds: float
) -> Entry:
    """What is told of the limit. The "token" is none; that it lives so long is all that it says."""
    return Entry(
        token=AppToken(token_type="limit", access_token="none", expires_in=now + timedelta(seconds=seconds)),  # noqa: S106
        revision=revision_after(now, *(() if there is None else (there.revision,))),
        issued_by=identity,
        issued_at=now,
        history=(Issue(at=now, by=identity, why=str(error.status)),),
    )


def check_limit(config: Config, grant: str | None) -> Program[Entry | None]:
    """Raise what another was told, if the limit still holds; else what is left of an earlier one, if anything is."""
    key = limit_key(config)
    try:
        word = yield from Load(key)
        holds = word is not None and (yield from is_marked(key))
    except StoreError:
        return None
    if word is None or not holds:
        return word
    whole, now = word.token.expires_in - word.issued_at, (yield from Now())
    left = min(max(word.token.expires_in - now, timedelta(seconds=0.1)), whole)  # whatever that host's clock showed
    raise _as_told(word, now, left.total_seconds(), grant)


def _as_told(word: Entry, now: datetime, left: float, grant: str | None) -> RateLimitError | ServerError:
    issue = word.history[-1] if word.history else Issue(at=word.issued_at, by=word.issued_by)
    until = (now + timedelta(seconds=left)).strftime("%H:%M:%S")
    status = 503 if issue.why == "503" else 429
    said = "is not available" if status == 503 else "wants fewer requests"
    text = (
        f"the token endpoint {said}: it answered {status} to {word.issued_by}, and nobody who shares this store asks "
        f"again before {until} UTC, in {ceil(left)} s"
    )
    headers = {"retry-after": str(ceil(left))}
    if status == 503:
        return ServerError(text, status=status, headers=headers, grant=grant, retry_after=left)
    return RateLimitError(text, headers=headers, grant=grant, retry_after=left)


def unlimited(config: Config, word: Entry) -> Program[None]:
    """Take back what was said of a limit, for a token was issued."""
    key = limit_key(config)
    try:
        if (yield from Swap(key, word.revision, None)):
            yield from unmarked(key, Lease(_OWNER, 1.0))
    except StoreError:
        return

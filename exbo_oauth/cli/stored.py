"""What `exbo-oauth doctor` can see of the store: whether it opens, keeps what it is given, and can be read.

Never an advice to take another store: programs that go on with two of them end each other's tokens.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from ..errors import ConfigurationError, OAuthError, StoreError
from ..language import mark, tr, trn
from ..meaning import in_words
from ..stores.base import StoreKey, TokenStore
from ..stores.guard import SEALED, loaded, token_keys
from .findings import Finding, Level, parted
from .session import absent_file, accounts, address_of, opened_store, place_of
from .settings import Settings

__all__ = ["store_findings"]

_STAY = mark("Mend this one. Programs that go on with another store would end the tokens of those that use this one.")


def store_findings(settings: Settings) -> Iterator[Finding]:
    """Everything about the store; nothing is written but a lease of five seconds, on nobody's token."""
    if settings.misplaced("store") is not None:
        return
    try:
        path = absent_file(address_of(settings))
        if path is not None:
            yield _to_be_made(path)
            return
        with opened_store(settings) as store:
            yield from _opened(settings, store)
    except ConfigurationError as error:
        yield Finding("store", "problem", str(error), tr("Correct EXBO_STORE, EXBO_STORE_KEY or their flags."), error)
    except OAuthError as error:
        yield _failed("problem", error)


def _opened(settings: Settings, store: TokenStore) -> Iterator[Finding]:
    count, place = _users(settings, store), place_of(address_of(settings))
    risks: list[str] = getattr(store, "risks", list)()
    first = next(token_keys(store), None)
    entry = None if first is None or settings.text("store_key") else loaded(store, first)
    if entry is not None and entry.token.token_type == SEALED:
        cure = tr("Give it the key, to have the tokens tried, too: EXBO_STORE_KEY, or --store-key-file FILE.")
        yield Finding("store", "warning", tr("it opens, and its tokens are encrypted ({place})", place=place), cure)
    else:
        text = trn("it opens, {count} user signed in", "it opens, {count} users signed in", count)
        yield Finding("store", "ok", f"{text} ({place})")
    yield from _written(store)
    for risk in risks:
        text, _, cure = risk.partition(": ")
        yield Finding("store", "warning", text, f"{cure[0].upper()}{cure[1:]}.")


def _users(settings: Settings, store: TokenStore) -> int:
    """How many users of the application are signed in; of all, if it is not known which one is meant."""
    if settings.text("client_id"):
        try:
            return len(accounts(settings, store))
        except ConfigurationError:  # another setting's, which is told where it stands
            pass
    return sum(1 for key in token_keys(store) if key.account is not None)


def _written(store: TokenStore) -> Iterator[Finding]:
    """Whether something can be kept: a lease is taken, on what is not a token, and let go."""
    scratch, owner = StoreKey("https://doctor.invalid", "doctor", "doctor"), uuid4().hex
    try:
        store.acquire(scratch, owner, 5.0)
        store.release(scratch, owner)
    except StoreError as error:
        text = tr("tokens can be read, and not kept: {problem}", problem=in_words(error))
        cure = tr('That is fine for a program with issue="never"; one that renews tokens has to be able to write.')
        yield Finding("store", "warning", text, cure, error)


def _failed(level: Level, error: OAuthError) -> Finding:
    text, cure = parted(error)
    return Finding("store", level, text, cure or tr(_STAY), error)


def _can_be_written(folder: Path) -> bool:
    """By trying, with a file without a name: what permissions say is not all there is to it."""
    try:
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _to_be_made(path: Path) -> Finding:
    nearest = next(place for place in path.parents if place.exists())
    if _can_be_written(nearest):
        return Finding("store", "ok", tr("no token has been kept yet; the first one makes {path}", path=path))
    text = tr("{path} does not exist, and nothing can be written in {folder}", path=path, folder=nearest)
    cure = tr("Let this user write there, or set EXBO_STORE, and the same for every program.")
    return Finding("store", "problem", text, cure)

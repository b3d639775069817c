"""The store and the client that a command works with, made from settings and closed when it is done.

`held` answers from the store alone: no HTTP library is loaded for a token that is still good.
"""

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..language import tr
from ..masking import MASK, Secret
from ..meaning import in_words
from ..protocol.addresses import checked_base_url
from ..stores.address import StoreAddress
from ..stores.base import Entry, StoreKey, TokenStore
from ..stores.guard import usable
from ..stores.memory import MemoryTokenStore
from ..stores.urls import store_from_url
from .output import Failure
from .settings import Settings

if TYPE_CHECKING:
    from ..clients.sync import SyncOAuthClient

__all__ = [
    "absent_file",
    "accounts",
    "address_of",
    "client",
    "existing_store",
    "held",
    "key_of",
    "opened_store",
    "place_of",
    "the_account",
]

_NOT_SENT = "not-sent"  # what stands for a secret where none is needed


def address_of(settings: Settings) -> StoreAddress:
    """The configured store; raises `Failure` if a secret of the user's would go to one that they did not choose."""
    _check_trust(settings, "store")
    return StoreAddress(Secret(settings.store_url), Secret(settings.text("store_key")))


@contextmanager
def opened_store(settings: Settings, *, reads: bool = False) -> Generator[TokenStore]:
    """The configured store, opened. For one who only `reads` a file is not made."""
    address = address_of(settings)
    store = MemoryTokenStore() if reads and absent_file(address) is not None else address.opened()
    with closing(store):
        try:
            yield store
        except StoreError as error:
            # Where nothing is kept yet another place does no harm; elsewhere it would be a second store.
            if "store" in settings.found or absent_file(address) is None:
                raise
            raise Failure(
                tr(
                    "{problem}: set EXBO_STORE to another place, for all programs that share it",
                    problem=in_words(error),
                ),
                error,
            ) from None


@contextmanager
def existing_store(address: StoreAddress) -> Generator[TokenStore]:
    """A store that is there already, opened; a `Failure` otherwise."""
    path = absent_file(address)
    if path is not None:
        raise Failure(tr("there is no store at {path} yet", path=path))
    with closing(address.opened()) as store:
        yield store


@contextmanager
def client(
    settings: Settings, store: TokenStore, *, sends: bool = True, **options: Any
) -> "Generator[SyncOAuthClient]":
    """A client with the configured application; `options` are further arguments of its constructor.

    One that `sends` nothing needs no secret. Raises `Failure` if the secret would go to where somebody else says.
    """
    from ..clients.sync import SyncOAuthClient

    if sends:
        _check_trust(settings, "base_url", "store")
    secret = settings.client_secret.reveal() if sends else _NOT_SENT
    made: SyncOAuthClient = SyncOAuthClient(
        client_id=settings.client_id,
        client_secret=secret,
        base_url=settings.text("base_url"),
        redirect_uri=settings.text("redirect_uri"),
        scope=settings.text("scope"),
        store=store,
        **options,
    )
    with made:
        yield made


def absent_file(address: StoreAddress) -> Path | None:
    """The file of a SQLite store that does not exist yet, so that nothing is in it; to open it would make it."""
    path = getattr(store_from_url(address.url.reveal()), "path", None)
    if not isinstance(path, Path):
        return None
    try:
        path.stat()
    except FileNotFoundError:
        return None if path.with_name(f"{path.name}-wal").exists() else path
    except OSError:  # what cannot be looked at is the store's to tell
        return None
    return None


def place_of(address: StoreAddress) -> str:
    """Where a store is, as it may be shown: its file, or its URL without what may be a password."""
    url = address.url.reveal()
    path = getattr(store_from_url(url), "path", None)
    if isinstance(path, Path):
        return str(path)
    bare, _, options = url.partition("?")
    scheme, colon, rest = bare.partition(":")
    if "@" in options:  # which of the two is a password's cannot be told
        return f"{scheme}{colon}{MASK}"
    return f"{scheme}{colon}//{MASK}@{rest.rpartition('@')[2]}" if "@" in rest else bare


def _check_trust(settings: Settings, *targets: str) -> None:
    problem = settings.misplaced(*targets)
    if problem is not None:
        raise Failure(problem)


def key_of(settings: Settings, account: str | None) -> StoreKey:
    """Where the token of an account, or of the application, is stored."""
    return StoreKey(checked_base_url(settings.text("base_url")), settings.client_id, account)


def held(settings: Settings, store: TokenStore, account: str | None) -> Entry | None:
    """What the store has of an account, or of the application."""
    return usable(store, key_of(settings, account))


def accounts(settings: Settings, store: TokenStore) -> list[str]:
    """The accounts of this application that the store holds a token of, sorted."""
    with client(settings, store, sends=False) as made:
        return made.accounts()


def the_account(settings: Settings, store: TokenStore, account: str | None) -> str:
    """The account that is meant: the named one, or the only one there is."""
    if account is not None:
        return account
    known = accounts(settings, store)
    if not known:
        raise Failure(tr("nobody is signed in: run exbo-oauth login"))
    if len(known) > 1:
        import typer

        named = tr(" or ").join(f"--user {name}" for name in known)
        raise typer.BadParameter(tr("several users are signed in, say which: {named}", named=named))
    return known[0]

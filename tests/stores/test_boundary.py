"""An error that leaves a store's method brings no variable of ours along, whatever lies behind the store."""

import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

import exbo_oauth
from exbo_oauth import ConfigurationError, Entry, MemoryTokenStore, SQLiteTokenStore, StoreError, TokenStore
from exbo_oauth.stores import (
    EncryptedTokenStore,
    KeyringTokenStore,
    Passphrase,
    RedisTokenStore,
    SQLAlchemyTokenStore,
    copy,
    store_from_url,
)
from exbo_oauth.testing.store_suite import APP, USER, user_entry

PACKAGE = Path(exbo_oauth.__file__).parent
SECRETS = ("secret-access-token", "def50200", "hunter2", "correct horse")


class Unwilling(MemoryTokenStore):
    """A store of somebody else's that quotes whatever it is given."""

    def _raise(self, *given: object) -> None:
        entries = [entry.to_dict() for entry in given if isinstance(entry, Entry)]
        raise RuntimeError(f"failed on {entries}")

    load = swap = acquire = release = keys = close = _raise  # type: ignore[assignment]


def a_file_that_is_no_store(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.db"
    path.write_bytes(b"def50200" * 1024)
    path.chmod(0o600)
    return path


def a_port_where_nobody_listens() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


MAKERS: dict[str, Callable[[Path], TokenStore]] = {
    "SQLite": lambda tmp_path: SQLiteTokenStore(a_file_that_is_no_store(tmp_path)),
    "encrypted": lambda tmp_path: EncryptedTokenStore(Unwilling(), Passphrase("correct horse battery")),
    "Redis": lambda tmp_path: RedisTokenStore(f"redis://:hunter2@127.0.0.1:{a_port_where_nobody_listens()}/0"),
    "SQLAlchemy": lambda tmp_path: SQLAlchemyTokenStore(f"sqlite:///{a_file_that_is_no_store(tmp_path)}"),
    "keyring": lambda tmp_path: KeyringTokenStore("tests", directory=tmp_path),
}
CALLS: dict[str, Callable[[TokenStore], object]] = {
    "load": lambda store: store.load(USER),
    "swap": lambda store: store.swap(USER, None, user_entry(2, "secret-access-token")),
    "delete": lambda store: store.swap(USER, 1, None),
    "acquire": lambda store: store.acquire(APP, "me", 60),
    "keys": lambda store: list(store.keys()),
}
# What is not there is not there, whether or not there is a keyring.
CASES = [(store, call) for store in MAKERS for call in CALLS if store != "keyring" or call not in ("load", "keys")]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def variables_of_ours(error: BaseException) -> dict[str, object]:
    """What the frames of the package hold, those of the boundary itself apart."""
    return {
        f"{frame.f_code.co_qualname}: {name}": value
        for link in chain(error)
        for frame, _ in traceback.walk_tb(link.__traceback__)
        if PACKAGE in Path(frame.f_code.co_filename).parents and Path(frame.f_code.co_filename).stem != "boundary"
        for name, value in frame.f_locals.items()
    }


def said(error: BaseException) -> str:
    return "".join(f"{link!r} {vars(link)}" for link in chain(error))


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize(("store", "call"), CASES)
def test_a_store_that_fails_brings_no_variable_of_ours_along(tmp_path: Path, store: str, call: str) -> None:
    made = MAKERS[store](tmp_path)
    with pytest.raises(StoreError) as caught:
        CALLS[call](made)
    if store == "SQLAlchemy":  # whatever is behind the encrypted one does not even close
        made.close()
    assert variables_of_ours(caught.value) == {}
    assert [secret for secret in SECRETS if secret in said(caught.value)] == []


REFUSED: dict[str, Callable[[], object]] = {
    "a URL": lambda: store_from_url("redis://:hunter2@[cache/0"),
    "a URL of a database": lambda: SQLAlchemyTokenStore("postgresql://ivan:hunter2@host:port/tokens"),
    "a client": lambda: RedisTokenStore(["redis://:hunter2@cache/0"]),
    "a passphrase": lambda: Passphrase("hunter2"),
    "a key": lambda: EncryptedTokenStore(MemoryTokenStore(), "hunter2"),
    "a store to copy from": lambda: copy(["hunter2"], MemoryTokenStore()),  # type: ignore[arg-type]
    "an entry": lambda: Entry.from_dict({"kind": "user", "token": {"access_token": "hunter2"}}),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_shows_in_no_frame_of_ours(call: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert variables_of_ours(caught.value) == {}
    assert "hunter2" not in said(caught.value)

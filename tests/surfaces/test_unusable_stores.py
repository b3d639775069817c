"""A store that cannot take a token is found out before a user is sent to the browser, and before a code is spent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import MemoryTokenStore, SQLiteTokenStore, StoreError, StoreKey, TokenStore
from exbo_oauth.stores import EncryptedTokenStore, RedisTokenStore, SQLAlchemyTokenStore
from exbo_oauth.testing import FakeExbo
from tests.free_ports import free_port

from .conftest import Surface

KEY = EncryptedTokenStore.new_key()


def in_place_of_notes(folder: Path) -> TokenStore:
    (folder / "tokens.db").write_text("my notes" * 1000)
    (folder / "tokens.db").chmod(0o600)
    return SQLiteTokenStore(folder / "tokens.db")


def in_no_directory(folder: Path) -> TokenStore:
    (folder / "file").touch()
    return SQLiteTokenStore(folder / "file" / "tokens.db")


UNUSABLE: dict[str, Callable[[Path], TokenStore]] = {
    "a file that is not a store": in_place_of_notes,
    "a directory that cannot be made": in_no_directory,
    "a Redis that is away": lambda _: RedisTokenStore("redis://127.0.0.1:1/0"),
    "a database that is away": lambda _: SQLAlchemyTokenStore("postgresql+psycopg://127.0.0.1:1/tokens"),
    "encrypted, not a store": lambda folder: EncryptedTokenStore(in_place_of_notes(folder), KEY),
}

unusable = pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)


@unusable
def test_no_code_is_spent(surface: Surface, served: FakeExbo, tmp_path: Path, make: Callable[[Path], Any]) -> None:
    attempt = surface.raw_client(served).begin_login()
    callback, store = served.authorize(attempt.url), make(tmp_path)

    async def finish(oauth: Any) -> Any:
        return await oauth.finish_login(attempt, callback, account="ivan")

    with pytest.raises(StoreError):
        surface.call(surface.client(served, store=store), finish)
    store.close()
    assert served.issued == []
    # And with another store the same attempt still serves.
    token = surface.call(surface.client(served, store=SQLiteTokenStore(tmp_path / "good.db")), finish)
    assert served.is_live(token)


@pytest.mark.parametrize("name", ["load", "swap", "acquire", "keys"])
def test_a_store_whose_method_cannot_even_be_looked_up_is_an_error_of_ours(
    surface: Surface, served: FakeExbo, name: str
) -> None:
    def unreachable(_: Any) -> Any:
        raise OSError("not connected")

    store: Any = type(
        "Lazy", (MemoryTokenStore,), {"blocking": property(unreachable), "holder": property(unreachable)}
    )()

    async def scenario(oauth: Any) -> None:
        setattr(type(store), name, property(unreachable))
        with pytest.raises(StoreError, match="the token store failed with OSError"):
            await (oauth.accounts() if name == "keys" else oauth.ensure_app_token())

    surface.call(surface.client(served, store=store, issue="never" if name == "load" else "auto"), scenario)


class DriverError(Exception):
    """Of the driver that a caller's own store stands on."""


def test_a_store_that_is_away_when_asked_for_a_lease_is_asked_for_nothing_more(
    surface: Surface, served: FakeExbo
) -> None:
    class Away(MemoryTokenStore):
        released = 0

        def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
            raise StoreError("the store is away")

        def release(self, key: StoreKey, owner: str) -> None:
            self.released += 1

    store = Away()

    async def scenario(oauth: Any) -> None:
        with pytest.raises(StoreError, match="the store is away"):
            await oauth.ensure_app_token()

    surface.call(surface.client(served, store=store), scenario)
    assert store.released == 0
    assert served.issued == []


def test_a_store_of_the_callers_that_raises_when_asked_for_a_lease_disturbs_no_other_holder(
    surface: Surface, served: FakeExbo
) -> None:
    class Mine(MemoryTokenStore):
        raises = True

        def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
            taken = super().acquire(key, owner, ttl)
            if self.raises:
                raise DriverError("connection reset")
            return taken

        def release(self, key: StoreKey, owner: str) -> None:
            super().release(key, owner)
            if self.raises:
                raise DriverError("not connected")

    store, key = Mine(), StoreKey(served.base_url, str(served.app.client_id))
    with pytest.raises(DriverError):
        store.acquire(key, "another process", 60)

    async def scenario(oauth: Any) -> None:
        with pytest.raises(StoreError, match="the token store failed with DriverError: connection reset"):
            await oauth.ensure_app_token()
        assert store.holder(key) == "another process"
        store.raises = False
        store.release(key, "another process")
        assert served.is_live(await oauth.ensure_app_token())

    surface.call(surface.client(served, store=store), scenario)
    assert len(served.issued) == 1


@unusable
def test_no_browser_is_opened(
    surface: Surface,
    served: FakeExbo,
    tmp_path: Path,
    make: Callable[[Path], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = make(tmp_path)

    async def login(oauth: Any) -> None:
        await oauth.login("ivan", open_browser=False, timeout=1)

    with pytest.raises(StoreError):
        surface.call(surface.client(served, store=store, redirect_uri=f"http://localhost:{free_port()}/back"), login)
    store.close()
    assert "authorize" not in "".join(capsys.readouterr())


def test_what_is_not_to_be_saved_asks_no_store(surface: Surface, served: FakeExbo, tmp_path: Path) -> None:
    attempt = surface.raw_client(served).begin_login()

    async def finish(oauth: Any) -> Any:
        return await oauth.finish_login(attempt, served.authorize(attempt.url))

    token = surface.call(surface.client(served, store=in_place_of_notes(tmp_path)), finish)
    assert served.is_live(token)

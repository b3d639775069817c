"""Who has a lease, where a store can tell."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import MemoryTokenStore, SQLiteTokenStore
from exbo_oauth.stores import EncryptedTokenStore, RedisTokenStore
from exbo_oauth.testing.store_suite import APP, USER, eventually

from .servers import redis_server


@pytest.fixture(params=["memory", "sqlite", "redis", "encrypted"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "redis":
        with redis_server(tmp_path / "redis") as server:
            made: Any = RedisTokenStore(server.url)
            yield made
            made.close()
        return
    made = MemoryTokenStore() if request.param == "memory" else SQLiteTokenStore(tmp_path / "tokens.db")
    made = EncryptedTokenStore(made, EncryptedTokenStore.new_key()) if request.param == "encrypted" else made
    yield made
    made.close()


def test_the_holder_is_who_has_the_lease_and_nobody_afterwards(store: Any) -> None:
    assert store.holder(APP) is None
    assert store.acquire(APP, "web-2:311:0123", 60)
    assert (store.holder(APP), store.holder(USER)) == ("web-2:311:0123", None)
    store.release(APP, "web-2:311:0123")
    assert store.holder(APP) is None


def test_a_lease_that_has_lapsed_is_nobodys(store: Any) -> None:
    assert store.acquire(APP, "web-2:311:0123", 0.05)
    assert eventually(lambda: store.holder(APP) is None)


def test_what_the_inner_store_does_not_know_an_encrypted_one_does_not_tell() -> None:
    class Silent(MemoryTokenStore):
        holder = None  # type: ignore[assignment]  # as a store of the user's own, which need not have it

    store = EncryptedTokenStore(Silent(), EncryptedTokenStore.new_key())
    assert store.acquire(APP, "web-2:311:0123", 60)
    assert store.holder(APP) is None
    assert store.risks() == []

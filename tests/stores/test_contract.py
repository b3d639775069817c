"""Our own stores on the suite that users run theirs on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exbo_oauth import Entry, MemoryTokenStore, SQLiteTokenStore, StoreError, StoreKey
from exbo_oauth.testing.store_suite import StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryTokenStore:
        return MemoryTokenStore()


class TestSQLite(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLiteTokenStore]:
        store = SQLiteTokenStore(tmp_path / "tokens.db")
        yield store
        store.close()

    @pytest.fixture
    def twin(self, store: SQLiteTokenStore) -> Iterator[SQLiteTokenStore]:
        twin = SQLiteTokenStore(store.path)
        yield twin
        twin.close()


class Narrow(MemoryTokenStore):
    """A store as somebody else may write it: it has no room for long accounts, and keeps to itself who has a lease."""

    holder = None  # type: ignore[assignment]

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        if len(key.account or "") > 10_000:
            raise StoreError("the account is too long")
        return super().swap(key, expected, entry)


class TestNarrow(StoreContract):
    @pytest.fixture
    def store(self) -> Narrow:
        return Narrow()

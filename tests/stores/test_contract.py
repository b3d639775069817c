"""Our own stores on the suite that users run theirs on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exbo_oauth import MemoryTokenStore, SQLiteTokenStore
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

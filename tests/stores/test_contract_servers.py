"""The stores that stand on somebody else's server, on the same suite as the others."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import pytest
import redis as redis_library
import sqlalchemy
from keyrings.alt.file import PlaintextKeyring

from exbo_oauth.stores import (
    EncryptedTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    RedisTokenStore,
    SQLAlchemyTokenStore,
    SQLiteTokenStore,
)
from exbo_oauth.testing.store_suite import StoreContract

from .servers import RedisServer

_numbers = itertools.count()


class TestRedis(StoreContract):
    @pytest.fixture
    def store(self, redis: RedisServer) -> Iterator[RedisTokenStore]:
        store = RedisTokenStore(redis.url, prefix=f"test{next(_numbers)}*?[x]")
        yield store
        store.close()

    @pytest.fixture
    def twin(self, store: RedisTokenStore, redis: RedisServer) -> Iterator[RedisTokenStore]:
        with redis_library.Redis(port=redis.port, decode_responses=True) as client:
            yield RedisTokenStore(client, prefix=store.prefix)


class TestPostgreSQL(StoreContract):
    @pytest.fixture
    def store(self, postgres: str) -> Iterator[SQLAlchemyTokenStore]:
        store = SQLAlchemyTokenStore(postgres, prefix=f"test{next(_numbers)}")
        yield store
        store.close()

    @pytest.fixture
    def twin(self, store: SQLAlchemyTokenStore, postgres: str) -> Iterator[SQLAlchemyTokenStore]:
        engine = sqlalchemy.create_engine(postgres)
        yield SQLAlchemyTokenStore(engine, prefix=store.prefix)
        engine.dispose()


class TestSQLiteThroughSQLAlchemy(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLAlchemyTokenStore]:
        store = SQLAlchemyTokenStore(f"sqlite:///{tmp_path / 'tokens.db'}")
        yield store
        store.close()

    @pytest.fixture
    def twin(self, store: SQLAlchemyTokenStore, tmp_path: Path) -> Iterator[SQLAlchemyTokenStore]:
        twin = SQLAlchemyTokenStore(f"sqlite:///{tmp_path / 'tokens.db'}")
        yield twin
        twin.close()


@pytest.fixture
def file_keyring(tmp_path: Path) -> Iterator[keyring.backend.KeyringBackend]:
    before, backend = keyring.get_keyring(), PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.mark.usefixtures("file_keyring")
class TestKeyring(StoreContract):
    threads = 4  # every step rewrites the whole file of this backend
    many = 10

    @pytest.fixture
    def store(self, tmp_path: Path) -> KeyringTokenStore:
        return KeyringTokenStore("tests", directory=tmp_path / "notes")

    @pytest.fixture
    def twin(self, tmp_path: Path) -> KeyringTokenStore:
        return KeyringTokenStore("tests", directory=tmp_path / "notes")


class TestEncryptedMemory(StoreContract):
    @pytest.fixture
    def store(self) -> EncryptedTokenStore:
        return EncryptedTokenStore(MemoryTokenStore(), EncryptedTokenStore.new_key())


class TestEncryptedSQLite(StoreContract):
    KEY = EncryptedTokenStore.new_key()

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EncryptedTokenStore]:
        store = EncryptedTokenStore(SQLiteTokenStore(tmp_path / "tokens.db"), self.KEY)
        yield store
        store.close()

    @pytest.fixture
    def twin(self, tmp_path: Path, store: EncryptedTokenStore) -> Iterator[EncryptedTokenStore]:
        twin = EncryptedTokenStore(SQLiteTokenStore(tmp_path / "tokens.db"), self.KEY)
        yield twin
        twin.close()

"""The stores that stand on somebody else's server, on the same suite as the others."""

import gc
import itertools
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import keyring
import keyring.backend
import pytest
import redis as redis_library
import sqlalchemy
from filelock import FileLock, Timeout
from keyring.backends import SecretService
from keyring.errors import KeyringLocked, PasswordDeleteError
from keyrings.alt.file import PlaintextKeyring

from exbo_oauth import StoreError
from exbo_oauth.stores import (
    EncryptedTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    RedisTokenStore,
    SQLAlchemyTokenStore,
    SQLiteTokenStore,
)
from exbo_oauth.testing.store_suite import APP, USER, StoreContract, app_entry, user_entry

from . import earlier
from .processes import finished, start
from .servers import GnomeKeyring, RedisServer

T = TypeVar("T")

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


class OnDatabaseServer(StoreContract):
    """The fixture `url` says which."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[SQLAlchemyTokenStore]:
        store = SQLAlchemyTokenStore(url, prefix=f"test{next(_numbers)}")
        yield store
        store.close()

    @pytest.fixture
    def twin(self, store: SQLAlchemyTokenStore, url: str) -> Iterator[SQLAlchemyTokenStore]:
        engine = sqlalchemy.create_engine(url)
        yield SQLAlchemyTokenStore(engine, prefix=store.prefix)
        engine.dispose()


class TestPostgreSQL(OnDatabaseServer):
    @pytest.fixture
    def url(self, postgres: str) -> str:
        return postgres


class TestMariaDB(OnDatabaseServer):
    @pytest.fixture
    def url(self, mariadb: str) -> str:
        return mariadb


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
    ALLOWED = "keyrings.alt.file.PlaintextKeyring"

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[KeyringTokenStore]:
        store = KeyringTokenStore("tests", directory=tmp_path / "notes", allow=self.ALLOWED)
        yield store
        store.close()

    @pytest.fixture
    def twin(self, tmp_path: Path) -> Iterator[KeyringTokenStore]:
        twin = KeyringTokenStore("tests", directory=tmp_path / "notes", allow=self.ALLOWED)
        yield twin
        twin.close()


class Secretive(keyring.backend.KeyringBackend):
    """The Secret Service, asked a second time where the daemon crashed.

    It does so once in some thousands of connections, when two come and go at once: see `keyring_key`, which lets the
    calls of a process take turns. Those of several processes meet all the same.
    """

    priority = 5.0

    def __init__(self, desktop: GnomeKeyring) -> None:
        self._desktop, self._service = desktop, SecretService.Keyring()

    def get_password(self, service: str, username: str) -> str | None:
        return self._asked(lambda: self._service.get_password(service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._asked(lambda: self._service.set_password(service, username, password))

    def delete_password(self, service: str, username: str) -> None:
        self._asked(lambda: self._service.delete_password(service, username))

    def _asked(self, call: Callable[[], T]) -> T:
        while True:
            seen = self._desktop.starts
            try:
                return call()
            except (PasswordDeleteError, KeyringLocked):
                raise
            except Exception:
                if not self._desktop.restarted(seen):
                    raise
            gc.collect()  # the complaint of the socket belongs to this test


def undisturbed(desktop: GnomeKeyring, attempt: Callable[[], T]) -> T:
    """What `attempt` gives, made anew where the daemon crashed: see `Secretive`."""
    while True:
        try:
            return attempt()
        except Exception:
            if not desktop.crashed:
                raise
            desktop.start()


@pytest.fixture
def desktop(gnome: GnomeKeyring, monkeypatch: pytest.MonkeyPatch) -> Iterator[GnomeKeyring]:
    """The desktop's keyring as the one of this process; the bus is the one of its children, too."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", gnome.address)
    before = keyring.get_keyring()
    keyring.set_keyring(Secretive(gnome))
    yield gnome
    keyring.set_keyring(before)


# keyring closes no connection where it fails, and the garbage collector complains of the socket.
leaves_a_socket = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"
)


@leaves_a_socket
class TestDesktopKeyring(StoreContract):
    threads = 2  # every call that asks for the key is a connection
    many = 10

    @pytest.fixture
    def store(self, tmp_path: Path, desktop: GnomeKeyring) -> Iterator[KeyringTokenStore]:
        store = KeyringTokenStore(tmp_path.name, directory=tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def twin(self, store: KeyringTokenStore, tmp_path: Path) -> Iterator[KeyringTokenStore]:
        twin = KeyringTokenStore(store.service, directory=tmp_path)
        yield twin
        twin.close()

    def test_the_keyring_has_one_secret(self, store: KeyringTokenStore, desktop: GnomeKeyring) -> None:
        for revision in range(1, 4):
            store.swap(USER, revision - 1 or None, user_entry(revision, "x" * 9000))
        store.swap(APP, None, app_entry(1))
        assert desktop.count(store.service) == 1

    def test_several_processes_lose_nothing(self, desktop: GnomeKeyring, tmp_path: Path) -> None:
        keyring.set_keyring(SecretService.Keyring())

        def written() -> KeyringTokenStore:
            store = KeyringTokenStore(f"{tmp_path.name} {next(_numbers)}", directory=tmp_path)
            store.swap(APP, None, app_entry(1))
            workers = [start("write_secrets", tmp_path, f"{store.service}/{name}") for name in "abc"]
            assert [finished(worker) for worker in workers] == ["written\n"] * 3
            return store

        store = undisturbed(desktop, written)
        assert store.load(APP) == app_entry(1 + 3 * 3)
        assert {key.account: store.load(key) for key in set(store.keys()) - {APP}} == {
            f"{name}-{number}": user_entry(1) for name in "abc" for number in range(3)
        }
        assert desktop.count(store.service) == 1
        store.close()

    def test_no_other_process_asks_meanwhile(
        self, desktop: GnomeKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free, get, another = list[bool](), SecretService.Keyring.get_password, FileLock(tmp_path / "asking.lock", 0)

        def spied(backend: SecretService.Keyring, service: str, username: str) -> str | None:
            try:
                with another:
                    free.append(True)
            except Timeout:
                free.append(False)
            return get(backend, service, username)

        monkeypatch.setattr(SecretService.Keyring, "get_password", spied)
        keyring.set_keyring(SecretService.Keyring())

        def asked() -> KeyringTokenStore:
            store = KeyringTokenStore(f"{tmp_path.name} {next(_numbers)}", directory=tmp_path)
            assert store.swap(APP, None, app_entry(1))
            return store

        undisturbed(desktop, asked).close()
        assert set(free) == {False}

    @pytest.mark.parametrize("obstacle", ["busy for long", "no file"])
    def test_no_call_depends_on_those_of_others(
        self, desktop: GnomeKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
    ) -> None:
        monkeypatch.setattr(sys.modules["exbo_oauth.stores.keyring_key"], "_COURTESY", 0.05)
        keyring.set_keyring(SecretService.Keyring())

        def written() -> KeyringTokenStore:
            store = KeyringTokenStore(f"{tmp_path.name} {next(_numbers)}", directory=tmp_path)
            assert store.swap(APP, None, app_entry(1))
            assert store.load(APP) == app_entry(1)
            return store

        lock = FileLock(tmp_path / "asking.lock", is_singleton=False)
        if obstacle == "no file":
            Path(lock.lock_file).mkdir()
        else:
            lock.acquire()
        undisturbed(desktop, written).close()
        lock.release()

    def test_what_an_earlier_version_kept_is_taken_over(self, desktop: GnomeKeyring, tmp_path: Path) -> None:
        backend = SecretService.Keyring()
        keyring.set_keyring(backend)

        def taken_over() -> Path:
            directory = tmp_path / str(next(_numbers))
            earlier.restore("whole", directory, backend)
            workers = [start("take_over_from_the_desktop", directory, number) for number in range(2)]
            assert [finished(worker) for worker in workers] == ["3\n"] * 2
            return directory

        directory = undisturbed(desktop, taken_over)
        store = KeyringTokenStore(directory=directory)
        entries = {key: store.load(key) for key in store.keys()}  # noqa: SIM118  # a store is not a dict
        found = {key: (entry.revision, entry.token.access_token) for key, entry in entries.items() if entry}
        assert found == earlier.HELD["whole"]
        assert desktop.count(store.service) == 1
        assert [path.name for path in directory.glob("*/*.json")] == ["key.json"]
        store.close()

    def test_a_dead_daemon_is_an_error_and_loses_nothing(self, store: KeyringTokenStore, desktop: GnomeKeyring) -> None:
        store.swap(USER, None, user_entry(1))
        desktop.kill()
        try:
            refuses(store, r"cannot be reached \(InitError\).*use SQLiteTokenStore")
            assert list(store.keys()) == [USER]
        finally:
            desktop.start()
        assert store.load(USER) == user_entry(1)

    def test_a_daemon_that_says_nothing_is_not_waited_for_without_end(
        self, store: KeyringTokenStore, desktop: GnomeKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.swap(USER, None, user_entry(1))
        with monkeypatch.context() as hurry:
            hurry.setattr(sys.modules["exbo_oauth.stores.keyring_key"], "_PATIENCE", 0.5)
            hurried = KeyringTokenStore(store.service, directory=tmp_path)
            desktop.send(signal.SIGSTOP)
            try:
                refuses(hurried, "gave no answer within 0.5 s")
                assert list(hurried.keys()) == [USER]
            finally:
                desktop.send(signal.SIGCONT)
            hurried.close()
        assert store.load(USER) == user_entry(1)

    def test_a_locked_keyring_is_an_error_and_loses_nothing(
        self, store: KeyringTokenStore, desktop: GnomeKeyring
    ) -> None:
        store.swap(USER, None, user_entry(1))
        with desktop.collection() as collection:
            collection.lock()
        try:
            refuses(store, "the keyring is locked: unlock it")
            assert list(store.keys()) == [USER]
        finally:
            desktop.kill()
            desktop.start()
        assert store.load(USER) == user_entry(1)


def refuses(store: KeyringTokenStore, why: str) -> None:
    """All that needs the keyring itself fails; a lease, too, for else a token would be issued that nobody can keep."""
    for call in (
        lambda: store.load(USER),
        lambda: store.swap(USER, 1, user_entry(2)),
        lambda: store.swap(APP, None, app_entry(1)),
        lambda: store.acquire(APP, "me", 60),
    ):
        with pytest.raises(StoreError, match=why):
            call()
    gc.collect()  # the complaints of the sockets belong to this test


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

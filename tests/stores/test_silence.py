"""Servers that take what they are sent and say nothing: locked, stopped, or behind a pooler that hangs.

Every call of a store comes back all the same, with an error that says so, and what it could not do is not done later.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
import redis as redis_library
import sqlalchemy as sa

from exbo_oauth import StoreError, StoreKey, TokenStore
from exbo_oauth.stores import RedisTokenStore, SQLAlchemyTokenStore
from exbo_oauth.stores.patience import Impatient
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

from .leaking import leaks
from .servers import RedisServer, until
from .wires import Wire, wire

_numbers = itertools.count()

LONG = 120.0  # for the test, not for the store: what hangs would do so for ever
CALLS: dict[str, Callable[[TokenStore], object]] = {
    "load": lambda store: store.load(USER),
    "swap": lambda store: store.swap(USER, 1, user_entry(2, "secret-access-token")),
    "delete": lambda store: store.swap(APP, 1, None),
    "acquire": lambda store: store.acquire(USER, "me", 60),
    "release": lambda store: store.release(USER, "another"),
    "keys": lambda store: list(store.keys()),
}
LOCKS = {
    "postgresql": "LOCK TABLE {0}_tokens, {0}_leases IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES {0}_tokens WRITE, {0}_leases WRITE",
}


@pytest.fixture
def prefix() -> str:
    return f"hush{next(_numbers)}"


@pytest.fixture(params=["postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def lead(database: str) -> Iterator[tuple[Wire, str]]:
    """A wire to the database, and the URL of its other end."""
    url, query = sa.make_url(database), parse_qs(urlsplit(database).query)
    if url.get_backend_name() == "mysql":
        with wire(query["unix_socket"][0]) as passing:
            yield passing, f"mysql+pymysql://root@127.0.0.1:{passing.port}/tokens"
    else:
        folder = query.get("host", [None])[0]
        with wire(url.port or 5432 if folder is None else f"{folder}/.s.PGSQL.5432") as passing:
            address = f"{url.username or 'postgres'}@127.0.0.1:{passing.port}/{url.database}"
            yield passing, f"postgresql+psycopg://{address}?sslmode=disable&gssencmode=disable"


@contextmanager
def made(url: str, prefix: str) -> Iterator[list[SQLAlchemyTokenStore]]:
    """Stores with connections that were used before: one on a URL, and one on an engine of the caller's."""
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=8)
    ours, theirs = SQLAlchemyTokenStore(url, prefix=prefix), SQLAlchemyTokenStore(engine, prefix=prefix)
    ours.swap(USER, None, user_entry(1))
    theirs.swap(APP, None, app_entry(1))
    try:
        yield [ours, theirs]
    finally:
        ours.close()
        limited = theirs._limited
        assert limited is not None
        until(lambda: not limited.hanging(), "a call never came back")
        engine.dispose()


def all_fail(*stores: TokenStore) -> None:
    """Every call comes back with an error, while the others do."""
    with ThreadPoolExecutor(len(CALLS) * len(stores)) as pool:
        outcomes = {(store, name): pool.submit(call, store) for name, call in CALLS.items() for store in stores}
        for which, outcome in outcomes.items():
            error = outcome.exception(LONG)
            assert isinstance(error, StoreError), which
            assert not leaks(error, "secret-access-token", "def50200", "hunter2")


@contextmanager
def locked(url: str, prefix: str) -> Iterator[None]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(LOCKS[engine.dialect.name].format(prefix))
        yield
        connection.rollback()
        if engine.dialect.name == "mysql":
            connection.exec_driver_sql("UNLOCK TABLES")
    engine.dispose()


def test_a_locked_table_holds_nobody_up_for_ever(database: str, prefix: str) -> None:
    with made(database, prefix) as stores:
        with locked(database, prefix):
            all_fail(*stores)
        assert stores[0].acquire(StoreKey("https://exbo.net/oauth", "59", "olga"), "me", 60)
        # What our own store had given up was not done later; what the caller's engine waits for is up to the caller.
        assert stores[0].load(APP) in (app_entry(1), None)


def test_what_was_given_up_on_a_locked_table_is_not_done_later(database: str, prefix: str) -> None:
    with made(database, prefix) as (store, _):
        with locked(database, prefix), pytest.raises(StoreError):
            store.swap(USER, 1, user_entry(2))
        assert store.load(USER) == user_entry(1)


def test_a_pooler_that_hangs_holds_nobody_up_for_ever(lead: tuple[Wire, str], prefix: str) -> None:
    passing, url = lead
    never_connected = SQLAlchemyTokenStore(url.replace("@", ":hunter2@"), prefix=prefix)
    with made(url, prefix) as stores:
        with passing.silent():
            all_fail(never_connected, *stores)
        assert all(store.load(USER) is not None for store in stores)
    never_connected.close()
    # And no thread of ours stays once nothing is waited for.
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "exbo-oauth"], "a thread stays")


def test_a_redis_that_is_stopped_holds_nobody_up_for_ever(redis: RedisServer, prefix: str) -> None:
    with redis_library.Redis(port=redis.port) as client:
        stores = [RedisTokenStore(redis.url, prefix=prefix), RedisTokenStore(client, prefix=prefix)]
        stores[0].swap(USER, None, user_entry(1))
        redis.pause()
        try:
            all_fail(*stores)
        finally:
            redis.resume()
        assert all(store.load(USER) is not None for store in stores)
        stores[0].close()
        until(lambda: not stores[1]._limited.hanging(), "a call never came back")


def test_of_calls_that_hang_there_are_not_more_and_more() -> None:
    gate, begun = threading.Event(), []

    def hang() -> None:
        begun.append(threading.get_ident())
        gate.wait()

    limited = Impatient()
    with ThreadPoolExecutor(50) as pool:
        outcomes = [pool.submit(limited, hang) for _ in range(50)]
        assert all(isinstance(outcome.exception(LONG), StoreError) for outcome in outcomes)
        assert len(begun) == 50  # these were under way together
        with pytest.raises(StoreError, match="20 calls hang"):
            limited(hang)
        assert len(begun) == 50
    gate.set()
    until(lambda: not limited.hanging(), "a call that came back still counts")
    assert limited(lambda: 7) == 7

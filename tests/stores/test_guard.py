"""What is asked of any store on a client's behalf."""

import gc
import itertools
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keyring
import pytest
import redis as redis_library
import sqlalchemy
from attrs import evolve

from exbo_oauth import Entry, MemoryTokenStore, SQLiteTokenStore, StoreError, StoreKey, TokenStore
from exbo_oauth.environment import install_command
from exbo_oauth.stores import KeyringTokenStore, RedisTokenStore, SQLAlchemyTokenStore
from exbo_oauth.stores.base import LIMIT_MARK
from exbo_oauth.stores.guard import (
    SEALED,
    each_key,
    guarded,
    guarded_keys,
    holder,
    is_blocking,
    loaded,
    method,
    missing,
    removed,
    replaced,
    token_keys,
    usable,
)
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

from .backends import Desktop
from .leaking import leaks
from .servers import RedisServer

_numbers = itertools.count()


class Busy(MemoryTokenStore):
    """Somebody writes right after each of our looks, as long as there are entries left."""

    def __init__(self, *entries: Entry) -> None:
        super().__init__()
        self.to_come = list(entries)

    def load(self, key: StoreKey) -> Entry | None:
        seen = super().load(key)
        if self.to_come:
            super().swap(key, None if seen is None else seen.revision, self.to_come.pop(0))
        return seen


def test_what_is_removed_is_whatever_is_there_and_nothing_else() -> None:
    store = MemoryTokenStore()
    store.swap(APP, None, app_entry(5))
    store.swap(USER, None, user_entry(7))
    assert removed(store, USER) == 7
    assert removed(store, USER) is None
    assert list(store.keys()) == [APP]


def test_removing_outlasts_whoever_writes_meanwhile() -> None:
    store = Busy()
    store.swap(USER, None, user_entry(1))
    store.to_come = [user_entry(2), user_entry(9)]
    assert removed(store, USER) == 9
    assert list(store.keys()) == []


def test_a_store_that_cannot_remove_is_an_error_that_shows_no_token() -> None:
    class Full(MemoryTokenStore):
        def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
            if entry is None:
                raise OSError("no space left for secret-access-token")
            return super().swap(key, expected, entry)

    store = Full()
    store.swap(USER, None, user_entry(1, "secret-access-token"))
    with pytest.raises(StoreError, match="OSError") as caught:
        removed(store, USER)
    assert not leaks(caught.value, "def50200")


# What a store of somebody else's may do


def saying(raised: Exception, *names: str) -> MemoryTokenStore:
    """A store of which these methods, and the attributes of these names, raise."""

    def fail(*_: object) -> None:
        raise raised

    members = {name: property(fail) if name in ("blocking", "holder") else fail for name in names}
    return type("Store", (MemoryTokenStore,), members)()


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


REFRESH = "def50200" + "ab" * 350  # that of `user_entry`
TOLD = {
    "as it is": (OSError("no space left"), "OSError: no space left"),
    "in one line": (OSError("no\nspace\tleft\n"), "OSError: no space left"),
    "without the access token": (ValueError("on eyJ0eXAi.eyJhdWQi.c2ln!"), "ValueError: on ***!"),
    "without the refresh token": (ValueError(f"on {REFRESH}"), "ValueError: on ***"),
    "without what else the server sent": (ValueError("on Меченый ☢"), "ValueError: on ***"),
    "not at all": (MuteError(), "MuteError"),
    "in our own words": (StoreError("it is read-only"), None),
}


@pytest.mark.parametrize(("raised", "told"), TOLD.values(), ids=TOLD)
def test_what_a_store_raises_upon_a_change_is_told(raised: Exception, told: str | None) -> None:
    with pytest.raises(StoreError) as caught:
        guarded(method(saying(raised, "swap"), "swap"), USER, 1, user_entry(2, "eyJ0eXAi.eyJhdWQi.c2ln"))
    assert str(caught.value) == (str(raised) if told is None else f"the token store failed with {told}")
    assert leaks(caught.value, REFRESH, "eyJ0eXAi.eyJhdWQi.c2ln", "Меченый") == []


READS: dict[str, tuple[str, Callable[[TokenStore], object]]] = {
    "an entry": ("load", lambda store: loaded(store, USER)),
    "the holder": ("holder", lambda store: holder(store, USER)),
    "the keys": ("keys", lambda store: list(guarded_keys(store))),
    "the keys of tokens": ("keys", lambda store: list(token_keys(store))),
    "what is there already": ("load", lambda store: replaced(store, USER, user_entry(1))),
    "what is to go": ("load", lambda store: removed(store, USER)),
    "what is done for each": ("keys", lambda store: each_key(store, lambda _: True)),
}


@pytest.mark.parametrize(("name", "read"), READS.values(), ids=READS)
def test_what_a_store_raises_while_it_is_read_may_quote_anything_and_is_not_told(
    name: str, read: Callable[[TokenStore], object]
) -> None:
    with pytest.raises(StoreError) as caught:
        read(saying(ValueError("some-token"), name))
    assert str(caught.value) == "the token store failed with ValueError while it was read"
    with pytest.raises(StoreError) as caught:
        read(saying(StoreError("it is damaged"), name))
    assert str(caught.value) == "it is damaged"


def test_a_list_of_keys_that_breaks_off_is_an_error_after_those_that_came() -> None:
    class Torn(MemoryTokenStore):
        def keys(self) -> Iterator[StoreKey]:
            yield APP
            raise ValueError("some-token")

    keys = guarded_keys(Torn())
    assert next(keys) == APP
    with pytest.raises(StoreError) as caught:
        next(keys)
    assert str(caught.value) == "the token store failed with ValueError while it was read"


def test_what_is_not_an_entry_is_named_by_its_type_and_key() -> None:
    store = type("Store", (MemoryTokenStore,), {"load": lambda self, key: {"access_token": "some-token"}})()
    with pytest.raises(StoreError) as caught:
        loaded(store, USER)
    assert str(caught.value) == f"the token store gave a dict for {USER!r}, not an Entry"


def test_a_token_that_another_store_encrypted_is_not_for_use() -> None:
    store, entry = MemoryTokenStore(), user_entry(1)
    assert usable(store, USER) is None
    store.swap(USER, None, entry)
    assert usable(store, USER) == entry
    store.swap(USER, 1, evolve(entry, token=evolve(entry.token, token_type=SEALED)))
    with pytest.raises(StoreError) as caught:
        usable(store, USER)
    assert str(caught.value) == f"the token of {USER!r} is encrypted: give the store its key (EXBO_STORE_KEY)"
    assert caught.value.code == "exbo-oauth.store.key"


class Bare:
    """A store that says nothing of itself."""


def test_a_store_need_not_know_who_holds_a_lease() -> None:
    store: Any = MemoryTokenStore()
    store.acquire(USER, "web-1", 60)
    assert (holder(store, USER), holder(store, APP), holder(Bare(), USER)) == ("web-1", None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("store", "waits"),
    [(MemoryTokenStore(), False), (Bare(), True), (saying(ValueError(), "blocking"), True)],
    ids=["it does not", "not told", "unable to tell"],
)
def test_a_store_may_wait_unless_it_says_that_it_does_not(store: Any, waits: bool) -> None:
    assert is_blocking(store) is waits


LIMIT = StoreKey(APP.base_url + LIMIT_MARK, "59")
OTHER = StoreKey(APP.base_url, "59", "olga")


def with_entries() -> MemoryTokenStore:
    store = MemoryTokenStore()
    for key in (LIMIT, APP, USER, OTHER):
        store.swap(key, None, app_entry(1))
    return store


def test_word_of_a_limit_is_not_a_token() -> None:
    assert (list(token_keys(with_entries())), list(guarded_keys(with_entries()))) == (
        [APP, USER, OTHER],
        [LIMIT, APP, USER, OTHER],
    )


def test_what_is_done_for_each_is_counted_and_told_for_tokens_alone() -> None:
    told, seen = list[object](), list[StoreKey]()
    done = each_key(with_entries(), lambda key: seen.append(key) or key != USER, lambda *one: told.append(one))
    assert (done, seen) == (2, [LIMIT, APP, USER, OTHER])
    assert told == [(APP, True), (USER, False), (OTHER, True)]
    assert each_key(with_entries(), lambda key: True) == 3


@pytest.mark.parametrize("broken", [APP, USER], ids=["the first", "a later one"])
def test_what_fails_for_one_is_told_when_the_others_are_done(broken: StoreKey) -> None:
    told, failure = list[object](), StoreError("it is damaged")

    def work(key: StoreKey) -> bool:
        if key == broken:
            raise failure
        return True

    with pytest.raises(StoreError) as caught:
        each_key(with_entries(), work, lambda *one: told.append(one))
    assert str(caught.value) == "1 of 3 tokens were left as they are; the first: it is damaged"
    assert told == [(key, failure if key == broken else True) for key in (APP, USER, OTHER)]


@pytest.mark.parametrize("fails", [True, False], ids=["that failed", "that was done"])
def test_a_list_that_breaks_off_counts_as_one_more_after_one(fails: bool) -> None:
    class Torn(MemoryTokenStore):
        def keys(self) -> Iterator[StoreKey]:
            yield APP
            raise StoreError("the list is damaged")

    def work(key: StoreKey) -> bool:
        if fails:
            raise StoreError("it is damaged")
        return True

    told = list[object]()
    with pytest.raises(StoreError) as caught:
        each_key(Torn(), work, lambda key, _: told.append(key))
    number, first = (2, "it is damaged") if fails else (1, "the list is damaged")
    assert str(caught.value) == f"{number} of 2 tokens were left as they are; the first: {first}"
    assert told == [APP]


def test_what_is_as_new_already_is_not_replaced() -> None:
    store = Busy()
    assert replaced(store, USER, user_entry(2)) is True
    assert [replaced(store, USER, user_entry(revision)) for revision in (1, 2, 3)] == [False, False, True]
    assert store.load(USER) == user_entry(3)
    store.to_come = [user_entry(4), user_entry(9)]
    assert replaced(store, USER, user_entry(5)) is False
    assert store.load(USER) == user_entry(9)


def test_what_a_store_needs_that_is_not_installed_is_one_line_with_the_command() -> None:
    error = missing("RedisTokenStore", "redis", ImportError("No module named 'redis'"))
    command = install_command("redis")
    assert str(error) == f"RedisTokenStore needs more than is installed (No module named 'redis'): {command}"
    assert error.code == "exbo-oauth.configuration.not-installed"


# What the handlers of signals raise


class OverTimeError(Exception):
    """As Celery's soft time limit and the time limits of RQ are raised."""


def over_time(kind: type[Exception], *_: object) -> None:
    raise kind("time is over")


class OverTime:
    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind

    def __call__(self, *_: object) -> None:
        raise self.kind("time is over")


HANDLERS = [
    pytest.param(lambda kind: lambda *_: over_time(kind), id="a function"),
    pytest.param(lambda kind: partial(partial(over_time, kind)), id="a part of one"),
    pytest.param(OverTime, id="an object"),
    pytest.param(lambda kind: OverTime(kind).__call__, id="a method"),
]
RAISED = [
    pytest.param(OverTimeError, id="an exception of the caller's"),
    pytest.param(TimeoutError, id="one that a socket might raise"),
    pytest.param(RuntimeError, id="one that a library might raise"),
]


@contextmanager
def handled_by(handler: Callable[..., None], number: int = signal.SIGTERM) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


class Slow(MemoryTokenStore):
    """Its user's signal comes while it is at work."""

    def load(self, key: StoreKey) -> Entry | None:
        signal.raise_signal(signal.SIGTERM)
        return super().load(key)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        signal.raise_signal(signal.SIGTERM)
        return super().acquire(key, owner, ttl)


@pytest.mark.parametrize(
    "call",
    [lambda: loaded(Slow(), APP), lambda: guarded(method(Slow(), "acquire"), APP, "us", 5.0)],
    ids=["that reads", "that changes"],
)
@pytest.mark.parametrize("handler", HANDLERS)
def test_what_a_signal_handler_raises_upon_a_call_is_not_the_stores(
    call: Callable[[], object], handler: Callable[[type[Exception]], Callable[..., None]]
) -> None:
    with handled_by(handler(OverTimeError)), pytest.raises(OverTimeError):
        call()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda store: guarded(method(store, "release"), APP, "us"), "OSError: no space left"),
        (lambda store: list(guarded_keys(store)), "OSError while it was read"),
    ],
    ids=["upon a change", "upon a look"],
)
def test_what_a_store_raises_is_its_own_also_while_a_handlers_exception_is_dealt_with(
    call: Callable[[TokenStore], object], told: str
) -> None:
    with handled_by(partial(over_time, TimeoutError)):
        try:
            Slow().load(APP)
        except TimeoutError:
            with pytest.raises(StoreError) as caught:
                call(saying(OSError("no space left"), "release", "keys"))
    assert str(caught.value) == f"the token store failed with {told}"


def test_what_sqlite_raises_is_the_stores_also_while_a_handlers_exception_is_dealt_with(tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db", timeout=0)) as store:
        store.load(APP)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with handled_by(partial(over_time, TimeoutError)):
                try:
                    Slow().load(APP)
                except TimeoutError:
                    with pytest.raises(StoreError, match="another program keeps it locked"):
                        store.swap(APP, None, app_entry(1))


def test_what_a_handler_caught_itself_is_not_what_it_raised() -> None:
    def handler(*_: object) -> None:
        try:
            over_time(ValueError)
        except ValueError as error:
            raise OverTimeError from error

    with handled_by(handler), pytest.raises(OverTimeError):
        loaded(Slow(), APP)


Waiting = tuple[TokenStore, Callable[[], AbstractContextManager[object]]]


def of_a_file(request: pytest.FixtureRequest, path: Path) -> Waiting:
    store = SQLiteTokenStore(path / "tokens.db", timeout=1)

    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    return store, locked


def of_redis(request: pytest.FixtureRequest, path: Path, *, client: bool = False) -> Waiting:
    server: RedisServer = request.getfixturevalue("redis")

    @contextmanager
    def silent() -> Iterator[None]:
        server.pause()
        try:
            yield
        finally:
            server.resume()

    given: Any = server.url
    if client:
        given = redis_library.Redis(port=server.port)
        request.addfinalizer(given.close)
    return RedisTokenStore(given, prefix=path.name), silent


def of_a_database(request: pytest.FixtureRequest, path: Path, *, server: str, engine: bool = False) -> Waiting:
    url: str = request.getfixturevalue(server)
    other = sqlalchemy.create_engine(url)
    request.addfinalizer(other.dispose)
    with other.connect(), other.connect():
        pass  # there are two now: a driver that is interrupted while it makes one drops it without closing it
    store = SQLAlchemyTokenStore(other if engine else url, prefix=f"guard{next(_numbers)}")

    @contextmanager
    def locked() -> Iterator[None]:
        with other.begin() as connection:
            connection.execute(sqlalchemy.text(f"SELECT * FROM {store.prefix}_tokens FOR UPDATE"))
            yield

    return store, locked


def of_a_keyring(request: pytest.FixtureRequest, path: Path) -> Waiting:
    before, backend = keyring.get_keyring(), Desktop()
    keyring.set_keyring(backend)
    request.addfinalizer(lambda: keyring.set_keyring(before))

    @contextmanager
    def asking() -> Iterator[None]:
        backend.pause = 1
        yield
        backend.pause = 0

    return KeyringTokenStore("tests", directory=path), asking


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms here")
@pytest.mark.parametrize(
    "waiting",
    [
        of_a_file,
        of_redis,
        partial(of_redis, client=True),
        partial(of_a_database, server="postgres"),
        partial(of_a_database, server="postgres", engine=True),
        partial(of_a_database, server="mariadb"),
        of_a_keyring,
    ],
    ids=["SQLite", "Redis", "a client of Redis", "PostgreSQL", "an engine", "MariaDB", "the keyring"],
)
@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")  # by a driver that is interrupted
def test_what_a_signal_handler_raises_while_a_store_waits_leaves_as_it_is_and_the_store_goes_on(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    waiting: Callable[..., Waiting],
    kind: type[Exception],
) -> None:
    store, silence = waiting(request, tmp_path)
    with closing(store):
        store.swap(USER, None, user_entry(1))
        with handled_by(partial(over_time, kind), signal.SIGALRM), silence():
            signal.setitimer(signal.ITIMER_REAL, 0.5)  # it waits by then, on a busy machine, too
            with pytest.raises(kind, match="time is over"):
                store.swap(USER, 1, user_entry(2))
        store.swap(USER, 1, user_entry(2))  # what was asked for before may have been done meanwhile
        assert store.load(USER) == user_entry(2)
    caplog.clear()  # of tracebacks, which hold what the driver dropped
    gc.collect()  # and what it dropped is this test's


def test_what_a_signal_handler_raises_while_a_file_is_looked_at_leaves_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def interrupted(*args: Any, **options: Any) -> os.stat_result:
        signal.raise_signal(signal.SIGTERM)
        return look(*args, **options)

    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store:
        store.swap(USER, None, user_entry(1))
        with handled_by(partial(over_time, TimeoutError)), monkeypatch.context() as before_each_look:
            before_each_look.setattr(os, "stat", interrupted)
            with pytest.raises(TimeoutError, match="time is over"):
                store.load(USER)
        assert store.load(USER) == user_entry(1)


def test_no_answer_of_redis_is_taken_for_another_after_an_interrupt(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = redis_library.Connection.read_response

    def interrupted(*args: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return read(*args, **options)

    with closing(RedisTokenStore(redis.url, prefix=tmp_path.name)) as store:
        store.swap(USER, None, user_entry(1))
        with handled_by(partial(over_time, OverTimeError)), monkeypatch.context() as before_each_answer:
            before_each_answer.setattr(redis_library.Connection, "read_response", interrupted)
            with pytest.raises(OverTimeError):
                store.holder(USER)
        assert store.load(USER) == user_entry(1)
        assert store.swap(USER, 7, user_entry(8)) is False

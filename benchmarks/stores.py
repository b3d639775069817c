"""Load and swap with 100,000 accounts in the store (SQLite 1,000,000) beside 1,000, and what the process grows by.

Real servers, started for this: a Redis or Valkey and a PostgreSQL. What is not there is said to be missing.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest

from exbo_oauth import MemoryTokenStore, SQLiteTokenStore, StoreKey, TokenStore, UserToken
from exbo_oauth.stores import Entry, RedisTokenStore, SQLAlchemyTokenStore
from exbo_oauth.stores.naming import digest_of, text_of_key
from exbo_oauth.stores.serial import text_of
from tests.stores.servers import postgres_server, redis_server

from .ratio import Ratio, in_turns

FEW, MANY, MOST = 1_000, 100_000, 1_000_000
ROUNDS, CALLS = 20, 50
AIM = 1.5

Fill = Callable[[TokenStore, range], None]


def measure() -> Iterator[Ratio | str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        yield from _compared("memory", lambda _: MemoryTokenStore(), _by_swapping, MANY)
        yield from _compared("SQLite", lambda name: SQLiteTokenStore(folder / f"{name}.db"), _into_sqlite, MOST)
        try:
            redis = stack.enter_context(redis_server(folder / "redis")).url
            yield from _compared("Redis", lambda name: RedisTokenStore(redis, prefix=name), _into_redis, MANY)
        except pytest.skip.Exception as missing:
            yield f"  {missing}"
        try:
            postgres = stack.enter_context(postgres_server(folder / "pg"))
            yield from _compared(
                "PostgreSQL", lambda name: SQLAlchemyTokenStore(postgres, prefix=name), _into_sql, MANY
            )
        except pytest.skip.Exception as missing:
            yield f"  {missing}"


def _compared(name: str, make: Callable[[str], TokenStore], fill: Fill, many: int) -> Iterator[Ratio | str]:
    small, large = make("few"), make("many")
    fill(small, range(FEW))
    before = _resident()
    fill(large, range(many))
    filled = _resident()
    for what, work in (("load", _loads), ("swap", _swaps)):
        ours, theirs = in_turns(lambda: work(large, many), lambda: work(small, FEW), ROUNDS)  # noqa: B023
        yield Ratio(
            ours=f"{name}: {CALLS} × {what}, {many:,} accounts",
            theirs=f"{name}: {CALLS} × {what}, {FEW:,} accounts",
            our_times=ours,
            their_times=theirs,
            aim=None if name == "memory" else AIM,  # half a microsecond, which a cache miss doubles
        )
    grown = (filled - before, _resident() - filled)
    yield f"  {name}: the process grew by {grown[0]:.1f} MB while it was filled, by {grown[1]:.1f} MB at work"
    small.close()
    large.close()


def _loads(store: TokenStore, accounts: int) -> float:
    keys = [_key(random.randrange(accounts)) for _ in range(CALLS)]
    start = perf_counter()
    for key in keys:
        assert store.load(key) is not None
    return perf_counter() - start


def _swaps(store: TokenStore, accounts: int) -> float:
    entries = {key: store.load(key) for key in {_key(random.randrange(accounts)) for _ in range(CALLS)}}
    start = perf_counter()
    for key, entry in entries.items():
        assert entry is not None
        assert store.swap(key, entry.revision, _entry(entry.revision + 1))
    return (perf_counter() - start) * CALLS / len(entries)


def _key(number: int) -> StoreKey:
    return StoreKey("https://exbo.net/oauth", "59", f"telegram:{number}")


def _entry(revision: int) -> Entry:
    """As long as a real one."""
    now = datetime.now(UTC)
    token = UserToken(
        token_type="Bearer",
        access_token="eyJ0" + "x" * 636,
        refresh_token="def50200" + "ab" * 350,
        expires_in=now + timedelta(days=365),
    )
    return Entry(token=token, revision=revision, issued_by="host/1", issued_at=now)


# Filled behind the stores' backs where one by one would take all day; each row is what the store itself would write.


def _by_swapping(store: TokenStore, numbers: range) -> None:
    entry = _entry(1)
    for number in numbers:
        store.swap(_key(number), None, entry)


def _into_sqlite(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, SQLiteTokenStore)
    store.load(_key(0))
    text, key = text_of(_entry(1)).reveal(), _key(0)
    rows = ((key.base_url, key.client_id, 1, _key(number).account, 1, text) for number in numbers)

    def write(connection: object) -> None:
        connection.execute("BEGIN")  # type: ignore[attr-defined]
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)  # type: ignore[attr-defined]
        connection.execute("COMMIT")  # type: ignore[attr-defined]

    store._link.run(write)


def _into_redis(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, RedisTokenStore)
    text = text_of(_entry(1)).reveal()
    for start in range(0, len(numbers), 1000):
        pipeline = store._client.pipeline(transaction=False)
        for number in numbers[start : start + 1000]:
            fields = {"revision": 1, "key": text_of_key(_key(number)), "entry": text}
            pipeline.hset(store._name(_key(number), "entry"), mapping=fields)
        pipeline.execute()


def _into_sql(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, SQLAlchemyTokenStore)
    store.load(_key(0))
    text = text_of(_entry(1)).reveal()
    for start in range(0, len(numbers), 5000):
        keys = [text_of_key(_key(number)) for number in numbers[start : start + 5000]]
        rows = [{"id": digest_of(key), "key": key, "revision": 1, "entry": text} for key in keys]
        with store._engine.begin() as connection:
            connection.execute(store._tokens.insert(), rows)
    with store._engine.begin() as connection:
        connection.exec_driver_sql(f"ANALYZE {store._tokens.name}")


def _resident() -> float:
    """The process's own memory in MB, 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

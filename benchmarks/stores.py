"""Load and swap with 100,000 accounts in the store (SQLite 1,000,000) beside 1,000, and what the process grows by.

First a client that serves them all from SQLite, and what it remembers.

Real servers, started for this: a Redis or Valkey and a PostgreSQL. What is not there is said to be missing. The
keyring is one in memory: what the store itself takes is measured, not what some desktop's backend makes of it.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import keyring
import keyring.backend
import pytest

from exbo_oauth import MemoryTokenStore, SQLiteTokenStore, StoreKey, SyncOAuthClient, TokenStore, UserToken
from exbo_oauth.stores import (
    EncryptedTokenStore,
    Entry,
    KeyringTokenStore,
    RedisTokenStore,
    SQLAlchemyTokenStore,
)
from exbo_oauth.stores.entry_text import text_of
from exbo_oauth.stores.key_text import digest_of, text_of_key
from tests.stores.servers import postgres_server, redis_server

from .ratio import Ratio, in_turns

BASE_URL = "https://exbo.net/oauth"
FEW, MANY, MOST = 1_000, 100_000, 1_000_000
ROUNDS, CALLS = 20, 50
AIM = 1.3

Fill = Callable[[TokenStore, range], None]


def measure() -> Iterator[Ratio | str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        # What frees much memory comes last: what is measured after it would grow into that.
        yield from _served(SQLiteTokenStore(folder / "served.db"))
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
        yield from _compared("memory", lambda _: MemoryTokenStore(), _by_swapping, MANY)
        yield from _compared("encrypted memory", _encrypted, _by_swapping, MANY)
        yield from _compared("keyring", lambda name: _keyring(folder / name), _into_keyring, MANY)


def _served(store: SQLiteTokenStore) -> Iterator[str]:
    """One client hands out the token of one account after the other; it remembers 10,000 of them."""
    _into_sqlite(store, range(MANY))
    settings = {"client_id": 59, "client_secret": "secret", "base_url": BASE_URL}
    with SyncOAuthClient(**settings, store=store) as oauth:
        sizes = [_resident()]
        for numbers in (range(10_000), range(10_000, 20_000), range(20_000, MANY)):
            for number in numbers:
                oauth.ensure_user_token(f"telegram:{number}")
            sizes.append(_resident())
    first, second, rest = (after - before for before, after in pairwise(sizes))
    yield (
        f"  a client that serves {MANY:,} accounts from SQLite: grew by {first:.1f} MB with the first 10,000, by "
        f"{second:.1f} MB with the next 10,000, by {rest:.1f} MB with all others"
    )
    store.close()


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
    return StoreKey(BASE_URL, "59", f"telegram:{number}")


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


class _Drawer(keyring.backend.KeyringBackend):
    """A keyring that keeps its secrets in memory."""

    priority = 1.0

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.secrets[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.secrets[service, username]


def _keyring(folder: Path) -> KeyringTokenStore:
    if not isinstance(keyring.get_keyring(), _Drawer):
        keyring.set_keyring(_Drawer())
    return KeyringTokenStore(folder.name, directory=folder)


def _encrypted(_: str) -> EncryptedTokenStore:
    return EncryptedTokenStore(MemoryTokenStore(), EncryptedTokenStore.new_key())


def _into_keyring(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, KeyringTokenStore)
    store.acquire(_key(0), "bench", 0)  # has the key made
    tokens, entry = store._tokens, _entry(1)
    _write(store._file, ((number, text_of(tokens._sealed(_key(number), entry))) for number in numbers))


def _into_sqlite(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, SQLiteTokenStore)
    store.load(_key(0))
    text = text_of(_entry(1))
    _write(store, ((number, text) for number in numbers))


def _write(store: SQLiteTokenStore, entries: Iterator[tuple[int, str]]) -> None:
    key = _key(0)
    rows = ((key.base_url, key.client_id, 1, _key(number).account, 1, text) for number, text in entries)

    def write(connection: object) -> None:
        connection.execute("BEGIN")  # type: ignore[attr-defined]
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)  # type: ignore[attr-defined]
        connection.execute("COMMIT")  # type: ignore[attr-defined]

    store._link.run(write)


def _into_redis(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, RedisTokenStore)
    text = text_of(_entry(1))
    for start in range(0, len(numbers), 1000):
        pipeline = store._client.pipeline(transaction=False)
        for number in numbers[start : start + 1000]:
            fields = {"revision": 1, "key": text_of_key(_key(number)), "entry": text}
            pipeline.hset(store._name(_key(number), "entry"), mapping=fields)
        pipeline.execute()


def _into_sql(store: TokenStore, numbers: range) -> None:
    assert isinstance(store, SQLAlchemyTokenStore)
    store.load(_key(0))
    entry = text_of(_entry(1))
    for start in range(0, len(numbers), 5000):
        keys = [text_of_key(_key(number)) for number in numbers[start : start + 5000]]
        rows = [{"id": digest_of(key), "key": key, "revision": 1, "entry": entry} for key in keys]
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

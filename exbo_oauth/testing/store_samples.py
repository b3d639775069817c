"""What the contract of stores is tried with: keys that a careless store would mix up, entries, threads."""

# ruff: noqa: S101  # a suite is made of assertions

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ..models import AppToken, UserToken
from ..stores.base import Entry, StoreKey, TokenStore

__all__ = [
    "APP",
    "BASE_URL",
    "KEYS",
    "LONG",
    "NOON",
    "USER",
    "app_entry",
    "eventually",
    "increment",
    "together",
    "user_entry",
]

T = TypeVar("T")

BASE_URL = "https://exbo.net/oauth"
NOON = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
APP = StoreKey(BASE_URL, "59")
USER = StoreKey(BASE_URL, "59", "ivan")
LONG = 3600.0

KEYS = {
    "app": APP,
    "user": USER,
    "another user": StoreKey(BASE_URL, "59", "olga"),
    "another app": StoreKey(BASE_URL, "60"),
    "another app's user": StoreKey(BASE_URL, "60", "ivan"),
    "another server": StoreKey("http://127.0.0.1:8000/oauth", "59"),
    "another server's user": StoreKey("http://127.0.0.1:8000/oauth", "59", "ivan"),
    "empty account": StoreKey(BASE_URL, "59", ""),
    "account None by name": StoreKey(BASE_URL, "59", "None"),
    "upper case": StoreKey(BASE_URL, "59", "IVAN"),
    "space behind": StoreKey(BASE_URL, "59", "ivan "),
    "space before": StoreKey(BASE_URL, "59", " ivan"),
    "a space only": StoreKey(BASE_URL, "59", " "),
    "number": StoreKey(BASE_URL, "59", "42"),
    "number with zero": StoreKey(BASE_URL, "59", "042"),
    "cyrillic": StoreKey(BASE_URL, "59", "Сталкер Меченый"),
    "emoji": StoreKey(BASE_URL, "59", "☢\N{VARIATION SELECTOR-16}\N{GRINNING FACE}"),
    "composed": StoreKey(BASE_URL, "59", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
    "decomposed": StoreKey(BASE_URL, "59", "cafe\N{COMBINING ACUTE ACCENT}"),
    "colons": StoreKey(BASE_URL, "59", "telegram:42:7"),
    "client id with colon": StoreKey(BASE_URL, "59:telegram", "42:7"),
    "client id with an account's colon": StoreKey(BASE_URL, "59:telegram:42", "7"),
    "slashes": StoreKey(BASE_URL, "59", "a/b/../c"),
    "bars": StoreKey(BASE_URL, "59", "a|b||c"),
    "wildcards": StoreKey(BASE_URL, "59", "%_*?[a]"),
    "braces": StoreKey(BASE_URL, "59", "{59}:{ivan}"),
    "quotes": StoreKey(BASE_URL, "59", "a'b\"c`d\\e"),
    "percent": StoreKey(BASE_URL, "59", "a%2Fb%00"),
    "line ends": StoreKey(BASE_URL, "59", "a\r\nb\tc"),
    "zero byte": StoreKey(BASE_URL, "59", "a\0b"),
    "zero byte with another end": StoreKey(BASE_URL, "59", "a\0c"),
    "before a zero byte": StoreKey(BASE_URL, "59", "a"),
    "last character there is": StoreKey(BASE_URL, "59", "\U0010ffff"),
    "json": StoreKey(BASE_URL, "59", '["ivan"]'),
    "long": StoreKey(BASE_URL, "59", "x" * 500),
    "long with another end": StoreKey(BASE_URL, "59", "x" * 499 + "y"),
}


def app_entry(revision: int, access_token: str = "app-token") -> Entry:  # noqa: S107  # no real one
    """An application's entry; equal arguments give equal entries."""
    token = AppToken(token_type="Bearer", access_token=access_token, expires_in=NOON + timedelta(days=365))  # noqa: S106
    return Entry(token=token, revision=revision, issued_by="host/1234", issued_at=NOON)


def user_entry(revision: int, access_token: str = "user-token") -> Entry:  # noqa: S107  # no real one
    """A user's entry with everything that an entry can carry."""
    token = UserToken(
        token_type="Bearer",  # noqa: S106
        access_token=access_token,
        refresh_token="def50200" + "ab" * 350,
        expires_in=NOON + timedelta(days=365),
        extra={"scope": "", "nested": {"list": [1, 2.5, None, True]}, "имя": "Меченый ☢"},
    )
    moments = (NOON - timedelta(seconds=90), NOON - timedelta(seconds=30))
    return Entry(token=token, revision=revision, issued_by="хост/1234", issued_at=NOON, superseded=moments)


def eventually(attempt: Callable[[], bool]) -> bool:
    """Whether `attempt` succeeds within a time in which every short lease has lapsed on the slowest machine."""
    deadline = time.monotonic() + 60
    while not (done := attempt()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return done


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """`work` in `count` threads that start at the same moment and interrupt each other often."""
    gate = threading.Barrier(count)

    def started(number: int) -> T:
        gate.wait()
        return work(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(started, range(count)))
    finally:
        sys.setswitchinterval(interval)


def increment(store: TokenStore, key: StoreKey) -> int:
    """Raise the revision of `key` by one, however often others are faster; how many tries it took."""
    tries = 1
    while True:
        entry = store.load(key)
        assert entry is not None
        if store.swap(key, entry.revision, app_entry(entry.revision + 1)):
            return tries
        tries += 1

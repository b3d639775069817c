"""What is asked of any store on a client's behalf."""

import signal
from collections.abc import Callable

import pytest

from exbo_oauth import Entry, MemoryTokenStore, StoreError, StoreKey
from exbo_oauth.stores.guard import guarded, loaded, method, removed
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

from .leaking import leaks


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


class OverTimeError(Exception):
    """As Celery's soft time limit and the time limits of RQ are raised."""


def over_time(*_: object) -> None:
    raise OverTimeError


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
def test_what_a_signal_handler_raises_upon_a_call_is_not_the_stores(call: Callable[[], object]) -> None:
    before = signal.signal(signal.SIGTERM, over_time)
    try:
        with pytest.raises(OverTimeError):
            call()
    finally:
        signal.signal(signal.SIGTERM, before)

"""The contract of a token store as a pytest suite: run it against your own.

Put this into a test module of yours::

    import pytest
    from exbo_oauth.testing.store_suite import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyStore(tmp_path / "tokens")
            yield store
            store.close()

`store` is an empty store, a new one for every test. If several store objects can share their data, as those of two
processes do, let the fixture `twin` give a second one on the data of `store`, and the tests for that are run, too.

No test measures time. Some wait for a lease of `short_lease` seconds to lapse; raise it if your store's clock is
coarser than that. `threads` and `many` are how many threads and keys are used at most.
"""

# ruff: noqa: S101  # a suite is made of assertions

import time
from typing import ClassVar

import pytest

from ..errors import StoreError
from ..stores.base import Entry, StoreKey, TokenStore
from .store_samples import APP, BASE_URL, KEYS, LONG, USER, app_entry, eventually, increment, together, user_entry

__all__ = ["APP", "USER", "StoreContract", "app_entry", "eventually", "increment", "together", "user_entry"]


class StoreContract:
    """What every `exbo_oauth.stores.TokenStore` has to do. Subclass it and give it the fixture `store`.

    ::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def store(self) -> TokenStore:
                return MemoryTokenStore()
    """

    short_lease: ClassVar[float] = 0.2
    threads: ClassVar[int] = 8
    many: ClassVar[int] = 600

    @pytest.fixture
    def twin(self) -> TokenStore:
        """A second store object on the data of `store`, as another process would have one."""
        pytest.skip("this store shares its data with no other object")

    # Entries

    def test_it_has_the_methods_of_the_protocol(self, store: TokenStore) -> None:
        assert isinstance(store, TokenStore)

    def test_an_empty_store_has_nothing(self, store: TokenStore) -> None:
        assert store.load(APP) is None
        assert store.load(USER) is None
        assert list(store.keys()) == []

    @pytest.mark.parametrize(("key", "entry"), [(APP, app_entry(1)), (USER, user_entry(1))], ids=["app", "user"])
    def test_an_entry_comes_back_equal(self, store: TokenStore, key: StoreKey, entry: Entry) -> None:
        assert store.swap(key, None, entry) is True
        loaded = store.load(key)
        assert loaded == entry
        assert loaded is not None
        assert type(loaded.token) is type(entry.token)
        assert loaded.token.extra == entry.token.extra
        assert loaded.superseded == entry.superseded

    def test_a_token_of_many_kilobytes_comes_back_equal(self, store: TokenStore) -> None:
        entry = user_entry(1, access_token="x" * 40_000)
        store.swap(USER, None, entry)
        assert store.load(USER) == entry

    @pytest.mark.parametrize("revision", [1, 2**31, 1_780_000_000_000_000, 2**53 - 1])
    def test_the_revision_is_kept_as_given(self, store: TokenStore, revision: int) -> None:
        assert store.swap(APP, None, app_entry(revision))
        loaded = store.load(APP)
        assert loaded is not None
        assert loaded.revision == revision
        assert store.swap(APP, revision, None)

    def test_a_revision_may_skip_numbers(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        assert store.swap(APP, 1, app_entry(1_780_000_000_000_000))
        assert store.load(APP) == app_entry(1_780_000_000_000_000)

    def test_a_swap_that_expects_nothing_fails_where_something_is(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        assert store.swap(APP, None, app_entry(2, "another")) is False
        assert store.load(APP) == app_entry(1)

    def test_a_swap_that_expects_something_fails_where_nothing_is(self, store: TokenStore) -> None:
        assert store.swap(APP, 1, app_entry(2)) is False
        assert store.load(APP) is None

    @pytest.mark.parametrize("expected", [1, 2, 4, 0])
    def test_a_swap_with_another_revision_changes_nothing(self, store: TokenStore, expected: int) -> None:
        store.swap(APP, None, app_entry(3))
        assert store.swap(APP, expected, app_entry(4, "another")) is False
        assert store.load(APP) == app_entry(3)

    def test_a_swap_with_the_stored_revision_replaces_the_whole_entry(self, store: TokenStore) -> None:
        store.swap(USER, None, user_entry(1))
        assert store.swap(USER, 1, app_entry(2)) is True
        assert store.load(USER) == app_entry(2)

    def test_the_same_revision_may_be_written_again(self, store: TokenStore) -> None:
        store.swap(USER, None, user_entry(1))
        assert store.swap(USER, 1, user_entry(1)) is True
        assert store.swap(USER, 1, user_entry(1, "sealed-anew")) is True
        assert store.load(USER) == user_entry(1, "sealed-anew")

    def test_a_swap_with_nothing_deletes(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        assert store.swap(APP, 1, None) is True
        assert store.load(APP) is None
        assert list(store.keys()) == []

    def test_a_delete_with_another_revision_changes_nothing(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(2))
        assert store.swap(APP, 1, None) is False
        assert store.swap(APP, None, None) is False
        assert store.load(APP) == app_entry(2)

    def test_deleting_nothing_succeeds_if_nothing_was_expected(self, store: TokenStore) -> None:
        assert store.swap(APP, None, None) is True
        assert store.swap(APP, 1, None) is False
        assert store.load(APP) is None

    def test_who_saw_the_entry_before_a_delete_cannot_overwrite_its_successor(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        store.swap(APP, 1, None)
        assert store.swap(APP, 1, app_entry(2, "late")) is False
        assert store.swap(APP, None, app_entry(3)) is True
        assert store.swap(APP, 1, app_entry(4, "late")) is False
        assert store.load(APP) == app_entry(3)

    # Keys

    def test_every_key_has_its_own_entry(self, store: TokenStore) -> None:
        entries = {key: user_entry(number, f"token-{number}") for number, key in enumerate(KEYS.values(), 1)}
        for key, entry in entries.items():
            assert store.swap(key, None, entry), f"{key} is mistaken for another key"
        assert {key: store.load(key) for key in entries} == entries

    def test_every_key_is_listed_once_as_it_is(self, store: TokenStore) -> None:
        for number, key in enumerate(KEYS.values(), 1):
            store.swap(key, None, app_entry(number))
        listed = list(store.keys())
        assert set(listed) == set(KEYS.values())
        assert len(listed) == len(KEYS)

    @pytest.mark.parametrize("size", [5_000, 100_000])
    def test_an_account_of_any_size_is_kept_as_it_is_or_refused(self, store: TokenStore, size: int) -> None:
        keys = [StoreKey(BASE_URL, "59", "☢" * size + end) for end in "ab"]
        for number, key in enumerate(keys, 1):
            try:
                assert store.swap(key, None, app_entry(number)), f"{size:,} characters are mistaken for others"
            except StoreError:
                assert store.load(USER) is None, "a key that was refused leaves the store as it was"
                return
        assert [store.load(key) for key in keys] == [app_entry(1), app_entry(2)]
        assert set(store.keys()) == set(keys)

    def test_deleting_one_key_leaves_the_others(self, store: TokenStore) -> None:
        for key in KEYS.values():
            store.swap(key, None, app_entry(1))
        assert store.swap(USER, 1, None)
        assert set(store.keys()) == set(KEYS.values()) - {USER}

    def test_a_lease_alone_is_no_entry(self, store: TokenStore) -> None:
        store.acquire(USER, "me", LONG)
        assert list(store.keys()) == []
        assert store.load(USER) is None

    def test_many_keys_are_all_listed(self, store: TokenStore) -> None:
        keys = {StoreKey(BASE_URL, "59", f"account-{number}") for number in range(self.many)}
        for key in keys:
            store.swap(key, None, app_entry(1))
        assert sorted(store.keys(), key=str) == sorted(keys, key=str)

    def test_keys_may_be_written_while_they_are_listed(self, store: TokenStore) -> None:
        keys = list(KEYS.values())[:8]
        for key in keys:
            store.swap(key, None, app_entry(1))
        listed = set()
        for key in store.keys():  # noqa: SIM118  # a store is not a dict
            listed.add(key)
            assert store.swap(key, 1, app_entry(2))
        assert listed == set(keys)
        assert all(store.load(key) == app_entry(2) for key in listed)

    # Leases

    def test_a_lease_has_one_owner(self, store: TokenStore) -> None:
        assert store.acquire(APP, "me", LONG) is True
        assert store.acquire(APP, "you", LONG) is False
        assert store.acquire(APP, "you", LONG) is False

    def test_a_released_lease_is_free(self, store: TokenStore) -> None:
        store.acquire(APP, "me", LONG)
        store.release(APP, "me")
        assert store.acquire(APP, "you", LONG) is True
        assert store.acquire(APP, "me", LONG) is False

    def test_a_lapsed_lease_is_free(self, store: TokenStore) -> None:
        store.acquire(APP, "me", self.short_lease)
        assert eventually(lambda: store.acquire(APP, "you", LONG))
        assert store.acquire(APP, "me", LONG) is False

    def test_its_owner_gets_the_lease_anew_for_longer(self, store: TokenStore) -> None:
        store.acquire(APP, "me", self.short_lease)
        assert store.acquire(APP, "me", LONG) is True
        time.sleep(2 * self.short_lease)
        assert store.acquire(APP, "you", LONG) is False

    def test_its_owner_gets_the_lease_anew_for_less(self, store: TokenStore) -> None:
        store.acquire(APP, "me", LONG)
        assert store.acquire(APP, "me", self.short_lease) is True
        assert eventually(lambda: store.acquire(APP, "you", LONG))

    def test_being_refused_does_not_prolong_the_lease(self, store: TokenStore) -> None:
        for _ in range(20):  # pragma: no branch (no machine pauses so often)
            store.acquire(APP, "me", self.short_lease)
            if not store.acquire(APP, "you", LONG):
                break
            store.release(APP, "you")  # pragma: no cover (a pause between the two calls was longer than the lease)
        assert eventually(lambda: store.acquire(APP, "they", LONG))

    def test_only_its_owner_can_release_a_lease(self, store: TokenStore) -> None:
        store.acquire(APP, "me", LONG)
        store.release(APP, "you")
        assert store.acquire(APP, "you", LONG) is False

    def test_a_former_owner_cannot_release_the_lease_of_its_successor(self, store: TokenStore) -> None:
        store.acquire(APP, "me", self.short_lease)
        assert eventually(lambda: store.acquire(APP, "you", LONG))
        store.release(APP, "me")
        assert store.acquire(APP, "they", LONG) is False

    def test_releasing_what_nobody_holds_does_nothing(self, store: TokenStore) -> None:
        store.release(APP, "me")
        store.acquire(APP, "me", LONG)
        store.release(APP, "me")
        store.release(APP, "me")
        assert store.acquire(APP, "you", LONG) is True

    def test_every_key_has_its_own_lease(self, store: TokenStore) -> None:
        for number, key in enumerate(KEYS.values()):
            assert store.acquire(key, f"owner-{number}", LONG), f"{key} is mistaken for another key"
        assert not any(store.acquire(key, "late", LONG) for key in KEYS.values())
        store.release(USER, f"owner-{list(KEYS.values()).index(USER)}")
        assert [key for key in KEYS.values() if store.acquire(key, "late", LONG)] == [USER]

    def test_a_lease_does_not_stop_writers(self, store: TokenStore) -> None:
        store.acquire(APP, "me", LONG)
        assert store.swap(APP, None, app_entry(1))
        assert store.swap(APP, 1, app_entry(2))
        assert store.load(APP) == app_entry(2)

    def test_a_lease_outlives_what_is_written(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        store.acquire(APP, "me", LONG)
        store.swap(APP, 1, app_entry(2))
        assert store.acquire(APP, "you", LONG) is False
        store.swap(APP, 2, None)
        assert store.acquire(APP, "you", LONG) is False

    def test_an_entry_outlives_its_lease(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        store.acquire(APP, "me", LONG)
        store.release(APP, "me")
        assert store.load(APP) == app_entry(1)

    @pytest.mark.parametrize(
        "owner", ["host/1234/5f3a", "хост", "a:b|c", "x" * 200], ids=["plain", "unicode", "separators", "long"]
    )
    def test_an_owner_may_be_called_anything(self, store: TokenStore, owner: str) -> None:
        assert store.acquire(APP, owner, LONG)
        assert store.acquire(APP, owner, LONG)
        assert not store.acquire(APP, "another", LONG)
        store.release(APP, owner)
        assert store.acquire(APP, "another", LONG)

    def test_a_store_that_can_tell_tells_who_holds_a_lease(self, store: TokenStore) -> None:
        holder = getattr(store, "holder", None)
        if holder is None:
            pytest.skip("this store does not tell who holds a lease")
        assert holder(APP) is None
        store.acquire(APP, "web-2:311:5f3a", LONG)
        store.acquire(APP, "web-3:7:77aa", LONG)
        assert holder(APP) == "web-2:311:5f3a"
        assert holder(USER) is None
        store.release(APP, "web-2:311:5f3a")
        assert holder(APP) is None
        store.acquire(APP, "web-4:1:0b0b", 0.001)
        assert eventually(lambda: holder(APP) is None)

    # Threads

    def test_no_update_of_many_threads_is_lost(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        together(self.threads, lambda _: [increment(store, APP) for _ in range(10)])
        assert store.load(APP) == app_entry(1 + self.threads * 10)

    def test_one_of_many_threads_creates_an_entry(self, store: TokenStore) -> None:
        entries = [app_entry(1, f"token-{number}") for number in range(self.threads)]
        created = together(self.threads, lambda number: store.swap(APP, None, entries[number]))
        assert sorted(created) == [False] * (self.threads - 1) + [True]
        assert store.load(APP) == entries[created.index(True)]

    def test_one_of_many_threads_gets_the_lease(self, store: TokenStore) -> None:
        taken = together(self.threads, lambda number: store.acquire(APP, f"owner-{number}", LONG))
        assert sorted(taken) == [False] * (self.threads - 1) + [True]
        store.release(APP, f"owner-{taken.index(True)}")
        assert store.acquire(APP, "late", LONG)

    def test_a_holder_that_prolongs_its_lease_is_never_overtaken(self, store: TokenStore) -> None:
        assert store.acquire(APP, "owner-0", LONG)
        taken = together(self.threads, lambda number: [store.acquire(APP, f"owner-{number}", LONG) for _ in range(10)])
        assert taken == [[True] * 10] + [[False] * 10] * (self.threads - 1)

    # Several objects on the same data

    def test_a_twin_sees_what_was_written(self, store: TokenStore, twin: TokenStore) -> None:
        assert store.swap(APP, None, app_entry(1))
        assert twin.load(APP) == app_entry(1)
        assert twin.swap(APP, 1, app_entry(2))
        assert store.swap(APP, 1, app_entry(3, "late")) is False
        assert store.load(APP) == app_entry(2)
        assert list(twin.keys()) == list(store.keys()) == [APP]

    def test_a_twin_respects_a_lease(self, store: TokenStore, twin: TokenStore) -> None:
        assert store.acquire(APP, "me", LONG)
        assert twin.acquire(APP, "you", LONG) is False
        twin.release(APP, "you")
        assert twin.acquire(APP, "you", LONG) is False
        store.release(APP, "me")
        assert twin.acquire(APP, "you", LONG) is True

    def test_a_twin_respects_a_lease_that_was_prolonged(self, store: TokenStore, twin: TokenStore) -> None:
        assert store.acquire(APP, "me", self.short_lease)
        assert store.acquire(APP, "me", LONG)
        time.sleep(2 * self.short_lease)
        assert twin.acquire(APP, "you", LONG) is False
        assert store.acquire(APP, "me", LONG) is True

    def test_a_twin_outlives_its_closed_sibling(self, store: TokenStore, twin: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        store.acquire(APP, "me", LONG)
        store.close()
        assert twin.load(APP) == app_entry(1)
        assert twin.acquire(APP, "you", LONG) is False

    def test_no_update_of_twins_is_lost(self, store: TokenStore, twin: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        both = (store, twin)
        together(self.threads, lambda number: [increment(both[number % 2], APP) for _ in range(10)])
        assert store.load(APP) == twin.load(APP) == app_entry(1 + self.threads * 10)

    # The rest

    def test_closing_twice_is_closing_once(self, store: TokenStore) -> None:
        store.swap(APP, None, app_entry(1))
        store.close()
        store.close()

    def test_a_store_that_was_never_used_can_be_closed(self, store: TokenStore) -> None:
        store.close()

    def test_no_secret_shows_in_the_repr(self, store: TokenStore) -> None:
        store.swap(USER, None, user_entry(1, "secret-access-token"))
        shown = f"{store!r} {store} {store.load(USER)!r}"
        assert "secret-access-token" not in shown
        assert "def50200" not in shown

"""Copies of what one store holds in another."""

import pytest

from exbo_oauth import ConfigurationError, MemoryTokenStore, SQLiteTokenStore, StoreError, StoreKey
from exbo_oauth.stores import EncryptedTokenStore, copy
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

from .leaking import leaks


def test_all_entries_come_across_as_they_are(tmp_path) -> None:
    source, target = MemoryTokenStore(), SQLiteTokenStore(tmp_path / "tokens.db")
    entries = {APP: app_entry(7), USER: user_entry(1_780_000_000_000_000)}
    for key, entry in entries.items():
        source.swap(key, None, entry)
    assert copy(source, target) == 2
    assert {key: target.load(key) for key in target.keys()} == entries  # noqa: SIM118
    assert copy(source, target) == 0
    target.close()


def test_what_becomes_of_each_entry_is_told() -> None:
    source, target = MemoryTokenStore(), MemoryTokenStore()
    source.swap(APP, None, app_entry(7))
    source.swap(USER, None, user_entry(1))
    target.swap(USER, None, user_entry(1))
    told: dict[StoreKey, object] = {}
    assert copy(source, target, progress=told.__setitem__) == 1
    assert told == {APP: True, USER: False}


@pytest.mark.parametrize(("there", "copied"), [(None, 1), (1, 1), (5, 0), (9, 0)], ids=str)
def test_only_what_is_newer_is_written(there, copied) -> None:
    source, target = MemoryTokenStore(), MemoryTokenStore()
    source.swap(APP, None, app_entry(5, "from-the-source"))
    if there is not None:
        target.swap(APP, None, app_entry(there, "from-the-target"))
    assert copy(source, target) == copied
    assert (target.load(APP) == app_entry(5, "from-the-source")) is bool(copied)


def test_leases_stay_where_they_are() -> None:
    source, target = MemoryTokenStore(), MemoryTokenStore()
    source.acquire(APP, "me", 60)
    copy(source, target)
    assert target.acquire(APP, "you", 60)


def test_what_is_deleted_meanwhile_is_left_out() -> None:
    class Vanishing(MemoryTokenStore):
        def keys(self):
            return [*super().keys(), USER]

    source, target = Vanishing(), MemoryTokenStore()
    source.swap(APP, None, app_entry(1))
    assert copy(source, target) == 1
    assert list(target.keys()) == [APP]


def test_whoever_is_faster_in_the_target_wins_if_newer() -> None:
    class Busy(MemoryTokenStore):
        """Somebody writes between our look and our write, an older entry first and a newer one then."""

        def swap(self, key, expected, entry):
            current = self.load(key)
            step = 0 if current is None else current.revision
            if step < 6:
                super().swap(key, None if current is None else step, app_entry(step + 3, "anothers"))
            return super().swap(key, expected, entry)

    source, target = MemoryTokenStore(), Busy()
    source.swap(APP, None, app_entry(5))
    assert copy(source, target) == 0
    assert target.load(APP) == app_entry(6, "anothers")


def test_encryption_can_come_and_go_on_the_way() -> None:
    key = EncryptedTokenStore.new_key()
    plain, sealed, plain_again = MemoryTokenStore(), MemoryTokenStore(), MemoryTokenStore()
    plain.swap(USER, None, user_entry(1, "secret-access-token"))
    copy(plain, EncryptedTokenStore(sealed, key))
    assert "secret-access-token" not in str(sealed.load(USER).to_dict())
    copy(EncryptedTokenStore(sealed, key), plain_again)
    assert plain_again.load(USER) == user_entry(1, "secret-access-token")


@pytest.mark.parametrize("broken", ["keys", "load", "swap"])
def test_whatever_a_store_raises_is_an_error_of_ours(broken) -> None:
    def fail(*_):
        raise ZeroDivisionError("eyJ0eXAiOiJKV1Qi")

    kind = type("Broken", (MemoryTokenStore,), {broken: fail})
    source, target = (MemoryTokenStore(), kind()) if broken == "swap" else (kind(), MemoryTokenStore())
    MemoryTokenStore.swap(source, USER, None, user_entry(1, "eyJ0eXAiOiJKV1Qi"))
    with pytest.raises(StoreError, match="ZeroDivisionError") as caught:
        copy(source, target)
    assert not leaks(caught.value, "eyJ0eXAiOiJKV1Qi")


@pytest.mark.parametrize("broken", ["load", "swap"])
def test_what_cannot_be_copied_does_not_stop_the_rest(broken) -> None:
    def fail_for_one(self, key, *more):
        if key == USER:
            raise ZeroDivisionError
        return getattr(MemoryTokenStore, broken)(self, key, *more)

    kind = type("Broken", (MemoryTokenStore,), {broken: fail_for_one})
    source, target = (MemoryTokenStore(), kind()) if broken == "swap" else (kind(), MemoryTokenStore())
    keys = [USER, APP, StoreKey("https://exbo.net/oauth", "60")]
    for key in keys:
        MemoryTokenStore.swap(source, key, None, user_entry(1))
    with pytest.raises(StoreError, match=r"1 of 3 tokens were left as they are.*ZeroDivisionError"):
        copy(source, target)
    assert set(target.keys()) == {*keys[1:]}


def test_a_list_that_breaks_off_costs_only_what_comes_after_it() -> None:
    class Torn(MemoryTokenStore):
        def keys(self):
            yield APP
            raise ZeroDivisionError

    source, target = Torn(), MemoryTokenStore()
    source.swap(APP, None, app_entry(1))
    with pytest.raises(StoreError, match="1 of 2"):
        copy(source, target)
    assert target.load(APP) == app_entry(1)


def test_a_store_that_cannot_be_listed_says_so_itself(tmp_path) -> None:
    path = tmp_path / "tokens.db"
    path.write_bytes(b"not a database" * 100)
    path.chmod(0o600)
    with pytest.raises(StoreError, match=r"^(?!\d+ of).*is not a token store"):
        copy(SQLiteTokenStore(path), MemoryTokenStore())


def test_only_stores_are_copied() -> None:
    with pytest.raises(ConfigurationError, match="not a str"):
        copy(MemoryTokenStore(), "sqlite:///tokens.db")


def test_keys_of_many_thousands_are_read_in_portions(tmp_path) -> None:
    source, target = SQLiteTokenStore(tmp_path / "source.db"), MemoryTokenStore()
    keys = [StoreKey("https://exbo.net/oauth", "59", str(number)) for number in range(1200)]
    for key in keys:
        source.swap(key, None, app_entry(1))
    assert copy(source, target) == 1200
    assert set(target.keys()) == set(keys)
    source.close()

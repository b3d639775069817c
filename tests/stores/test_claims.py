"""Who asked for a lease and got no answer is remembered, and not for ever."""

import pytest

from exbo_oauth import StoreError, StoreKey
from exbo_oauth.stores.claims import UnansweredClaims
from exbo_oauth.testing.store_suite import APP


def fail(owners: tuple[str, ...]) -> bool:
    raise StoreError("no answer")


def ask_in_vain(unanswered: UnansweredClaims, key: StoreKey, owner: str) -> None:
    with pytest.raises(StoreError):
        unanswered.asked(key, owner, fail)


def owners_of(unanswered: UnansweredClaims, key: StoreKey, *, taken: bool = True) -> tuple[str, ...]:
    """For whom the next one asks."""
    seen: list[tuple[str, ...]] = []
    unanswered.asked(key, "next", lambda owners: seen.append(owners) or taken)
    return seen[0]


def test_the_next_one_asks_for_all_who_got_no_answer_until_somebody_has_it() -> None:
    unanswered = UnansweredClaims()
    ask_in_vain(unanswered, APP, "first")
    ask_in_vain(unanswered, APP, "second")
    assert owners_of(unanswered, APP, taken=False) == ("next", "second", "first")
    assert owners_of(unanswered, APP) == ("next", "second", "first")
    assert owners_of(unanswered, APP) == ("next",)


def test_a_server_that_is_away_for_long_does_not_fill_the_memory() -> None:
    unanswered = UnansweredClaims()
    for number in range(2000):
        ask_in_vain(unanswered, APP, f"owner-{number}")
    assert len(owners_of(unanswered, APP)) < 20
    keys = [StoreKey("https://exbo.net/oauth", "59", str(number)) for number in range(2000)]
    for key in keys:
        ask_in_vain(unanswered, key, "me")
    remembered = [key for key in keys if owners_of(unanswered, key) == ("next", "me")]
    assert remembered == keys[-1000:]

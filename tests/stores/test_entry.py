"""What a stored entry is read from: what cannot be one is refused before anything is done with it."""

import json

import pytest

from exbo_oauth import ConfigurationError, StoreError, StoreKey
from exbo_oauth.stores import Entry
from exbo_oauth.stores.key_text import key_in, text_of_key
from exbo_oauth.testing.store_suite import app_entry, user_entry

DAMAGE = {
    "kind unknown": {"kind": "king"},
    "kind no name": {"kind": []},
    "no token": {"token": None},
    "token of the other kind": {"kind": "user", "token": app_entry(1).token.to_dict()},
    "revision no number": {"revision": "seven"},
    "revision infinite": {"revision": float("inf")},
    "moment without offset": {"issued_at": "2026-06-01T12:00:00"},
    "moment no text": {"issued_at": 5},
    "moment no moment": {"issued_at": "yesterday"},
}


NOTES = ("superseded", "accepted_at", "history", "doubted", "followed")


@pytest.mark.parametrize("entry", [app_entry(1), user_entry(2)], ids=["app", "user"])
def test_an_entry_survives_json(entry: Entry) -> None:
    assert Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="not a stored token entry"):
        Entry.from_dict(user_entry(1).to_dict() | damage)


# As a later version may write them, or an earlier one.
OTHER_NOTES: dict[str, dict[str, object]] = {
    "none": {},
    "unknown": {"weather": {"in": ["the", "zone"]}},
    "null": dict.fromkeys(NOTES),
    "another shape": {name: {"version": 2} for name in NOTES},
    "numbers": dict.fromkeys(NOTES, 5),
    "moments without an offset": {"superseded": ["2026-06-01T12:00:00"], "accepted_at": "2026-06-01T12:00:00"},
    "more in each": {"history": [{"by": "web-1"}], "doubted": [["host", "2026-06-01T12:00:00+00:00", "why"]]},
}


@pytest.mark.parametrize("notes", OTHER_NOTES.values(), ids=OTHER_NOTES)
def test_notes_of_another_version_cost_no_token(notes: dict[str, object]) -> None:
    entry = app_entry(1)
    written = {name: value for name, value in entry.to_dict().items() if name not in NOTES}
    assert Entry.from_dict(written | notes) == entry


def test_one_note_that_makes_no_sense_leaves_the_others() -> None:
    entry = user_entry(1)
    assert entry.superseded
    assert Entry.from_dict(entry.to_dict() | {"history": 5}).superseded == entry.superseded


@pytest.mark.parametrize("data", [None, [], 5, "entry", {}], ids=str)
def test_what_is_no_entry_at_all_is_refused(data: object) -> None:
    with pytest.raises(ConfigurationError, match="not a stored token entry"):
        Entry.from_dict(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key",
    [("\ud800", "59", None), ("https://exbo.net/oauth", "\udfff", None), ("https://exbo.net/oauth", "59", "a\ud83d")],
    ids=["base_url", "client_id", "account"],
)
def test_a_key_with_half_of_a_character_is_refused_before_any_store_sees_it(key: tuple[str, str, str | None]) -> None:
    with pytest.raises(ConfigurationError, match="half of a character"):
        StoreKey(*key)


@pytest.mark.parametrize("account", [5, b"ivan", ["ivan"], StoreKey("a", "b")], ids=str)
def test_a_key_is_text(account: object) -> None:
    with pytest.raises(ConfigurationError, match="account must be a str"):
        StoreKey("https://exbo.net/oauth", "59", account)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "5", "[]", '["a", "b"]', '["a", "b", 5]', '["a", null, "c"]', '["a", "b", "\\ud800"]']
)
def test_a_damaged_key_is_an_error(text: str) -> None:
    with pytest.raises(StoreError, match="whose key is damaged"):
        key_in(text)


def test_a_key_survives_as_text() -> None:
    key = StoreKey("https://exbo.net/oauth", "59", "Меченый ☢\0\U0010ffff")
    assert key_in(text_of_key(key)) == key

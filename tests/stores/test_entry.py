"""What a stored entry is read from: what makes no sense is refused before anything is done with it."""

import json

import pytest

from exbo_oauth import ConfigurationError
from exbo_oauth.stores import Entry
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
    "superseded without offset": {"superseded": ["2026-06-01T12:00:00"]},
    "superseded no list": {"superseded": 5},
}


@pytest.mark.parametrize("entry", [app_entry(1), user_entry(2)], ids=["app", "user"])
def test_an_entry_survives_json(entry: Entry) -> None:
    assert Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="no stored token entry"):
        Entry.from_dict(user_entry(1).to_dict() | damage)


@pytest.mark.parametrize("data", [None, [], 5, "entry", {}], ids=str)
def test_what_is_no_entry_at_all_is_refused(data: object) -> None:
    with pytest.raises(ConfigurationError, match="no stored token entry"):
        Entry.from_dict(data)  # type: ignore[arg-type]

"""What a stored entry is read from: what cannot be one is refused before anything is done with it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from exbo_oauth import ConfigurationError, StoreError, StoreKey, UserToken
from exbo_oauth.stores import Entry, Issue
from exbo_oauth.stores.entry_text import UnreadableEntry, as_json, entry_in, text_of
from exbo_oauth.stores.key_text import key_in, text_of_key
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

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


# What is on the disks of those who use this: it may grow, and must not change.
WRITTEN = {
    "kind": "user",
    "token": {
        "token_type": "Bearer",
        "access_token": "user-token",
        "refresh_token": "def502",
        "expires_at": "2027-06-01T12:00:00.123456+00:00",
    },
    "revision": 7,
    "issued_by": "host/1",
    "issued_at": "2026-06-01T12:00:00.123456+00:00",
    "superseded": ["2026-06-01T11:59:00+00:00"],
    "accepted_at": "2026-06-01T12:00:01+00:00",
    "history": [
        {
            "at": "2026-06-01T12:00:00.123456+00:00",
            "by": "host/1",
            "why": "first",
            "fingerprint": "0123abcd",
            "target": "eapi.stalcraft.net/regions",
            "taken": "host",
        }
    ],
    "doubted": [["eapi.stalcraft.net", "2026-06-01T12:00:02+00:00"]],
    "followed": {
        "at": "2026-06-01T12:00:03+00:00",
        "by": "host/2",
        "why": "by hand",
        "fingerprint": "4567cdef",
        "target": "",
        "taken": "",
    },
}


def moment(second: int = 0, minute: int = 0, microsecond: int = 0) -> datetime:
    return datetime(2026, 6, 1, 12, minute, second, microsecond, tzinfo=UTC)


READ = Entry(
    token=UserToken(
        token_type="Bearer",
        access_token="user-token",
        refresh_token="def502",
        expires_in=moment(microsecond=123456).replace(year=2027),
    ),
    revision=7,
    issued_by="host/1",
    issued_at=moment(microsecond=123456),
    superseded=(moment() - timedelta(minutes=1),),
    accepted_at=moment(1),
    history=(
        Issue(
            at=moment(microsecond=123456),
            by="host/1",
            why="first",
            fingerprint="0123abcd",
            target="eapi.stalcraft.net/regions",
            taken="host",
        ),
    ),
    doubted=(("eapi.stalcraft.net", moment(2)),),
    followed=Issue(at=moment(3), by="host/2", why="by hand", fingerprint="4567cdef"),
)


def test_an_entry_is_written_and_read_in_one_form() -> None:
    assert READ.to_dict() == WRITTEN
    assert Entry.from_dict(WRITTEN) == READ


def test_an_issue_of_few_words_is_an_issue() -> None:
    at = "2026-06-01T12:00:03+00:00"
    entry = Entry.from_dict(WRITTEN | {"history": [{"at": at}], "followed": {"at": at, "why": 5}})
    assert (entry.history, entry.followed) == ((Issue(at=moment(3), by=""),), Issue(at=moment(3), by="", why="5"))


def test_notes_that_say_nothing_are_not_written() -> None:
    written = app_entry(1).to_dict()
    assert (written["kind"], written["superseded"]) == ("app", [])
    assert not {"accepted_at", "history", "doubted", "followed"} & written.keys()


NOTES = ("superseded", "accepted_at", "history", "doubted", "followed")


@pytest.mark.parametrize("entry", [app_entry(1), user_entry(2)], ids=["app", "user"])
def test_an_entry_survives_json(entry: Entry) -> None:
    assert Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Entry.from_dict(user_entry(1).to_dict() | damage)
    assert str(caught.value) == "this is not a stored token entry"


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


@pytest.mark.parametrize("name", NOTES)
def test_one_note_that_makes_no_sense_leaves_the_others(name: str) -> None:
    left = () if isinstance(getattr(READ, name), tuple) else None
    assert Entry.from_dict(WRITTEN | {name: 5}) == evolve(READ, **{name: left})


@pytest.mark.parametrize("data", [None, [], 5, "entry", {}], ids=str)
def test_what_is_no_entry_at_all_is_refused(data: object) -> None:
    with pytest.raises(ConfigurationError, match="not a stored token entry"):
        Entry.from_dict(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [("base_url", "\ud800"), ("client_id", "\udfff"), ("account", "a\ud83d")],
    ids=["first", "last", "high"],
)
def test_a_key_with_half_of_a_character_is_refused_before_any_store_sees_it(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        evolve(USER, **{name: text})
    assert str(caught.value) == (f"{name} contains half of a character (a lone surrogate), which cannot be encoded")


@pytest.mark.parametrize("name", ["base_url", "client_id", "account"])
@pytest.mark.parametrize("value", [5, b"ivan", ["ivan"], StoreKey("a", "b")], ids=str)
def test_a_key_is_text(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        evolve(USER, **{name: value})
    assert str(caught.value) == f"{name} must be a str, not {type(value).__name__}"


@pytest.mark.parametrize(
    "text", ["", "5", "[]", '["a", "b"]', '["a", "b", 5]', '["a", null, "c"]', '["a", "b", "\\ud800"]']
)
def test_a_damaged_key_is_an_error(text: str) -> None:
    with pytest.raises(StoreError, match="whose key is damaged"):
        key_in(text)


def test_a_key_survives_as_text() -> None:
    key = StoreKey("https://exbo.net/oauth", "59", "Меченый ☢\0\U0010ffff")
    assert key_in(text_of_key(key)) == key


def in_itself() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


def test_an_entry_survives_as_ascii_text() -> None:
    text = text_of(user_entry(3))
    assert text.isascii()
    assert entry_in(text, 3, USER, "the store") == user_entry(3)


@pytest.mark.parametrize("value", [{1}, b"x", {("a",): 1}, in_itself()], ids=["a set", "bytes", "a key", "a circle"])
def test_what_json_cannot_carry_is_not_stored(value: object) -> None:
    with pytest.raises(StoreError) as caught:
        as_json({"token": {"extra": value}})
    assert str(caught.value) == "this entry cannot be stored: the token's `extra` holds what JSON cannot carry"
    assert caught.value.__cause__ is None


OLGA = StoreKey(USER.base_url, "59", "Ольга's")
REMEDIES = {
    "an application's": (APP, "exbo-oauth logout --app"),
    "a user's": (USER, "exbo-oauth logout --user ivan"),
    "one to be quoted": (OLGA, """exbo-oauth logout --user 'Ольга'"'"'s'"""),
}


@pytest.mark.parametrize(("key", "command"), REMEDIES.values(), ids=REMEDIES)
@pytest.mark.parametrize(
    "stored", ["{", "[]", "[" * 100_000, text_of(app_entry(6))], ids=["no JSON", "a list", "too deep", "another's"]
)
def test_a_damaged_entry_comes_with_the_command_that_removes_it(key: StoreKey, command: str, stored: str) -> None:
    with pytest.raises(UnreadableEntry) as caught:
        entry_in(stored, 5, key, "'tokens.db'")
    assert str(caught.value) == (
        f"the entry of {key!r} in 'tokens.db' is damaged; it was left as it is. Run: {command}, to remove it"
    )
    assert (caught.value.code, caught.value.revision) == ("exbo-oauth.store.damaged", 5)


@pytest.mark.parametrize(("key", "command"), REMEDIES.values(), ids=REMEDIES)
def test_an_entry_that_another_key_would_open_is_not_to_be_removed_at_once(key: StoreKey, command: str) -> None:
    error = UnreadableEntry("none of the keys opens it", key, 7, sealed=True)
    assert str(error) == (
        f"none of the keys opens it; it was left as it is. If that key is lost for good, {command} removes it"
    )
    assert (error.code, error.revision) == ("exbo-oauth.store.key", 7)

"""From JSON to attrs classes and back: how strict that is, and what is said of what does not fit."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from attrs import field, frozen

from exbo_oauth import ConfigurationError, StoreError
from exbo_oauth.converter import structured, unstructured
from exbo_oauth.masking import Secret

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NUMBER = UUID("c7e2f0f4-5b0e-4f4f-9c3a-0d8d3a0b6f11")


@frozen
class Inner:
    name: str


def checked(_: object, __: object, value: str) -> None:
    if value in REASONS:
        raise REASONS[value]


REASONS: dict[str, Exception] = {
    "ours": ConfigurationError("too rude"),
    "ours of another kind": StoreError("some-token"),
    "a value's": ValueError("some-token"),
    "a type's": TypeError("some-token"),
}


def hidden(value: Any) -> Secret[Any]:
    return value if isinstance(value, Secret) else Secret(value)


@frozen
class Whole:
    text: str = "text"
    number: int = 5
    truth: bool = True
    uuid: UUID = NUMBER
    moment: datetime = NOON
    maybe: str | None = None
    secret: Secret = field(
        default=Secret("hidden"), converter=lambda value: value if isinstance(value, Secret) else Secret(value)
    )
    more: Secret[dict[str, Any]] = field(
        default=Secret({"a": 1}), converter=lambda value: value if isinstance(value, Secret) else Secret(value)
    )
    _private: str = "private"
    inner: Inner = Inner("inner")
    checked: str = field(default="fine", validator=checked)


@frozen
class Needy:
    text: str
    _private: int


READ: dict[str, tuple[str, object, object]] = {
    "a text": ("text", "x", "x"),
    "a number": ("number", 7, 7),
    "a number in digits": ("number", "7", 7),
    "a number with a point": ("number", 7.0, 7),
    "a truth": ("truth", False, False),
    "a UUID": ("uuid", NUMBER, NUMBER),
    "a UUID as text": ("uuid", str(NUMBER), NUMBER),
    "a moment": ("moment", NOON, NOON),
    "what a model will make a moment of": ("moment", "soon", "soon"),
    "no text": ("maybe", None, None),
    "a text that may be": ("maybe", "x", "x"),
    "a number for a text that may be": ("maybe", 5, "5"),
    "a secret": ("secret", "x", Secret("x")),
    "secret values": ("more", {"b": [None]}, Secret({"b": [None]})),
    "a private field by its public name": ("private", "x", "x"),
    "an object": ("inner", {"name": "x"}, Inner("x")),
}


@pytest.mark.parametrize(("name", "sent", "expected"), READ.values(), ids=READ)
def test_what_fits_is_read(name: str, sent: object, expected: object) -> None:
    whole = structured({name: sent}, Whole)
    assert isinstance(whole, Whole)
    found = getattr(whole, "_private" if name == "private" else name)
    assert (found, type(found)) == (expected, type(expected))


REFUSED: dict[str, tuple[str, object, str]] = {
    "null": ("text", None, "expected a string, got null"),
    "a boolean": ("text", True, "expected a string, got a boolean"),
    "an object": ("text", {}, "expected a string, got an object"),
    "an array": ("text", [], "expected a string, got an array"),
    "a number": ("text", 5, "expected a string, got a number"),
    "a fraction": ("text", 0.5, "expected a string, got a number"),
    "what JSON does not have": ("text", b"x", "expected a string, got bytes"),
    "a word for a number": ("number", "x", "expected a whole number, got a string"),
    "a boolean for a number": ("number", True, "expected a whole number, got a boolean"),
    "null for a number": ("number", None, "expected a whole number, got null"),
    "half a number": ("number", 5.5, "expected a whole number, got a fraction"),
    "an endless number": ("number", float("inf"), "expected a whole number, got a number"),
    "a number for a truth": ("truth", 1, "expected a boolean, got a number"),
    "a word for a UUID": ("uuid", "x", "expected a UUID"),
    "a number for a UUID": ("uuid", 5, "expected a string, got a number"),
    "a boolean for a text that may be": ("maybe", True, "expected a string, got a boolean"),
    "a list for a text that may be": ("maybe", [], "expected a string, got an array"),
    "a number for a secret": ("secret", 5, "expected a string, got a number"),
    "a number in private": ("private", 5, "expected a string, got a number"),
    "what a class refuses in our words": ("checked", "ours", "too rude"),
    "what a class refuses in others' words": ("checked", "ours of another kind", "does not fit"),
    "what a class refuses for its value": ("checked", "a value's", "does not fit"),
    "what a class refuses for its type": ("checked", "a type's", "does not fit"),
}


@pytest.mark.parametrize(("name", "sent", "told"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_named_with_its_place(name: str, sent: object, told: str) -> None:
    found = structured({name: sent}, Whole)
    assert isinstance(found, str)
    assert found.startswith(f"{told} @ $")
    assert name == "checked" or found == f"{told} @ $.{name}"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"private": 5}, "missing @ $.text"),
        ({"text": "x"}, "missing @ $.private"),
        ({"text": "x", "private": "y"}, "expected a whole number, got a string @ $.private"),
    ],
    ids=["a field", "a private field", "what a private field holds"],
)
def test_what_is_missing_is_named(sent: dict[str, Any], told: str) -> None:
    assert structured(sent, Needy) == told


def test_what_is_wrong_within_is_named_by_its_path() -> None:
    assert structured({"inner": {"name": 5}}, Whole) == "expected a string, got a number @ $.inner.name"
    assert structured({"inner": {}}, Whole) == "missing @ $.inner.name"


def test_an_object_is_written_as_json_can_carry_it() -> None:
    assert unstructured(Whole()) == {
        "text": "text",
        "number": 5,
        "truth": True,
        "uuid": str(NUMBER),
        "moment": "2026-06-01T12:00:00+00:00",
        "maybe": None,
        "secret": "hidden",
        "more": {"a": 1},
        "private": "private",
        "inner": {"name": "inner"},
        "checked": "fine",
    }

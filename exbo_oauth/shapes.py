"""What an answer's values have to be like to stand in our classes as they are, which nearly all of them do.

Those that are not (a number in digits, a field that is missing or of another type) are the business of `converter`,
which loads cattrs: what fits is read several times faster without it, and a program's first token needs none of it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from attrs import fields

from .masking import Secret

__all__ = ["fitting", "written"]

T = TypeVar("T")

_NEVER = frozenset[type]()
_FITTING: dict[Any, frozenset[type]] = {
    str: frozenset({str}),
    Secret: frozenset({str}),
    int: frozenset({int}),
    UUID: frozenset({UUID}),
    datetime: frozenset({datetime}),
    str | None: frozenset({str, type(None)}),
    int | None: frozenset({int, type(None)}),
    datetime | None: frozenset({datetime, type(None)}),
}


_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})


@cache
def _fields(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    """Of each field its name, what it is called in an answer, and its type."""
    return tuple((known.name, str(known.alias), known.type) for known in fields(kind))


@cache
def _shape(kind: Any) -> dict[str, frozenset[type]]:
    """Which types of value fit each field, by what it is called in an answer."""
    return {alias: _FITTING.get(declared, _NEVER) for _, alias, declared in _fields(kind) if alias != "extra"}


def fitting(kind: Callable[..., T], data: Mapping[str, Any]) -> T | None:
    """`data` as a `kind` if each of its values fits, with the fields that `kind` does not know as its ``extra``."""
    shape = _shape(kind)
    known: dict[str, Any] = {}
    more: dict[str, Any] = {}
    try:
        for name, value in data.items():
            fit = shape.get(name)
            if fit is None:
                more[str(name)] = value
            elif type(value) in fit:
                known[name] = value
            elif UUID in fit:
                known[name] = UUID(value)
            else:
                return None
        known["extra"] = more
        return kind(**known)
    except Exception:  # noqa: BLE001  # one is missing, or a check of the class's own says no in any way
        return None


def written(value: Any, other: Callable[[Any], Any]) -> dict[str, Any]:
    """The fields of `value` as JSON takes them, by what they are called in an answer; `other` writes odd values."""
    return {alias: _plain(getattr(value, name), other) for name, alias, _ in _fields(value.__class__)}


def _plain(value: Any, other: Callable[[Any], Any]) -> Any:
    if value.__class__ in _AS_THEY_ARE:
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else other(value)

"""The one converter between the server's JSON and our classes.

cattrs does the work; this module only says how strict to be. A string must be a string, a number may come as digits,
and of what does not fit it is said what and where (``$.expires_in``), never the value, which could be a token.
Imported when first used: cattrs takes longer to load than the rest of the package.
"""

from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_origin
from uuid import UUID

from attrs import has
from cattrs import Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from .masking import Secret

__all__ = ["structured", "unstructured"]

T = TypeVar("T")


class _Wrong(ValueError):
    """Raised by our hooks; its text is fit to be shown."""


def _named(value: object) -> str:
    kinds: dict[type, str] = {
        type(None): "null",
        bool: "a boolean",
        dict: "an object",
        list: "an array",
        str: "a string",
    }
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _text(value: object, _: object) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"expected a string, got {_named(value)}")
    return value


def _integer(value: object, _: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Wrong(f"expected a whole number, got {_named(value)}")
    try:
        number = int(value)
    except (ValueError, OverflowError):
        raise _Wrong(f"expected a whole number, got {_named(value)}") from None
    if isinstance(value, float) and not value.is_integer():
        raise _Wrong("expected a whole number, got a fraction")
    return number


def _truth(value: object, _: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"expected a boolean, got {_named(value)}")
    return value


def _uuid(value: object, _: object) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(_text(value, str))
    except ValueError as error:
        raise error if isinstance(error, _Wrong) else _Wrong("expected a UUID") from None


def _as_it_is(value: object, _: object) -> object:
    # A moment is one already: only a model knows what it counts from. `extra` may hold anything.
    return value


def _optional_text(value: object, _: object) -> str | None:
    # EXBO documents distributor_id as a string; a number there is the same id in other clothes.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is None else _text(value, str)


def _told(error: BaseException, _: type | None) -> str:
    if isinstance(error, _Wrong):
        return str(error)
    if isinstance(error, KeyError):
        return "missing"
    return str(error) if isinstance(error, ValueError) and type(error).__module__ == "exbo_oauth" else "does not fit"


def _made(*, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(bool, _truth)  # of a sandbox's saved state
    converter.register_structure_hook(UUID, _uuid)
    converter.register_structure_hook(datetime, _as_it_is)
    converter.register_structure_hook(str | None, _optional_text)
    converter.register_structure_hook_func(lambda kind: kind is Secret, _text)
    converter.register_structure_hook_func(lambda kind: kind == Secret[dict[str, Any]], _as_it_is)
    converter.register_structure_hook_factory(
        has, lambda kind: make_dict_structure_fn(kind, converter, _cattrs_use_alias=True)
    )
    converter.register_unstructure_hook(UUID, str)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook_func(lambda kind: Secret in (kind, get_origin(kind)), Secret.reveal)
    converter.register_unstructure_hook_factory(
        has, lambda kind: make_dict_unstructure_fn(kind, converter, _cattrs_use_alias=True)
    )
    return converter


_quick = _made(detailed=False)
_explaining = cache(lambda: _made(detailed=True))  # what does not fit is read once more, to say why


def structured(data: dict[str, Any], kind: type[T]) -> T | str:
    """`data` as a `kind`, or what is wrong with it and where: ``missing @ $.login``."""
    try:
        return _quick.structure(data, kind)
    except Exception:  # noqa: BLE001, S110  # the first of whatever did not fit
        pass
    try:
        return _explaining().structure(data, kind)
    except Exception as error:  # noqa: BLE001  # a group of it
        # Our classes' own checks name the field themselves, so the first path is the most exact one.
        message, path, *_ = transform_error(error, format_exception=_told)[0].split(" @ ")
        return f"{message} @ {path.replace('._', '.')}"


def unstructured(value: object) -> dict[str, Any]:
    """An attrs object as a dict that JSON can carry."""
    result: dict[str, Any] = _quick.unstructure(value)
    return result

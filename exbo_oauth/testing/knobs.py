"""What the server may be told, checked where it is told: each value that makes no sense is a `ConfigurationError`."""

from collections.abc import Iterable
from math import isfinite

from ..errors import ConfigurationError

__all__ = ["is_login", "login", "number", "seconds", "status", "texts", "title"]

_LONGEST_LIFE = 10_000_000_000  # 317 years: moments beyond are none that every client can express
_LONGEST_LOGIN = 64


def seconds(name: str, value: float, least: float = -_LONGEST_LIFE) -> float:
    """A span of time; with a negative lifetime things have expired when they are made."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}: pass seconds, a number")
    if not (isfinite(value) and least <= value <= _LONGEST_LIFE):
        raise ConfigurationError(f"{name} is {value!r}: pass seconds, from {least:.0f} to {_LONGEST_LIFE}")
    return value


def number(name: str, value: int, least: int = 0) -> int:
    """A whole number that counts something."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} is {value!r}: pass a whole number, {least} or more")
    return value


def status(value: int) -> int:
    """What an answer begins with (RFC 9110, section 15)."""
    if not isinstance(value, int) or isinstance(value, bool) or not 100 <= value <= 599:
        raise ConfigurationError(f"status is {value!r}: pass a number such as 503, from 100 to 599")
    return value


def texts(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """Several texts; one by itself is taken for the mistake that it is."""
    found = () if isinstance(values, str) else tuple(values)
    if isinstance(values, str) or not all(isinstance(value, str) for value in found):
        raise ConfigurationError(f"{name} is {values!r}: pass a list of str")
    return found


def title(name: str, value: str) -> str:
    """A text that is shown to people on one line."""
    if not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise ConfigurationError(f"{name} is {value!r}: pass a text that can be read, on one line")
    return value


def is_login(value: str) -> bool:
    """Whether somebody may be called so."""
    return 0 < len(value) <= _LONGEST_LOGIN and bool(value.strip()) and value.isprintable()


def login(value: str) -> str:
    """What to call a user."""
    if not (isinstance(value, str) and is_login(value)):
        raise ConfigurationError(
            f"login is {value!r}: pass a text that can be read, on one line, of {_LONGEST_LOGIN} characters at most"
        )
    return value

"""Text at the edges: what may be sent, and how another party's words are quoted in an error."""

import re

from ..errors import ConfigurationError
from ..masking import Secret, wrapped

__all__ = ["encodable", "quoted", "secret"]

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\u2027\u2030-\ud7ff\uf900-\ufdff]+")


def encodable(name: str, value: str) -> str:
    """`value`, or a `ConfigurationError` if it is no text or could not be encoded. Not for secrets."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    if not _is_encodable(value):
        raise ConfigurationError(f"{name} contains half of a character (a lone surrogate), which cannot be encoded")
    return value


def secret(name: str, value: str | Secret) -> Secret:
    """`value` wrapped, or a `ConfigurationError` that does not show it if it is empty, no text, or not encodable."""
    value = wrapped(value)
    if not isinstance(value.reveal(), str):
        raise ConfigurationError(f"{name} must be a str, not {type(value.reveal()).__name__}")
    if not value.reveal().strip():
        raise ConfigurationError(f"{name} is empty")
    if not _is_encodable(value.reveal()):
        raise ConfigurationError(f"{name} contains half of a character (a lone surrogate), which cannot be encoded")
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(text: str, limit: int = 300) -> str:
    """Another party's words, fit for one line of a log: no control characters, not endless."""
    plain = _UNPRINTABLE.sub(" ", text).strip()
    short = plain if len(plain) <= limit else f"{plain[:limit]}…"
    # The pattern is quick with long texts, and knows no character by itself, such as the soft hyphen.
    return "".join(character if character.isprintable() else " " for character in short).strip()

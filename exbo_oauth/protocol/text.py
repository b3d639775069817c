"""Text at the edges: what may be sent, and how another party's words are quoted in an error."""

from ..errors import ConfigurationError

__all__ = ["encodable", "quoted", "sendable"]

_LONGEST = 300  # characters of another party's words


def encodable(name: str, value: str) -> str:
    """`value`; a `ConfigurationError`, which does not quote it, if it is not text or could not be encoded."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{name} contains half of a character (a lone surrogate), which cannot be encoded"
        ) from None
    return value


def sendable(name: str, value: str) -> str:
    """`value`, if it is `encodable` and not empty."""
    if isinstance(value, str) and not value.strip():
        raise ConfigurationError(f"{name} is empty")
    return encodable(name, value)


def quoted(text: str) -> str:
    """Another party's words, fit for one line of a log: no control characters, not endless."""
    shown = (character if character.isprintable() else "\n" for character in text[: 2 * _LONGEST])
    plain = " ".join(part for part in "".join(shown).split("\n") if part).strip()
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"

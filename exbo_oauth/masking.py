"""Keeping secrets out of everything that people print.

A plain ``str`` in a local variable is one rendered traceback away from a log file. Whatever travels through
our own frames is therefore wrapped in `Secret`, and what a server says back to us goes through `redacted`
before it becomes part of an error text.
"""

import re
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote, quote_plus

from attrs import field, frozen

__all__ = ["MASK", "Secret", "detached", "redacted", "reveal", "wrapped"]

MASK = "***"

_ESCAPE = re.compile("%[0-9A-F]{2}")

_Error = TypeVar("_Error", bound=BaseException)


@frozen(repr=False)
class Secret:
    """A string that shows as ``***`` wherever it is rendered; `reveal` gives the text back."""

    _value: str = field()

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return MASK


def wrapped(value: "str | Secret") -> Secret:
    """`value` as a `Secret`. A frame that takes plain text rebinds its name with this before anything can fail."""
    return value if isinstance(value, Secret) else Secret(value)


def reveal(value: "str | Secret") -> str:
    """The text of a value that may or may not be wrapped."""
    return value.reveal() if isinstance(value, Secret) else value


def redacted(text: str, secrets: Iterable[Secret]) -> str:
    """`text` with every secret in it masked, also where it stands percent-encoded."""
    forms = {form for secret in secrets for form in _forms(secret.reveal())}
    # The longest first: a secret may begin with another one, whose mask would leave the rest of it standing.
    for form in sorted(forms, key=len, reverse=True):
        # A secret of a few characters would blank out ordinary words and protect nothing.
        if len(form) >= 4:
            text = text.replace(form, MASK)
    return text


def _forms(secret: str) -> set[str]:
    text = secret.encode(errors="replace")
    encoded = {quote(text), quote(text, safe=""), quote_plus(text)}
    return {secret, *encoded, *(_ESCAPE.sub(lambda escape: escape[0].lower(), form) for form in encoded)}


def detached(error: _Error) -> _Error:
    """`error` without its frames and its chain.

    Foreign frames (an HTTP library's, a parser's, a database driver's) hold request bodies and tokens as
    plain locals. As the cause of one of our errors an exception keeps its type and text, nothing else.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)

"""Reading a ``.env`` file: as much of its many dialects as settings of ours need.

A line is ``NAME=value``, with or without ``export`` before it. A value in quotes is what stands between them, and may
be followed by a comment; without quotes it ends at `` #`` or the end of the line, spaces around it dropped. Nothing
is substituted. Lines that are none of this are somebody else's and left alone.
"""

import re

__all__ = ["values_in"]

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*=
        (?:\s*"(?P<double>[^"]*)"|\s*'(?P<single>[^']*)'|\s*(?P<bare>[^'"#\s].*?)|)
        (?:\s+\#.*|\s*)""",
    re.VERBOSE,
)


def values_in(text: str) -> dict[str, str]:
    """The names and values of a ``.env`` file's text; of a repeated name the last."""
    matches = (_LINE.fullmatch(line) for line in text.removeprefix("\ufeff").splitlines())
    return {match["name"]: _value(match) for match in matches if match}


def _value(match: re.Match[str]) -> str:
    return match["double"] or match["single"] or match["bare"] or ""

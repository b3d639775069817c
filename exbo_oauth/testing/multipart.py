"""Forms in parts as PHP takes them apart (RFC 7578): parts with a file name are files, and no parameters.

It goes line by line. A part begins below a line that is the boundary and nothing else, wherever that is; a value
ends where a line begins with the boundary, or never. Of a part's head only the name counts.
"""

import re
from collections.abc import Iterator
from itertools import islice

from .php import MOST_FIELDS, Array, registered, text_of

__all__ = ["parsed_multipart"]

_BOUNDARY = re.compile(r"boundary[^=]*=(?:\"([^\"]*)\"|([^\",;][^,;]*)?)")
_BOUNDARY_IN_ANY_CASE = re.compile(_BOUNDARY.pattern, re.IGNORECASE)
_BLANKS = " \t\n\v\f\r"
# What stands in quotation marks is passed over as a whole; a backslash guards a mark of the same kind.
_PASSED = r"""(?:"(?:\\"|[^"])*"?|'(?:\\'|[^'])*'?|[^{stop}"'])*"""
_PARAMETER, _KEY = (re.compile(_PASSED.format(stop=stop), re.DOTALL) for stop in (";", "="))
_VALUE = re.compile(r"""(["'])(?P<quoted>(?:\\\\|\\\1|(?!\1).)*)|(?P<bare>[^ \t\n\v\f\r]*)""", re.DOTALL)


def parsed_multipart(kind: str, content: bytes) -> Array:
    """The parameters in a body of the content type `kind`; none if that names no boundary."""
    found: Array = {}
    boundary = _boundary(kind)
    parts = () if boundary is None else _parts(content, b"--" + boundary)
    for name, value in islice(parts, MOST_FIELDS):
        registered(found, name, text_of(value))
    return found


def _boundary(kind: str) -> bytes | None:
    match = _BOUNDARY.search(kind) or _BOUNDARY_IN_ANY_CASE.search(kind)
    return None if match is None else (match[1] or match[2] or "").encode("latin-1", "replace")


def _parts(content: bytes, line: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and value of each parameter."""
    place = 0
    while (place := _behind_line(content, line, place)) >= 0:
        head, place = _head(content, place)
        given = _disposition(head)
        if given is None:  # of a part that says nothing of itself the value is not even passed over
            continue
        if not given.keys() & {"name", "filename"}:
            return  # garbled: what comes after it is not looked at
        end = _end_of_value(content, b"\n" + line, place)
        value = content[place:end].removesuffix(b"\r") if end < len(content) else content[place:]
        if "filename" not in given:
            yield given["name"], value
        place = end


def _end_of_value(content: bytes, mark: bytes, place: int) -> int:
    """Where `mark` stands, or where it might have begun when the body was over."""
    end = content.find(mark, place)
    if end >= 0:
        return end
    last = range(max(place, len(content) - len(mark) + 1), len(content))
    return next((begin for begin in last if mark.startswith(content[begin:])), len(content))


def _head(content: bytes, place: int) -> tuple[list[str], int]:
    """The lines up to an empty one, and where that is over."""
    lines: list[str] = []
    while (end := content.find(b"\n", place)) >= 0:
        line = content[place:end].removesuffix(b"\r").partition(b"\0")[0]
        place = end + 1
        if not line:
            break
        lines.append(text_of(line))
    return lines, place


def _behind_line(content: bytes, line: bytes, place: int) -> int:
    """Where the next line like `line` is over; below zero if there is none."""
    while (end := content.find(b"\n", place)) >= 0:
        if content[place:end].removesuffix(b"\r").partition(b"\0")[0] == line:
            return end + 1
        place = end + 1
    return -1


def _disposition(head: list[str]) -> dict[str, str] | None:
    """The parameters of the header that says what a part is; None if there is none."""
    value = next((value for name, value in _headers(head) if name.lower() == "content-disposition"), None)
    return None if value is None else dict(_parameters(value.lstrip(_BLANKS)))


def _headers(lines: list[str]) -> list[tuple[str, str]]:
    """Names and values; a line without a colon, or that begins with a blank, goes on with the one before."""
    found: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and line[0] not in _BLANKS:
            found.append((name, value.lstrip(_BLANKS)))
        elif found:
            found[-1] = found[-1][0], found[-1][1] + line
    return found


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    while text:
        pair, text = _taken(_PARAMETER, text, ";")
        text = text.lstrip(_BLANKS)
        if "=" in pair:
            key, rest = _taken(_KEY, pair, "=")
            yield key.lower(), _unquoted(rest.lstrip(_BLANKS))


def _taken(pattern: re.Pattern[str], text: str, stop: str) -> tuple[str, str]:
    """What stands before a mark outside of quotation, and what behind it and its like."""
    match = pattern.match(text)
    end = len(text) if match is None else match.end()
    return text[:end], text[end:].lstrip(stop)


def _unquoted(text: str) -> str:
    match = _VALUE.match(text)
    assert match is not None  # noqa: S101  # nothing at all is a value, too
    if match["bare"] is not None:
        return match["bare"].replace("\\\\", "\\")
    return re.sub(rf"\\([\\{match[1]}])", r"\1", match["quoted"])

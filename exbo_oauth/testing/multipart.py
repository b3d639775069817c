"""Forms in parts as PHP takes them apart (RFC 7578): parts with a file name are files, and no parameters."""

import re
from collections.abc import Iterator

from .php import Array, registered, text_of

__all__ = ["parsed_multipart"]

_BOUNDARY = re.compile(r'boundary=(?:"([^"]*)"|([^;,]*))', re.IGNORECASE)
_BLANK_LINE = re.compile(rb"(?:^|\n)\r?\n")
_PARAMETER = re.compile(r""";\s*(\w+)=(?:(["'])((?:(?!\2)[^\\]|\\.)*)\2|([^;\s]*))""")


def parsed_multipart(kind: str, content: bytes) -> Array:
    """The parameters in a body of the content type `kind`; none if that names no boundary."""
    found: Array = {}
    boundary = _BOUNDARY.search(kind)
    if boundary is not None:
        for head, value in _parts(content, (boundary[1] or boundary[2] or "").strip().encode("latin-1", "replace")):
            parameters = _disposition(head)
            if "name" in parameters and "filename" not in parameters:
                registered(found, parameters["name"], text_of(value))
    return found


def _parts(content: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    """Head and body of each part; a part that nothing ends reaches to the end."""
    line = b"--" + boundary
    for part in (b"\n" + content).split(b"\n" + line)[1:]:
        if part.startswith(b"--"):
            return
        opening, _, rest = part.partition(b"\n")
        if opening not in (b"", b"\r"):
            continue  # it only begins like the boundary
        if blank := _BLANK_LINE.search(rest):
            yield text_of(rest[: blank.start()]), rest[blank.end() :].removesuffix(b"\r")


def _disposition(head: str) -> dict[str, str]:
    for line in re.sub(r"\r?\n[ \t]+", " ", head).splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            found = _PARAMETER.finditer(value)
            return {match[1].lower(): re.sub(r"\\(.)", r"\1", match[3] or "") or match[4] or "" for match in found}
    return {}

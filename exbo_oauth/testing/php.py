"""How PHP reads and writes what goes over the wire: forms, JSON, base64, blanks, HTML escapes, query strings.

Where PHP is peculiar, clients of a server that runs on it meet the peculiarity, so it is imitated here rather than
corrected. Text that is not UTF-8 is kept as it is (Python's ``surrogateescape``); lists and mappings are both arrays,
with text for keys.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from html.entities import name2codepoint
from json import JSONEncoder, loads
from math import isinf
from typing import TypeAlias
from urllib.parse import quote_plus, unquote_to_bytes

__all__ = [
    "MOST_FIELDS",
    "Array",
    "BadJSON",
    "Value",
    "as_text",
    "base64_decoded",
    "built_query",
    "escaped",
    "is_valid",
    "json_decoded",
    "json_encoded",
    "parsed_form",
    "parsed_query",
    "registered",
    "text_of",
    "trimmed",
    "trimmed_ascii",
]

Value: TypeAlias = "bool | int | float | str | dict[str, Value] | None"
Array: TypeAlias = dict[str, Value]

_ASCII_BLANKS = " \n\r\t\v\0"
# \s with UTF-8 and Unicode properties, and what Laravel adds to it: the marks that come along with pasted text.
_BLANKS = (
    "\t\n\v\f\r \0\x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000\ufeff\u200b\u200e"
)
_DEEPEST, _LOOKED_AT = 511, 32
_LARGEST, _LONGEST = 2**63, 25
MOST_FIELDS = 1000  # PHP's max_input_vars
_DEEPEST_NAME = 64  # and its max_input_nesting_level
_AMPERSAND = re.compile(r"&(?:(?P<name>[A-Za-z][A-Za-z0-9]*);|#(?P<decimal>[0-9]+);|#[xX](?P<hex>[0-9A-Fa-f]+);)?")
_COMPACT = JSONEncoder(separators=(",", ":"))
_DELETE = re.compile(r"\\\\|\\u007f")
_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_BASE64_BLANKS = re.compile(r"[ \t\n\r]")


class BadJSON(Exception):
    """Text that calls itself JSON and is not."""


def text_of(data: bytes) -> str:
    """Bytes as text; what is not UTF-8 survives."""
    return data.decode("utf-8", "surrogateescape")


def is_valid(text: str) -> bool:
    """Whether it came from UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def trimmed(text: str) -> str:
    """Laravel's trim: all kinds of blanks, unless it is not UTF-8, where only those of ASCII are known."""
    return text.strip(_BLANKS) if text.isascii() or is_valid(text) else trimmed_ascii(text)


def trimmed_ascii(text: str) -> str:
    """PHP's own trim."""
    return text.strip(_ASCII_BLANKS)


def as_text(value: "bool | float | str") -> str:
    """A scalar cast to a string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value) if isinstance(value, int) else _float_text(value)


def _float_text(value: float) -> str:
    if isinf(value):
        return "INF" if value > 0 else "-INF"
    mantissa, exponent, power = f"{value:.14G}".partition("E")
    if not exponent:
        return mantissa
    return f"{mantissa}{'' if '.' in mantissa else '.0'}E{power[0]}{power[1:].lstrip('0')}"


# Forms


def parsed_query(data: bytes) -> Array:
    """The parameters of a query string: so many, and then no more."""
    return _parsed(list(filter(None, data.split(b"&")))[:MOST_FIELDS])


def parsed_form(data: bytes) -> Array:
    """The parameters of a form. Empty ones count here, and the one that is too many is still taken."""
    return _parsed(data.split(b"&")[: MOST_FIELDS + 1])


def _parsed(pairs: Iterable[bytes]) -> Array:
    found: Array = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        registered(found, _unquoted(name), _unquoted(value))
    return found


def _unquoted(data: bytes) -> str:
    plain = data.replace(b"+", b" ")
    return text_of(unquote_to_bytes(plain) if b"%" in plain else plain)


def registered(found: Array, name: str, value: str) -> None:
    """Add a parameter as PHP does: blanks and dots in a name become ``_``, brackets make arrays, the last one wins."""
    name = name.partition("\0")[0].lstrip(" ")
    bare, bracket, rest = name.partition("[")
    if not bare:
        return
    closed = bracket and "]" in rest
    if not closed:
        bare = name.replace("[", "_")
    bare = bare.replace(" ", "_").replace(".", "_")
    if not closed:
        found[bare] = value
        return
    indices = _indices(rest)
    if len(indices) > _DEEPEST_NAME:
        found.pop(bare, None)
        return
    place, key = found, bare
    for index in indices:
        inner = place.get(key)
        if not isinstance(inner, dict):
            inner = place[key] = {}
        place, key = inner, _next_index(inner) if index is None else index
    place[key] = value


def _indices(rest: str) -> list[str | None]:
    """What stands in ``a][b][]``, from behind the first bracket on; None for nothing. Whatever follows is ignored."""
    indices: list[str | None] = []
    while True:
        index, _, rest = rest.partition("]")
        indices.append(None if index in ("", " ") else index)
        if not rest.startswith("[") or "]" not in rest:
            return indices
        rest = rest[1:]


def _next_index(array: Array) -> str:
    numbers = [int(key) for key in array if key.isascii() and key.isdigit() and (key == "0" or key[0] != "0")]
    return str(max(numbers, default=-1) + 1)


def built_query(parameters: Mapping[str, Value]) -> str:
    """``http_build_query``; null is left out."""
    return "&".join(_built(parameters, ""))


def _built(parameters: Mapping[str, Value], within: str) -> list[str]:
    parts: list[str] = []
    for name, value in parameters.items():
        key = f"{within}[{name}]" if within else name
        if isinstance(value, dict):
            parts += _built(value, key)
        elif value is not None:
            parts.append(f"{_quoted(key)}={_quoted('0' if value is False else as_text(value))}")
    return parts


def _quoted(text: str) -> str:
    return quote_plus(text, errors="surrogateescape").replace("~", "%7E")


# JSON


def json_decoded(content: bytes) -> Value:
    """``json_decode`` into arrays; raises `BadJSON`.

    What is nested more than 32 deep is checked and then left out: nothing looks there.
    """
    try:
        data = loads(content.decode(), parse_constant=_no_constant, parse_int=_number)
    except (ValueError, RecursionError):
        raise BadJSON from None
    _check(data)
    return _value(data, 0)


def _no_constant(name: str) -> None:
    raise BadJSON(name)


def _number(text: str) -> int | float:
    number = int(text) if len(text) < _LONGEST else float(text)
    return number if -_LARGEST <= number < _LARGEST else float(number)


def _check(data: object) -> None:
    """That it is not nested too deep, and that all of its texts are."""
    level, depth = [data], 0
    while level:
        inner: list[object] = []
        for item in level:
            if isinstance(item, str) and not is_valid(item):
                raise BadJSON("a lone surrogate")
            if isinstance(item, dict):
                inner += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                inner += item
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > _DEEPEST:
            raise BadJSON("too deep")
        level = inner


def _value(data: object, depth: int) -> Value:
    if isinstance(data, list):
        data = dict(enumerate(data))
    if isinstance(data, dict):
        return {str(key): _value(value, depth + 1) for key, value in data.items()} if depth < _LOOKED_AT else {}
    return data if isinstance(data, bool | int | float | str) else None


def json_encoded(data: object) -> bytes:
    """``json_encode`` as it is by default."""
    text = _COMPACT.encode(data).replace("/", "\\/")
    if r"\u007f" in text:  # the one character that Python escapes and PHP does not
        text = _DELETE.sub(lambda match: match[0] if match[0] == r"\\" else "\x7f", text)
    return text.encode()


# The rest


def base64_decoded(text: str, *, strict: bool) -> bytes | None:
    """``base64_decode``: without `strict` whatever is not of the alphabet is passed over, padding is never needed."""
    compact = _BASE64_BLANKS.sub("", text) if strict else text
    digits = _BASE64.sub("", compact)
    if strict and not _well_formed(compact, digits):
        return None
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]  # a last digit that is not a byte yet
    return b64decode(digits + "=" * (-len(digits) % 4))


def _well_formed(text: str, digits: str) -> bool:
    padding = text[len(digits) :]
    if not text.startswith(digits) or padding not in ("", "=", "==") or len(digits) % 4 == 1:
        return False
    return not padding or len(text) % 4 == 0


def escaped(text: str) -> str:
    """``htmlspecialchars`` that leaves entities alone; nothing is left of what is not UTF-8."""
    if not is_valid(text):
        return ""
    text = _AMPERSAND.sub(lambda match: match[0] if _is_entity(match) else f"&amp;{match[0][1:]}", text)
    for char, entity in (("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#039;")):
        text = text.replace(char, entity)
    return text


def _is_entity(match: "re.Match[str]") -> bool:
    """Whether an ampersand begins an entity of HTML 4, by name or by number."""
    if match["name"]:
        return match["name"] in name2codepoint
    number = (match["decimal"] and int(match["decimal"])) or (match["hex"] and int(match["hex"], 16)) or 0
    return match[0] != "&" and number <= 0x10FFFF

"""Reading what people wrote: text files with or without a byte order mark, secrets, and a ``.env``.

Nothing that is read here is quoted in a message: any line of it may hold a secret.
"""

import codecs
import errno
import os
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from attrs import frozen

from ..environment import API_VARIABLE, VARIABLES, install_command
from ..language import mark, tr, trn
from ..masking import Secret
from .output import Failure

__all__ = ["DotEnv", "dotenv_in", "holds_token", "looks_secret", "read_dotenv", "read_secret", "read_text", "why_not"]

# Windows PowerShell writes UTF-16 where it redirects, and editors there begin UTF-8 with a mark.
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

_KNOWN = (*VARIABLES.values(), API_VARIABLE)

_MOST = 2**16  # bytes of a ``.env``: nobody has more settings, and somebody else may have made it
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

_TOKEN = re.compile(r"^Bearer\b|^def50200|eyJ[\w-]*\.[\w-]*\.|(eyJ|def50200)[\w-]{16}", re.ASCII)
_SECRET = re.compile(r"[\w+=-]{24,}", re.ASCII)  # files whose names are as long have a dot or a slash in their path

# What systems say where nothing can be read or written, in English whatever the locale.
_PROBLEMS = (
    mark("No such file or directory"),
    mark("Permission denied"),
    mark("Is a directory"),
    mark("Not a directory"),
    mark("File exists"),
    mark("File name too long"),
    mark("File too large"),
    mark("No space left on device"),
    mark("Read-only file system"),
)


def read_text(path: Path, *, missing: str | None = None) -> str:
    """The text of a file, `missing` if there is none; raises `Failure` if it cannot be read."""
    try:
        return _decoded(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        if missing is not None:
            return missing
        problem = why_not(error)
    except (OSError, ValueError) as error:  # the latter for what is not UTF-8, or cannot be a name
        problem = why_not(error)
    if holds_token(str(path)) or looks_secret(str(path)):
        raise Failure(
            tr(
                "the name of a file was expected, and this looks like a secret, which is not repeated here: put it "
                "into a file, and give the name of that"
            )
        )
    raise Failure(tr("cannot read {path}: {problem}", path=path, problem=problem))


def holds_token(text: str) -> bool:
    """Whether there is a token or a code of EXBO's in a text that should be something else."""
    return _TOKEN.search(text) is not None


def looks_secret(text: str) -> bool:
    """Whether a text may be somebody's secret or key, pasted where something else was asked for."""
    return _SECRET.fullmatch(text) is not None


def read_secret(path: str) -> Secret:
    """The content of a file, or of standard input for ``-``, without the line end after it."""
    text = _standard_input() if path == "-" else read_text(Path(path))
    return Secret(text.rstrip("\r\n"))


def _standard_input() -> str:
    if sys.stdin is None:
        raise Failure(tr("cannot read standard input: {problem}", problem=tr("it is closed")))
    try:
        bytes_in = getattr(sys.stdin, "buffer", None)  # a stand-in for the stream may have none
        return sys.stdin.read().removeprefix("\ufeff") if bytes_in is None else _decoded(bytes_in.read())
    except (OSError, UnicodeDecodeError) as error:
        problem = why_not(error)
    raise Failure(tr("cannot read standard input: {problem}", problem=problem))


def _decoded(data: bytes, errors: str = "strict") -> str:
    marked = (encoding for mark, encoding in _MARKS.items() if data.startswith(mark) and len(data) > 2)
    encoding = next(marked, "utf-8")
    return data.decode(encoding, errors)


def why_not(error: OSError | ValueError) -> str:
    """Why a file cannot be read or written, in the user's language."""
    if isinstance(error, OSError):
        return tr(error.strerror) if error.strerror else type(error).__name__
    return tr("it is not UTF-8") if isinstance(error, UnicodeDecodeError) else str(error)


@frozen
class DotEnv:
    """A ``.env`` file as it was understood: its values by name, and in `remarks` what was not."""

    values: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def read_dotenv(path: Path) -> DotEnv:
    """What is in a ``.env`` file; nothing if there is none.

    It may be somebody else's, and in any encoding: what cannot be read is remarked upon, and is no reason to fail.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:  # a link to a device, for instance
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return dotenv_in(_decoded(data, "surrogateescape"), str(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return DotEnv({})
    except (OSError, UnicodeDecodeError) as error:
        problem = why_not(error)
    return DotEnv({}, (tr("cannot read {path}: {problem}", path=path, problem=problem),))


def dotenv_in(text: str, name: str) -> DotEnv:
    """The values in the text of a ``.env`` file called `name`, as python-dotenv reads them.

    Of a repeated name the last counts. ``${OTHER}`` stands for a value of this file only: a file that somebody else
    may have written has no business in our environment.
    """
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        get = install_command("cli")
        raise Failure(tr("reading {name} needs python-dotenv: {command}", name=name, command=get)) from None
    values, misread, missing = dict[str, str](), list[int](), list[str]()
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and not _NAME.fullmatch(binding.key)):
            misread.append(binding.original.line + _blank_lines(binding.original.string))
        elif binding.key is not None:
            value = None if binding.value is None else _filled_in(binding.value, values)
            if value is not None:
                values[binding.key] = value
            elif binding.key in _KNOWN:
                missing.append(binding.key)
    return DotEnv(values, (*_remarks(name, misread, missing), *_misspelt(name, values)))


def _misspelt(name: str, values: Mapping[str, str]) -> Iterator[str]:
    """What is to be said of names that are nobody's, and look like one of ours."""
    for given in values:
        meant = get_close_matches(given.upper(), _KNOWN, n=1, cutoff=0.85)
        if meant and given not in _KNOWN:
            yield tr(
                "{name} has a name that nothing reads and that looks like {known}: check its spelling",
                name=name,
                known=meant[0],
            )


def _blank_lines(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")


def _filled_in(value: str, values: Mapping[str, str]) -> str | None:
    """`value` with ``${OTHER}`` replaced; None if there is no OTHER, and nothing to take in its place.

    Also None for what would grow beyond measure: each line may double what the one before says.
    """
    from dotenv.variables import Variable, parse_variables

    atoms = list(parse_variables(value))
    unknown = any(isinstance(atom, Variable) and atom.default is None and atom.name not in values for atom in atoms)
    parts = [] if unknown else [atom.resolve(values) for atom in atoms]
    return None if unknown or sum(map(len, parts)) > _MOST else "".join(parts)


def _remarks(name: str, misread: list[int], missing: list[str]) -> Iterator[str]:
    if misread:
        yield trn(
            "{name}, line {lines}: not understood and left out (a line is NAME=value; put quotes around a value with "
            "spaces, quotes or # in it)",
            "{name}, lines {lines}: not understood and left out (a line is NAME=value; put quotes around a value with "
            "spaces, quotes or # in it)",
            len(misread),
            name=name,
            lines=", ".join(map(str, misread)),
        )
    for variable in missing:
        yield tr(
            "{name} gives {variable} no value: it was left out (${{OTHER}} is replaced by what the same file says "
            "above, and by nothing else)",
            name=name,
            variable=variable,
        )

"""What commands say: results on standard output, problems in one line on standard error.

Color appears on terminals only and never with ``NO_COLOR``; signs that the terminal's encoding lacks are written in
ASCII. `Failure` ends a command with exit code 1 and one line. Streams that are closed or full are nobody's traceback.
rich loads when the first table is drawn.
"""

import errno
import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from io import TextIOBase
from typing import TYPE_CHECKING, Any, TypeVar

from ..language import tr
from ..meaning import meaning_of

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "PROGRAM",
    "ROOMY",
    "Failure",
    "between_words",
    "busy",
    "console",
    "ended",
    "one_line",
    "prepare_streams",
    "progressing",
    "say",
    "say_aside",
    "say_error",
    "say_json",
    "say_problem",
    "say_wrapped",
    "shown",
    "sign",
]

PROGRAM = "exbo-oauth"
ROOMY = 70
"""The columns from which on a table has room for all that it could hold."""

T = TypeVar("T")

_FULL = {errno.EBADF, errno.EFBIG, errno.EIO, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SPACES = "\n\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_ASCII = {"✓": "ok", "✗": "FAILED"}


class Failure(Exception):
    """The command did not do what was asked: the one line that says why and what to do. Exit code 1.

    `error` is the library's, if the line says in another language what that says in English.
    """

    def __init__(self, text: str, error: Exception | None = None) -> None:
        super().__init__(text)
        self.error = error


class _Closed(TextIOBase):
    """Standard output where the process was given none: whatever is written there is missed by somebody."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.EBADF, tr("it is closed"))


class _Nowhere(TextIOBase):
    """Standard error where there is none. Python would print to standard output in its place."""

    def write(self, text: str, /) -> int:
        return len(text)


def prepare_streams() -> None:
    """Make the standard streams safe to use, whatever became of them before this process began.

    A character that the console's encoding lacks is written as its number.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _occupy()
    sys.stdout = _Closed() if sys.stdout is None else sys.stdout
    sys.stderr = _Nowhere() if sys.stderr is None else sys.stderr
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _occupy() -> None:
    """Put something in the place of closed streams, or the next file that is opened would be taken for one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def sign(text: str) -> str:
    """One of our signs, or its ASCII form where the output's encoding lacks it."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        return _ASCII[text]
    return text


def one_line(text: object) -> str:
    """`text` without line breaks and doubled spaces."""
    return " ".join(str(text).split())


def shown(text: str) -> str:
    """`text` as a terminal can be given it: a name that a stranger chose may hold its control characters."""
    return "".join(char if char.isprintable() or char in _SPACES else ascii(char)[1:-1] for char in text)


def say(text: str) -> None:
    """One line on standard output. Programs get it as it is."""
    print(shown(text) if sys.stdout.isatty() else text, flush=True)  # what a command line is for


def say_wrapped(text: str, indent: int = 0, tell: Callable[[str], None] = say) -> None:
    """A long line, broken between words where a terminal would break it within one; programs get it as it is.

    What follows the first line stands `indent` columns in. `tell` is `say` or `say_aside`.
    """
    if not sys.stdout.isatty():
        tell(text)
        return
    from shutil import get_terminal_size

    tell(between_words(text, max(get_terminal_size().columns, 2 * indent), " " * indent))


def between_words(text: str, width: int, indent: str, first: str = "") -> str:
    """`text` in lines of `width` columns, broken between words only: a path or an address stays whole."""
    from textwrap import fill

    return fill(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def say_aside(text: str) -> None:
    """One line on standard error that is not a problem: what to do next, what is being waited for."""
    try:
        print(shown(text), file=sys.stderr, flush=True)  # what a command line is for
    except (OSError, ValueError):  # nobody can be told
        _abandon(sys.stderr)


def say_problem(text: object) -> None:
    """One line on standard error."""
    say_aside(f"{PROGRAM}: {one_line(text)}")


def say_error(error: Exception, told: str | None = None) -> None:
    """What `error` means in the user's language, and beneath it what it says in English.

    In English, and for errors of others, it is `told` alone, by default the error's text.
    """
    explained = meaning_of(error)
    first = explained or (str(error) if told is None else told)
    say_problem(first)
    quoted = error.error if isinstance(error, Failure) else error if explained is not None else None
    if quoted is not None and one_line(quoted) not in one_line(first):
        say_aside(str(quoted))


def say_json(value: Any) -> None:
    """One JSON document on standard output, indented for people if they are looking."""
    say(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def ended(work: Callable[[], T], otherwise: T) -> T:
    """What `work` gives; `otherwise` if standard output did not take what it said, quiet if that is a closed pipe."""
    try:
        result = work()
        sys.stdout.flush()
    except OSError as error:
        if not _is_about_output(error):
            raise
        if not _is_broken_pipe(error):
            say_problem(tr("cannot write to standard output: {problem}", problem=error.strerror))
        _abandon(sys.stdout)
        return otherwise
    return result


def _is_about_output(error: OSError) -> bool:
    # Without a buffer nothing is left to be flushed: then the kind of error has to do.
    return _is_broken_pipe(error) or (error.filename is None and (error.errno in _FULL or not _flushes()))


def _flushes() -> bool:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def _is_broken_pipe(error: OSError) -> bool:
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def _abandon(stream: Any) -> None:
    """Let what is still buffered go nowhere: the interpreter would complain of it on its way out."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def busy(what: str) -> Generator[None]:
    """Say on a terminal's standard error that something takes its time, and take it back."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status(f"{what} ...", spinner="line"):
        yield


@contextmanager
def progressing(what: str, count: Callable[[], int]) -> Generator[Callable[[], object]]:
    """A bar on a terminal's standard error; what it gives is to be called for each of `count` steps."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=count())
        yield lambda: bar.advance(task)


def console() -> "Console":
    """The console of rich on standard output. A pipe gets 80 columns unless ``COLUMNS`` says otherwise."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 80
    return Console(highlight=False, width=width)

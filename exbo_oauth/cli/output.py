"""What commands say: results on standard output, problems in one line on standard error.

Colours appear on terminals only and never with ``NO_COLOR``; signs that the terminal's encoding lacks are written in
ASCII. `Failure` ends a command with exit code 1 and one line. rich loads when the first table is drawn.
"""

import errno
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "PROGRAM",
    "Failure",
    "busy",
    "console",
    "one_line",
    "prepare_streams",
    "say",
    "say_aside",
    "say_json",
    "say_problem",
    "sign",
    "silenced",
]

PROGRAM = "exbo-oauth"

_ASCII = {"✓": "ok", "✗": "FAILED"}


class Failure(Exception):
    """The command did not do what was asked: the one line that says why and what to do. Exit code 1."""


def prepare_streams() -> None:
    """Never fail over a character that the console's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


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


def say(text: str) -> None:
    """One line on standard output."""
    print(text, flush=True)  # what a command line is for


def say_aside(text: str) -> None:
    """One line on standard error that is no problem: what to do next, what is being waited for."""
    print(text, file=sys.stderr)  # what a command line is for


def say_problem(text: object) -> None:
    """One line on standard error."""
    say_aside(f"{PROGRAM}: {one_line(text)}")


def say_json(value: Any) -> None:
    """One JSON document on standard output, indented for people if they are looking."""
    say(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def silenced(error: Exception) -> bool:
    """Whether `error` says that nobody reads our output any more. What is left of it goes nowhere then."""
    if not isinstance(error, BrokenPipeError) and not _is_windows_broken_pipe(error):
        return False
    # Or the interpreter would complain on its way out about what is still buffered.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _is_windows_broken_pipe(error: Exception) -> bool:
    return os.name == "nt" and isinstance(error, OSError) and error.errno == errno.EINVAL


@contextmanager
def busy(what: str) -> Generator[None]:
    """Say on a terminal's standard error that something takes its time, and take it back."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status(f"{what} ...", spinner="line"):
        yield


def console() -> "Console":
    """The console of rich on standard output. A pipe gets 80 columns unless ``COLUMNS`` says otherwise."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 80
    return Console(highlight=False, width=width)

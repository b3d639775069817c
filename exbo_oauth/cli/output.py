"""What commands say: results on standard output, problems in one line on standard error.

Colours appear on terminals only and never with ``NO_COLOR``; signs that the terminal's encoding lacks are written in
ASCII. `Failure` ends a command with exit code 1 and one line. rich loads when the first table is drawn.
"""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Failure", "console", "one_line", "prepare_streams", "say_json", "say_problem", "sign"]

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


def say_problem(text: object) -> None:
    """One line on standard error."""
    print(f"{PROGRAM}: {one_line(text)}", file=sys.stderr)  # noqa: T201  # what a command line is for


def say_json(value: Any) -> None:
    """One JSON document on standard output, indented for people if they are looking."""
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=True))  # noqa: T201


def console() -> "Console":
    """The console of rich on standard output. A pipe gets 80 columns unless ``COLUMNS`` says otherwise."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 80
    return Console(highlight=False, width=width)

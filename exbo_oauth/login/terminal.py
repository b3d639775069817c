"""A line from the terminal, given up as soon as nobody needs it any more.

A thread that sits in ``input()`` cannot be called off: it would swallow the next line that the user types, and on a
pipe it crashes the interpreter as that ends. So standard input is watched, and read only when there is something to
read, byte by byte, so that what follows the line is left to whoever reads next.
"""

import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from attrs import define, field

__all__ = ["Keyboard", "Lines", "Terminal", "standard_input", "terminal"]

_PAUSE = 0.1  # seconds between two looks at whether anybody still waits
_MAX_LINE = 64 * 1024


class Terminal(Protocol):
    """Reads lines until `leave` is called, from any thread."""

    def read_line(self) -> str | None:
        """The next line without its end; None if no more will come."""

    def leave(self) -> None:
        """Make `read_line` return None soon, now and ever after."""


def terminal() -> Terminal | None:
    """The terminal that standard input is, if it is one."""
    descriptor = _descriptor()
    if descriptor is None or not os.isatty(descriptor):
        return None
    return _keyboard() if sys.platform == "win32" else Lines(descriptor)


def standard_input() -> Terminal | None:
    """Standard input, whatever it is; None where only ``input()`` can read it."""
    descriptor = _descriptor()
    return None if descriptor is None or sys.platform == "win32" else Lines(descriptor)


def _descriptor() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # no standard input, or a stand-in for it
        return None


@define(eq=False, repr=False)
class Lines:
    """A POSIX terminal, which edits lines itself and hands them out when they are complete, or a pipe."""

    descriptor: int
    _left: threading.Event = field(factory=threading.Event)

    def read_line(self) -> str | None:
        text = b""
        while (byte := self._next_byte()) != b"\n":
            if not byte or len(text) > _MAX_LINE:
                return None
            text += byte
        return text.decode(errors="replace")

    def _next_byte(self) -> bytes:
        """Nothing at the end of input, or when we are to leave."""
        try:
            while not self._left.is_set():
                readable, _, _ = select.select([self.descriptor], [], [], _PAUSE)
                if readable and self._is_ours() and not self._left.is_set():
                    return os.read(self.descriptor, 1)
        except OSError:  # hung up
            pass
        return b""

    def _is_ours(self) -> bool:
        """Whether we are in the foreground: a background job that reads its terminal is stopped by the system."""
        try:
            # These exist on POSIX only, and so do their types.
            ours: bool = os.tcgetpgrp(self.descriptor) == os.getpgrp()  # type: ignore[attr-defined,unused-ignore]
        except OSError:  # not the terminal of our session: nobody controls jobs there
            return True
        if not ours:
            self._left.wait(_PAUSE)
        return ours

    def leave(self) -> None:
        self._left.set()


@define(eq=False, repr=False)
class Keyboard:
    """A Windows console, where nothing can be waited for but keys, and nobody else edits the line."""

    is_pressed: Callable[[], bool]
    next_key: Callable[[], str]
    echo: Callable[[str], object]
    _left: threading.Event = field(factory=threading.Event)

    def read_line(self) -> str | None:
        text = ""
        while (key := self._key()) not in (None, "\r", "\n"):
            if key in ("\0", "\xe0"):  # an arrow or a function key: its second half says which
                self.next_key()
            elif key == "\b":
                self.echo("\b \b" if text else "")
                text = text[:-1]
            elif key.isprintable() and len(text) < _MAX_LINE:
                self.echo(key)
                text += key
        self.echo("\r\n")
        return None if key is None else text

    def _key(self) -> str | None:
        while not self._left.is_set():
            if self.is_pressed():
                return self.next_key()
            self._left.wait(_PAUSE)
        return None

    def leave(self) -> None:
        self._left.set()


def _keyboard() -> Keyboard:  # pragma: no cover  # on Windows
    import msvcrt

    def echo(text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)

    # msvcrt exists on Windows only, and so do its types.
    return Keyboard(msvcrt.kbhit, msvcrt.getwch, echo)  # type: ignore[attr-defined,unused-ignore]

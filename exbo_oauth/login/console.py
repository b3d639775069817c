"""Words for the person at the terminal, on standard error, and never a reason to fail."""

import sys
from contextlib import suppress

__all__ = ["say"]


def say(text: str, end: str = "\n") -> None:
    """Write `text`, if there is anywhere to write it."""
    if sys.stderr is None:  # or Python would write to standard output
        return
    with suppress(OSError, ValueError):  # a broken pipe, a closed file
        print(text, end=end, file=sys.stderr, flush=True)

"""How what runs now is typed: by its name where the shell finds it, else as it was begun."""

import os
import shutil
import sys
from pathlib import Path
from shlex import quote

from .output import PROGRAM

__all__ = ["as_typed"]


def as_typed() -> str:
    """What a line begins with that runs another command of this program in a shell like the one it was begun in."""
    began, found = Path(sys.argv[0]), shutil.which(PROGRAM)
    if began.stem == PROGRAM:  # Windows may have an .exe behind it
        return PROGRAM if found is not None and Path(found).with_suffix("") == began.with_suffix("") else _word(began)
    if began.name != "__main__.py" or _is_beside_us(found):
        return PROGRAM
    python = Path(sys.executable)
    return f"{python.stem if _is_beside_us(shutil.which(python.stem)) else _word(python)} -m exbo_oauth"


def _is_beside_us(found: str | None) -> bool:
    return found is not None and Path(found).parent == Path(sys.executable).parent


def _word(path: Path) -> str:
    if os.name == "nt":  # pragma: no cover
        return f'"{path}"' if " " in str(path) else str(path)
    return quote(str(path))

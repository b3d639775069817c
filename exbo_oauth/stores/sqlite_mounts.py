"""Whether a file can be reached under another name than its own: mounted by itself into a container, or linked.

What SQLite keeps beside a database it keeps beside the name that it was given. Two names have two logs, and what
stands in one of them is not seen through the other, or vanishes with the container whose log it was.
"""

import os
import re
from pathlib import Path

__all__ = ["has_another_name", "is_mounted_alone", "risks_of"]

_MOUNTS = Path("/proc/self/mountinfo")  # Linux; the fifth field of a line is where something is mounted
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def has_another_name(file: Path) -> bool:
    """Whether `file` may be seen in a directory beside the one that it is in."""
    return file.stat().st_nlink > 1 or is_mounted_alone(file)


def is_mounted_alone(file: Path) -> bool:
    """Whether `file`, resolved, was mounted by itself, as ``docker run -v ./tokens.db:/app/tokens.db`` does."""
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return False
    places = (fields[4] for line in lines if len(fields := line.split(b" ")) > 4)
    return bytes(file) in (_ESCAPE.sub(_unescaped, place) for place in places)


def risks_of(path: Path) -> list[str]:
    """What can be lost at `path`, and what to do about it."""
    if not is_mounted_alone(Path(os.path.realpath(path))):
        return []
    risk = (
        f"{str(path)!r} is mounted by itself, without what SQLite keeps beside it; a container that is killed while it "
        "writes, and made anew, can damage it: mount the directory that it lies in instead"
    )
    return [risk]


def _unescaped(escape: "re.Match[bytes]") -> bytes:
    return bytes([int(escape[1], 8)])

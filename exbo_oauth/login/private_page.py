"""A page that leads the user's browser on, for an address that other users of the machine must not read.

What a browser is started with stands in the list of processes, and whoever has the address of a sign-in can finish it
with an account of their own: the program would be signed in as somebody else. So the browser is given the name of a
file, which only its user can read. It lies in the home directory under a name without a dot in front: a browser in a
sandbox, such as Ubuntu's Firefox, can read nothing hidden there, and nothing of ours in /tmp.
"""

import atexit
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from .pages import leading

__all__ = ["PrivatePage"]

_PREFIX, _SUFFIX = "exbo-sign-in-", ".html"
_LEFT_OVER = 600.0  # seconds: no program that lives keeps one for so long


@frozen(eq=False)
class PrivatePage:
    """One page, until it is removed."""

    path: Path

    @classmethod
    def leading_to(cls, url: str) -> "PrivatePage":
        """A page that leads to `url`; raises `OSError` where none can be kept from others."""
        home = _home()
        _clear(home)
        descriptor, name = tempfile.mkstemp(_SUFFIX, _PREFIX, home)  # with mode 0600
        page = cls(Path(name))
        atexit.register(page.remove)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
                _check_private(descriptor)
                file.write(leading(url))
        except BaseException:
            page.remove()
            raise
        return page

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return self.path.as_uri()

    def remove(self) -> None:
        """Remove it; may be called again."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        atexit.unregister(self.remove)


def _home() -> Path:
    try:
        return Path.home().absolute()
    except RuntimeError as error:  # nobody knows this user
        raise FileNotFoundError(str(error)) from None


def _check_private(descriptor: int) -> None:
    """A file system without modes (a memory stick, a share) lets others read whatever is on it."""
    if os.name == "posix" and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
        raise PermissionError("others can read what is in the home directory")


def _clear(home: Path) -> None:
    """Remove what programs left that were killed."""
    for path in home.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > _LEFT_OVER:
                path.unlink()

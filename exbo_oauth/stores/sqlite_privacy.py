"""Who besides its owner can read the files of an `SQLiteTokenStore`, or has put one of them there.

Permission bits alone do not tell. In a directory where others may create files, somebody can lay down an empty
database or an empty log with the best of modes, keep it open, and read whatever is written there later; or a link
to one of his own. A directory that nobody else can enter, on the other hand, protects what lies in it.

`group` is the operator's word that the group of the directory may share the store: then its members may own the
files, too.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from ..errors import StoreError
from ..misuse import narrowed
from .sqlite_mounts import has_another_name

__all__ = ["anothers", "check_private", "open_to_group", "sides"]

HOW_TO_SHARE = "to allow the group of its directory to share it, open it with group=True (?group=1 in a URL)"


def sides(file: Path) -> list[Path]:
    """The files that SQLite may keep beside a database; they hold tokens, too."""
    return [file.with_name(file.name + side) for side in ("-wal", "-shm", "-journal")]


def check_private(path: Path, file: Path, group: bool) -> None:
    """Raise `StoreError` if `path`, which leads to `file`, is not ours alone (with `group`, ours and the group's)."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise StoreError(f"{str(path)!r} is not a file: choose another path for the token store")
    if os.name != "posix":  # pragma: no cover (Windows)
        return
    directory, found = file.parent.stat(), dict(_found(file))
    for side, status in found.items():
        if stat.S_ISLNK(status.st_mode):
            raise StoreError(f"{str(side)!r} is a link to another place, which SQLite never makes: remove it")
    for each, status in {path: path.lstat(), **found}.items():  # a link can be another's
        if not _is_ours(status.st_uid) and not (group and _is_the_groups(status, directory)):
            raise narrowed(StoreError(_foreign(each, status)), "owner")
    _check_modes(file, found, directory, group)


def open_to_group(file: Path) -> None:
    """Give the group of the directory its rights to those files of a store that are ours to change."""
    directory = file.parent.stat()
    for each, status in _found(file):
        if status.st_uid == os.geteuid() and status.st_gid == directory.st_gid and ~status.st_mode & 0o060:
            each.chmod(stat.S_IMODE(status.st_mode) | 0o060)


def _found(file: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for each in (file, *sides(file)):
        try:
            status = each.lstat()
        except FileNotFoundError:
            continue
        yield each, status


def _is_ours(user: int) -> bool:
    """Root reads everything anyway."""
    return user in (0, os.geteuid())


def _is_the_groups(status: os.stat_result, directory: os.stat_result) -> bool:
    """Whether only a member of the directory's group can have put this file there."""
    return status.st_gid == directory.st_gid and not directory.st_mode & stat.S_IWOTH


def _check_modes(file: Path, found: dict[Path, os.stat_result], directory: os.stat_result, group: bool) -> None:
    if _is_ours(directory.st_uid) and not directory.st_mode & 0o011 and not has_another_name(file):
        return  # nobody else gets as far as to the files
    exposed = [each for each, status in found.items() if _bits(status, directory, group)]
    if not exposed:
        return
    names = " ".join(quote(str(each)) for each in exposed)
    if group:
        text = (
            f"others than the group of its directory can read the tokens in {str(file)!r}. Run: chmod o-rwx {names} "
            f"&& chgrp {directory.st_gid} {names} && chmod g+s {quote(str(file.parent))}"
        )
        raise narrowed(StoreError(text), "readable")
    text = (
        f"other users of this machine can read the tokens in {str(file)!r}; {HOW_TO_SHARE}. A "
        f"file system without permissions cannot hold them. Run: chmod 600 {names}"
    )
    raise narrowed(StoreError(text), "readable")


def _bits(status: os.stat_result, directory: os.stat_result, group: bool) -> int:
    """What those may do with a file who are to have nothing to do with it."""
    if group and not directory.st_mode & stat.S_IXOTH:
        return 0  # only the group gets as far as to the files
    allowed = stat.S_IRWXG if group and status.st_gid == directory.st_gid else 0
    return status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~allowed


def _foreign(file: Path, status: os.stat_result) -> str:
    return (
        f"{str(file)!r} belongs to another user ({_name(status.st_uid)}), who could read the tokens that are put "
        f"there: run this as that user, or remove the file if it is not yours; {HOW_TO_SHARE}"
    )


def anothers(path: Path, group: bool, problem: str) -> StoreError | None:
    """Why a file that could not be used cannot be: root's, made by a command that root ran here first, for instance.

    `problem` is what the attempt came to. A `group` may well use what another of its members owns: None.
    """
    if os.name != "posix" or group:
        return None
    file = Path(os.path.realpath(path))
    try:
        found = [(each, status.st_uid) for each, status in _found(file) if status.st_uid != os.geteuid()]
    except OSError:
        return None
    if not found:
        return None
    own, names = _name(os.geteuid()), " ".join(quote(str(each)) for each, _ in found)
    text = (
        f"{str(path)!r} belongs to another user ({_name(found[0][1])}), and this program, which runs as {own}, cannot "
        f"use it ({problem}): it has to be {own}'s. Run: sudo chown {own.removeprefix('number ')} {names}"
    )
    return narrowed(StoreError(text), "owner")


def _name(user: int) -> str:
    from pwd import getpwuid

    try:
        return getpwuid(user).pw_name
    except KeyError:
        return f"number {user}"

"""Opening the user's browser, if that can help: never raises, never waits, never takes over the terminal.

The address is printed in any case, so every doubt ends in not opening anything. What Python's `webbrowser` would start
without a display is a text browser, in the very terminal that we talk to. What opens is a page of the user's own that
leads to the address, for a command line is nobody's own.
"""

import os
import shlex
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from ..language import tr
from ..promise import Promise
from .console import say
from .private_page import PrivatePage

__all__ = ["can_open", "is_elsewhere", "show"]

_TEXT_BROWSERS = ("browsh", "elinks", "links", "links2", "lynx", "w3m", "www-browser")
_ON_THE_WAY = 60.0  # seconds: a browser that is not running yet takes a while to come to a page

# Editors that run here and show at home say so in their terminals, where `BROWSER` is a command of theirs.
_EDITORS = ("VSCODE_IPC_HOOK_CLI", "REMOTE_CONTAINERS", "CODESPACES")


def show(url: str, over: Promise[Any]) -> bool:
    """Open `url` in the user's browser, on a thread that nobody waits for; False if there is none to open.

    The page that leads there is gone a minute later, and when the sign-in is `over`.
    """
    if not can_open(os.environ, sys.platform):
        return False
    _start(_open, _unseen(url, over), url, over)
    return True


def _start(target: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=target, args=arguments, name="exbo-oauth-browser", daemon=True).start()


def _unseen(url: str, over: Promise[Any]) -> str:
    """What leads to `url` and is of no use to others; `url` itself, with a word about that, if nothing can."""
    if is_elsewhere(os.environ):
        problem = tr("the browser seems to be on another machine")
    else:
        try:
            page = PrivatePage.leading_to(url)
        except OSError as error:
            reason = error.strerror or error
            problem = tr("there can be no private page for it in the home directory ({reason})", reason=reason)
        else:
            over.when_settled(page.remove)
            _start(_remove_later, page, over)
            return page.address
    _warn(problem)
    return url


def _warn(problem: str) -> None:
    warning = tr(
        "What opens is the address itself, for {problem}. While that happens, other users of this machine can read it "
        "in the list of processes, and finish the sign-in with an account of theirs: look at the result.",
        problem=problem,
    )
    say(f"{warning}\n")


def _remove_later(page: PrivatePage, over: Promise[Any]) -> None:
    over.wait(_ON_THE_WAY)
    page.remove()


def can_open(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a window could come up where the user sees it."""
    chosen = environment.get("BROWSER", "")
    if chosen:  # the user's own choice; over SSH editors set it to a command that opens the browser at home
        return not any(_program(command) in _TEXT_BROWSERS for command in chosen.split(os.pathsep))
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return True
    remote = environment.get("SSH_CONNECTION") or environment.get("SSH_TTY")
    return platform in ("win32", "darwin") and not remote


def is_elsewhere(environment: Mapping[str, str]) -> bool:
    """Whether the browser may be one that cannot read files of this machine: Windows' beside WSL, one at home."""
    if environment.get("WSL_DISTRO_NAME"):
        return True
    remote = any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))
    shows_here = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    handed_on = environment.get("BROWSER") and any(environment.get(name) for name in _EDITORS)
    return bool(handed_on or (remote and not shows_here))


def _program(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return PurePath(words[0]).name if words else ""


def _open(page: str, url: str, over: Promise[Any]) -> None:
    import webbrowser

    with suppress(Exception):  # whatever it is, the user has the address on the screen
        code = _ended(page)
        if code is None:
            webbrowser.open(page)
        elif code and page != url and not over.settled:
            _warn(tr("the browser could not open the private page that leads to it"))
            _ended(url)


def _ended(address: str) -> int | None:
    """Run the browser if Python knows it as a command, which would write among our results on standard output.

    Its exit code, or None: the others Python starts quietly itself, or not as a process of ours at all.
    """
    import subprocess
    import webbrowser

    try:
        browser = webbrowser.get()
        if not isinstance(browser, webbrowser.GenericBrowser):
            return None
        command = [browser.name, *(argument.replace("%s", address) for argument in browser.args)]
        nowhere: Any = subprocess.DEVNULL
        # Their browser; until it has ended this thread has nothing else to do.
        return subprocess.run(  # noqa: S603
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True, check=False
        ).returncode
    except (OSError, webbrowser.Error):
        return None

"""Opening the user's browser, if that can help: never raises, never waits, never takes over the terminal.

The address is printed in any case, so every doubt ends in not opening anything. What Python's `webbrowser` would start
without a display is a text browser, in the very terminal that we talk to.
"""

import os
import shlex
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

__all__ = ["can_open", "show"]

_TEXT_BROWSERS = ("browsh", "elinks", "links", "links2", "lynx", "w3m", "www-browser")


def show(url: str) -> bool:
    """Open `url` in the user's browser, on a thread that nobody waits for; False if there is none to open."""
    if not can_open(os.environ, sys.platform):
        return False
    threading.Thread(target=_open, args=(url,), name="exbo-oauth-browser", daemon=True).start()
    return True


def can_open(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a window could come up where the user sees it."""
    chosen = environment.get("BROWSER", "")
    if chosen:  # the user's own choice; over SSH editors set it to a command that opens the browser at home
        return not any(_program(command) in _TEXT_BROWSERS for command in chosen.split(os.pathsep))
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return True
    remote = environment.get("SSH_CONNECTION") or environment.get("SSH_TTY")
    return platform in ("win32", "darwin") and not remote


def _program(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return PurePath(words[0]).name if words else ""


def _open(url: str) -> None:
    import webbrowser

    with suppress(Exception):  # whatever it is, the user has the address on the screen
        if not _started(url):
            webbrowser.open(url)


def _started(url: str) -> bool:
    """Start the browser if Python knows it as a command, which would write among our results on standard output.

    The others Python starts quietly itself, or not as a process of ours at all.
    """
    import subprocess
    import webbrowser

    try:
        browser = webbrowser.get()
        if not isinstance(browser, webbrowser.GenericBrowser):
            return False
        command = [browser.name, *(argument.replace("%s", url) for argument in browser.args)]
        nowhere: Any = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True):  # noqa: S603  # their browser
            return True  # when it has ended: this thread has nothing else to do
    except (OSError, webbrowser.Error):
        return False

"""When a browser is opened, and by whom: a real one, named in ``BROWSER``, opens the address and signs in."""

import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

from exbo_oauth.login.browser import can_open, show

from .conftest import Program, helpers, until

ROBOT = Path(__file__).with_name("robot.py")


@pytest.mark.parametrize(
    ("environment", "platform", "opens"),
    [
        pytest.param({}, "linux", False, id="a container"),
        pytest.param({"DISPLAY": ":0"}, "linux", True, id="X11"),
        pytest.param({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, id="Wayland"),
        pytest.param({"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, "linux", False, id="SSH"),
        pytest.param({"SSH_CONNECTION": "…", "DISPLAY": "localhost:10.0"}, "linux", True, id="SSH with a display"),
        pytest.param(
            {"SSH_CONNECTION": "…", "BROWSER": "/x/helpers/browser.sh"}, "linux", True, id="an editor's remote"
        ),
        pytest.param({"BROWSER": "lynx"}, "linux", False, id="a text browser"),
        pytest.param({"BROWSER": f"firefox{os.pathsep}/usr/bin/w3m %s"}, "linux", False, id="a text browser as well"),
        pytest.param({"BROWSER": '"'}, "linux", True, id="a riddle"),
        pytest.param({"BROWSER": f"firefox{os.pathsep}"}, "linux", True, id="an empty item"),
        pytest.param({}, "win32", True, id="Windows"),
        pytest.param({}, "darwin", True, id="macOS"),
        pytest.param({"SSH_TTY": "/dev/ttys001"}, "darwin", False, id="SSH to a Mac"),
    ],
)
def test_whether_a_window_could_come_up(environment: dict[str, str], platform: str, opens: bool) -> None:
    assert can_open(environment, platform) is opens


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a command the user's browser. Python looks once per process, so it has to forget that it did."""

    def use(command: str) -> None:
        monkeypatch.setenv("BROWSER", command)
        monkeypatch.setattr(webbrowser, "_tryorder", None)

    return use


def test_no_browser_is_no_error(browser: Callable[[str], None]) -> None:
    browser("/no/such/browser %s")
    assert show("https://exbo.net")
    until(lambda: not helpers(), "the thread has ended")


def test_without_a_display_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not show("https://exbo.net")


def test_the_users_browser_is_opened_and_signs_in(program: Program, browser: Callable[[str], None]) -> None:
    browser(f"{sys.executable} {ROBOT} %s")
    with program.fake.serve():
        program.start(open_browser=True)
        token = program.token()
    assert token.access_token == program.fake.issued[-1].access_token
    assert "open this address in a browser" in program.on_terminal()


@pytest.mark.skipif(sys.platform == "win32", reason="the chatting browser is a shell script")
def test_what_a_browser_says_is_not_among_our_results(
    browser: Callable[[str], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chatty, said = tmp_path / "chatty", tmp_path / "said"
    chatty.write_text(f"#!/bin/sh\necho Opening in existing browser session.\necho oops >&2\necho $1 > {said}\n")
    chatty.chmod(0o755)
    browser(f"{chatty} %s")
    assert show("https://exbo.net/?state=1")
    until(lambda: not helpers(), "the browser has ended")
    assert said.read_text() == "https://exbo.net/?state=1\n"
    assert capfd.readouterr() == ("", "")

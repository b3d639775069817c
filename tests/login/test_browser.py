"""When a browser is opened, and by whom: a real one, named in ``BROWSER``, opens the address and signs in."""

import os
import stat
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import LoginTimeoutError
from exbo_oauth.login.browser import can_open, is_elsewhere, show
from exbo_oauth.promise import Promise

from .chromium import chromium
from .conftest import Program, helpers, until
from .robot import led_to

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


@pytest.mark.parametrize(
    ("environment", "elsewhere"),
    [
        pytest.param({}, False, id="a desktop"),
        pytest.param({"BROWSER": "firefox"}, False, id="a browser of choice"),
        pytest.param({"SSH_CONNECTION": "…", "DISPLAY": "localhost:10.0"}, False, id="SSH with a display"),
        pytest.param({"SSH_TTY": "/dev/pts/1", "BROWSER": "/x/browser.sh"}, True, id="SSH"),
        pytest.param(
            {"VSCODE_IPC_HOOK_CLI": "/run/x", "BROWSER": "/x/browser.sh", "DISPLAY": ":1"}, True, id="VS Code"
        ),
        pytest.param({"REMOTE_CONTAINERS": "true", "DISPLAY": ":1"}, False, id="a container with a display"),
        pytest.param({"CODESPACES": "true", "BROWSER": "/x/browser.sh"}, True, id="a codespace"),
        pytest.param({"WSL_DISTRO_NAME": "Ubuntu", "DISPLAY": ":0"}, True, id="Windows beside WSL"),
    ],
)
def test_whether_the_browser_may_be_on_another_machine(environment: dict[str, str], elsewhere: bool) -> None:
    assert is_elsewhere(environment) is elsewhere


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, on the machine where the browser is."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("SSH_CONNECTION", "SSH_TTY", "VSCODE_IPC_HOOK_CLI", "CODESPACES", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def over() -> Any:
    """What ends the sign-in."""
    promise = Promise[Any]()
    yield promise
    promise.settle(None)
    until(lambda: not helpers(), "the threads have ended")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a command the user's browser. Python looks once per process, so it has to forget that it did."""

    def use(command: str) -> None:
        monkeypatch.setenv("BROWSER", command)
        monkeypatch.setattr(webbrowser, "_tryorder", None)

    return use


def test_no_browser_is_no_error(browser: Callable[[str], None], over: Promise[Any]) -> None:
    browser("/no/such/browser %s")
    assert show("https://exbo.net", over)


def test_a_browser_that_python_starts_itself_is_given_the_page(
    monkeypatch: pytest.MonkeyPatch, over: Promise[Any], home: Path
) -> None:
    """As on Windows and macOS, and with a Firefox or Chrome of the desktop."""
    given = list[str]()

    class Desktop(webbrowser.BaseBrowser):
        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            given.append(url)
            return True

    monkeypatch.setenv("BROWSER", "desktop")
    monkeypatch.setattr(webbrowser, "_tryorder", ["desktop"])
    monkeypatch.setattr(webbrowser, "_browsers", {"desktop": [None, Desktop("desktop")]})
    assert show("https://exbo.net/?state=1", over)
    until(lambda: given, "the browser is started")
    assert [led_to(address) for address in given] == ["https://exbo.net/?state=1"]
    assert given[0].startswith("file:")


def test_without_a_display_nothing_is_started(monkeypatch: pytest.MonkeyPatch, over: Promise[Any]) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not show("https://exbo.net", over)


def test_the_users_browser_is_opened_and_signs_in(program: Program, browser: Callable[[str], None]) -> None:
    browser(f"{sys.executable} {ROBOT} %s")
    with program.fake.serve():
        program.start(open_browser=True)
        token = program.token()
    assert token.access_token == program.fake.issued[-1].access_token
    assert "open this address in a browser" in program.on_terminal()


@pytest.fixture
def given(browser: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Starts a browser that writes down its command line, and chats; what it was given."""
    if sys.platform == "win32":
        pytest.skip("the chatting browser is a shell script")
    folder = tmp_path_factory.mktemp("browser")
    chatty, said = folder / "chatty", folder / "said"
    chatty.write_text(
        "#!/bin/sh\necho Opening in existing browser session.\necho oops >&2\n"
        f"tr '\\0' ' ' < /proc/$$/cmdline > {said}.new\nmv {said}.new {said}\n"
        if Path("/proc/self/cmdline").exists()
        else f"#!/bin/sh\necho Opening.\necho oops >&2\necho $1 > {said}.new\nmv {said}.new {said}\n"
    )
    chatty.chmod(0o755)
    browser(f"{chatty} %s")

    def read() -> str:
        until(said.exists, "the browser has started")
        return said.read_text().split()[-1]

    return read


def test_what_a_browser_says_is_not_among_our_results(
    given: Callable[[], str], over: Promise[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert show("https://exbo.net/?state=1", over)
    assert led_to(given()) == "https://exbo.net/?state=1"
    assert capfd.readouterr() == ("", "")


def test_the_command_line_of_the_browser_is_of_no_use_to_other_users(
    given: Callable[[], str], over: Promise[Any], home: Path
) -> None:
    assert show("https://exbo.net/oauth/authorize?state=kept&code_challenge=kept", over)
    assert "kept" not in given()
    [page] = home.iterdir()
    assert page.as_uri() == given()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert not page.name.startswith(".")


def test_the_page_is_gone_when_the_sign_in_is_over(program: Program, given: Callable[[], str], home: Path) -> None:
    with program.fake.serve():
        program.start(open_browser=True)
        assert led_to(given()) == program.url
        program.visit(program.callback())
        program.token()
        assert list(home.iterdir()) == []


def test_the_page_is_gone_when_nobody_came(program: Program, given: Callable[[], str], home: Path) -> None:
    program.start(open_browser=True, timeout=0.5)
    assert given().startswith("file:")
    assert isinstance(program.error(), LoginTimeoutError)
    assert list(home.iterdir()) == []


_LEAVES = """
import os
from pathlib import Path
from exbo_oauth.login.browser import show
from exbo_oauth.promise import Promise
show("https://exbo.net", Promise())
print(os.listdir(Path.home()))
"""


@pytest.mark.usefixtures("given")
def test_the_page_is_gone_when_the_program_ends(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LEAVES], check=True, timeout=120, stdout=subprocess.PIPE, text=True)
    assert "exbo-sign-in-" in done.stdout
    assert list(home.iterdir()) == []


def test_the_page_of_a_program_that_was_killed_is_removed_by_the_next_sign_in(
    given: Callable[[], str], over: Promise[Any], home: Path
) -> None:
    left, other, mine = (home / name for name in ("exbo-sign-in-a.html", "exbo-sign-in-b.html", "mine.html"))
    for path in (left, other, mine):
        path.touch()
    for path in (left, mine):
        os.utime(path, (time.time() - 3600,) * 2)
    assert show("https://exbo.net", over)
    assert sorted(home.iterdir()) == sorted([other, mine, Path(given().removeprefix("file://"))])


def without_modes(suffix: str, prefix: str, folder: Path, make: Any = tempfile.mkstemp) -> Any:
    """As on a memory stick, whose files anybody may read."""
    made = make(suffix, prefix, folder)
    Path(made[1]).chmod(0o644)
    return made


def with_no_name(patch: pytest.MonkeyPatch, _: Path) -> None:
    """As in a container that is started with a number."""
    patch.delenv("HOME")
    patch.setattr(os, "getuid", lambda: 2**31 - 7, raising=False)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(
            lambda patch, home: patch.setenv("HOME", str(home / "nowhere")), "No such file or directory", id="no home"
        ),
        pytest.param(with_no_name, "Could not determine home directory.", id="a user with no name"),
        pytest.param(
            lambda patch, _: patch.setattr(tempfile, "mkstemp", without_modes),
            "others can read what is in the home directory",
            id="files that anybody may read",
        ),
    ],
)
def test_where_there_can_be_no_page_the_address_itself_is_opened_and_said_to_be_readable(
    given: Callable[[], str],
    over: Promise[Any],
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[pytest.MonkeyPatch, Path], None],
    reason: str,
) -> None:
    spoil(monkeypatch, home)
    assert show("https://exbo.net/?state=1", over)
    assert given() == "https://exbo.net/?state=1"
    said = capfd.readouterr().err
    assert f"no private page for it in the home directory ({reason})" in said
    assert "list of processes" in said
    assert list(home.iterdir()) == []


def test_a_browser_that_fails_at_the_page_is_given_the_address_itself(
    browser: Callable[[str], None],
    over: Promise[Any],
    home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As a script does that knows http only."""
    script, said = (tmp_path_factory.mktemp("browser") / name for name in ("script.py", "said"))
    script.write_text(
        "import pathlib, sys\n"
        "if not sys.argv[1].startswith('https://'):\n    sys.exit(3)\n"
        f"pathlib.Path({str(said)!r}).write_text(sys.argv[1])\n"
    )
    browser(f"{sys.executable} {script} %s")
    assert show("https://exbo.net/?state=1", over)
    until(lambda: said.exists() and said.read_text() == "https://exbo.net/?state=1", "the address is opened")
    assert "the browser could not open the private page" in capfd.readouterr().err


def test_a_browser_at_home_is_given_the_address_itself(
    given: Callable[[], str],
    over: Promise[Any],
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VSCODE_IPC_HOOK_CLI", "/run/user/1000/vscode-ipc.sock")
    assert show("https://exbo.net/?state=1", over)
    assert given() == "https://exbo.net/?state=1"
    assert "the browser seems to be on another machine" in capfd.readouterr().err
    assert list(home.iterdir()) == []


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with chromium() as started:
        yield started


def test_a_chromium_goes_on_from_the_page_by_itself_and_does_not_tell_of_it(
    program: Program, chrome: Any, given: Callable[[], str]
) -> None:
    with program.fake.serve():
        program.start(open_browser=True)
        tab = chrome.new_page()
        complaints = list[str]()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.goto(given())
        tab.locator("button[value=ivan]").wait_for()
        assert (complaints, tab.evaluate("document.referrer")) == ([], "")
        tab.locator("button[value=ivan]").click()
        tab.locator("button.main").click()
        assert program.token().access_token == program.fake.issued[-1].access_token

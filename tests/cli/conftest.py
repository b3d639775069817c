"""Running the command line as users do: a home of its own, no EXBO variables inherited, a process where it matters."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from attrs import define, field

from exbo_oauth import AppToken, Entry, SQLiteTokenStore, StoreKey, UserToken
from exbo_oauth.__main__ import main
from exbo_oauth.cli import visitor
from exbo_oauth.language import speak
from exbo_oauth.testing import App, FakeExbo

from .. import free_ports

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def spoken() -> Iterator[None]:
    """No test speaks the language of the one before it."""
    yield
    speak(None)


@define
class Shell:
    """A fresh home and working directory, and the environment that commands run in."""

    home: Path
    environment: dict[str, str] = field(factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "exbo_oauth", *arguments]

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command: in this process, which is fast, unless a variable is meant for the interpreter itself."""
        alone = any(name.startswith("PYTHON") and name != "PYTHONIOENCODING" for name in variables)
        return (self.process if alone else self.within)(*arguments, stdin=stdin, **variables)

    def process(self, *arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """The same as a process of its own."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.home,
            env=self.environment | variables,
            timeout=120,
            check=False,
        )

    def within(self, *arguments: str, stdin: str | bytes = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """The same inside this process."""
        encoding = variables.get("PYTHONIOENCODING", "utf-8")
        streams = [TextIOWrapper(BytesIO(), encoding=encoding) for _ in range(2)]
        code = self.onto(streams[0], streams[1], *arguments, stdin=stdin, **variables)
        shown = [stream.buffer.getvalue().decode(encoding) for stream in streams if stream.flush() is None]
        return subprocess.CompletedProcess(list(arguments), code, *shown)

    def onto(self, stdout: TextIO, stderr: TextIO, *arguments: str, stdin: str | bytes = "", **variables: str) -> int:
        """The exit code of a command inside this process whose output goes to these streams."""
        typed = StringIO(stdin) if isinstance(stdin, str) else TextIOWrapper(BytesIO(stdin))
        with (
            patch.dict(os.environ, self.environment | variables, clear=True),
            patch.object(sys, "stdin", typed),
            chdir(self.home),
            redirect_stdout(stdout),
            redirect_stderr(stderr),
        ):
            return main(arguments)

    @contextmanager
    def started(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> "Iterator[subprocess.Popen[str]]":
        """A command that goes on while the block runs."""
        pipes: dict[str, Any] = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            self.command(*arguments), env=self.environment, cwd=self.home, text=True, encoding="utf-8", **pipes
        )
        try:
            yield process
            end(process)
        finally:
            process.kill()
            process.communicate()


def end(process: "subprocess.Popen[str]") -> None:
    """Press Ctrl-C, which everything that goes on ends by, so that what it reached is measured."""
    if os.name == "posix" and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # or it ignores that, too
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)


def in_a_browser(url: str, login: str = "ivan") -> httpx.Response:
    """Do what a user does at an authorize URL of the sandbox, and follow the way back to whoever listens there."""
    (redirect_uri,) = parse_qs(urlsplit(url).query)["redirect_uri"]
    with httpx.Client(trust_env=False, timeout=120) as http:
        steps, answer = visitor.sign_in(http, url, login, redirect_uri), None
        try:
            while True:
                answer = steps.send(answer)
        except StopIteration as done:
            return http.get(done.value, follow_redirects=True)


@pytest.fixture(name="free_port")
def port_to_listen_on() -> int:
    return free_ports.free_port()


@pytest.fixture
def sign_in() -> Callable[..., httpx.Response]:
    return in_a_browser


def shell_at(home: Path) -> Shell:
    needed = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
    inherited = {name: value for name, value in os.environ.items() if name in needed or name.startswith("COVERAGE_")}
    places = {name: str(home) for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")}
    settings = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    settings["EXBO_LANG"] = "en"
    return Shell(home, inherited | places | settings)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands in a home that nobody has used yet."""
    return shell_at(tmp_path)


@pytest.fixture(scope="session")
def performance(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """`exbo-oauth demo` into a pipe, once for all who look at its output."""
    return shell_at(tmp_path_factory.mktemp("demo"))("demo")


@pytest.fixture
def without(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A ``PYTHONPATH`` on which the named packages cannot be found, as if they had not been installed."""

    def hide(*names: str) -> str:
        folder = tmp_path_factory.mktemp("hiding")
        (folder / "sitecustomize.py").write_text(
            "import sys\n"
            "from importlib.machinery import PathFinder\n"
            f"HIDDEN = {names!r}\n"
            "class Finder(PathFinder):\n"
            "    @classmethod\n"
            "    def find_spec(cls, name, path=None, target=None):\n"
            "        return None if name.partition('.')[0] in HIDDEN else PathFinder.find_spec(name, path, target)\n"
            "sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]\n"
        )
        return os.pathsep.join([str(folder), str(ROOT)])

    return hide


@define
class Exbo:
    """A served sandbox, the application that the shell is configured for, and the shell's store."""

    fake: FakeExbo
    app: App
    base_url: str
    path: Path
    redirect_uri: str

    @property
    def api(self) -> str:
        return f"{self.base_url.removesuffix('/oauth')}/api"

    def grants(self) -> list[str | None]:
        """The token requests so far."""
        return [request.grant for request in self.fake.requests if request.path == "/oauth/token"]

    def key(self, account: str | None) -> StoreKey:
        return StoreKey(self.base_url, self.app.client_id, account)

    def keep(self, account: str | None, token: AppToken | UserToken, **facts: Any) -> None:
        """Put a token into the shell's store."""
        entry = {"revision": 1, "issued_by": "elsewhere:1", "issued_at": datetime.now(UTC), **facts}
        store = SQLiteTokenStore(self.path)
        assert store.swap(self.key(account), None, Entry(token=token, **entry))
        store.close()

    def stored(self, account: str | None = None) -> Entry | None:
        """What the shell's store holds."""
        store = SQLiteTokenStore(self.path)
        entry = store.load(self.key(account))
        store.close()
        return entry

    def user_token(self, login: str = "ivan", lives: float = 3600) -> UserToken:
        """A token that the sandbox has just issued to a user of the application."""
        issued = self.fake.supersede(app=self.app, user=login)
        assert issued.refresh_token is not None
        return UserToken(
            token_type="Bearer",
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            expires_in=datetime.now(UTC) + timedelta(seconds=lives),
        )


@pytest.fixture
def exbo(shell: Shell) -> Iterator[Exbo]:
    """A sandbox on a loopback port, and a shell whose environment leads to it."""
    fake, redirect_uri = FakeExbo(), f"http://localhost:{free_ports.free_port()}/back"
    app = fake.add_app("Mine", client_id=59, client_secret="a-good-secret", redirect_uris=[redirect_uri])
    path = shell.home / "tokens.db"
    with fake.serve() as base_url:
        shell.environment |= {
            "EXBO_OAUTH_URL": base_url,
            "EXBO_CLIENT_ID": app.client_id,
            "EXBO_CLIENT_SECRET": app.client_secret,
            "EXBO_REDIRECT_URI": redirect_uri,
            "EXBO_STORE": f"sqlite:///{path.as_posix()}",
        }
        yield Exbo(fake, app, base_url, path, redirect_uri)

"""``exbo-oauth sandbox``: the embedded EXBO on a loopback port, for as long as nobody presses Ctrl-C."""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import define, evolve

from ..environment import install_command
from ..errors import ConfigurationError
from ..language import tr
from ..protocol.addresses import checked_redirect_uri
from .files import read_dotenv, why_not
from .options import AsJson
from .output import Failure, say_aside, say_error
from .settings import DOTENV, Settings, settings_from

if TYPE_CHECKING:
    from ..testing import App, FakeExbo

__all__ = ["sandbox"]

CLIENT_ID = 1000
PORT = 8765
REDIRECT_URIS = (
    "http://localhost:9999/callback",
    "http://127.0.0.1:9999/callback",
    "http://localhost",
    "http://127.0.0.1",
)


class DialectName(StrEnum):
    """The server generations."""

    LEAGUE_8 = "league-8"
    LEAGUE_9 = "league-9"


class Ends(StrEnum):
    """What a new token ends."""

    ALL = "all"
    ACCESS = "access"
    NOTHING = "nothing"


def sandbox(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65535, help="0 picks a free one; by default the state's, or 8765."
        ),
    ] = None,
    dialect: Annotated[DialectName, typer.Option("--dialect", help="The server generation.")] = DialectName.LEAGUE_8,
    ends: Annotated[Ends, typer.Option("--new-token-ends", help="Which earlier tokens a new one ends.")] = Ends.ALL,
    token_ttl: Annotated[
        float, typer.Option("--token-ttl", metavar="SECONDS", min=1, help="How long tokens live.")
    ] = 31_536_000,
    latency: Annotated[float, typer.Option("--latency", metavar="SECONDS", min=0, help="Delay every answer.")] = 0.0,
    throttle: Annotated[
        int | None, typer.Option("--throttle", metavar="N", min=1, help="Token requests a minute.")
    ] = None,
    users: Annotated[
        list[str] | None, typer.Option("--add-user", metavar="LOGIN", help="One more user; may be repeated.")
    ] = None,
    apps: Annotated[
        list[str] | None, typer.Option("--add-app", metavar="NAME", help="One more application; may be repeated.")
    ] = None,
    redirect_uris: Annotated[
        list[str] | None,
        typer.Option("--redirect-uri", metavar="URI", help="Register one more, for all applications; may be repeated."),
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", metavar="FILE", help="Write the settings for it into a new file.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="Load the state from this file, and save it there.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; in a container 0.0.0.0.")
    ] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Serve an EXBO of your own on this machine.

    It has sign-in pages, tokens, /user and an /api, needs no account and reaches no network. Anybody who reaches it can
    sign in as anybody, so it listens on this machine only. Ctrl-C ends it. With --json it prints the settings, then
    every request, one JSON document a line.

      exbo-oauth sandbox
      exbo-oauth sandbox --token-ttl 60 --dialect league-9 --env-file .env
      exbo-oauth sandbox --state sandbox.json --add-app "My bot" --redirect-uri https://bot.example/callback
    """
    if not (find_spec("cryptography") and find_spec("filelock")):
        raise Failure(
            tr(
                "the sandbox needs the packages cryptography and filelock: {command}",
                command=install_command("testing"),
            )
        )
    from ..testing import FakeExbo
    from ..testing.keeping import Keeper
    from ..testing.knobs import login, title

    with _alone(state):
        if port is None:  # settings that an earlier run printed or wrote lead to where that was
            port = (None if state is None else Keeper(state).port()) or PORT
        logins = _checked("--add-user", login, users)
        names = _checked("--add-app", partial(title, "name"), apps)
        uris = _checked("--redirect-uri", checked_redirect_uri, redirect_uris)
        fake = FakeExbo(
            dialect=dialect.value,
            invalidate=None if ends is Ends.NOTHING else ends.value,  # type: ignore[arg-type]  # checked by typer
            token_ttl=token_ttl,
            latency=latency,
            throttle=throttle,
            history=10_000,
            app=_returning_first_to(uris, _application_in_use(port) or _application(CLIENT_ID, tr("Your application"))),
            state=state,
        )
        _populate(fake, logins, names, uris)
        with _until_stopped(), _served(fake, host, port):
            if state is not None:
                fake.save()  # now, when there is somebody to read that it cannot be done
            if env_file is not None:
                _write(env_file, fake)
            _tell(fake, env_file or _dotenv_in_use(port), as_json=as_json, keep=state is not None)


def _checked(flag: str, check: Callable[[str], str], values: Iterable[str] | None) -> list[str]:
    try:
        return [check(value) for value in values or ()]
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from None


def _application(client_id: int, name: str) -> "App":
    """An application whose secret, of the length that EXBO's have, says what it is worth and never changes."""
    from ..testing import App

    secret = f"SandboxSecretOfNoValue{client_id:018}"
    return App(client_id=str(client_id), client_secret=secret, redirect_uris=REDIRECT_URIS, name=name)


def _returning_first_to(redirect_uris: Iterable[str], app: "App") -> "App":
    """`app`, whose programs are told the first of its redirect URIs: of those that were asked for, if any were."""
    return evolve(app, redirect_uris=tuple(dict.fromkeys((*redirect_uris, *app.redirect_uris))))


def _application_in_use(port: int) -> "App | None":
    """The one of settings that lead to this very sandbox: an earlier run printed them, or somebody made them up."""
    from ..testing import App

    settings = settings_from({})
    client_id, secret = settings.text("client_id"), settings.text("client_secret")
    if not _leads_here(settings, port) or not client_id or not secret:
        return None
    if settings.misplaced("base_url"):  # the secret of another server's application is not to be shown around
        return None
    uris = tuple(dict.fromkeys((settings.text("redirect_uri"), *REDIRECT_URIS)))
    return App(client_id=client_id, client_secret=secret, redirect_uris=uris, name=tr("Your application"))


def _leads_here(settings: Settings, port: int) -> bool:
    here = [f"http://{host}:{port}/oauth" for host in ("127.0.0.1", "localhost", "[::1]")]
    return settings.text("base_url").rstrip("/") in here


def _dotenv_in_use(port: int) -> Path | None:
    """``.env`` in this directory, if all that leads to this very sandbox stands there: commands find it."""
    settings = settings_from({})
    files = {settings.file(name) for name in ("base_url", "client_id", "client_secret", "redirect_uri")}
    return DOTENV if _leads_here(settings, port) and files == {DOTENV} else None


def _populate(fake: "FakeExbo", users: Iterable[str], apps: Iterable[str], redirect_uris: Iterable[str]) -> None:
    """Add what an earlier run, whose state was kept, has not got already."""
    there = {user.login for user in fake.users}
    for login in dict.fromkeys(users):
        if login not in there:
            fake.add_user(login)
    names = {app.name for app in fake.apps}
    for name in dict.fromkeys(apps):
        if name not in names:
            taken = [int(app.client_id) for app in fake.apps if app.client_id.isdecimal()]
            app = _application(max([CLIENT_ID, *taken]) + 1, name)
            fake.add_app(
                name, client_id=app.client_id, client_secret=app.client_secret, redirect_uris=app.redirect_uris
            )
    for app in fake.apps:
        for uri in redirect_uris:
            fake.add_redirect_uri(uri, app=app)


@contextmanager
def _until_stopped() -> Generator[None]:
    """Ctrl-C is the quiet end of the block, and so is SIGTERM, which an init system or Docker sends."""
    before: Any = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _alone(state: Path | None) -> Generator[None]:
    """Nobody else's sandbox has the file during the block: who stopped last would undo what the other one kept.

    The system frees the lock, whose file stays, of one that is killed.
    """
    path = None if state is None else state.absolute().resolve()
    if path is None or not os.path.isdir(path.parent):  # noqa: PTH112  # whoever writes says so
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Failure(tr("another sandbox has {path}: stop it, or name another --state", path=state)) from None
    except (OSError, NotImplementedError):  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _served(fake: "FakeExbo", host: str, port: int) -> Generator[None]:
    from ..testing.targets import is_loopback

    local = is_loopback(host)
    with fake.serve(host, port, names=() if local else (host, "localhost")):
        if not local:
            say_aside(tr("It listens on {host}: whoever reaches that can sign in as anybody.", host=host))
        yield


def _write(path: Path, fake: "FakeExbo") -> None:
    from ..testing.connecting import dotenv_lines, environment_of

    environment = environment_of(fake.app, fake.base_url)
    text = "".join(f"{line}\n" for line in dotenv_lines(environment))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if environment.items() <= read_dotenv(path).values.items():  # whatever else its owner keeps there
            return
        raise Failure(
            tr(
                "{path} exists already, without these settings, and was left as it is: name another --env-file, or "
                "start without one and copy the settings that are printed then",
                path=path,
            )
        ) from None
    except OSError as error:
        raise Failure(tr("cannot write {path}: {problem}", path=path, problem=why_not(error))) from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _tell(fake: "FakeExbo", env_file: Path | None, *, as_json: bool, keep: bool) -> None:
    """Tell of every request, until somebody stops it."""
    from .sandbox_console import JsonConsole, TextConsole

    console, saving = (JsonConsole if as_json else TextConsole)(fake), _Saving(fake)
    console.introduce(env_file)
    while True:
        console.tell()
        if keep:
            saving.go_on()
        time.sleep(0.2)


@define
class _Saving:
    """Keeps the state soon after it changes, and spends a tenth of the time on it at most."""

    _fake: "FakeExbo"
    _saved: int = 0
    _next: float = 0.0

    def go_on(self) -> None:
        """Save if something has happened."""
        newest = max((event.number for event in self._fake.events), default=0)
        began = time.monotonic()
        if newest == self._saved or began < self._next:
            return
        try:
            self._fake.save()
        except ConfigurationError as error:
            say_error(error)
            self._next = began + 10
            return
        self._saved, self._next = newest, began + 10 * (time.monotonic() - began)

"""``exbo-oauth sandbox``: the embedded EXBO on a loopback port, for as long as nobody presses Ctrl-C."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AsJson
from .output import Failure, say
from .settings import ENVIRONMENT

if TYPE_CHECKING:
    from ..testing import App, FakeExbo, Received

__all__ = ["sandbox"]

CLIENT_ID, CLIENT_SECRET = "1000", "ThisSandboxSecretIsWorthNothing123456789"
REDIRECT_URIS = (
    "http://localhost:9999/callback",
    "http://127.0.0.1:9999/callback",
    "http://localhost",
    "http://127.0.0.1",
)


class Dialect(StrEnum):
    """The server generations."""

    LEAGUE_8 = "league-8"
    LEAGUE_9 = "league-9"


class Ends(StrEnum):
    """What a new token ends."""

    ALL = "all"
    ACCESS = "access"
    NOTHING = "nothing"


def sandbox(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8765,
    dialect: Annotated[Dialect, typer.Option("--dialect", help="The server generation.")] = Dialect.LEAGUE_8,
    ends: Annotated[Ends, typer.Option("--new-token-ends", help="Which earlier tokens a new one ends.")] = Ends.ALL,
    token_ttl: Annotated[
        float, typer.Option("--token-ttl", metavar="SECONDS", help="How long tokens live.")
    ] = 31_536_000,
    latency: Annotated[float, typer.Option("--latency", metavar="SECONDS", help="Delay every answer.")] = 0.0,
    throttle: Annotated[int | None, typer.Option("--throttle", metavar="N", help="Token requests a minute.")] = None,
    users: Annotated[
        list[str] | None, typer.Option("--add-user", metavar="LOGIN", help="One more user; may be repeated.")
    ] = None,
    redirect_uris: Annotated[
        list[str] | None, typer.Option("--redirect-uri", metavar="URI", help="Register one more; may be repeated.")
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", metavar="FILE", help="Write the settings for it into a new file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve an EXBO of your own on this machine.

    It has sign-in pages, tokens, /user and an /api, needs no account and reaches no network. Anybody on this machine
    can sign in as anybody. Ctrl-C ends it. With --json the settings and then every request are one JSON document a
    line.

      exbo-oauth sandbox
      exbo-oauth sandbox --token-ttl 60 --dialect league-9 --env-file .env
    """
    if find_spec("cryptography") is None:
        raise Failure('the sandbox signs its tokens with the package cryptography: pip install "exbo-oauth[testing]"')
    from ..testing import FakeExbo

    fake = FakeExbo(
        dialect=dialect.value,
        invalidate=None if ends is Ends.NOTHING else ends.value,  # type: ignore[arg-type]  # checked by typer
        token_ttl=token_ttl,
        latency=latency,
        throttle=throttle,
        history=10_000,
    )
    uris = (*REDIRECT_URIS, *(redirect_uris or ()))
    app = fake.add_app("Your application", client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uris=uris)
    for login in users or ():
        fake.add_user(login)
    with suppress(KeyboardInterrupt), fake.serve(port=port) as base_url:
        settings = _settings(base_url, app)
        if env_file is not None:
            _write(env_file, settings)
        _introduce(fake, settings, env_file, as_json=as_json)
        _report(fake, as_json=as_json)


def _settings(base_url: str, app: "App") -> dict[str, str]:
    values = {
        "base_url": base_url,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "redirect_uri": REDIRECT_URIS[0],
    }
    return {ENVIRONMENT[name]: value for name, value in values.items()}


def _write(path: Path, settings: dict[str, str]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"{path} exists already and was left as it is: remove it, or name another --env-file") from None
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in settings.items())


def _introduce(fake: "FakeExbo", settings: dict[str, str], env_file: Path | None, *, as_json: bool) -> None:
    logins = [user.login for user in fake.users]
    origin = fake.base_url.removesuffix("/oauth")
    if as_json:
        say(json.dumps({"settings": settings, "users": logins, "api": f"{origin}/api", "page": f"{origin}/"}))
        return
    say(f"EXBO's sandbox is at {fake.base_url}, its users are {', '.join(logins)}. Ctrl-C ends it.")
    say(f"Watch its tokens at {origin}/")
    say("")
    say("In another terminal:" if env_file is None else f"In another terminal, in the directory of {env_file}:")
    say("")
    for line in (*(_assignments(settings) if env_file is None else ()), *_first_steps(origin)):
        say(f"  {line}")
    say("")


def _assignments(settings: dict[str, str]) -> Iterator[str]:
    for name, value in settings.items():
        yield f'$env:{name} = "{value}"' if os.name == "nt" else f"export {name}={value}"


def _first_steps(origin: str) -> tuple[str, ...]:
    return (
        "exbo-oauth login",
        "exbo-oauth whoami",
        f'curl -H "Authorization: Bearer $(exbo-oauth token)" {origin}/api',
    )


def _report(fake: "FakeExbo", *, as_json: bool) -> None:
    """Tell of every request, until Ctrl-C."""
    seen = 0
    while True:
        for received in fake.requests:
            if received.number > seen and (received.status is not None or received.lost):
                seen = received.number
                say(json.dumps(_as_dict(received)) if as_json else _line(received))
        time.sleep(0.2)


def _as_dict(received: "Received") -> dict[str, Any]:
    return {
        "at": received.received_at.isoformat(),
        "method": received.method,
        "path": received.path,
        "grant": received.grant,
        "client_id": received.client_id,
        "status": received.status,
        "lost": received.lost,
    }


def _line(received: "Received") -> str:
    when = received.received_at.astimezone().strftime("%H:%M:%S")
    grant = f" ({received.grant})" if received.grant else ""
    return f"{when}  {'lost' if received.lost else received.status}  {received.method} {received.path}{grant}"

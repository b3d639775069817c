"""How a program connects to the sandbox: the settings that the console prints, the front page shows, a file holds."""

import os
import re
from collections.abc import Iterator, Mapping
from shlex import quote

from .state import App

__all__ = ["api_url_of", "assignments", "dotenv_lines", "environment_of", "first_steps"]


_PLAIN = re.compile(r"[\w:/.,@%+=?&~*!()\[\]-]*")


def environment_of(app: App, base_url: str) -> dict[str, str]:
    """The environment of a program that acts as `app`; the secret, if there is one, is in it as it is."""
    environment = {
        "EXBO_OAUTH_URL": base_url,
        "EXBO_API_URL": api_url_of(base_url),
        "EXBO_CLIENT_ID": app.client_id,
    }
    if not app.public:
        environment["EXBO_CLIENT_SECRET"] = app.client_secret
    if app.redirect_uris:
        environment["EXBO_REDIRECT_URI"] = app.redirect_uris[0]
    return environment


def api_url_of(base_url: str) -> str:
    """Where the game API's stand-in is."""
    return base_url.removesuffix("/oauth") + "/api"


def assignments(environment: Mapping[str, str]) -> Iterator[str]:
    """The lines to type into a shell: PowerShell on Windows, any other everywhere else."""
    for name, value in environment.items():
        if os.name == "nt":  # pragma: no cover
            yield f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'"
        else:
            yield f"export {name}={quote(value)}"


def dotenv_lines(environment: Mapping[str, str]) -> Iterator[str]:
    """The lines of a ``.env`` file; quoted, as python-dotenv reads it, is only what would not come through as it is."""
    for name, value in environment.items():
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        yield f"{name}={value}" if _PLAIN.fullmatch(value) else f"{name}='{escaped}'"


def first_steps(base_url: str, flags: str = "", program: str = "exbo-oauth") -> tuple[str, ...]:
    """What to type next; `flags` go to every command, and `program` is what these begin with."""
    return (
        f"{program} login{flags}",
        f"{program} whoami{flags}",
        f'curl -H "Authorization: Bearer $({program} token{flags})" {api_url_of(base_url)}',
    )

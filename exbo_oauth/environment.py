"""What the surroundings tell this process: the ``EXBO_*`` variables, and where its user keeps tokens and settings.

Programs (`from_env`) and commands read both here. So they mean the same by a variable, and share one store without
having to be told about each other.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from .misuse import ConfigurationError

__all__ = [
    "API_VARIABLE",
    "VARIABLES",
    "default_store_url",
    "given_in",
    "install_command",
    "set_aside",
    "unquoted",
    "user_directory",
    "user_store_url",
]

VARIABLES = {
    "client_id": "EXBO_CLIENT_ID",
    "client_secret": "EXBO_CLIENT_SECRET",
    "redirect_uri": "EXBO_REDIRECT_URI",
    "scope": "EXBO_SCOPE",
    "base_url": "EXBO_OAUTH_URL",
    "store": "EXBO_STORE",
    "store_key": "EXBO_STORE_KEY",
}
"""The settings by the name of the argument, and the variable of each; ``store_key`` is what encrypts the store."""

API_VARIABLE = "EXBO_API_URL"
"""Where programs call the game API: theirs to read; the commands only look whether it fits."""

_PLACES = {"data": Path(".local", "share"), "config": Path(".config")}

_stand_in: str | None = None


def given_in(variables: Mapping[str, str]) -> dict[str, str]:
    """What `variables` say, by the name of the argument; an empty value counts as unset."""
    found = {name: unquoted(variables.get(variable, "")) for name, variable in VARIABLES.items()}
    found["redirect_uri"] = _as_utf8(found["redirect_uri"])
    return {name: value for name, value in found.items() if value}


def _as_utf8(value: str) -> str:
    """`value` as it was meant, where the locale knows ASCII only (``LC_ALL=POSIX``) and Python kept the bytes."""
    try:
        return value.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        return value


def unquoted(value: str) -> str:
    """`value` without a pair of quotes around it: ``docker --env-file`` hands on those that a shell would drop."""
    quotes = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quotes else value


def default_store_url() -> str:
    """Where tokens are kept unless somebody says otherwise: the user's own file, or what stands in for it."""
    return _stand_in or user_store_url()


def user_store_url() -> str:
    """The file in the user's data directory, as the URL of a store; raises `ConfigurationError` if there is no home."""
    try:
        path = user_directory("data") / "tokens.db"
    except ConfigurationError as error:
        problem = str(error)
    else:
        return f"sqlite:///{quote(os.fsencode(path.as_posix()), safe='/:')}"
    raise ConfigurationError(
        f"{problem} to keep tokens in: set EXBO_STORE to a place, such as sqlite:////var/lib/bot/tokens.db, or to "
        "memory: to keep them for this process alone"
    )


def install_command(extras: str) -> str:
    """The command that adds `extras` to what is installed here: by the ``pip`` of this very environment.

    The package itself is there already, so pip takes it from no index, wherever it was installed from.
    """
    import shutil
    from shlex import quote

    found, python = shutil.which("pip"), Path(sys.executable or "python")
    ours = getattr(sys, "frozen", False) or (found is not None and Path(found).parent == python.parent)
    pip = "pip" if ours else f"{quote(str(python)) if os.name == 'posix' else python} -m pip"
    return f'{pip} install "exbo-oauth[{extras}]"'


def set_aside(url: str | None) -> str | None:
    """Have `default_store_url` give `url` from now on, for tests, which must not touch their user's tokens.

    None takes it back. Returns what it gave so far.
    """
    global _stand_in
    before, _stand_in = _stand_in, url
    return before


def user_directory(
    kind: Literal["data", "config"], *, platform: str = sys.platform, variables: Mapping[str, str] | None = None
) -> Path:
    """The directory of this user for our data or configuration, whether or not it exists.

    Raises `ConfigurationError` if the user has no home. These are the places that the platforms' conventions name
    (XDG Base Directory on Linux); what an installation without extras has to know needs no library.
    """
    variables = os.environ if variables is None else variables
    if platform == "win32":
        named, home, below = "LOCALAPPDATA", "USERPROFILE", Path("AppData", "Local")
    elif platform == "darwin":
        named, home, below = "", "HOME", Path("Library", "Application Support")
    else:
        named, home, below = f"XDG_{kind.upper()}_HOME", "HOME", _PLACES[kind]
    return (_absolute(variables.get(named)) or _home(variables.get(home)) / below) / "exbo-oauth"


def _home(named: str | None) -> Path:
    # An empty HOME is what a cleared environment leaves; Python would take it for the root directory.
    home = _absolute(named) or _absolute(_registered_home())
    if home is None:
        raise ConfigurationError("this user has no home directory")
    return home


def _registered_home() -> str | None:
    try:
        import pwd  # Windows has none
    except ImportError:  # pragma: no cover  # reached on Windows without USERPROFILE
        return None
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user of whom nobody was told
        return None


def _absolute(text: str | None) -> Path | None:
    """A path that does not depend on where the process happens to be; XDG has others ignored."""
    path = Path(text) if text else None
    return path if path is not None and path.is_absolute() else None

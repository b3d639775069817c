"""Where settings come from: flags over the environment over ``.env`` over the user's configuration file.

``.env`` is read in the current directory only; the configuration file is ``config.toml`` in the user's configuration
directory. An empty value counts as unset. A secret is never taken from the command line itself: other users and the
shell's history see that.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..environment import VARIABLES, user_directory, user_store_url
from ..masking import Secret, reveal
from .dotenv import values_in
from .output import Failure

__all__ = ["ENVIRONMENT", "Setting", "Settings", "config_file", "read_secret", "settings_from"]

ENVIRONMENT = VARIABLES

# A store's URL may hold a password.
_SECRET = frozenset({"client_secret", "store"})
_DEFAULTS = {"redirect_uri": "http://localhost", "scope": "", "base_url": "https://exbo.net/oauth"}


@frozen
class Setting:
    """A value and where it comes from, in words."""

    value: str | Secret
    source: str


@frozen
class Settings:
    """What the user configured, by name; the names are those of the client's arguments, and ``store``."""

    found: Mapping[str, Setting] = field(factory=dict)

    def text(self, name: str) -> str:
        """A setting, or its default; empty if there is neither."""
        setting = self.found.get(name)
        return _DEFAULTS.get(name, "") if setting is None else reveal(setting.value)

    def source(self, name: str) -> str:
        """Where a setting comes from."""
        setting = self.found.get(name)
        return "the default" if setting is None else setting.source

    @property
    def client_id(self) -> str:
        """The client id, without which nothing is stored or asked for."""
        return self._needed("client_id", "pass --client-id")

    @property
    def client_secret(self) -> Secret:
        """The client secret."""
        return Secret(self._needed("client_secret", "pass --client-secret-file FILE"))

    def _needed(self, name: str, flag: str) -> str:
        value = self.text(name)
        if not value:
            words = name.replace("_", " ")
            raise Failure(
                f"there is no {words}: set {ENVIRONMENT[name]}, {flag}, or put it into .env or {config_file()}. "
                "No application yet? Start with: exbo-oauth sandbox"
            )
        return value

    @property
    def store_url(self) -> str:
        """Where tokens are kept: the configured URL, or a file in the user's data directory."""
        return self.text("store") or user_store_url()


def settings_from(flags: Mapping[str, str | Secret | None]) -> Settings:
    """The settings of this process, `flags` on top."""
    found: dict[str, Setting] = {}
    for source, values in (*_lower_layers(), ("the command line", flags)):
        for name, value in values.items():
            if value is not None and (reveal(value) or source == "the command line"):
                found[name] = Setting(Secret(value) if name in _SECRET and isinstance(value, str) else value, source)
    return Settings(found)


def _lower_layers() -> list[tuple[str, Mapping[str, str]]]:
    path = config_file()
    return [
        (str(path), _read(path, _toml)),
        (".env", _named(_read(Path(".env"), values_in))),
        ("the environment", _named(os.environ)),
    ]


def _named(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: variables[variable] for name, variable in ENVIRONMENT.items() if variable in variables}


def _read(path: Path, parse: Callable[[str], dict[str, str]]) -> dict[str, str]:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    raise Failure(f"cannot read {path}: {problem}")


def _toml(text: str) -> dict[str, str]:
    import tomllib

    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Without the text itself, which may hold the secret.
        raise Failure(f"{config_file()} is no TOML: {error.args[0]}") from None
    for name, value in data.items():
        if name not in ENVIRONMENT:
            raise Failure(f"{config_file()} has {name!r}, which means nothing: it may hold {', '.join(ENVIRONMENT)}")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Failure(f"{config_file()}: {name} must be a string")
    return {name: str(value) for name, value in data.items()}


def config_file() -> Path:
    """The user's configuration file, whether or not it exists."""
    return user_directory("config") / "config.toml"


def read_secret(path: str) -> Secret:
    """The content of a file, or of standard input for ``-``, without the line end after it."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"cannot read {path}: it is not UTF-8") from None
    return Secret(text.removeprefix("\ufeff").rstrip("\r\n"))

"""Where settings come from: flags, a file that one of them names, the environment, ``.env``, the configuration file.

``.env`` is read in the current directory only; the configuration file is ``config.toml`` in the user's configuration
directory. An empty value counts as unset. A secret is never taken from the command line itself: other users and the
shell's history see that.

Not all of these are the user's own. ``.env`` belongs to whoever wrote the directory, which may be a cloned repository:
it may bring an application of its own, whole, and does not get to say where the user's own secrets go.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..environment import API_VARIABLE, VARIABLES, given_in, unquoted, user_directory, user_store_url
from ..errors import ConfigurationError
from ..language import mark, tr
from ..masking import Secret, reveal
from .files import DotEnv, dotenv_in, read_dotenv, read_secret, read_text
from .output import Failure

__all__ = ["DOTENV", "ENVIRONMENT", "WORDS", "Setting", "Settings", "config_file", "read_secret", "settings_from"]

ENVIRONMENT = VARIABLES
DOTENV = Path(".env")

_COMMAND_LINE = mark("the command line")
_ENVIRONMENT = mark("the environment")

WORDS = {
    "client_id": mark("client id"),
    "client_secret": mark("client secret"),
    "store_key": mark("store key"),
}
"""What settings are called that something is said of."""

# A store's URL may hold a password.
_SECRET = frozenset({"client_secret", "store", "store_key"})
_DEFAULTS = {"redirect_uri": "http://localhost", "scope": "", "base_url": "https://exbo.net/oauth"}


@frozen
class Setting:
    """A value and where it comes from, in English. `foreign` is one that the user may not have written."""

    value: str | Secret
    source: str
    file: Path | None = None
    foreign: bool = False

    @property
    def shown_source(self) -> str:
        """Where it comes from, in the user's language."""
        return self.source if self.file else tr(self.source)


@frozen
class Settings:
    """What the user configured, by name; the names are those of the client's arguments, and ``store_key``.

    `own` is what there would be without the current directory's ``.env``; `remarks` are about what could not be read;
    `api` is where programs call the game API, None if nothing says so.
    """

    found: Mapping[str, Setting] = field(factory=dict)
    own: Mapping[str, Setting] = field(factory=dict)
    remarks: tuple[str, ...] = ()
    api: Setting | None = None

    def text(self, name: str) -> str:
        """A setting, or its default; empty if there is neither."""
        return _text(self.found, name)

    def source(self, name: str) -> str:
        """Where a setting comes from."""
        setting = self.found.get(name)
        return tr("the default") if setting is None else setting.shown_source

    def file(self, name: str) -> Path | None:
        """The file that a setting comes from, if it is a file of settings."""
        setting = self.found.get(name)
        return None if setting is None else setting.file

    @property
    def api_url(self) -> str:
        """Where programs call the game API; empty if nothing says so."""
        return "" if self.api is None else reveal(self.api.value)

    @property
    def client_id(self) -> str:
        """The client id, without which nothing is stored or asked for."""
        return self._needed("client_id", mark("pass --client-id"))

    @property
    def client_secret(self) -> Secret:
        """The client secret."""
        return Secret(self._needed("client_secret", mark("pass --client-secret-file FILE")))

    def _needed(self, name: str, flag: str) -> str:
        value = self.text(name)
        if not value:
            raise Failure(self._what_is_missing(name, flag))
        return value

    def _what_is_missing(self, name: str, flag: str) -> str:
        files = tr(" or ").join([str(DOTENV.absolute()), *_config_files()])
        if not self.text("client_id") and not self.text("client_secret"):
            return tr(
                "there is neither a client id nor a client secret: set {client_id} and {client_secret}, pass "
                "--client-id and --client-secret-file FILE, or put them into {files}. No application yet? Start with: "
                "exbo-oauth sandbox",
                client_id=ENVIRONMENT["client_id"],
                client_secret=ENVIRONMENT["client_secret"],
                files=files,
            )
        return tr(
            "there is no {words}: set {variable}, {flag}, or put it into {files}. No application yet? Start with: "
            "exbo-oauth sandbox",
            words=tr(WORDS[name]),
            variable=ENVIRONMENT[name],
            flag=tr(flag),
            files=files,
        )

    @property
    def store_url(self) -> str:
        """Where tokens are kept: the configured URL, or a file in the user's data directory."""
        return self.text("store") or user_store_url()

    def misplaced(self, *targets: str) -> str | None:
        """Why a secret of the user's must not go to what `targets` (base_url, store) say; None if it may."""
        secret = next((name for name in ("client_secret", "store_key") if self._is_own(name)), None)
        target = next((name for name in targets if not self._is_own(name) and not self._changes_nothing(name)), None)
        if secret is not None and target is not None:
            return tr(
                "{file} sets {target}, and the {words} comes from {source}: a file that somebody else may have written "
                "does not decide where it goes. If you trust it, set {target} yourself, or put {secret} into that "
                "file, too",
                file=DOTENV.absolute(),
                target=ENVIRONMENT[target],
                words=tr(WORDS[secret]),
                source=self.source(secret),
                secret=ENVIRONMENT[secret],
            )
        if not self._is_own("store_key", absent=True) and self._is_own("store", absent=True):
            return tr(
                "{file} sets {variable} for a store that it does not name: a key that others may know does not encrypt "
                "your own tokens. If you trust it, set the variable yourself",
                file=DOTENV.absolute(),
                variable=ENVIRONMENT["store_key"],
            )
        return None

    def _is_own(self, name: str, *, absent: bool = False) -> bool:
        setting = self.found.get(name)
        return absent if setting is None else not setting.foreign

    def _changes_nothing(self, name: str) -> bool:
        return self.text(name).rstrip("/") == _text(self.own, name).rstrip("/")


def _text(settings: Mapping[str, Setting], name: str) -> str:
    setting = settings.get(name)
    return _DEFAULTS.get(name, "") if setting is None else reveal(setting.value)


def settings_from(flags: Mapping[str, str | Secret | None], env_file: str | None = None) -> Settings:
    """The settings of this process, `flags` on top.

    `env_file` is one that was named on the command line: the user's own, and more to the point than the environment.
    """
    given = {name: _setting(name, value, _COMMAND_LINE) for name, value in flags.items() if value is not None}
    named = DotEnv({}) if env_file is None else dotenv_in(read_text(Path(env_file)), env_file)
    chosen = _of_variables(named.values, Path(env_file or ""), foreign=False) | given
    environment = {name: _setting(name, value, _ENVIRONMENT) for name, value in given_in(os.environ).items()}
    dotenv = read_dotenv(DOTENV)
    configured = _configured()
    found = configured | _of_variables(dotenv.values, DOTENV, foreign=True) | environment | chosen
    api = _api(named.values, Path(env_file or "")) or _api(os.environ) or _api(dotenv.values, DOTENV, foreign=True)
    _check_readable([*found.values(), *([] if api is None else [api])])
    return Settings(found, configured | environment | chosen, (*dotenv.remarks, *named.remarks), api)


def _api(variables: Mapping[str, str], path: Path | None = None, *, foreign: bool = False) -> Setting | None:
    url = unquoted(variables.get(API_VARIABLE, ""))
    return _setting("api_url", url, path or _ENVIRONMENT, foreign=foreign) if url else None


def _setting(name: str, value: str | Secret, source: str | Path, *, foreign: bool = False) -> Setting:
    hidden = Secret(value) if name in _SECRET and isinstance(value, str) else value
    return Setting(hidden, str(source), source if isinstance(source, Path) else None, foreign)


def _of_variables(values: Mapping[str, str], path: Path, *, foreign: bool) -> dict[str, Setting]:
    """The settings that a file of variables brings."""
    named = {name: values.get(variable, "") for name, variable in ENVIRONMENT.items()}
    return {name: _setting(name, value, path, foreign=foreign) for name, value in named.items() if value}


def _check_readable(found: Iterable[Setting]) -> None:
    """What another encoding is written in is let pass unless it is a value that we would use."""
    for setting in found:
        if setting.foreign and any("\ud800" <= character <= "\udfff" for character in reveal(setting.value)):
            raise Failure(tr("cannot read {path}: {problem}", path=DOTENV, problem=tr("it is not UTF-8")))


def _configured() -> dict[str, Setting]:
    """What the configuration file says."""
    import tomllib

    path = _config_file()
    if path is None:
        return {}
    try:
        values = _checked(path, tomllib.loads(read_text(path, missing="")))
        return {name: _setting(name, value, path) for name, value in values.items() if value}
    except tomllib.TOMLDecodeError as error:
        # Without the text itself, which may hold the secret.
        problem = error.args[0]
    raise Failure(tr("{path} is not TOML: {problem}", path=path, problem=problem))


def _checked(path: Path, data: dict[str, Any]) -> dict[str, str]:
    for name, value in data.items():
        if name not in ENVIRONMENT:
            known = ", ".join(ENVIRONMENT)
            raise Failure(
                tr("{path} has {name!r}, which means nothing: it may hold {known}", path=path, name=name, known=known)
            )
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Failure(tr("{path}: {name} must be a string", path=path, name=name))
    return {name: str(value) for name, value in data.items()}


def config_file() -> Path:
    """The user's configuration file, whether or not it exists; raises `ConfigurationError` if there is no home."""
    return user_directory("config") / "config.toml"


def _config_file() -> Path | None:
    try:
        return config_file()
    except ConfigurationError:
        return None


def _config_files() -> list[str]:
    path = _config_file()
    return [] if path is None else [str(path)]

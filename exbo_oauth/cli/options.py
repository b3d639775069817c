"""Options that many commands share, written once.

`configured` gives a command the flags of `exbo_oauth.cli.settings` and hands it the settings that result.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from ..language import tr
from .output import say_problem
from .settings import Settings, read_secret, settings_from

__all__ = ["Account", "AsJson", "configured", "refuse_password", "refused_secret"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]


def _known_accounts(beginning: str) -> list[str]:
    """For the shell's completion, so without a word when anything is wrong."""
    from .session import accounts, opened_store

    try:
        settings = settings_from({})
        with opened_store(settings, reads=True) as store:
            return [account for account in accounts(settings, store) if account.startswith(beginning)]
    except Exception:  # noqa: BLE001  # a completion is not the place to complain
        return []


Account = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="ACCOUNT", help="A signed-in user, by account name.", autocompletion=_known_accounts
    ),
]


def refused_secret(name: str) -> Callable[[str | None], None]:
    """A callback for a flag that exists to be refused."""

    def refuse(value: str | None) -> None:
        if value is not None:
            _refuse(name)

    return refuse


def refuse_password(url: str, instead: str) -> None:
    """Raise `typer.BadParameter` for a URL of the command line with a password in it."""
    try:
        password = urlsplit(url).password
    except ValueError:  # whoever opens it says so
        return
    if password:
        raise typer.BadParameter(
            tr(
                "a password on the command line is seen by every user of this machine and kept in the shell's history: "
                "{instead}",
                instead=instead,
            )
        )


def _refuse(name: str) -> NoReturn:
    raise typer.BadParameter(
        tr(
            "a secret on the command line is seen by every user of this machine and kept in the shell's history: use "
            "{name}-file FILE, or {name}-file - and standard input",
            name=name,
        )
    )


_FLAGS: dict[str, Any] = {
    "client_id": Annotated[
        str | None, typer.Option("--client-id", metavar="ID", help="Your application. [EXBO_CLIENT_ID]")
    ],
    "client_secret_file": Annotated[
        str | None,
        typer.Option(
            "--client-secret-file", metavar="FILE", help="A file with its secret, - for stdin. [EXBO_CLIENT_SECRET]"
        ),
    ],
    "client_secret": Annotated[
        str | None, typer.Option("--client-secret", hidden=True, callback=refused_secret("--client-secret"))
    ],
    "redirect_uri": Annotated[
        str | None, typer.Option("--redirect-uri", metavar="URI", help="As registered. [EXBO_REDIRECT_URI]")
    ],
    "scope": Annotated[str | None, typer.Option("--scope", metavar="SCOPE", help="EXBO defines none. [EXBO_SCOPE]")],
    "base_url": Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="The OAuth service. [EXBO_OAUTH_URL]")
    ],
    "store": Annotated[str | None, typer.Option("--store", metavar="URL", help="Where tokens are kept. [EXBO_STORE]")],
    "env_file": Annotated[
        str | None, typer.Option("--env-file", metavar="FILE", help="A file with these variables; it wins over them.")
    ],
    "store_key_file": Annotated[
        str | None,
        typer.Option("--store-key-file", metavar="FILE", help="What they are encrypted with. [EXBO_STORE_KEY]"),
    ],
    "store_key": Annotated[
        str | None, typer.Option("--store-key", hidden=True, callback=refused_secret("--store-key"))
    ],
}


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is `Settings`, as one with the flags in its place."""

    @wraps(command)
    def run(**given: Any) -> None:
        flags = {name: given.pop(name) for name in _FLAGS}
        command(_settings(flags), **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    flags = [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in _FLAGS.items()]
    parameters = [parameter.replace(kind=keyword) for parameter in own] + flags
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _settings(flags: dict[str, str | None]) -> Settings:
    if flags["store"]:
        refuse_password(flags["store"], tr("put the URL into EXBO_STORE"))
    files = {name: flags.pop(f"{name}_file") for name in ("client_secret", "store_key")}
    secrets = {name: read_secret(file) for name, file in files.items() if file is not None}
    env_file = flags.pop("env_file")
    settings = settings_from({**flags, **secrets}, env_file)
    for remark in settings.remarks:
        say_problem(remark)
    return settings

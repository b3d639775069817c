"""The short way for ``exbo-oauth token`` with a fresh token in the store.

That is what shell substitutions run again and again, and reading the command line with typer takes longer than
everything else it has to do. The flags are taken apart here if they are of the plain kind; anything else, an error
included, is left to the command itself: `answered` says so by None and has done nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["answered"]

_FLAGS = {
    "--user": "account",
    "--client-id": "client_id",
    "--base-url": "base_url",
    "--redirect-uri": "redirect_uri",
    "--scope": "scope",
    "--store": "store",
    "--env-file": "env_file",
}


def answered(arguments: Sequence[str]) -> int | None:
    """Print what ``token`` with these arguments does if the store alone can tell; the exit code, or None."""
    from .settings import settings_from

    flags = _plain(arguments)
    if flags is None or flags.get("account") == "":
        return None
    try:
        account, env_file = flags.pop("account", None), flags.pop("env_file", None)
        settings = settings_from(flags, env_file)
        token = _held(settings, account)
    except Exception:  # noqa: BLE001  # the command itself comes to the same end and says it well
        return None
    return None if token is None else _printed(token, settings.remarks)


def _printed(token: str, remarks: Sequence[str]) -> int:
    from .output import ended, say, say_problem

    for remark in remarks:
        say_problem(remark)

    def printed() -> int:
        say(token)
        return 0

    return ended(printed, 1)


def _plain(arguments: Sequence[str]) -> dict[str, str] | None:
    """The flags by name, None if there is anything else among the arguments."""
    rest, flags = list(arguments), dict[str, str]()
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in _FLAGS or (not equals and not rest):
            return None
        flags[_FLAGS[flag]] = value if equals else rest.pop(0)
    return flags


def _held(settings: "Settings", account: str | None) -> str | None:
    from .session import held, opened_store

    with opened_store(settings, reads=True) as store:
        entry = held(settings, store, account)
    return None if entry is None or entry.token.is_expired(leeway=60.0) else entry.token.access_token

"""The short way for ``exbo-oauth token`` with a fresh token in the store.

That is what shell substitutions run again and again, and reading the command line with typer takes longer than
everything else it has to do. The flags are taken apart here if they are of the plain kind; anything else, an error
included, is left to the command itself: `answered` says so by None and has done nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from ..masking import Secret

__all__ = ["answered"]

_FLAGS = {
    "--user": "account",
    "--client-id": "client_id",
    "--base-url": "base_url",
    "--redirect-uri": "redirect_uri",
    "--scope": "scope",
    "--store": "store",
}


def answered(arguments: Sequence[str]) -> int | None:
    """Print what ``token`` with these arguments does if the store alone can tell; the exit code, or None."""
    flags = _plain(arguments)
    if flags is None or flags.get("account") == "":
        return None
    try:
        token = _held(flags)
    except Exception:  # noqa: BLE001  # the command itself comes to the same end and says it well
        return None
    return None if token is None else _printed(token)


def _printed(token: Secret) -> int:
    from .output import say, silenced

    try:
        say(token.reveal())
    except OSError as error:
        if not silenced(error):
            raise
        return 1
    return 0


def _plain(arguments: Sequence[str]) -> dict[str, str] | None:
    """The flags by name, None if there is anything else among the arguments."""
    rest, flags = list(arguments), dict[str, str]()
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in _FLAGS or (not equals and not rest):
            return None
        flags[_FLAGS[flag]] = value if equals else rest.pop(0)
    return flags


def _held(flags: dict[str, str]) -> Secret | None:
    from ..flow.needs import Need
    from .session import held, opened_store
    from .settings import settings_from

    account = flags.pop("account", None)
    settings = settings_from(flags)
    with opened_store(settings) as store:
        entry = held(settings, store, account)
    fresh = entry is not None and Need(60.0).met_by(entry, datetime.now(UTC))
    return Secret(entry.token.access_token) if entry is not None and fresh else None

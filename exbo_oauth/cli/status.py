"""``status``: what the store holds."""

from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any

import typer

from ..models import UserToken
from ..stores.base import Entry, StoreKey
from ..stores.guard import guarded_keys, loaded
from .options import AsJson, configured
from .output import console, say, say_json
from .session import key_of, opened_store
from .settings import Settings
from .tokens import Reveal, described
from .wording import lifetime, moment

__all__ = ["status"]


@configured
def status(
    settings: Settings,
    everything: Annotated[bool, typer.Option("--all", help="Every application and server in the store.")] = False,
    reveal: Reveal = False,
    as_json: AsJson = False,
) -> None:
    """Show what the store holds.

    Of each token the lifetime left, who issued it and when. Nothing is sent, and no secret is needed.

      exbo-oauth status
      exbo-oauth status --all --json
    """
    with opened_store(settings) as store:
        everything = everything or not settings.text("client_id")
        found = list(guarded_keys(store))
        found.sort(key=lambda key: (key.base_url, key.client_id, key.account or ""))
        keys = [key for key in found if everything or key == key_of(settings, key.account)]
        held = [(key, entry) for key in keys if (entry := loaded(store, key)) is not None]
    if as_json:
        say_json([_as_dict(key, entry, reveal=reveal) for key, entry in held])
        return
    if held:
        _draw(held, reveal=reveal)
    else:
        say("The store holds no token." if everything else "The store holds no token of this application.")


def _as_dict(key: StoreKey, entry: Entry, *, reveal: bool) -> dict[str, Any]:
    return {
        "base_url": key.base_url,
        "client_id": key.client_id,
        **described(entry.token, key.account, reveal=reveal),
        "issued_by": entry.issued_by,
        "issued_at": entry.issued_at.isoformat(),
        "recently_superseded": len(entry.superseded),
    }


def _draw(held: list[tuple[StoreKey, Entry]], *, reveal: bool) -> None:
    for (base_url, client_id), group in groupby(held, key=lambda pair: (pair[0].base_url, pair[0].client_id)):
        say(f"client {client_id} at {base_url}")
        _draw_application(list(group), reveal=reveal)


def _draw_application(held: list[tuple[StoreKey, Entry]], *, reveal: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("account", "lifetime left", "issued", "by"):
        table.add_column(title, overflow="fold")
    for key, entry in held:
        left = lifetime(entry.token.expires_after(datetime.now(UTC)))
        table.add_row(*map(escape, (_account(key), left, moment(entry.issued_at), entry.issued_by)))
    console().print(table)
    for key, entry in held if reveal else ():
        say(f"{_account(key)}: {entry.token.access_token}")
        if isinstance(entry.token, UserToken):
            say(f"{_account(key)}, refresh token: {entry.token.refresh_token}")


def _account(key: StoreKey) -> str:
    return "(application)" if key.account is None else key.account

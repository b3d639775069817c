"""``token`` and ``refresh``: handing out the shared token, and replacing it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..language import tr
from ..models import UserToken
from ..stores.base import TokenStore
from .options import Account, AsJson, configured
from .output import busy, say, say_json
from .session import client, held, opened_store
from .settings import Settings
from .wording import lifetime

if TYPE_CHECKING:
    from ..models import AppToken

__all__ = ["refresh", "token"]

Reveal = Annotated[bool, typer.Option("--reveal", help="Show the tokens themselves, too.")]


@configured
def token(
    settings: Settings,
    account: Account = None,
    min_ttl: Annotated[
        float, typer.Option("--min-ttl", metavar="SECONDS", help="How much longer the token has to live.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Print a valid token and nothing else.

    It comes from the store as long as it is good; one that has expired is replaced, once for everybody who shares the
    store.

      curl -H "Authorization: Bearer $(exbo-oauth token)" https://eapi.stalcraft.net/regions
      exbo-oauth token --user ivan
    """
    with opened_store(settings) as store:
        found = _fresh(settings, store, account, min_ttl)
    if as_json:
        say_json(described(found, account, reveal=True))
    else:
        say(found.access_token)


@configured
def refresh(settings: Settings, account: Account = None, reveal: Reveal = False, as_json: AsJson = False) -> None:
    """Replace the stored token with a new one now.

    For instance, when the API refuses it. EXBO ends the old token at once. Everybody who shares the store gets the new
    one.

      exbo-oauth refresh
      exbo-oauth refresh --user ivan
    """
    with opened_store(settings) as store, client(settings, store) as made, busy(tr("Asking for a new token")):
        found = made.replace_app_token() if account is None else made.replace_user_token(account)
    if as_json:
        say_json(described(found, account, reveal=reveal))
        return
    left = lifetime(found.expires_after())
    if account is None:
        say(tr("There is a new token for the application, good for {left}.", left=left))
    else:
        say(tr("There is a new token for {account!r}, good for {left}.", account=account, left=left))
    if reveal:
        say(found.access_token)


def _fresh(settings: Settings, store: TokenStore, account: str | None, min_ttl: float) -> "AppToken | UserToken":
    # What is good already needs no secret.
    entry = held(settings, store, account)
    if entry is not None and not entry.token.is_expired(leeway=min_ttl):
        return entry.token
    with client(settings, store) as made:
        if account is None:
            return made.ensure_app_token(min_ttl=min_ttl)
        return made.ensure_user_token(account, min_ttl=min_ttl)


def described(found: "AppToken | UserToken", account: str | None, *, reveal: bool) -> dict[str, Any]:
    """A token for scripts; its secrets only if asked for."""
    facts: dict[str, Any] = {
        "account": account,
        "token_type": found.token_type,
        "expires_at": found.expires_at.isoformat(),
        "expires_in": max(0, int(found.expires_after(datetime.now(UTC)).total_seconds())),
    }
    if reveal:
        facts["access_token"] = found.access_token
        if isinstance(found, UserToken):
            facts["refresh_token"] = found.refresh_token
    return facts

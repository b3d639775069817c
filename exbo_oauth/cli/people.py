"""``whoami`` and ``accounts``: whom the tokens belong to."""

from ..language import tr
from .options import Account, AsJson, configured
from .output import busy, say, say_aside, say_json
from .session import accounts as known_accounts
from .session import client, opened_store, the_account
from .settings import Settings

__all__ = ["accounts", "whoami"]


@configured
def whoami(settings: Settings, account: Account = None, as_json: AsJson = False) -> None:
    """Ask the server whom a stored token belongs to.

    A token that the server refuses is replaced first. With only one user signed in, --user is not needed.

      exbo-oauth whoami
      exbo-oauth whoami --user ivan --json
    """
    with opened_store(settings, reads=True) as store:
        account = the_account(settings, store, account)
        with client(settings, store) as made, busy(tr("Asking who this is")):
            info = made.user_info(account)
    if as_json:
        say_json({"account": account, **info.to_dict()})
        return
    login = "" if info.name == info.login else tr("login {login}, ", login=info.login)
    say(f"{info.name} ({login}id {info.id}, {info.distributor}, uuid {info.uuid})")


@configured
def accounts(settings: Settings, as_json: AsJson = False) -> None:
    """List the users who are signed in, one account a line.

    Nothing is sent.

      for user in $(exbo-oauth accounts); do exbo-oauth whoami --user "$user"; done
    """
    with opened_store(settings, reads=True) as store:
        known = known_accounts(settings, store)
    if as_json:
        say_json(known)
        return
    for account in known:
        say(account)
    if not known:
        say_aside(tr("Nobody is signed in: run exbo-oauth login"))

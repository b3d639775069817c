"""``login``, ``logout``, ``url``: a user's way in and out."""

from datetime import UTC, datetime
from secrets import token_bytes
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OAuthError
from ..language import tr
from ..meaning import in_words
from ..protocol.pkce import unguessable
from ..stores.base import TokenStore
from ..stores.guard import removed
from ..stores.memory import MemoryTokenStore
from .options import Account, AsJson, configured
from .output import say, say_aside, say_json
from .session import client, key_of, opened_store, the_account
from .settings import Settings
from .tokens import described
from .wording import lifetime

if TYPE_CHECKING:
    from ..clients.sync import SyncOAuthClient
    from ..models import UserInfo, UserToken

__all__ = ["login", "logout", "url"]


@configured
def login(
    settings: Settings,
    account: Annotated[
        str | None,
        typer.Option("--user", metavar="ACCOUNT", help="The name to keep it under; by default the login."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser, or only print the address.")] = True,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Sign a user in with the browser and keep the token.

    The redirect URI has to be registered with EXBO letter by letter and lead to this machine, as
    http://localhost:9999/callback does. On a machine without a browser, open the printed address elsewhere and paste
    the address that the browser ends up on.

      exbo-oauth login
      exbo-oauth login --no-browser --user second-account
    """
    with opened_store(settings) as store, client(settings, store) as made:
        # Kept under some name from the first moment: the code is spent, there is no second chance.
        name = account or f"sign-in-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        token: UserToken = made.login(name, open_browser=browser, timeout=timeout)
        info = _who(made, name)
        if account is None and info is not None:
            token = made.ensure_user_token(name)
            made.save_user_token(info.login, token)
            made.forget_user_token(name)
            name = info.login
    if as_json:
        say_json({**described(token, name, reveal=False), "user": None if info is None else info.to_dict()})
        return
    left = lifetime(token.expires_after())
    if info is None:
        say(tr("Signed in, kept as account {account!r}, good for {left}.", account=name, left=left))
    else:
        who = info.name
        say(tr("Signed in as {who}, kept as account {account!r}, good for {left}.", who=who, account=name, left=left))
    say_aside(tr("Next: exbo-oauth whoami --user {account}", account=quote(name)))


def _who(made: "SyncOAuthClient", account: str) -> "UserInfo | None":
    """Whose token it is. The sign-in has happened, so that not learning it is no reason to lose the token."""
    try:
        return made.user_info(account)
    except OAuthError as error:
        say_aside(tr("Signed in, but the server did not say as whom: {problem}", problem=in_words(error)))
        if in_words(error) != str(error):
            say_aside(str(error))
        return None


@configured
def logout(
    settings: Settings,
    account: Account = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every user of this application.")] = False,
    app: Annotated[bool, typer.Option("--app", help="The application's own token.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget stored tokens.

    EXBO has no way to revoke a token: a copy of it elsewhere works until it ends, or until the user signs in again.

      exbo-oauth logout --user ivan
      exbo-oauth logout --all --app
    """
    if account is not None and (everybody or app):
        raise typer.BadParameter(
            tr("name one user with --user, or everybody with --all and the application with --app")
        )
    with opened_store(settings, reads=True) as store, client(settings, store, sends=False) as made:
        known = made.accounts()
        leaving = known if everybody else _one(settings, store, account, known, app=app)
        gone: list[str | None] = [who for who in leaving if who in known]
        for who in leaving:
            made.forget_user_token(who)
        if app and removed(store, key_of(settings, None)) is not None:
            gone.append(None)
    if as_json:
        say_json({"accounts": [who for who in gone if who is not None], "app": None in gone})
        return
    for whose in gone:
        if whose is None:
            say(tr("The token of the application is forgotten."))
        else:
            say(tr("The token of {account!r} is forgotten.", account=whose))
    if not gone:
        say(tr("There was nothing to forget."))


def _one(settings: Settings, store: TokenStore, account: str | None, known: list[str], *, app: bool) -> list[str]:
    """The one user who leaves; nobody if the application alone is meant, or nobody is there."""
    if account is None and (app or not known):
        return []
    return [the_account(settings, store, account)]


@configured
def url(
    settings: Settings,
    state: Annotated[
        str | None, typer.Option("--state", help="What the callback has to carry; random by default.")
    ] = None,
    code_challenge: Annotated[
        str | None, typer.Option("--code-challenge", help="The PKCE S256 challenge of your own verifier.")
    ] = None,
    pkce: Annotated[bool, typer.Option("--pkce", help="Make verifier and challenge; needs --json --reveal.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="With --json: show the PKCE verifier, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the address that a user's browser is sent to.

    Whatever receives the callback has to compare its state with this one. With --json --reveal the whole attempt is
    printed, fit for LoginAttempt.from_dict; "exbo-oauth login" does all of it for you.

      exbo-oauth url
      exbo-oauth url --pkce --json --reveal > attempt.json
    """
    if pkce and (state or code_challenge or not (as_json and reveal)):
        raise typer.BadParameter(
            tr("--pkce makes state and challenge itself and needs --json --reveal to hand them out")
        )
    with client(settings, MemoryTokenStore(), sends=False) as made:
        if pkce:
            say_json(made.begin_login().to_dict())
            return
        state = state or unguessable(token_bytes(32))
        address = made.get_authorize_url(state, code_challenge=code_challenge)
    if as_json:
        say_json({"url": address, "state": state, "redirect_uri": settings.text("redirect_uri")})
    else:
        say(address)

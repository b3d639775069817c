"""The authorization code grant as one move: check the callback, exchange the code, save the token.

The code goes out once. From its first byte until the token is saved nobody is interrupted: a code that was
exchanged and not saved is a user who has to sign in again.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ..errors import ConfigurationError, InvalidGrantError, MalformedResponseError, ReadOnlyError
from ..misuse import kind_of, narrowed
from ..models import UserToken
from ..protocol.authorization import parse_callback
from ..protocol.exchange import Exchange, OAuthProtocol
from ..protocol.pkce import challenge_of
from .accounts import save_token
from .attempt import LoginAttempt
from .config import Config
from .effects import Now, Program, Shielded
from .readiness import check_store
from .retries import repeated, sent

__all__ = ["check_savable", "finish_login", "new_attempt"]


def new_attempt(
    protocol: OAuthProtocol,
    state: str,
    verifier: str | None,
    now: datetime,
    redirect_uri: str | None,
    scope: str | None,
) -> LoginAttempt:
    """A sign-in that has not begun yet; without a `verifier` it goes without PKCE."""
    challenge = None if verifier is None else challenge_of(verifier)
    return LoginAttempt(
        url=protocol.authorize_url(state, redirect_uri, scope, challenge),
        state=state,
        redirect_uri=protocol.redirect_uri if redirect_uri is None else redirect_uri,
        created_at=now,
        verifier=verifier,
    )


def finish_login(config: Config, attempt: LoginAttempt, callback: str, account: str | None) -> Program[UserToken]:
    """The token of the user who came back with `callback`, saved under `account` if there is one."""
    given: Any = attempt
    if not isinstance(given, LoginAttempt):
        raise ConfigurationError(
            f"an attempt is what begin_login() or LoginAttempt.from_dict() gave, not {kind_of(given)}"
        )
    attempt.check((yield from Now()))
    _check_origin(config.protocol, attempt)
    check_savable(config, account)
    code = parse_callback(callback, state=attempt.state, issuer=config.protocol.base_url)
    if account is not None:
        yield from check_store(config.key(account))
    verifier = None if attempt.verifier is None else attempt.verifier.reveal()
    exchange = config.protocol.user_token(code, attempt.redirect_uri, verifier)
    return (yield from _claimed(config, attempt, exchange, account))


def _check_origin(protocol: OAuthProtocol, attempt: LoginAttempt) -> None:
    """A code goes to the server that gave it, for the application that it was given to (RFC 9700, section 4.4)."""
    if not attempt.url.startswith(f"{protocol.base_url}/authorize?{urlencode({'client_id': protocol.client_id})}&"):
        raise ConfigurationError(
            "this sign-in was begun at another server or for another application: finish it with the client that "
            "began it"
        )


def check_savable(config: Config, account: str | None) -> None:
    """Raise `ReadOnlyError` if a token is to be saved by a client that only reads."""
    if account is not None and not config.issues:
        text = 'this client only reads (issue="never"): sign in with the client that issues'
        raise narrowed(ReadOnlyError(text), "write")


def _claimed(
    config: Config, attempt: LoginAttempt, exchange: Exchange[UserToken], account: str | None
) -> Program[UserToken]:
    attempt.take()
    used = False

    def once() -> Program[UserToken]:
        nonlocal used
        token, before = yield from sent(exchange, lambda response, now: (exchange.parse(response, now=now), now))
        used = True
        if account is not None:
            yield from save_token(config, account, token, before)
        return token

    def attempt_once() -> Program[UserToken]:
        return (yield from Shielded(once))

    try:
        return (yield from repeated(attempt_once, config.key(account), exchange.repeatable, config.max_retries))
    except (InvalidGrantError, MalformedResponseError) as error:
        used = error.status < 300 or isinstance(error, InvalidGrantError)  # a proxy's error page has spent nothing
        raise
    finally:
        attempt.settle(used=used)

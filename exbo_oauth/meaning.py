"""What an error of the library means, for those to whom its English text says little.

The text itself stays English, so that it can be searched for. What is said here goes above it, with the page that says
more, or into a sentence in another language that would else quote it.
"""

import re
from collections.abc import Iterator
from math import ceil
from shlex import quote
from urllib.parse import urlsplit

from .errors import (
    AccessDeniedError,
    AttemptUsedError,
    CallbackError,
    ConfigurationError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    IssuerMismatchError,
    LeaseTimeoutError,
    LoginRequiredError,
    LoginTimeoutError,
    MalformedResponseError,
    MissingCodeError,
    OAuthError,
    OutcomeUnknownError,
    RateLimitError,
    ReadOnlyError,
    ResponseError,
    ServerError,
    StateMismatchError,
    StoreError,
    TokenConflictError,
    TokenRequestError,
    TransportError,
    UnauthenticatedError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from .language import mark, spoken, tr
from .protocol.addresses import is_loopback
from .protocol.advice import BOT

__all__ = ["MEANINGS", "PAGE", "SANDBOX_AGAIN", "SITUATIONS", "in_words", "meaning_of", "quoting"]

PAGE = mark("https://github.com/exbo-oauth/exbo-oauth/tree/main/docs/errors.md")

MEANINGS: dict[type[OAuthError], str] = {
    ConfigurationError: mark("Something is set up in a way that cannot work. Nothing was sent."),
    TransportError: mark("EXBO could not be reached, or did not answer in time."),
    OutcomeUnknownError: mark(
        "The request was sent, and the answer was lost. Try again; if it is refused, sign in anew."
    ),
    ResponseError: mark("The server answered something else than was asked for."),
    TokenRequestError: mark("The server refused to give a token."),
    InvalidRequestError: mark("Something is missing or wrong in the request. Compare the redirect URI."),
    InvalidClientError: mark(
        "The server does not know client id and secret together, or the application is not approved."
    ),
    InvalidGrantError: mark("The code or the refresh token is dead: used, expired or revoked. Sign in again."),
    UnauthorizedClientError: mark("This application may not do that. Ask EXBO."),
    UnsupportedGrantTypeError: mark("The server does not know this way of getting a token: is the address right?"),
    InvalidScopeError: mark("EXBO has no such scope: leave it empty."),
    UnauthenticatedError: mark("The token is not taken: it has ended, or a newer one took its place."),
    RateLimitError: mark("There were too many requests. Wait, and do not try faster."),
    ServerError: mark("The server is in trouble or in maintenance. Try again later."),
    MalformedResponseError: mark(
        "What answered does not speak as EXBO does: is there a proxy in between, or another address?"
    ),
    CallbackError: mark("What the browser brought back is of no use. Begin anew."),
    AccessDeniedError: mark("The user said no on EXBO's page, or EXBO did for them: nobody is signed in."),
    StateMismatchError: mark("What the browser brought back belongs to another sign-in."),
    IssuerMismatchError: mark("Another server than EXBO sent the browser back. Do not go on with that."),
    MissingCodeError: mark("There is no code in the address: was all of it copied, with what follows the ?"),
    AttemptUsedError: mark("This sign-in is over. Begin a new one."),
    LoginTimeoutError: mark("Nobody came back in time. Is the redirect URI registered letter by letter?"),
    LoginRequiredError: mark("This user has to sign in."),
    LeaseTimeoutError: mark("Another process is renewing the token and is not done yet. Try again."),
    TokenConflictError: mark(
        "Somebody else keeps getting tokens of this application: let all share one store. After that it passes within "
        "five minutes, or at once with exbo-oauth refresh."
    ),
    ReadOnlyError: mark("This program only reads tokens, and another one has to get them."),
    StoreError: mark("The place where tokens are kept cannot be used."),
}

_EXPLAINED = tuple(MEANINGS)

# Where the code of an error says more than its class.
SITUATIONS = {
    "exbo-oauth.callback.attempt-used.finished": mark("This sign-in is done already. Begin a new one if you need one."),
    "exbo-oauth.callback.attempt-used.too-old": mark("This sign-in began more than an hour ago. Begin a new one."),
    "exbo-oauth.callback.refused": mark("EXBO ended the sign-in, and says why. Begin anew."),
    "exbo-oauth.callback.state-mismatch.missing": mark(
        "There is no state in it: it is not the whole address, or not the one that the browser ended on."
    ),
    "exbo-oauth.callback.unreadable": mark("This cannot be read as an address that a browser came back with."),
    "exbo-oauth.configuration.missing-setting": mark("A setting is missing. Nothing was sent."),
    "exbo-oauth.configuration.not-installed": mark("A library is missing: run the pip install that is named with it."),
    "exbo-oauth.configuration.plain-http": mark("Over http the secret would travel in the open: write https."),
    "exbo-oauth.configuration.copied-along": mark(
        "There is a space or a line break in the secret: copy it once more, without what stands around it."
    ),
    "exbo-oauth.configuration.port-taken": mark(
        "Another program has the port, perhaps the same one in another terminal: end it, or use another port."
    ),
    "exbo-oauth.invalid-client.demo": mark("The address is the demo's, and the application is not."),
    "exbo-oauth.invalid-grant.dead.code": mark("The code of this sign-in is used or has expired. Sign in anew."),
    "exbo-oauth.invalid-grant.dead.code-verifier": mark("The code belongs to another sign-in. Sign in anew."),
    "exbo-oauth.invalid-grant.dead.redirect-uri": mark(
        "The redirect URI is not the one that the sign-in began with: send the same, letter by letter."
    ),
    "exbo-oauth.invalid-grant.dead.refresh-token": mark("The refresh token is used or revoked. Sign in again."),
    "exbo-oauth.invalid-request.code-verifier": mark("The code verifier does not belong to this sign-in."),
    "exbo-oauth.invalid-request.redirect-uri": mark(
        "The redirect URI is not the one that the sign-in began with: send the same, letter by letter."
    ),
    "exbo-oauth.login-required.forgotten": mark("The token was forgotten at this moment: this user has to sign in."),
    "exbo-oauth.login-required.never": mark("Nobody has signed in under this name yet."),
    "exbo-oauth.login-required.refused": mark(
        "The refresh token is used or revoked, or the sandbox was started anew: this user has to sign in again."
    ),
    "exbo-oauth.malformed-response.redirect": mark("The address is not quite right: the server leads elsewhere."),
    "exbo-oauth.malformed-response.web-page": mark(
        "A page for people answered: the sign-in of a Wi-Fi, a protection against bots, or another address."
    ),
    "exbo-oauth.read-only.no-token": mark("The store has no living token: start the program that gets them."),
    "exbo-oauth.read-only.write": mark("This program only reads tokens: let the one that gets them do this."),
    "exbo-oauth.store.damaged": mark("What is stored cannot be read; the command that removes it is named with it."),
    "exbo-oauth.store.key": mark("The tokens are encrypted, and EXBO_STORE_KEY has no key that fits."),
    "exbo-oauth.store.owner": mark(
        "The store belongs to another user of this machine, and has to be the own one of whoever runs this."
    ),
    "exbo-oauth.store.readable": mark("Other users of this machine could read the tokens."),
    "exbo-oauth.store.unsaved": mark("The new token could not be saved. Mend the store."),
    "exbo-oauth.transport.certificate": mark("The certificate of the server is not trusted: is the clock right?"),
    "exbo-oauth.transport.name": mark(
        "The network knows no host of this name: is it spelled right, and is there a network?"
    ),
    "exbo-oauth.transport.timeout": mark("EXBO did not answer in time. Try again later."),
}

SANDBOX_AGAIN = mark(
    "Is the sandbox running? Start it as before, with the --state that it had, or every sign-in is lost: exbo-oauth "
    "sandbox --state FILE"
)

_URL = re.compile(r"https?://[^\s'\"]+")


def meaning_of(error: Exception) -> str | None:
    """What happened in the user's language, where to read on and what to run; None in English, and for others' errors.

    A command stands last and without a full stop, which would be copied with it.
    """
    if spoken() == "en" or not isinstance(error, _EXPLAINED):
        return None
    anchor = error.code.replace(".", "-")
    more = tr("More on {code}: {page}#{anchor}", code=error.code, page=tr(PAGE), anchor=anchor)
    return " ".join([*_explained(error), ". ".join([more, *_commands(error)])])


def in_words(error: Exception) -> str:
    """What happened, for a sentence in the user's language that goes on: without an end, English as it is."""
    if spoken() == "en" or not isinstance(error, _EXPLAINED):
        return str(error)
    text = " ".join([*_explained(error), *_commands(error)]).removesuffix(".")
    acronym = text[:2].isalpha() and text[:2].isupper()
    return text if acronym else text[:1].lower() + text[1:]


def quoting(error: Exception) -> str:
    """`in_words`, and the English text behind it: that has what is true of this one error alone."""
    words = in_words(error)
    return words if words == str(error) else f"{words} ({error})"


def _explained(error: OAuthError) -> Iterator[str]:
    wait = getattr(error, "retry_after", None)
    by_class = (MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)
    if isinstance(error, RateLimitError) and wait:
        yield tr("There were too many requests. Try again in {seconds} s.", seconds=ceil(wait))
    else:
        yield tr(SITUATIONS.get(error.code) or next(by_class))


def _commands(error: OAuthError) -> Iterator[str]:
    if isinstance(error, LoginRequiredError) and error.account is not None:
        command = f"exbo-oauth login --user {quote(error.account)}"
        yield tr("Run: {command}", command=command)
    if error.code == "exbo-oauth.configuration.port-taken" and "--port" in str(error):
        yield tr("Another port for the sandbox: exbo-oauth sandbox --port 8766")
    if error.code == "exbo-oauth.configuration.port-taken" and "sandbox --redirect-uri" in str(error):
        yield tr("The sandbox has to know the redirect URI that you use instead: exbo-oauth sandbox --redirect-uri URI")
    if error.code == "exbo-oauth.configuration.port-taken" and "/myapps" in str(error):
        yield tr("Another redirect URI is registered with {bot}: /myapps", bot=BOT)
    if isinstance(error, TransportError) and _leads_here(str(error)):
        yield tr(SANDBOX_AGAIN)


def _leads_here(text: str) -> bool:
    """Whether what the error was about is on this machine."""
    found = _URL.search(text)
    return found is not None and is_loopback(urlsplit(found[0]).hostname)

"""What an error of the library means, for those to whom its English text says little.

The text itself stays English, so that it can be searched for; this goes above it, with the page that says more.
"""

from collections.abc import Iterator
from shlex import quote

from ..errors import (
    CallbackError,
    ConfigurationError,
    InvalidClientError,
    InvalidGrantError,
    LeaseTimeoutError,
    LoginRequiredError,
    LoginTimeoutError,
    MalformedResponseError,
    OAuthError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    ServerError,
    StoreError,
    TokenConflictError,
    TransportError,
    UnauthenticatedError,
)
from ..language import mark, spoken, tr

__all__ = ["MEANINGS", "PAGE", "meaning_of"]

PAGE = mark("https://github.com/exbo-oauth/exbo-oauth/tree/main/docs/errors.md")

MEANINGS: dict[type[OAuthError], str] = {
    ConfigurationError: mark("Something is set up in a way that cannot work. Nothing was sent."),
    TransportError: mark("EXBO could not be reached, or did not answer in time."),
    OutcomeUnknownError: mark(
        "The request was sent, and the answer was lost. Try again; if it is refused, sign in anew."
    ),
    ResponseError: mark("The server answered something else than was asked for."),
    InvalidClientError: mark(
        "The server does not know client id and secret together, or the application is not approved."
    ),
    InvalidGrantError: mark("The code or the refresh token is dead: used, expired or revoked. Sign in again."),
    UnauthenticatedError: mark("The token is not taken: it has ended, or a newer one took its place."),
    RateLimitError: mark("There were too many requests. Wait, and do not try faster."),
    ServerError: mark("The server is in trouble or in maintenance. Try again later."),
    MalformedResponseError: mark(
        "What answered does not speak as EXBO does: is there a proxy in between, or another address?"
    ),
    CallbackError: mark("What the browser brought back does not belong to this sign-in. Begin anew."),
    LoginTimeoutError: mark("Nobody came back in time. Is the redirect URI registered letter by letter?"),
    LoginRequiredError: mark("This user has to sign in."),
    LeaseTimeoutError: mark("Another process is renewing the token and is not done yet. Try again."),
    TokenConflictError: mark("Somebody else keeps getting tokens of this application: let all share one store."),
    StoreError: mark("The place where tokens are kept cannot be used."),
}

# Where the code of an error says more than its class.
SITUATIONS = {
    "exbo-oauth.callback.attempt-used.finished": mark("This sign-in is done already. Begin a new one if you need one."),
    "exbo-oauth.configuration.not-installed": mark("A library is missing: run the pip install that is named above."),
    "exbo-oauth.configuration.copied-along": mark(
        "There is a space or a line break in the secret: copy it once more, without what stands around it."
    ),
    "exbo-oauth.configuration.port-taken": mark(
        "Another program listens on that port. If it is your bot or site, all is well; another login ends with Ctrl-C."
    ),
    "exbo-oauth.configuration.plain-http": mark("Over http the secret would travel in the open: write https."),
    "exbo-oauth.invalid-grant.dead.code": mark("The code of this sign-in is used or has expired. Sign in anew."),
    "exbo-oauth.invalid-grant.dead.refresh-token": mark("The refresh token is used or revoked. Sign in again."),
    "exbo-oauth.malformed-response.web-page": mark(
        "A page for people answered: the sign-in of a Wi-Fi, a protection against bots, or another address."
    ),
    "exbo-oauth.store.damaged": mark("What is stored cannot be read; the command that removes it is named above."),
    "exbo-oauth.store.key": mark("The tokens are encrypted, and EXBO_STORE_KEY has no key that fits."),
    "exbo-oauth.store.readable": mark("Other users of this machine could read the tokens."),
    "exbo-oauth.transport.certificate": mark("The certificate of the server is not trusted: is the clock right?"),
    "exbo-oauth.transport.name": mark(
        "The network knows no host of this name: is it spelled right, and is there a network?"
    ),
}


def meaning_of(error: Exception) -> str | None:
    """What happened in the user's language, and where to read on; None in English, and for errors of others."""
    if spoken() == "en" or not isinstance(error, OAuthError):
        return None
    anchor = error.code.replace(".", "-")
    more = tr("More on {code}: {page}#{anchor}", code=error.code, page=tr(PAGE), anchor=anchor)
    return " ".join([*_explained(error), more])


def _explained(error: OAuthError) -> Iterator[str]:
    by_class = [MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS]
    known = SITUATIONS.get(error.code) or next(iter(by_class), None)
    if known is not None:
        yield tr(known)
    if isinstance(error, LoginRequiredError) and error.account is not None:
        command = f"exbo-oauth login --user {quote(error.account)}"
        yield tr("Run: {command}", command=command) + "."

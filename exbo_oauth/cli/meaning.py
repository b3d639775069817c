"""What an error of the library means, for those to whom its English text says little.

The text itself stays English, so that it can be searched for; this goes beneath it, with the page that says more.
"""

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


def meaning_of(error: Exception) -> str | None:
    """A sentence in the user's language, and where to read on; None in English, and for what is not an `OAuthError`."""
    if spoken() == "en" or not isinstance(error, OAuthError):
        return None
    known = [MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS]
    page = tr(PAGE)
    anchor = error.code.replace(".", "-")
    return " ".join([*(tr(meaning) for meaning in known[:1]), tr("More: {page}#{anchor}", page=page, anchor=anchor)])

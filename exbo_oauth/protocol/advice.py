"""What to do about a refusal: one sentence for each mistake that real projects make.

The server's own words often mislead (an unregistered redirect URI is "Client authentication failed"), so the
sentence says what they mean here. Facts: the recorded cases named beside each.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import frozen

from .addresses import is_loopback, origin_of

__all__ = ["BOT", "Advice", "advice_on"]

BOT = "@stalzone_api_bot"
"""EXBO's bot in Telegram, in which applications are registered; the one of before the game was renamed is dead."""


@frozen
class Advice:
    """What to do, in a sentence or none, and what stands behind the code of the error's class in this situation."""

    text: str = ""
    situation: str | None = None


_BY_HINT = {
    # D06b, D06c, M13: a failed exchange does not spend the code.
    "invalid redirect uri": Advice(
        "Send the redirect_uri of the authorize URL, letter by letter; the code is not spent.", "redirect-uri"
    ),
    # P01
    "failed to verify `code_verifier`": Advice(
        "This code belongs to another code_verifier: use that of its own sign-in.", "code-verifier"
    ),
    # P04
    "code_verifier received when no": Advice(
        "Send code_verifier only if the authorize URL carried a code_challenge.", "code-verifier"
    ),
}

_BY_ERROR: Mapping[str | None, str] = {
    # B01–B11, D06, E12: one answer for five causes.
    "invalid_client": (
        "Check client_id and client_secret; EXBO says the same of a redirect URI that is not registered letter by "
        "letter and of an application that is revoked or not approved yet, although the bot shows its credentials."
    ),
    # A06, C01–C04
    "unsupported_grant_type": (
        "EXBO says so of a missing or misspelt parameter, too: check that base_url leads straight to EXBO and that "
        "no proxy rewrites the request."
    ),
    # C10, R06
    "invalid_scope": "EXBO defines no scope: leave it empty.",
}

# Where no redirect URI is part of the request.
_INVALID_CLIENT_WITHOUT_REDIRECT = (
    "Check client_id and client_secret; EXBO says the same of an application that is revoked or not approved yet, "
    "although the bot shows its credentials."
)

_BY_GRANT = {
    "authorization_code": Advice(
        "The code is spent, expired or another application's: the user has to sign in again.", "code"
    ),
    "refresh_token": Advice(
        "The refresh token is spent, expired or another application's: the user must sign in again.", "refresh-token"
    ),
}


def advice_on(
    base_url: str,
    grant: str | None,
    status: int,
    *,
    error: str | None = None,
    hint: str | None = None,
    dead: bool = False,
) -> Advice:
    """What to do about a refusal. `dead` says that the grant's own code or token is no good."""
    said = (hint or "").lower()
    for beginning, advice in _BY_HINT.items():
        if said.startswith(beginning):
            # Whatever hint a server gives with another error, the situation is not one of that error's.
            return advice if error in ("invalid_request", "invalid_grant") else Advice(advice.text)
    if dead and grant in _BY_GRANT:
        return _BY_GRANT[grant]
    if error == "invalid_client" and _is_demo(base_url):
        text = "This is a demo host: EXBO publishes its tokens, a real application's credentials do not work here."
        return Advice(text, "demo")
    if error == "invalid_client" and is_loopback(_host(base_url)):
        page = f"{origin_of(base_url)}/"
        return Advice(f"Compare client_id, client_secret and any redirect URI with those on the sandbox's page, {page}")
    if error == "invalid_client" and grant in ("client_credentials", "refresh_token"):
        return Advice(_INVALID_CLIENT_WITHOUT_REDIRECT)
    return Advice(_BY_ERROR.get(error) or _by_status(base_url, grant, status))


def _is_demo(base_url: str) -> bool:
    return _host(base_url).startswith(("dapi.", "demo."))


def _host(base_url: str) -> str:
    return urlsplit(base_url).hostname or ""


def _by_status(base_url: str, grant: str | None, status: int) -> str:
    if status == 401 and grant is None:
        return (
            f"{_host(base_url)} says so of a token that is expired, revoked, or superseded by a newer one, which "
            "another deployment may have been issued; of one that is not a user's, or is another server's (the "
            "sandbox's, the demo's); of any token of a user who was deleted, or of an application that is not "
            "approved yet."
        )
    if status in (404, 405):
        return "Check base_url: EXBO's is https://exbo.net/oauth."
    if status == 500 and grant == "refresh_token":
        return "EXBO fails like this if what was sent is a code and no refresh token."  # R08
    return ""

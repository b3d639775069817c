"""The browser's half of the authorization code grant: the URL that a user is sent to, and what comes back.

A callback is somebody's request to us, so it is believed step by step: whose attempt is it (``state``), which
server speaks (``iss``, RFC 9207), did that server refuse, and only then, what is the code.
"""

from collections.abc import Mapping
from hmac import compare_digest
from urllib.parse import parse_qsl, urlencode

from ..errors import (
    AccessDeniedError,
    CallbackError,
    ConfigurationError,
    IssuerMismatchError,
    MissingCodeError,
    StateMismatchError,
)
from .addresses import checked_redirect_uri, origin_of
from .pkce import checked_challenge
from .text import encodable, quoted

__all__ = ["authorize_url", "parse_callback"]

_PARAMETERS = ("state", "iss", "error", "error_description", "code")
_LONGEST_CALLBACK = 64 * 1024  # a recorded code has 700 characters


def authorize_url(
    base_url: str, client_id: str, redirect_uri: str, scope: str, state: str | None, code_challenge: str | None
) -> str:
    """RFC 6749, section 4.1.1; RFC 7636, section 4.3. `scope` is sent also when empty, `state` if there is one."""
    query = {
        "client_id": client_id,
        "redirect_uri": checked_redirect_uri(redirect_uri),
        "response_type": "code",
        "scope": encodable("scope", scope),
    }
    if state is not None:
        query["state"] = encodable("state", state)
    if code_challenge is not None:
        query |= {"code_challenge": checked_challenge(code_challenge), "code_challenge_method": "S256"}
    return f"{base_url}/authorize?{urlencode(query)}"


def parse_callback(url_or_query: str, *, state: str, issuer: str | None = None) -> str:
    """The authorization code in a callback: the full URL, its path and query, or its query string alone.

    `state` is the attempt's own and is compared in constant time; `issuer` (the base URL) is what ``iss`` must
    name if it is sent, as the base URL or its origin. Raises `StateMismatchError`, `IssuerMismatchError`,
    `AccessDeniedError`, `MissingCodeError`, or `CallbackError` for the server's other errors and for a callback
    that cannot be read. An error that comes without any state is reported as that error: league-8 forgets the
    state with ``invalid_scope`` (recorded case Z08).
    """
    if not state:
        raise ConfigurationError("state must be the one that the authorize URL was made with")
    answer = _parameters(url_or_query)
    error = answer.get("error")
    if error is not None and "state" not in answer:
        raise _refusal(error, answer)
    _check_state(answer.get("state"), encodable("state", state))
    _check_issuer(answer.get("iss"), issuer)
    if error is not None:
        raise _refusal(error, answer)
    if not answer.get("code"):
        raise MissingCodeError("the callback carries no code: is it the whole address that the browser ended on?")
    return answer["code"]


def _parameters(url_or_query: str) -> Mapping[str, str]:
    if not isinstance(url_or_query, str) or len(url_or_query) > _LONGEST_CALLBACK:
        raise CallbackError("a callback is the address that the browser ended on, or its query string")
    try:
        pairs = parse_qsl(_query_of(url_or_query.strip()), keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError:
        raise CallbackError("the callback's query string cannot be read") from None
    names = [name for name, _ in pairs]
    if repeated := [name for name in _PARAMETERS if names.count(name) > 1]:
        raise CallbackError(f"the callback carries {repeated[0]} more than once, which no honest server sends")
    return dict(pairs)


def _query_of(text: str) -> str:
    text, _, _ = text.partition("#")
    before, mark, after = text.partition("?")
    # In a bare query string a question mark can stand inside a value; before it then stands a name with "=".
    if mark and ("://" in before or "=" not in before):
        return after
    return "" if "://" in before and "=" not in before else text


def _check_state(got: str | None, expected: str) -> None:
    if got is None:
        raise StateMismatchError("the callback carries no state: it does not belong to this sign-in")
    if not compare_digest(got.encode(), expected.encode()):
        raise StateMismatchError("the callback's state is another one: it does not belong to this sign-in")


def _check_issuer(got: str | None, expected: str | None) -> None:
    if got is None or expected is None:
        return
    if got.rstrip("/") not in (expected.rstrip("/"), origin_of(expected)):
        raise IssuerMismatchError(f"the callback comes from {quoted(got)}, this sign-in went to {expected}")


def _refusal(error: str, answer: Mapping[str, str]) -> CallbackError:
    description = answer.get("error_description")
    said = quoted(error) + (f" ({quoted(description)})" if description else "")
    if error == "access_denied":
        return AccessDeniedError(f"the sign-in was denied: {said}", error=error, description=description)
    advice = ": EXBO defines no scope, leave it empty" if error == "invalid_scope" else ""
    return CallbackError(f"the server ended the sign-in: {said}{advice}", error=error, description=description)


parse_callback.__module__ = "exbo_oauth"

"""The browser's half of the authorization code grant: the URL that a user is sent to, and what comes back.

A callback is somebody's request to us, so it is believed step by step: whose attempt is it (``state``), which
server speaks (``iss``, RFC 9207), did that server refuse, and only then, what is the code.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from ..boundary import bounded
from ..errors import (
    AccessDeniedError,
    CallbackError,
    IssuerMismatchError,
    MissingCodeError,
    StateMismatchError,
)
from ..misuse import narrowed
from .addresses import checked_base_url, checked_redirect_uri, origin_of
from .pkce import checked_challenge
from .text import encodable, quoted, sendable

__all__ = ["authorize_url", "carries_state", "parse_callback", "state_in"]

_PARAMETERS = ("state", "iss", "error", "error_description", "code")
# The marks of a terminal's bracketed paste, where a line was broken and perhaps indented, and what nobody sees.
_AMID_A_PASTE = re.compile("\x1b\\[20[01]~|[ \xa0]*[\r\n\t\u2028\u2029][\\s]*|[\u200b\u2060\ufeff]")
_AFTER_A_PASTE = ".,;!"
_QUOTES = ("<>", "()", "[]", "{}", "«»", "“”", "„“", "‘’", '""', "''", "``")
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
        query["state"] = sendable("state", state)
    if code_challenge is not None:
        query |= {"code_challenge": checked_challenge(code_challenge), "code_challenge_method": "S256"}
    return f"{base_url}/authorize?{urlencode(query)}"


@bounded
def parse_callback(url_or_query: str, *, state: str, issuer: str | None = None) -> str:
    """The authorization code in a callback: the full URL, its path and query, or its query string alone.

    `state` is the attempt's own and is compared in constant time; `issuer` (the base URL) is what ``iss`` must
    name if it is sent, as the base URL or its origin. Raises `StateMismatchError`, `IssuerMismatchError`,
    `AccessDeniedError`, `MissingCodeError`, or `CallbackError` for the server's other errors and for a callback
    that cannot be read. An error that comes without any state is reported as that error: league-8 forgets the
    state with ``invalid_scope`` (recorded case Z08).

    ::

        code = parse_callback(callback_url, state=attempt.state)
    """
    sendable("state", state)
    expected_issuer = None if issuer is None else checked_base_url(issuer)
    answer = _parameters(url_or_query)
    refused = "error" in answer
    if refused and "state" not in answer:
        raise _refusal(answer)
    _check_state(answer.get("state"), state)
    _check_issuer(answer.get("iss"), expected_issuer)
    if refused:
        raise _refusal(answer)
    if not answer.get("code"):
        raise MissingCodeError("the callback carries no code: is it the whole address that the browser ended on?")
    return answer["code"]


def carries_state(callback: str) -> bool:
    """Whether a callback that `parse_callback` could read names a state at all: an error without one is nobody's."""
    return "state" in _parameters(callback)


def state_in(url_or_query: str) -> str | None:
    """The state that a callback names, None if there is none or it cannot be read. Checks nothing else."""
    try:
        return _parameters(url_or_query).get("state")
    except CallbackError:
        return None


def _parameters(callback: str) -> Mapping[str, str]:
    """What a callback says that we know."""
    if not isinstance(callback, str) or len(callback) > _LONGEST_CALLBACK:
        raise _unreadable("a callback is the address that the browser ended on, or its query string")
    try:
        callback.encode()  # half of a character could be neither compared nor sent on
        pairs = parse_qsl(_query_of(_tidied(callback)), keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError:
        raise _unreadable("the callback's query string cannot be read") from None
    names = [name for name, _ in pairs]
    if repeated := [name for name in _PARAMETERS if names.count(name) > 1]:
        raise _unreadable(f"the callback carries {repeated[0]} more than once, which no honest server sends")
    return {name: value for name, value in pairs if name in _PARAMETERS}


def _unreadable(text: str) -> CallbackError:
    return narrowed(CallbackError(text), "unreadable")


def _tidied(text: str) -> str:
    """A callback without what comes along when people copy it: line breaks, quotes, brackets, a full stop."""
    text = _AMID_A_PASTE.sub("", text).strip()
    # The server's words about an error may end in a full stop of their own, and have spaces.
    is_address = "://" in text.partition("?")[0] and "error=" not in text
    while (peeled := _peeled(text, _AFTER_A_PASTE if is_address else "")) != text:
        text = peeled
    return re.sub(r"\s", "", text) if is_address else text


def _peeled(text: str, behind: str) -> str:
    """`text` without one layer of quotes, and without what stands `behind` those."""
    text = text.rstrip(behind)
    return text[1:-1].strip() if text[:1] + text[-1:] in _QUOTES else text


def _query_of(text: str) -> str:
    text, _, _ = text.partition("#")
    before, _, after = text.partition("?")
    name, equals, _ = before.partition("=")
    # In a bare query string a question mark can stand inside a value; a name with "=" then stands before it.
    address = not equals or "://" in name or name.startswith("/")
    return after if address else text


def _check_state(got: str | None, expected: str) -> None:
    if got is None:
        text = "the callback carries no state: it is not whole, or does not belong to this sign-in"
        raise narrowed(StateMismatchError(text), "missing")
    from hmac import compare_digest  # who signs nobody in has no need of it

    if not compare_digest(got.encode(), expected.encode()):
        raise StateMismatchError("the callback's state is another one: it does not belong to this sign-in")


def _check_issuer(got: str | None, expected: str | None) -> None:
    if got is None or expected is None:
        return
    issuer = quoted(got)
    if issuer.removesuffix("/") not in (expected, origin_of(expected)):
        raise IssuerMismatchError(f"the callback comes from {issuer}, this sign-in went to {expected}")


def _refusal(answer: Mapping[str, str]) -> CallbackError:
    error = quoted(answer["error"])
    description = quoted(answer["error_description"]) if "error_description" in answer else None
    said = error + (f" ({description})" if description else "")
    if error == "access_denied":
        return AccessDeniedError(f"the sign-in was denied: {said}", error=error, description=description)
    advice = ": EXBO defines no scope, leave it empty" if error == "invalid_scope" else ""
    text = f"the server ended the sign-in: {said}{advice}"
    return narrowed(CallbackError(text, error=error, description=description), "refused")


parse_callback.__module__ = "exbo_oauth"

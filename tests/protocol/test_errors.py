"""The error tree: as drawn, picklable, and each error with what it carries."""

import copy
import json
import pickle
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

import exbo_oauth
from exbo_oauth import (
    AppToken,
    CallbackError,
    ConfigurationError,
    LeaseTimeoutError,
    LoginRequiredError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    ServerError,
    StoreError,
    TokenConflictError,
    TokenRequestError,
    TransportError,
    errors,
)
from exbo_oauth.masking import MASK, Secret, detached, redacted, reveal, wrapped
from exbo_oauth.misuse import ERROR_INDEX
from exbo_oauth.protocol import Headers

from .given import RECORDED

TREE: dict[str, tuple[str, ...]] = {
    "OAuthError": ("Exception",),
    "ConfigurationError": ("OAuthError", "ValueError"),
    "TransportError": ("OAuthError",),
    "OutcomeUnknownError": ("TransportError",),
    "ResponseError": ("OAuthError",),
    "TokenRequestError": ("ResponseError",),
    "InvalidRequestError": ("TokenRequestError",),
    "InvalidClientError": ("TokenRequestError",),
    "InvalidGrantError": ("TokenRequestError",),
    "UnauthorizedClientError": ("TokenRequestError",),
    "UnsupportedGrantTypeError": ("TokenRequestError",),
    "InvalidScopeError": ("TokenRequestError",),
    "UnauthenticatedError": ("ResponseError",),
    "RateLimitError": ("ResponseError",),
    "ServerError": ("ResponseError",),
    "MalformedResponseError": ("ResponseError",),
    "CallbackError": ("OAuthError",),
    "AccessDeniedError": ("CallbackError",),
    "StateMismatchError": ("CallbackError",),
    "IssuerMismatchError": ("CallbackError",),
    "MissingCodeError": ("CallbackError",),
    "AttemptUsedError": ("CallbackError",),
    "LoginTimeoutError": ("OAuthError",),
    "LeaseTimeoutError": ("OAuthError",),
    "LoginRequiredError": ("OAuthError",),
    "TokenConflictError": ("OAuthError",),
    "ReadOnlyError": ("OAuthError",),
    "StoreError": ("OAuthError",),
}


def test_the_tree_is_the_promised_one() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert {kind.__name__: tuple(base.__name__ for base in kind.__bases__) for kind in classes} == TREE


def test_every_error_is_public() -> None:
    assert errors.__all__ == sorted(TREE)
    for name in TREE:
        assert getattr(exbo_oauth, name) is getattr(errors, name)
        assert getattr(errors, name).__module__ == "exbo_oauth"


@pytest.mark.skipif(sys.flags.optimize == 2, reason="there are no docstrings")
def test_the_drawing_on_top_of_the_module_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    line_of: list[str] = []
    for indent, name in re.findall(r"^    ([ │├└]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        depth = (len(indent) + 2) // 3
        del line_of[depth:]
        drawn[name] = line_of[-1] if line_of else "Exception"
        line_of.append(name)
    assert drawn == {name: bases[0] for name, bases in TREE.items()}


ANSWER: dict[str, Any] = {"status": 400, "headers": Headers({"Retry-After": "5"}), "grant": "refresh_token"}
TOKEN = AppToken(token_type="Bearer", access_token="secret.token", expires_in=60)


def given(error: Exception) -> dict[str, Any]:
    """What an error carries beside its text and where that is explained."""
    return {name: value for name, value in vars(error).items() if name != "__notes__"}


def arguments(name: str) -> dict[str, Any]:
    kind = getattr(errors, name)
    if issubclass(kind, TransportError):
        return {"request_sent": True}
    if issubclass(kind, TokenRequestError):
        return {**ANSWER, "error": "invalid", "description": "what", "hint": "why"}
    if issubclass(kind, RateLimitError | ServerError):
        return {**ANSWER, "retry_after": 5.0}
    if issubclass(kind, CallbackError):
        return {"error": "access_denied", "description": "no"}
    others: dict[type, dict[str, Any]] = {
        LeaseTimeoutError: {"holder": "web-2:311", "since": datetime(2030, 1, 1, tzinfo=UTC)},
        LoginRequiredError: {"account": "ivan"},
        TokenConflictError: {"issuer": "host-1"},
        StoreError: {"token": TOKEN},
    }
    return ANSWER if issubclass(kind, ResponseError) else others.get(kind, {})


@pytest.mark.parametrize("name", TREE)
def test_an_error_carries_what_it_was_given(name: str) -> None:
    error = getattr(errors, name)("what happened", **arguments(name))
    assert str(error) == "what happened"
    assert given(error) == arguments(name)


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("name", TREE)
def test_an_error_survives_a_pickle_and_a_copy(name: str, through: Any) -> None:
    error = getattr(errors, name)("what happened", **arguments(name))
    error.add_note("while testing")
    twin = through(error)
    assert type(twin) is type(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert str(twin) == str(error)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = {getattr(errors, name).code for name in TREE}
    assert len(codes) == len(TREE)
    assert not [code for code in codes if not re.fullmatch(r"exbo-oauth(\.[a-z]+(-[a-z]+)*)+", code)]


@pytest.mark.parametrize("name", TREE)
def test_a_traceback_leads_once_to_the_error_index(name: str) -> None:
    try:
        raise getattr(errors, name)("what happened", **arguments(name))
    except exbo_oauth.OAuthError as error:
        told = "".join(traceback.format_exception(error)).splitlines()
        code = error.code
    assert told[-2:] == [
        f"exbo_oauth.{name}: what happened",
        f"{code}: {ERROR_INDEX}#{code.replace('.', '-')}",
    ]


def test_what_need_not_be_said_has_a_default() -> None:
    assert OutcomeUnknownError("lost").request_sent
    assert given(ResponseError("no", status=400)) == {"status": 400, "headers": {}, "grant": None}
    assert given(RateLimitError("slow")) == {"status": 429, "headers": {}, "grant": None, "retry_after": None}
    assert given(CallbackError("no")) == {"error": None, "description": None}
    assert LoginRequiredError("sign in").account is None
    assert TokenConflictError("again").issuer is None
    assert StoreError("full").token is None


def test_a_configuration_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="wrong"):
        raise ConfigurationError("wrong")


def test_a_rescued_token_does_not_show() -> None:
    error = StoreError("full", token=TOKEN)
    assert TOKEN.access_token not in f"{error}{error!r}{vars(error)}"


# What errors are made with


def test_a_secret_shows_as_a_mask_and_gives_its_text_only_when_asked() -> None:
    secret = Secret("hunter2")
    assert f"{secret}" == str(secret) == repr(secret) == MASK
    assert repr([secret]) == f"[{MASK}]"
    assert reveal(secret) == reveal("hunter2") == secret.reveal() == "hunter2"
    assert wrapped(secret) is secret
    assert wrapped("hunter2") == secret
    assert pickle.loads(pickle.dumps(secret)) == secret  # our own


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a+b/c d", MASK),
        ("x=a%2Bb%2Fc+d&y", f"x={MASK}&y"),
        ("x=a%2bb/c%20d&y", f"x={MASK}&y"),
        ("a+b/c", "a+b/c"),
        ("", ""),
    ],
)
def test_a_secret_is_masked_in_any_encoding(text: str, masked: str) -> None:
    assert redacted(text, [Secret("a+b/c d")]) == masked


RECORDED_WORDS = sorted(
    {
        word
        for row in RECORDED
        if row["status"] >= 400 and row["body"].startswith("{")
        for said in json.loads(row["body"]).values()
        if isinstance(said, str)
        for word in re.findall(r"\w+", said.replace("nosuch", ""))  # which had been sent
    }
)


@pytest.mark.parametrize("secret", [*RECORDED_WORDS, "client_secret", "Client authentication failed"])
def test_the_servers_words_stay_readable_whatever_the_secret(secret: str) -> None:
    for row in RECORDED:
        if row["status"] >= 400:
            assert redacted(row["body"], [Secret(secret)]) == row["body"]


@pytest.mark.parametrize(
    "secret",
    ["hunter2", "swordfish", "secret1", "Xk3-client-secret", "0123", "client_secret_9f", "a-long-secret-of-words-only"],
)
@pytest.mark.parametrize(
    "text", ["{} is wrong", "secret={}&x", "'{}'", "({})", "the client_secret {}", "https://exbo.net/?code={}"]
)
def test_a_real_secret_is_masked_where_it_stands(text: str, secret: str) -> None:
    assert redacted(text.format(secret), [Secret(secret)]) == text.format(MASK)


def test_a_long_secret_is_masked_also_within_a_word() -> None:
    assert redacted("x3Dabcdef0123456789zz", [Secret("abcdef0123456789")]) == f"x3D{MASK}zz"


def test_half_a_character_in_a_secret_does_no_harm() -> None:
    assert redacted("so: abc\ud800", [Secret("abc\ud800")]) == f"so: {MASK}"


def test_a_detached_error_has_neither_frames_nor_a_chain() -> None:
    def failing() -> None:
        try:
            vars()["inner"]
        except KeyError as error:
            raise OSError("outer") from error

    with pytest.raises(OSError, match="outer") as caught:
        failing()
    plain = detached(caught.value)
    assert plain is caught.value
    assert (plain.__traceback__, plain.__cause__, plain.__context__) == (None, None, None)

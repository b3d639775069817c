"""Tracebacks rendered with locals: no frame but the caller's own shows a secret, and none of ours shows anything.

Every way in which the core can raise is walked with secrets in hand. The whole chain of each error is rendered, also
what ``from None`` hides, and every frame but this file's own is looked at.
"""

import json
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import exbo_oauth
from exbo_oauth import AppToken, OAuthError, UserToken
from exbo_oauth.protocol import MAX_BODY, Headers, OAuthProtocol, Response, challenge_of, parse_callback

from .given import EXCHANGES, NOW, PROTOCOL, SECRETS, TOKEN, USER, VERIFIER, answer, without

PACKAGE = Path(exbo_oauth.__file__).parent

SECRET = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"
HALF = f"{SECRET}\ud800"
EVERY_SECRET = (SECRET, *SECRETS)


def chain(rendered: traceback.TracebackException | None) -> Iterator[traceback.TracebackException]:
    while rendered is not None:
        yield rendered
        yield from chain(rendered.__context__)
        rendered = rendered.__cause__


def ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(PACKAGE) or frame.filename.startswith("<attrs generated")


def seen(error: OAuthError) -> list[str]:
    """Where a secret shows: "function: local" of each frame, and "text" for the error itself."""
    found = []
    for rendered in chain(traceback.TracebackException.from_exception(error, capture_locals=True)):
        frames = [frame for frame in rendered.stack if frame.filename != __file__]
        for frame in frames:
            assert not frame.locals or "boundary.py" in frame.filename or not ours(frame)
            for name, value in (frame.locals or {}).items():
                if any(secret in value for secret in EVERY_SECRET):
                    found.append(f"{frame.name}: {name}")
        if any(secret in line for line in rendered.format_exception_only() for secret in EVERY_SECRET):
            found.append("text")
    if any(secret in repr(vars(error)) for secret in EVERY_SECRET):
        found.append("attributes")
    return found


def made(**arguments: Any) -> OAuthProtocol:
    return OAuthProtocol(**{"client_id": 59, "client_secret": SECRET, **arguments})


def token(**fields: Any) -> UserToken:
    fields = {"token_type": "Bearer", "access_token": SECRET, "refresh_token": SECRET, "expires_in": 60, **fields}
    return UserToken(**fields)


Call = Callable[[], object]
MISTAKES: dict[str, Call] = {
    # The application's settings
    "client secret with half a character": lambda: made(client_secret=HALF),
    "client secret with a line end": lambda: made(client_secret=f"{SECRET}\n"),
    "client secret in bytes": lambda: made(client_secret=SECRET.encode()),
    "client id": lambda: made(client_id=""),
    "base URL": lambda: made(base_url="http://exbo.net"),
    "redirect URI": lambda: made(redirect_uri="nowhere"),
    "scope": lambda: made(scope=5),
    # The calls
    "code of half a character": lambda: PROTOCOL.user_token(HALF),
    "code in bytes": lambda: PROTOCOL.user_token(SECRET.encode()),  # type: ignore[arg-type]
    "code, and a wrong redirect URI": lambda: PROTOCOL.user_token(SECRET, "nowhere"),
    "code, and a wrong verifier": lambda: PROTOCOL.user_token(SECRET, code_verifier=f"{VERIFIER} "),
    "code, and half a verifier": lambda: PROTOCOL.user_token(SECRET, code_verifier=f"{VERIFIER}\ud800"),
    "refresh token with half a character": lambda: PROTOCOL.refresh(HALF),
    "refresh token, and a wrong scope": lambda: PROTOCOL.refresh(SECRET, "\ud800"),
    "refresh token of a model, and a wrong scope": lambda: PROTOCOL.refresh(token(), "\ud800"),
    "bearer with half a character": lambda: PROTOCOL.user_info(HALF),
    "bearer of two words": lambda: PROTOCOL.user_info(f"{SECRET} {SECRET}"),
    "bearer in bytes": lambda: PROTOCOL.user_info(SECRET.encode()),  # type: ignore[arg-type]
    "verifier that is too long": lambda: challenge_of(SECRET * 5),
    "verifier with half a character": lambda: challenge_of(HALF),
    # Callbacks
    "code of another state": lambda: parse_callback(f"code={SECRET}&state=x", state=SECRET),
    "code without a state": lambda: parse_callback(f"code={SECRET}", state=SECRET),
    "code beside an error": lambda: parse_callback(f"code={SECRET}&error=x&state=s", state="s"),
    "code beside an error without a state": lambda: parse_callback(f"code={SECRET}&error=x", state="s"),
    "code of another issuer": lambda: parse_callback(
        f"code={SECRET}&state=s&iss=x", state="s", issuer="https://exbo.net"
    ),
    "code, and an issuer that is none": lambda: parse_callback(f"code={SECRET}&state=s", state="s", issuer="x"),
    "code twice": lambda: parse_callback(f"code={SECRET}&code={SECRET}&state=s", state="s"),
    "code in no UTF-8": lambda: parse_callback(f"code={SECRET}%ff&state=s", state="s"),
    "code with half a character": lambda: parse_callback(f"code={HALF}&state=s", state="s"),
    "code in an endless callback": lambda: parse_callback(f"code={SECRET}&state=s&x={'x' * 70_000}", state="s"),
    "code in bytes for a callback": lambda: parse_callback(f"code={SECRET}".encode(), state="s"),  # type: ignore[arg-type]
    "nothing but a code": lambda: parse_callback(SECRET, state="s"),
    "state with half a character": lambda: parse_callback(f"code={SECRET}&state=s", state=HALF),
    # Messages
    "body as text": lambda: Response(200, {}, json.dumps({"access_token": SECRET})),  # type: ignore[arg-type]
    "headers in bytes": lambda: Response(200, {b"set-cookie": SECRET.encode()}, b""),  # type: ignore[arg-type]
    "headers that are no pairs": lambda: Headers([("set-cookie", SECRET, "x")]),  # type: ignore[list-item]
    # Models
    "token of two words": lambda: token(access_token=f"{SECRET} {SECRET}"),
    "refresh token with a line break": lambda: token(refresh_token=f"{SECRET}\n"),
    "expiry that is no number": lambda: token(expires_in="soon"),
    "expiry without an offset": lambda: token(expires_in=datetime(2026, 1, 1)),  # noqa: DTZ001  # the mistake
    "extra that is no mapping": lambda: token(extra=[SECRET]),
    "dict with a wrong token": lambda: UserToken.from_dict(TOKEN | {"access_token": f"{SECRET} "}),
    "dict with a wrong expiry": lambda: UserToken.from_dict(TOKEN | {"expires_in": SECRET}),
    "dict with a wrong moment": lambda: UserToken.from_dict(TOKEN | {"expires_at": SECRET}),
    "dict without a token": lambda: UserToken.from_dict(MappingProxyType(without(TOKEN, "access_token"))),
    "dict without a type": lambda: AppToken.from_dict(without(TOKEN, "token_type")),
    "dict that is none": lambda: AppToken.from_dict([SECRET]),  # type: ignore[arg-type]
    "dict and a naive moment": lambda: AppToken.from_dict(TOKEN, now=datetime(2026, 1, 1)),  # noqa: DTZ001
}


@pytest.mark.parametrize("call", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_shows_a_secret_in_no_frame_but_the_callers(call: Call) -> None:
    with pytest.raises(OAuthError) as caught:
        call()
    assert seen(caught.value) == []


FULL = {**TOKEN, **USER}
OPTIONAL = ("display_login", "distributor_id", "expires_in")
ECHO = " ".join(SECRETS)
SUCCESSES: dict[str, object] = {
    "an array": [FULL],
    "a page": f"<html>{ECHO}".encode(),
    "half": json.dumps(FULL).encode()[:-1],
    "too large": json.dumps({**FULL, "x": "x" * MAX_BODY}),
    "too deep": json.loads('{"a":' * 100 + json.dumps(FULL) + "}" * 100),
    "nan": {**FULL, "nan": float("nan")},
    "infinite": json.dumps(FULL)[:-1].encode() + b',"a":1e999}',
    **{f"{name} missing": without(FULL, name) for name in FULL if name not in OPTIONAL},
    **{f"{name} wrong": {**FULL, name: [ECHO]} for name in FULL},
    **{f"{name} with a secret": {**FULL, name: f"{ECHO}\n"} for name in ("access_token", "expires_in", "id", "uuid")},
}
NEEDED = {
    "client_credentials": {"token_type", "access_token", "expires_in"},
    "authorization_code": {"token_type", "access_token", "expires_in", "refresh_token"},
    "refresh_token": {"token_type", "access_token", "expires_in"},
    "user": set(USER),
}
READINGS = [
    pytest.param(call, body, id=f"{call}, {name}")
    for call, needed in NEEDED.items()
    for name, body in SUCCESSES.items()
    if (field := name.partition(" ")[0]) not in FULL
    or field in needed
    or (field == "refresh_token" and name.endswith("wrong") and call == "refresh_token")
]


@pytest.mark.parametrize(("call", "body"), READINGS)
def test_a_success_that_cannot_be_used_shows_no_token(call: str, body: object) -> None:
    with pytest.raises(OAuthError) as caught:
        EXCHANGES[call].parse(answer(200, body), now=NOW)
    assert seen(caught.value) == []


@pytest.mark.parametrize("read", ["parse", "json"])
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("call", EXCHANGES)
@pytest.mark.parametrize("error", ["invalid_request", "invalid_grant", "unknown", None])
def test_a_refusal_that_repeats_our_secrets_shows_none(error: str | None, call: str, status: int, read: str) -> None:
    exchange = EXCHANGES[call]
    mine = " ".join(secret.reveal() for secret in exchange.call.secrets)
    body = {
        "error": error or mine,
        "error_description": mine,
        "hint": mine,
        "message": mine,
        "title": mine,
        "more": mine,
    }
    response = answer(status, body, Location=f"https://exbo.net/{mine}?{mine}", X_Echo=mine)
    with pytest.raises(OAuthError) as caught:
        exchange.json(response) if read == "json" else exchange.parse(response, now=NOW)
    assert seen(caught.value) == []


@pytest.mark.parametrize("call", EXCHANGES)
def test_a_naive_moment_shows_no_token(call: str) -> None:
    with pytest.raises(OAuthError) as caught:
        EXCHANGES[call].parse(answer(200, FULL), now=NOW.replace(tzinfo=None))
    assert seen(caught.value) == []


def test_the_check_itself_finds_a_secret_in_a_frame() -> None:
    namespace: dict[str, Any] = {"OAuthError": OAuthError}
    exec(compile("def leak(hidden):\n raise OAuthError(hidden)", "elsewhere.py", "exec"), namespace)
    with pytest.raises(OAuthError) as caught:
        namespace["leak"](SECRET)
    assert seen(caught.value) == ["leak: hidden", "text"]

"""What people's tools print of our objects and errors: rich, structlog, pytest, Python itself.

Some render attrs objects field by field and never ask for their repr; all of them can show the variables of every
frame. No secret may be in what they print, and what the caller's own frames hold must be.
"""

import io
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import attrs
import httpx
import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback
from structlog.tracebacks import ExceptionDictTransformer

from exbo_oauth import AppToken, Entry, MemoryTokenStore, OAuthError, OAuthProtocol, UserToken
from exbo_oauth.flow.effects import Cell, Pending
from exbo_oauth.flow.needs import Held, Need
from exbo_oauth.masking import Secret
from exbo_oauth.protocol import Request, Response

from .conftest import Surface

CLIENT_SECRET = "client-secret-0123456789abcdef"
CODE = "def50200-code-0123456789abcdef"
VERIFIER = "verifier-0123456789-0123456789-0123456789-012345"
REFRESH_TOKEN = "def50200-refresh-0123456789abcdef"
ACCESS_TOKEN = "access.token.0123456789abcdef"
SECRETS = (CLIENT_SECRET, CODE, VERIFIER, REFRESH_TOKEN, ACCESS_TOKEN)


def pair(**fields: Any) -> UserToken:
    given = {"token_type": "Bearer", "access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN, "expires_in": 60}
    return UserToken(**given | fields)


# Objects

PROTOCOL = OAuthProtocol(client_id=59, client_secret=CLIENT_SECRET)
ENTRY = Entry(token=pair(), revision=1, issued_by="test", issued_at=datetime.now(UTC))
OBJECTS: dict[str, Any] = {
    "a user's token": pair(extra={"id_token": ACCESS_TOKEN}),
    "an app's token": AppToken(token_type="Bearer", access_token=ACCESS_TOKEN, expires_in=60),
    "a stored entry": ENTRY,
    "the protocol": PROTOCOL,
    "an exchange": PROTOCOL.user_token(CODE, code_verifier=VERIFIER),
    "a refresh": PROTOCOL.refresh(REFRESH_TOKEN),
    "a bearer call": PROTOCOL.user_info(ACCESS_TOKEN),
    "a request": Request("GET", "https://exbo.net/", {"Authorization": f"Bearer {ACCESS_TOKEN}"}, CODE.encode()),
    "a response": Response(200, {"set-cookie": ACCESS_TOKEN}, REFRESH_TOKEN.encode()),
    "what a process knows": Cell(ENTRY, (Secret(ACCESS_TOKEN),), Secret(REFRESH_TOKEN), Pending(1, ENTRY)),
    "a token in memory": Held.of(ENTRY, 0.0),
    "a need": Need(60, ACCESS_TOKEN),
}


PRINTERS: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "format": lambda thing: f"{thing}",
    "rich": pretty_repr,
    "as a dict": lambda thing: repr(attrs.asdict(thing)),
    "as a tuple": lambda thing: repr(attrs.astuple(thing)),
    "field by field": lambda thing: repr(
        {field.name: getattr(thing, field.name) for field in attrs.fields(type(thing))}
    ),
}


@pytest.mark.parametrize("printed", PRINTERS.values(), ids=PRINTERS)
@pytest.mark.parametrize("thing", OBJECTS.values(), ids=OBJECTS)
def test_an_object_shows_no_secret(thing: Any, printed: Callable[[Any], str]) -> None:
    assert [secret for secret in SECRETS if secret in printed(thing)] == []


# Errors


class Uncoloured(Traceback):
    """As rich shows it, but that it does not read the whole file of every frame to colour seven lines of it."""

    LEXERS: ClassVar = {".py": "none"}


def by_rich(error: BaseException) -> str:
    out = io.StringIO()
    shown = Uncoloured.from_exception(type(error), error, error.__traceback__, show_locals=True, locals_max_string=None)
    Console(file=out, width=300).print(shown)
    return out.getvalue()


def by_structlog(error: BaseException) -> str:
    transform = ExceptionDictTransformer(show_locals=True, locals_max_string=1000)
    return repr(transform((type(error), error, error.__traceback__)))


def by_python(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def rendered(error: BaseException) -> dict[str, str]:
    return {"rich": by_rich(error), "structlog": by_structlog(error), "python": by_python(error)}


CALLS: dict[str, Callable[[Any], Any]] = {
    "app token": lambda oauth: oauth.get_app_token(),
    "code": lambda oauth: oauth.get_user_token(CODE, code_verifier=VERIFIER),
    "refresh": lambda oauth: oauth.refresh_user_token(pair()),
    "user info": lambda oauth: oauth.validate_user_token(pair()),
    "a managed app token": lambda oauth: oauth.ensure_app_token(),
    "a managed user token": lambda oauth: oauth.ensure_user_token("ivan"),
    "a rejected user token": lambda oauth: oauth.ensure_user_token("ivan", rejected=pair()),
    "a replacement": lambda oauth: oauth.replace_user_token("ivan"),
    "who an account is": lambda oauth: oauth.user_info("ivan"),
}
# The plain parameters of public methods, which are in the caller's own frame, too.
GIVEN = {"code": {CODE, VERIFIER}}
TROUBLES: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    "refused": lambda request: httpx.Response(500, json={"message": "Server Error"}),
    "malformed": lambda request: httpx.Response(200, json={"access_token": ACCESS_TOKEN, "refresh_token": [CODE]}),
    "unreachable": lambda request: (_ for _ in ()).throw(httpx.ConnectError(f"no way to {request.url}")),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_error_shows_no_secret_and_what_its_caller_held(surface: Surface, trouble: str, call: str) -> None:
    async def scenario(oauth: Any) -> dict[str, str]:
        own = "what the caller held"
        assert own
        try:
            await oauth.save_user_token("ivan", pair(expires_in=-5))
            await CALLS[call](oauth)
        except OAuthError as error:
            return rendered(error)
        raise AssertionError("this was to fail")

    http = surface.raw_http(transport=httpx.MockTransport(TROUBLES[trouble]))
    options = {"client_secret": CLIENT_SECRET, "http_client": http, "max_retries": 0}
    texts = surface.call(surface.client(store=MemoryTokenStore(), **options), scenario)
    for text in texts.values():
        assert {secret for secret in SECRETS if secret in text} <= GIVEN.get(call, set())
        assert "what the caller held" in text


@pytest.mark.parametrize(
    "arguments",
    [{"client_secret": f"{CLIENT_SECRET}\n"}, {"client_secret": CLIENT_SECRET, "timeout": -1}],
    ids=["a bad secret", "a bad timeout"],
)
def test_a_constructor_shows_no_secret_but_what_it_was_given(surface: Surface, arguments: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as caught:
        surface.kind(client_id=59, **arguments)
    frame = caught.value.__traceback__
    assert frame is not None
    assert frame.tb_next is not None
    error = caught.value.with_traceback(frame.tb_next.tb_next)  # below the constructor
    for text in rendered(error).values():
        assert [secret for secret in SECRETS if secret in text] == []


FAILING = f"""
from datetime import UTC, datetime
from exbo_oauth import OAuthProtocol, SyncOAuthClient, UserToken
from exbo_oauth.protocol import Response

def whole(text):
    return text.replace("~", "")

def pair(name):
    access, refresh = whole("{ACCESS_TOKEN[:9]}~{ACCESS_TOKEN[9:]}"), whole("{REFRESH_TOKEN[:9]}~{REFRESH_TOKEN[9:]}")
    return UserToken(token_type="Bearer", access_token=name + access, refresh_token=refresh, expires_in=60)

def test_a_comparison():
    assert pair("x") == pair("y")

def test_an_answer():
    own = "what the caller held"
    protocol = OAuthProtocol(client_id=59, client_secret=whole("{CLIENT_SECRET[:9]}~{CLIENT_SECRET[9:]}"))
    body = whole('{{"access_token": "{ACCESS_TOKEN[:9]}~{ACCESS_TOKEN[9:]}"}}').encode()
    answer = Response(200, {{}}, body)
    del body
    protocol.app_token().parse(answer, now=datetime.now(UTC))

def test_a_call():
    own = "what the caller held"
    secret = whole("{CLIENT_SECRET[:9]}~{CLIENT_SECRET[9:]}")
    oauth = SyncOAuthClient(client_id=59, client_secret=secret, base_url="http://127.0.0.1:1/oauth", max_retries=0)
    del secret
    oauth.get_app_token()
"""


def test_pytests_own_report_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING)
    command = [sys.executable, "-m", "pytest", "-q", "-vv", "--showlocals", "-p", "no:cacheprovider", "--tb=long"]
    run = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "3 failed" in run.stdout
    assert [secret for secret in SECRETS if secret in run.stdout] == []
    assert run.stdout.count("own        = 'what the caller held'") == 2

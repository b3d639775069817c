"""The four calls of a client, each with what it needs to succeed at a `FakeExbo`."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from exbo_oauth import AppToken, UserInfo, UserToken
from exbo_oauth.protocol import Request
from exbo_oauth.testing import FakeExbo

Call = Callable[[Any], Awaitable[Any]]

CALLS = ("app token", "code", "refresh", "user info")
REPEATABLE = {"app token", "user info"}
MODELS: dict[str, type] = {"app token": AppToken, "code": UserToken, "refresh": UserToken, "user info": UserInfo}


def new_code(fake: FakeExbo) -> str:
    """A code that the sandbox's user has just approved."""
    query = {"response_type": "code", "client_id": fake.app.client_id, "redirect_uri": "http://localhost", "scope": ""}
    callback = fake.authorize(f"{fake.base_url}/authorize?{urlencode(query)}")
    return parse_qs(urlsplit(callback).query)["code"][0]


def new_pair(fake: FakeExbo) -> Any:
    """A user's tokens as the sandbox remembers them."""
    form = {
        "grant_type": "authorization_code",
        "client_id": fake.app.client_id,
        "client_secret": fake.app.client_secret,
        "redirect_uri": "http://localhost",
        "code": new_code(fake),
    }
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = fake.handle(Request("POST", f"{fake.base_url}/token", headers, urlencode(form).encode()))
    assert answer.status == 200
    return fake.issued[-1]


def prepared(fake: FakeExbo, name: str) -> Call:
    """The call of that name, with a live code or token."""
    if name == "app token":
        return lambda client: client.get_app_token()
    if name == "code":
        code = new_code(fake)
        return lambda client: client.get_user_token(code)
    pair = new_pair(fake)
    if name == "refresh":
        return lambda client: client.refresh_user_token(pair.refresh_token)
    return lambda client: client.validate_user_token(pair.access_token)


def unprepared(name: str) -> Call:
    """The call of that name with made-up values, for servers that look at nothing."""
    return {
        "app token": lambda client: client.get_app_token(),
        "code": lambda client: client.get_user_token("made-up-code"),
        "refresh": lambda client: client.refresh_user_token("made-up-refresh-token"),
        "user info": lambda client: client.validate_user_token("made-up-access-token"),
    }[name]

"""What the tests of the core share: one application, its four calls, and answers made by hand."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from exbo_oauth.protocol import Exchange, OAuthProtocol, Request, Response

NOW = datetime(2026, 11, 23, 19, 26, 38, tzinfo=UTC)

CLIENT_SECRET = "Cl1ent+Secret/of=some&length"
CODE = "def50200c0dec0dec0de"
VERIFIER = "v3rifier-v3rifier-v3rifier-v3rifier-v3rifier"
REFRESH_TOKEN = "def50200ref7e5href7e5h"
ACCESS_TOKEN = "eyJhY2Nlc3M.dG9rZW4.c2lnbmF0dXJl"
NEW_ACCESS_TOKEN = "eyJuZXc.YWNjZXNz.dG9rZW4"
NEW_REFRESH_TOKEN = "def50200new7e5href7e5h"
SECRETS = (CLIENT_SECRET, CODE, VERIFIER, REFRESH_TOKEN, ACCESS_TOKEN, NEW_ACCESS_TOKEN, NEW_REFRESH_TOKEN)

PROTOCOL = OAuthProtocol(client_id=59, client_secret=CLIENT_SECRET)
EXCHANGES: dict[str, Exchange[Any]] = {
    "client_credentials": PROTOCOL.app_token(),
    "authorization_code": PROTOCOL.user_token(CODE, code_verifier=VERIFIER),
    "refresh_token": PROTOCOL.refresh(REFRESH_TOKEN),
    "user": PROTOCOL.user_info(ACCESS_TOKEN),
}
GRANTS = ("client_credentials", "authorization_code", "refresh_token")

TOKEN = {
    "token_type": "Bearer",
    "expires_in": 31536000,
    "access_token": NEW_ACCESS_TOKEN,
    "refresh_token": NEW_REFRESH_TOKEN,
}
USER = {
    "id": 1,
    "uuid": "00000001-0000-4000-8000-000000000001",
    "login": "ivan",
    "display_login": None,
    "distributor": "exbo",
    "distributor_id": None,
}

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases.json").read_text("utf-8"))


def answer(status: int, body: object, **headers: str) -> Response:
    """An answer with `body` as JSON, or as it is if it is bytes; underscores in header names become hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, sent, content)


def without(fields: Mapping[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in fields.items() if key != name}


def form(request: Request) -> dict[str, str]:
    """The fields of a form body; a field that came twice fails."""
    pairs = parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def query(url: str) -> dict[str, str]:
    return form(Request("GET", url, (), url.partition("?")[2].encode()))

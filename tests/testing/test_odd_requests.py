"""Requests that no well-behaved client sends, answered as two genuine servers answered them.

``odd_requests.json`` was recorded on loopback from unmodified Laravel 11, with Passport 12 on league/oauth2-server 8.5
and with Passport 13 on 9.3, on PHP 8.2: types in JSON, arrays, blanks of all kinds, HTTP Basic, content types, Accept,
methods in parameters, parts of forms, paths, redirect URIs. Tokens are cut out of the answers; of HTML only the title
was kept.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth.protocol.messages import Request, Response
from exbo_oauth.testing import FakeExbo

RECORDED = json.loads((Path(__file__).parents[1] / "odd_requests.json").read_text("utf-8"))
HOST = "http://server.test"
CALLBACK = "http://127.0.0.1:9999/callback"
SECRET = "Abc0Abc1Abc2Abc3Abc4Abc5Abc6Abc7Abc8Abc9"
# The applications of the recordings beside the first one: client id, secret (None: a public one), redirect URIs.
APPS: tuple[tuple[int, str | None, tuple[str, ...]], ...] = (
    (2, "s2" * 20, ("http://127.0.0.1:9999/other",)),
    (3, None, (CALLBACK,)),
    (4, "s+e c/r=e%t&é:x", (CALLBACK,)),
    (5, SECRET, ("http://localhost", "http://localhost:9999/callback", CALLBACK, "http://127.0.0.1")),
    (
        6,
        SECRET,
        (
            "https://bot.example/cb?x=1",
            "https://bot.example/cb",
            "http://[::1]:9999/cb",
            "myapp://cb",
            "https://user:pw@bot.example/cb",
        ),
    ),
)


def server(dialect: Any) -> FakeExbo:
    fake = FakeExbo(dialect, invalidate=None)
    for client_id, secret, redirect_uris in APPS:
        fake.add_app(client_id=client_id, client_secret=secret, redirect_uris=redirect_uris, public=secret is None)
    return fake


# Nothing that is recorded here changes anything.
SERVERS = [server("league-8"), server("league-9")]
TELLING = ("content-type", "cache-control", "www-authenticate", "allow", "location", "retry-after", "pragma")


def told(answer: Response) -> dict[str, Any]:
    """An answer as it was recorded."""
    body = re.sub(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "JWT", answer.content.decode())
    if title := re.match(r"<!DOCTYPE html>.*<title>(.*?)</title>", body, re.DOTALL):
        body = f"HTML {title[1]}"
    sent = {name: answer.headers[name].encode("utf-8", "surrogateescape") for name in TELLING if name in answer.headers}
    headers = {name: value.decode("latin-1") for name, value in sent.items()}  # as they were read then
    for name in ("content-type", "cache-control"):
        headers[name] = headers[name].lower()
    return json.loads(json.dumps({"status": answer.status, "headers": headers, "body": body}).replace(HOST, "HOST"))


@pytest.mark.parametrize("row", RECORDED["requests"], ids=lambda row: row["title"])
def test_odd_requests_are_answered_as_recorded(row: dict[str, Any]) -> None:
    method, path = row["request"].split(" ", 1)
    request = Request(method, HOST + path, row["headers"], row["body"].encode("latin-1"))
    answers = [told(fake.handle(request)) for fake in SERVERS]
    assert answers == [RECORDED["answers"][number] for number in row["answers"]]

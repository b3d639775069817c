"""A small user agent over `FakeExbo.handle`, set up like the recorded servers: their applications, hosts and habits."""

import re
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from exbo_oauth.protocol.messages import Request, Response
from exbo_oauth.testing import App, FakeExbo, IssuedToken

HOST = "http://server.test"
CALLBACK = "http://127.0.0.1:9999/callback"
OTHER = "http://127.0.0.1:9999/other"
SECOND = "http://localhost:9999/callback"
VERIFIER = "v" * 20 + "-._~" + "A9" * 12  # 48 characters
JSON = {"accept": "application/json"}
ANY = {"accept": "*/*"}


def challenge(verifier: str = VERIFIER) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def field(page: Response, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page.content.decode())
    assert match, f"the page has no field {name}"
    return match[1]


def code_in(location: str) -> str:
    return dict(parse_qsl(urlsplit(location).query))["code"]


class Scenario:
    """The recorded servers: app 1 with two redirect URIs, app 2 with one, a public one, one with an odd secret."""

    def __init__(self, dialect: Any = "league-8", **knobs: Any) -> None:
        self.fake = FakeExbo(dialect, **{"invalidate": None, "clock": lambda: 1_795_461_998.411943} | knobs)
        self.first = self.fake.app
        self.second = self.fake.add_app(redirect_uris=(OTHER,))
        self.public = self.fake.add_app(redirect_uris=(CALLBACK,), public=True)
        self.odd = self.fake.add_app(client_secret="s+e c/r=e%t&é:x", redirect_uris=(CALLBACK,))
        self.cookie = ""

    def send(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        content: bytes = b"",
    ) -> Response:
        sent = {**(JSON if headers is None else headers), **({"cookie": self.cookie} if self.cookie else {})}
        response = self.fake.handle(Request(method, HOST + path, sent, content))
        if "set-cookie" in response.headers:
            self.cookie = response.headers["set-cookie"].partition(";")[0]
        return response

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Response:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.send("POST", path, (JSON if headers is None else headers) | kind, urlencode(fields).encode())

    # The token endpoint

    def token(self, headers: dict[str, str] | None = None, app: App | None = None, **fields: str | None) -> Response:
        app = app or self.first
        asked = {"client_id": app.client_id, "client_secret": app.client_secret or None, **fields}
        return self.post("/oauth/token", {k: v for k, v in asked.items() if v is not None}, headers)

    def app_token(
        self, headers: dict[str, str] | None = None, app: App | None = None, **fields: str | None
    ) -> Response:
        return self.token(headers, app, **{"grant_type": "client_credentials", "scope": ""} | fields)

    def exchange(
        self, code: str, headers: dict[str, str] | None = None, app: App | None = None, **fields: str | None
    ) -> Response:
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.token(headers, app, **asked | fields)

    def refresh(
        self, token: str, headers: dict[str, str] | None = None, app: App | None = None, **fields: str | None
    ) -> Response:
        return self.token(headers, app, **{"grant_type": "refresh_token", "refresh_token": token} | fields)

    # Tokens to work with

    def location(self, user: str = "ivan", app: App | None = None, **query: str | None) -> str:
        return self.fake.authorize(HOST + self.authorize_path(app, **query), user)

    def code(self, user: str = "ivan", app: App | None = None, **query: str | None) -> str:
        return code_in(self.location(user, app, **query))

    def pair(self, user: str = "ivan", app: App | None = None, **query: str | None) -> IssuedToken:
        app = app or self.first
        redirect_uri = OTHER if app is self.second else CALLBACK
        response = self.exchange(
            self.code(user, app, **{"redirect_uri": redirect_uri} | query), app=app, redirect_uri=redirect_uri
        )
        assert response.status == 200
        return self.fake.issued[-1]

    def app_pair(self, app: App | None = None) -> IssuedToken:
        assert self.app_token(app=app).status == 200
        return self.fake.issued[-1]

    # Routes behind a bearer token

    def user(self, token: str | None = None, headers: dict[str, str] | None = None, scheme: str = "Bearer") -> Response:
        return self.send("GET", "/oauth/user", self._bearer(token, headers, scheme))

    def resource(self, token: str | None = None) -> Response:
        return self.send("GET", "/demo/app", self._bearer(token, None, "Bearer"))

    @staticmethod
    def _bearer(token: str | None, headers: dict[str, str] | None, scheme: str) -> dict[str, str]:
        return (JSON if headers is None else headers) | ({"authorization": f"{scheme} {token}"} if token else {})

    # The browser

    @staticmethod
    def authorize_path(app: App | None = None, **query: str | None) -> str:
        asked = {
            "client_id": app.client_id if app else "1",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "",
            "state": "st-123",
        } | query
        return "/oauth/authorize?" + urlencode({k: v for k, v in asked.items() if v is not None})

    def visit(self, app: App | None = None, headers: dict[str, str] | None = None, **query: str | None) -> Response:
        """Open an authorize URL in the browser."""
        return self.send("GET", self.authorize_path(app, **query), ANY if headers is None else headers)

    def sign_in(self, login: str = "ivan") -> Response:
        page = self.send("GET", "/login", ANY)
        return self.post("/login", {"_token": field(page, "_token"), "login": login}, ANY)

    def approve(self, page: Response, headers: dict[str, str] | None = None, **fields: str) -> Response:
        hidden = {name: field(page, name) for name in ("_token", "auth_token")}
        return self.post("/oauth/authorize", hidden | fields, headers)

    def deny(self, page: Response, headers: dict[str, str] | None = None) -> Response:
        return self.approve(page, headers, _method="DELETE")

    def walk(self, app: App | None = None, **query: str | None) -> Response:
        """Sign in, and approve if asked."""
        self.sign_in()
        answer = self.visit(app, **query)
        return answer if answer.status == 302 else self.approve(answer)

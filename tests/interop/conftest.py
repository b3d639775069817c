"""The servers that the interop scenarios run against: one by other people, and our sandbox in both dialects."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from exbo_oauth.testing import FakeExbo

from ..surfaces.conftest import Surface, surface
from .browser import Browser

__all__ = ["surface"]

HERE = Path(__file__).parent
REDIRECT_URI = "http://127.0.0.1:9999/callback"


@frozen
class Provider:
    """A server over a loopback socket, an application that is registered there, and a user who signs in."""

    name: str
    base_url: str
    client_id: str
    client_secret: str
    redirect_uri: str
    scope: str
    credentials: Mapping[str, str]

    def client(self, surface: Surface, **changes: Any) -> Any:
        """A client of our application, fit for ``async with`` and ``await`` in every colour."""
        own = {
            name: getattr(self, name) for name in ("base_url", "client_id", "client_secret", "redirect_uri", "scope")
        }
        return surface.client(**own | changes)

    def visit(self, authorize_url: str, button: str = "Authorize") -> str:
        """Open the authorize URL, sign in, press the button: the URL that the browser is sent back to."""
        with Browser(self.base_url) as browser:
            browser.open(authorize_url)
            if browser.left_for is None and browser.shows("Sign in"):
                browser.press("Sign in", **self.credentials)
            if browser.left_for is None:
                browser.press(button)
            assert browser.left_for is not None
            return browser.left_for


@pytest.fixture(scope="session")
def toolkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """django-oauth-toolkit, in a process of its own."""
    pytest.importorskip("oauth2_provider", reason="needs django-oauth-toolkit")
    command = [sys.executable, "-m", "provider", str(tmp_path_factory.mktemp("provider"))]
    with subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        about = json.loads(process.stdout.readline())
        credentials = {"username": about.pop("login"), "password": about.pop("password")}
        yield Provider("django-oauth-toolkit", **about, scope="profile", credentials=credentials)
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture(params=["django-oauth-toolkit", "league-8", "league-9"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """Each server in turn; the sandbox is a new one for every scenario, so that it remembers no consent."""
    if request.param == "django-oauth-toolkit":
        yield request.getfixturevalue("toolkit")
        return
    fake = FakeExbo(request.param, scopes=["profile"])
    app = fake.app
    with fake.serve() as base_url:
        yield Provider(
            request.param, base_url, app.client_id, app.client_secret, REDIRECT_URI, "profile", {"login": "ivan"}
        )

"""What README and docs say is tried: their Python runs against the sandbox, and their links lead somewhere.

Every block must stand on its own, as it does for those who copy it. The game API is the sandbox's, the credentials
are in the environment, and the current directory is an empty one.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field

from exbo_oauth import (
    AsyncOAuthClient,
    InvalidGrantError,
    LoginAttempt,
    OAuthProtocol,
    StateMismatchError,
    SyncOAuthClient,
)
from exbo_oauth.testing import FakeExbo

from ..login.robot import led_to
from .shown import BLOCKS, PAGES, ROOT, Block

LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")
CONFTEST = """
import sys
if "exbo_oauth.testing.plugin" not in sys.modules:  # registered already where the package is installed
    pytest_plugins = ["exbo_oauth.testing.plugin"]
"""
CALLBACK = "https://example.org/callback"


@pytest.fixture
def fake() -> Iterator[FakeExbo]:
    fake = FakeExbo()
    fake.app = fake.add_app(redirect_uris=["http://localhost", "http://127.0.0.1/callback", CALLBACK])
    with fake.serve():
        yield fake


@pytest.fixture(autouse=True)
def environment(fake: FakeExbo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader has: an empty directory, credentials, and a browser whose user signs in and agrees."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        callback = f"http://127.0.0.1:{probe.getsockname()[1]}/callback"

    def browse(url: str) -> bool:
        return httpx.get(fake.authorize(led_to(url)), follow_redirects=True, trust_env=False).is_success

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER", "scripted")
    monkeypatch.setattr("webbrowser.open", browse)
    monkeypatch.setenv("EXBO_REDIRECT_URI", callback)
    monkeypatch.setenv("EXBO_CLIENT_ID", fake.app.client_id)
    monkeypatch.setenv("EXBO_CLIENT_SECRET", fake.app.client_secret)
    monkeypatch.setenv("EXBO_OAUTH_URL", fake.base_url)


@define
class WebView:
    """What a web framework hands to a view: the visitor's session, and the address they came back to."""

    fake: FakeExbo
    session: dict[str, Any] = field(factory=dict)

    @property
    def url(self) -> str:
        return self.fake.authorize(LoginAttempt.from_dict(self.session["login"]).url)


def surroundings(block: Block, fake: FakeExbo, stack: ExitStack) -> dict[str, Any]:
    """The names that a fragment of a web view takes from the program around it; nothing for others."""
    if not block.is_part_of_a_view:
        return {}
    view = WebView(fake)
    oauth = stack.enter_context(SyncOAuthClient.from_env())
    return {"oauth": oauth, "session": view.session, "request": view, "LoginAttempt": LoginAttempt}


def run(block: Block, fake: FakeExbo) -> dict[str, Any]:
    """The names that a block leaves behind."""
    source = block.source.replace("https://eapi.stalcraft.net", fake.api_url)
    with ExitStack() as stack:
        names: dict[str, Any] = {"__name__": "block"} | surroundings(block, fake, stack)
        exec(compile(source, block.name, "exec"), names)
    return names


def block_with(text: str, page: str = "README.md") -> Block:
    [block] = [block for block in BLOCKS if text in block.source and block.name.startswith(f"{page}:")]
    return block


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if not block.is_a_test_module], ids=lambda block: block.name
)
def test_a_block_runs_as_it_stands(block: Block, fake: FakeExbo) -> None:
    run(block, fake)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_a_test_module], ids=lambda block: block.name)
def test_a_test_module_passes(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_block.py").write_text(block.source, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_readme_fetches_from_the_api(fake: FakeExbo, capsys: pytest.CaptureFixture[str]) -> None:
    run(block_with("app_auth()"), fake)
    assert "RUSSIA" in capsys.readouterr().out
    assert [token.grant for token in fake.issued] == ["client_credentials"]


@pytest.mark.parametrize("page", ["README.md", "README.ru.md"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_readme_links_an_account_to_the_one_who_asked(fake: FakeExbo, backend: str, page: str) -> None:
    names = run(block_with("PendingLogins", page), fake)
    oauth: AsyncOAuthClient = names["oauth"]

    async def story() -> list[str]:
        async with oauth:
            back = fake.authorize(names["link"](7), "ivan")
            ticket = names["callback"](back).partition("?start=")[2]
            return [await names["start"](8, ticket), await names["start"](7, ticket)]

    stranger, asker = anyio.run(story, backend=backend)
    assert "/link" in stranger
    assert "ivan" in asker
    assert [token.grant for token in fake.issued] == ["authorization_code"]  # the stranger got nothing


def protocol_of(fake: FakeExbo) -> OAuthProtocol:
    app = fake.app
    return OAuthProtocol(client_id=app.client_id, client_secret=app.client_secret, base_url=fake.base_url)


def test_the_core_works_with_another_http_library(fake: FakeExbo) -> None:
    names = run(block_with("urlopen", "docs/protocol.md"), fake)
    assert fake.is_live(names["app_token"](protocol_of(fake)))


def test_the_worked_shell_signs_a_user_in_and_refuses_what_it_should(fake: FakeExbo) -> None:
    names = run(block_with("class Shell", "docs/protocol.md"), fake)
    shell = names["Shell"](protocol_of(fake), CALLBACK)
    url, state, verifier = shell.begin()
    back = fake.authorize(url, "ivan")
    token = shell.finish(back, state, verifier)
    assert shell.user(token).name == "ivan"
    with pytest.raises(InvalidGrantError):
        shell.finish(back, state, verifier)
    with pytest.raises(StateMismatchError):
        shell.finish(back, verifier, state)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]

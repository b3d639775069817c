"""What README and guides have a reader type is typed: each session in bash, in order, in both languages.

A block that is in neither of the two lists below fails a test, so that a new one is a decision.
"""

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from exbo_oauth.stores import EncryptedTokenStore

from ..stores.servers import redis_server
from .shown import BLOCKS, SESSIONS
from .terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the sessions that are typed here are bash's")

RUN = {
    "README.md: sh: git clone",
    "bots.md: ini: BOT_TOKEN=",
    "cli.md: console: $ exbo-oauth sandbox",
    'cli.md: sh: curl -H "Authorization: Bearer $(exbo-oauth token)" https://eapi.stalcraft.net/regions',
    "cli.md: sh: exbo-oauth copy default redis://redis.internal/0",
    "cli.md: sh: exbo-oauth status --json | jq -e 'all(.[]; .recently_superseded < 2)'",
    'cli.md: sh: pip install "exbo-oauth[cli]"',
    "fleets.md: ini: [Unit]",
    "fleets.md: yaml: spec:",
    "start.md: sh: cd my-bot",
    "start.md: sh: exbo-oauth login",
    "start.md: sh: exbo-oauth sandbox --env-file .env",
    "start.md: sh: git clone https://github.com/exbo-oauth/exbo-oauth",
    "start.md: sh: python first.py",
    "stores.md: sh: install -d -g stalkers -m 2770 /srv/tokens",
}
NOT_RUN = {
    "CONTRIBUTING.md: sh: .venv/bin/uv pip install": "is CI itself",
    "CONTRIBUTING.md: sh: python3 -m venv .venv && .venv/bin/pip install nox uv && .venv/bin/nox": "is CI itself",
    "CONTRIBUTING.md: sh: sudo apt-get install": "changes the machine; CI does so",
    "README.md: sh: python3 -m venv .venv && .venv/bin/pip install nox uv && .venv/bin/nox": "is CI itself",
    "benchmarks.md: sh: git clone https://github.com/exbo-oauth/exbo-oauth": "takes minutes",
    "benchmarks.md: sh: .venv/bin/nox -s bench -- report": "takes minutes",
    "fleets.md: sh: docker build": "needs a daemon and an image; tests/examples/test_compose.py reads the example's",
    "fleets.md: sh: sudo systemd-run": "needs systemd and root",
    "fleets.md: sh: sudo useradd": "changes the machine",
    "signing-in.md: text: exbo-oauth sandbox --state sandbox.json --env-file site.env": "serves until Ctrl-C",
    "start.md: bat: cd my-bot": "cmd is on Windows alone",
    "start.md: bat: git clone https://github.com/exbo-oauth/exbo-oauth": "cmd is on Windows alone",
    'start.md: sh: pip install "exbo-oauth[cli,testing] @ https://': "fetches from GitHub",
    "start.md: powershell: cd my-bot": "not everywhere; read below",
    "start.md: powershell: git clone https://github.com/exbo-oauth/exbo-oauth": "not everywhere; read below",
    "stores.md: sql: CREATE TABLE exbo_oauth_tokens (": "tests/stores/test_sqlalchemy.py does",
    "testing.md: text: #2 12:03:41.201857 GET /oauth/user -> 401": "is output; tests/testing/test_cassette.py has such",
}

each_language = pytest.mark.parametrize("language", ["en", "ru"])


def shown(begins: str, language: str) -> str:
    """The one block of that language's pages that begins like this."""
    ours = [one for one in SESSIONS if ("/ru/" in one.page or ".ru." in one.page) == (language == "ru")]
    [found] = [one.source for one in ours if one.begins.startswith(begins)]
    return found


def program(contains: str, language: str, name: str = "start.md") -> str:
    page = f"docs/ru/{name}:" if language == "ru" else f"docs/{name}:"
    [found] = [block.source for block in BLOCKS if block.name.startswith(page) and contains in block.source]
    return found


def test_every_block_is_typed_or_there_is_a_reason_not_to() -> None:
    decided = {one.begins: [name for name in (*RUN, *NOT_RUN) if one.begins.startswith(name)] for one in SESSIONS}
    assert {begins: names for begins, names in decided.items() if len(names) != 1} == {}
    assert {name for names in decided.values() for name in names} == RUN | NOT_RUN.keys(), "what is gone is decided"


@pytest.mark.parametrize(
    "one", [one for one in SESSIONS if one.language in ("sh", "shell")], ids=lambda one: one.begins
)
def test_a_shell_reads_what_is_not_run_as_well(one: Any) -> None:
    done = subprocess.run(["bash", "-n"], input=one.source, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="no PowerShell here")
@pytest.mark.parametrize("one", [one for one in SESSIONS if one.language == "powershell"], ids=lambda one: one.begins)
def test_powershell_reads_its_blocks(one: Any) -> None:
    command = ["pwsh", "-NoProfile", "-Command", "$null = [scriptblock]::Create([Console]::In.ReadToEnd())"]
    assert subprocess.run(command, input=one.source, text=True, check=False).returncode == 0


@pytest.mark.parametrize("shell", ["powershell", "bat"])
@pytest.mark.parametrize("first", ["git clone", "cd my-bot"])
def test_the_shells_of_windows_are_told_the_same(shell: str, first: str) -> None:
    activation = {"powershell": ".venv\\Scripts\\Activate.ps1", "bat": ".venv\\Scripts\\activate.bat"}[shell]
    posix = shown(f"start.md: sh: {first}", "en").replace("source .venv/bin/activate", activation)
    posix = posix.replace("python3 -m", "py -m")
    assert shown(f"start.md: {shell}: {first}", "en").replace("; cd", " && cd") == posix


@pytest.fixture
def terminal(tmp_path: Path, language: str) -> Terminal:
    return Terminal(tmp_path, language)


@contextmanager
def sandbox(terminal: Terminal, block: str, *, callback: bool = True) -> Iterator[Callable[[], str]]:
    """The sandbox as a block starts it, on ports of this test's own; what gives the next line that it says."""
    assert block.startswith("exbo-oauth sandbox")
    mine = f" --port {terminal.port}"
    mine += f" --redirect-uri {terminal.redirect_uri}" if callback else ""
    with terminal.running(block.strip() + mine) as process:
        assert process.stdout is not None
        lines = chain([process.stdout.readline()], process.stdout)  # the first is there once it listens
        yield lambda: next(lines).rstrip()


@each_language
def test_the_first_steps_lead_to_a_user_who_has_signed_in(terminal: Terminal, language: str) -> None:
    """The page "Five minutes", in two terminals, from the clone on."""
    terminal.enter(shown("start.md: sh: git clone", language))
    with sandbox(terminal, shown("start.md: sh: exbo-oauth sandbox", language)) as says:
        assert f"http://127.0.0.1:{terminal.port}" in says()
        second = terminal.another()
        second.enter(shown("start.md: sh: cd my-bot", language))
        folder = terminal.folder / "my-bot"
        settings = (folder / ".env").read_text(encoding="utf-8")
        (folder / ".env").write_text(settings.replace(":9999", f":{terminal.callback_port}"), encoding="utf-8")
        (folder / "first.py").write_text(program("app_auth()", language), encoding="utf-8")
        assert "RUSSIA" in second.run(shown("start.md: sh: python first.py", language))
        assert "ivan" in second.run(shown("start.md: sh: exbo-oauth login", language))
        (folder / "second.py").write_text(program("user_info", language), encoding="utf-8")
        assert second.run("python second.py") == "ivan\n"


@each_language
def test_a_program_signs_in_where_there_is_no_browser(terminal: Terminal, language: str) -> None:
    (terminal.folder / "sign_in.py").write_text(program("def sign_in", language, "testing.md"), encoding="utf-8")
    with sandbox(terminal, "exbo-oauth sandbox --env-file .env"):
        with terminal.running("exbo-oauth login --no-browser") as login:
            assert login.stdout is not None
            address = next(line.strip() for line in login.stdout if "/oauth/authorize?" in line)
            assert terminal.run(f'python3 sign_in.py "{address}" petr') == f"{terminal.redirect_uri}\n"
            assert "petr" in login.stdout.read()
        nobody_listens = terminal.run('python3 sign_in.py "$(exbo-oauth url)" petr')
        assert nobody_listens.startswith(f"{terminal.redirect_uri}?code=")
        unknown = '"$(exbo-oauth url --redirect-uri http://localhost:1/elsewhere)"'
        refused = terminal.run(f"python3 sign_in.py {unknown} petr 2>&1 || true")
        assert refused.startswith("The server refused, 401: ")


@each_language
def test_the_readme_leads_to_the_demo(terminal: Terminal, language: str) -> None:
    block = shown("README.md: sh: git clone", language)
    assert "✓" in terminal.run(block)


@each_language
def test_what_the_sandbox_prints_is_what_the_page_shows_and_works_when_it_is_typed(
    terminal: Terminal, language: str
) -> None:
    command, _, answer = shown("cli.md: console", language).partition("\n")
    answer = answer.replace(":8765", f":{terminal.port}").replace(":9999", f":{terminal.callback_port}")
    typed = "\n".join(line.strip() for line in answer.splitlines() if line.startswith("  "))
    with sandbox(terminal, command.removeprefix("$ ")) as says:
        assert [says() for _ in answer.splitlines()] == answer.splitlines()
        said = terminal.run(typed)
    assert "ivan" in said
    assert json.loads(said.splitlines()[-1])


@each_language
def test_one_line_asks_the_api_or_the_store(terminal: Terminal, language: str) -> None:
    terminal.enter("python3 -m venv .venv\nsource .venv/bin/activate")
    terminal.run(shown("cli.md: sh: pip install", language))
    with sandbox(terminal, "exbo-oauth sandbox --env-file .env"):
        ask = shown("cli.md: sh: curl", language)
        assert "https://eapi.stalcraft.net" in ask
        said = terminal.run(ask.replace("https://eapi.stalcraft.net", f"http://127.0.0.1:{terminal.port}/api"))
        assert "RUSSIA" in said
        if shutil.which("jq") is not None:
            assert terminal.run(shown("cli.md: sh: exbo-oauth status", language)) == "true\n"


@each_language
def test_a_store_is_moved_encrypted_and_saved(terminal: Terminal, language: str) -> None:
    terminal.enter("python3 -m venv .venv\nsource .venv/bin/activate\npip install exbo-oauth[all]")
    block = shown("cli.md: sh: exbo-oauth copy", language)
    new_key = EncryptedTokenStore.new_key()
    with (
        redis_server(terminal.folder) as redis,
        sandbox(terminal, "exbo-oauth sandbox --env-file .env"),
    ):
        terminal.run("exbo-oauth token >/dev/null && exbo-oauth copy default sqlite:///tokens.db")
        (terminal.folder / "keys.txt").write_text(f"{new_key}\n", encoding="utf-8")
        terminal.enter("export NEW_STORE=sqlite:///new.db")
        terminal.run(block.replace("redis://redis.internal/0", f"redis://127.0.0.1:{redis.port}/0"))
        assert "exbo-oauth+fernet" in terminal.run("exbo-oauth status --json --store sqlite:///tokens-backup.db")


@each_language
def test_the_settings_of_a_bot_are_those_that_count(terminal: Terminal, language: str) -> None:
    with sandbox(terminal, shown("start.md: sh: exbo-oauth sandbox", language), callback=False):
        settings = (terminal.folder / ".env").read_text(encoding="utf-8") + shown("bots.md: ini", language)
    found = dotenv_values(stream=StringIO(settings))
    assert found["EXBO_REDIRECT_URI"] == "http://localhost:9999/callback"
    assert found["BOT_TOKEN"]
    assert found["EXBO_OAUTH_URL"] == f"http://127.0.0.1:{terminal.port}/oauth"


@each_language
def test_a_directory_for_a_group_is_one_that_a_store_takes(terminal: Terminal, language: str) -> None:
    block = shown("stores.md: sh: install", language)
    terminal.run(block.replace("stalkers", '"$(id -gn)"').replace("/srv/tokens", "shared"))
    store = f"sqlite:///{terminal.folder}/shared/tokens.db?group=1"
    with sandbox(terminal, "exbo-oauth sandbox --env-file .env"):
        assert terminal.run(f"EXBO_STORE={store} exbo-oauth token")


@each_language
def test_the_unit_of_a_service_is_one_that_systemd_takes(terminal: Terminal, language: str) -> None:
    unit = shown("fleets.md: ini", language)
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(unit)
    assert parsed["Service"]["EnvironmentFile"] == "/etc/stalker/exbo.env"
    if shutil.which("systemd-analyze") is not None:
        started = re.sub(r"/opt/\S+", shutil.which("true") or "/bin/true", unit)
        (terminal.folder / "stalker.service").write_text(started, encoding="utf-8")
        command = ["systemd-analyze", "verify", "--man=no", str(terminal.folder / "stalker.service")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "stalker.service" not in done.stderr, done.stderr


@each_language
def test_the_probe_of_a_pod_is_a_command_of_ours(terminal: Terminal, language: str) -> None:
    pod = yaml.safe_load(shown("fleets.md: yaml", language))["spec"]
    [container] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > container["readinessProbe"]["periodSeconds"] - 1
    probe = " ".join(container["readinessProbe"]["exec"]["command"])
    with sandbox(terminal, "exbo-oauth sandbox --env-file .env"):
        with pytest.raises(AssertionError):
            terminal.run(probe)
        terminal.run("exbo-oauth token")
        terminal.run(probe)

"""`sandbox` as a process, and the way of a new user from it to a signed-in `whoami`."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from exbo_oauth.cli.sandbox import _alone, _Saving
from exbo_oauth.cli.sandbox_console import JsonConsole, TextConsole
from exbo_oauth.environment import install_command
from exbo_oauth.testing import FakeExbo

WHY_NOT = (
    "is not registered for application 1000; only the port differs from http://localhost:9999/callback. EXBO itself "
    "tells nobody: the browser just does not come back. --redirect-uri URI registers one more (in code: "
    "fake.add_redirect_uri). Registered are:"
)


def running(shell: Any, *flags: str) -> Any:
    return shell.started("sandbox", "--port", "0", *flags)


def introduction(process: "subprocess.Popen[str]") -> str:
    """What the sandbox says before its first request."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "curl" not in lines[-1]:
        lines.append(process.stdout.readline())
    return "".join([*lines, process.stdout.readline()])


@pytest.fixture
def active(shell: Any) -> None:
    """The environment of this Python is active in the shell."""
    shell.environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), shell.environment["PATH"]])


@pytest.mark.usefixtures("active")
@pytest.mark.skipif(os.name != "posix", reason="the printed lines are for this system's own shell")
def test_what_the_sandbox_prints_leads_to_a_signed_in_whoami(shell: Any, sign_in: Any, free_port: int) -> None:
    with running(shell) as process:
        text = introduction(process)
        shell.environment |= dict(re.findall(r"export (\w+)=(\S+)", text))
        assert re.fullmatch("[A-Za-z0-9]{40}", shell.environment["EXBO_CLIENT_SECRET"])  # as EXBO's are
        commands = [line.split()[1:] for line in text.splitlines() if line.startswith("  exbo-oauth")]
        assert commands == [["login"], ["whoami"]]
        # The printed port may be busy on this machine; on 127.0.0.1 the server takes any.
        shell.environment["EXBO_REDIRECT_URI"] = f"http://127.0.0.1:{free_port}/callback"
        with shell.started(*commands[0], "--no-browser") as login:
            sign_in(next(line.strip() for line in login.stderr if "/authorize?" in line))
            assert login.wait(120) == 0
        assert shell(*commands[1]).stdout.startswith("ivan (id 1, exbo, uuid ")
        curl = text.partition('$(exbo-oauth token)" ')[2].split()[0]
        headers = {"Authorization": f"Bearer {shell('token').stdout.strip()}"}
        assert httpx.get(curl, headers=headers, trust_env=False).json() == {"application": "1000", "user": None}


def test_settings_that_lead_here_already_are_those_of_its_application(shell: Any, free_port: int) -> None:
    mine = {
        "EXBO_OAUTH_URL": f"http://127.0.0.1:{free_port}/oauth",
        "EXBO_CLIENT_ID": "59",
        "EXBO_CLIENT_SECRET": "of-an-earlier-day",
        "EXBO_REDIRECT_URI": "http://localhost:9977/back",
    }
    shell.environment |= mine
    with shell.started("sandbox", "--port", str(free_port), "--json") as process:
        facts = json.loads(process.stdout.readline())
        assert facts["settings"].items() >= mine.items()
        assert shell("token").returncode == 0


def test_a_sandbox_that_is_started_again_leaves_the_settings_to_the_dotenv_that_leads_to_it(
    shell: Any, free_port: int
) -> None:
    flags = ("--port", str(free_port))
    with running(shell, *flags, "--env-file", ".env") as process:
        first = introduction(process)
    with running(shell, *flags) as process:
        assert introduction(process) == first
    with running(shell) as process:  # another one
        assert "terminal, in this directory:" not in introduction(process)


def test_the_secret_of_another_server_is_not_shown_around(shell: Any, free_port: int) -> None:
    (shell.home / ".env").write_text(f"EXBO_OAUTH_URL=http://127.0.0.1:{free_port}/oauth\n")
    shell.environment |= {"EXBO_CLIENT_ID": "59", "EXBO_CLIENT_SECRET": "the-real-one"}
    with shell.started("sandbox", "--port", str(free_port), "--json") as process:
        assert "the-real-one" not in process.stdout.readline()


@pytest.mark.skipif(os.name != "posix", reason="the printed lines are for this system's own shell")
def test_further_applications_and_users_come_from_the_command_line(shell: Any) -> None:
    flags = ["--add-app", "Bot", "--add-app", "A site", "--redirect-uri", "https://a.example/back", "--add-user", "eve"]
    with running(shell, *flags, "--add-user", "eve", "--add-user", "ivan") as process:
        base_url = introduction(process).split("sandbox is at ")[1].split(",")[0]
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(10)]
        assert [line for line in lines if "application" in line] == [
            "For the application Bot:\n",
            "For the application A site:\n",
        ]
        page = httpx.get(base_url.removesuffix("oauth"), trust_env=False).text
        for part in ("<code>eve</code>", "client id 1002", "https://a.example/back"):
            assert part in page
        for printed in (lines[2:4], lines[7:9]):
            client_id, secret = [re.fullmatch(r"  export \w+=(\w+)\n", line)[1] for line in printed]
            assert len(secret) == 40
            asked = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
            assert httpx.post(f"{base_url}/token", data=asked, trust_env=False).status_code == 200


def test_the_settings_can_be_written_into_a_dotenv(shell: Any) -> None:
    with running(shell, "--env-file", ".env") as process:
        assert "terminal, in this directory:" in introduction(process)
        assert shell("token").returncode == 0
    if os.name == "posix":
        assert (shell.home / ".env").stat().st_mode & 0o777 == 0o600


def test_a_redirect_uri_that_is_asked_for_is_the_one_of_the_settings(shell: Any, free_port: int) -> None:
    flags = ("--port", str(free_port), "--state", "sandbox.json")
    with shell.started("sandbox", *flags, "--env-file", "one.env") as process:
        process.stdout.readline()
    mine = "http://localhost:8080/callback"
    with shell.started("sandbox", *flags, "--redirect-uri", mine, "--env-file", "two.env") as process:
        process.stdout.readline()
    written = [(shell.home / name).read_text().splitlines()[-1] for name in ("one.env", "two.env")]
    assert written == ["EXBO_REDIRECT_URI=http://localhost:9999/callback", f"EXBO_REDIRECT_URI={mine}"]


@pytest.mark.usefixtures("active")
@pytest.mark.skipif(os.name != "posix", reason="what is printed is a line of this system's own shell")
def test_settings_in_a_file_of_any_name_are_found_as_printed(shell: Any) -> None:
    with running(shell, "--env-file", "my sandbox.env") as process:
        text = introduction(process)
        printed = [line.strip() for line in text.splitlines() if "--env-file" in line]
        assert [line.split()[:2] for line in printed[:2]] == [["exbo-oauth", "login"], ["exbo-oauth", "whoami"]]
        flags = shlex.split(printed[0])[2:]
        for variables in ({}, {"EXBO_OAUTH_URL": "https://exbo.net/oauth", "EXBO_CLIENT_ID": "59"}):
            token = shell("token", *flags, **variables)
            assert (token.returncode, token.stdout[:3]) == (0, "eyJ")
        assert shell("token", *flags).stdout == token.stdout  # from the store, by the short way
        assert "my sandbox.env" in shell("doctor", "--offline", *flags).stdout
        assert shell("token").returncode == 1


def test_an_env_file_that_is_named_has_to_be_there(shell: Any) -> None:
    done = shell.within("url", "--env-file", "nowhere.env")
    assert (done.returncode, done.stderr) == (1, "exbo-oauth: cannot read nowhere.env: No such file or directory\n")


def test_a_file_with_the_same_settings_may_be_there_already_with_others_of_its_owners(
    shell: Any, free_port: int
) -> None:
    flags = ("sandbox", "--port", str(free_port), "--env-file", ".env")
    for more in ("", "BOT_TOKEN=mine\n", ""):
        with shell.started(*flags) as process:
            assert "terminal, in this directory:" in introduction(process)
        with (shell.home / ".env").open("a") as file:
            file.write(more)
    assert (shell.home / ".env").read_text().endswith("BOT_TOKEN=mine\n")


def test_a_days_work_goes_on_from_the_state(shell: Any, sign_in: Any, free_port: int) -> None:
    flags = ["sandbox", "--port", str(free_port), "--state", "sandbox.json"]
    with shell.started(*flags, "--add-user", "eve", "--add-app", "Bot", "--env-file", ".env") as process:
        text = introduction(process)
        with socket.create_server(("127.0.0.1", 0)) as server:
            callback = f"http://127.0.0.1:{server.getsockname()[1]}/callback"
        with shell.started("login", "--no-browser", "--redirect-uri", callback) as login:
            sign_in(next(line.strip() for line in login.stderr if "/authorize?" in line), "eve")
            assert login.wait(120) == 0
        token = shell("token").stdout
        assert token.startswith("eyJ")
        kept = shell.home / "sandbox.json"
        deadline = time.monotonic() + 120
        while token.strip() not in kept.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.kill()  # without a word
    again = ["sandbox", "--state", "sandbox.json", "--add-user", "eve"]  # on the same port
    with shell.started(*again, "--add-app", "Bot", "--redirect-uri", "http://a/b") as process:
        assert "ivan, steam-guest, eve." in introduction(process)
        assert shell("whoami").stdout.startswith("eve (id 3")
        assert shell("token").stdout == token
        base_url = re.search(r"at (\S+/oauth)", text)[1]
        answer = httpx.get(
            f"{base_url[:-6]}/api", headers={"Authorization": f"Bearer {token.strip()}"}, trust_env=False
        )
        assert answer.json()["application"] == "1000"
        page = httpx.get(base_url[:-5], trust_env=False).text
        assert (page.count("client id 1001"), page.count("client id 1002")) == (1, 0)
        assert page.count("<code>http://a/b</code>") == 2
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    assert json.loads(kept.read_text())["event_number"] > 0


def test_a_state_that_cannot_be_used_is_said_before_anything_is_served(shell: Any) -> None:
    (shell.home / "notes.txt").write_text("mine")
    for path, problem in (
        ("notes.txt", "is not a sandbox's state: it is not JSON"),
        ("no/x", "cannot write the sandbox's"),
    ):
        done = shell("sandbox", "--port", "0", "--state", path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert problem in done.stderr


def test_a_state_that_cannot_be_saved_any_more_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "states"
    folder.mkdir()
    fake = FakeExbo(state=folder / "sandbox.json")
    saving = _Saving(fake)
    folder.rmdir()
    fake.supersede()
    for _ in range(2):
        saving.go_on()
    problems = capsys.readouterr().err
    assert (problems.count("\n"), "cannot write the sandbox's state" in problems) == (1, True)


@pytest.mark.skipif(os.name != "posix", reason="a lock that cannot be had, as POSIX has it")
def test_where_nothing_can_be_locked_a_state_is_kept_all_the_same(tmp_path: Path) -> None:
    state = tmp_path / "sandbox.json"
    (tmp_path / ".sandbox.json.lock").mkdir()
    with _alone(state):
        state.write_text("kept")
    assert state.read_text() == "kept"


def test_a_state_belongs_to_one_sandbox_at_a_time(shell: Any) -> None:
    flags = ["sandbox", "--port", "0", "--state", "sandbox.json"]
    with shell.started(*flags) as process:
        introduction(process)
        done = shell(*flags)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "exbo-oauth: another sandbox has sandbox.json: stop it, or name another --state\n"
        process.kill()
    with shell.started(*flags) as process:
        introduction(process)


def test_an_existing_env_file_is_left_alone(shell: Any) -> None:
    (shell.home / ".env").write_text("MINE=1\n")
    done = shell("sandbox", "--port", "0", "--env-file", ".env")
    problem = ".env exists already, without these settings, and was left as it is: name another --env-file, or"
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"exbo-oauth: {problem} start without one and copy the settings")
    assert (shell.home / ".env").read_text() == "MINE=1\n"


def test_an_env_file_that_is_a_directory_is_left_alone(shell: Any) -> None:
    done = shell("sandbox", "--port", "0", "--env-file", ".")
    problem = ". exists already, without these settings, and was left as it is: name another --env-file, or"
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"exbo-oauth: {problem} start without one and copy the settings")


def test_an_env_file_that_cannot_be_written_is_named(shell: Any) -> None:
    done = shell("sandbox", "--port", "0", "--env-file", "nowhere/.env")
    assert done.returncode == 1
    assert done.stderr.startswith("exbo-oauth: cannot write nowhere")


def test_requests_are_told_as_they_come(shell: Any) -> None:
    with running(shell) as process:
        wrong = {"grant_type": "client_credentials", "client_id": "1000", "client_secret": "wrong"}
        base_url = introduction(process).split("sandbox is at ")[1].split(",")[0]
        httpx.get(f"{base_url}/user", headers={"Accept": "application/json"}, trust_env=False)
        httpx.post(f"{base_url}/token", data=wrong, trust_env=False)
        assert process.stdout is not None
        told = [process.stdout.readline()[8:] for _ in range(3)]
        assert told == [
            " UTC  401  GET /oauth/user\n",
            " UTC  401  POST /oauth/token (client_credentials)\n",
            (
                "      A request (client_credentials) by application 1000 was refused with 401: "
                "the secret is not that of application 1000.\n"
            ),
        ]


def test_what_a_status_does_not_say_is_told_beneath_it(shell: Any) -> None:
    with running(shell) as process:
        base_url = introduction(process).split("sandbox is at ")[1].split(",")[0]
        with httpx.Client(base_url=base_url, trust_env=False) as http:
            redirect_uri = "http://localhost:8080/callback"
            http.get("/authorize", params={"response_type": "code", "client_id": "1000", "redirect_uri": redirect_uri})
            secret = "SandboxSecretOfNoValue000000000000001000"
            asked = {"grant_type": "client_credentials", "client_id": "1000", "client_secret": secret}
            first, _ = (http.post("/token", data=asked).json()["access_token"] for _ in range(2))
            http.get("/user", headers={"Authorization": f"Bearer {first}", "Accept": "application/json"})
            http.post("/token", data={"grant_type": "\x1b[2J\u202e"})
        told = [process.stdout.readline()[14:] for _ in range(12)]
    assert told == [
        "401  GET /oauth/authorize\n",
        f"The redirect URI {redirect_uri} {WHY_NOT}\n",
        "  http://localhost:9999/callback\n",
        "  http://127.0.0.1:9999/callback\n",
        "  http://localhost\n",
        "  http://127.0.0.1\n",
        "200  POST /oauth/token (client_credentials)\n",
        "200  POST /oauth/token (client_credentials)\n",
        "Token #1 of application 1000 died: #2 took its place.\n",
        "401  GET /oauth/user\n",
        "Token #1 of application 1000 was refused: #2 had taken its place.\n",
        "400  POST /oauth/token (\\x1b[2J\\u202e)\n",
    ]


@pytest.mark.parametrize("console", [TextConsole, JsonConsole], ids=["text", "json"])
def test_what_happens_without_a_request_is_told_once_and_if_it_ends_a_token(
    fake_exbo: FakeExbo, capsys: pytest.CaptureFixture[str], console: Any
) -> None:
    told, shown = console(fake_exbo), []
    for happens in (fake_exbo.supersede, fake_exbo.supersede, list):
        happens()
        told.tell()
        shown.append(capsys.readouterr().out)
    assert [text.count("\n") for text in shown] == [0, 1, 0]
    assert "Token #1 of application 1 died" in shown[1]


def test_what_is_not_a_request_is_told_too(shell: Any) -> None:
    for flags, told in (((), "              Something that is not"), (("--json",), '{"told": ["Something that is not')):
        with running(shell, *flags) as process:
            first = introduction(process) if not flags else process.stdout.readline()
            port = int(re.search(r"http://127.0.0.1:(\d+)/oauth", first)[1])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                line = process.stdout.readline()
            assert line.startswith(told)
            assert "https:// was spoken" in line


def test_json_is_the_settings_and_then_a_request_a_line(shell: Any) -> None:
    flags = ("--json", "--add-user", "eve", "--dialect", "league-9", "--new-token-ends", "nothing", "--token-ttl", "60")
    with running(shell, *flags) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["users"] == ["ivan", "steam-guest", "eve"]
        shell.environment |= facts["settings"]
        tokens = {shell("token", EXBO_STORE="memory:").stdout.strip() for _ in range(2)}
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [(line["grant"], line["client_id"], line["status"], line["told"]) for line in told] == [
            ("client_credentials", "1000", 200, [])
        ] * 2
        assert facts["settings"].items() <= facts["applications"][0].items()
        for token in tokens:
            answer = httpx.get(facts["api"], headers={"Authorization": f"Bearer {token}"}, trust_env=False)
            assert answer.status_code == 200
        assert httpx.get(facts["page"], trust_env=False).status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals for a single process on Windows")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_is_the_quiet_end_of_it(shell: Any, name: str) -> None:
    with running(shell) as process:
        introduction(process)
        process.send_signal(signal.Signals[name])
        _, problems = process.communicate(timeout=120)
        assert (process.returncode, problems) == (0, "")


def test_a_busy_port_is_named_and_its_state_left_to_the_sandbox_there(shell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = shell("sandbox", "--port", str(port), "--state", "sandbox.json")
    assert not (shell.home / "sandbox.json").exists()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"exbo-oauth: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    "flags",
    [
        ["--port", "70000"],
        ["--dialect", "league-7"],
        ["--new-token-ends", "some"],
        ["--redirect-uri", "http://a b/"],
        ["--redirect-uri", "localhost:9999/callback"],
        ["--redirect-uri", "http://localhost/#top"],
        ["--add-user", ""],
        ["--add-user", "two\nlines"],
        ["--add-app", "\x1b[31m"],
        ["--token-ttl", "0"],
        ["--token-ttl", "nan"],
        ["--latency", "-1"],
        ["--throttle", "0"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_chosen_is_wrong_use(shell: Any, flags: list[str]) -> None:
    done = shell("sandbox", *flags)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert flags[0] in done.stderr


def test_without_cryptography_one_line_says_how_to_get_it(shell: Any, without: Callable[..., str]) -> None:
    done = shell("sandbox", PYTHONPATH=without("cryptography"))
    problem = "the sandbox needs the packages cryptography and filelock"
    assert (done.returncode, done.stderr) == (1, f"exbo-oauth: {problem}: {install_command('testing')}\n")

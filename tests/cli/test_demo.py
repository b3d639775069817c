"""`exbo-oauth demo` as a process, and against sandboxes that do not do what EXBO does."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from attrs import evolve

from exbo_oauth.cli.colours import COLOURS
from exbo_oauth.cli.demo import performed
from exbo_oauth.cli.story import STORY
from exbo_oauth.cli.visitor import LostBrowser, sign_in
from exbo_oauth.environment import install_command
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

TITLES = [step.title for step in STORY]


def test_every_step_is_ticked_in_every_colour(performance: Any) -> None:
    done = performance
    assert (done.returncode, done.stderr) == (0, "")
    for title in TITLES:
        line = next(line for line in done.stdout.splitlines() if title in line)
        assert line.count("✓") == len(COLOURS)
    assert "Every step did what it says: 24 steps, 15 token requests" in done.stdout
    assert done.stdout.endswith("Next, an EXBO of your own to sign in at: exbo-oauth sandbox\n")


def test_the_table_fits_a_terminal_of_80_columns(performance: Any) -> None:
    assert max(map(len, performance.stdout.splitlines())) <= 80


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_every_title_can_be_read_on_any_terminal(shell: Any, columns: int) -> None:
    done = shell.within("demo", COLUMNS=str(columns), EXBO_LANG="ru")
    assert (done.returncode, done.stderr) == (0, "")
    table = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert max(map(len, table)) <= columns
    words = " ".join(line.split("│")[1] for line in table).split()
    assert " ".join(words).startswith("Вход: браузер, согласие, PKCE ")
    assert " ".join(words).endswith("Заменить один раз, повторить запрос")
    assert done.stdout.count("✓") == len(STORY) * len(COLOURS)


def test_the_outcome_is_one_json_document_whatever_stands_in_the_environment(shell: Any) -> None:
    done = shell("demo", "--json", ALL_PROXY="socks://x", SSL_CERT_FILE="/nowhere", SSLKEYLOGFILE="/nowhere/keys")
    outcome = json.loads(done.stdout)
    assert (done.returncode, outcome["complete"], outcome["token_requests"]) == (0, True, 15)
    assert [step.pop("step") for step in outcome["steps"]] == TITLES
    for step in outcome["steps"]:
        assert list(step) == list(COLOURS)
        assert all(part["ok"] and part["problem"] is None and part["seconds"] > 0 for part in step.values())


@pytest.mark.parametrize("encoding", ["cp866", "ascii"])
def test_a_console_without_unicode_gets_ascii(shell: Any, encoding: str) -> None:
    done = shell("demo", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert done.stdout.count(" ok ") == len(STORY) * len(COLOURS)


def test_a_pipe_gets_no_colours(performance: Any) -> None:
    assert "\x1b" not in performance.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a single process on Windows")
def test_an_interrupt_is_quiet(shell: Any) -> None:
    command = [sys.executable, "-c", _INTERRUPTED]
    done = subprocess.run(command, env=shell.environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# The first token request is answered by an interrupt from the keyboard.
_INTERRUPTED = f"""
import os, sys
from exbo_oauth.testing import FakeExbo
from exbo_oauth.__main__ import main
receive = FakeExbo.receive
def interrupting(self, request, **options):
    os.kill(os.getpid(), {int(signal.SIGINT)})
    return receive(self, request, **options)
FakeExbo.receive = interrupting
sys.exit(main(["demo", "--json"]))
"""


@pytest.mark.parametrize(
    ("hidden", "problem"),
    [
        ("cryptography", "the demo's sandbox signs its tokens with the package cryptography"),
        ("trio", "trio is not installed, so its part was left out"),
    ],
)
def test_a_missing_package_is_named_with_its_cure(
    shell: Any, without: Callable[..., str], hidden: str, problem: str
) -> None:
    done = shell("demo", PYTHONPATH=without(hidden))
    assert done.returncode == 1
    assert done.stderr == f"exbo-oauth: {problem}: {install_command('cli,testing')}\n"


def test_without_trio_the_other_colours_are_still_shown(shell: Any, without: Callable[..., str]) -> None:
    done = shell("demo", "--json", PYTHONPATH=without("trio"))
    outcome = json.loads(done.stdout)
    assert (outcome["complete"], outcome["missing"]) == (False, ["trio"])
    for step in outcome["steps"]:
        assert (step["sync"]["ok"], step["asyncio"]["ok"], step["trio"]["ok"]) == (True, True, False)


class _Forgiving(FakeExbo):
    """A server that never ends a token before its time."""

    def supersede(self, **_options: Any) -> None:  # type: ignore[override]  # nobody reads what it returns
        pass


class _Unforgiving(FakeExbo):
    """A server on which a refused token's successor is refused, too."""

    def supersede(self, **options: Any) -> None:  # type: ignore[override]  # nobody reads what it returns
        super().supersede(**options)
        self.answer_next(Response(401, {}, b"{}"), times=4, path="/api")


class _Broken(FakeExbo):
    """A server that is down for good."""

    def serve(self, *args: Any) -> Any:
        self.fail_next(500, times=99, path="/oauth/token")
        return super().serve(*args)


class _Credulous(FakeExbo):
    """A server that takes every token for a good one of ivan's."""

    def receive(self, request: Any, **options: Any) -> Any:
        delivery = super().receive(request, **options)
        if request.url.endswith("/user") and delivery.response.status == 401:
            user = json.dumps(self.users[0].to_dict()).encode()
            return evolve(delivery, response=Response(200, {"content-type": "application/json"}, user))
        return delivery


class _Dropping(FakeExbo):
    """A server whose API drops connections once there has been trouble."""

    def supersede(self, **options: Any) -> None:  # type: ignore[override]  # nobody reads what it returns
        super().supersede(**options)
        self.lose_next_answer(path="/api")


class _Strict(FakeExbo):
    """A server at which the demo's redirect URI is not registered."""

    def add_app(self, *args: Any, **options: Any) -> Any:
        return super().add_app(*args, **options | {"redirect_uris": ["http://localhost/elsewhere"]})


@pytest.mark.parametrize(
    ("fake", "failing", "problem"),
    [
        (_Forgiving(), 6, "the superseded token still works"),
        (_Unforgiving(), 7, "the replayed request was answered 401"),
        (_Broken(), 2, "POST /token (authorization_code) was answered 500: Server Error."),
        (_Strict(), 0, "/oauth/authorize answered 401 without a form to send"),
        (_Credulous(), 4, "the old token still works"),
        (_Dropping(), 6, "the sandbox did not answer (RemoteProtocolError)"),
        (FakeExbo(code_ttl=-1), 2, "POST /token (authorization_code) was answered 400"),
    ],
    ids=[
        "supersedes nothing",
        "refuses the new token",
        "fails",
        "does not know the redirect",
        "takes any token",
        "drops",
        "codes are born dead",
    ],
)
def test_a_step_that_does_not_do_what_it_says_fails_the_demo(
    capsys: pytest.CaptureFixture[str], fake: FakeExbo, failing: int, problem: str
) -> None:
    assert performed(fake, as_json=False) == 1
    shown = capsys.readouterr()
    problems = shown.err.splitlines()
    assert len(problems) == len(COLOURS)
    for colour, line in zip(COLOURS, problems, strict=True):
        assert line.startswith(f"exbo-oauth: {colour}: {TITLES[failing]}: {problem}")
    assert "Not every step did what it says" in shown.out
    assert next(line for line in shown.out.splitlines() if TITLES[failing] in line).count("✗") == len(COLOURS)


def test_a_failed_step_and_what_was_not_reached_are_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert performed(_Forgiving(), as_json=True) == 1
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["trio"]["ok"] for step in steps] == [True] * 6 + [False] * 2
    assert [step["sync"]["problem"] for step in steps[6:]] == ["the superseded token still works", "not reached"]


def test_no_token_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeExbo()
    assert performed(fake, as_json=False) == 0
    shown = capsys.readouterr().out
    assert len(fake.issued) > 12
    assert not any(token.access_token in shown for token in fake.issued)


def test_the_last_token_of_every_colour_is_live() -> None:
    fake = FakeExbo()
    assert performed(fake, as_json=True) == 0
    apps = [app.client_id for app in fake.apps if app.name.startswith("Demo")]
    last = {token.client_id: token for token in fake.issued if token.user_id is None}
    assert sorted(last) == sorted(apps)
    assert all(fake.is_live(token) for token in last.values())


def test_a_browser_that_is_sent_in_circles_gives_up() -> None:
    around = httpx.MockTransport(lambda request: httpx.Response(302, headers={"location": str(request.url)}))
    with httpx.Client(transport=around) as http:
        steps, answer = sign_in(http, "http://127.0.0.1/round", "ivan", "http://localhost"), None
        with pytest.raises(LostBrowser, match="after 8 pages the browser is at /round"):
            while True:
                answer = steps.send(answer)

"""The address pasted instead of visited: by a function of the caller's, and on a real terminal."""

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

from exbo_oauth import AccessDeniedError, ConfigurationError, SyncOAuthClient
from exbo_oauth.login.endpoint import endpoint_of
from exbo_oauth.login.prompt import Prompt
from exbo_oauth.login.receiver import CallbackReceiver
from exbo_oauth.login.terminal import Keyboard, Lines
from exbo_oauth.testing import FakeExbo

from ..free_ports import free_port
from .conftest import PATIENCE, Program, answer_on, helpers, is_free, until

pty = pytest.importorskip("pty", reason="needs POSIX terminals") if sys.platform == "win32" else __import__("pty")


class Asker:
    """A prompt that answers what the test tells it to, and knows what it was asked."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.answers: Queue[Any] = Queue()

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        answer: Any = self.answers.get(timeout=PATIENCE)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]  # whatever the test wants to see refused


@pytest.fixture
def asker() -> Iterator[Asker]:
    made = Asker()
    yield made
    made.answers.put("")  # whoever still asks


def test_the_pasted_address_signs_in(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    asker.answers.put(f"  {program.callback()}\n")
    program.token()
    assert asker.questions == [
        "Is it on another machine, so that it cannot come back? Paste the address that it ended on: "
    ]


def test_the_query_string_alone_will_do(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    asker.answers.put(program.callback().partition("?")[2])
    program.token()


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        pytest.param("", "no state", id="nothing"),
        pytest.param("http://localhost/callback", "no state", id="an address without anything"),
        pytest.param("http://localhost/callback?code=def50200&state=other", "another one", id="another sign-in's"),
        pytest.param("http://localhost/callback?error=invalid_scope", "invalid_scope", id="an error without state"),
        pytest.param("\udcff", "cannot be read", id="half a character"),
        pytest.param("x" * 100_000, "the address that the browser ended on", id="a whole book"),
    ],
)
def test_a_wrong_paste_is_explained_and_asked_for_again(program: Program, asker: Asker, pasted: str, says: str) -> None:
    program.start(prompt=asker)
    asker.answers.put(pasted)
    until(lambda: len(asker.questions) == 2, "it asks again")
    assert says in asker.questions[1]
    assert asker.questions[1].endswith(f".\n{asker.questions[0]}")
    assert program.exchanges() == []
    asker.answers.put(program.callback())
    program.token()


def test_a_paste_with_a_line_break_in_it_is_put_together_and_spends_no_code(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    callback = program.callback()
    for piece in (callback[:-60], callback[-60:-20], callback[-20:]):
        asker.answers.put(piece)
    assert program.token()
    assert len(program.exchanges()) == 1


def test_a_paste_needs_no_port(program: Program, asker: Asker) -> None:
    with socket.create_server(("127.0.0.1", program.port)):
        program.start(prompt=asker)
        asker.answers.put(program.callback())
        assert program.token()
    assert "Or go on without: paste the address" in program.on_terminal()


def test_a_pasted_denial_ends_the_wait(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    asker.answers.put(program.callback(approve=False))
    assert isinstance(program.error(), AccessDeniedError)


def test_the_browser_wins_against_a_prompt_that_nobody_answers(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    until(lambda: asker.questions, "the prompt asks")
    program.browse(program.callback())
    program.token()
    program.join()
    assert len(asker.questions) == 1
    asker.answers.put(program.callback())
    until(lambda: not helpers(), "the prompt is gone")
    assert len(asker.questions) == 1
    assert len(program.exchanges()) == 1


def test_a_browser_that_comes_when_the_address_was_pasted_sees_how_it_went(program: Program, asker: Asker) -> None:
    with program.fake.hold() as gate:
        program.start(prompt=asker)
        callback = program.callback()
        asker.answers.put(callback)
        gate.wait(1)
        assert program.visit(callback).status == 303
        with program.asking(program.redirect_uri) as browser:  # before the outcome is known: it comes in time
            gate.release()
            assert "You are signed in" in answer_on(browser).text
    program.token()
    assert len(program.exchanges()) == 1


@pytest.mark.parametrize("error", [EOFError(), KeyboardInterrupt(), SystemExit()], ids=repr)
def test_a_prompt_with_nobody_behind_it_leaves_the_browser(
    program: Program, asker: Asker, error: BaseException
) -> None:
    program.start(prompt=asker)
    asker.answers.put(error)
    until(lambda: asker.questions, "the prompt asks")
    program.browse(program.callback())
    program.token()
    assert len(asker.questions) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [pytest.param(RuntimeError("no window"), "RuntimeError: no window", id="a failure")],
)
def test_a_broken_prompt_ends_the_wait_with_its_error(program: Program, asker: Asker, answer: Any, says: str) -> None:
    program.start(prompt=asker)
    asker.answers.put(answer)
    error = program.error()
    assert isinstance(error, ConfigurationError)
    assert says in str(error)


def test_a_prompt_that_returns_nothing_leaves_the_browser(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    asker.answers.put(None)
    until(lambda: asker.questions, "the prompt asks")
    program.browse(program.callback())
    program.token()


def test_a_prompt_that_returns_no_text_is_told_so(program: Program, asker: Asker) -> None:
    program.start(prompt=asker)
    asker.answers.put(42)
    until(lambda: len(asker.questions) == 2, "it asks again")
    asker.answers.put(program.callback())
    program.token()


def test_a_prompt_that_answers_by_itself_does_not_spin(program: Program) -> None:
    asked: list[float] = []

    def ask(question: str) -> str:
        asked.append(time.monotonic())
        return program.callback() if len(asked) == 4 else ""

    program.start(prompt=ask).token()
    assert all(later - earlier > 0.1 for earlier, later in pairwise(asked))  # a slow machine only asks more slowly


# A terminal

SCRIPT = """
import fcntl, sys, termios, threading
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # this terminal is ours, with its Ctrl-C
from exbo_oauth import SyncOAuthClient

class Told(threading.Thread):
    def run(self):
        super().run()
        if self.name == "exbo-oauth-prompt":
            print("nobody reads the terminal")

threading.Thread = Told
names = ("client_id", "client_secret", "base_url", "redirect_uri")
with SyncOAuthClient(**dict(zip(names, sys.argv[1:]))) as client:
    client.login("ivan", timeout=60)
    print("signed in as", client.validate_user_token(client.ensure_user_token("ivan")).name)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(120)  # it was told of the end, but may not have had its turn yet
    print("threads:", [thread.name for thread in threading.enumerate()])
    print("then typed:", input())
"""


class TerminalProgram:
    """A program of its own on a terminal of its own."""

    def __init__(self, fake: FakeExbo) -> None:
        self.port = free_port()
        self.fake = fake
        self.redirect_uri = f"http://localhost:{self.port}/callback"
        app = fake.add_app(redirect_uris=(self.redirect_uri,))
        self.ours, theirs = pty.openpty()
        bare = {
            name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, app.client_id, app.client_secret, fake.base_url, self.redirect_uri],
            env={**bare, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "error"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def until(self, text: str) -> str:
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < end, f"waited in vain for {text!r}, got {self.shown!r}"
            if select.select([self.ours], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.ours, 4096).decode()
                except OSError:  # its end is closed
                    assert text in self.shown, self.shown
        return self.shown

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def url(self) -> str:
        self.until("Paste the address that it ended on: ")
        return next(word for word in self.shown.split() if "/authorize?" in word)

    def end(self) -> None:
        os.close(self.ours)
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def terminal() -> Iterator[TerminalProgram]:
    fake = FakeExbo()
    with fake.serve():
        made = TerminalProgram(fake)
        yield made
        made.end()


def test_on_a_terminal_the_address_is_pasted(terminal: TerminalProgram) -> None:
    callback = terminal.fake.authorize(terminal.url())
    terminal.type("what is this?\n")
    terminal.until("That will not do")
    terminal.type(f"{callback}\n")
    assert "threads: ['MainThread']" in terminal.until("threads: ['MainThread']")
    assert "signed in as ivan" in terminal.shown


def test_on_a_terminal_the_browser_wins_and_the_next_line_is_the_programs(terminal: TerminalProgram) -> None:
    callback = terminal.fake.authorize(terminal.url())
    with httpx.Client(follow_redirects=True) as browser:
        assert "You are signed in" in browser.get(callback).text
    terminal.until("threads: [")
    terminal.type("for the program\n")
    terminal.until("then typed: for the program")
    assert terminal.process.wait(PATIENCE) == 0


def test_on_a_terminal_the_end_of_input_leaves_the_browser(terminal: TerminalProgram) -> None:
    callback = terminal.fake.authorize(terminal.url())
    terminal.type("\x04")
    terminal.until("nobody reads the terminal")
    assert "signed in" not in terminal.shown
    with httpx.Client(follow_redirects=True) as browser:
        assert "You are signed in" in browser.get(callback).text
    terminal.until("signed in as ivan")
    assert "that it ended on: \r\n" in terminal.shown  # what the program says next begins a line
    terminal.type("for the program\n")
    assert terminal.process.wait(PATIENCE) == 0


def test_on_a_terminal_ctrl_c_ends_it(terminal: TerminalProgram) -> None:
    terminal.url()
    terminal.type("\x03")
    terminal.until("KeyboardInterrupt")
    assert terminal.process.wait(PATIENCE) != 0  # as Python ends then
    assert is_free(terminal.port)


PIPED = """
import sys
from exbo_oauth import SyncOAuthClient
names = ("client_id", "client_secret", "base_url", "redirect_uri")
with SyncOAuthClient(**dict(zip(names, sys.argv[1:]))) as client:
    client.login("ivan", timeout=60, open_browser=False, prompt=input)
    print("signed in;", client.accounts(), "then:", sys.stdin.readline())
"""


@pytest.mark.parametrize("pasted", [True, False], ids=["pasted", "the browser wins"])
def test_input_may_ask_a_pipe_and_does_not_crash_the_interpreter(fake: FakeExbo, pasted: bool) -> None:
    redirect_uri = f"http://localhost:{free_port()}/callback"
    app = fake.add_app(redirect_uris=(redirect_uri,))
    with fake.serve() as base_url:
        child = subprocess.Popen(
            [sys.executable, "-c", PIPED, app.client_id, app.client_secret, base_url, redirect_uri],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdin
        assert child.stdout
        assert child.stderr
        address = next(line.strip() for line in child.stderr if "/authorize?" in line)
        callback = fake.authorize(address)
        if pasted:
            child.stdin.write(f"{callback}\nthe next line\n")
        else:
            httpx.get(callback, follow_redirects=True)
            child.stdin.write("the next line\n")
        child.stdin.flush()
        assert child.stdout.readline() == "signed in; ['ivan'] then: the next line\n"
        complaints = child.communicate(timeout=PATIENCE)[1]
    assert child.returncode == 0
    assert "Fatal" not in complaints


# The readers themselves


def test_a_long_line_comes_in_one_piece() -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"x" * 4000 + b"\n")
        assert Lines(theirs).read_line() == "x" * 4000
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_that_hangs_up_ends_the_reading() -> None:
    ours, theirs = pty.openpty()
    os.close(ours)
    try:
        assert Lines(theirs).read_line() is None
    finally:
        os.close(theirs)


def test_input_that_the_program_closes_ends_the_reading() -> None:
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.close(descriptor)
    assert Lines(reading).read_line() is None


BACKGROUND = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], process_group=0, stdout=subprocess.PIPE, text=True)
assert job.stdout.readline() == "looked\\n"
os.tcsetpgrp(0, job.pid)  # as a shell's fg does
print([line for line in job.stdout if line != "looked\\n"], job.wait())
"""

READER = """
import os
from exbo_oauth.login.terminal import Lines

def told(descriptor, look=os.tcgetpgrp):
    group = look(descriptor)
    print("looked", flush=True)
    return group

os.tcgetpgrp = told
print("read", Lines(0).read_line())
"""


def test_a_job_in_the_background_reads_the_terminal_once_it_is_brought_to_the_front() -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"a line\n")
        command = [sys.executable, "-c", BACKGROUND, READER]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        ) as shell:
            try:
                assert shell.communicate(timeout=PATIENCE)[0] == "['read a line\\n'] 0\n"
            finally:
                shell.kill()  # a job that has read the terminal from the background stands still
    finally:
        os.close(ours)
        os.close(theirs)


def test_input_without_end_is_given_up() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        os.write(writing, b"x" * 200_000)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert Lines(reading).read_line() is None
    finally:
        while os.read(reading, 65536):
            pass
        thread.join()
        os.close(reading)


def test_once_the_wait_is_over_no_byte_more_is_read() -> None:
    reading, writing = os.pipe()
    lines, redirect_uri = Lines(reading), "http://localhost:8080/callback"
    attempt = SyncOAuthClient(client_id=59, client_secret="secret").begin_login(redirect_uri=redirect_uri)
    receiver = CallbackReceiver(attempt, "https://exbo.net/oauth", endpoint_of(redirect_uri), print)
    try:
        Prompt(receiver, lambda _: lines.read_line(), lines.leave).open()
        receiver.arrival.settle(None)
        os.write(writing, b"for the program\n")
        until(lambda: not helpers(), "nobody reads any more")
        os.set_blocking(reading, False)
        assert os.read(reading, 100) == b"for the program\n"
    finally:
        os.close(reading)
        os.close(writing)


def keyboard(keys: str) -> tuple[Keyboard, Callable[[], str]]:
    """A console on which these keys have been pressed; and what its screen got."""
    pressed, screen = list(keys), list[str]()
    return Keyboard(lambda: bool(pressed), lambda: pressed.pop(0), screen.append), lambda: "".join(screen)


@pytest.mark.parametrize(
    ("keys", "line", "screen"),
    [
        pytest.param("abc\r", "abc", "abc\r\n", id="a line"),
        pytest.param("abd\bc\r", "abc", "abd\b \bc\r\n", id="a correction"),
        pytest.param("\b\bab\r", "ab", "ab\r\n", id="nothing to correct"),
        pytest.param("a\xe0Hb\0;c\r", "abc", "abc\r\n", id="arrows and function keys"),
        pytest.param("a\x1bb\tc\r", "abc", "abc\r\n", id="control characters"),
        pytest.param("\r", "", "\r\n", id="an empty line"),
    ],
)
def test_a_console_line_is_edited(keys: str, line: str, screen: str) -> None:
    reader, shown = keyboard(keys)
    assert reader.read_line() == line
    assert shown() == screen


def test_a_console_reader_leaves_when_told() -> None:
    reader, _ = keyboard("abc")
    threading.Timer(0.1, reader.leave).start()
    assert reader.read_line() is None

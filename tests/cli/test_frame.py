"""What every command has in common: help, exit codes, one line for a problem, and quiet ends."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import LoginRequiredError, __version__
from exbo_oauth.__main__ import main
from exbo_oauth.cli.app import app
from exbo_oauth.cli.output import Failure
from exbo_oauth.cli.settings import ENVIRONMENT
from exbo_oauth.environment import install_command
from exbo_oauth.stores.base import Issue

COMMANDS = [
    "demo",
    "sandbox",
    "login",
    "logout",
    "whoami",
    "accounts",
    "token",
    "refresh",
    "status",
    "inspect",
    "url",
    "doctor",
    "copy",
    "rotate",
    "backup",
]

posix_terminal = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a thing of POSIX")


@pytest.mark.parametrize(
    ("hidden", "named"),
    [
        (["typer"], "typer"),
        (["rich"], "rich"),
        (["typer", "rich"], "typer and rich"),
    ],
    ids=["typer", "rich", "all"],
)
def test_without_the_extra_one_line_says_how_to_get_it(
    shell: Any, without: Callable[..., str], hidden: list[str], named: str
) -> None:
    done = shell("demo", PYTHONPATH=without(*hidden))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"exbo-oauth: the command line needs {named}: {install_command('cli')}\n"


def test_without_the_extra_nothing_is_said_where_there_is_no_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)  # as if it were not installed
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["demo"]) == 1
    assert capsys.readouterr().out == ""


def test_no_arguments_is_wrong_use_and_shows_the_help(shell: Any) -> None:
    done = shell.within()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == shell.within("--help").stdout


def test_the_help_names_every_command_and_where_to_begin(shell: Any) -> None:
    done = shell.within("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = done.stdout.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == COMMANDS
    assert "..." not in listed
    assert "\n    exbo-oauth demo\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_page_about_it_names_every_command_and_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == COMMANDS
    assert dict(re.findall(r"\| `(EXBO_\w+)` \| `(\w+)`", page)) == {value: key for key, value in ENVIRONMENT.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_example_and_speaks_json(shell: Any, command: str) -> None:
    done = shell.within(command, "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"exbo-oauth {command}" in done.stdout.partition("Options:")[0].partition("\n")[2]
    assert "--json" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nope"], "No such command 'nope'. See: exbo-oauth --help"),
        (["tokn"], "No such command 'tokn'. Did you mean 'token'? See: exbo-oauth --help"),
        (["demo", "--nope"], "No such option: --nope. See: exbo-oauth demo --help"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(shell: Any, arguments: list[str], problem: str) -> None:
    done = shell.within(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"exbo-oauth: {problem}\n")


def test_the_version_is_the_packages(shell: Any) -> None:
    assert shell.within("--version").stdout == f"{__version__}\n"


@pytest.fixture
def ending_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Adds a command `end` that ends with the given exception."""

    def add(error: BaseException) -> None:
        def end() -> None:
            raise error

        monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
        app.command("end")(end)

    return add


@pytest.mark.parametrize(
    ("error", "code", "problem"),
    [
        (Failure("a\n b"), 1, "exbo-oauth: a b\n"),
        (
            LoginRequiredError("sign in again", account="a b"),
            1,
            "exbo-oauth: sign in again: run exbo-oauth login --user 'a b'\n",
        ),
        (
            ZeroDivisionError("a secret, perhaps"),
            1,
            "exbo-oauth: this should not have happened (ZeroDivisionError): run it again with --debug and report it\n",
        ),
        (
            OSError(errno.EINTR, "another file's"),
            1,
            "exbo-oauth: this should not have happened (InterruptedError): run it again with --debug and report it\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["failure", "library error", "bug", "system error", "interrupt"],
)
def test_how_a_command_ends(
    capsys: pytest.CaptureFixture[str], ending_with: Any, error: BaseException, code: int, problem: str
) -> None:
    ending_with(error)
    assert main(["end"]) == code
    shown = capsys.readouterr()
    assert (shown.out.strip(), shown.err.lstrip("\n")) == ("", problem)


def test_debug_lets_the_exception_through_wherever_it_stands(ending_with: Any) -> None:
    ending_with(ZeroDivisionError("a bug"))
    for arguments in (["--debug", "end"], ["end", "--debug"]):
        with pytest.raises(ZeroDivisionError):
            main(arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["token"], ["status"], ["demo"]])
def test_a_closed_pipe_is_quiet(shell: Any, exbo: Any, arguments: list[str]) -> None:
    shell.within("token")
    reading, writing = os.pipe()
    os.close(reading)
    command = shell.command(*arguments)
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, env=shell.environment, cwd=shell.home, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="only there can a pipe be asked not to wait")
def test_output_that_nobody_takes_is_one_line(shell: Any, exbo: Any) -> None:
    shell.within("token")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    problems = StringIO()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "w") as stdout:
        with suppress(BlockingIOError):
            while os.write(writing, bytes(4096)):
                pass
        assert shell.onto(stdout, problems, "token") == 1
    assert re.fullmatch("exbo-oauth: cannot write to standard output: .+ without blocking\n", problems.getvalue())


def test_an_interrupt_while_something_is_printed_is_quiet(shell: Any, exbo: Any) -> None:
    class Interrupted(StringIO):
        def write(self, text: str, /) -> int:
            raise KeyboardInterrupt

    shell.within("token")
    problems = StringIO()
    assert shell.onto(Interrupted(), problems, "token") == 130
    assert problems.getvalue() == ""


class Full:
    """A disk without room: what is written there cannot be got out."""

    def __enter__(self) -> int:
        self.descriptor = os.open("/dev/full", os.O_WRONLY)
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have a disk that is always full")


@full
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "arguments", [["token"], ["token", "--json"], ["status"], ["--version"], ["--help"]], ids=" ".join
)
def test_output_that_cannot_be_written_is_one_line(
    shell: Any, exbo: Any, arguments: list[str], unbuffered: str
) -> None:
    shell.within("token")
    with Full() as disk:
        done = subprocess.run(
            shell.command(*arguments),
            stdout=disk,
            stderr=subprocess.PIPE,
            text=True,
            env=shell.environment | {"PYTHONUNBUFFERED": unbuffered},
            cwd=shell.home,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "exbo-oauth: cannot write to standard output: No space left on device\n",
    )


@full
def test_problems_that_cannot_be_told_change_no_exit_code(shell: Any, exbo: Any) -> None:
    with Full() as disk:
        for arguments, code in ((["token"], 0), (["whoami"], 1), (["nope"], 2)):
            done = subprocess.run(
                shell.command(*arguments),
                stdout=subprocess.PIPE,
                stderr=disk,
                env=shell.environment,
                cwd=shell.home,
                check=False,
            )
            assert done.returncode == code
            assert bool(done.stdout) == (code == 0)


def run_with(shell: Any, redirections: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command whose standard streams a shell has closed."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *shell.command(*arguments)],
        capture_output=True,
        text=True,
        env=shell.environment,
        cwd=shell.home,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="closes streams as a POSIX shell does")
@pytest.mark.parametrize(
    ("redirections", "arguments", "code", "out", "err"),
    [
        (">&-", ["token"], 1, "", "exbo-oauth: cannot write to standard output: it is closed\n"),
        (">&-", ["status"], 1, "", "exbo-oauth: cannot write to standard output: it is closed\n"),
        (">&-", ["--version"], 1, "", "exbo-oauth: cannot write to standard output: it is closed\n"),
        (">&- 2>&-", ["token"], 1, "", ""),
        (">&-", ["accounts"], 0, "", "Nobody is signed in: run exbo-oauth login\n"),
        ("2>&-", ["whoami"], 1, "", ""),
        ("2>&-", ["nope"], 2, "", ""),
        (
            "<&-",
            ["token", "--client-secret-file", "-"],
            1,
            "",
            "exbo-oauth: cannot read standard input: it is closed\n",
        ),
        ("<&- 2>&-", ["accounts", "--json"], 0, "[]\n", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_closed_streams_end_in_exit_codes(
    shell: Any, exbo: Any, redirections: str, arguments: list[str], code: int, out: str, err: str
) -> None:
    shell.within("token")
    done = run_with(shell, redirections, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize("encoding", ["ascii", "cp1251"])
def test_a_name_that_the_encoding_lacks_is_written_with_numbers(shell: Any, exbo: Any, encoding: str) -> None:
    name = "Иван ☃"
    exbo.keep(name, exbo.user_token())
    for arguments in (["status"], ["whoami"], ["doctor"]):
        done = shell.within(*arguments, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
    shown = shell.within("accounts", PYTHONIOENCODING=encoding).stdout
    assert shown == name.encode(encoding, "backslashreplace").decode(encoding) + "\n"


class Terminal:
    """A terminal of 80 columns: `child` is what a command writes to, `read` gives what it shows to the end."""

    def __init__(self) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.parent, self.child = pty.openpty()
        fcntl.ioctl(self.child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def read(self) -> str:
        shown = b""
        with os.fdopen(self.parent, "rb", buffering=0) as file, suppress(OSError):  # how Linux says that nobody writes
            while piece := file.read(4096):
                shown += piece
        return shown.decode()


TERMINAL = {"TERM": "xterm-256color"}


def on_a_terminal(shell: Any, *arguments: str, **variables: str) -> str:
    """What a command shows on a terminal of 80 columns."""
    terminal, environment = Terminal(), shell.environment | TERMINAL | variables
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.child)
    process = subprocess.Popen(shell.command(*arguments), env=environment, cwd=shell.home, **streams)
    os.close(terminal.child)
    shown = terminal.read()
    assert process.wait(120) == 0
    return shown


def within_a_terminal(shell: Any, *arguments: str, **variables: str) -> str:
    """The same inside this process, for what is looked at many times."""
    terminal = Terminal()
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(terminal.read)
        with os.fdopen(terminal.child, "w", encoding="utf-8") as stream:
            assert shell.onto(stream, stream, *arguments, **TERMINAL, **variables) == 0
        return shown.result()


@posix_terminal
@pytest.mark.parametrize("arguments", [["demo"], ["doctor"]])
def test_a_terminal_gets_colours_unless_no_color_is_set(shell: Any, exbo: Any, arguments: list[str]) -> None:
    green = "\x1b[32m✓"
    assert green in on_a_terminal(shell, *arguments)
    plain = on_a_terminal(shell, *arguments, NO_COLOR="1")
    assert "✓" in plain
    assert "\x1b[3" not in plain


@posix_terminal
def test_a_name_moves_no_cursor_and_programs_get_it_as_it_is(shell: Any, exbo: Any) -> None:
    name = "ivan\x1b[2J\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}"
    exbo.keep(name, exbo.user_token())
    assert shell("accounts").stdout == f"{name}\n"
    for command in ("accounts", "status"):
        told = on_a_terminal(shell, command, NO_COLOR="1", COLUMNS="120")
        assert "[2J" in told, command
        assert "\x1b[2J" not in told, command
        assert not {"\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(told), command


@posix_terminal
@pytest.mark.parametrize("columns", [50, 80, 120])
@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("command", ["doctor --offline", "status", "inspect --user ivan", "accounts", "logout --all"])
def test_what_is_told_fits_the_terminal_and_breaks_no_word(
    shell: Any, exbo: Any, command: str, language: str, columns: int
) -> None:
    history = [Issue(at=datetime.now(UTC), by="web-1:200", why=why) for why in ("sign-in", "refused")]
    exbo.keep("ivan", exbo.user_token(), history=tuple(history))
    told = within_a_terminal(shell, *command.split(), NO_COLOR="1", COLUMNS=str(columns), EXBO_LANG=language)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in told.splitlines()]
    assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []
    if command.startswith("doctor"):  # the others have tables
        said = shell(*command.split(), EXBO_LANG=language).stdout
        assert " ".join(" ".join(lines).split()) == " ".join(said.split())


@posix_terminal
def test_a_terminal_hears_of_what_takes_time(shell: Any, exbo: Any) -> None:
    assert "Asking for a new token ..." in on_a_terminal(shell, "refresh")
    assert "Asking the server ..." in on_a_terminal(shell, "doctor")
    assert "Copying" in on_a_terminal(shell, "copy", shell.environment["EXBO_STORE"], "memory:")


@posix_terminal
def test_json_for_a_person_is_indented(shell: Any, exbo: Any) -> None:
    assert on_a_terminal(shell, "logout", "--json") == '{\r\n  "accounts": [],\r\n  "app": false\r\n}\r\n'


@pytest.mark.parametrize(
    ("words", "completions"),
    [("exbo-oauth sta", ["status"]), ("exbo-oauth token --us", ["--user"]), ("exbo-oauth token --user i", ["ivan"])],
)
def test_the_shell_completes(shell: Any, exbo: Any, words: str, completions: list[str]) -> None:
    exbo.keep("ivan", exbo.user_token())
    variables = {
        "_EXBO_OAUTH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    assert shell.process(**variables).stdout.split() == completions


def test_completion_is_silent_about_trouble(shell: Any) -> None:
    variables = {"COMP_WORDS": "exbo-oauth token --user i", "COMP_CWORD": "3", "EXBO_STORE": "nonsense"}
    done = shell.process(_EXBO_OAUTH_COMPLETE="complete_bash", **variables)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    """A PATH on which there is neither this program nor its Python."""
    (tmp_path / "empty").mkdir()
    return str(tmp_path / "empty")


def test_what_to_type_next_works_where_the_environment_is_not_active(shell: Any, nowhere: str) -> None:
    done = shell.process("demo", PATH=nowhere)
    command = done.stdout.splitlines()[-1].partition("sign in at: ")[2]
    assert command == f"{sys.executable} -m exbo_oauth sandbox"
    assert (
        subprocess.run([*command.split(), "--help"], env=shell.environment, cwd=shell.home, check=False).returncode == 0
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has programs with an .exe in their place")
@pytest.mark.parametrize("found", [True, False], ids=["on the PATH", "by its path"])
def test_what_to_type_next_is_as_this_was_typed(shell: Any, nowhere: str, found: bool) -> None:
    program = Path(sys.executable).with_name("exbo-oauth")
    path = os.pathsep.join([str(program.parent), "/usr/bin"]) if found else nowhere
    done = subprocess.run(
        [str(program), "demo"], env=shell.environment | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.endswith(f"sign in at: {'exbo-oauth' if found else program} sandbox\n")


@posix_terminal
@pytest.mark.parametrize("columns", [50, 80, 120])
def test_names_and_ids_stay_whole_in_what_status_tells(shell: Any, exbo: Any, columns: int) -> None:
    account, issuer = "00000002-0000-4000-8000-000000000002", "some-host-name:123456"
    exbo.keep(account, exbo.user_token(), issued_by=issuer)
    told = within_a_terminal(shell, "status", NO_COLOR="1", COLUMNS=str(columns))
    assert [name for name in (account, issuer, "host:process") if name not in told] == []

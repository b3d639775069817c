"""Where settings come from, and that secrets never come from the command line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth.cli import settings
from exbo_oauth.cli.dotenv import values_in


def config_of(shell: Any) -> Path:
    """Where the shell's configuration file is, as its own error says."""
    message = shell.within("token", "--client-id", "").stderr
    path = Path(message.partition(".env or ")[2].partition("config.toml")[0]) / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def client_id_of(shell: Any, *flags: str, **variables: str) -> str:
    done = shell.within("url", "--json", *flags, **variables)
    assert done.returncode == 0, done.stderr
    url: str = json.loads(done.stdout)["url"]
    return url.partition("client_id=")[2].partition("&")[0]


def test_flags_win_over_the_environment_over_dotenv_over_the_configuration_file(shell: Any) -> None:
    config_of(shell).write_text('client_id = "1"\n')
    assert client_id_of(shell) == "1"
    (shell.home / ".env").write_text("EXBO_CLIENT_ID=2\n")
    assert client_id_of(shell) == "2"
    assert client_id_of(shell, EXBO_CLIENT_ID="3") == "3"
    assert client_id_of(shell, "--client-id", "4", EXBO_CLIENT_ID="3") == "4"


def test_an_empty_variable_counts_as_unset(shell: Any) -> None:
    (shell.home / ".env").write_text("EXBO_CLIENT_ID=2\n")
    assert client_id_of(shell, EXBO_CLIENT_ID="") == "2"


def test_dotenv_is_read_in_the_current_directory_only(shell: Any) -> None:
    (shell.home / ".env").write_text("EXBO_CLIENT_ID=2\n")
    shell.home = shell.home / "below"
    shell.home.mkdir()
    assert shell.within("url").returncode == 1


@pytest.mark.parametrize("name", settings.ENVIRONMENT)
def test_every_setting_can_stand_in_the_configuration_file(shell: Any, name: str) -> None:
    values = {"client_id": "1", "store": "memory:"} | {
        name: {"base_url": "https://exbo.example/oauth", "redirect_uri": "https://x.example/", "client_id": "7"}.get(
            name, "x"
        )
    }
    values["store"] = "memory:"
    config_of(shell).write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
    assert shell.within("url").returncode == 0


def test_a_number_will_do_as_client_id_in_the_configuration_file(shell: Any) -> None:
    config_of(shell).write_text("client_id = 59\n")
    assert client_id_of(shell) == "59"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("client_id = ", "is no TOML: Invalid value (at end of document)"),
        ('cleint_id = "1"', "has 'cleint_id', which means nothing: it may hold client_id, client_secret"),
        ("client_id = true", "client_id must be a string"),
    ],
)
def test_a_configuration_file_that_cannot_be_read_is_named(shell: Any, text: str, problem: str) -> None:
    path = config_of(shell)
    path.write_text(text)
    done = shell.within("url")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert str(path) in done.stderr
    assert problem in done.stderr


def test_a_dotenv_that_is_not_utf8_is_named(shell: Any) -> None:
    (shell.home / ".env").write_bytes(b"EXBO_CLIENT_ID=\xff\n")
    done = shell.within("url")
    assert (done.returncode, done.stderr) == (1, "exbo-oauth: cannot read .env: it is not UTF-8\n")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a file that its reader may not read")
def test_a_dotenv_that_may_not_be_read_is_named(shell: Any) -> None:
    (shell.home / ".env").write_text("EXBO_CLIENT_ID=1\n")
    (shell.home / ".env").chmod(0)
    assert shell.within("url").stderr == "exbo-oauth: cannot read .env: Permission denied\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "problem"),
    [
        (["token"], {}, "there is no client id: set EXBO_CLIENT_ID, pass --client-id, or put it into .env or "),
        (
            ["token"],
            {"EXBO_CLIENT_ID": "1", "EXBO_STORE": "memory:"},
            "there is no client secret: set EXBO_CLIENT_SECRET, pass --client-secret-file FILE, or put it into .env ",
        ),
    ],
    ids=["client id", "client secret"],
)
def test_what_is_missing_is_named_with_every_way_to_give_it(
    shell: Any, arguments: list[str], variables: dict[str, str], problem: str
) -> None:
    done = shell.within(*arguments, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"exbo-oauth: {problem}")
    assert done.stderr.endswith("config.toml. No application yet? Start with: exbo-oauth sandbox\n")


def test_a_secret_on_the_command_line_is_refused_with_the_reason(shell: Any) -> None:
    done = shell.within("token", "--client-secret", "hush")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "exbo-oauth: Invalid value for '--client-secret': a secret on the command line is seen by every user of this "
        "machine and kept in the shell's history: use --client-secret-file FILE, or --client-secret-file - and "
        "standard input. See: exbo-oauth token --help\n"
    )


def test_the_secret_can_come_from_a_file(shell: Any, exbo: Any) -> None:
    secret = shell.environment.pop("EXBO_CLIENT_SECRET")
    (shell.home / "secret.txt").write_text(f"{secret}\n")
    assert shell.within("token", "--client-secret-file", "secret.txt").returncode == 0


def test_the_secret_can_come_from_standard_input(shell: Any, exbo: Any) -> None:
    secret = shell.environment.pop("EXBO_CLIENT_SECRET")
    assert shell.within("token", "--client-secret-file", "-", stdin=f"{secret}\r\n").returncode == 0


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "No such file or directory"), (b"\xff\xfe", "it is not UTF-8")]
)
def test_a_secret_file_that_cannot_be_read_is_named(shell: Any, content: bytes | None, problem: str) -> None:
    if content is not None:
        (shell.home / "secret.txt").write_bytes(content)
    done = shell.within("token", "--client-secret-file", "secret.txt", EXBO_CLIENT_ID="1")
    assert (done.returncode, done.stderr) == (1, f"exbo-oauth: cannot read secret.txt: {problem}\n")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("export NAME=value", "value"),
        ("  NAME = value  ", "value"),
        ("NAME=value # comment", "value"),
        ("NAME=va#lue", "va#lue"),
        ("NAME='va lue'", "va lue"),
        ('NAME="va # lue" # comment', "va # lue"),
        ('NAME=" "', " "),
        ("NAME=", ""),
        ("NAME= # comment", ""),
        ("NAME=a=b", "a=b"),
        ("\ufeffNAME=value", "value"),
        ("NAME=first\nNAME=second", "second"),
        ("NAME=value\r\nOTHER=1", "value"),
        ("# NAME=value", None),
        ("NAME", None),
        ("", None),
        ("NAME='value", None),
    ],
)
def test_a_dotenv_line_means(line: str, value: str | None) -> None:
    assert values_in(line).get("NAME") == value


@given(st.text())
def test_any_text_can_be_read_as_dotenv(text: str) -> None:
    assert all(name and "=" not in name for name in values_in(text))


@given(st.from_regex(r"[A-Za-z0-9+/_.-][A-Za-z0-9+/_.=-]*", fullmatch=True))
def test_a_plain_value_is_what_it_says_with_and_without_quotes(value: str) -> None:
    for line in (f"N={value}", f'N="{value}"', f"export N='{value}' # it"):
        assert values_in(line) == {"N": value}

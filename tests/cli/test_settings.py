"""Where settings come from, and that secrets never come from the command line."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth import SyncOAuthClient
from exbo_oauth.cli import settings
from exbo_oauth.cli.files import dotenv_in
from exbo_oauth.environment import install_command
from exbo_oauth.stores import EncryptedTokenStore


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
        ("client_id = ", "is not TOML: Invalid value (at end of document)"),
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


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a file that its reader may not read")
def test_a_dotenv_that_may_not_be_read_is_named(shell: Any) -> None:
    (shell.home / ".env").write_text("EXBO_CLIENT_ID=1\n")
    (shell.home / ".env").chmod(0)
    done = shell.within("url", EXBO_CLIENT_ID="1")
    assert (done.returncode, done.stderr) == (0, "exbo-oauth: cannot read .env: Permission denied\n")


NEITHER = (
    "there is neither a client id nor a client secret: set EXBO_CLIENT_ID and EXBO_CLIENT_SECRET, pass --client-id and "
    "--client-secret-file FILE, or put them into "
)


@pytest.mark.parametrize(
    ("arguments", "variables", "problem"),
    [
        *(
            (
                [command],
                {"EXBO_STORE": "memory:"},
                NEITHER,
            )
            for command in ("token", "login", "refresh", "whoami")
        ),
        (
            ["token"],
            {"EXBO_CLIENT_SECRET": "hush"},
            "there is no client id: set EXBO_CLIENT_ID, pass --client-id, or put it into ",
        ),
        (
            ["token"],
            {"EXBO_CLIENT_ID": "1", "EXBO_STORE": "memory:"},
            "there is no client secret: set EXBO_CLIENT_SECRET, pass --client-secret-file FILE, or put it into ",
        ),
    ],
    ids=["token", "login", "refresh", "whoami", "client id", "client secret"],
)
def test_what_is_missing_is_named_with_every_way_to_give_it(
    shell: Any, arguments: list[str], variables: dict[str, str], problem: str
) -> None:
    done = shell.within(*arguments, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"exbo-oauth: {problem}{shell.home / '.env'} or ")
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


def test_a_secret_from_standard_input_that_cannot_be_read_is_one_line(shell: Any) -> None:
    done = shell.within("token", "--client-secret-file", "-", stdin=b"\xff\xfe", EXBO_CLIENT_ID="1")
    assert (done.returncode, done.stderr) == (1, "exbo-oauth: cannot read standard input: it is not UTF-8\n")


def test_a_store_on_the_command_line_that_is_not_an_address_is_one_line(shell: Any) -> None:
    done = shell.within("token", "--store", "redis://[::1", EXBO_CLIENT_ID="1", EXBO_CLIENT_SECRET="x")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("exbo-oauth: this is not a Redis URL")


@pytest.mark.skipif(os.name != "posix", reason="users as POSIX has them")
def test_a_user_without_a_home_needs_none_but_for_a_store(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    shell.environment["HOME"] = ""
    assert client_id_of(shell, EXBO_CLIENT_ID="59") == "59"
    done = shell.within("token", EXBO_CLIENT_ID="59", EXBO_STORE="memory:")
    assert f"or put it into {shell.home / '.env'}. No application yet?" in done.stderr
    done = shell.within("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("exbo-oauth: this user has no home directory to keep tokens in: set EXBO_STORE")


@pytest.mark.parametrize("flag", ["--client-secret-file", "--store-key-file", "--env-file", "--token-file"])
@pytest.mark.parametrize(
    "secret", ["Wq3" * 13, EncryptedTokenStore.new_key(), "x" * 300], ids=["secret", "key", "long"]
)
def test_a_secret_in_place_of_the_name_of_a_file_is_not_repeated(shell: Any, flag: str, secret: str) -> None:
    done = shell.within("doctor", "--offline", flag, secret)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("exbo-oauth: the name of a file was expected, and this looks like a secret")
    assert secret not in done.stderr


def test_why_a_file_cannot_be_read_is_said_in_the_users_language(shell: Any) -> None:
    done = shell.within("doctor", "--token-file", "token.txt", EXBO_LANG="ru")
    assert done.stderr == "exbo-oauth: не удалось прочитать token.txt: такого файла нет\n"


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
        ('NAME="value"#comment', "value"),
        ('NAME=" "', " "),
        ("NAME=", ""),
        ("NAME= # comment", ""),
        ("NAME=a=b", "a=b"),
        ("NAME=first\nNAME=second", "second"),
        ("NAME=value\r\nOTHER=1", "value"),
        ("OTHER=a b\nNAME=${OTHER}/c", "a b/c"),
        ("NAME=${OTHER:-else}/c", "else/c"),
        ("# NAME=value", None),
        ("", None),
    ],
)
def test_a_dotenv_line_means(line: str, value: str | None) -> None:
    read = dotenv_in(line, ".env")
    assert read.values.get("NAME") == value
    assert read.remarks == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('EXBO_CLIENT_ID="59', "line 1"),
        ('EXBO_CLIENT_ID="59";', "line 1"),
        ("EXBO_CLIENT_ID: 59", "line 1"),
        ("EXBO_CLIENT_ID:59", "line 1"),
        ("set EXBO_CLIENT_ID=59", "line 1"),
        ('$env:EXBO_CLIENT_ID = "59"', "line 1"),
        ("A=1\n\n\n[exbo]\nEXBO_CLIENT_ID 59\nB=2", "lines 4, 5"),
        ("export 'EXBO CLIENT ID'=59", "line 1"),
    ],
)
def test_a_line_that_is_not_understood_is_told_by_its_number(text: str, lines: str) -> None:
    [remark] = dotenv_in(text, ".env").remarks
    assert remark.startswith(f".env, {lines}: not understood and left out")
    assert "59" not in remark


@pytest.mark.parametrize("line", ["EXBO_STORE=sqlite:///${HOME}/tokens.db", "EXBO_STORE"])
def test_a_value_that_the_file_does_not_give_is_told_by_its_name(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "somebody's own")
    read = dotenv_in(line, ".env")
    assert read.values == {}
    [remark] = read.remarks
    assert remark.startswith(".env gives EXBO_STORE no value: it was left out")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("EXBO_CLIENTID=59", "EXBO_CLIENT_ID"),
        ("exbo_client_id=59", "EXBO_CLIENT_ID"),
        ("EXBO_REDIRECT_URL=http://localhost", "EXBO_REDIRECT_URI"),
        ("export EXBO_STORE_KEYS=k", "EXBO_STORE_KEY"),
        ("EXBO_ROUNDS=3", None),
        ("CLIENT_ID=59", None),
        ("EXBO_API_URL=https://eapi.stalcraft.net", None),
    ],
)
def test_a_misspelt_name_is_told(line: str, meant: str | None) -> None:
    told = f".env has a name that nothing reads and that looks like {meant}: check its spelling"
    assert dotenv_in(line, ".env").remarks == (() if meant is None else (told,))


@given(st.text())
def test_any_text_can_be_read_as_dotenv(text: str) -> None:
    read = dotenv_in(text, ".env")
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", name, re.ASCII) for name in read.values)


@given(st.from_regex(r"[A-Za-z0-9+/_.-][A-Za-z0-9+/_.=-]*", fullmatch=True))
def test_a_plain_value_is_what_it_says_with_and_without_quotes(value: str) -> None:
    for line in (f"N={value}", f'N="{value}"', f"export N='{value}' # it"):
        assert dotenv_in(line, ".env").values == {"N": value}


def test_what_was_not_understood_is_told_on_standard_error_and_stops_nothing(shell: Any) -> None:
    (shell.home / ".env").write_text("this is a note\nEXBO_CLIENT_ID=59\n")
    done = shell.within("url")
    assert done.returncode == 0
    assert "client_id=59" in done.stdout
    assert done.stderr.startswith("exbo-oauth: .env, line 1: not understood")
    assert done.stderr.count("\n") == 1


def test_the_short_way_to_a_token_tells_it_as_well(shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    (shell.home / ".env").write_text("this is a note\n")
    done = shell.within("token")
    assert (done.returncode, done.stdout) == (0, f"{exbo.stored().token.access_token}\n")
    assert done.stderr.startswith("exbo-oauth: .env, line 1: not understood")
    assert done.stderr.count("\n") == 1


# The user's own, and what somebody else may have written


OWN = "the-users-own-secret"


@pytest.fixture
def foreign(shell: Any, exbo: Any) -> Any:
    """A cloned repository: its ``.env`` in the current directory is all that tells of the sandbox."""
    for name in settings.ENVIRONMENT.values():
        shell.environment.pop(name, None)
    shell.environment["EXBO_CLIENT_ID"] = exbo.app.client_id
    return shell


def dotenv_of(shell: Any, **values: str) -> None:
    (shell.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))


@pytest.mark.parametrize("command", ["token", "refresh", "login", "whoami", "doctor"])
@pytest.mark.parametrize("source", ["config.toml", "environment", "file"])
def test_a_foreign_address_does_not_get_the_users_own_secret(
    foreign: Any, exbo: Any, source: str, command: str
) -> None:
    dotenv_of(foreign, EXBO_OAUTH_URL=exbo.base_url)
    arguments = [command]
    if source == "config.toml":
        config_of(foreign).write_text(f'client_secret = "{OWN}"\n')
    elif source == "environment":
        foreign.environment["EXBO_CLIENT_SECRET"] = OWN
    else:
        (foreign.home / "secret.txt").write_text(OWN)
        arguments += ["--client-secret-file", "secret.txt"]
    exbo.keep("ivan", exbo.user_token())
    foreign.environment["EXBO_STORE"] = f"sqlite:///{exbo.path.as_posix()}"
    requests = len(exbo.fake.requests)
    done = foreign.within(*arguments)
    assert done.returncode == 1
    told = done.stdout if command == "doctor" else done.stderr
    assert f"{foreign.home / '.env'} sets EXBO_OAUTH_URL, and the client secret comes from" in " ".join(told.split())
    assert len(exbo.fake.requests) == requests


@pytest.mark.parametrize("command", ["token", "status", "accounts", "logout", "doctor"])
def test_a_foreign_store_does_not_get_the_users_own_tokens(foreign: Any, exbo: Any, command: str) -> None:
    dotenv_of(foreign, EXBO_STORE=f"sqlite:///{(foreign.home / 'stolen.db').as_posix()}")
    done = foreign.within(command, EXBO_CLIENT_SECRET=OWN, EXBO_OAUTH_URL=exbo.base_url)
    told, other = (done.stdout, done.stderr) if command == "doctor" else (done.stderr, done.stdout)
    assert (done.returncode, other) == (1, "")
    assert f"{foreign.home / '.env'} sets EXBO_STORE, and the client secret comes from the environment" in told
    assert not (foreign.home / "stolen.db").exists()
    assert exbo.fake.requests == []


def test_a_foreign_key_does_not_encrypt_the_users_own_tokens(foreign: Any, exbo: Any) -> None:
    dotenv_of(foreign, EXBO_STORE_KEY=EncryptedTokenStore.new_key())
    done = foreign.within("token", EXBO_CLIENT_SECRET=exbo.app.client_secret, EXBO_OAUTH_URL=exbo.base_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{foreign.home / '.env'} sets EXBO_STORE_KEY for a store that it does not name" in done.stderr
    assert exbo.fake.requests == []


def test_an_application_that_the_directory_brings_whole_is_its_own_affair(foreign: Any, exbo: Any) -> None:
    dotenv_of(
        foreign,
        EXBO_OAUTH_URL=exbo.base_url,
        EXBO_CLIENT_SECRET=exbo.app.client_secret,
        EXBO_STORE="sqlite:///theirs.db",
        EXBO_STORE_KEY=EncryptedTokenStore.new_key(),
    )
    assert foreign.within("token").returncode == 0
    assert (foreign.home / "theirs.db").exists()


def test_a_foreign_file_may_say_what_is_so_anyway(foreign: Any) -> None:
    dotenv_of(foreign, EXBO_OAUTH_URL="https://exbo.net/oauth/")
    done = foreign.within("status", EXBO_CLIENT_SECRET=OWN)
    assert "somebody else" not in done.stderr


def test_what_the_user_says_themselves_wins_over_a_foreign_file(foreign: Any, exbo: Any) -> None:
    dotenv_of(foreign, EXBO_OAUTH_URL="https://evil.example/oauth", EXBO_STORE="redis://evil.example/0")
    store = f"sqlite:///{exbo.path.as_posix()}"
    done = foreign.within(
        "token", "--base-url", exbo.base_url, EXBO_CLIENT_SECRET=exbo.app.client_secret, EXBO_STORE=store
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_foreign_file_without_end_is_not_read_to_it(foreign: Any) -> None:
    doubling = "".join(f"A{number}=${{A{number - 1}}}${{A{number - 1}}}\n" for number in range(1, 60))
    (foreign.home / ".env").write_text(
        f"A0=secret\n{doubling}EXBO_SCOPE=${{A59}}\nEXBO_REDIRECT_URI=http://localhost:9\n"
    )
    done = foreign.within("url")
    assert done.stderr.startswith("exbo-oauth: .env gives EXBO_SCOPE no value: it was left out")
    assert "localhost%3A9" in done.stdout
    (foreign.home / ".env").write_text("#" * 100_000)
    assert foreign.within("url").stderr.strip() == "exbo-oauth: cannot read .env: File too large"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device that can be read without end")
def test_a_foreign_link_to_a_device_is_not_read_to_its_end(foreign: Any) -> None:
    (foreign.home / ".env").symlink_to("/dev/zero")
    done = foreign.within("url")
    assert (done.returncode, done.stderr.strip()) == (0, "exbo-oauth: cannot read .env: File too large")


# Files as editors and shells write them


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_not_part_of_a_file(shell: Any, encoding: str) -> None:
    (shell.home / ".env").write_bytes("EXBO_CLIENT_ID=2\n".encode(encoding))
    assert client_id_of(shell) == "2"
    (shell.home / ".env").unlink()
    config_of(shell).write_bytes('client_id = "3"\n'.encode(encoding))
    assert client_id_of(shell) == "3"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_not_part_of_a_secret(shell: Any, exbo: Any, encoding: str) -> None:
    secret = shell.environment.pop("EXBO_CLIENT_SECRET")
    (shell.home / "secret.txt").write_bytes(f"{secret}\r\n".encode(encoding))
    assert shell.within("token", "--client-secret-file", "secret.txt").returncode == 0
    assert exbo.stored() is not None


def test_comments_in_another_encoding_are_nobodys_business(shell: Any) -> None:
    (shell.home / ".env").write_bytes("# мой бот\nEXBO_CLIENT_ID=59 # его номер\n".encode("cp1251"))
    assert client_id_of(shell) == "59"


def test_a_value_in_another_encoding_is_named_unless_another_one_wins(shell: Any) -> None:
    (shell.home / ".env").write_bytes(b"EXBO_CLIENT_ID=\xff\n")
    done = shell.within("url")
    assert (done.returncode, done.stderr) == (1, "exbo-oauth: cannot read .env: it is not UTF-8\n")
    assert client_id_of(shell, EXBO_CLIENT_ID="59") == "59"


def test_without_python_dotenv_one_line_says_how_to_get_it(shell: Any, without: Any) -> None:
    (shell.home / ".env").write_text("EXBO_CLIENT_ID=2\n")
    done = shell("url", PYTHONPATH=without("dotenv"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"exbo-oauth: reading .env needs python-dotenv: {install_command('cli')}\n"


# The key of an encrypted store


@pytest.mark.parametrize("key", [EncryptedTokenStore.new_key(), "passphrase:a horse in the rain"], ids=["key", "words"])
def test_an_encrypted_store_is_opened_with_its_key(shell: Any, exbo: Any, key: str) -> None:
    assert shell.within("token", EXBO_STORE_KEY=key).returncode == 0
    stored = exbo.stored()
    assert stored.token.access_token not in {issued.access_token for issued in exbo.fake.issued}
    (shell.home / "key.txt").write_text(f"{key}\n")
    done = shell.within("token", "--store-key-file", "key.txt")
    assert done.stdout.strip() in {issued.access_token for issued in exbo.fake.issued}
    assert len(exbo.fake.issued) == 1


def test_several_keys_are_lines_and_the_first_encrypts(shell: Any, exbo: Any) -> None:
    old, new = EncryptedTokenStore.new_key(), EncryptedTokenStore.new_key()
    shell.within("token", EXBO_STORE_KEY=old)
    (shell.home / "keys").write_text(f"{new}\n{old}\n")
    assert shell.within("token", "--store-key-file", "keys").returncode == 0
    assert shell.within("refresh", "--store-key-file", "keys").returncode == 0
    assert shell.within("token", EXBO_STORE_KEY=new).returncode == 0
    assert shell.within("token", EXBO_STORE_KEY=old).returncode == 1


def test_a_program_with_the_same_environment_opens_it_as_well(
    shell: Any, exbo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = EncryptedTokenStore.new_key()
    token = shell.within("token", EXBO_STORE_KEY=key).stdout.strip()
    for name, value in (shell.environment | {"EXBO_STORE_KEY": key}).items():
        monkeypatch.setenv(name, value)
    with SyncOAuthClient.from_env(issue="never") as client:
        assert client.ensure_app_token().access_token == token


def test_what_is_not_a_key_is_refused(shell: Any, exbo: Any) -> None:
    done = shell.within("token", EXBO_STORE_KEY="hush")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("exbo-oauth: a key of the store is one line of 44 characters")
    assert "hush" not in done.stderr

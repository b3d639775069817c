"""What the surroundings decide: variables, the user's directories, and the one store of programs and commands."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from exbo_oauth import AsyncOAuthClient, ConfigurationError, SQLiteTokenStore, SyncOAuthClient
from exbo_oauth.environment import VARIABLES, given_in, install_command, set_aside, user_directory, user_store_url
from exbo_oauth.stores import store_from_url
from exbo_oauth.testing import FakeExbo

BOTH = pytest.mark.parametrize("kind", [SyncOAuthClient, AsyncOAuthClient], ids=["sync", "async"])
NOBODY = 3_999_999_999  # a user id that no passwd file knows
posix = pytest.mark.skipif(os.name != "posix", reason="paths and users as POSIX has them")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A fresh home, and programs that are not kept away from it as tests are."""
    for variable in (*VARIABLES.values(), "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    before = set_aside(None)
    yield tmp_path
    set_aside(before)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("EXBO_CLIENT_ID", "59")
    monkeypatch.setenv("EXBO_CLIENT_SECRET", "a-good-secret")


@posix
@pytest.mark.parametrize(
    ("platform", "variables", "data", "config"),
    [
        ("linux", {"HOME": "/home/i"}, "/home/i/.local/share/exbo-oauth", "/home/i/.config/exbo-oauth"),
        (
            "linux",
            {"HOME": "/home/i", "XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/config"},
            "/data/exbo-oauth",
            "/config/exbo-oauth",
        ),
        (
            "linux",
            {"HOME": "/home/i", "XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": ""},
            "/home/i/.local/share/exbo-oauth",
            "/home/i/.config/exbo-oauth",
        ),
        (
            "darwin",
            {"HOME": "/Users/i"},
            "/Users/i/Library/Application Support/exbo-oauth",
            "/Users/i/Library/Application Support/exbo-oauth",
        ),
        ("win32", {"LOCALAPPDATA": "/i/Local", "USERPROFILE": "/i"}, "/i/Local/exbo-oauth", "/i/Local/exbo-oauth"),
        ("win32", {"USERPROFILE": "/i"}, "/i/AppData/Local/exbo-oauth", "/i/AppData/Local/exbo-oauth"),
    ],
    ids=["Linux", "XDG", "XDG, but relative or empty", "macOS", "Windows", "Windows, cleared"],
)
def test_each_platform_has_its_places(platform: str, variables: dict[str, str], data: str, config: str) -> None:
    assert user_directory("data", platform=platform, variables=variables) == Path(data)
    assert user_directory("config", platform=platform, variables=variables) == Path(config)


@posix
@pytest.mark.parametrize(
    "variables", [{}, {"HOME": ""}, {"HOME": "somewhere/below"}], ids=["none", "empty", "relative"]
)
def test_without_home_the_system_is_asked(variables: dict[str, str]) -> None:
    import pwd

    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert user_directory("data", platform="linux", variables=variables).is_relative_to(own)


PROGRAM = """
import os, sys
os.setuid({nobody})
from exbo_oauth import ConfigurationError, SyncOAuthClient
try:
    client = SyncOAuthClient.from_env()
except ConfigurationError as error:
    sys.exit(str(error))
print(client)
"""


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root can become a user that nobody knows")
@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "this user has no home directory to keep tokens in: set EXBO_STORE to a place, such as sqlite:///"),
        ({"HOME": ""}, "this user has no home directory to keep tokens in: set EXBO_STORE"),
        ({"EXBO_STORE": "memory:"}, ""),
    ],
    ids=["no home", "an empty home", "a store"],
)
def test_a_user_without_a_home_is_told_to_name_a_store(variables: dict[str, str], told: str, tmp_path: Path) -> None:
    # What is imported later has to be loaded before this user may not read it any more.
    program = "import exbo_oauth.clients.sync, exbo_oauth.stores.memory, exbo_oauth.stores.urls\n" + PROGRAM
    given = {"EXBO_CLIENT_ID": "59", "EXBO_CLIENT_SECRET": "x", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program.format(nobody=NOBODY)]
    done = subprocess.run(command, env=given | variables, capture_output=True, text=True, check=False)
    assert done.stderr.startswith(told)
    assert bool(done.stderr) == bool(told), done.stderr


@posix
@pytest.mark.parametrize("name", ["plain", "50% off", "who? #1", "Иван Петров", "a+b&c", "caf\udce9"])
def test_any_home_gives_the_url_of_a_file_in_it(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HOME", str(home / name))
    store = store_from_url(user_store_url())
    assert isinstance(store, SQLiteTokenStore)
    assert store.path == home / name / ".local" / "share" / "exbo-oauth" / "tokens.db"
    assert list(store.keys()) == []
    assert store.path.exists()
    store.close()


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ('"59"', "59"),
        ("'59'", "59"),
        ("59", "59"),
        ("\"59'", "\"59'"),
        ('"', '"'),
        ('""', None),
        ("", None),
        (" 59", " 59"),
    ],
)
def test_quotes_that_docker_hands_on_are_not_part_of_a_value(value: str, meant: str | None) -> None:
    assert given_in({"EXBO_CLIENT_ID": value}).get("client_id") == meant


def test_a_redirect_uri_that_is_not_utf_8_is_left_as_it_is() -> None:
    assert given_in({"EXBO_REDIRECT_URI": "http://localhost/\udcff"})["redirect_uri"] == "http://localhost/\udcff"


@posix
@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_a_redirect_uri_in_any_script_survives_any_locale(locale: str) -> None:
    program = (
        "from exbo_oauth.environment import given_in; import os; print(ascii(given_in(os.environ)['redirect_uri']))"
    )
    variables = {
        "LC_ALL": locale,
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "EXBO_REDIRECT_URI": "https://сайт.рф/вход",
    }
    encoded = {name: value.encode() for name, value in variables.items()}
    said = subprocess.run([sys.executable, "-c", program], env=encoded, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ascii("https://сайт.рф/вход")


@posix
@pytest.mark.parametrize(
    ("home", "path", "told"),
    [
        pytest.param("Дом", "user_store_url()", "", id="a home that the system gave"),
        pytest.param("Дом", "'sqlite:///' + os.environ['HOME'] + '/tokens.db'", "", id="a URL that the system gave"),
        pytest.param("Дом", "'sqlite:///tokens%20%41.db'", "", id="an escape"),
        pytest.param(
            "home",
            r"'sqlite:///\u0414\u043e\u043c.db'",
            "set LC_ALL=C.UTF-8, or PYTHONUTF8=1",
            id="one of the program's",
        ),
    ],
)
def test_a_locale_that_knows_ascii_only_is_no_obstacle_or_is_named(
    tmp_path: Path, home: str, path: str, told: str
) -> None:
    program = (
        "import os\nfrom exbo_oauth import ConfigurationError\nfrom exbo_oauth.environment import user_store_url\n"
        "from exbo_oauth.stores import store_from_url\n"
        f"try:\n    store = store_from_url({path})\n    print(list(store.keys()), store.path.exists())\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    (tmp_path / home).mkdir()
    variables = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": str(tmp_path / home)}
    encoded = {name: value.encode() for name, value in variables.items()}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=encoded, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.strip().endswith(told) if told else said == "[] True\n", said


@BOTH
@pytest.mark.usefixtures("credentials")
def test_from_env_keeps_tokens_where_the_variable_says(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXBO_STORE", '"sqlite:///mine.db"')
    assert kind.from_env()._store.path == Path("mine.db").absolute()


@BOTH
@pytest.mark.usefixtures("credentials")
def test_from_env_keeps_tokens_in_the_users_own_file_otherwise(kind: Any, home: Path) -> None:
    path = kind.from_env()._store.path
    assert path.is_relative_to(home)
    assert f"sqlite:///{path.as_posix()}" == unquote(user_store_url())
    assert not path.parent.exists(), "nothing is made before it is needed"


@BOTH
@pytest.mark.usefixtures("credentials")
def test_a_store_that_is_passed_wins(kind: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXBO_STORE", "nonsense")
    store = SQLiteTokenStore(tmp_path / "passed.db")
    assert kind.from_env(store=store)._store is store


@BOTH
@pytest.mark.usefixtures("credentials")
def test_a_store_that_is_none_is_refused(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXBO_STORE", "nonsense")
    with pytest.raises(ConfigurationError, match="token store"):
        kind.from_env()


def test_a_program_and_a_command_share_one_token_out_of_the_box(tmp_path: Path) -> None:
    fake = FakeExbo()
    program = "from exbo_oauth import *\nwith SyncOAuthClient.from_env() as c: print(c.ensure_app_token().access_token)"
    with fake.serve() as base_url:
        own = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        own |= {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA")}
        own |= {"EXBO_OAUTH_URL": base_url, "EXBO_CLIENT_ID": fake.app.client_id}
        own |= {"EXBO_CLIENT_SECRET": fake.app.client_secret, "PYTHONPATH": os.pathsep.join(sys.path)}

        def told(*arguments: str) -> str:
            command = [sys.executable, *arguments]
            return subprocess.run(command, env=own, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

        assert told("-c", program) == told("-m", "exbo_oauth", "token") == told("-c", program)
    assert len(fake.issued) == 1


@pytest.mark.usefixtures("credentials")
def test_tests_are_kept_away_from_their_users_tokens(home: Path) -> None:
    before = set_aside("memory:")
    try:
        with SyncOAuthClient.from_env() as client:
            assert client.accounts() == []
    finally:
        set_aside(before)
    assert list(home.iterdir()) == []


def test_the_plugin_does_so_while_tests_run() -> None:
    assert set_aside("memory:") == "memory:"


@pytest.mark.parametrize("active", [True, False], ids=["active", "not active"])
def test_extras_are_installed_where_this_program_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, active: bool
) -> None:
    python = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    pip = tmp_path / ("pip.exe" if os.name == "nt" else "pip") if active else tmp_path / "another" / "pip"
    pip.parent.mkdir(exist_ok=True)
    pip.touch(0o700)
    monkeypatch.setenv("PATH", str(pip.parent))
    assert install_command("cli,redis") == f'{"pip" if active else f"{python} -m pip"} install "exbo-oauth[cli,redis]"'

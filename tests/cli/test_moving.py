"""`copy`, `rotate` and `backup`: a store moved, encrypted anew and saved, with nobody signed out."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import Entry, SQLiteTokenStore, StoreKey
from exbo_oauth.stores import EncryptedTokenStore, RedisTokenStore, TokenStore
from exbo_oauth.stores.base import is_limit
from exbo_oauth.testing.store_suite import app_entry, user_entry

from ..stores.servers import redis_server

OLD, NEW = EncryptedTokenStore.new_key(), EncryptedTokenStore.new_key()


def key(account: str | None) -> StoreKey:
    return StoreKey("https://exbo.net/oauth", "59", account)


def entry(account: str | None, revision: int = 1) -> Entry:
    return app_entry(revision) if account is None else user_entry(revision)


def url(path: Path) -> str:
    return f"sqlite:///{path.as_posix()}"


def fill(store: TokenStore, *accounts: str | None, revision: int = 1) -> None:
    for account in accounts:
        assert store.swap(key(account), None, entry(account, revision))
    store.close()


def accounts_in(store: TokenStore) -> list[str | None]:
    found = sorted((each.account for each in list(store.keys())), key=str)
    store.close()
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A store with two users and the application in it."""
    path = tmp_path / "source.db"
    fill(SQLiteTokenStore(path), None, "anna", "ivan")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.db"


def test_copy_takes_everything_and_may_be_called_again(shell: Any, source: Path, target: Path) -> None:
    done = shell.within("copy", url(source), url(target))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 tokens copied.\n"
    done = shell.within("copy", url(source), url(target), "--json")
    assert json.loads(done.stdout) == {"copied": 0, "left": 3, "failed": 0}
    assert accounts_in(SQLiteTokenStore(target)) == [None, "anna", "ivan"]


def test_copy_overwrites_nothing_newer(shell: Any, source: Path, target: Path) -> None:
    fill(SQLiteTokenStore(target), "ivan", revision=7)
    done = shell.within("copy", url(source), url(target), "--json")
    assert json.loads(done.stdout) == {"copied": 2, "left": 1, "failed": 0}
    with closing(SQLiteTokenStore(target)) as store:
        assert store.load(key("ivan")) == entry("ivan", 7)
    again = shell.within("copy", url(source), url(target))
    assert again.stdout == "0 tokens copied, 3 left alone, because the target has them as new.\n"


def test_what_cannot_be_copied_is_counted_and_stops_nothing(shell: Any, source: Path, target: Path) -> None:
    with closing(SQLiteTokenStore(source)) as store:
        store._link.run(lambda database: database.execute("UPDATE entries SET entry = '{' WHERE account = 'anna'"))
    done = shell.within("copy", url(source), url(target))
    assert done.returncode == 1
    assert done.stdout == "2 tokens copied.\n"
    assert done.stderr.startswith("exbo-oauth: 1 token could not be copied: the entry of StoreKey(")
    assert accounts_in(SQLiteTokenStore(target)) == [None, "ivan"]


def test_copy_goes_to_a_server_and_back(shell: Any, source: Path, target: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        assert shell.within("copy", url(source), server.url).returncode == 0
        assert accounts_in(RedisTokenStore(server.url)) == [None, "anna", "ivan"]
        assert shell.within("copy", "env:THERE", url(target), THERE=server.url).returncode == 0
    assert accounts_in(SQLiteTokenStore(target)) == [None, "anna", "ivan"]


def test_the_store_of_the_data_directory_has_a_name(shell: Any, source: Path, target: Path) -> None:
    assert shell.within("copy", url(source), "default").returncode == 0
    assert shell.within("copy", "default", url(target)).returncode == 0
    assert accounts_in(SQLiteTokenStore(target)) == [None, "anna", "ivan"]


def test_copy_can_encrypt_and_take_encryption_off(shell: Any, source: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(NEW)
    assert shell.within("copy", url(source), url(target), "--target-key-file", "key").returncode == 0
    with closing(EncryptedTokenStore(SQLiteTokenStore(target), NEW)) as store:
        assert store.load(key("ivan")) == entry("ivan")
    plain = tmp_path / "plain.db"
    assert shell.within("copy", url(target), url(plain), "--source-key-file", "key").returncode == 0
    with closing(SQLiteTokenStore(plain)) as opened:
        assert opened.load(key("ivan")) == entry("ivan")


def test_without_a_key_what_is_encrypted_stays_so(shell: Any, target: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.db"
    fill(EncryptedTokenStore(SQLiteTokenStore(sealed), NEW), "ivan")
    assert shell.within("copy", url(sealed), url(target)).returncode == 0
    with closing(EncryptedTokenStore(SQLiteTokenStore(target), NEW)) as store:
        assert store.load(key("ivan")) == entry("ivan")


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["sqlite:///nothing.db", "sqlite:///other.db"], 1, "there is no store at "),
        (["nonsense", "sqlite:///other.db"], 1, "URL of a token store"),
        (["env:NOWHERE", "sqlite:///other.db"], 1, "the environment variable NOWHERE is not set"),
        (["redis://:hush@127.0.0.1:1/0", "memory:"], 2, "a password on the command line is seen by every user"),
        (["sqlite:///nothing.db"], 2, "TARGET"),
        (["redis://127.0.0.1:1/0", "memory:"], 1, "127.0.0.1"),
    ],
)
def test_what_cannot_be_copied_from_is_named(
    shell: Any, arguments: list[str], code: int, problem: str, tmp_path: Path
) -> None:
    done = shell.within("copy", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert problem in done.stderr
    assert "hush" not in done.stderr
    assert not (tmp_path / "nothing.db").exists()


def test_a_password_is_refused_in_every_command(shell: Any) -> None:
    done = shell.within("status", "--store", "postgresql://me:hush@db.example/tokens")
    assert (done.returncode, done.stdout) == (2, "")
    assert "put the URL into EXBO_STORE" in done.stderr
    assert "hush" not in done.stderr


def test_word_of_a_limit_is_no_token_to_any_of_them(shell: Any, exbo: Any, target: Path, tmp_path: Path) -> None:
    exbo.keep("ivan", exbo.user_token())
    exbo.fake.fail_next(429, retry_after=60, path="/oauth/token")
    assert "429" in shell.within("refresh").stderr
    with closing(SQLiteTokenStore(exbo.path)) as store:
        assert sorted(map(is_limit, store.keys())) == [False, True]
    assert "1 user signed in" in shell.within("doctor", "--offline", EXBO_CLIENT_ID="").stdout
    assert shell.within("copy", url(exbo.path), url(target)).stdout == "1 token copied.\n"
    assert shell.within("backup", "saved.db").stdout == f"1 token in {tmp_path / 'saved.db'}\n"
    assert shell.within("rotate", EXBO_STORE_KEY=NEW).stdout == "1 token encrypted.\n"
    assert shell.within("logout", "--all").returncode == 0
    assert shell.within("backup", "empty.db").stdout == f"0 tokens in {tmp_path / 'empty.db'}\n"


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Path]:
    """A store that is encrypted with the old key."""
    path = tmp_path / "sealed.db"
    fill(EncryptedTokenStore(SQLiteTokenStore(path), OLD), None, "ivan")
    return path


def test_rotate_encrypts_with_the_first_key_and_may_be_called_again(shell: Any, sealed: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    flags = ("rotate", "--store", url(sealed), "--store-key-file", "keys")
    done = shell.within(*flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 tokens encrypted.\n"
    assert json.loads(shell.within(*flags, "--json").stdout) == {"encrypted": 0, "left": 2, "failed": 0}
    with closing(EncryptedTokenStore(SQLiteTokenStore(sealed), NEW)) as store:
        assert store.load(key("ivan")) == entry("ivan")


def test_rotate_encrypts_what_was_plain(shell: Any, source: Path) -> None:
    done = shell.within("rotate", EXBO_STORE=url(source), EXBO_STORE_KEY=NEW)
    assert done.stdout.startswith("3 tokens encrypted")
    assert shell.within("status", "--all", EXBO_STORE=url(source), EXBO_STORE_KEY=NEW).returncode == 0


def test_rotate_leaves_what_no_key_opens(shell: Any, sealed: Path) -> None:
    fill(EncryptedTokenStore(SQLiteTokenStore(sealed), NEW), "anna")
    done = shell.within("rotate", EXBO_STORE=url(sealed), EXBO_STORE_KEY=NEW)
    assert done.returncode == 1
    assert done.stdout == "0 tokens encrypted, 1 left alone, because the first key opens them already.\n"
    assert done.stderr.startswith("exbo-oauth: 2 tokens could not be encrypted: none of the keys opens the token of ")


def test_rotate_without_a_key_is_wrong_use(shell: Any, sealed: Path) -> None:
    done = shell.within("rotate", EXBO_STORE=url(sealed))
    assert (done.returncode, done.stdout) == (2, "")
    assert "pass --store-key-file FILE, or set EXBO_STORE_KEY" in done.stderr


def test_a_backup_is_a_store_of_its_own(shell: Any, source: Path, tmp_path: Path) -> None:
    done = shell.within("backup", "saved.db", EXBO_STORE=url(source))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"3 tokens in {tmp_path / 'saved.db'}\n", "")
    assert accounts_in(SQLiteTokenStore(tmp_path / "saved.db")) == [None, "anna", "ivan"]
    if os.name == "posix":
        assert (tmp_path / "saved.db").stat().st_mode & 0o777 == 0o600


def test_a_backup_has_what_stands_in_the_log(shell: Any, source: Path, tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(source)) as open_elsewhere:
        assert open_elsewhere.swap(key("petr"), None, entry("petr"))
        done = shell.within("backup", "saved.db", "--json", EXBO_STORE=url(source))
    assert json.loads(done.stdout) == {"file": str(tmp_path / "saved.db"), "tokens": 4}


def test_a_backup_of_a_server_is_a_file_as_well(shell: Any, source: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        assert shell.within("copy", url(source), server.url).returncode == 0
        done = shell.within("backup", "saved.db", EXBO_STORE=server.url)
        again = shell.within("backup", "saved.db", EXBO_STORE=server.url)
    assert (done.returncode, again.returncode) == (0, 1)
    assert accounts_in(SQLiteTokenStore(tmp_path / "saved.db")) == [None, "anna", "ivan"]


def test_a_backup_needs_no_key(shell: Any, sealed: Path, tmp_path: Path) -> None:
    assert shell.within("backup", "saved.db", EXBO_STORE=url(sealed), EXBO_STORE_KEY=OLD).returncode == 0
    with closing(EncryptedTokenStore(SQLiteTokenStore(tmp_path / "saved.db"), OLD)) as store:
        assert store.load(key("ivan")) == entry("ivan")


def test_a_backup_overwrites_nothing(shell: Any, source: Path, target: Path) -> None:
    fill(SQLiteTokenStore(target), "petr")
    done = shell.within("backup", str(target), EXBO_STORE=url(source))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"exbo-oauth: {target} is there already, and nothing is overwritten: name a new file\n"
    done = shell.within("backup", str(target), EXBO_STORE=url(source), EXBO_LANG="ru")
    assert done.stderr == f"exbo-oauth: {target} уже есть, а перезаписывать ничего не будем: назовите новый файл\n"
    assert accounts_in(SQLiteTokenStore(target)) == ["petr"]


def test_a_backup_of_nothing_is_not_made(shell: Any, tmp_path: Path) -> None:
    done = shell.within("backup", "saved.db", EXBO_STORE=url(tmp_path / "nothing.db"))
    assert done.returncode == 1
    assert done.stderr == f"exbo-oauth: there is no store at {tmp_path / 'nothing.db'} yet\n"
    assert list(tmp_path.glob("*.db")) == []


def test_programs_go_on_while_their_store_is_moved(shell: Any, exbo: Any, tmp_path: Path) -> None:
    """Nobody is signed out: what was refreshed between two copies comes across with the second."""
    exbo.keep("ivan", exbo.user_token())
    there = url(tmp_path / "there.db")
    assert shell.within("copy", url(exbo.path), there).returncode == 0
    assert shell.within("refresh", "--user", "ivan").returncode == 0
    assert shell.within("copy", url(exbo.path), there).stdout.startswith("1 token copied")
    assert shell.within("whoami", "--user", "ivan", EXBO_STORE=there).returncode == 0
    stored = exbo.stored("ivan")
    assert stored is not None
    assert stored.issued_at <= datetime.now(UTC)

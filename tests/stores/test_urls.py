"""Stores by URL, and extras that are not installed."""

import os
import subprocess
import sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import pytest
from sqlalchemy.dialects import registry

import exbo_oauth.stores
from exbo_oauth import ConfigurationError, MemoryTokenStore, SQLiteTokenStore
from exbo_oauth.stores import (
    KeyringTokenStore,
    RedisTokenStore,
    SQLAlchemyTokenStore,
    store_from_url,
)

from .leaking import leaks
from .processes import ROOT


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "kind"),
        [
            ("memory:", MemoryTokenStore),
            ("memory://", MemoryTokenStore),
            ("MEMORY:", MemoryTokenStore),
            (" memory:\n", MemoryTokenStore),
            ("sqlite:///tokens.db", SQLiteTokenStore),
            ("keyring:", KeyringTokenStore),
            ("redis://user:hunter2@localhost:6379/0", RedisTokenStore),
            ("rediss://localhost", RedisTokenStore),
            ("valkey://localhost", RedisTokenStore),
            ("valkeys://localhost", RedisTokenStore),
            ("unix:///run/redis.sock", RedisTokenStore),
            ("postgresql+psycopg://user:hunter2@localhost/tokens", SQLAlchemyTokenStore),
            ("sqlite+pysqlite:///tokens.db", SQLAlchemyTokenStore),
        ],
    )
    def test_a_url_names_a_store(self, url, kind) -> None:
        store = store_from_url(url)
        assert type(store) is kind
        assert "hunter2" not in repr(store)
        store.close()

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///tokens.db", Path("tokens.db").absolute()),
            ("sqlite:///a/b.db", Path("a/b.db").absolute()),
            ("sqlite:////var/lib/tokens.db", Path("/var/lib/tokens.db").absolute()),
            ("sqlite:///my%20tokens%3F.db", Path("my tokens?.db").absolute()),
            ("sqlite:///100%.db", Path("100%.db").absolute()),
            ("sqlite:///~/tokens.db", Path("~/tokens.db").expanduser()),
            ("sqlite:///C%23/%D0%BA%D0%BB%D1%8E%D1%87%D0%B8/tokens.db", Path("C#/ключи/tokens.db").absolute()),
            ("sqlite:///C#/ключи и токены/tokens.db", Path("C#/ключи и токены/tokens.db").absolute()),
            ("sqlite:///C:/Users/ivan/tokens.db", Path("C:/Users/ivan/tokens.db").absolute()),
            ("sqlite:///C:\\Users\\ivan\\tokens.db", Path("C:\\Users\\ivan\\tokens.db").absolute()),
        ],
    )
    def test_a_path_is_what_follows_the_third_slash(self, url, path) -> None:
        assert store_from_url(url).path == path

    @pytest.mark.parametrize(
        ("url", "group"),
        [("sqlite:///tokens.db", False), ("sqlite:///tokens.db?group=1", True), ("sqlite:///t.db?group=0", False)],
    )
    def test_a_group_may_be_allowed(self, url, group) -> None:
        assert store_from_url(url).group is group

    @pytest.mark.parametrize(
        ("url", "service"),
        [
            ("keyring:", "exbo-oauth"),
            ("keyring:my%20bot", "my bot"),
            ("keyring://bot", "bot"),
            ("keyring:///", "exbo-oauth"),
        ],
    )
    def test_a_keyring_may_have_a_service(self, url, service) -> None:
        assert store_from_url(url).service == service

    @pytest.mark.parametrize(
        ("url", "service", "allowed"),
        [
            ("keyring:?allow=keyrings.alt.file.PlaintextKeyring", "exbo-oauth", "keyrings.alt.file.PlaintextKeyring"),
            ("keyring:bot?allow=a.B", "bot", "a.B"),
            ("keyring://bot?allow=a.B", "bot", "a.B"),
            ("keyring:bot/?allow=a.B", "bot", "a.B"),
            ("keyring:my%3Fbot", "my?bot", None),
        ],
    )
    def test_a_keyring_may_allow_a_backend(self, url, service, allowed) -> None:
        store = store_from_url(url)
        assert (store.service, store._keyring.allowed) == (service, allowed)

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("", "not the URL of a token store"),
            ("tokens-hunter2.db", "not the URL of a token store"),
            ("C:\\Users\\hunter2\\tokens.db", "not the URL of a token store"),
            ("://hunter2", "not the URL of a token store"),
            ("memory:hunter2", "no name"),
            ("sqlite:tokens-hunter2.db", "three slashes"),
            ("sqlite://hunter2", "three slashes"),
            ("sqlite:///", "three slashes"),
            ("sqlite:///tokens.db?password=hunter2", "no options"),
            ("sqlite:///:memory:", "MemoryTokenStore"),
            ("keyring:bot?password=hunter2", "one option"),
            ("keyring:bot?allow=", "one option"),
            ("keyring:bot?allow=a.B&password=hunter2", "one option"),
            ("keyring:bot?allow=any-hunter2", "the full name of a backend"),
            ("redis:hunter2", "not a Redis URL"),
            ("redis://user:hunter2@host:port", "not a Redis URL"),
            ("mongodb://user:hunter2@localhost/tokens", "no token store for mongodb: URLs begin with memory:, sqlite:"),
            ("redi://user:hunter2@localhost/0", "no token store for redi: "),
            ("postgres+psycopg://user:hunter2@localhost/0", "as in postgresql.psycopg:"),
            ("user:hunter2@localhost/tokens", "no token store for user: "),
            ("postgresql+asyncpg://user:hunter2@localhost/tokens", "driver"),
            ("postgresql+psycopg://user:hunter2@localhost:port/tokens", "cannot be used"),
        ],
    )
    def test_anything_else_is_refused_without_showing_a_password(self, url, message) -> None:
        with pytest.raises(ConfigurationError, match=message) as caught:
            store_from_url(url)
        assert not leaks(caught.value, "hunter2")
        assert "\n" not in str(caught.value)

    def test_a_database_that_somebody_taught_sqlalchemy_is_one_whatever_it_lacks(self) -> None:
        registry.register("zonedb", "not_installed", "Dialect")
        with pytest.raises(
            ConfigurationError, match=r"its driver is not installed \(No module named 'not_installed'\)"
        ):
            store_from_url("zonedb://localhost/tokens")

    def test_where_sqlalchemy_is_not_installed_the_kinds_of_stores_are_named_as_well(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "sqlalchemy.dialects", None)
        with pytest.raises(ConfigurationError, match="no token store for mongodb: URLs begin with memory:"):
            store_from_url("mongodb://localhost/tokens")

    @pytest.mark.parametrize("url", [None, 5, b"memory:", Path("tokens.db")], ids=str)
    def test_a_url_is_a_str(self, url) -> None:
        with pytest.raises(ConfigurationError, match="is a str"):
            store_from_url(url)


EXTRAS = {
    "RedisTokenStore": ("redis", "redis", "store_from_url('redis://user:hunter2@localhost')"),
    "SQLAlchemyTokenStore": (
        "sqlalchemy",
        "sqlalchemy",
        "store_from_url('postgresql+psycopg://user:hunter2@localhost/x')",
    ),
    "KeyringTokenStore": ("keyring", "keyring", "store_from_url('keyring:')"),
    "KeyringTokenStore without filelock": ("filelock", "keyring", "KeyringTokenStore()"),
    "KeyringTokenStore without cryptography": ("cryptography", "keyring", "KeyringTokenStore()"),
    "EncryptedTokenStore": ("cryptography", "crypto", "EncryptedTokenStore(MemoryTokenStore(), 'hunter2')"),
    "new_key": ("cryptography", "crypto", "EncryptedTokenStore.new_key()"),
    "Passphrase": ("cryptography", "crypto", "Passphrase('correct horse battery')"),
}


class TestExtras:
    @pytest.mark.parametrize(("module", "extra", "call"), EXTRAS.values(), ids=EXTRAS)
    def test_a_missing_one_is_named_in_one_line_when_it_is_needed(self, module, extra, call) -> None:
        program = (
            f"import sys; sys.modules[{module!r}] = None\n"
            "from exbo_oauth.stores import *\n"  # all names are there, whatever is installed
            "from exbo_oauth import ConfigurationError\n"
            "try:\n"
            f"    {call}\n"
            "except ConfigurationError as error:\n"
            "    print(error)\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.endswith(f'pip install "exbo-oauth[{extra}]"\n')
        assert run.stdout.count("\n") == 1
        assert "hunter2" not in run.stdout

    @pytest.mark.parametrize(
        ("name", "module", "make"),
        [
            ("redis", "redis", lambda module: module.RedisTokenStore("redis://user:hunter2@localhost")),
            ("sqlalchemy", "sqlalchemy", lambda module: module.SQLAlchemyTokenStore("mysql://user:hunter2@localhost")),
            ("keyring", "platformdirs", lambda module: module.KeyringTokenStore()),
            ("passphrase", "cryptography.fernet", lambda module: module.Passphrase("hunter2 hunter2")),
        ],
        ids=["redis", "sqlalchemy", "keyring", "passphrase"],
    )
    def test_the_error_of_a_missing_one_shows_no_secret(self, monkeypatch, name, module, make) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        spec = find_spec(f"exbo_oauth.stores.{name}")
        again = module_from_spec(spec)
        spec.loader.exec_module(again)
        with pytest.raises(ConfigurationError, match="pip install") as caught:
            make(again)
        assert not leaks(caught.value, "hunter2")

    def test_every_public_name_is_there(self) -> None:
        assert {name for name in exbo_oauth.stores.__all__ if getattr(exbo_oauth.stores, name)} <= set(
            dir(exbo_oauth.stores)
        )

    def test_another_name_is_not(self) -> None:
        with pytest.raises(AttributeError, match="NoSuchStore"):
            _ = exbo_oauth.stores.NoSuchStore


def test_a_path_in_a_url_that_nothing_can_write_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="characters that the locale of this process cannot write"):
        store_from_url("sqlite:///tokens\ud800.db")

"""Stores by URL, extras that are not installed, and copies from one store into another."""

import os
import subprocess
import sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import pytest

import exbo_oauth.stores
from exbo_oauth import ConfigurationError, MemoryTokenStore, SQLiteTokenStore, StoreError, StoreKey
from exbo_oauth.stores import (
    EncryptedTokenStore,
    KeyringTokenStore,
    RedisTokenStore,
    SQLAlchemyTokenStore,
    copy,
    store_from_url,
)
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

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
            ("", "no URL"),
            ("tokens-hunter2.db", "no URL"),
            ("C:\\Users\\hunter2\\tokens.db", "no URL"),
            ("://hunter2", "no URL"),
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
            ("redis:hunter2", "no Redis URL"),
            ("redis://user:hunter2@host:port", "no Redis URL"),
            ("mongodb://user:hunter2@localhost/tokens", "mongodb"),
            ("user:hunter2@localhost/tokens", "cannot be used"),
            ("postgresql+asyncpg://user:hunter2@localhost/tokens", "driver"),
            ("postgresql+psycopg://user:hunter2@localhost:port/tokens", "cannot be used"),
        ],
    )
    def test_anything_else_is_refused_without_showing_a_password(self, url, message) -> None:
        with pytest.raises(ConfigurationError, match=message) as caught:
            store_from_url(url)
        assert not leaks(caught.value, "hunter2")
        assert "\n" not in str(caught.value)

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
        assert f"pip install 'exbo-oauth[{extra}]'" in run.stdout
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


class TestCopying:
    def test_all_entries_come_across_as_they_are(self, tmp_path) -> None:
        source, target = MemoryTokenStore(), SQLiteTokenStore(tmp_path / "tokens.db")
        entries = {APP: app_entry(7), USER: user_entry(1_780_000_000_000_000)}
        for key, entry in entries.items():
            source.swap(key, None, entry)
        assert copy(source, target) == 2
        assert {key: target.load(key) for key in target.keys()} == entries  # noqa: SIM118
        assert copy(source, target) == 0
        target.close()

    @pytest.mark.parametrize(("there", "copied"), [(None, 1), (1, 1), (5, 0), (9, 0)], ids=str)
    def test_only_what_is_newer_is_written(self, there, copied) -> None:
        source, target = MemoryTokenStore(), MemoryTokenStore()
        source.swap(APP, None, app_entry(5, "from-the-source"))
        if there is not None:
            target.swap(APP, None, app_entry(there, "from-the-target"))
        assert copy(source, target) == copied
        assert (target.load(APP) == app_entry(5, "from-the-source")) is bool(copied)

    def test_leases_stay_where_they_are(self) -> None:
        source, target = MemoryTokenStore(), MemoryTokenStore()
        source.acquire(APP, "me", 60)
        copy(source, target)
        assert target.acquire(APP, "you", 60)

    def test_what_is_deleted_meanwhile_is_left_out(self) -> None:
        class Vanishing(MemoryTokenStore):
            def keys(self):
                return [*super().keys(), USER]

        source, target = Vanishing(), MemoryTokenStore()
        source.swap(APP, None, app_entry(1))
        assert copy(source, target) == 1
        assert list(target.keys()) == [APP]

    def test_whoever_is_faster_in_the_target_wins_if_newer(self) -> None:
        class Busy(MemoryTokenStore):
            """Somebody writes between our look and our write, an older entry first and a newer one then."""

            def swap(self, key, expected, entry):
                current = self.load(key)
                step = 0 if current is None else current.revision
                if step < 6:
                    super().swap(key, None if current is None else step, app_entry(step + 3, "anothers"))
                return super().swap(key, expected, entry)

        source, target = MemoryTokenStore(), Busy()
        source.swap(APP, None, app_entry(5))
        assert copy(source, target) == 0
        assert target.load(APP) == app_entry(6, "anothers")

    def test_encryption_can_come_and_go_on_the_way(self) -> None:
        key = EncryptedTokenStore.new_key()
        plain, sealed, plain_again = MemoryTokenStore(), MemoryTokenStore(), MemoryTokenStore()
        plain.swap(USER, None, user_entry(1, "secret-access-token"))
        copy(plain, EncryptedTokenStore(sealed, key))
        assert "secret-access-token" not in str(sealed.load(USER).to_dict())
        copy(EncryptedTokenStore(sealed, key), plain_again)
        assert plain_again.load(USER) == user_entry(1, "secret-access-token")

    @pytest.mark.parametrize("broken", ["keys", "load", "swap"])
    def test_whatever_a_store_raises_is_an_error_of_ours(self, broken) -> None:
        def fail(*_):
            raise ZeroDivisionError("secret-access-token")

        kind = type("Broken", (MemoryTokenStore,), {broken: fail})
        source, target = (MemoryTokenStore(), kind()) if broken == "swap" else (kind(), MemoryTokenStore())
        MemoryTokenStore.swap(source, USER, None, user_entry(1, "secret-access-token"))
        with pytest.raises(StoreError, match="ZeroDivisionError") as caught:
            copy(source, target)
        assert not leaks(caught.value, "secret-access-token")

    @pytest.mark.parametrize("broken", ["load", "swap"])
    def test_what_cannot_be_copied_does_not_stop_the_rest(self, broken) -> None:
        def fail_for_one(self, key, *more):
            if key == USER:
                raise ZeroDivisionError
            return getattr(MemoryTokenStore, broken)(self, key, *more)

        kind = type("Broken", (MemoryTokenStore,), {broken: fail_for_one})
        source, target = (MemoryTokenStore(), kind()) if broken == "swap" else (kind(), MemoryTokenStore())
        keys = [USER, APP, StoreKey("https://exbo.net/oauth", "60")]
        for key in keys:
            MemoryTokenStore.swap(source, key, None, user_entry(1))
        with pytest.raises(StoreError, match=r"1 of 3 tokens were left as they are.*ZeroDivisionError"):
            copy(source, target)
        assert set(target.keys()) == {*keys[1:]}

    def test_a_list_that_breaks_off_costs_only_what_comes_after_it(self) -> None:
        class Torn(MemoryTokenStore):
            def keys(self):
                yield APP
                raise ZeroDivisionError

        source, target = Torn(), MemoryTokenStore()
        source.swap(APP, None, app_entry(1))
        with pytest.raises(StoreError, match="1 of 2"):
            copy(source, target)
        assert target.load(APP) == app_entry(1)

    def test_only_stores_are_copied(self) -> None:
        with pytest.raises(ConfigurationError, match="not a str"):
            copy(MemoryTokenStore(), "sqlite:///tokens.db")

    def test_keys_of_many_thousands_are_read_in_portions(self, tmp_path) -> None:
        source, target = SQLiteTokenStore(tmp_path / "source.db"), MemoryTokenStore()
        keys = [StoreKey("https://exbo.net/oauth", "59", str(number)) for number in range(1200)]
        for key in keys:
            source.swap(key, None, app_entry(1))
        assert copy(source, target) == 1200
        assert set(target.keys()) == set(keys)
        source.close()

"""What is the keyring's own: one key in it, backends that refuse, die or forget, programs side by side."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest
from filelock import FileLock
from keyrings.alt.file import EncryptedKeyring, PlaintextKeyring

from exbo_oauth import ConfigurationError, StoreError, StoreKey
from exbo_oauth.stores import KeyringTokenStore, store_from_url
from exbo_oauth.testing.store_suite import APP, USER, app_entry, increment, together, user_entry

from .backends import Another, Chain, Desktop, Dubious, Forgetful, Killed
from .leaking import leaks
from .processes import finished, start, start_program

SECRETS = ("secret-access-token", "def50200", "abababab")


class BytesPath(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"x"

    def __repr__(self) -> str:
        return "a path in bytes"


def kind(value: object) -> str:
    return type(value).__name__


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    before, backend = keyring.get_keyring(), Desktop()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path: Path, desktop: Desktop) -> Iterator[KeyringTokenStore]:
    store = KeyringTokenStore("tests", directory=tmp_path)
    yield store
    store.close()


def folder(store: KeyringTokenStore) -> Path:
    [folder] = [path for path in store._root.iterdir() if path.is_dir()]
    return folder


def tokens_asked_for(store: KeyringTokenStore) -> Iterator[Callable[[], object]]:
    """What may not work where the key is not at hand."""
    yield lambda: store.load(USER)
    yield lambda: store.swap(USER, 1, user_entry(2, "secret-access-token"))
    yield lambda: store.swap(USER, None, user_entry(2, "secret-access-token"))
    yield lambda: store.swap(USER, 1, None)
    yield lambda: store.swap(APP, None, app_entry(1))
    yield lambda: store.acquire(APP, "me", 60)  # or else a token would be issued that nobody can keep


class TestKey:
    def test_the_keyring_has_one_secret_and_no_token(self, store, desktop) -> None:
        for revision in range(1, 6):
            store.swap(USER, revision - 1 or None, user_entry(revision, "secret-access-token"))
        store.swap(APP, None, app_entry(1))
        [key] = desktop.secrets.values()
        assert len(key) < 100  # every backend takes that
        assert not any(secret in key for secret in SECRETS)

    def test_the_files_beside_it_hold_no_secret_and_are_for_their_owner_alone(self, store, desktop, tmp_path) -> None:
        store.swap(USER, None, user_entry(1, "secret-access-token"))
        store.acquire(USER, "me", 60)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {"key.json", "tokens.db", "tokens.db-wal"} <= {path.name for path in files}
        for secret in (*SECRETS, *desktop.secrets.values()):
            assert not [path for path in files if secret.encode() in path.read_bytes()]
        if os.name == "posix":
            assert stat.S_IMODE(folder(store).stat().st_mode) == 0o700

    def test_another_store_object_opens_what_one_has_written(self, store, tmp_path) -> None:
        store.swap(USER, None, user_entry(1))
        again = KeyringTokenStore("tests", directory=tmp_path)
        assert again.load(USER) == user_entry(1)
        again.close()

    def test_wherever_the_first_use_is_cut_short_the_next_one_works_and_nothing_is_left(
        self, tmp_path, desktop
    ) -> None:
        for step in range(1, 20):
            store = KeyringTokenStore("tests", directory=tmp_path / str(step))
            desktop.secrets.clear()
            desktop.fails_at = {desktop.calls + step: Killed()}
            try:
                done = store.swap(USER, None, user_entry(1))
            except Killed:
                done = False
            desktop.fails_at = {}
            assert store.load(USER) == (user_entry(1) if done else None)
            assert store.swap(APP, None, app_entry(7))
            assert store.load(APP) == app_entry(7)
            assert len(desktop.secrets) == 1, f"killed at call {step}, something was left"
            store.close()
            if done:
                break
        assert done
        assert step > 2

    def test_what_is_written_first_does_not_wait_for_a_lease(self, store) -> None:
        assert store.swap(USER, None, user_entry(1))
        assert store.acquire(USER, "me", 60)
        assert not store.acquire(USER, "you", 60)

    def test_a_key_that_was_lost_is_an_error_that_says_where_it_was_and_what_to_do(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        [(where, key)] = desktop.secrets.items()
        desktop.secrets.clear()
        for call in tokens_asked_for(store):
            with pytest.raises(StoreError, match="is not in the keyring any more") as caught:
                call()
            assert str(where[0]) in str(caught.value)
            assert str(where[1]) in str(caught.value)
            assert str(folder(store)) in str(caught.value)
        assert desktop.secrets == {}, "a new key would hide that the old one is lost"
        assert list(store.keys()) == [USER]
        desktop.secrets[where] = key
        assert store.load(USER) == user_entry(1)

    def test_the_tokens_can_be_given_up_as_told(self, store, desktop, tmp_path) -> None:
        store.swap(USER, None, user_entry(1))
        desktop.secrets.clear()
        store.close()
        for path in folder(store).iterdir():
            path.unlink()
        folder(store).rmdir()
        again = KeyringTokenStore("tests", directory=tmp_path)
        assert again.load(USER) is None
        assert again.swap(USER, None, user_entry(2))
        assert again.load(USER) == user_entry(2)
        again.close()

    @pytest.mark.parametrize("text", ["password1", "A" * 43 + "="], ids=["not a key", "another key"])
    def test_a_key_that_was_changed_by_hand_is_an_error(self, store, desktop, text) -> None:
        store.swap(USER, None, user_entry(1))
        desktop.secrets = dict.fromkeys(desktop.secrets, text)
        for call in tokens_asked_for(store):
            with pytest.raises(StoreError, match="or was changed"):
                call()

    @pytest.mark.parametrize("note", [None, "", "[]", "{}", "null", "5", "\ufffd[", '{"name": "key"}'], ids=str)
    def test_a_note_that_is_gone_or_damaged_is_made_anew(self, store, note) -> None:
        store.swap(USER, None, user_entry(1))
        path = folder(store) / "key.json"
        path.unlink()
        if note is not None:
            path.write_text(note, encoding="utf-8")
        assert store.load(USER) == user_entry(1)
        assert store.swap(USER, 1, user_entry(2))
        assert store.load(USER) == user_entry(2)

    def test_a_note_that_is_gone_is_no_reason_for_a_new_key(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        (folder(store) / "key.json").unlink()
        desktop.secrets.clear()
        for call in tokens_asked_for(store):
            with pytest.raises(StoreError, match="is not in the keyring any more"):
                call()
        assert desktop.secrets == {}

    def test_what_json_cannot_carry_changes_nothing(self, store) -> None:
        store.swap(USER, None, user_entry(1))
        odd = user_entry(2)
        odd.token.extra["odd"] = object()
        with pytest.raises(StoreError, match="cannot be stored"):
            store.swap(USER, 1, odd)
        assert store.load(USER) == user_entry(1)

    def test_who_is_refused_a_key_keeps_no_lease(self, store, desktop) -> None:
        desktop.always = keyring.errors.KeyringLocked("locked")
        with pytest.raises(StoreError, match="locked"):
            store.acquire(USER, "me", 3600)
        desktop.always = None
        assert store.acquire(USER, "you", 60)


class TestOtherKeyrings:
    """The one that has the key does not answer, as over ssh; what it guards may be alive."""

    @pytest.fixture
    def elsewhere(self, store, desktop) -> Iterator[None]:
        store.swap(USER, None, user_entry(1))
        keyring.set_keyring(Another())
        yield
        keyring.set_keyring(desktop)
        assert store.load(USER) == user_entry(1)

    @pytest.mark.usefixtures("elsewhere")
    def test_a_key_in_another_keyring_is_an_error_that_names_both(self, store) -> None:
        for call in tokens_asked_for(store):
            with pytest.raises(StoreError, match=r"is in .*\.Desktop, and here .*\.Another answers: use one keyring"):
                call()
        assert list(store.keys()) == [USER]

    @pytest.mark.usefixtures("elsewhere")
    @pytest.mark.parametrize("backend", [keyring.backends.null.Keyring(), keyring.backends.fail.Keyring()], ids=kind)
    def test_where_no_keyring_answers_the_error_says_so(self, store, backend) -> None:
        keyring.set_keyring(backend)
        with pytest.raises(StoreError, match=r"is in .*\.Desktop, and here no keyring answers"):
            store.load(USER)

    def test_whoever_has_the_key_may_answer_in_a_chain(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        other = Another()
        keyring.set_keyring(Chain(other, desktop))
        assert store.load(USER) == user_entry(1)
        assert store.swap(USER, 1, user_entry(2))
        assert other.secrets == {}
        keyring.set_keyring(Chain(desktop))
        assert store.load(USER) == user_entry(2)
        keyring.set_keyring(Chain(other))
        with pytest.raises(StoreError, match=r"is in .*\.Desktop, and here .*\.Another answers"):
            store.load(USER)

    def test_a_key_that_was_copied_into_another_keyring_by_hand_will_do(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        other = Another()
        other.secrets = dict(desktop.secrets)
        keyring.set_keyring(other)
        assert store.load(USER) == user_entry(1)


class HighlyRecommended(PlaintextKeyring):
    """Not in plain sight."""

    priority = 9.0


class Crypted(EncryptedKeyring):
    """As that of keyrings.alt, whose library for encryption need not be installed here."""

    priority = 0.6
    __init__ = Desktop.__init__
    get_password = Desktop.get_password
    set_password = Desktop.set_password
    delete_password = Desktop.delete_password
    _step = Desktop._step


def plain_in(path: Path, kind: type[PlaintextKeyring] = PlaintextKeyring) -> PlaintextKeyring:
    backend = kind()
    backend.file_path = str(path / "keyring.cfg")
    return backend


class TestPlainText:
    @pytest.mark.parametrize(
        "wrap",
        [
            pytest.param(plain_in, id="the one of keyrings.alt"),
            pytest.param(lambda path: plain_in(path, HighlyRecommended), id="one that derives from it"),
            pytest.param(lambda path: Chain(plain_in(path)), id="in a chain"),
            pytest.param(lambda path: Chain(plain_in(path), keyring.backends.null.Keyring()), id="in a longer chain"),
            pytest.param(lambda path: Dubious(), id="one that keyring does not recommend"),
        ],
    )
    def test_a_keyring_that_may_keep_plain_text_is_refused(self, store, tmp_path, wrap) -> None:
        keyring.set_keyring(wrap(tmp_path))
        for call in (
            lambda: store.swap(USER, None, user_entry(1)),
            lambda: store.acquire(USER, "me", 60),
            store.risks,
        ):
            with pytest.raises(StoreError, match=r"may keep secrets in plain text.*allow="):
                call()
        assert store.load(USER) is None
        assert not (tmp_path / "keyring.cfg").exists()

    @pytest.mark.parametrize("make", [plain_in, lambda path: Chain(plain_in(path))], ids=["alone", "in a chain"])
    def test_it_is_taken_where_it_is_allowed_by_name(self, desktop, tmp_path, monkeypatch, make) -> None:
        keyring.set_keyring(make(tmp_path))
        name = "keyrings.alt.file.PlaintextKeyring"
        for variable in ("XDG_DATA_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
            monkeypatch.setenv(variable, str(tmp_path))
        stores = [KeyringTokenStore("tests", allow=name), store_from_url(f"keyring:tests?allow={name}")]
        assert stores[0].swap(USER, None, user_entry(1))
        assert stores[1].load(USER) == user_entry(1)
        assert stores[1].risks() == [f"{name} may keep the key in plain text: use a keyring that encrypts"]
        for store in stores:
            store.close()

    def test_what_is_allowed_and_not_used_is_no_risk(self, desktop, tmp_path) -> None:
        store = KeyringTokenStore("tests", directory=tmp_path, allow="keyrings.alt.file.PlaintextKeyring")
        assert store.risks() == []
        store.close()

    def test_another_name_allows_nothing(self, desktop, tmp_path) -> None:
        keyring.set_keyring(plain_in(tmp_path))
        store = KeyringTokenStore("tests", directory=tmp_path, allow="keyrings.alt.file.EncryptedKeyring")
        with pytest.raises(StoreError, match="plain text"):
            store.swap(USER, None, user_entry(1))
        store.close()

    def test_what_was_allowed_once_is_not_allowed_for_ever(self, store, tmp_path) -> None:
        keyring.set_keyring(plain_in(tmp_path))
        allowing = KeyringTokenStore("tests", directory=tmp_path, allow="keyrings.alt.file.PlaintextKeyring")
        allowing.swap(USER, None, user_entry(1))
        allowing.close()
        with pytest.raises(StoreError, match="plain text"):
            store.load(USER)

    def test_beside_a_trusted_one_in_a_chain_it_is_not_touched(self, store, desktop, tmp_path) -> None:
        keyring.set_keyring(Chain(plain_in(tmp_path), desktop))
        assert store.swap(USER, None, user_entry(1))
        assert store.load(USER) == user_entry(1)
        assert len(desktop.secrets) == 1
        assert not (tmp_path / "keyring.cfg").exists()

    def test_a_file_that_is_encrypted_will_do(self, store) -> None:
        crypted = Crypted()
        keyring.set_keyring(crypted)
        assert store.swap(USER, None, user_entry(1))
        assert store.load(USER) == user_entry(1)
        assert len(crypted.secrets) == 1
        assert store.risks() == []

    @pytest.mark.parametrize(
        "name", ["", "yes", "plain text", 5, True, ["keyrings.alt.file.PlaintextKeyring"]], ids=str
    )
    def test_what_is_not_the_name_of_a_backend_is_refused(self, name) -> None:
        with pytest.raises(ConfigurationError, match="allow must be the full name of a backend"):
            KeyringTokenStore(allow=name)


class TestTrouble:
    @pytest.mark.parametrize(
        ("raised", "message"),
        [
            (keyring.errors.NoKeyringError("no backend"), "no keyring on this machine: use SQLiteTokenStore"),
            (keyring.errors.KeyringLocked("locked"), "unlock it"),
            (keyring.errors.InitError("no D-Bus"), r"cannot be reached \(InitError\).*use SQLiteTokenStore"),
            (ValueError("secret-access-token def50200"), "refused: ValueError"),
            (OSError(13, "no"), "refused: PermissionError"),
            (RuntimeError("secret-access-token"), r"cannot be reached \(RuntimeError\).*use SQLiteTokenStore"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_whatever_a_backend_raises_is_an_error_of_ours(self, store, desktop, raised, message) -> None:
        store.swap(USER, None, user_entry(1))
        desktop.always = raised
        for call in (*tokens_asked_for(store), store.risks):
            with pytest.raises(StoreError, match=message) as caught:
                call()
            assert not leaks(caught.value, *SECRETS, *desktop.secrets.values())
        desktop.always = None
        assert store.acquire(APP, "you", 60)
        assert store.load(USER) == user_entry(1)

    @pytest.mark.parametrize(
        "raised", [keyring.errors.KeyringLocked, keyring.errors.InitError, keyring.errors.PasswordSetError]
    )
    def test_who_is_locked_out_is_asked_once_and_nothing_is_left(self, store, desktop, raised) -> None:
        desktop.fails_at = {desktop.calls + 1: raised("a prompt that somebody closed")}
        with pytest.raises(StoreError, match=r"locked|reached|refused"):
            store.swap(USER, None, user_entry(1))
        assert desktop.calls == 1
        assert desktop.secrets == {}
        assert store.swap(USER, None, user_entry(1))

    def test_a_machine_without_a_keyring_says_so(self, store) -> None:
        keyring.set_keyring(keyring.backends.fail.Keyring())
        assert store.load(USER) is None  # nothing was ever stored
        for call in (
            lambda: store.swap(USER, None, user_entry(1)),
            lambda: store.acquire(USER, "me", 60),
            store.risks,
        ):
            with pytest.raises(StoreError, match="no keyring on this machine"):
                call()

    @pytest.mark.parametrize("backend", [keyring.backends.null.Keyring(), Chain(), Forgetful()], ids=kind)
    def test_a_keyring_that_keeps_nothing_is_an_error(self, store, backend) -> None:
        keyring.set_keyring(backend)
        assert store.load(USER) is None
        for call in (
            lambda: store.swap(USER, None, user_entry(1)),
            lambda: store.acquire(USER, "me", 60),  # for a token that it would drop
            store.risks,
        ):
            with pytest.raises(StoreError, match=r"keeps nothing.*use SQLiteTokenStore"):
                call()
        assert list(store.keys()) == []

    def test_a_keyring_that_cannot_be_loaded_is_an_error(self, store, monkeypatch) -> None:
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Backend")
        monkeypatch.setattr(keyring.core, "_keyring_backend", None)
        for call in (lambda: store.acquire(USER, "me", 60), store.risks):
            with pytest.raises(StoreError, match=r"cannot be loaded \(ModuleNotFoundError\)"):
                call()

    def test_a_directory_that_cannot_be_made_is_an_error_of_every_method(self, tmp_path, desktop) -> None:
        (tmp_path / "file").write_text("")
        store = KeyringTokenStore("tests", directory=tmp_path / "file" / "notes")
        for call in (*tokens_asked_for(store), lambda: store.release(USER, "me"), lambda: list(store.keys())):
            with pytest.raises(StoreError, match="file"):
                call()

    def test_a_busy_lock_is_an_error_that_says_so(self, store, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(sys.modules["exbo_oauth.stores.keyring_key"], "PATIENCE", 0.05)
        with FileLock(tmp_path / "keyring.lock", is_singleton=False):
            outcome = []
            # A thread of its own: some versions of filelock will not let one thread wait for itself.
            waiting = Thread(target=lambda: outcome.append(_failure(lambda: store.acquire(USER, "me", 60))))
            waiting.start()
            waiting.join()
        assert "another program has been busy with the keyring" in outcome[0]
        assert store.acquire(USER, "you", 60)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"service": ""},
            {"service": 5},
            {"directory": 5},
            {"directory": ""},
            {"directory": b"x"},
            {"directory": BytesPath()},
            {"directory": "a\0b"},
            {"directory": "~nobody-of-that-name/x"},
        ],
        ids=str,
    )
    def test_arguments_are_checked(self, arguments) -> None:
        with pytest.raises(ConfigurationError, match=r"service|directory"):
            KeyringTokenStore(**arguments)

    def test_the_tokens_lie_in_the_users_data_directory(self, tmp_path, monkeypatch, desktop) -> None:
        for name in ("XDG_DATA_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
            monkeypatch.setenv(name, str(tmp_path))
        store = KeyringTokenStore()
        assert "exbo-oauth" in str(store._root)
        assert tmp_path in store._root.parents
        assert repr(store) == "KeyringTokenStore('exbo-oauth')"

    def test_a_tilde_is_the_home_of_the_user(self, tmp_path, monkeypatch, desktop) -> None:
        for name in ("HOME", "USERPROFILE"):
            monkeypatch.setenv(name, str(tmp_path))
        store = KeyringTokenStore("tests", directory="~/mine")
        store.acquire(USER, "me", 60)
        assert len(list(tmp_path.glob("mine/*/tokens.db"))) == 1
        store.close()


def _failure(call) -> str:
    try:
        call()
    except StoreError as error:
        return str(error)
    return ""


class TestProcesses:
    def test_services_keep_stores_apart(self, tmp_path, desktop) -> None:
        stores = [KeyringTokenStore(name, directory=tmp_path) for name in ("bot", "site", "BOT")]
        for number, store in enumerate(stores, 1):
            assert store.swap(APP, None, app_entry(number))
        assert [store.load(APP) for store in stores] == [app_entry(1), app_entry(2), app_entry(3)]
        assert [list(store.keys()) for store in stores] == [[APP]] * 3
        for store in stores:
            store.close()

    def test_directories_keep_stores_apart(self, tmp_path, desktop) -> None:
        stores = [KeyringTokenStore("bot", directory=tmp_path / name) for name in "ab"]
        for number, store in enumerate(stores, 1):
            assert store.swap(APP, None, app_entry(number))
        assert [store.load(APP) for store in stores] == [app_entry(1), app_entry(2)]
        assert len(desktop.secrets) == 2
        for store in stores:
            store.close()

    def test_the_threads_of_one_program_do_not_try_its_patience(self, tmp_path, desktop, monkeypatch) -> None:
        monkeypatch.setattr(sys.modules["exbo_oauth.stores.keyring_key"], "PATIENCE", 0)
        desktop.pause = 0.01
        stores = [KeyringTokenStore("tests", directory=tmp_path) for _ in range(8)]
        created = together(8, lambda number: stores[number].swap(APP, None, app_entry(1)))
        assert sorted(created) == [False] * 7 + [True]
        together(8, lambda number: [increment(stores[number], APP) for _ in range(3)])
        assert stores[0].load(APP) == app_entry(1 + 8 * 3)
        assert len(desktop.secrets) == 1
        for store in stores:
            store.close()

    def test_the_calls_of_one_program_take_turns(self, tmp_path, desktop, monkeypatch) -> None:
        """GNOME's daemon does not survive two connections that come and go at once."""
        under_way, most, one_step = 0, 0, type(desktop)._step

        def counted(self: Desktop) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            one_step(self)
            under_way -= 1

        monkeypatch.setattr(Desktop, "_step", counted)
        desktop.pause = 0.01
        stores = [KeyringTokenStore(f"tests {number}", directory=tmp_path) for number in range(4)]
        together(4, lambda number: [stores[number].swap(APP, None, app_entry(1)), stores[number].load(APP)])
        assert most == 1
        for store in stores:
            store.close()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
    def test_a_forked_child_does_not_wait_for_a_thread_that_only_its_parent_has(self, tmp_path) -> None:
        assert finished(start("fork_beside_a_keyring", tmp_path, 0)) == "0\n"

    def test_programs_that_begin_at_the_same_moment_agree_on_one_key(self, tmp_path) -> None:
        """In a backend that rewrites one file for every secret, as the plain one of keyrings.alt does."""
        program = (
            "import sys, keyring; from keyrings.alt.file import PlaintextKeyring\n"
            "from exbo_oauth import StoreKey; from exbo_oauth.stores import KeyringTokenStore\n"
            "from exbo_oauth.testing.store_suite import user_entry\n"
            f"backend = PlaintextKeyring(); backend.file_path = {str(tmp_path / 'keyring.cfg')!r}\n"
            "keyring.set_keyring(backend); allowed = 'keyrings.alt.file.PlaintextKeyring'\n"
            f"stores = [KeyringTokenStore(f'tests {{n}}', directory={str(tmp_path / 'notes')!r}, allow=allowed)\n"
            "          for n in range(6)]\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "for store in stores:\n"
            "    assert store.swap(StoreKey('x', '1', sys.argv[1]), None, user_entry(1))\n"
            "print('written', flush=True); sys.stdin.readline()\n"
            "print(sum(store.load(key) == user_entry(1) for store in stores for key in store.keys()))\n"
        )
        workers = [start_program(program, name) for name in "abc"]
        for answer in ("ready\n", "written\n"):
            for worker in workers:
                assert worker.stdout is not None
                assert worker.stdout.readline() == answer
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
        assert [finished(worker).strip() for worker in workers] == ["18", "18", "18"]

    def test_keys_of_any_application_are_listed(self, store) -> None:
        keys = {StoreKey("https://exbo.net/oauth", str(number), None) for number in range(5)}
        for key in keys:
            store.swap(key, None, app_entry(1))
        assert set(store.keys()) == keys

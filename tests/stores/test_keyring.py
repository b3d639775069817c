"""What is the keyring's own: backends that refuse, die or forget, writes that are cut short, programs side by side."""

import errno
import json
import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import keyring
import keyring.backend
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest
from filelock import FileLock

from exbo_oauth import ConfigurationError, StoreError, StoreKey
from exbo_oauth.stores import KeyringTokenStore
from exbo_oauth.stores.naming import digest_of, text_of_key
from exbo_oauth.testing.store_suite import APP, USER, app_entry, increment, together, user_entry

from .leaking import leaks
from .processes import ROOT, finished, start

SECRETS = ("secret-access-token", "def50200", "abababab")


class Killed(BaseException):
    """The process ends here."""


class Desktop(keyring.backend.KeyringBackend):
    """A keyring in memory that can be told to raise, and that takes no more than `most` bytes: as many as Windows."""

    priority = 1.0

    def __init__(self, most: int = 2560) -> None:
        self.most = most
        self.secrets: dict[tuple[str, str], str] = {}
        self.calls = 0
        self.history: list[str] = []
        self.pause = 0.0
        self.fails_at: dict[int, BaseException] = {}
        self.always: BaseException | None = None

    def _step(self, call: str) -> None:
        self.calls += 1
        self.history.append(call)
        time.sleep(self.pause)
        if self.always is not None:
            raise self.always
        if self.calls in self.fails_at:
            raise self.fails_at[self.calls]

    def get_password(self, service: str, username: str) -> str | None:
        self._step("get_password")
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._step("set_password")
        if len(password.encode("utf-16-le")) > self.most:
            raise keyring.errors.PasswordSetError("too long: secret-access-token")
        self.secrets[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._step("delete_password")
        if (service, username) not in self.secrets:
            raise keyring.errors.PasswordDeleteError("not found")
        del self.secrets[service, username]


class Another(Desktop):
    """The keyring of another session."""


class Forgetful(Desktop):
    """A keyring that takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Chain(keyring.backends.chainer.ChainerBackend):
    """What keyring chooses where several backends are at hand, with those that are given."""

    priority = -1.0  # keyring itself must not choose it

    def __init__(self, *backends: keyring.backend.KeyringBackend) -> None:
        self._backends = backends

    @property
    def backends(self) -> list[keyring.backend.KeyringBackend]:
        return list(self._backends)


class BytesPath(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"x"

    def __repr__(self) -> str:
        return "a path in bytes"


def kind(value: object) -> str:
    return type(value).__name__


def _recording(call: Callable[[int], None], history: list[str]) -> Callable[[int], None]:
    """`call`, with a note of what kind of descriptor it was given."""

    def recorded(descriptor: int) -> None:
        history.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        call(descriptor)

    return recorded


def _failing_after_a_delete(call: Callable[[int], None], history: list[str]) -> Callable[[int], None]:
    """`call` on a disk that is full from the moment when a secret is deleted."""

    def failing(descriptor: int) -> None:
        if "delete_password" in history:
            raise OSError(errno.ENOSPC, "the disk is full")
        call(descriptor)

    return failing


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    before, backend = keyring.get_keyring(), Desktop()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path: Path, desktop: Desktop) -> KeyringTokenStore:
    return KeyringTokenStore("tests", directory=tmp_path)


def notes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.json"))


def every_call(store: KeyringTokenStore) -> Iterator[object]:
    yield lambda: store.load(USER)
    yield lambda: store.swap(USER, 1, user_entry(2, "secret-access-token"))
    yield lambda: store.swap(USER, 1, None)
    yield lambda: store.acquire(USER, "me", 1)
    yield lambda: store.release(USER, "me")
    yield lambda: list(store.keys())


class TestPieces:
    def test_the_keyring_is_left_with_one_entry_and_nothing_else(self, store, desktop) -> None:
        for revision in range(1, 6):
            store.swap(USER, revision - 1 or None, user_entry(revision, "x" * (6000 - 1000 * revision)))
        pieces = len(desktop.secrets)
        assert store.load(USER) == user_entry(5, "x" * 1000)
        fresh = Desktop()
        keyring.set_keyring(fresh)
        KeyringTokenStore("tests", directory=store._root / "other").swap(USER, None, user_entry(5, "x" * 1000))
        assert pieces == len(fresh.secrets)

    def test_a_deleted_entry_leaves_nothing(self, store, desktop, tmp_path) -> None:
        store.swap(USER, None, user_entry(1))
        store.swap(USER, 1, None)
        assert desktop.secrets == {}
        assert notes(tmp_path) == []

    def test_a_lease_that_was_let_go_leaves_nothing(self, store, tmp_path) -> None:
        store.acquire(USER, "me", 60)
        assert len(notes(tmp_path)) == 1
        store.release(USER, "me")
        assert notes(tmp_path) == []

    def test_the_notes_hold_no_secret(self, store, tmp_path) -> None:
        store.swap(USER, None, user_entry(1, "secret-access-token"))
        store.acquire(USER, "me", 60)
        [note] = notes(tmp_path)
        assert not any(secret in note.read_text() for secret in SECRETS)
        assert note.parent.stat().st_mode & 0o077 == 0 or os.name == "nt"

    @pytest.mark.parametrize(("most", "calls"), [(2560, 4), (10**6, 2)], ids=["in pieces", "in one piece"])
    @pytest.mark.parametrize("target", [user_entry(2, "y" * 3000), None], ids=["update", "delete"])
    def test_wherever_a_write_is_cut_short_one_whole_entry_is_there_and_nothing_is_left(
        self, tmp_path, desktop, target, most, calls
    ) -> None:
        desktop.most = most
        for step in range(1, 60):
            store = KeyringTokenStore("tests", directory=tmp_path / str(step))
            desktop.secrets.clear()
            assert store.swap(USER, None, user_entry(1, "x" * 3000))
            desktop.fails_at = {desktop.calls + step: Killed()}
            try:
                finished = store.swap(USER, 1, target)
            except Killed:
                finished = False
            desktop.fails_at = {}
            found = store.load(USER)
            assert found in (user_entry(1, "x" * 3000), target)
            assert store.swap(USER, None if found is None else found.revision, app_entry(7))
            assert store.load(USER) == app_entry(7)
            assert len(desktop.secrets) == 1, f"killed at step {step}, something was left"
            if finished:
                break
        assert finished
        assert step > calls

    def test_a_keyring_that_refuses_half_way_has_changed_nothing(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        second_piece = desktop.calls + 4  # after one look, the whole and the first piece
        desktop.fails_at = {second_piece: keyring.errors.PasswordSetError("full: secret-access-token")}
        with pytest.raises(StoreError, match="PasswordSetError") as caught:
            store.swap(USER, 1, user_entry(2, "secret-access-token" + "y" * 3000))
        assert not leaks(caught.value, *SECRETS)
        assert store.load(USER) == user_entry(1)
        assert store.swap(USER, 1, app_entry(2))
        assert len(desktop.secrets) == 1

    def test_a_write_that_could_not_tidy_up_is_a_write_and_tidies_up_later(self, store, desktop) -> None:
        store.swap(APP, None, app_entry(1))
        delete = desktop.calls + 4  # after one look, one piece and a look at that
        desktop.fails_at = {delete: OSError("no"), delete + 1: OSError("no")}
        assert store.swap(APP, 1, app_entry(2)) is True
        assert len(desktop.secrets) == 2
        assert store.load(APP) == app_entry(2)
        assert store.swap(APP, 2, app_entry(3))
        assert len(desktop.secrets) == 1

    def test_a_write_whose_tidying_up_could_not_be_noted_is_a_write(self, store, desktop, monkeypatch) -> None:
        store.swap(APP, None, app_entry(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _failing_after_a_delete(os.fsync, desktop.history))
            assert store.swap(APP, 1, app_entry(2)) is True
        assert store.load(APP) == app_entry(2)
        assert store.swap(APP, 2, None)
        assert desktop.secrets == {}

    def test_what_was_removed_by_hand_is_no_entry_any_more(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1, "x" * 3000))
        del desktop.secrets[sorted(desktop.secrets)[1]]
        assert store.load(USER) is None
        assert store.swap(USER, 1, user_entry(2)) is False
        assert store.swap(USER, None, user_entry(3))
        assert store.load(USER) == user_entry(3)

    def test_a_piece_that_was_changed_by_hand_is_an_error(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        desktop.secrets[min(desktop.secrets)] = "password1"
        with pytest.raises(StoreError, match="damaged"):
            store.load(USER)

    def test_what_json_cannot_carry_changes_nothing(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        before, odd = dict(desktop.secrets), user_entry(2)
        odd.token.extra["odd"] = object()
        with pytest.raises(StoreError, match="cannot be stored"):
            store.swap(USER, 1, odd)
        assert desktop.secrets == before

    def test_where_size_does_not_matter_an_entry_is_one_secret(self, store, desktop) -> None:
        desktop.most = 10**6
        entry = user_entry(1, "x" * 30_000)
        store.swap(USER, None, entry)
        assert len(desktop.secrets) == 1
        assert store.load(USER) == entry

    def test_where_size_matters_no_secret_is_larger_than_windows_takes(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1, "x" * 30_000))
        assert max(map(len, desktop.secrets.values())) <= 1280
        assert store.load(USER) == user_entry(1, "x" * 30_000)

    @pytest.mark.skipif(os.name != "nt", reason="Windows is known to limit the size")
    def test_windows_is_not_asked_for_more_than_it_takes(self, store, desktop) -> None:
        desktop.most = 10**6
        store.swap(USER, None, user_entry(1, "x" * 30_000))
        assert len(desktop.secrets) > 30

    @pytest.mark.parametrize("raised", [keyring.errors.KeyringLocked, keyring.errors.InitError])
    def test_who_is_locked_out_is_asked_once_and_not_for_each_piece(self, store, desktop, raised) -> None:
        desktop.fails_at = {desktop.calls + 1: raised("a prompt that somebody closed")}
        with pytest.raises(StoreError, match=r"locked|reached"):
            store.swap(USER, None, user_entry(1, "x" * 600))
        assert desktop.calls == 1
        assert desktop.secrets == {}

    def test_the_note_is_on_the_disk_before_the_old_pieces_are_removed(self, store, desktop, monkeypatch) -> None:
        """Or a power cut could bring back the note that points to them."""
        store.swap(APP, None, app_entry(1))
        desktop.history.clear()
        monkeypatch.setattr(os, "fsync", _recording(os.fsync, desktop.history))
        store.swap(APP, 1, app_entry(2))
        written = desktop.history.index("set_password")
        removed = desktop.history.index("delete_password")
        assert desktop.history[written:removed].count("file") == 1
        assert desktop.history[written:removed].count("directory") == (os.name != "nt")


class TestOtherKeyrings:
    """The one that has an entry does not answer, as over ssh; what is in it may be alive."""

    @pytest.fixture
    def elsewhere(self, store, desktop) -> Iterator[None]:
        store.swap(USER, None, user_entry(1))
        keyring.set_keyring(Another())
        yield
        keyring.set_keyring(desktop)
        assert store.load(USER) == user_entry(1)

    @pytest.mark.usefixtures("elsewhere")
    def test_an_entry_of_another_keyring_is_an_error_that_names_both(self, store) -> None:
        calls = [
            lambda: store.load(USER),
            lambda: store.swap(USER, 1, user_entry(2)),
            lambda: store.swap(USER, None, user_entry(2)),
            lambda: store.swap(USER, 1, None),
        ]
        for call in calls:
            with pytest.raises(StoreError, match=r"is in .*\.Desktop, and here .*\.Another answers: use"):
                call()
        assert list(store.keys()) == [USER]

    @pytest.mark.usefixtures("elsewhere")
    def test_where_no_keyring_answers_the_error_says_so(self, store) -> None:
        keyring.set_keyring(keyring.backends.null.Keyring())
        with pytest.raises(StoreError, match=r"is in .*\.Desktop, and here no keyring answers"):
            store.load(USER)

    def test_the_note_that_the_error_names_can_be_removed_to_give_the_token_up(self, store, tmp_path) -> None:
        store.swap(USER, None, user_entry(1))
        keyring.set_keyring(Another())
        [note] = notes(tmp_path)
        with pytest.raises(StoreError, match=note.stem):
            store.load(USER)
        note.unlink()
        assert store.swap(USER, None, user_entry(2))

    def test_whoever_has_the_entry_may_answer_in_a_chain(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        keyring.set_keyring(Chain(Another(), desktop))
        assert store.load(USER) == user_entry(1)
        assert store.swap(USER, 1, user_entry(2))
        keyring.set_keyring(Chain(desktop))
        with pytest.raises(StoreError, match=r"is in .*\.Another, and here .*\.Desktop answers"):
            store.load(USER)

    def test_what_was_removed_from_a_chain_by_hand_is_no_entry(self, store, desktop) -> None:
        keyring.set_keyring(Chain(desktop, Another()))
        store.swap(USER, None, user_entry(1))
        desktop.secrets.clear()
        assert store.load(USER) is None

    def test_what_is_of_no_use_any_more_is_removed_where_it_is(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1))
        desktop.fails_at = {desktop.calls + 2: OSError("no"), desktop.calls + 3: OSError("no")}
        store.swap(USER, 1, None)
        keyring.set_keyring(Another())
        store.swap(USER, None, user_entry(2))
        store.swap(USER, 2, None)
        assert len(desktop.secrets) > 0
        keyring.set_keyring(desktop)
        store.swap(USER, None, None)
        assert desktop.secrets == {}


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
        calls = [
            lambda: store.load(USER),
            lambda: store.swap(USER, 1, user_entry(2, "secret-access-token")),
            lambda: store.swap(APP, None, app_entry(1)),
            lambda: store.acquire(APP, "me", 60),  # or else a token would be issued that nobody can keep
        ]
        for call in calls:
            with pytest.raises(StoreError, match=message) as caught:
                call()
            assert not leaks(caught.value, *SECRETS)
        desktop.always = None
        assert store.acquire(APP, "you", 60)
        assert store.load(USER) == user_entry(1)

    def test_a_machine_without_a_keyring_says_so(self, store, tmp_path) -> None:
        keyring.set_keyring(keyring.backends.fail.Keyring())
        assert store.load(USER) is None  # nothing was ever stored
        for call in (lambda: store.swap(USER, None, user_entry(1)), lambda: store.acquire(USER, "me", 60)):
            with pytest.raises(StoreError, match="no keyring on this machine"):
                call()

    @pytest.mark.parametrize("backend", [keyring.backends.null.Keyring(), Chain(), Forgetful()], ids=kind)
    def test_a_keyring_that_keeps_nothing_is_an_error(self, store, backend) -> None:
        keyring.set_keyring(backend)
        assert store.load(USER) is None
        with pytest.raises(StoreError, match=r"keeps nothing.*use SQLiteTokenStore"):
            store.swap(USER, None, user_entry(1))
        assert list(store.keys()) == []

    @pytest.mark.parametrize("backend", [keyring.backends.null.Keyring(), Chain()], ids=kind)
    def test_nobody_gets_a_lease_for_a_token_that_a_disabled_keyring_would_drop(self, store, backend) -> None:
        keyring.set_keyring(backend)
        with pytest.raises(StoreError, match="keeps nothing"):
            store.acquire(USER, "me", 60)

    def test_a_directory_that_cannot_be_made_is_an_error_of_every_method(self, tmp_path, desktop) -> None:
        (tmp_path / "file").write_text("")
        for call in every_call(KeyringTokenStore("tests", directory=tmp_path / "file" / "notes")):
            with pytest.raises(StoreError, match="file"):
                call()

    @pytest.mark.parametrize("name", ["keyring.lock", "keyring.door"])
    def test_a_busy_lock_is_an_error_that_says_so(self, store, tmp_path, monkeypatch, name) -> None:
        monkeypatch.setattr(sys.modules["exbo_oauth.stores.keyring"], "_PATIENCE", 0.05)
        store.load(USER)
        with FileLock(tmp_path / name, is_singleton=False):
            outcome = []
            # A thread of its own: some versions of filelock will not let one thread wait for itself.
            waiting = Thread(target=lambda: outcome.append(_failure(lambda: store.load(USER))))
            waiting.start()
            waiting.join()
        assert "another program has been busy with the keyring" in outcome[0]
        assert store.load(USER) is None

    @pytest.mark.parametrize("text", ["", "[]", "{}", "null", "5", '{"key": 5, "entry": {"name": 1}}', "\ufffd[", "["])
    def test_a_damaged_note_is_an_error_that_names_the_file(self, store, tmp_path, text) -> None:
        store.swap(USER, None, user_entry(1))
        [note] = notes(tmp_path)
        note.write_text(text, encoding="utf-8")
        for call in every_call(store):
            with pytest.raises(StoreError, match="damaged"):
                call()

    @pytest.mark.parametrize("key", ["nobody", 5, ["a", "b", None]], ids=str)
    def test_a_note_whose_key_is_damaged_is_an_error(self, store, tmp_path, key) -> None:
        store.swap(USER, None, user_entry(1))
        [note] = notes(tmp_path)
        note.write_text(json.dumps(json.loads(note.read_text()) | {"key": key}))
        for call in every_call(store):
            with pytest.raises(StoreError, match="damaged"):
                call()

    def test_a_damaged_note_hides_none_of_the_others(self, store, tmp_path) -> None:
        keys = {StoreKey("https://exbo.net/oauth", str(number), None) for number in range(5)}
        for key in keys:
            store.swap(key, None, app_entry(1))
        notes(tmp_path)[0].write_text("")
        listed = store.keys()
        assert {next(listed) for _ in range(4)} < keys
        with pytest.raises(StoreError, match="damaged: remove it"):
            next(listed)

    def test_a_note_that_cannot_be_read_hides_none_of_the_others(self, store, tmp_path) -> None:
        store.swap(USER, None, user_entry(1))
        store.swap(APP, None, app_entry(1))
        first, second = notes(tmp_path)
        first.unlink()
        first.mkdir()
        listed = store.keys()
        assert digest_of(text_of_key(next(listed))) == second.stem
        with pytest.raises(StoreError, match=first.stem):
            next(listed)

    @pytest.mark.parametrize("name", ["foreign.json", f"{'0' * 64} (1).json", f"{'0' * 64}.new", "0.json"])
    def test_what_is_no_note_of_ours_by_its_name_is_left_alone(self, store, tmp_path, name) -> None:
        store.swap(USER, None, user_entry(1))
        foreign = notes(tmp_path)[0].with_name(name)
        foreign.write_text("")
        assert list(store.keys()) == [USER]
        assert store.swap(USER, 1, user_entry(2))
        assert foreign.read_text() == ""

    def test_after_a_damaged_note_was_removed_as_told_one_can_sign_in_again(self, store, desktop, tmp_path) -> None:
        store.swap(USER, None, user_entry(1))
        [note] = notes(tmp_path)
        note.write_text("")
        with pytest.raises(StoreError) as caught:
            store.load(USER)
        assert str(note) in str(caught.value)
        assert "remove it and what the keyring has under that name, then sign in again" in str(caught.value)
        assert all(name.startswith(note.stem) for _, name in desktop.secrets)
        note.unlink()
        assert store.load(USER) is None
        assert store.swap(USER, None, user_entry(2))

    def test_a_damaged_entry_can_be_removed_as_told_and_leaves_nothing(self, store, desktop) -> None:
        store.swap(USER, None, user_entry(1, "x" * 5000))
        desktop.secrets[min(desktop.secrets)] = "password1"
        with pytest.raises(StoreError, match=r"damaged.*to sign in again") as caught:
            store.load(USER)
        command = shlex.split(str(caught.value).split("'")[-2])
        assert command[:2] == ["keyring", "del"]
        keyring.delete_password(*command[2:])
        assert store.load(USER) is None
        assert store.swap(USER, None, user_entry(2))
        assert len(desktop.secrets) == 1

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

    def test_the_notes_lie_in_the_users_data_directory(self, tmp_path, monkeypatch, desktop) -> None:
        for name in ("XDG_DATA_HOME", "HOME", "LOCALAPPDATA", "USERPROFILE"):
            monkeypatch.setenv(name, str(tmp_path))
        store = KeyringTokenStore()
        assert "exbo-oauth" in str(store._root)
        assert repr(store) == "KeyringTokenStore('exbo-oauth')"

    def test_a_tilde_is_the_home_of_the_user(self, tmp_path, monkeypatch, desktop) -> None:
        for name in ("HOME", "USERPROFILE"):
            monkeypatch.setenv(name, str(tmp_path))
        KeyringTokenStore("tests", directory="~/mine").acquire(USER, "me", 60)
        assert len(notes(tmp_path / "mine")) == 1

    def test_a_lease_from_the_future_tells_of_a_clock_that_was_set_back(self, store, tmp_path) -> None:
        store.acquire(USER, "me", 60)
        [note] = notes(tmp_path)
        data = json.loads(note.read_text())
        data["lease"]["since"] += 3600
        note.write_text(json.dumps(data))
        assert store.acquire(USER, "you", 60)


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

    def test_the_threads_of_one_program_do_not_try_its_patience(self, tmp_path, desktop, monkeypatch) -> None:
        monkeypatch.setattr(sys.modules["exbo_oauth.stores.keyring"], "_PATIENCE", 0)
        desktop.pause = 0.002
        stores = [KeyringTokenStore("tests", directory=tmp_path) for _ in range(8)]
        stores[0].swap(APP, None, app_entry(1))
        together(8, lambda number: [increment(stores[number], APP) for _ in range(3)])
        assert stores[0].load(APP) == app_entry(1 + 8 * 3)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
    def test_a_forked_child_does_not_wait_for_a_thread_that_only_its_parent_has(self, tmp_path) -> None:
        assert finished(start("fork_beside_a_keyring", tmp_path, 0)) == "0\n"

    def test_programs_that_write_for_different_accounts_lose_nothing(self, tmp_path) -> None:
        """In a backend that rewrites one file for every secret, as the plain one of keyrings.alt does."""
        program = (
            "import sys, keyring; from keyrings.alt.file import PlaintextKeyring\n"
            "from exbo_oauth import StoreKey; from exbo_oauth.stores import KeyringTokenStore\n"
            "from exbo_oauth.testing.store_suite import user_entry\n"
            f"backend = PlaintextKeyring(); backend.file_path = {str(tmp_path / 'keyring.cfg')!r}\n"
            "keyring.set_keyring(backend)\n"
            f"store = KeyringTokenStore('tests', directory={str(tmp_path / 'notes')!r})\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "for number in range(6):\n"
            "    assert store.swap(StoreKey('x', '1', f'{sys.argv[1]}-{number}'), None, user_entry(1))\n"
            "print(sum(store.load(key) == user_entry(1) for key in store.keys() if key.account[0] == sys.argv[1]))\n"
        )
        pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
        workers = [
            subprocess.Popen([sys.executable, "-c", program, name], stdin=pipe, stdout=pipe, text=True, env=environment)
            for name in "abc"
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        assert [worker.communicate(timeout=120)[0].strip() for worker in workers] == ["6", "6", "6"]

    def test_keys_of_any_application_are_listed(self, store) -> None:
        keys = {StoreKey("https://exbo.net/oauth", str(number), None) for number in range(5)}
        for key in keys:
            store.swap(key, None, app_entry(1))
        assert set(store.keys()) == keys

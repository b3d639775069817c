"""What earlier versions kept in the keyring is taken over, whatever happens meanwhile."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import keyring.backends.null
import keyring.errors
import pytest
from keyrings.alt.file import PlaintextKeyring

from exbo_oauth import StoreError, StoreKey, UserToken
from exbo_oauth.stores import KeyringTokenStore
from exbo_oauth.stores.key_text import digest_of, text_of_key
from exbo_oauth.testing.store_suite import user_entry

from .backends import Another, Chain, Desktop, Killed
from .earlier import APP, HELD, IVAN, SERVICE, STALKER, restore
from .leaking import leaks
from .processes import finished, start

KEYS = {APP, IVAN, STALKER}
SECRETS = ("old-ivan-token", "def50200", "abababab")

both = pytest.mark.parametrize("name", ["whole", "in pieces"])


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    before, backend = keyring.get_keyring(), Desktop()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path: Path, desktop: Desktop) -> Iterator[KeyringTokenStore]:
    restore("whole", tmp_path, desktop)
    store = KeyringTokenStore(directory=tmp_path)
    yield store
    store.close()


def held(store: KeyringTokenStore) -> dict[StoreKey, tuple[int, str]]:
    entries = {key: store.load(key) for key in store.keys()}  # noqa: SIM118  # a store is not a dict
    return {key: (entry.revision, entry.token.access_token) for key, entry in entries.items() if entry is not None}


def note_of(key: StoreKey, root: Path) -> Path:
    [folder] = [path for path in root.iterdir() if path.is_dir()]
    return folder / f"{digest_of(text_of_key(key))}.json"


def notes(root: Path) -> list[Path]:
    return [path for path in root.glob("*/*.json") if path.name != "key.json"]


def rewrite(note: Path, **changes: object) -> None:
    note.write_text(json.dumps(json.loads(note.read_text()) | changes))


class TestTakingOver:
    @both
    def test_every_entry_comes_across_as_it_was_and_nothing_is_left(self, tmp_path, desktop, name) -> None:
        restore(name, tmp_path, desktop)
        store = KeyringTokenStore(directory=tmp_path)
        assert set(store.keys()) == KEYS
        assert held(store) == HELD[name]
        ivan = store.load(IVAN)
        assert isinstance(ivan.token, UserToken)
        assert ivan.token.refresh_token == "def50200" + "ab" * 350
        assert ivan.token.extra == {"scope": ""}
        assert ivan.issued_by == "desk/4321"
        assert ivan.issued_at == datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
        assert ivan.superseded == (ivan.issued_at - timedelta(seconds=30),)
        assert len(desktop.secrets) == 1
        assert notes(tmp_path) == []
        assert sorted(store.keys(), key=str) == sorted(KEYS, key=str)
        store.close()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not [path for path in files for secret in SECRETS if secret.encode() in path.read_bytes()]

    @both
    def test_a_renewal_replaces_an_entry_that_nobody_has_looked_at(self, tmp_path, desktop, name) -> None:
        restore(name, tmp_path, desktop)
        store, revision = KeyringTokenStore(directory=tmp_path), HELD[name][IVAN][0]
        assert store.swap(IVAN, None, user_entry(1)) is False
        assert store.swap(IVAN, revision, user_entry(revision + 1)) is True
        assert store.load(IVAN) == user_entry(revision + 1)
        store.close()

    def test_what_is_forgotten_stays_forgotten(self, store, desktop, tmp_path) -> None:
        assert store.swap(IVAN, HELD["whole"][IVAN][0], None) is True
        assert store.load(IVAN) is None
        assert set(store.keys()) == KEYS - {IVAN}
        assert not note_of(IVAN, tmp_path).exists()
        assert not [name for _, name in desktop.secrets if note_of(IVAN, tmp_path).stem in name]

    def test_the_keys_are_listed_without_the_keyring(self, store) -> None:
        keyring.set_keyring(keyring.backends.null.Keyring())
        assert set(store.keys()) == KEYS

    def test_what_is_newer_is_not_overwritten(self, store, tmp_path, desktop) -> None:
        before, note = dict(desktop.secrets), note_of(IVAN, tmp_path).read_text()
        newer = user_entry(HELD["whole"][IVAN][0] + 1)
        store.swap(IVAN, HELD["whole"][IVAN][0], newer)
        desktop.secrets |= before
        note_of(IVAN, tmp_path).write_text(note)
        assert store.load(IVAN) == newer
        assert not note_of(IVAN, tmp_path).exists()

    def test_wherever_it_is_cut_short_nothing_is_lost_and_nothing_is_left(self, tmp_path, desktop) -> None:
        for step in range(1, 40):
            root = tmp_path / str(step)
            desktop.secrets.clear()
            restore("in pieces", root, desktop)
            store = KeyringTokenStore(directory=root)
            desktop.fails_at = {desktop.calls + step: Killed()}
            try:
                done = store.load(IVAN) is not None
            except Killed:
                done = False
            store.close()
            desktop.fails_at = {}
            again = KeyringTokenStore(directory=root)
            assert held(again) == HELD["in pieces"], f"killed at call {step}"
            assert len(desktop.secrets) == 1, f"killed at call {step}, something was left"
            assert notes(root) == []
            again.close()
            if done:
                break
        assert done
        assert step > 8

    def test_a_note_that_could_not_be_removed_brings_nothing_back(self, store, tmp_path, monkeypatch) -> None:
        """As after a power cut: the file system forgets that the note was removed, the database forgets nothing."""
        text = note_of(IVAN, tmp_path).read_text()
        assert store.load(IVAN) is not None
        note_of(IVAN, tmp_path).write_text(text)
        assert store.swap(IVAN, HELD["whole"][IVAN][0], None)
        note_of(IVAN, tmp_path).write_text(text)
        assert store.load(IVAN) is None
        assert not note_of(IVAN, tmp_path).exists()

    def test_what_the_keyring_does_not_let_go_of_is_removed_later(self, store, desktop, tmp_path) -> None:
        desktop.removes = False
        assert held(store) == HELD["whole"]
        assert note_of(IVAN, tmp_path).exists()
        assert sorted(store.keys(), key=str) == sorted(KEYS, key=str)
        with pytest.raises(StoreError, match="refused: PasswordDeleteError"):
            store.swap(IVAN, HELD["whole"][IVAN][0], None)  # or else it would come back
        desktop.removes = True
        assert held(store) == HELD["whole"]
        assert len(desktop.secrets) == 1
        assert notes(tmp_path) == []

    def test_a_note_of_a_lease_alone_is_no_entry(self, store, tmp_path) -> None:
        rewrite(note_of(IVAN, tmp_path), entry=None)
        assert set(store.keys()) == KEYS - {IVAN}
        assert store.load(IVAN) is None
        assert not note_of(IVAN, tmp_path).exists()

    def test_what_is_no_note_by_its_name_is_left_alone(self, store, tmp_path) -> None:
        for name in ("foreign.json", f"{'0' * 64} (1).json", f"{'0' * 64}.new", "0.json"):
            note_of(IVAN, tmp_path).with_name(name).write_text("")
        assert held(store) == HELD["whole"]
        assert len(notes(tmp_path)) == 3


class TestProgramsOfEarlierVersions:
    """One that is still running when the first of ours begins, and is just renewing ivan's token."""

    @pytest.fixture
    def renewing(self, store, tmp_path) -> Path:
        note = note_of(IVAN, tmp_path)
        rewrite(note, lease={"owner": "desk:4321:uuuu", "since": time.time(), "ttl": 3600.0})
        return note

    def test_nobody_else_renews_meanwhile(self, store, renewing) -> None:
        assert store.acquire(IVAN, "me", 60) is False
        assert store.acquire(APP, "me", 60) is True
        rewrite(renewing, lease=None)
        assert store.acquire(IVAN, "me", 60) is True

    def test_what_it_writes_is_what_counts(self, store, renewing, tmp_path, desktop) -> None:
        assert held(store) == HELD["whole"]
        assert renewing.exists()
        old, new, revision = json.loads(renewing.read_text()), f"{renewing.stem}.00000000", HELD["whole"][IVAN][0]
        text = desktop.secrets[SERVICE, f"{old['entry']['name']}.0"]
        text = text.replace(str(revision), str(revision + 1)).replace("old-ivan-token-2", "renewed-ivan-token")
        desktop.secrets[SERVICE, f"{new}.0"] = text
        entry = old["entry"] | {"name": new, "revision": revision + 1}
        rewrite(renewing, entry=entry, waste=[*old["waste"], old["entry"]], lease=None)
        found = store.load(IVAN)
        assert (found.revision, found.token.access_token) == (revision + 1, "renewed-ivan-token-" + "x" * 700)
        assert not renewing.exists()
        assert not [name for _, name in desktop.secrets if renewing.stem in name]

    def test_a_sign_in_does_not_wait_for_it(self, store, renewing) -> None:
        revision = HELD["whole"][IVAN][0]
        assert store.swap(IVAN, revision, user_entry(revision + 1))
        assert store.load(IVAN) == user_entry(revision + 1)
        assert not renewing.exists()

    def test_one_that_was_killed_is_not_waited_for_longer_than_its_lease(self, store, renewing) -> None:
        rewrite(renewing, lease={"owner": "desk:4321:uuuu", "since": time.time() - 61, "ttl": 60.0})
        assert store.acquire(IVAN, "me", 60) is True
        assert store.load(IVAN) is not None
        assert not renewing.exists()


class TestTrouble:
    def test_an_entry_of_another_keyring_stays_there(self, store, desktop, tmp_path) -> None:
        """As over ssh; there a key is made all the same, and nothing is encrypted with it but what is new."""
        keyring.set_keyring(Another())
        for call in calls(store):
            with pytest.raises(StoreError, match=r"ivan.* is in .*\.Desktop, and here .*\.Another answers: use one"):
                call()
        assert set(store.keys()) == KEYS
        assert note_of(IVAN, tmp_path).exists()
        keyring.set_keyring(Chain(keyring.get_keyring(), desktop))
        assert held(store) == HELD["whole"]

    def test_where_no_keyring_answers_nothing_is_lost(self, store, desktop) -> None:
        keyring.set_keyring(keyring.backends.null.Keyring())
        for call in calls(store):
            with pytest.raises(StoreError, match="keeps nothing"):
                call()
        keyring.set_keyring(desktop)
        assert held(store) == HELD["whole"]

    def test_what_was_removed_by_hand_is_no_entry_any_more(self, store, desktop, tmp_path) -> None:
        for name in [name for name in desktop.secrets if note_of(IVAN, tmp_path).stem in name[1]]:
            del desktop.secrets[name]
        assert store.load(IVAN) is None
        assert store.swap(IVAN, None, user_entry(3))
        assert store.load(IVAN) == user_entry(3)

    def test_an_entry_of_which_a_piece_was_removed_by_hand_is_none(self, tmp_path, desktop) -> None:
        restore("in pieces", tmp_path, desktop)
        pieces = sorted(name for name in desktop.secrets if note_of(IVAN, tmp_path).stem in name[1])
        assert len(pieces) == 2
        del desktop.secrets[pieces[1]]
        store = KeyringTokenStore(directory=tmp_path)
        assert store.load(IVAN) is None
        assert pieces[0] not in desktop.secrets
        store.close()

    def test_a_piece_that_was_changed_by_hand_is_an_error_that_shows_nothing(self, store, desktop, tmp_path) -> None:
        for name in [name for name in desktop.secrets if note_of(IVAN, tmp_path).stem in name[1]]:
            desktop.secrets[name] = "old-ivan-token def50200"
        with pytest.raises(StoreError, match="damaged") as caught:
            store.load(IVAN)
        assert note_of(IVAN, tmp_path).name in str(caught.value)
        assert not leaks(caught.value, *SECRETS)
        assert len(desktop.secrets) == 5

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", "null", "5", '{"key": 5, "entry": {"name": 1}}', "\ufffd[", "[" * 10_000], ids=range(8)
    )
    def test_a_damaged_note_is_an_error_that_names_the_file_and_hides_no_other(self, store, tmp_path, text) -> None:
        path = note_of(IVAN, tmp_path)
        path.write_text(text, encoding="utf-8")
        for call in calls(store):
            with pytest.raises(StoreError, match=f"{path.stem}.* is damaged: remove it"):
                call()
        listed = store.keys()
        assert {next(listed), next(listed)} == KEYS - {IVAN}
        with pytest.raises(StoreError, match="damaged"):
            next(listed)
        assert store.load(APP) is not None
        path.unlink()
        assert store.swap(IVAN, None, user_entry(2))

    def test_a_note_of_another_key_is_a_damaged_one(self, store, tmp_path) -> None:
        note_of(IVAN, tmp_path).write_text(note_of(STALKER, tmp_path).read_text())
        with pytest.raises(StoreError, match=f"{note_of(IVAN, tmp_path).stem}.* is damaged: remove it"):
            store.load(IVAN)
        assert store.load(STALKER) is not None

    def test_a_locked_keyring_is_an_error_and_loses_nothing(self, store, desktop) -> None:
        desktop.always = keyring.errors.KeyringLocked("old-ivan-token")
        for call in calls(store):
            with pytest.raises(StoreError, match="the keyring is locked") as caught:
                call()
            assert not leaks(caught.value, *SECRETS)
        desktop.always = None
        assert held(store) == HELD["whole"]

    def test_a_key_that_gets_lost_meanwhile_is_an_error_and_loses_nothing(self, store, desktop, tmp_path) -> None:
        assert store.load(APP) is not None  # there is a key, and something that needs it
        [name] = [name for _, name in desktop.secrets if name.startswith("key.")]
        desktop.vanishing = (SERVICE, name)  # with the first look, that before an entry is taken over
        for call in (lambda: store.load(IVAN), lambda: store.load(IVAN)):
            with pytest.raises(StoreError, match="is not in the keyring any more"):
                call()
        assert note_of(IVAN, tmp_path).exists()
        assert len([name for _, name in desktop.secrets if note_of(IVAN, tmp_path).stem in name]) == 2

    def test_what_was_kept_in_plain_text_goes_to_a_keyring_that_encrypts(self, desktop, tmp_path) -> None:
        plain = PlaintextKeyring()
        plain.file_path = str(tmp_path / "keyring.cfg")
        restore("whole", tmp_path, plain)
        store = KeyringTokenStore(directory=tmp_path)
        keyring.set_keyring(plain)
        with pytest.raises(StoreError, match="plain text"):
            store.load(IVAN)
        keyring.set_keyring(Chain(desktop, plain))
        assert held(store) == HELD["whole"]
        assert not [line for line in (tmp_path / "keyring.cfg").read_text().splitlines() if "=" in line]
        assert len(desktop.secrets) == 1
        store.close()


def calls(store: KeyringTokenStore) -> Iterator[Callable[[], object]]:
    revision = HELD["whole"][IVAN][0]
    yield lambda: store.load(IVAN)
    yield lambda: store.swap(IVAN, revision, user_entry(revision + 1))
    yield lambda: store.swap(IVAN, revision, None)


class TestProcesses:
    @both
    def test_programs_that_begin_at_the_same_moment_take_everything_over_once(self, tmp_path, name) -> None:
        plain = PlaintextKeyring()
        plain.file_path = str(tmp_path / "keyring.cfg")
        restore(name, tmp_path, plain)
        workers = [start("take_over", tmp_path, number) for number in range(4)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        outputs = [finished(worker) for worker in workers]
        store = KeyringTokenStore(directory=tmp_path, allow="keyrings.alt.file.PlaintextKeyring")
        before, keyring_before = HELD[name], keyring.get_keyring()
        keyring.set_keyring(plain)
        try:
            assert store.load(APP).revision == before[APP][0] + 4 * 3, "an update was lost"
            assert {key: held(store)[key] for key in (IVAN, STALKER)} == {key: before[key] for key in (IVAN, STALKER)}
        finally:
            keyring.set_keyring(keyring_before)
            store.close()
        assert outputs == ["3\n"] * 4
        assert notes(tmp_path) == []

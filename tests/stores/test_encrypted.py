"""What encryption adds: keys in order, wrong ones, rotation beside running programs, passphrases, hostile stores."""

import json
import os
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve
from cryptography.fernet import Fernet

from exbo_oauth import AppToken, ConfigurationError, Entry, MemoryTokenStore, StoreError, StoreKey, UserToken
from exbo_oauth.stores import EncryptedTokenStore, Passphrase
from exbo_oauth.stores.guard import removed
from exbo_oauth.stores.passphrase import Recipe
from exbo_oauth.testing.store_suite import APP, USER, app_entry, together, user_entry

from .leaking import leaks

SECRETS = ("secret-access-token", "def50200")
PHRASE = "correct horse battery"
CHEAP = {"salt": "c2FsdHNhbHQ=", "n": 2, "r": 1, "p": 1}


@pytest.fixture
def inner() -> MemoryTokenStore:
    return MemoryTokenStore()


def key() -> str:
    return EncryptedTokenStore.new_key()


def secret_entry(revision: int = 1) -> Entry:
    return user_entry(revision, "secret-access-token")


def stored(inner: MemoryTokenStore, key: StoreKey = USER) -> Entry:
    entry = inner.load(key)
    assert entry is not None
    return entry


def recipe_of(entry: Entry) -> dict[str, object]:
    recipe: dict[str, object] = entry.token.extra["scrypt"]
    return recipe


class TestSealing:
    def test_what_is_stored_shows_no_secret(self, inner) -> None:
        EncryptedTokenStore(inner, key()).swap(USER, None, secret_entry())
        text = json.dumps(stored(inner).to_dict())
        assert not any(secret in text for secret in SECRETS)
        assert "Меченый" not in text  # what the server added is as secret as the rest

    def test_what_a_store_needs_stays_readable(self, inner) -> None:
        EncryptedTokenStore(inner, key()).swap(USER, None, secret_entry(5))
        entry, plain = stored(inner), secret_entry(5)
        assert (entry.revision, entry.issued_by, entry.issued_at) == (plain.revision, plain.issued_by, plain.issued_at)
        assert entry.token.expires_at == plain.token.expires_at
        assert isinstance(entry.token, UserToken)

    def test_the_first_key_encrypts_and_all_open(self, inner) -> None:
        old, new = key(), key()
        EncryptedTokenStore(inner, old).swap(USER, None, secret_entry(1))
        both = EncryptedTokenStore(inner, [new, old])
        assert both.load(USER) == secret_entry(1)
        both.swap(USER, 1, secret_entry(2))
        assert EncryptedTokenStore(inner, new).load(USER) == secret_entry(2)
        with pytest.raises(StoreError, match="none of the keys"):
            EncryptedTokenStore(inner, old).load(USER)

    def test_a_wrong_key_is_an_error_that_destroys_nothing(self, inner) -> None:
        right, wrong = key(), key()
        EncryptedTokenStore(inner, right).swap(USER, None, secret_entry())
        before = stored(inner)
        store = EncryptedTokenStore(inner, wrong)
        for call in (lambda: store.load(USER), store.rotate):
            with pytest.raises(StoreError, match="none of the keys opens the token of") as caught:
                call()
            assert not leaks(caught.value, right, wrong, *SECRETS)
        assert stored(inner) == before

    def test_a_token_whose_key_is_lost_can_be_removed(self, inner) -> None:
        EncryptedTokenStore(inner, key()).swap(USER, None, secret_entry())
        assert removed(EncryptedTokenStore(inner, key()), USER) == secret_entry().revision
        assert list(inner.keys()) == []

    def test_a_ciphertext_cannot_be_moved_to_another_account(self, inner) -> None:
        store = EncryptedTokenStore(inner, key())
        store.swap(USER, None, secret_entry())
        other = evolve(USER, account="olga")
        inner.swap(other, None, stored(inner))
        with pytest.raises(StoreError, match="for another account"):
            store.load(other)

    def test_a_user_token_cannot_be_passed_off_as_another_kind(self, inner) -> None:
        store = EncryptedTokenStore(inner, key())
        store.swap(USER, None, secret_entry())
        shell = stored(inner)
        fields = {name: getattr(shell.token, name) for name in ("token_type", "access_token", "expires_in")}
        inner.swap(USER, 1, evolve(shell, token=AppToken(**fields)))
        assert store.load(USER) == secret_entry()

    def test_a_plain_token_is_an_error_until_it_is_rotated(self, inner) -> None:
        inner.swap(USER, None, secret_entry())
        store = EncryptedTokenStore(inner, key())
        with pytest.raises(StoreError, match="call rotate") as caught:
            store.load(USER)
        assert not leaks(caught.value, *SECRETS)
        assert store.rotate() == 1
        assert store.load(USER) == secret_entry()

    @pytest.mark.parametrize("plain", ["no json", "[]", "{}", '{"of": 1, "kind": "king", "token": {}}', "[" * 10_000])
    def test_what_somebody_else_encrypted_with_our_key_is_an_error(self, inner, plain) -> None:
        ours = key()
        store = EncryptedTokenStore(inner, ours)
        store.swap(USER, None, secret_entry())
        foreign = Fernet(ours).encrypt(plain.encode()).decode()
        inner.swap(USER, 1, evolve(stored(inner), token=evolve(stored(inner).token, access_token=foreign)))
        with pytest.raises(StoreError, match="not a token of ours"):
            store.load(USER)

    def test_what_json_cannot_carry_is_an_error_and_changes_nothing(self, inner) -> None:
        store, odd = EncryptedTokenStore(inner, key()), secret_entry(2)
        store.swap(USER, None, secret_entry(1))
        odd.token.extra["odd"] = object()
        with pytest.raises(StoreError, match="cannot be stored") as caught:
            store.swap(USER, 1, odd)
        assert not leaks(caught.value, *SECRETS)
        assert store.load(USER) == secret_entry(1)


class TestArguments:
    @pytest.mark.parametrize(
        "keys",
        ["hunter2", b"hunter2", ["hunter2"], [key(), "hunter2"], {"hunter2"}, 5, None, [], (), [5], "ключ-hunter2"],
        ids=lambda keys: type(keys).__name__,
    )
    def test_what_is_no_key_is_refused_without_showing_it(self, inner, keys) -> None:
        with pytest.raises(ConfigurationError, match="key") as caught:
            EncryptedTokenStore(inner, keys)
        assert not leaks(caught.value, "hunter2")

    def test_keys_may_be_bytes_or_any_iterable(self, inner) -> None:
        one = key()
        EncryptedTokenStore(inner, one.encode()).swap(USER, None, secret_entry())
        assert EncryptedTokenStore(inner, iter([one])).load(USER) == secret_entry()

    def test_what_is_no_store_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="not str"):
            EncryptedTokenStore("sqlite:///tokens.db", key())

    def test_the_repr_shows_no_key(self, inner) -> None:
        ours = key()
        assert ours not in f"{EncryptedTokenStore(inner, [ours, Passphrase(PHRASE)])!r} {Passphrase(PHRASE)!r}"
        assert PHRASE not in f"{EncryptedTokenStore(inner, Passphrase(PHRASE))!r} {Passphrase(PHRASE)!r}"

    def test_only_a_passphrase_makes_a_store_in_memory_a_blocking_one(self, inner) -> None:
        assert EncryptedTokenStore(inner, key()).blocking is False
        assert EncryptedTokenStore(inner, Passphrase(PHRASE)).blocking is True


class TestRotating:
    def test_afterwards_the_old_key_is_not_needed(self, inner) -> None:
        old, new = key(), key()
        before = EncryptedTokenStore(inner, old)
        accounts = [StoreKey("https://exbo.net/oauth", "59", str(number)) for number in range(20)]
        for account in accounts:
            before.swap(account, None, secret_entry())
        assert EncryptedTokenStore(inner, [new, old]).rotate() == 20
        after = EncryptedTokenStore(inner, new)
        assert all(after.load(account) == secret_entry() for account in accounts)

    def test_what_the_first_key_encrypts_already_is_left_as_it_is(self, inner) -> None:
        old, new = key(), key()
        EncryptedTokenStore(inner, old).swap(USER, None, secret_entry())
        EncryptedTokenStore(inner, new).swap(APP, None, app_entry(1))
        before, told = inner.load(APP), list[tuple[StoreKey, object]]()
        store = EncryptedTokenStore(inner, [new, old])
        assert store.rotate(progress=lambda key, outcome: told.append((key, outcome))) == 1
        assert sorted(told, key=str) == sorted([(USER, True), (APP, False)], key=str)
        assert inner.load(APP) == before
        assert store.rotate() == 0

    def test_words_that_were_sealed_too_cheaply_are_sealed_anew(self, inner, monkeypatch) -> None:
        phrase = Passphrase(PHRASE)
        store = EncryptedTokenStore(inner, phrase)
        phrase._own = cheap = Recipe(n=2**4)
        store.swap(USER, None, secret_entry())
        assert Recipe.of(inner.load(USER).token.extra["scrypt"]) == cheap
        assert EncryptedTokenStore(inner, Passphrase(PHRASE)).rotate() == 1
        assert Recipe.of(inner.load(USER).token.extra["scrypt"]).work >= Recipe().work

    def test_a_renewal_under_way_can_still_save_its_token(self, inner) -> None:
        """Its refresh token is spent by now: nothing may keep the new pair out of the store."""
        old, new = key(), key()
        renewing = EncryptedTokenStore(inner, old)
        renewing.swap(USER, None, secret_entry(1))
        expected = renewing.load(USER).revision  # the renewal begins …
        assert EncryptedTokenStore(inner, [new, old]).rotate() == 1
        assert renewing.swap(USER, expected, secret_entry(2))  # … and ends
        assert EncryptedTokenStore(inner, [new, old]).load(USER) == secret_entry(2)

    def test_what_is_written_meanwhile_is_not_overwritten(self, inner) -> None:
        old, new = key(), key()
        writing, rotating = EncryptedTokenStore(inner, old), EncryptedTokenStore(inner, [new, old])
        writing.swap(USER, None, secret_entry(1))
        done = threading.Event()

        def rotate() -> None:
            while not done.is_set():
                rotating.rotate()

        with ThreadPoolExecutor(1) as pool:
            rotation = pool.submit(rotate)
            for revision in range(1, 100):
                while rotating.load(USER) is None:
                    pass
                assert writing.swap(USER, revision, secret_entry(revision + 1))
            done.set()
            rotation.result()
        assert rotating.load(USER) == secret_entry(100)

    def test_what_is_written_between_look_and_write_is_looked_at_again(self) -> None:
        """Another program renews the token while the rotation encrypts the old one."""

        class Overtaken(MemoryTokenStore):
            def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
                if entry is not None and entry.revision == expected == 1:  # the rotation's, the first time
                    assert before.swap(key, 1, secret_entry(2))
                return super().swap(key, expected, entry)

        inner, old, new = Overtaken(), key(), key()
        before = EncryptedTokenStore(inner, old)
        before.swap(USER, None, secret_entry(1))
        assert EncryptedTokenStore(inner, [new, old]).rotate() == 1
        assert EncryptedTokenStore(inner, new).load(USER) == secret_entry(2)

    def test_what_cannot_be_opened_stays_and_does_not_stop_the_rest(self, inner) -> None:
        lost, old, new = key(), key(), key()
        EncryptedTokenStore(inner, lost).swap(USER, None, secret_entry())
        EncryptedTokenStore(inner, old).swap(APP, None, app_entry(1))
        before = stored(inner)
        with pytest.raises(StoreError, match="1 of 2 tokens were left as they are"):
            EncryptedTokenStore(inner, [new, old]).rotate()
        assert stored(inner) == before
        assert EncryptedTokenStore(inner, new).load(APP) == app_entry(1)

    def test_what_is_deleted_meanwhile_stays_deleted(self) -> None:
        class Deleting(MemoryTokenStore):
            def keys(self) -> Iterable[StoreKey]:
                found = list(super().keys())
                for each in found:
                    self.swap(each, 1, None)
                return found

        inner = Deleting()
        store = EncryptedTokenStore(inner, key())
        store.swap(USER, None, secret_entry())
        assert store.rotate() == 0
        assert store.load(USER) is None


class TestPassphrase:
    def test_it_opens_what_it_sealed_in_another_process(self, inner) -> None:
        EncryptedTokenStore(inner, Passphrase(PHRASE)).swap(USER, None, secret_entry())
        assert EncryptedTokenStore(inner, Passphrase(PHRASE)).load(USER) == secret_entry()
        with pytest.raises(StoreError, match="none of the keys") as caught:
            EncryptedTokenStore(inner, [key(), Passphrase("wrong horse battery")]).load(USER)
        assert not leaks(caught.value, "horse", *SECRETS)

    def test_the_parameters_of_the_slow_function_are_stored_with_a_salt_of_their_own(self, inner) -> None:
        EncryptedTokenStore(inner, Passphrase(PHRASE)).swap(USER, None, secret_entry())
        recipe = recipe_of(stored(inner))
        assert recipe["n"] * recipe["r"] * recipe["p"] >= 2**20  # what OWASP asks of scrypt
        assert len(str(recipe["salt"])) >= 22
        other = MemoryTokenStore()
        EncryptedTokenStore(other, Passphrase(PHRASE)).swap(USER, None, secret_entry())
        assert recipe_of(stored(other))["salt"] != recipe["salt"]

    def test_a_second_process_seals_as_the_first_did(self, inner) -> None:
        """Each recipe costs a reader a slow moment: a store shall have one, not one for each process that ever ran."""
        EncryptedTokenStore(inner, Passphrase(PHRASE)).swap(USER, None, secret_entry())
        EncryptedTokenStore(inner, Passphrase(PHRASE)).swap(APP, None, app_entry(1))
        assert recipe_of(stored(inner, APP)) == recipe_of(stored(inner, USER))

    def test_threads_of_another_process_seal_as_the_first_did(self, inner) -> None:
        EncryptedTokenStore(inner, Passphrase(PHRASE)).swap(USER, None, secret_entry())
        store = EncryptedTokenStore(inner, Passphrase(PHRASE))
        accounts = [StoreKey("https://exbo.net/oauth", "59", str(number)) for number in range(4)]
        together(4, lambda number: store.swap(accounts[number], None, secret_entry()))
        assert all(recipe_of(stored(inner, account)) == recipe_of(stored(inner, USER)) for account in accounts)

    def test_a_list_of_keys_that_breaks_off_is_no_reason_not_to_write(self) -> None:
        class Torn(MemoryTokenStore):
            def keys(self) -> Iterable[StoreKey]:
                raise StoreError("a key is damaged")

        store = EncryptedTokenStore(Torn(), Passphrase(PHRASE))
        assert store.swap(USER, None, secret_entry())
        assert store.load(USER) == secret_entry()

    def test_a_cheap_recipe_that_somebody_planted_is_never_used_to_seal(self, inner) -> None:
        """Who can write into the store could otherwise make us seal with a key that is quickly guessed."""
        mine = Passphrase(PHRASE)
        store = EncryptedTokenStore(inner, mine)
        store.swap(USER, None, secret_entry())
        planted = evolve(stored(inner), token=evolve(stored(inner).token, extra={"scrypt": CHEAP}))
        fresh = MemoryTokenStore()
        fresh.swap(USER, None, planted)
        victim = EncryptedTokenStore(fresh, Passphrase(PHRASE))
        with pytest.raises(StoreError):
            victim.load(USER)
        victim.swap(APP, None, app_entry(1))
        assert recipe_of(stored(fresh, APP))["n"] > 2**14

    @pytest.mark.parametrize(
        "scrypt",
        [
            "scrypt",
            5,
            [],
            {},
            {**CHEAP, "n": "many"},
            {**CHEAP, "n": 3},
            {**CHEAP, "n": 0},
            {**CHEAP, "n": -2},
            {**CHEAP, "n": float("inf")},
            {**CHEAP, "r": 0},
            {**CHEAP, "r": 2**40},
            {**CHEAP, "n": 2, "r": 2**20},  # little work, and gigabytes
            {**CHEAP, "p": 0},
            {**CHEAP, "p": 2**30},
            {**CHEAP, "n": 2**40},
            {**CHEAP, "n": 2**17},  # too much for so small a block, by RFC 7914
            {**CHEAP, "salt": ""},
            {**CHEAP, "salt": "соль"},
            {**CHEAP, "salt": "a"},
            {**CHEAP, "salt": None},
        ],
        ids=str,
    )
    def test_malformed_parameters_are_an_error(self, inner, scrypt) -> None:
        store = EncryptedTokenStore(inner, [key(), Passphrase(PHRASE)])
        store.swap(USER, None, secret_entry())
        planted = evolve(stored(inner), token=evolve(stored(inner).token, extra={"scrypt": scrypt}))
        inner.swap(USER, 1, planted)
        with pytest.raises(StoreError) as caught:
            store.load(USER)
        assert not leaks(caught.value, *SECRETS)
        assert stored(inner) == planted
        store.swap(APP, None, app_entry(1))  # another account's damage is no reason not to write this one
        assert store.load(APP) == app_entry(1)

    def test_threads_share_one_slow_moment(self, inner) -> None:
        store = EncryptedTokenStore(inner, Passphrase(PHRASE))
        with ThreadPoolExecutor(8) as pool:
            keys = [StoreKey("https://exbo.net/oauth", "59", str(number)) for number in range(8)]
            assert all(pool.map(lambda each: store.swap(each, None, secret_entry()), keys))
        assert len({recipe_of(stored(inner, each))["salt"] for each in keys}) == 1

    def test_recipes_without_end_do_not_fill_the_memory(self, inner, monkeypatch) -> None:
        phrase = Passphrase(PHRASE)
        EncryptedTokenStore(inner, phrase).swap(APP, None, app_entry(1))
        store = EncryptedTokenStore(inner, [key(), phrase])
        store.swap(USER, None, secret_entry())
        for number in range(80):
            salt = urlsafe_b64encode(number.to_bytes(8, "big")).decode()
            token = evolve(stored(inner).token, extra={"scrypt": {**CHEAP, "salt": salt}})
            inner.swap(USER, 1, evolve(stored(inner), token=token))
            with pytest.raises(StoreError):
                store.load(USER)
        assert len(phrase._made) <= 64
        assert phrase._own in phrase._made, "the next write would be slow again"

    def test_a_token_that_a_key_sealed_is_none_of_a_passphrases(self, inner) -> None:
        EncryptedTokenStore(inner, key()).swap(USER, None, secret_entry())
        with pytest.raises(StoreError, match="none of the keys"):
            EncryptedTokenStore(inner, Passphrase(PHRASE)).load(USER)

    def test_in_a_child_process_it_has_a_lock_of_its_own(self) -> None:
        phrase = Passphrase(PHRASE)
        inherited, phrase._pid = phrase._lock_here(), -1
        assert phrase._lock_here() is not inherited
        assert phrase._lock_here() is phrase._lock_here()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_fork_in_the_slow_moment_leaves_the_child_no_dead_lock(self, inner) -> None:
        phrase = Passphrase(PHRASE)
        with phrase._lock_here():
            child = os.fork()
            if child == 0:
                try:
                    EncryptedTokenStore(inner, phrase).swap(USER, None, secret_entry())
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @pytest.mark.parametrize(
        "text", ["", "hunter2", 5, None, b"correct horse battery", "half a letter \ud800"], ids=str
    )
    def test_what_is_no_passphrase_is_refused(self, text) -> None:
        with pytest.raises(ConfigurationError, match="a passphrase"):
            Passphrase(text)

    def test_composed_and_decomposed_letters_are_the_same(self, inner) -> None:
        EncryptedTokenStore(inner, Passphrase("cafe\u0301 cafe\u0301 cafe\u0301")).swap(USER, None, secret_entry())
        assert EncryptedTokenStore(inner, Passphrase("caf\u00e9 caf\u00e9 caf\u00e9")).load(USER) == secret_entry()


class Broken:
    """Somebody's own store on a bad day."""

    def _fail(self, *args: object) -> None:
        raise KeyError(f"secret-access-token {args}")

    load = swap = acquire = release = keys = close = _fail


class TestInnerStores:
    def test_whatever_the_inner_store_raises_is_an_error_of_ours(self) -> None:
        store = EncryptedTokenStore(Broken(), key())
        for call in (
            lambda: store.load(USER),
            lambda: store.swap(USER, None, secret_entry()),
            lambda: store.swap(USER, 1, None),
            lambda: store.acquire(USER, "me", 1),
            lambda: store.release(USER, "me"),
            lambda: list(store.keys()),
            store.rotate,
            store.close,
        ):
            with pytest.raises(StoreError, match="KeyError"):
                call()

    def test_an_error_that_cannot_even_be_told_is_an_error_of_ours(self, inner) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        def swap(*_: object) -> bool:
            raise Mute

        store = EncryptedTokenStore(type("Store", (Broken,), {"swap": staticmethod(swap)})(), key())
        with pytest.raises(StoreError, match="Mute"):
            store.swap(USER, None, secret_entry())

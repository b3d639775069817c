"""Any sequence of calls gives what a plain dict would, on every store alike."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exbo_oauth import Entry, MemoryTokenStore, SQLiteTokenStore, StoreKey
from exbo_oauth.testing.store_suite import app_entry, user_entry

keys = st.builds(
    StoreKey,
    st.sampled_from(["https://exbo.net/oauth", "http://127.0.0.1/oauth"]),
    st.sampled_from(["1", "2"]),
    st.none() | st.sampled_from(["", "a", "b"]) | st.text(max_size=3),
)
revisions = st.integers(1, 3)
entries = st.builds(app_entry, revisions) | st.builds(user_entry, revisions)
owners = st.sampled_from(["me", "you", "они"])


class Stores(RuleBasedStateMachine):
    """Two stores and the dicts that say what is right. A lease either has lapsed at once or lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.memory = MemoryTokenStore()
        self.sqlite = SQLiteTokenStore(self.directory / "tokens.db")
        self.entries: dict[StoreKey, Entry] = {}
        self.leases: dict[StoreKey, str] = {}

    def teardown(self) -> None:
        self.sqlite.close()
        shutil.rmtree(self.directory)

    @property
    def stores(self) -> tuple[MemoryTokenStore, SQLiteTokenStore]:
        return self.memory, self.sqlite

    @rule(key=keys, expected=st.none() | revisions, entry=st.none() | entries)
    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> None:
        stored = self.entries.get(key)
        right = (None if stored is None else stored.revision) == expected
        assert [store.swap(key, expected, entry) for store in self.stores] == [right, right]
        if right and entry is not None:
            self.entries[key] = entry
        elif right:
            self.entries.pop(key, None)

    @rule(key=keys, entry=st.none() | entries)
    def swap_what_is_there(self, key: StoreKey, entry: Entry | None) -> None:
        stored = self.entries.get(key)
        self.swap(key, None if stored is None else stored.revision, entry)

    @rule(key=keys)
    def load(self, key: StoreKey) -> None:
        assert [store.load(key) for store in self.stores] == [self.entries.get(key)] * 2

    @rule(key=keys, owner=owners, lasts=st.booleans())
    def acquire(self, key: StoreKey, owner: str, lasts: bool) -> None:
        right = self.leases.get(key, owner) == owner
        assert [store.acquire(key, owner, 3600 if lasts else 0) for store in self.stores] == [right, right]
        if right and lasts:
            self.leases[key] = owner
        elif right:
            self.leases.pop(key, None)

    @rule(key=keys, owner=owners)
    def release(self, key: StoreKey, owner: str) -> None:
        for store in self.stores:
            store.release(key, owner)
        if self.leases.get(key) == owner:
            del self.leases[key]

    @rule()
    def reopen(self) -> None:
        self.sqlite.close()
        self.sqlite = SQLiteTokenStore(self.directory / "tokens.db")

    @invariant()
    def the_same_keys(self) -> None:
        for store in self.stores:
            listed = list(store.keys())
            assert set(listed) == self.entries.keys()
            assert len(listed) == len(self.entries)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

"""What a store adds: SQLite's load, and load and swap, beside plain `sqlite3`; 100,000 tokens in memory beside tuples.

Processor time. The file is as real as a file of yours: each written token is on the disk before it counts.
"""

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import evolve

from exbo_oauth import Entry, SQLiteTokenStore, StoreKey, UserToken
from exbo_oauth.stores.entry_text import text_of

from .ratio import Ratio, in_turns

ROUNDS, CALLS = 40, 100
PROCESSES = 3
KEY = StoreKey("https://exbo.net/oauth", "59", "telegram:1")

FILLING = """
import secrets, sys, time
from datetime import UTC, datetime, timedelta

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

kept, end, number = {keep}, datetime.now(UTC) + timedelta(days=365), 100_000
texts = [secrets.token_hex(32) for _ in range(1000)]

def fields(account):
    unlike = f"{{account:08}}{{texts[account % 1000]}}"
    return "eyJ0" + unlike + "x" * 564, "def50200" + unlike + "f" * 628

put(0)
before, start = resident(), time.process_time()
for account in range(1, number + 1):
    put(account)
print((time.process_time() - start) / number, (resident() - before) / number)
"""
WAYS = {
    "exbo-oauth": """MemoryTokenStore()
from exbo_oauth import Entry, MemoryTokenStore, StoreKey, UserToken
def put(account):
    access, refresh = fields(account)
    token = UserToken(token_type="Bearer", access_token=access, refresh_token=refresh, expires_in=end)
    entry = Entry(token=token, revision=1, issued_by="host/1", issued_at=end)
    kept.swap(StoreKey("https://exbo.net/oauth", "59", f"telegram:{account}"), None, entry)
""",
    "tuples": """{}
def put(account):
    kept[f"telegram:{account}"] = ("Bearer", *fields(account), end)
""",
    "authlib's OAuth2Token": """{}
from authlib.oauth2.rfc6749 import OAuth2Token
def put(account):
    access, refresh = fields(account)
    kept[f"telegram:{account}"] = OAuth2Token(
        {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_at": 1893456000}
    )
""",
}


def measure() -> Iterator[Ratio | str]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        yield from _sqlite(Path(folder))
    yield from _memory()


def _sqlite(folder: Path) -> Iterator[Ratio]:
    store, plain = SQLiteTokenStore(folder / "ours.db"), _plain(folder / "plain.db")
    store.swap(KEY, None, _entry())
    where = "a = ? AND b = ? AND c = ? AND d = ?"
    key = (KEY.base_url, KEY.client_id, 1, KEY.account)

    def looked_up() -> tuple[int, str]:
        found: tuple[int, str] = plain.execute(f"SELECT r, e FROM t WHERE {where}", key).fetchone()
        return found

    def replaced() -> None:
        revision, text = looked_up()
        done = plain.execute(
            f"UPDATE t SET r = ?, e = ? WHERE {where} AND r = ?",
            (revision + 1, text, *key, revision),
        )
        assert done.rowcount == 1

    def swapped() -> None:
        entry = store.load(KEY)
        assert entry is not None
        assert store.swap(KEY, entry.revision, evolve(entry, revision=entry.revision + 1))

    ways = {"load": (lambda: store.load(KEY), looked_up, 20e-6), "load and swap": (swapped, replaced, 200e-6)}
    for what, (ours, theirs, aim) in ways.items():
        our_times, their_times = in_turns(lambda: _each(ours), lambda: _each(theirs), ROUNDS)  # noqa: B023
        title = f"SQLite, {what}"
        yield Ratio(
            ours=f"{title}: exbo-oauth",
            theirs=f"{title}: plain sqlite3",
            our_times=our_times,
            their_times=their_times,
            aim=aim,
            aims_at_seconds=True,
        )
    store.close()
    plain.close()


def _plain(path: Path) -> sqlite3.Connection:
    """The same durability, and a table of the same kind."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (a TEXT, b TEXT, c INT, d TEXT, r INT, e TEXT, PRIMARY KEY (a, b, c, d))")
    row = (KEY.base_url, KEY.client_id, 1, KEY.account, 1, text_of(_entry()))
    connection.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", row)
    return connection


def _each(call: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - start) / CALLS


def _entry() -> Entry:
    """As long as a real one."""
    now = datetime.now(UTC)
    token = UserToken(
        token_type="Bearer",
        access_token="eyJ0" + "x" * 636,
        refresh_token="def50200" + "ab" * 350,
        expires_in=now + timedelta(days=365),
    )
    return Entry(token=token, revision=1, issued_by="host/1", issued_at=now)


def _memory() -> Iterator[str]:
    if not Path("/proc/self/status").exists():
        yield "  what a process keeps in memory is told by Linux only"
        return
    for name, way in WAYS.items():
        made, _, rest = way.partition("\n")
        program = rest + FILLING.format(keep=made)
        runs = [_numbers(program) for _ in range(PROCESSES)]
        seconds, size = sorted(runs)[PROCESSES // 2]
        aim = ", aim 1,750 bytes and 20 µs" if name == "exbo-oauth" else ""
        yield f"  100,000 tokens in memory, each: {size:,.0f} bytes, {seconds * 1e6:.0f} µs   {name}{aim}"


def _numbers(program: str) -> tuple[float, float]:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, size = map(float, run.stdout.split())
    return seconds, size

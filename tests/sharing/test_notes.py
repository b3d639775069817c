"""What processes tell each other through the store is written behind their callers' backs."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from exbo_oauth import Entry, SQLiteTokenStore, StoreKey

from .conftest import Sandbox
from .processes import ROOT


class Gated(SQLiteTokenStore):
    """A store that does not answer whoever writes notes while its gate is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.asked = 0

    def load(self, key: StoreKey) -> Entry | None:
        if threading.current_thread().name == "exbo-oauth notes":
            self.asked += 1
            self.gate.wait(60)
        return super().load(key)


def blocking(sandbox: Sandbox, store: Gated, calls: int, then: Callable[[], object]) -> list[int]:
    with sandbox.sync(store=store) as oauth, httpx.Client(auth=oauth.app_auth(), timeout=60) as api:
        answers = [api.get(sandbox.resource).status_code for _ in range(calls)]
        then()
    return answers


async def awaiting(sandbox: Sandbox, store: Gated, calls: int, then: Callable[[], object]) -> list[int]:
    async with sandbox.aio(store=store) as oauth, httpx.AsyncClient(auth=oauth.app_auth(), timeout=60) as api:
        answers = [(await api.get(sandbox.resource)).status_code for _ in range(calls)]
        then()
    return answers


def called(colour: str, *arguments: Any) -> list[int]:
    return blocking(*arguments) if colour == "sync" else anyio.run(awaiting, *arguments, backend=colour)


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_a_store_that_takes_no_note_delays_no_call_and_has_it_later(
    sandbox: Sandbox, colour: str, tmp_path: Path
) -> None:
    key = StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id))
    store = Gated(tmp_path / "tokens.db")
    assert called(colour, sandbox, store, 3, store.gate.set) == [200] * 3  # the gate is closed until they are answered
    entry = store.load(key)
    assert entry is not None
    assert entry.accepted_at is not None
    assert store.asked == 1
    store.close()


def test_one_thread_writes_the_notes_of_all_tokens(sandbox: Sandbox, tmp_path: Path) -> None:
    store = Gated(tmp_path / "tokens.db")
    sandbox.sign_in(store)
    with sandbox.sync(store=store) as oauth:
        for auth in (oauth.app_auth(), oauth.user_auth("ivan")):
            with httpx.Client(auth=auth, timeout=60) as api:
                assert api.get(sandbox.resource).status_code == 200
        store.gate.set()
    for account in (None, "ivan"):
        entry = store.load(StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), account))
        assert entry is not None
        assert entry.accepted_at is not None
    store.close()


@pytest.mark.parametrize("colour", ["sync", "trio"])
def test_a_client_is_closed_whether_or_not_the_store_takes_its_notes(
    sandbox: Sandbox, colour: str, tmp_path: Path
) -> None:
    store = Gated(tmp_path / "tokens.db")
    assert called(colour, sandbox, store, 1, lambda: None) == [200]
    store.gate.set()
    store.close()


SCRIPT = """
import sys
import httpx
from exbo_oauth import SQLiteTokenStore, SyncOAuthClient
path, base_url, client_id, client_secret, resource = sys.argv[1:]
store = SQLiteTokenStore(path)
oauth = SyncOAuthClient(client_id=client_id, client_secret=client_secret, base_url=base_url, store=store)
with httpx.Client(auth=oauth.app_auth(), timeout=60) as api:
    api.get(resource).raise_for_status()
"""


FORKING = SCRIPT.replace(
    "with httpx", "import os\noauth.ensure_app_token()\nif os.fork():\n    os.wait()\n    os._exit(0)\nwith httpx"
)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(SCRIPT, id="a script that just ends"),
        pytest.param(
            FORKING,
            id="a child",
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
        ),
    ],
)
def test_a_process_that_ends_has_told_what_it_knew(sandbox: Sandbox, script: str, tmp_path: Path) -> None:
    app, path = sandbox.fake.app, tmp_path / "tokens.db"
    given = [path, sandbox.base_url, app.client_id, app.client_secret, sandbox.resource]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", script, *map(str, given)], env=environment, check=True, timeout=120)
    store = SQLiteTokenStore(path)
    entry = store.load(StoreKey(sandbox.base_url, str(app.client_id)))
    store.close()
    assert entry is not None
    assert entry.accepted_at is not None

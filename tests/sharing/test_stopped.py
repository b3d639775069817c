"""A process that was stopped for longer than its time limit reads the answer that came meanwhile when it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exbo_oauth import SQLiteTokenStore, StoreKey, UserToken

from .conftest import Sandbox
from .processes import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@pytest.mark.parametrize("kind", ["blocking", "asyncio", "trio"])
def test_an_answer_that_came_while_the_process_was_stopped_is_read(sandbox: Sandbox, kind: str, tmp_path: Path) -> None:
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    old, gate, app = sandbox.sign_in(store), sandbox.fake.hold(times=1), sandbox.fake.app
    before, program = sandbox.posts, str(Path(__file__).with_name("stopped.py"))
    process = subprocess.Popen(
        [sys.executable, program, kind, tmp_path / "tokens.db", sandbox.base_url, app.client_id, app.client_secret],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    gate.wait(timeout=120)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    gate.release()
    time.sleep(4.5)  # longer than its time limit
    process.send_signal(signal.SIGCONT)
    assert (process.communicate(timeout=120)[1], process.returncode) == ("", 0)
    saved = store.load(StoreKey(sandbox.base_url, str(app.client_id), "ivan"))
    assert saved is not None
    assert isinstance(saved.token, UserToken)
    assert saved.token.refresh_token != old.refresh_token
    assert sandbox.fake.is_live(saved.token)
    assert sandbox.posts == before + 1
    store.close()

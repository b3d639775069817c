"""Whoever ends a renewal from outside, by a signal or an exception raised into it, ends it when the pair is saved."""

import asyncio
import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from exbo_oauth import LoginRequiredError, MemoryTokenStore, OAuthError, SQLiteTokenStore, StoreKey, UserToken

from .conftest import Sandbox, awaited_by
from .processes import ROOT

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
with_gevent = pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="needs gevent: pip install gevent")

HERE = Path(__file__).parent
KINDS = ["blocking", "forked", "asyncio", "trio", pytest.param("greenlet", marks=with_gevent)]


def key_of(sandbox: Sandbox) -> StoreKey:
    return StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), "ivan")


# Signals


class Ending:
    """A process of `ending.py` that is about to renew ivan's token, and its user's store."""

    def __init__(self, sandbox: Sandbox, path: Path, kind: str, signals: str) -> None:
        self.store = SQLiteTokenStore(path)
        self.sandbox = sandbox
        self.old = sandbox.sign_in(self.store)
        self.gate = sandbox.fake.hold(times=1)
        app = sandbox.fake.app
        arguments = [kind, signals, str(path), sandbox.base_url, app.client_id, app.client_secret]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "ending.py"), *arguments],
            stdin=pipe,
            stdout=pipe,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def let_save(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it is gone
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def send(self, number: int) -> None:
        self.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):  # one that does not wait ends at once
            self.process.wait(0.3)

    def end(self) -> int:
        return self.process.wait(120)

    def check_saved(self) -> None:
        saved = self.store.load(key_of(self.sandbox))
        assert saved is not None
        assert isinstance(saved.token, UserToken)
        assert saved.token.refresh_token != self.old.refresh_token
        assert self.sandbox.fake.is_live(saved.token)


@contextmanager
def ending(sandbox: Sandbox, folder: Path, kind: str, signals: str = "default") -> Generator[Ending]:
    started = Ending(sandbox, folder / "tokens.db", kind, signals)
    try:
        yield started
    finally:
        started.gate.release()
        started.process.kill()
        started.process.communicate()
        started.store.close()


@posix
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("blocking", "SIGTERM"),
        ("blocking", "SIGHUP"),
        ("asyncio", "SIGTERM"),
        ("trio", "SIGTERM"),
        pytest.param("greenlet", "SIGTERM", marks=with_gevent),
    ],
)
def test_a_signal_that_comes_while_the_answer_is_awaited_ends_the_process_when_the_pair_is_saved(
    sandbox: Sandbox, tmp_path: Path, kind: str, name: str
) -> None:
    with ending(sandbox, tmp_path, kind) as process:
        process.gate.wait(1, timeout=120)
        process.send(getattr(signal, name))
        process.gate.release()
        assert process.says() == "saving"
        process.let_save()
        assert process.end() == -getattr(signal, name)
        process.check_saved()


@posix
@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_that_comes_while_the_store_writes_ends_the_process_when_the_pair_is_saved(
    sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    with ending(sandbox, tmp_path, kind) as process:
        process.gate.release()
        assert process.says() == "saving"
        process.send(signal.SIGTERM)
        process.send(signal.SIGTERM)
        process.let_save()
        assert process.end() == -signal.SIGTERM
        process.check_saved()


@posix
@pytest.mark.parametrize("kind", ["blocking", "trio"])
def test_a_signal_has_its_default_action_when_nothing_is_renewed(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    with ending(sandbox, tmp_path, kind) as process:
        process.gate.release()
        assert process.says() == "saving"
        process.let_save()
        assert process.says() == "default"
        assert process.says() == "renewed"
        process.send(signal.SIGTERM)
        assert process.end() == -signal.SIGTERM
        process.check_saved()


@posix
@pytest.mark.parametrize("kind", ["blocking", "trio"])
def test_a_programs_own_handler_decides_when_the_process_ends(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    with ending(sandbox, tmp_path, kind, "notes") as process:
        process.gate.wait(1, timeout=120)
        process.send(signal.SIGTERM)
        process.gate.release()
        assert process.says() == "saving"
        process.let_save()
        assert process.says() == "handled"
        assert process.says() == "renewed"
        process.check_saved()


@posix
def test_a_handler_that_exits_ends_the_process_when_the_pair_is_saved(sandbox: Sandbox, tmp_path: Path) -> None:
    with ending(sandbox, tmp_path, "blocking", "exits") as process:
        process.gate.wait(1, timeout=120)
        process.send(signal.SIGTERM)
        process.gate.release()
        assert process.says() == "saving"
        process.let_save()
        assert process.end() == 7
        process.check_saved()


@posix
def test_a_renewal_on_another_thread_changes_nothing_about_signals(sandbox: Sandbox, tmp_path: Path) -> None:
    with ending(sandbox, tmp_path, "thread") as process:
        assert process.says() == "default"
        assert process.says() == "default"
        process.gate.wait(1, timeout=120)
        process.gate.release()
        assert process.says() == "saving"
        process.let_save()
        assert process.says() == "default"


@posix
def test_a_handler_that_is_set_while_a_signal_waits_is_given_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tasks save, and a task and a thread that come meanwhile do not begin: for all we know the process ends."""
    names, store, came = ("anna", "boris", "clara", "dmitri"), MemoryTokenStore(), list[int]()
    olds = {name: sandbox.sign_in(store, name) for name in names}
    gate, sleep, waits = sandbox.fake.hold(times=2), time.sleep, threading.Event()

    def noted(seconds: float) -> None:
        if seconds == 0.02:
            waits.set()
        sleep(seconds)

    async def main() -> None:
        async with sandbox.aio(store=store) as oauth, anyio.create_task_group() as group:
            for name in names[:2]:
                group.start_soon(partial(oauth.ensure_user_token, name, rejected=olds[name]))
            await gate.wait_async(2)
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            signal.raise_signal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
            monkeypatch.setattr(time, "sleep", noted)
            task = asyncio.create_task(oauth.ensure_user_token(names[2], rejected=olds[names[2]]))
            with sandbox.sync(store=store) as blocking:
                thread = started(lambda: blocking.ensure_user_token(names[3], rejected=olds[names[3]]), [])
                while not waits.is_set() or "AsyncPerformer._saving" not in awaited_by(task):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                assert came == []
                gate.release()
                await anyio.to_thread.run_sync(thread.join)
            await task
            assert came == [signal.SIGTERM]

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    for name in names:
        saved = store.load(StoreKey(sandbox.base_url, str(sandbox.fake.app.client_id), name))
        assert saved is not None
        assert saved.token != olds[name]
        assert sandbox.fake.is_live(saved.token)


# Exceptions raised into a thread


class TimeLimitError(Exception):
    """As Dramatiq's time limit and func_timeout raise one."""


def raise_into(thread: threading.Thread) -> None:
    assert thread.ident is not None
    raising = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raising(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeLimitError))


def started(call: Callable[[], object], ended: list[object]) -> threading.Thread:
    """A thread that calls, and notes how that ends."""

    def run() -> None:
        try:
            ended.append(call())
        except (OAuthError, TimeLimitError) as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("times", [1, 3])
def test_a_time_limit_in_a_worker_thread_takes_effect_when_the_pair_is_saved(sandbox: Sandbox, times: int) -> None:
    store, ended = MemoryTokenStore(), list[object]()
    old = sandbox.sign_in(store)
    posts = sandbox.posts
    with sandbox.sync(store=store) as oauth:
        gate = sandbox.fake.hold(times=1)
        worker = started(lambda: oauth.ensure_user_token("ivan", rejected=old), ended)
        gate.wait(1)
        for _ in range(times):
            raise_into(worker)
            time.sleep(0.05)  # so that each of them finds the worker waiting
        gate.release()
        worker.join()
        assert ended == [TimeLimitError]
        newer = oauth.ensure_user_token("ivan", rejected=old)
        assert newer != old
        assert sandbox.fake.is_live(newer)
    assert sandbox.posts == posts + 1


def test_time_limits_at_any_moment_lose_nothing_and_cost_no_second_issue(sandbox: Sandbox, tmp_path: Path) -> None:
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    old, app, pipe = sandbox.sign_in(store), sandbox.fake.app, subprocess.PIPE
    posts, ended = sandbox.posts, list[str]()
    arguments = [str(store.path), sandbox.base_url, app.client_id, app.client_secret]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "time_limits.py"), *arguments],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for _ in range(40):
            print(file=process.stdin, flush=True)
            ended.append(process.stdout.readline().strip())
            assert ended[-1], process.communicate()[1]
            saved = store.load(key_of(sandbox))
            assert saved is not None
            assert sandbox.fake.is_live(saved.token)
            assert sandbox.posts <= posts + len(ended)
        _, said = process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, said  # Python 3.11 says which threads it ended in place of the worker
    assert "TimeLimitError" in ended
    with sandbox.sync(store=store) as other:
        assert sandbox.fake.is_live(other.ensure_user_token("ivan", rejected=old))
    store.close()


# Greenlets


@with_gevent
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_greenlet_that_is_killed_loses_nothing(sandbox: Sandbox, tmp_path: Path, how: str) -> None:
    accounts = [f"user-{number}" for number in range(25)]
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    with sandbox.sync(store=store) as oauth:
        for account in accounts:
            user = sandbox.fake.add_user(account)
            attempt = oauth.begin_login()
            oauth.finish_login(attempt, sandbox.fake.authorize(attempt.url, user), account=account)
    store.close()
    app = sandbox.fake.app
    arguments = [how, str(store.path), sandbox.base_url, app.client_id, app.client_secret, ",".join(accounts)]
    run = subprocess.run(
        [sys.executable, str(HERE / "greenlets.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.stderr == ""
    cut, *lost = run.stdout.split()
    assert int(cut)
    assert lost == []


def test_nobody_is_signed_out_by_the_look_that_follows(sandbox: Sandbox) -> None:
    """What the tests above would see if a pair were lost."""
    store = MemoryTokenStore()
    old = sandbox.sign_in(store)
    with sandbox.sync(store=store) as oauth:
        oauth.refresh_user_token(old)  # and not saved
        with pytest.raises(LoginRequiredError):
            oauth.ensure_user_token("ivan", rejected=old)

"""One file, many processes: real ones, some of which die."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exbo_oauth import SQLiteTokenStore
from exbo_oauth.testing.store_suite import APP, app_entry, eventually

from .processes import finished, start

posix = pytest.mark.skipif(os.name != "posix", reason="this is about POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteTokenStore]:
    store = SQLiteTokenStore(path, timeout=60)
    yield store
    store.close()


def test_no_update_of_many_processes_is_lost(store: SQLiteTokenStore, path: Path) -> None:
    store.swap(APP, None, app_entry(1))
    workers = [start("increment", path, 50) for _ in range(4)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        finished(worker)
    assert store.load(APP) == app_entry(201)


def test_processes_that_start_together_make_one_file(path: Path) -> None:
    for attempt in range(2):
        shared = path.with_name(f"{attempt}.db")
        workers = [start("create", shared, number) for number in range(6)]
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert sorted(finished(worker).strip() for worker in workers) == ["False"] * 5 + ["True"]


def test_the_lease_of_a_killed_process_lapses(store: SQLiteTokenStore, path: Path) -> None:
    holder = start("hold", path, 3)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    holder.kill()
    holder.communicate()
    assert eventually(lambda: store.acquire(APP, "the living", 60))


def test_a_process_killed_while_writing_leaves_a_whole_entry(store: SQLiteTokenStore, path: Path) -> None:
    store.swap(APP, None, app_entry(1))
    for _ in range(3):
        writer = start("write_on", path, 0)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.kill()
        writer.communicate()
        entry = store.load(APP)
        assert entry is not None
        assert entry == app_entry(entry.revision)
        assert store.swap(APP, entry.revision, app_entry(entry.revision + 1))


@posix
def test_a_process_with_threads_can_fork(store: SQLiteTokenStore, path: Path) -> None:
    store.swap(APP, None, app_entry(1))
    failed, counted = map(int, finished(start("fork", path, 8)).split())
    assert failed == 0
    assert store.load(APP) == app_entry(1 + counted + 8 * 2)


@posix
def test_a_fork_behind_pythons_back_does_no_harm(store: SQLiteTokenStore, path: Path) -> None:
    store.swap(APP, None, app_entry(1))
    assert finished(start("fork_in_c", path, 0)) == "0\n"
    assert store.load(APP) == app_entry(1 + 42)


@posix
def test_a_forked_child_can_use_and_close_its_parents_store(store: SQLiteTokenStore) -> None:
    store.swap(APP, None, app_entry(1))
    child = os.fork()
    if child == 0:
        fine = store.swap(APP, 1, app_entry(2))
        store.close()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.load(APP) == app_entry(2)


@posix
def test_a_disk_that_takes_no_more_loses_nothing_that_was_written(path: Path) -> None:
    said, kept = finished(start("out_of_space", path, 300_000)).splitlines()
    assert str(path) in said
    assert "the disk refused: it may be full or failing" in said
    assert kept == "True True"

"""Who may have a hand in the files of an SQLite store, and where they may lie: other users, groups, mounts, copies."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from exbo_oauth import SQLiteTokenStore, StoreError, StoreKey
from exbo_oauth.stores import KeyringTokenStore, sqlite_mounts
from exbo_oauth.stores.sqlite_mounts import is_mounted_alone
from exbo_oauth.testing.store_suite import APP, USER, app_entry, user_entry

from .test_sqlite import synchronous

IVAN, OLGA, STALKERS = 4201, 4202, 4300

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can become another user, and mount"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in which everybody may make files, as /tmp is.

    Not below pytest's own: whenever another pytest begins, that is closed to all others.
    """
    with TemporaryDirectory() as made:
        for folder in (Path(made), *Path(made).parents):
            if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)
        (Path(made) / "place").mkdir()
        (Path(made) / "place").chmod(0o1777)
        with another_user(IVAN):
            reached = os.access(Path(made) / "place", os.W_OK, effective_ids=True)
        if not reached:
            pytest.skip("this machine's / is closed to all but root")
        yield Path(made) / "place"


@contextmanager
def another_user(user: int, group: int | None = None) -> Iterator[None]:
    """For this process to be another one, who is in no other group."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(user if group is None else group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def filled(path: Path, *, group: bool = False) -> Path:
    with closing(SQLiteTokenStore(path, group=group)) as store:
        assert store.swap(APP, None, app_entry(1))
    return path


def modes(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o7777 for file in directory.iterdir()}


# Other users


def an_empty_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def a_link_to_his_file(path: Path) -> None:
    an_empty_file(path.with_name("his.db"))
    path.symlink_to(path.with_name("his.db"))


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing.db"))


@as_root
@pytest.mark.parametrize("plant", [an_empty_file, a_link_to_his_file, a_link_to_nothing], ids=lambda it: it.__name__)
@pytest.mark.parametrize("user", [0, OLGA], ids=["root", "a user"])
def test_what_another_user_has_put_there_is_refused(place: Path, plant: Callable[[Path], None], user: int) -> None:
    path = place / "tokens.db"
    with another_user(IVAN):
        plant(path)
    with closing(SQLiteTokenStore(path)) as store, another_user(user):
        with pytest.raises(StoreError, match=rf"belongs to another user \(number {IVAN}\)|Permission denied"):
            store.swap(USER, None, user_entry(1))
    assert not any(b"def50200" in file.read_bytes() for file in place.iterdir() if file.exists())


@as_root
@pytest.mark.parametrize("side", ["-wal", "-shm", "-journal"])
def test_a_log_that_another_user_has_put_there_is_refused(place: Path, side: str) -> None:
    path = filled(place / "tokens.db")
    with another_user(IVAN):
        an_empty_file(path.with_name(path.name + side))
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert caught.value.code == "exbo-oauth.store.owner"
    assert str(caught.value) == (
        f"'{path}{side}' belongs to another user (number {IVAN}), who could read the tokens that are put there: run "
        "this as that user, or remove the file if it is not yours; to allow the group of its directory to share it, "
        "open it with group=True (?group=1 in a URL)"
    )


@posix
@pytest.mark.parametrize("side", ["-wal", "-shm"])
def test_a_log_that_is_a_link_is_refused(tmp_path: Path, side: str) -> None:
    path = filled(tmp_path / "tokens.db")
    path.with_name(path.name + side).symlink_to(tmp_path / "elsewhere")
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert str(caught.value) == f"'{path}{side}' is a link to another place, which SQLite never makes: remove it"


@as_root
def test_what_another_user_puts_in_place_of_an_open_store_is_refused(place: Path) -> None:
    path = place / "tokens.db"
    with closing(SQLiteTokenStore(path)) as store:
        store.swap(APP, None, app_entry(1))
        for file in place.iterdir():
            file.unlink()
        with another_user(IVAN):
            an_empty_file(path)
        with pytest.raises(StoreError, match="belongs to another user"):
            store.swap(APP, 1, app_entry(2))


@as_root
def test_what_root_alone_can_read_is_said_to_be_roots(place: Path) -> None:
    """A command that root ran before the service did, for instance."""
    path = filled(place / "tokens.db")
    with another_user(IVAN), closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert caught.value.code == "exbo-oauth.store.owner"
    assert str(caught.value) == (
        f"'{path}' belongs to another user (root), and this program, which runs as number {IVAN}, cannot use it "
        f"(unable to open database file): it has to be number {IVAN}'s. Run: sudo chown {IVAN} {path}"
    )
    path.with_name("tokens.db-wal").touch(0o600)
    with another_user(IVAN), closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert str(caught.value).endswith(f"Run: sudo chown {IVAN} {path} {path}-wal")


@as_root
@pytest.mark.parametrize(
    "made",
    [lambda closed: SQLiteTokenStore(closed / "tokens.db"), lambda closed: KeyringTokenStore(directory=closed)],
    ids=["a file", "a keyring"],
)
def test_what_lies_where_one_cannot_look_is_not_said_to_be_anybodys(place: Path, made: Callable[[Path], Any]) -> None:
    (place / "closed").mkdir(0o700)
    filled(place / "closed" / "tokens.db")
    with another_user(IVAN), closing(made(place / "closed")) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert "/tokens.db' failed: [Errno 13] Permission denied: " in str(caught.value)


@as_root
def test_what_the_group_of_a_directory_cannot_write_need_not_be_another_members(place: Path) -> None:
    folder = place / "shared"
    folder.mkdir()
    os.chown(folder, IVAN, STALKERS)
    folder.chmod(0o2770)
    path = folder / "tokens.db"
    with another_user(IVAN, STALKERS):
        filled(path, group=True)
    path.chmod(0o640)
    with another_user(OLGA, STALKERS), closing(SQLiteTokenStore(path, group=True)) as store:
        with pytest.raises(StoreError, match="cannot be written: check the permissions") as caught:
            store.swap(APP, 1, app_entry(2))
    assert "chown" not in str(caught.value)


@as_root
def test_what_is_wrong_with_a_file_of_roots_is_not_always_that_it_is_roots(place: Path) -> None:
    folder = place / "ivans"
    folder.mkdir()
    path = filled(folder / "tokens.db")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    path.chmod(0o644)
    folder.chmod(0o700)
    os.chown(folder, IVAN, IVAN)
    with another_user(IVAN), closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError, match="is damaged"):
        store.load(APP)


@as_root
def test_a_user_may_go_on_with_what_root_has_made(place: Path) -> None:
    """Root reads everything anyway: what counts is that nobody else does."""
    folder = place / "ivans"
    folder.mkdir()
    os.chown(folder, IVAN, IVAN)
    with another_user(IVAN):
        path = filled(folder / "tokens.db")
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).touch(0o600)
    assert {file.stat().st_uid for file in folder.iterdir()} == {0, IVAN}
    for side in ("-wal", "-shm"):
        os.chown(path.with_name(path.name + side), 0, IVAN)
        path.with_name(path.name + side).unlink()
    os.chown(path, 0, 0)
    with closing(SQLiteTokenStore(path)) as store:
        assert store.load(APP) == app_entry(1)


@posix
@pytest.mark.parametrize("bits", [0o640, 0o660, 0o644, 0o666], ids=oct)
def test_in_a_directory_that_nobody_else_can_enter_the_bits_of_a_file_mean_nothing(tmp_path: Path, bits: int) -> None:
    tmp_path.chmod(0o700)
    path = filled(tmp_path / "tokens.db")
    path.chmod(bits)
    with closing(SQLiteTokenStore(path)) as store:
        assert store.load(APP) == app_entry(1)


@posix
def test_in_a_directory_that_only_the_group_can_enter_the_bits_for_others_mean_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "volume" / "tokens.db", group=True)
    path.chmod(0o666)
    assert path.parent.stat().st_mode & 0o777 == 0o770
    with closing(SQLiteTokenStore(path, group=True)) as store:
        assert store.load(APP) == app_entry(1)


@posix
def test_a_link_of_ones_own_is_followed_with_everything_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    link = tmp_path / "b" / "tokens.db"
    link.symlink_to(tmp_path / "a" / "really.db")
    with closing(SQLiteTokenStore(link)) as store:
        store.swap(APP, None, app_entry(1))
        assert set(modes(tmp_path / "a")) == {"really.db", "really.db-wal", "really.db-shm"}
        assert list((tmp_path / "b").iterdir()) == [link]


# A group


@posix
def test_a_group_has_to_be_allowed(tmp_path: Path) -> None:
    path = filled(tmp_path / "volume" / "tokens.db")
    path.chmod(0o660)
    path.parent.chmod(0o2770)  # as a volume's owner is made to be at every mount
    with closing(SQLiteTokenStore(path)) as store:
        with pytest.raises(StoreError, match=r"allow the group.*group=True.*\?group=1.*Run: chmod 600"):
            store.load(APP)
    with closing(SQLiteTokenStore(path, group=True)) as store:
        assert store.load(APP) == app_entry(1)
        store.backup(tmp_path / "backup.db")


@posix
def test_a_file_that_one_had_alone_is_opened_to_the_group(tmp_path: Path) -> None:
    path = filled(tmp_path / "volume" / "tokens.db")
    path.parent.chmod(0o2770)
    with closing(SQLiteTokenStore(path, group=True)) as store:
        assert store.load(APP) == app_entry(1)
    assert modes(path.parent) == {"tokens.db": 0o660}


@as_root
def test_a_file_that_is_not_the_groups_is_not_opened_to_its_own(tmp_path: Path) -> None:
    path = filled(tmp_path / "volume" / "tokens.db")
    os.chown(path.parent, 0, STALKERS)
    path.parent.chmod(0o770)
    with closing(SQLiteTokenStore(path, group=True)) as store:
        assert store.load(APP) == app_entry(1)
    assert modes(path.parent) == {"tokens.db": 0o600}


@posix
def test_what_is_made_for_a_group_is_made_for_it_from_the_first_byte(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with closing(SQLiteTokenStore(tmp_path / "a" / "tokens.db", group=True)) as store:
            store.swap(APP, None, app_entry(1))
            assert modes(tmp_path) == {"a": 0o2770}
            assert modes(tmp_path / "a") == {"tokens.db": 0o660, "tokens.db-wal": 0o660, "tokens.db-shm": 0o660}
    finally:
        os.umask(before)


@as_root
def test_two_users_share_a_store_through_their_group(place: Path) -> None:
    folder = place / "shared"
    folder.mkdir()
    os.chown(folder, 0, STALKERS)
    folder.chmod(0o2770)
    with another_user(IVAN, STALKERS):
        filled(folder / "tokens.db")  # for himself alone at first
        one = SQLiteTokenStore(folder / "tokens.db", group=True)
        assert one.swap(APP, 1, app_entry(2))
    with another_user(OLGA, STALKERS), closing(SQLiteTokenStore(folder / "tokens.db", group=True)) as other:
        assert other.load(APP) == app_entry(2)
        assert other.acquire(APP, "olga", 60)
        assert other.swap(APP, 2, app_entry(3))
    with another_user(IVAN, STALKERS), closing(one):
        assert one.load(APP) == app_entry(3)
        assert not one.acquire(APP, "ivan", 60)


@as_root
def test_what_belongs_to_a_stranger_is_refused_though_a_group_is_allowed(place: Path) -> None:
    path = filled(place / "tokens.db", group=True)
    path.unlink()
    with another_user(IVAN):
        an_empty_file(path)
    with closing(SQLiteTokenStore(path, group=True)) as store, pytest.raises(StoreError, match="another user"):
        store.load(APP)


@as_root
@pytest.mark.parametrize(("bits", "group"), [(0o770, IVAN), (0o777, STALKERS)], ids=["its group", "its place"])
def test_what_not_only_the_group_can_have_put_there_is_refused(tmp_path: Path, bits: int, group: int) -> None:
    path = filled(tmp_path / "volume" / "tokens.db", group=True)
    os.chown(path, IVAN, group)
    os.chown(path.parent, 0, STALKERS)
    path.parent.chmod(bits)
    with closing(SQLiteTokenStore(path, group=True)) as store, pytest.raises(StoreError, match="another user"):
        store.load(APP)


@posix
def test_others_than_the_group_are_kept_out(tmp_path: Path) -> None:
    path = filled(tmp_path / "tokens.db", group=True)
    tmp_path.chmod(0o2775)
    path.chmod(0o664)
    with closing(SQLiteTokenStore(path, group=True)) as store, pytest.raises(StoreError) as caught:
        store.load(APP)
    assert caught.value.code == "exbo-oauth.store.readable"
    assert str(caught.value) == (
        f"others than the group of its directory can read the tokens in '{path}'. Run: chmod o-rwx {path} && chgrp "
        f"{tmp_path.stat().st_gid} {path} && chmod g+s {tmp_path}"
    )


# Mounts


@contextmanager
def mounted(source: Path, target: Path, *options: str) -> Iterator[None]:
    """`source` where `target` is, as containers have it."""
    if subprocess.run(["mount", "--bind", source, target], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        if options:
            subprocess.run(["mount", "-o", ",".join(["remount", "bind", *options]), target], check=True)
        yield
    finally:
        # Lazily: what SQLite closes under a lock of another connection to the same file, it closes later.
        subprocess.run(["umount", "-l", target], check=True)


@pytest.fixture(params=["plain", "with a space", "на русском", "with\ttab\\and 50%"])
def boxes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two containers into which an empty file of the host was mounted by itself, as people make it with ``touch``."""
    host = tmp_path / "tokens.db"
    host.touch(0o600)
    one, other = (tmp_path / f"{request.param} {name}" / "tokens.db" for name in "ab")
    for box in (one, other):
        box.parent.mkdir()
        box.touch(0o600)
    with mounted(host, one), mounted(host, other):
        yield one, other


@as_root
def test_containers_share_a_file_that_was_mounted_by_itself(boxes: tuple[Path, Path]) -> None:
    with closing(SQLiteTokenStore(boxes[0])) as one, closing(SQLiteTokenStore(boxes[1])) as other:
        assert one.swap(APP, None, app_entry(1))
        assert other.load(APP) == app_entry(1)
        assert other.acquire(APP, "other", 60)
        assert not one.acquire(APP, "one", 60)
        assert other.swap(APP, 1, app_entry(2))
        assert not one.swap(APP, 1, app_entry(2))
        assert one.load(APP) == app_entry(2)
        for side in ("-wal", "-shm"):
            assert not boxes[0].with_name(f"tokens.db{side}").exists()
        [risk] = one.risks()
        assert risk == (
            f"{str(boxes[0])!r} is mounted by itself, without what SQLite keeps beside it; a container that is killed "
            "while it writes, and made anew, can damage it: mount the directory that it lies in instead"
        )


@as_root
def test_without_a_log_a_lease_is_on_the_disk_as_well(
    boxes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SQLiteTokenStore(boxes[0])) as store:
        assert store.load(APP) is None
        settings = synchronous(monkeypatch)
        assert store.acquire(APP, "one", 60)
    assert settings == [2]  # FULL


def test_where_no_mounts_are_listed_a_file_is_taken_for_one_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exbo_oauth.stores.sqlite_mounts._MOUNTS", tmp_path / "nowhere")
    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store:
        assert store.swap(APP, None, app_entry(1))
        assert store.risks() == []


@as_root
def test_a_container_that_is_made_anew_finds_what_was_saved(boxes: tuple[Path, Path]) -> None:
    killed = SQLiteTokenStore(boxes[0])
    assert killed.swap(USER, None, user_entry(1))
    with closing(SQLiteTokenStore(boxes[1])) as store:
        assert store.load(USER) == user_entry(1)
    killed.close()


@as_root
def test_a_file_without_a_log_never_gets_one_in_its_directory_either(boxes: tuple[Path, Path], tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(boxes[0])) as box, closing(SQLiteTokenStore(tmp_path / "tokens.db")) as host:
        assert box.swap(APP, None, app_entry(1))
        assert host.swap(APP, 1, app_entry(2))
        assert box.load(APP) == app_entry(2)
        assert not (tmp_path / "tokens.db-wal").exists()
        assert host.risks() == []


@as_root
@pytest.mark.parametrize("options", [(), ("ro",)], ids=["writable", "read-only"])
def test_a_file_with_a_log_is_refused_where_it_is_mounted_by_itself(tmp_path: Path, options: tuple[str, ...]) -> None:
    path, box = filled(tmp_path / "tokens.db"), tmp_path / "box" / "tokens.db"
    box.parent.mkdir()
    box.touch()
    with closing(SQLiteTokenStore(path)) as host:
        assert host.swap(APP, 1, app_entry(2))
        with mounted(path, box, *options), closing(SQLiteTokenStore(box)) as store:
            with pytest.raises(StoreError) as caught:
                store.load(APP)
    assert str(caught.value) == (
        f"'{box}' is mounted by itself, and its log (tokens.db-wal), where the newest tokens are, is not: mount the "
        "directory that the file lies in instead of the file"
    )
    assert list(box.parent.iterdir()) == [box]


def test_a_file_with_a_log_is_refused_under_a_second_name(tmp_path: Path) -> None:
    path = filled(tmp_path / "tokens.db")
    (tmp_path / "elsewhere").mkdir()
    os.link(path, tmp_path / "elsewhere" / "tokens.db")
    for name in (path, tmp_path / "elsewhere" / "tokens.db"):
        with closing(SQLiteTokenStore(name)) as store, pytest.raises(StoreError) as caught:
            store.load(APP)
        assert str(caught.value) == (
            f"'{name}' has another name in some directory (a hard link), and two names have two logs (tokens.db-wal): "
            "remove the other one, or put a copy in its place"
        )


def test_a_file_that_just_got_a_log_under_its_other_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was empty when it was looked at: whoever has it under a name of its own was a moment faster."""
    made, path, connect = filled(tmp_path / "made.db"), tmp_path / "tokens.db", sqlite3.connect
    path.touch(0o600)
    os.link(path, tmp_path / "second.db")

    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        path.write_bytes(made.read_bytes())
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", connected)
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError, match="and two names have two logs"):
        store.load(APP)


@as_root
def test_who_reads_a_file_without_a_log_waits_for_its_writer(boxes: tuple[Path, Path], tmp_path: Path) -> None:
    reader = tmp_path / "reader" / "tokens.db"
    reader.parent.mkdir()
    reader.touch()
    with closing(SQLiteTokenStore(boxes[0])) as writer:
        assert writer.swap(APP, None, app_entry(1))
    with mounted(tmp_path / "tokens.db", reader, "ro"), closing(SQLiteTokenStore(reader)) as store:
        with closing(sqlite3.connect(boxes[1], isolation_level=None)) as another, ThreadPoolExecutor(1) as pool:
            another.execute("BEGIN EXCLUSIVE")
            loading = pool.submit(store.load, APP)
            time.sleep(0.3)
            another.execute("COMMIT")
            assert loading.result() == app_entry(1)


@as_root
def test_who_reads_a_file_without_a_log_waits_for_its_writer_once(
    boxes: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, connect, ways = tmp_path / "reader" / "tokens.db", sqlite3.connect, list[str]()
    reader.parent.mkdir()
    reader.touch()
    filled(boxes[0])

    def connected(address: str, **options: Any) -> sqlite3.Connection:
        ways.append(address.partition("?")[2])
        return connect(address, **options)

    with (
        mounted(tmp_path / "tokens.db", reader, "ro"),
        closing(SQLiteTokenStore(reader, timeout=0.1)) as store,
        closing(sqlite3.connect(boxes[1], isolation_level=None)) as another,
    ):
        another.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", connected)
        with pytest.raises(StoreError, match="another program keeps it locked"):
            store.load(APP)
    assert ways.count("mode=ro") == 1


# As the kernel writes it: what is not of this form is no mount, and octal stands for what would end a field.
MOUNTS = b"""
36 35 98:0 /
36 35 98:0 / /somewhere/tokens.db
36 35 98:0 / /with\\040a\\134space/tokens.db rw,noatime - ext3 /dev/root rw
"""


def test_a_mount_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_mounts, "_MOUNTS", tmp_path / "mountinfo")
    assert not is_mounted_alone(Path("/somewhere/tokens.db")), "as on a system that has no such list"
    (tmp_path / "mountinfo").write_bytes(MOUNTS)
    places = ("/somewhere/tokens.db", "/with a\\space/tokens.db", "/somewhere", "/")
    assert [is_mounted_alone(Path(place)) for place in places] == [True, True, False, False]


@as_root
def test_a_follower_reads_from_a_read_only_mount_whether_or_not_somebody_writes(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path = filled(tmp_path / "rw" / "tokens.db")
    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
    ):
        assert follower.load(APP) == app_entry(1)
        with closing(SQLiteTokenStore(path)) as writer:
            assert writer.swap(APP, 1, app_entry(2))
            assert follower.load(APP) == app_entry(2)
            assert writer.swap(APP, 2, app_entry(3))
            assert follower.load(APP) == app_entry(3)
        assert list(follower.keys()) == [APP]
        for call in (lambda: follower.acquire(APP, "me", 60), lambda: follower.swap(APP, 3, None)):
            with pytest.raises(StoreError, match="it cannot be written: check the permissions"):
                call()


@as_root
def test_a_follower_reads_the_log_that_is_there_without_an_index_of_it(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path = filled(tmp_path / "rw" / "tokens.db")
    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
        closing(SQLiteTokenStore(path)) as writer,
    ):
        assert follower.load(APP) == app_entry(1)
        assert writer.swap(APP, 1, app_entry(2))
        path.with_name("tokens.db-shm").unlink()
        assert follower.load(APP) == app_entry(2)


@as_root
def test_a_follower_whose_writer_ends_before_its_log_could_be_read_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path, connect, ways = filled(tmp_path / "rw" / "tokens.db"), sqlite3.connect, list[str]()
    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
        closing(SQLiteTokenStore(path)) as writer,
    ):
        assert writer.swap(APP, 1, app_entry(2))

        def connected(address: str, **options: Any) -> sqlite3.Connection:
            ways.append(address.partition("?")[2])
            if ways[-1] == "mode=ro":
                writer.close()
            return connect(address, **options)

        monkeypatch.setattr(sqlite3, "connect", connected)
        assert follower.load(APP) == app_entry(2)
    assert ways[-2:] == ["mode=ro", "mode=ro&immutable=1"]


@as_root
@pytest.mark.parametrize("fails", [False, True], ids=["and reads something", "and fails"])
def test_a_follower_that_is_overtaken_while_it_reads_looks_again(tmp_path: Path, fails: bool) -> None:
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path, looks = filled(tmp_path / "rw" / "tokens.db"), list[int]()

    def revision(connection: sqlite3.Connection) -> int:
        found: int = connection.execute("SELECT revision FROM entries").fetchone()[0]
        looks.append(found)
        if len(looks) == 1:
            with closing(SQLiteTokenStore(path)) as writer:
                assert writer.swap(APP, 1, app_entry(2))
            if fails:
                raise sqlite3.DatabaseError("it is half of what it was and half of what it is")
        return found

    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
    ):
        assert follower._link.run(revision) == 2
    assert looks == [1, 2]


@as_root
def test_a_follower_reads_on_while_a_writer_comes_and_goes(tmp_path: Path) -> None:
    """What it reads is never half of one state and half of the next, however often the log is folded up."""
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path = filled(tmp_path / "rw" / "tokens.db")
    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
    ):
        for revision in range(1, 30):
            with closing(SQLiteTokenStore(path)) as writer:
                assert writer.swap(APP, revision, app_entry(revision + 1, "x" * 300 * revision))
            assert follower.load(APP) == app_entry(revision + 1, "x" * 300 * revision)


@as_root
def test_a_follower_sees_nothing_old_and_nothing_broken_while_a_writer_is_at_work(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path, last = filled(tmp_path / "rw" / "tokens.db"), 60

    def write() -> None:
        for revision in range(1, last):
            with closing(SQLiteTokenStore(path)) as writer:
                assert writer.swap(APP, revision, app_entry(revision + 1, "x" * 300 * revision))

    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
        ThreadPoolExecutor(1) as pool,
    ):
        writing, seen = pool.submit(write), [1]
        while seen[-1] < last and not (writing.done() and writing.exception()):
            entry = follower.load(APP)
            assert entry is not None
            assert entry == app_entry(entry.revision, "x" * 300 * (entry.revision - 1) or "app-token")
            seen.append(entry.revision)
        writing.result()
    assert seen == sorted(seen)


@as_root
def test_a_follower_sees_that_another_file_has_taken_its_place(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir(mode=0o700)
    (tmp_path / "ro").mkdir()
    path, newer = filled(tmp_path / "rw" / "tokens.db"), filled(tmp_path / "newer.db")
    with closing(SQLiteTokenStore(newer)) as store:
        store.swap(APP, 1, app_entry(2))
    with (
        mounted(tmp_path / "rw", tmp_path / "ro", "ro"),
        closing(SQLiteTokenStore(tmp_path / "ro" / "tokens.db")) as follower,
    ):
        assert follower.load(APP) == app_entry(1)
        newer.replace(path)
        assert follower.load(APP) == app_entry(2)


@as_root
def test_who_may_only_read_a_file_can(place: Path) -> None:
    folder = place / "shared"
    folder.mkdir()
    os.chown(folder, 0, STALKERS)
    folder.chmod(0o2750)
    path = filled(folder / "tokens.db", group=True)
    path.chmod(0o640)
    with another_user(IVAN, STALKERS), closing(SQLiteTokenStore(path, group=True)) as reader:
        assert reader.load(APP) == app_entry(1)


# Its log


@posix
def test_a_log_that_is_removed_while_it_is_used_loses_nothing(tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store:
        assert store.swap(APP, None, app_entry(1))
        assert store.acquire(APP, "me", 60)
        (tmp_path / "tokens.db-wal").unlink()
        assert store.swap(USER, None, user_entry(1))
        for write in (
            lambda: store.swap(USER, 1, None),
            lambda: store.swap(USER, None, user_entry(1)),
            lambda: store.acquire(USER, "me", 60),
            lambda: store.release(APP, "me") is None,
        ):
            for side in ("-wal", "-shm"):
                (tmp_path / f"tokens.db{side}").unlink()
            assert write()
        with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as another:
            assert another.load(APP) == app_entry(1)
            assert another.load(USER) == user_entry(1)
            assert another.acquire(APP, "you", 60)
            assert not another.acquire(USER, "you", 60)


# Copies


def test_a_backup_is_a_private_store_of_one_moment(tmp_path: Path) -> None:
    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store:
        store.swap(APP, None, app_entry(1))
        store.swap(USER, None, user_entry(1))
        store.backup(tmp_path / "backup.db")
        store.swap(APP, 1, app_entry(2))
    assert set(modes(tmp_path)) == {"tokens.db", "backup.db"}
    if os.name == "posix":
        assert modes(tmp_path)["backup.db"] == 0o600
    with closing(SQLiteTokenStore(tmp_path / "backup.db")) as copy:
        assert copy.load(APP) == app_entry(1)
        assert copy.load(USER) == user_entry(1)


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "tokens.db")
    (tmp_path / "notes.txt").write_text("my notes")
    with closing(SQLiteTokenStore(path)) as store:
        with pytest.raises(StoreError, match=r"notes\.txt' is there already.*name a new file"):
            store.backup(tmp_path / "notes.txt")
        with pytest.raises(StoreError, match="is there already"):
            store.backup(path)
    assert (tmp_path / "notes.txt").read_text() == "my notes"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on the size of files, as Linux has it")
def test_a_backup_that_does_not_fit_names_the_copy(tmp_path: Path) -> None:
    path = filled(tmp_path / "tokens.db")
    with closing(SQLiteTokenStore(path)) as store:
        for number in range(100):
            store.swap(StoreKey("https://exbo.net/oauth", "59", str(number)), None, user_entry(1))
        store.backup(tmp_path / "fits.db")
    program = (
        "import resource, signal, sys; from exbo_oauth import SQLiteTokenStore, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nany_size = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, any_size[1]))\n"
        "try:\n    SQLiteTokenStore(sys.argv[1]).backup(sys.argv[2])\nexcept StoreError as error:\n    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, any_size)"  # or coverage could not write what it has counted
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "backup.db")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"the copy {str(tmp_path / 'backup.db')!r} failed: the disk")
    assert not (tmp_path / "backup.db").exists()


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "tokens.db")
    with path.open("r+b") as file:
        file.truncate(5000)
    with closing(SQLiteTokenStore(path)) as store, pytest.raises(StoreError) as caught:
        store.backup(tmp_path / "backup.db")
    assert str(caught.value).startswith(f"the token store '{path}' failed: the file is damaged")
    assert not (tmp_path / "backup.db").exists()


# SQLite itself


def test_an_sqlite_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from exbo_oauth import ConfigurationError

    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 22, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.22.0")
    with pytest.raises(ConfigurationError) as caught:
        SQLiteTokenStore(tmp_path / "tokens.db")
    assert str(caught.value) == (
        "SQLiteTokenStore needs SQLite 3.24.0 or newer, and this Python has 3.22.0: use another Python, or another "
        "store"
    )
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 24, 0))
    with closing(SQLiteTokenStore(tmp_path / "tokens.db")) as store:
        assert store.load(APP) is None

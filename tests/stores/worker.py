"""What another process does with a store in a file: ``python worker.py TASK PATH [NUMBER]``."""

import ctypes
import faulthandler
import os
import sys
import threading
import time

from exbo_oauth import MemoryTokenStore, SQLiteTokenStore, StoreError, StoreKey
from exbo_oauth.testing.store_suite import APP, app_entry, user_entry
from exbo_oauth.testing.store_suite import increment as raise_revision

THREADS = 4


def increment(path: str, count: str) -> None:
    """Raise the revision, starting when the parent says so."""
    sys.stdin.readline()
    store = SQLiteTokenStore(path, timeout=60)
    for _ in range(int(count)):
        raise_revision(store, APP)
    store.close()


def hold(path: str, ttl: str) -> None:
    """Take the lease, say so, and never let go."""
    store = SQLiteTokenStore(path)
    print(store.acquire(APP, "the dead", float(ttl)), flush=True)
    time.sleep(600)


def write_on(path: str, _: str) -> None:
    """Write and write, until killed in the midst of it."""
    store = SQLiteTokenStore(path)
    while True:
        raise_revision(store, APP)
        print("written", flush=True)


def create(path: str, number: str) -> None:
    """Be the first to use a file that is not there yet, with others."""
    sys.stdin.readline()
    store = SQLiteTokenStore(path, timeout=60)
    print(store.swap(APP, None, app_entry(1, f"token-{number}")))
    store.close()


def fork(path: str, children: str) -> None:
    """Fork while threads are writing; everybody counts."""
    store = SQLiteTokenStore(path, timeout=60)
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            counted.append(raise_revision(store, APP))

    counted: list[int] = []
    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    codes = [_child(store) for _ in range(int(children))]
    done.set()
    for thread in threads:
        thread.join()
    store.close()
    print(sum(codes), len(counted))


def _child(store: SQLiteTokenStore) -> int:
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)
        raise_revision(store, APP)
        raise_revision(store, APP)
        store.close()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_in_memory(_: str, children: str) -> None:
    """Fork while threads use a store in memory, until a child hangs."""
    store = MemoryTokenStore()
    store.swap(APP, None, app_entry(1))
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            store.swap(APP, 1, app_entry(1))
            store.acquire(APP, "me", 60)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    sys.setswitchinterval(1e-6)  # so that forks meet threads that hold the lock
    for thread in threads:
        thread.start()
    fine = 0
    while fine < int(children) and _child_in_memory(store) == 0:
        fine += 1
    done.set()
    print(fine)


def _child_in_memory(store: MemoryTokenStore) -> int:
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)
        os._exit(0 if store.swap(APP, 1, None) and store.acquire(APP, "child", 60) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_in_c(path: str, _: str) -> None:
    """Fork behind Python's back, as a server written in C does; none of Python's hooks run."""
    store = SQLiteTokenStore(path, timeout=60)
    raise_revision(store, APP)
    child: int = ctypes.PyDLL(None).fork()
    if child == 0:
        for _round in range(20):
            raise_revision(store, APP)
        store.close()
        sys.exit(0)
    for _round in range(20):
        raise_revision(store, APP)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    raise_revision(store, APP)
    print(code)


def out_of_space(path: str, limit: str) -> None:
    """Write until the limit on a file's size is reached, then without the limit."""
    import resource  # there is none on Windows

    store = SQLiteTokenStore(path)
    store.swap(APP, None, user_entry(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
    written = []
    try:
        for number in range(10_000):
            store.swap(key := StoreKey("https://exbo.net/oauth", "1", str(number)), None, user_entry(1))
            written.append(key)
    except StoreError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = {APP, *written} <= set(store.keys()) and all(store.load(key) == user_entry(1) for key in (APP, *written))
    print(kept, store.swap(APP, 1, user_entry(2)))
    store.close()


def fork_beside_a_keyring(directory: str, _: str) -> None:
    """Fork while a thread is busy with the keyring; the child uses it, too."""
    import keyring
    from keyrings.alt.file import PlaintextKeyring

    from exbo_oauth.stores import KeyringTokenStore

    busy, done, parent = threading.Event(), threading.Event(), os.getpid()

    class Slow(PlaintextKeyring):
        def get_password(self, service: str, username: str) -> str | None:
            if os.getpid() == parent:
                busy.set()
                done.wait()
            password: str | None = super().get_password(service, username)
            return password

    Slow.file_path = f"{directory}/keyring.cfg"
    store = KeyringTokenStore(directory=directory, allow="__main__.Slow")
    keyring.set_keyring(Slow())
    thread = threading.Thread(target=store.acquire, args=(APP, "parent", 60))
    thread.start()
    busy.wait()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(30, exit=True)
        os._exit(0 if store.swap(APP, None, app_entry(1)) else 1)
    done.set()
    thread.join()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def take_over(directory: str, _: str) -> None:
    """Begin with others on what an earlier version left in a keyring in a file: read all of it, and go on."""
    import keyring
    from keyrings.alt.file import PlaintextKeyring

    from exbo_oauth.stores import KeyringTokenStore

    PlaintextKeyring.file_path = f"{directory}/keyring.cfg"
    keyring.set_keyring(PlaintextKeyring())
    store = KeyringTokenStore(directory=directory, allow="keyrings.alt.file.PlaintextKeyring")
    print("ready", flush=True)
    sys.stdin.readline()
    keys = list(store.keys())
    for _round in range(3):
        raise_revision(store, next(key for key in keys if key.account is None))
    print(sum(store.load(key) is not None for key in keys))
    store.close()


def write_secrets(directory: str, names: str) -> None:
    """Write to the desktop's keyring, to accounts of one's own and to one that others write to."""
    import keyring
    from keyring.backends.SecretService import Keyring

    from exbo_oauth.stores import KeyringTokenStore

    keyring.set_keyring(Keyring())
    service, name = names.split("/")
    store = KeyringTokenStore(service, directory=directory)
    for number in range(3):
        assert store.swap(StoreKey("x", "1", f"{name}-{number}"), None, user_entry(1))
        raise_revision(store, APP)
    store.close()
    print("written")


def take_over_from_the_desktop(directory: str, _: str) -> None:
    """Read all that an earlier version left in the desktop's keyring."""
    import keyring
    from keyring.backends.SecretService import Keyring

    from exbo_oauth.stores import KeyringTokenStore

    keyring.set_keyring(Keyring())
    store = KeyringTokenStore(directory=directory)
    print(sum(store.load(key) is not None for key in store.keys()))  # noqa: SIM118  # a store is not a dict
    store.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

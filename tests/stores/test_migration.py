"""From one store into another while programs use both: some accounts have moved already, others not yet."""

import os
import subprocess
import sys
import time

from exbo_oauth import StoreKey, SyncOAuthClient, UserToken
from exbo_oauth.stores import RedisTokenStore, SQLAlchemyTokenStore, copy
from exbo_oauth.testing import FakeExbo

from .processes import ROOT
from .servers import RedisServer

ACCOUNTS = [str(number) for number in range(12)]
EARLY, LATE = ACCOUNTS[:6], ACCOUNTS[6:]

# Tokens live for a second, so it refreshes all the time; at the end it says how often it was handed one.
PROGRAM = """
import sys, threading
from exbo_oauth import SyncOAuthClient
from exbo_oauth.stores import store_from_url
from exbo_oauth.stores import RedisTokenStore, SQLAlchemyTokenStore
kind, url, name, base_url, secret, *accounts = sys.argv[1:]
store = RedisTokenStore(url, prefix=name) if kind == "redis" else SQLAlchemyTokenStore(url, prefix=name)
over, served = threading.Event(), 0
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
with SyncOAuthClient(client_id=1, client_secret=secret, base_url=base_url, store=store) as oauth:
    while not over.wait(0.02):
        for account in accounts:
            oauth.ensure_user_token(account)
            served += 1
store.close()
print(served)
"""


def start(*arguments: str) -> "subprocess.Popen[str]":
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def stop(workers: "list[subprocess.Popen[str]]") -> None:
    for worker in workers:
        said, complaint = worker.communicate(timeout=120)
        assert (worker.returncode, complaint) == (0, "")
        assert int(said) > 0


def test_accounts_can_move_while_programs_go_on_refreshing(redis: RedisServer, postgres: str) -> None:
    fake = FakeExbo(token_ttl=1)
    source, target = RedisTokenStore(redis.url, prefix="moving"), SQLAlchemyTokenStore(postgres, prefix="moving")
    with fake.serve() as base_url:
        common = (base_url, fake.app.client_secret)
        settings = {"client_id": 1, "client_secret": common[1], "base_url": base_url}
        with SyncOAuthClient(**settings, store=source) as oauth:
            for account in ACCOUNTS:
                user = fake.add_user(f"user-{account}")
                issued = fake.supersede(user=user)
                token = UserToken(
                    token_type="Bearer",
                    access_token=issued.access_token,
                    refresh_token=issued.refresh_token,
                    expires_in=1,
                )
                oauth.save_user_token(account, token)
        assert copy(source, target) == len(ACCOUNTS)

        staying = [start("redis", redis.url, "moving", *common, *LATE) for _ in range(2)]
        moved = [start("sql", postgres, "moving", *common, *EARLY) for _ in range(2)]
        seen: dict[str, int] = {}
        end = time.monotonic() + 5
        while time.monotonic() < end:
            copy(source, target)
            for account in ACCOUNTS:
                entry = target.load(StoreKey(base_url, "1", account))
                assert entry is not None
                assert entry.revision >= seen.get(account, 0), "something newer was overwritten"
                seen[account] = entry.revision
        stop(staying)
        assert copy(source, target) <= len(LATE)  # the last word of those who stayed

        rest = [start("sql", postgres, "moving", *common, *ACCOUNTS) for _ in range(2)]
        time.sleep(3)
        stop([*rest, *moved])
        for account in ACCOUNTS:
            entry = target.load(StoreKey(base_url, "1", account))
            assert entry is not None
            assert isinstance(entry.token, UserToken)
            assert entry.revision > seen[account]
            newest = [token for token in fake.issued if token.refresh_token == entry.token.refresh_token]
            assert [token.refresh_ended for token in newest] == [None], "the target holds a dead refresh token"
    source.close()
    target.close()

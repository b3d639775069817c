"""From one store into another while programs use both: some accounts have moved already, others not yet."""

from collections import Counter

from exbo_oauth import StoreKey, SyncOAuthClient, TokenStore, UserToken
from exbo_oauth.stores import RedisTokenStore, SQLAlchemyTokenStore, copy
from exbo_oauth.testing import FakeExbo

from .processes import Process, finished, start_program
from .servers import RedisServer, until

ACCOUNTS = [str(number) for number in range(12)]
EARLY, LATE = ACCOUNTS[:6], ACCOUNTS[6:]

# Tokens live for a second, so it refreshes all the time, until its input ends.
PROGRAM = """
import sys, threading
from exbo_oauth import SyncOAuthClient
from exbo_oauth.stores import RedisTokenStore, SQLAlchemyTokenStore
kind, url, name, base_url, secret, *accounts = sys.argv[1:]
store = RedisTokenStore(url, prefix=name) if kind == "redis" else SQLAlchemyTokenStore(url, prefix=name)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
with SyncOAuthClient(client_id=1, client_secret=secret, base_url=base_url, store=store) as oauth:
    for account in accounts:
        oauth.ensure_user_token(account)
    print("served", flush=True)
    while not over.wait(0.02):
        for account in accounts:
            oauth.ensure_user_token(account)
store.close()
"""


def start(number: int, *arguments: str) -> list[Process]:
    """Programs that have served all of their accounts once."""
    workers = [start_program(PROGRAM, *arguments) for _ in range(number)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "served\n"
    return workers


def stop(workers: list[Process]) -> None:
    for worker in workers:
        finished(worker)


def test_accounts_can_move_while_programs_go_on_refreshing(redis: RedisServer, postgres: str) -> None:
    fake = FakeExbo(token_ttl=1)
    source, target = RedisTokenStore(redis.url, prefix="moving"), SQLAlchemyTokenStore(postgres, prefix="moving")
    with fake.serve() as base_url:
        settings = {"client_id": 1, "client_secret": fake.app.client_secret, "base_url": base_url}
        keys = {account: StoreKey(base_url, "1", account) for account in ACCOUNTS}
        with SyncOAuthClient(**settings, store=source) as oauth:
            for account in ACCOUNTS:
                issued = fake.supersede(user=fake.add_user(f"user-{account}"))
                token = UserToken(
                    token_type="Bearer",
                    access_token=issued.access_token,
                    refresh_token=issued.refresh_token,
                    expires_in=1,
                )
                oauth.save_user_token(account, token)
        assert copy(source, target) == len(ACCOUNTS)
        seen = {account: _revision(target, key) for account, key in keys.items()}
        renewed: Counter[str] = Counter()

        def look() -> bool:
            """Whether the target has seen three renewals of every account; none of them is ever undone."""
            for account, key in keys.items():
                revision = _revision(target, key)
                assert revision >= seen[account], "something newer was overwritten"
                renewed[account] += revision > seen[account]
                seen[account] = revision
            return len(renewed) == len(keys) and min(renewed.values()) >= 3

        common = (base_url, fake.app.client_secret)
        moved = start(2, "sql", postgres, "moving", *common, *EARLY)
        staying = start(2, "redis", redis.url, "moving", *common, *LATE)
        until(lambda: (copy(source, target), look())[1], "accounts are not renewed while they are copied")
        stop(staying)
        assert copy(source, target) <= len(LATE)  # the last word of those who stayed

        rest = start(2, "sql", postgres, "moving", *common, *ACCOUNTS)
        renewed.clear()
        until(look, "accounts are not renewed after they were moved")
        stop([*rest, *moved])
        for key in keys.values():
            entry = target.load(key)
            assert entry is not None
            assert isinstance(entry.token, UserToken)
            newest = [token for token in fake.issued if token.refresh_token == entry.token.refresh_token]
            assert [token.refresh_ended for token in newest] == [None], "the target holds a dead refresh token"
    source.close()
    target.close()


def _revision(store: TokenStore, key: StoreKey) -> int:
    entry = store.load(key)
    assert entry is not None
    return entry.revision

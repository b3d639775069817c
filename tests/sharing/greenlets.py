"""Greenlets that are killed while they renew users' tokens.

``python greenlets.py HOW STORE BASE_URL ID SECRET ACCOUNTS``, where HOW is ``kill`` or ``timeout``. It prints how many
renewals were cut short, then each account that lost its token.
"""

import random
import sys

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402

from exbo_oauth import LoginRequiredError, SQLiteTokenStore, SyncOAuthClient, UserToken  # noqa: E402

HOW, PATH, BASE_URL, CLIENT_ID, SECRET, ACCOUNTS = sys.argv[1:]
STORE = SQLiteTokenStore(PATH)
OAUTH = SyncOAuthClient(client_id=CLIENT_ID, client_secret=SECRET, base_url=BASE_URL, store=STORE)
PATIENCE = 0.02


def renew(account: str, old: UserToken) -> bool:
    """Whether the renewal was cut short."""
    chance = random.uniform(0, PATIENCE)
    if HOW == "timeout":
        try:
            with gevent.Timeout(chance):
                OAUTH.ensure_user_token(account, rejected=old)
        except gevent.Timeout:
            return True
        return False
    greenlet = gevent.spawn(OAUTH.ensure_user_token, account, rejected=old)
    gevent.sleep(chance)
    cut = not greenlet.ready()
    greenlet.kill()
    return cut


cut, lost = 0, []
for account in ACCOUNTS.split(","):
    old = OAUTH.ensure_user_token(account)
    cut += renew(account, old)
    try:
        OAUTH.ensure_user_token(account, rejected=old)
    except LoginRequiredError:
        lost.append(account)
OAUTH.close()
STORE.close()
print(cut, *lost)

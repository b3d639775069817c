"""A worker thread that time limits are raised into, at any moment and again and again, while it renews ivan's token.

``python time_limits.py STORE BASE_URL ID SECRET``. For each line that it reads it does so once, and says how that
ended. An exception that is raised into a thread may also leave a lock of Python's own unreleased (logging's on 3.11,
an import's): so this is a process of its own, and it says where it stands if it stands still.
"""

import ctypes
import faulthandler
import random
import sys
import threading
import time

from exbo_oauth import OAuthError, SQLiteTokenStore, SyncOAuthClient
from exbo_oauth.clients.shield import finished

PATH, BASE_URL, CLIENT_ID, SECRET = sys.argv[1:]


class TimeLimitError(Exception):
    """As Dramatiq's time limit and func_timeout raise one."""


def renew() -> None:
    try:
        OAUTH.replace_user_token("ivan")
    except (OAuthError, TimeLimitError) as error:
        ended.append(type(error).__name__)
    else:
        ended.append("renewed")


STORE = SQLiteTokenStore(PATH)
with SyncOAuthClient(client_id=CLIENT_ID, client_secret=SECRET, base_url=BASE_URL, store=STORE) as OAUTH:
    OAUTH.ensure_user_token("ivan")
    for _ in sys.stdin:
        faulthandler.dump_traceback_later(60, exit=True)
        ended = list[str]()
        worker = threading.Thread(target=renew)
        worker.start()
        time.sleep(random.uniform(0, 0.012))
        while worker.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(worker.ident or 0), ctypes.py_object(TimeLimitError)
            )
            worker.join(0.002)
        assert finished(10)
        faulthandler.cancel_dump_traceback_later()
        print(*ended or ["ended"], flush=True)
STORE.close()

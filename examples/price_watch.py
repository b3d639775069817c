"""A price monitor with requests: prints the cheapest lot of an item, again and again.

    pip install exbo-oauth requests
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=…
    python price_watch.py y3nmw

Start one for every item that you watch: they share one token. ``EXBO_ROUNDS`` is how often to look; Ctrl-C ends it.
Without an application of your own, `exbo-oauth sandbox --env-file .env` writes the settings of a sandbox, and
`dotenv run -- python price_watch.py y3nmw` starts this with them.
"""

import os
import sys
import time
from itertools import count

import requests

from exbo_oauth import OAuthError, SyncOAuthClient

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")
ROUNDS = int(os.environ.get("EXBO_ROUNDS", "0"))
PAUSE = float(os.environ.get("EXBO_PAUSE", "60"))


def cheapest(session: requests.Session, item: str) -> str:
    answer = session.get(f"{API}/RU/auction/{item}/lots", params={"sort": "buyout_price"}, timeout=30)
    answer.raise_for_status()
    prices = [lot["buyoutPrice"] for lot in answer.json()["lots"]]
    return f"{item} {min(prices) if prices else 'not for sale'}"


def main(item: str = "y3nmw") -> None:
    with SyncOAuthClient.from_env() as oauth, requests.Session() as session:
        session.auth = oauth.app_auth()
        for lap in count(1):
            try:
                print(cheapest(session, item), flush=True)
            except (OAuthError, requests.RequestException) as error:  # the next round may work
                print(item, error, file=sys.stderr, flush=True)
            if lap == ROUNDS:
                return
            time.sleep(PAUSE)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OAuthError as error:
        sys.exit(f"price_watch: {error}")
    except BrokenPipeError:  # `| head` has seen enough
        os._exit(1)  # without trying once more to write what is left
    except KeyboardInterrupt:
        pass

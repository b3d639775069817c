"""A process that shares a token and says what it is told: ``python storyteller.py STORE BASE_URL API_URL``.

Each line that it reads is a command: ``call`` the API, ``replace`` the token, or get another ``by hand``. It prints
each event as a line of JSON, and a line with ``done`` when it has done what it was asked for and nothing is left to be
told.
"""

import json
import os
import sys

import httpx

from exbo_oauth import SyncOAuthClient
from exbo_oauth.events import Event


def say(event: Event) -> None:
    fields = {name: getattr(event, name, None) for name in ("fingerprint", "issuer", "reason")}
    print(json.dumps({"event": type(event).__name__, **fields}), flush=True)


def main() -> None:
    store, base_url, api_url = sys.argv[1:]
    options = {"client_id": os.environ["STORY_CLIENT"], "client_secret": os.environ["STORY_SECRET"]}
    with (
        SyncOAuthClient(**options, base_url=base_url, store=store, on_event=say) as oauth,
        httpx.Client(auth=oauth.app_auth(), timeout=60) as api,
    ):
        print(json.dumps({"done": "ready"}), flush=True)
        for line in sys.stdin:
            if line.strip() == "replace":
                oauth.replace_app_token()
            if line.strip() == "by hand":
                oauth.get_app_token()
                oauth._cache.notes.finish()
                oauth._listener.finish()
                print(json.dumps({"done": 200}), flush=True)
                continue
            status = api.get(f"{api_url}/regions").status_code
            oauth._listener.finish()
            print(json.dumps({"done": status}), flush=True)


if __name__ == "__main__":
    main()

"""The server of the leak tests, in a process of its own: what it remembers is not what the clients do."""

import json
import sys

from exbo_oauth.testing import FakeExbo

fake = FakeExbo(throttle=10**9, history=100)
with fake.serve() as base_url:
    options = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret, "base_url": base_url}
    print(json.dumps(options), flush=True)
    sys.stdin.read()

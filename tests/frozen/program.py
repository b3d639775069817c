"""A program to be frozen: the sandbox, a token from a shared file, a request, a sign-in's page, the catalogues."""

import sys
import tempfile
from pathlib import Path

import httpx

from exbo_oauth import SQLiteTokenStore, SyncOAuthClient
from exbo_oauth.language import languages
from exbo_oauth.testing import FakeExbo

fake = FakeExbo()
store = SQLiteTokenStore(Path(tempfile.mkdtemp()) / "tokens.db")
with (
    fake.serve() as base_url,
    SyncOAuthClient(
        client_id=fake.app.client_id, client_secret=fake.app.client_secret, base_url=base_url, store=store
    ) as oauth,
    httpx.Client(auth=oauth.app_auth(), trust_env=False) as api,
):
    fake.supersede()
    answer = api.get(f"{fake.api_url}/regions")
    page = httpx.get(oauth.begin_login().url, follow_redirects=True, trust_env=False)
    style = httpx.get(base_url.removesuffix("/oauth") + "/sandbox/sandbox.css", trust_env=False)
store.close()
codes = (answer.status_code, page.status_code, style.status_code)
print(*codes, *languages(), "frozen" if getattr(sys, "frozen", False) else "")

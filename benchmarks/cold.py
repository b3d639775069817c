"""Fresh interpreters: import and make a client, and a script from its start to its first app token; wall time.

Beside `import httpx`, and beside a script that fetches the token with bare httpx (whole processes). So do the peers.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from .calls import service
from .ratio import Ratio

ROUNDS = 12
ARGUMENTS = "client_id='59', client_secret='s' * 40, base_url=url"
IMPORTING = {
    "import httpx": ("import httpx", None),
    "exbo-oauth, SyncOAuthClient": (f"import exbo_oauth; exbo_oauth.SyncOAuthClient({ARGUMENTS})", 1.2),
    "exbo-oauth, AsyncOAuthClient": (f"import exbo_oauth; exbo_oauth.AsyncOAuthClient({ARGUMENTS})", 1.2),
    "httpx and its Client": ("import httpx; httpx.Client()", None),
    "the four base dependencies": ("import httpx, attrs, cattrs, anyio", None),
    "httpx-oauth": (
        "from httpx_oauth.oauth2 import OAuth2; OAuth2('59', 's' * 40, url, url + '/token')",
        None,
    ),
    "authlib": (
        "from authlib.integrations.httpx_client import OAuth2Client; OAuth2Client('59', 's' * 40)",
        None,
    ),
    "stalcraft-api": (f"import scapi; scapi.OAuthClient({ARGUMENTS})", None),
}
POST = "post(url + '/token', data={'client_id': '59', 'client_secret': 's' * 40, 'grant_type': 'client_credentials'})"
SYNC = {
    "bare httpx": (f"import httpx\nwith httpx.Client() as http: http.{POST}.json()['access_token']", None),
    "exbo-oauth": (f"import exbo_oauth\nwith exbo_oauth.SyncOAuthClient({ARGUMENTS}) as c: c.get_app_token()", 1.1),
    "authlib": (
        (
            "from authlib.integrations.httpx_client import OAuth2Client\n"
            "with OAuth2Client('59', 's' * 40, token_endpoint_auth_method='client_secret_post') as c:\n"
            "    c.fetch_token(url + '/token', grant_type='client_credentials')"
        ),
        None,
    ),
    "requests-oauthlib": (
        (
            "from oauthlib.oauth2 import BackendApplicationClient\nfrom requests_oauthlib import OAuth2Session\n"
            "with OAuth2Session(client=BackendApplicationClient('59')) as c:\n"
            "    c.fetch_token(url + '/token', client_id='59', client_secret='s' * 40, include_client_id=True)"
        ),
        None,
    ),
}
RUN = "import asyncio\nasync def main():\n{}\nasyncio.run(main())"
ASYNCHRONOUS = {
    "bare httpx": (
        "import httpx\n"
        + RUN.format(f"    async with httpx.AsyncClient() as http: (await http.{POST}).json()['access_token']"),
        None,
    ),
    "exbo-oauth": (
        "import exbo_oauth\n"
        + RUN.format(f"    async with exbo_oauth.AsyncOAuthClient({ARGUMENTS}) as c: await c.get_app_token()"),
        1.2,
    ),
    "stalcraft-api": (
        "import scapi\n" + RUN.format(f"    async with scapi.OAuthClient({ARGUMENTS}) as c: await c.get_app_token()"),
        None,
    ),
}


def measure() -> Iterator[Ratio]:
    with service() as url:
        yield from _compared("import and client", IMPORTING, url, _inside)
        yield from _compared("start to first app token, sync", SYNC, url, _whole)
        yield from _compared("start to first app token, asyncio", ASYNCHRONOUS, url, _whole)


def _compared(
    what: str, programs: dict[str, tuple[str, float | None]], url: str, seconds: Callable[[str, str], float]
) -> Iterator[Ratio]:
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(-1, ROUNDS):  # the first compiles, and fills the system's file cache
        for name, (program, _) in programs.items():
            times[name].extend([seconds(program, url)] * (number >= 0))
    base, *others = programs
    for name in others:
        yield Ratio(
            ours=f"{what}: {name}",
            theirs=f"{what}: {base}",
            our_times=times[name],
            their_times=times[base],
            aim=programs[name][1],
        )


def _inside(program: str, url: str) -> float:
    """How long it takes within its interpreter, whose own start is not counted."""
    source = f"from time import perf_counter as now; start, url = now(), {url!r}\n{program}\nprint(now() - start)"
    return float(subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout)


def _whole(program: str, url: str) -> float:
    """How long the whole process takes."""
    environment = {**os.environ, "OAUTHLIB_INSECURE_TRANSPORT": "1"}  # the loopback server has no TLS
    start = perf_counter()
    subprocess.run([sys.executable, "-c", f"url = {url!r}\n{program}"], check=True, env=environment)
    return perf_counter() - start

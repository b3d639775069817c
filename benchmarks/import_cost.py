"""Import and make a client, against the import of the HTTP library alone, each in a fresh interpreter."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from .ratio import Ratio, in_turns

ROUNDS = 25
THEIRS = "import httpx"
OURS = {
    "import exbo_oauth, make a SyncOAuthClient": "SyncOAuthClient",
    "import exbo_oauth, make an AsyncOAuthClient": "AsyncOAuthClient",
}


def measure() -> Iterator[Ratio]:
    theirs = partial(seconds, THEIRS)
    for title, kind in OURS.items():
        ours = partial(seconds, f"import exbo_oauth; exbo_oauth.{kind}(client_id=59, client_secret='secret')")
        ours(), theirs()  # both are compiled and in the file cache from here on
        our_times, their_times = in_turns(ours, theirs, ROUNDS)
        yield Ratio(ours=title, theirs=THEIRS, our_times=our_times, their_times=their_times, aim=1.10)


def seconds(program: str) -> float:
    """How long the program takes inside its interpreter, whose own start is not counted."""
    source = f"from time import perf_counter as now; start = now()\n{program}\nprint(now() - start)"
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return float(run.stdout)

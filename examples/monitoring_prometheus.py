"""Count what happens to the tokens of a service with Prometheus: `pip install exbo-oauth prometheus-client`.

The figures are at http://localhost:9464/metrics.
"""

import os
import sys
import threading

from prometheus_client import Counter, Histogram, start_http_server

from exbo_oauth import OAuthError, SyncOAuthClient
from exbo_oauth.events import Event, TokenIssued, TokenSuperseded

EVENTS = Counter("exbo_events", "What happened to the tokens.", ["event"])
ISSUED = Counter("exbo_tokens_issued", "Tokens that EXBO issued to this process.", ["reason"])
ENDED = Counter("exbo_tokens_superseded", "Tokens that were dead before their time.", ["by"])
SECONDS = Histogram("exbo_issue_seconds", "How long it took to get a token and save it.")


def count(event: Event) -> None:
    EVENTS.labels(type(event).__name__).inc()
    if isinstance(event, TokenIssued):
        ISSUED.labels(event.reason).inc()
        SECONDS.observe(event.seconds)
    elif isinstance(event, TokenSuperseded):
        ENDED.labels("outside" if event.issuer == "outside" else "us").inc()


def main() -> None:
    start_http_server(int(os.environ.get("METRICS_PORT", "9464")), "127.0.0.1")
    with SyncOAuthClient.from_env(on_event=count) as oauth:
        oauth.ensure_app_token()
        threading.Event().wait()  # here the service does its work


if __name__ == "__main__":
    try:
        main()
    except OAuthError as error:
        sys.exit(f"monitoring_prometheus: {error}")
    except KeyboardInterrupt:
        pass

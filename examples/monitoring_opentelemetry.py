"""Show what happens to tokens in traces and metrics: `pip install exbo-oauth opentelemetry-api`.

Without an SDK this does nothing; with one, each event is a span below the one that was current when it happened.
"""

import sys

from attrs import asdict
from opentelemetry import metrics, trace

from exbo_oauth import OAuthError, SyncOAuthClient
from exbo_oauth.events import Event

TRACER = trace.get_tracer("exbo_oauth")
EVENTS = metrics.get_meter("exbo_oauth").create_counter("exbo.events", description="What happened to the tokens.")


def tell(event: Event) -> None:
    name = type(event).__name__
    EVENTS.add(1, {"event": name})
    moment = int(event.at.timestamp() * 1e9)
    fields = {field: value for field, value in asdict(event).items() if isinstance(value, str | int | float)}
    TRACER.start_span(name, start_time=moment, attributes=fields).end(moment)


def main() -> None:
    with SyncOAuthClient.from_env(on_event=tell) as oauth, TRACER.start_as_current_span("work"):
        oauth.ensure_app_token()


if __name__ == "__main__":
    try:
        main()
    except OAuthError as error:
        sys.exit(f"monitoring_opentelemetry: {error}")

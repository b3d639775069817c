"""Log as JSON with structlog, exbo-oauth's records among your own: `pip install exbo-oauth structlog`."""

import logging
import sys

import structlog

from exbo_oauth import OAuthError, SyncOAuthClient


def configure() -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),  # the fields of an event: kind, fingerprint, reason, issuer, …
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("exbo_oauth").setLevel(logging.INFO)


def main() -> None:
    configure()
    with SyncOAuthClient.from_env() as oauth:
        oauth.ensure_app_token()


if __name__ == "__main__":
    try:
        main()
    except OAuthError as error:
        sys.exit(f"monitoring_structlog: {error}")

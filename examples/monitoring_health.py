"""Health and readiness of a service, for Kubernetes or a load balancer.

`/healthz` says that the process lives. `/readyz` says that it has a token, or could get one within two seconds; a token
that is in memory costs nothing to ask for, so the question may come as often as it likes.

It listens on 127.0.0.1. For those who ask from elsewhere, as Kubernetes does, set `HEALTH_HOST=0.0.0.0`.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from exbo_oauth import OAuthError, SyncOAuthClient


def readiness(oauth: SyncOAuthClient) -> tuple[int, str]:
    try:
        token = oauth.ensure_app_token(wait=2)
    except OAuthError as error:
        return 503, f"{type(error).__name__}: {error}"
    return 200, f"the token lives for {token.expires_after().total_seconds():.0f} s"


def answer(oauth: SyncOAuthClient, path: str) -> tuple[int, str]:
    match path:
        case "/healthz":
            return 200, "alive"
        case "/readyz":
            return readiness(oauth)
    return 404, "there are /healthz and /readyz"


def serve(oauth: SyncOAuthClient, host: str, port: int) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(oauth, self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """No line for every probe."""

    ThreadingHTTPServer((host, port), Health).serve_forever()


if __name__ == "__main__":
    try:
        with SyncOAuthClient.from_env(timeout=2, max_retries=0) as oauth:
            serve(oauth, os.environ.get("HEALTH_HOST", "127.0.0.1"), int(os.environ.get("HEALTH_PORT", "8080")))
    except OAuthError as error:
        sys.exit(f"monitoring_health: {error}")
    except KeyboardInterrupt:
        pass

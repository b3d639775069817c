"""The recipes for monitoring, each as a program of its own, against the sandbox over a real socket."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from exbo_oauth import SyncOAuthClient
from exbo_oauth.testing import FakeExbo

from .. import free_ports

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def fake() -> Iterator[FakeExbo]:
    fake = FakeExbo()
    with fake.serve():
        yield fake


@pytest.fixture
def environment(fake: FakeExbo, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "EXBO_CLIENT_ID": fake.app.client_id,
        "EXBO_CLIENT_SECRET": fake.app.client_secret,
        "EXBO_OAUTH_URL": fake.base_url,
        "EXBO_API_URL": fake.api_url,
        "EXBO_STORE": f"sqlite:///{(tmp_path / 'tokens.db').as_posix()}",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def popen(*command: str, **more: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *command],
            cwd=tmp_path,
            env=environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def free_port() -> int:
    return free_ports.free_port()


def example(name: str) -> str:
    return str(ROOT / "examples" / name)


def ended(process: "subprocess.Popen[str]") -> tuple[str, str]:
    output, problems = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, problems
    return output, problems


def page(process: "subprocess.Popen[str]", url: str, wanted: str) -> httpx.Response:
    """What a program serves, as soon as `wanted` is in it."""
    pause = threading.Event()
    with httpx.Client(trust_env=False) as http:
        while process.poll() is None:
            try:
                response = http.get(url)
            except httpx.ConnectError:
                pause.wait(0.05)
                continue
            if wanted in response.text:
                return response
            pause.wait(0.05)
    raise AssertionError(process.communicate())


def test_prometheus_counts_what_happens(start: Start, free_port: int) -> None:
    process = start(example("monitoring_prometheus.py"), METRICS_PORT=str(free_port))
    told = page(process, f"http://127.0.0.1:{free_port}/metrics", 'exbo_tokens_issued_total{reason="first"} 1.0').text
    assert 'exbo_events_total{event="TokenIssued"} 1.0' in told
    assert "exbo_issue_seconds_count 1.0" in told


TRACING = """
import runpy, sys
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, figures, tracing = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracing)
metrics.set_meter_provider(MeterProvider([figures]))
runpy.run_path(sys.argv[1], run_name="__main__")
work, = [span for span in spans.get_finished_spans() if span.name == "work"]
issued, = [span for span in spans.get_finished_spans() if span.name == "TokenIssued"]
assert issued.parent.span_id == work.context.span_id
assert issued.attributes["reason"] == "first"
assert issued.attributes["fingerprint"]
assert '"event": "TokenIssued"' in figures.get_metrics_data().to_json()
"""


def test_opentelemetry_shows_it_below_the_span_that_was_current(start: Start) -> None:
    ended(start("-c", TRACING, example("monitoring_opentelemetry.py")))


def test_opentelemetry_needs_no_sdk(start: Start, fake: FakeExbo) -> None:
    assert ended(start(example("monitoring_opentelemetry.py"))) == ("", "")
    assert len(fake.issued) == 1


def test_structlog_has_the_fields_of_an_event(start: Start) -> None:
    _, said = ended(start(example("monitoring_structlog.py")))
    [line] = [json.loads(line) for line in said.splitlines()]
    assert (line["kind"], line["reason"], line["level"], line["logger"]) == (
        "TokenIssued",
        "first",
        "info",
        "exbo_oauth.tokens",
    )
    assert line["fingerprint"] in line["event"]


@pytest.fixture
def telegram() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Something that takes what is meant for Telegram: its address, and what it got."""
    messages: list[tuple[str, Any]] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", messages
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_telegram_chat_is_told_that_somebody_outside_ended_a_token(
    start: Start, fake: FakeExbo, environment: dict[str, str], telegram: Any
) -> None:
    address, messages = telegram
    options = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret, "base_url": fake.base_url}
    with SyncOAuthClient(**options, store=environment["EXBO_STORE"]) as ours:
        token = ours.ensure_app_token()
    with SyncOAuthClient(**options) as theirs:
        theirs.get_app_token()
    ended(
        start(
            example("monitoring_telegram.py"), TELEGRAM_API=address, TELEGRAM_TOKEN="4711:secret", TELEGRAM_CHAT="-100"
        )
    )
    [(path, message)] = messages
    assert path == "/bot4711:secret/sendMessage"
    assert message["chat_id"] == "-100"
    assert message["text"].endswith("was superseded by somebody who does not share the store")
    assert token.access_token not in message["text"]


CHAT = {"TELEGRAM_TOKEN": "4711:secret", "TELEGRAM_CHAT": "-100"}


@pytest.mark.parametrize("program", ["health", "opentelemetry", "prometheus", "structlog", "telegram"])
def test_a_missing_setting_is_one_line(program: str, start: Start, free_port: int) -> None:
    process = start(example(f"monitoring_{program}.py"), EXBO_CLIENT_ID="", METRICS_PORT=str(free_port), **CHAT)
    told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert told[0] == ""
    assert told[1].startswith(f"monitoring_{program}: set the environment variable EXBO_CLIENT_ID")
    assert told[1].count("\n") == 1


@pytest.mark.parametrize("missing", CHAT)
def test_an_alert_that_could_reach_nobody_is_told_at_once(missing: str, start: Start, fake: FakeExbo) -> None:
    process = start(example("monitoring_telegram.py"), **CHAT | {missing: ""})
    told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert told[1].startswith("monitoring_telegram: set TELEGRAM_TOKEN")
    assert told[1].count("\n") == 1
    assert not fake.requests


def test_readiness_says_whether_there_is_a_token_and_health_that_the_process_lives(
    start: Start, fake: FakeExbo, free_port: int
) -> None:
    fake.fail_next(503)
    host = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
    process = start(example("monitoring_health.py"), HEALTH_PORT=str(free_port), HEALTH_HOST=host)
    address = f"http://{host}:{free_port}"
    assert page(process, f"{address}/healthz", "alive").status_code == 200
    assert not fake.requests
    waiting = httpx.get(f"{address}/readyz", trust_env=False)
    assert (waiting.status_code, waiting.text.split(":")[0]) == (503, "ServerError")
    ready = page(process, f"{address}/readyz", "the token lives for")
    assert ready.status_code == 200
    assert httpx.get(f"{address}/elsewhere", trust_env=False).status_code == 404

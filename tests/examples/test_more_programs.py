"""The recipes for requests, Celery, FastAPI and for moving over from stalcraft-api, against the sandbox."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from exbo_oauth.testing import FakeExbo

from ..free_ports import free_port
from ..stores.servers import redis_server
from ..test_recipes import EXAMPLES, ROOT, needs, running, until
from .test_programs import Start, ended, fake, grants, start

__all__ = ["fake", "start"]  # fixtures


def test_the_price_watch_shares_one_token_and_survives_its_end(fake: FakeExbo, start: Start) -> None:
    watches = [start("price_watch.py", item, EXBO_ROUNDS="3", EXBO_PAUSE="0.05") for item in ("y3nmw", "zyv6")]
    for status, out, err in map(ended, watches):
        assert (status, err) == (0, "")
        assert len(out.splitlines()) == 3
    fake.supersede()
    status, out, err = ended(start("price_watch.py", EXBO_ROUNDS="1"))
    assert (status, err) == (0, "")
    assert grants(fake) == ["client_credentials"] * 2


def test_the_program_that_moved_over_survives_the_end_of_its_token(fake: FakeExbo, start: Start) -> None:
    needs("scapi")
    for _ in range(2):
        status, out, err = ended(start("moving_over.py"))
        assert status == 0, err
        assert [line.split()[0] for line in out.splitlines()] == ["RU", "EU"]
        fake.supersede()
    assert grants(fake) == ["client_credentials"] * 2


def environment(fake: FakeExbo, folder: Path, **more: str) -> dict[str, str]:
    return {
        "EXBO_CLIENT_ID": fake.app.client_id,
        "EXBO_CLIENT_SECRET": fake.app.client_secret,
        "EXBO_OAUTH_URL": fake.base_url,
        "EXBO_API_URL": fake.api_url,
        "EXBO_STORE": f"sqlite:///{(folder / 'tokens.db').as_posix()}",
        **more,
    }


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_celery_workers_share_one_token(pool: str, fake: FakeExbo, tmp_path: Path) -> None:
    needs("celery")
    from celery import Celery

    with redis_server(tmp_path / "redis") as broker:
        own = environment(fake, tmp_path, CELERY_BROKER=broker.url)
        command = ["-m", "celery", "-A", "celery_worker", "worker", "--concurrency", "3", "--pool", pool]
        with running([*command, "--without-gossip", "--without-mingle"], own, tmp_path):
            with Celery(broker=broker.url, backend=broker.url) as app:
                for _ in range(2):
                    asked = [app.send_task("celery_worker.lots", ["RU", "y3nmw"]) for _ in range(6)]
                    assert all(isinstance(task.get(timeout=120), int) for task in asked)
                    fake.supersede()
    assert grants(fake) == ["client_credentials"] * 2


def test_the_service_answers_and_is_ready(fake: FakeExbo, tmp_path: Path) -> None:
    needs("fastapi", "uvicorn")
    port = free_port()
    command = ["-m", "uvicorn", "fastapi_service:app", "--no-access-log", "--port", str(port)]
    with running(command, environment(fake, tmp_path), tmp_path) as service:
        until(lambda: service.listens(port), "the service is up")
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/ready").json() == {"ready": True}
        assert httpx.get(f"{url}/emission/RU").json()["previous"]
        assert httpx.get(f"{url}/emission/NOWHERE").status_code == 502
    assert grants(fake) == ["client_credentials"]


@pytest.mark.parametrize("program", ["celery_worker", "fastapi_service", "moving_over", "price_watch", "service"])
def test_a_missing_setting_is_one_line(program: str, tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("EXBO_")}
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{program}.py")],
        cwd=tmp_path,
        env=bare | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"{program}: set the environment variables EXBO_CLIENT_ID and EXBO_CLIENT_SECRET")
    assert run.stderr.count("\n") == 1

"""The examples do what they say, as programs of their own, against the sandbox over a real socket."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from exbo_oauth.testing import FakeExbo

from ..free_ports import free_port

ROOT = Path(__file__).parents[2]
REGIONS = ["EU", "NA", "RU", "SEA"]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def fake() -> Iterator[FakeExbo]:
    fake = FakeExbo()
    with fake.serve():
        yield fake


@pytest.fixture
def start(fake: FakeExbo, tmp_path: Path) -> Iterator[Start]:
    """Start an example in an empty directory, with the sandbox's credentials in its environment."""
    started: list[subprocess.Popen[str]] = []

    def popen(name: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        own = {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "EXBO_CLIENT_ID": fake.app.client_id,
            "EXBO_CLIENT_SECRET": fake.app.client_secret,
            "EXBO_OAUTH_URL": fake.base_url,
            "EXBO_API_URL": fake.api_url,
            "EXBO_STORE": f"sqlite:///{(tmp_path / 'tokens.db').as_posix()}",
            "EXBO_NO_BROWSER": "1",
        }
        command = [sys.executable, "-W", "error", str(ROOT / "examples" / name), *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | own | environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        started.append(process)
        return process

    yield popen
    for process in started:  # or one that stands still would be found by the next test that collects garbage
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def grants(fake: FakeExbo) -> list[str | None]:
    return [received.grant for received in fake.requests if received.grant]


def test_the_script_shows_every_region_and_keeps_its_token_for_the_next_run(fake: FakeExbo, start: Start) -> None:
    for _ in range(2):
        status, out, err = ended(start("script.py"))
        assert (status, err) == (0, "")
        assert sorted(line.split()[0] for line in out.splitlines()) == sorted([*REGIONS, "NEA"])
    assert grants(fake) == ["client_credentials"]


def test_the_script_says_what_went_wrong_in_one_line(start: Start) -> None:
    status, out, err = ended(start("script.py", EXBO_CLIENT_SECRET="wrong"))
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("program", ["script", "service", "price_watch", "worker_pool", "moving_over"])
def test_a_program_whose_reader_has_seen_enough_ends_without_a_word(start: Start, program: str) -> None:
    if program == "moving_over":
        pytest.importorskip("scapi")
    process = start(f"{program}.py", EXBO_ROUNDS="3", EXBO_PAUSE="0.01")
    assert process.stdout is not None
    process.stdout.close()
    status, _, err = ended(process)
    assert (status, err) == (1, "")


def counted(out: str) -> list[str]:
    """The regions that lots were counted in, each with the same number whenever it was."""
    lines = out.splitlines()
    assert all(re.fullmatch(r"\w+ [1-9]\d* lots", line) for line in lines)
    assert len(set(lines)) == len({line.split()[0] for line in lines})
    return sorted(line.split()[0] for line in lines)


def test_processes_of_the_service_share_one_token(fake: FakeExbo, start: Start) -> None:
    services = [start("service.py", "y3nmw", EXBO_ROUNDS="2", EXBO_PAUSE="0.05") for _ in range(3)]
    for status, out, err in [ended(service) for service in services]:
        assert (status, err) == (0, "")
        assert counted(out) == sorted(REGIONS * 2)
    assert grants(fake) == ["client_credentials"]


def test_the_service_survives_a_token_that_another_deployment_ended(fake: FakeExbo, start: Start) -> None:
    service = start("service.py", EXBO_ROUNDS="10", EXBO_PAUSE="0.2")
    # Once the API has taken the token: one that it never took may not be its fault.
    while sum(received.path.startswith("/api") for received in fake.requests) < 2 * len(REGIONS):
        time.sleep(0.01)
    fake.supersede()
    status, out, err = ended(service)
    assert (status, err) == (0, "")
    assert counted(out) == sorted(REGIONS * 10)
    assert grants(fake) == ["client_credentials"] * 2


def test_the_trio_program_signs_in_once(fake: FakeExbo, start: Start) -> None:
    callback = f"http://127.0.0.1:{free_port()}/callback"
    program = start("characters.py", EXBO_REDIRECT_URI=callback)
    shown = (re.search(rf"{fake.base_url}/authorize\S+", line) for line in program.stderr)
    found = next(match for match in shown if match)
    page = httpx.get(fake.authorize(found[0]), follow_redirects=True, trust_env=False)
    assert page.status_code == 200
    assert_shows_characters(ended(program))
    assert_shows_characters(ended(start("characters.py", EXBO_REDIRECT_URI=callback)))
    assert grants(fake) == ["authorization_code"]


def assert_shows_characters(result: tuple[int, str, str]) -> None:
    status, out, err = result
    assert status == 0, err
    assert "Signed in as ivan" in out
    assert sorted(line for line in out.splitlines() if line.endswith(" ivan"))[:4] == [
        f"{region} ivan" for region in REGIONS
    ]

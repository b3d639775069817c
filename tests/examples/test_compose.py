"""The containers' recipe without an engine: what it names is there, and its services do their work as processes."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from exbo_oauth.cli import visitor

from ..free_ports import free_port
from ..stores.servers import redis_server
from ..test_recipes import EXAMPLES, ROOT, Telegram, needs, running, until

COMPOSE = (EXAMPLES / "compose" / "compose.yaml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))


def instructions(path: Path) -> dict[str, list[tuple[str, str]]]:
    """The instructions of a Dockerfile, stage by stage."""
    stages: dict[str, list[tuple[str, str]]] = {}
    lines = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8")).splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            name, rest = line.split(maxsplit=1)
            if name == "FROM":
                current = stages.setdefault(rest.partition(" AS ")[2], [])
            current.append((name, rest))
    return stages


STAGES = instructions(EXAMPLES / "compose" / "Dockerfile")


def command_of(stage: str, name: str) -> list[str]:
    [found] = [json.loads(rest[rest.index("[") :]) for kind, rest in STAGES[stage] if kind == name]
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE)["services"]


def test_every_image_can_be_built_from_what_is_here(services: dict[str, Any]) -> None:
    for service in services.values():
        if "build" in service:
            context = EXAMPLES / "compose" / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).samefile(EXAMPLES / "compose" / "Dockerfile")
            copied = [rest.split()[0] for kind, rest in STAGES[service["build"]["target"]] if kind == "COPY"]
            assert all((context / source).is_file() for source in copied)
        else:
            assert re.fullmatch(r"[\w/]+:\d[\w.-]*", service["image"])
    for stage in STAGES.values():
        base = stage[0][1].partition(" AS ")[0]
        assert base in STAGES or base in {f"python:{version}-slim" for version in PYTHONS}


def test_what_is_installed_is_on_offer() -> None:
    for stage in STAGES.values():
        for kind, rest in stage:
            for extras in re.findall(r"exbo-oauth\[(.*?)\]", rest):
                assert kind == "RUN"
                assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()
    wanted = shlex.split(next(rest for kind, rest in STAGES["bot"] if kind == "RUN"))[2:]
    tested = [
        re.split(r"[>=\[]", needed)[0] for needed in PROJECT["dependency-groups"]["test"] if isinstance(needed, str)
    ]
    assert set(wanted[1:]) <= set(tested)


def test_the_containers_are_on_one_network_and_publish_to_this_machine_alone(services: dict[str, Any]) -> None:
    volumes = yaml.safe_load(COMPOSE)["volumes"]
    others = {name: service for name, service in services.items() if name != "sandbox"}
    assert {service["network_mode"] for service in others.values()} == {"service:sandbox"}
    assert not [name for name, service in others.items() if "ports" in service]  # which that mode forbids
    assert all(port.startswith("127.0.0.1:") for port in services["sandbox"]["ports"])
    assert all(need in services for service in others.values() for need in service.get("depends_on", ()))
    for service in services.values():
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in volumes
    assert [rest for kind, rest in STAGES["sandbox"] if kind == "VOLUME"] == ["/state"]


def test_no_image_runs_as_root() -> None:
    for name in ("sandbox", "bot"):
        users = [rest for kind, rest in STAGES[name] if kind == "USER"]
        assert users == ["app"]


@pytest.mark.skipif(os.name != "posix", reason="containers are Linux")
def test_somebody_links_an_account_and_is_known_after_a_restart_of_everything(tmp_path: Path) -> None:
    needs("telegram")
    port, telegram = str(free_port()), Telegram()
    state = tmp_path / "state"
    state.mkdir()
    telegram.thread.start()
    redis_options = shlex.split(yaml.safe_load(COMPOSE)["services"]["redis"]["command"])[1:]
    try:
        with redis_server(tmp_path / "redis", *redis_options) as redis:
            services = yaml.safe_load(COMPOSE.replace("8765", port).replace("redis://127.0.0.1/0", redis.url))[
                "services"
            ]
            sandbox = [part.replace("/state", str(state)) for part in command_of("sandbox", "ENTRYPOINT")[1:]]
            bot = services["bot"]["environment"] | {"BOT_TOKEN": "7:AAAA", "TELEGRAM_API": telegram.url}
            program = str(EXAMPLES / command_of("bot", "CMD")[1])
            for answer in ("Linked: petr", "You are petr."):
                serve = ["-m", "exbo_oauth", *sandbox, "--port", port, "--add-user", "petr"]
                with running(serve, services["sandbox"]["environment"], tmp_path) as served:
                    until(lambda served=served: "Ctrl-C ends it" in served.printed, "the sandbox is there")
                    assert healthy(port)
                    with running([program], bot, tmp_path):
                        assert "/link" in telegram.hears(1, "/start")["text"]
                        if answer.startswith("Linked"):
                            assert telegram.hears(1, came_back(telegram.hears(1, "/link")))["text"] == answer
                        else:
                            assert telegram.hears(1, "/me")["text"] == answer
            assert not healthy(port)
    finally:
        telegram.close()


def healthy(port: str) -> bool:
    check = [part.replace("8765", port) for part in command_of("sandbox", "HEALTHCHECK")[1:]]
    return subprocess.run([sys.executable, *check], capture_output=True, check=False).returncode == 0


def came_back(message: dict[str, Any]) -> str:
    """The address that a browser ends on which opens the bot's link and signs in as petr."""
    url = json.loads(message["reply_markup"])["inline_keyboard"][0][0]["url"]
    with httpx.Client(trust_env=False) as http:
        steps, answer = visitor.sign_in(http, url, "petr", "http://localhost:9999/callback"), None
        try:
            while True:
                answer = steps.send(answer)
        except StopIteration as done:
            return done.value

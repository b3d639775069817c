"""Programs as people write them, with the token handling by hand that such programs have, and the same with ours.

Four processes of each run at once, and another deployment supersedes the token twice. What the programs get is
printed beside each other; ours never see a 401, and no more tokens are issued than were ended.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import ndiff
from pathlib import Path

import pytest
from attrs import frozen

from exbo_oauth.testing import FakeExbo

from ..stores.servers import redis_server
from ..test_recipes import Telegram, needs

HERE = Path(__file__).parent
PROCESSES = 4
SUPERSEDED = 2
ROUNDS = 20


@frozen
class Tally:
    """What a program got: the statuses of its answers, and how many tokens were issued to it."""

    statuses: list[int]
    tokens: int

    @property
    def refused(self) -> int:
        return self.statuses.count(401)


@contextmanager
def superseding(fake: FakeExbo, answered: Callable[[], int], wanted: int) -> Iterator[None]:
    """Another deployment fetches its own tokens, when a third and two thirds of the answers are there."""
    over = threading.Event()

    def watch() -> None:
        for number in range(1, SUPERSEDED + 1):
            while answered() < wanted * number / (SUPERSEDED + 1):
                if over.wait(0.01):
                    return
            fake.supersede()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def environment(fake: FakeExbo, folder: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "EXBO_CLIENT_ID": fake.app.client_id,
        "EXBO_CLIENT_SECRET": fake.app.client_secret,
        "EXBO_OAUTH_URL": fake.base_url,
        "EXBO_API_URL": fake.api_url,
        "EXBO_STORE": f"sqlite:///{(folder / 'tokens.db').as_posix()}",
        "PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[1], HERE))),
        **more,
    }


def monitors(program: str, fake: FakeExbo, folder: Path) -> list[int]:
    """Programs that print a line an answer."""
    printed: list[str] = []
    command = [sys.executable, str(HERE / f"{program}.py")]
    env = environment(fake, folder, ROUNDS=str(ROUNDS))
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    readers = [threading.Thread(target=lambda out=process.stdout: printed.extend(out)) for process in running]
    for reader in readers:
        reader.start()
    with superseding(fake, lambda: len(printed), PROCESSES * ROUNDS * 4):
        for process, reader in zip(running, readers, strict=True):
            reader.join()
            assert process.wait() == 0
            process.stdout.close()
    return [int(line) for line in printed]


def workers(program: str, fake: FakeExbo, folder: Path) -> list[int]:
    """A Celery worker of four processes, through a real broker."""
    needs("celery")
    from celery import Celery

    with ExitStack() as stack:
        broker = stack.enter_context(redis_server(folder / "redis")).url
        env = environment(fake, folder, BROKER=broker)
        options = ["worker", "--concurrency", str(PROCESSES), "--without-mingle", "--without-gossip", "-l", "error"]
        command = [sys.executable, "-m", "celery", "-A", program, *options]
        worker = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        app = stack.enter_context(Celery("prices", broker=broker, backend=broker))
        statuses: list[int] = []
        wanted = PROCESSES * ROUNDS
        with superseding(fake, lambda: len(statuses), wanted):
            while len(statuses) < wanted:
                asked = [app.send_task("emission", [region]) for region in ("RU", "EU", "NA", "SEA")]
                statuses += [task.get(timeout=60) for task in asked]
    return statuses


def bots(program: str, fake: FakeExbo, folder: Path) -> list[int]:
    """Four Telegram bots, asked in turn."""
    needs("telegram")
    with ExitStack() as stack:
        chats = [Telegram() for _ in range(PROCESSES)]
        for chat in chats:
            chat.thread.start()
            stack.callback(chat.close)
            env = environment(fake, folder, BOT_TOKEN="7:AAAA-the-token-of-the-bot", TELEGRAM_API=chat.url)
            bot = subprocess.Popen([sys.executable, str(HERE / f"{program}.py")], env=env)
            stack.callback(bot.wait)
            stack.callback(bot.terminate)
        statuses: list[int] = []
        with superseding(fake, lambda: len(statuses), PROCESSES * ROUNDS):
            for _ in range(ROUNDS):
                statuses += [int(chat.hears(1, "/emission")["text"]) for chat in chats]
    return statuses


PORTS: dict[str, Callable[[str, FakeExbo, Path], list[int]]] = {
    "aiohttp": monitors,
    "requests": monitors,
    "celery": workers,
    "telegram": bots,
}


def ran(port: str, version: str, folder: Path) -> Tally:
    fake = FakeExbo()
    with fake.serve():
        statuses = PORTS[port](f"{port}_{version}", fake, folder)
    return Tally(statuses, len(fake.issued) - SUPERSEDED)


@pytest.mark.parametrize("port", PORTS)
def test_programs_with_ours_see_no_401_and_cost_a_token_a_supersession(port: str, tmp_path: Path) -> None:
    by_hand, ours = ran(port, "before", tmp_path), ran(port, "after", tmp_path)
    print(f"{port}: by hand {by_hand.refused} of {len(by_hand.statuses)} refused, {by_hand.tokens} tokens; ", end="")
    print(f"ours {ours.refused} of {len(ours.statuses)} refused, {ours.tokens} tokens")
    assert set(ours.statuses) == {200}
    assert ours.tokens == 1 + SUPERSEDED
    assert by_hand.refused > 0
    assert by_hand.tokens > ours.tokens


@pytest.mark.parametrize("port", PORTS)
def test_moving_over_takes_five_lines_at_most(port: str) -> None:
    before, after = ((HERE / f"{port}_{version}.py").read_text().splitlines() for version in ("before", "after"))
    added = [line for line in ndiff(before, after) if line.startswith("+ ") and line[2:].strip()]
    written = [line for line in added if '"""' not in line]
    assert len(written) <= 5, written

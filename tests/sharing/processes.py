"""Worker processes, told when to go."""

import os
import subprocess
import sys
from pathlib import Path

from .conftest import Sandbox

WORKER = Path(__file__).with_name("worker.py")
ROOT = WORKER.parent.parent.parent


class Worker:
    """A process of `worker.py`, ready."""

    def __init__(self, sandbox: Sandbox, colour: str, count: int, store: Path, timeout: float = 30.0) -> None:
        app = sandbox.fake.app
        arguments = [colour, count, store, sandbox.base_url, app.client_id, app.client_secret, timeout]
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> list[str]:
        """What it printed, once it has ended."""
        output, _ = self.process.communicate(timeout=120)
        return output.split()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

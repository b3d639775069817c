"""Real processes that do what `worker` says."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("worker.py")


def start(task: str, path: Path, number: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-X", "dev", str(WORKER), task, str(path), str(number)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default,ignore:This process:DeprecationWarning",
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def finished(worker: "subprocess.Popen[str]", said: str = "") -> str:
    """What a worker printed, after it ended without a complaint of any kind."""
    output, complaint = worker.communicate(said, timeout=120)
    assert (worker.returncode, complaint) == (0, "")
    return output

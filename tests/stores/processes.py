"""Real processes that do what `worker` or a program in a string says. None outlives its test, whatever fails there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("worker.py")

Process = subprocess.Popen[str]

_started: list[Process] = []


def _run(*command: str, **environment: str) -> Process:
    pipe, own = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=own)
    _started.append(process)
    return process


def start(task: str, path: Path, number: object) -> Process:
    warnings = "default,ignore:This process:DeprecationWarning"
    return _run("-X", "dev", str(WORKER), task, str(path), str(number), PYTHONWARNINGS=warnings)


def start_program(program: str, *arguments: str) -> Process:
    return _run("-c", program, *arguments)


def finished(worker: Process, said: str = "") -> str:
    """What a worker printed, after it ended without a complaint of any kind."""
    output, complaint = worker.communicate(said, timeout=120)
    assert (worker.returncode, complaint) == (0, ""), f"{worker.returncode}: {complaint}"
    return output


def end_all() -> None:
    """End what a test has left behind."""
    while _started:
        with _started.pop() as process:
            process.kill()

"""A terminal in an empty folder, on a machine without a network: git and pip are stand-ins that know this clone only.

All else is real: bash, Python's venv, the commands, and a browser whose user signs in and agrees.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, evolve, field

__all__ = ["Terminal", "free_port"]

ROOT = Path(__file__).parents[2]
ROBOT = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'tests' / 'login' / 'robot.py'))} %s"

GIT = f"""\
#!{sys.executable}
import sys
from pathlib import Path

command, url = sys.argv[1:]
assert command == "clone" and url == "https://github.com/exbo-oauth/exbo-oauth", sys.argv
clone = Path("exbo-oauth")
clone.mkdir()
for name in ("pyproject.toml", "exbo_oauth", "examples", "README.md"):
    (clone / name).symlink_to(Path({str(ROOT)!r}, name))
"""

PYTHON = f"""\
#!{sys.executable}
import os, subprocess, sys
from pathlib import Path

if sys.argv[1:3] != ["-m", "venv"]:
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
[folder] = sys.argv[3:]
subprocess.run([{sys.executable!r}, "-m", "venv", "--without-pip", folder], check=True)
pip = Path(folder, "bin", "pip")
pip.write_text(Path({__file__!r}).with_name("pip.py").read_text().replace("PYTHON", {sys.executable!r}))
pip.chmod(0o755)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@define
class Terminal:
    """Where a reader types. What a block changes about its shell (a folder, variables) is there for the next one."""

    folder: Path
    language: str = "en"
    port: int = field(factory=free_port)
    callback_port: int = field(factory=free_port)
    _before: str = ""

    def __attrs_post_init__(self) -> None:
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        for name, source in (("git", GIT), ("python3", PYTHON)):
            (tools / name).write_text(source, encoding="utf-8")
            (tools / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        path = [str(self.folder / "tools"), sysconfig.get_path("scripts"), os.defpath, "/usr/local/bin"]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self.folder),
            "BROWSER": ROBOT,
            "EXBO_LANG": self.language,
            "LC_ALL": "C.UTF-8",
        }

    @property
    def redirect_uri(self) -> str:
        return f"http://localhost:{self.callback_port}/callback"

    def another(self) -> "Terminal":
        """A second one, opened where the first one was, on the same machine."""
        return evolve(self, before="")

    def run(self, block: str) -> str:
        """What a block writes to standard output; each of its lines has to succeed."""
        command = ["bash", "-euo", "pipefail", "-c", f"{self._before}\n{block}"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def enter(self, block: str) -> None:
        """Run a block, and go on from where it leads."""
        self.run(block)
        kept = [
            line for line in block.splitlines() if line.startswith(("cd ", "source ", "export ")) or " && cd " in line
        ]
        self._before += "".join(f"{line.replace('mkdir ', 'mkdir -p ')}\n" for line in kept)

    @contextmanager
    def running(self, block: str) -> Iterator["subprocess.Popen[str]"]:
        """What a block starts and leaves in the foreground; it has written its first line. Ends with Ctrl-C."""
        command = ["bash", "-c", f"{self._before}\nexec {block}"]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)

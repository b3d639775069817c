"""Running the command line as users do: a process of its own, a home of its own, no EXBO variables inherited."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define, field

ROOT = Path(__file__).parents[2]


@define
class Shell:
    """A fresh home and working directory, and the environment that commands run in."""

    home: Path
    environment: dict[str, str] = field(factory=dict)

    def __call__(
        self, *arguments: str, stdin: str = "", timeout: float = 60, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "exbo_oauth", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.home,
            env=self.environment | variables,
            timeout=timeout,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands in a home that nobody has used yet."""
    inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    places = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")}
    settings = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    return Shell(tmp_path, inherited | places | settings)


@pytest.fixture
def without(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A ``PYTHONPATH`` on which the named packages cannot be found, as if they had not been installed."""

    def hide(*names: str) -> str:
        folder = tmp_path_factory.mktemp("hiding")
        (folder / "sitecustomize.py").write_text(
            "import sys\n"
            "from importlib.machinery import PathFinder\n"
            f"HIDDEN = {names!r}\n"
            "class Finder(PathFinder):\n"
            "    @classmethod\n"
            "    def find_spec(cls, name, path=None, target=None):\n"
            "        return None if name.partition('.')[0] in HIDDEN else PathFinder.find_spec(name, path, target)\n"
            "sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]\n"
        )
        return os.pathsep.join([str(folder), str(ROOT)])

    return hide

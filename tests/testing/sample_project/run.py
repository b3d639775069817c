"""Install a wheel into a fresh environment and run the sample project's tests there, away from the source tree.

Usage: ``python run.py dist/exbo_oauth-….whl [PYTHON]``. Exits with pytest's code. Everything that is needed comes from
the wheel, its extra ``testing``, and pytest; warnings are errors.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = ("auction.py", "test_auction.py")


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_environment(path: Path, interpreter: str | None) -> Path:
    if interpreter is None:
        venv.create(path, with_pip=True)
    else:
        subprocess.run([interpreter, "-m", "venv", path], check=True)
    return python_of(path)


def run(wheel: Path, interpreter: str | None = None) -> int:
    """Pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="exbo-sample-") as name:
        home = Path(name)
        python = make_environment(home / "environment", interpreter)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", f"{wheel.resolve()}[testing]", "pytest>=8.3"], check=True
        )
        project = home / "project"
        project.mkdir()
        for file in PROGRAM:
            shutil.copy(HERE / file, project)
        options = ["-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
        return subprocess.run([python, "-m", "pytest", *options], cwd=project, check=False).returncode


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), *sys.argv[2:3]))

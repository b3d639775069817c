"""The package where Python's files are not as they were installed: optimised away, in a zip, in a frozen program."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import exbo_oauth

from ..test_recipes import needs

HERE = Path(__file__).parent
PACKAGE = Path(exbo_oauth.__file__).parent


IN_A_ZIP = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
import exbo_oauth
assert ".zip" in exbo_oauth.__file__
runpy.run_path(sys.argv[2])
"""


def printed(*command: str, **environment: str) -> str:
    run = subprocess.run(command, env=environment or None, capture_output=True, text=True, timeout=500, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_without_asserts_and_docstrings() -> None:
    assert printed(sys.executable, "-OO", str(HERE / "program.py")) == "200 200 200 en ru"


def test_in_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in PACKAGE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                zipped.write(path, path.relative_to(PACKAGE.parent))
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); import runpy; runpy.run_path({str(HERE / 'program.py')!r})"
    )
    program += "; import exbo_oauth; assert '.zip' in exbo_oauth.__file__"
    assert printed(sys.executable, "-c", program) == "200 200 200 en ru"


@pytest.mark.parametrize("how", ["--onedir"])
def test_frozen_by_pyinstaller(how: str, tmp_path: Path) -> None:
    needs("PyInstaller")
    places = [f"--{name}path={tmp_path / name}" for name in ("dist", "work", "spec")]
    left_out = [f"--exclude-module={name}" for name in ("django", "IPython", "pytest", "tkinter", "sqlalchemy")]
    command = ["-m", "PyInstaller", "--log-level=ERROR", how, *places, *left_out]
    printed(sys.executable, *command, str(HERE / "program.py"))
    assert printed(str(tmp_path / "dist" / "program" / "program")) == "200 200 200 en ru frozen"

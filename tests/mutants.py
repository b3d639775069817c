"""Mutation testing: break the code in thousands of small ways, one at a time, and see whether a test notices.

``python tests/mutants.py protocol flow`` tries the parts named, or all; a file of the package in place of a part tries
that file only. mutmut makes the mutants and runs, in forks, the tests that reach each of them. What survives is tried
once more in a fresh interpreter, because code that ran while the tests were imported ran without its mutant. What is
left must stand in ``tests/mutants.md`` with the reason why no test can notice; fewer than 95 % killed is a failure.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".nox" / "mutants"
EXPLAINED = ROOT / "tests" / "mutants.md"
LEAST = 0.95
PATIENCE = 600  # seconds for the tests of a mutant in an interpreter of its own
WORKERS = os.cpu_count() or 2
PYTEST = ("-p", "no:cacheprovider", "--hypothesis-profile=mutants")


@frozen
class Part:
    """What is broken, and the tests that have to notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


PARTS = {
    "protocol": Part(
        ("protocol/*", "models.py", "errors.py", "converter.py"),
        (
            "tests/protocol",
            "--ignore=tests/protocol/test_any_bytes.py",  # thousands of answers; what they find has tests of its own
            "--ignore=tests/protocol/test_secrecy.py",  # looks into every frame, mutmut's among them
        ),
    ),
    "flow": Part(("flow/*",), ("tests/flow",)),
    "stores": Part(
        ("stores/base.py", "stores/guard.py", "stores/memory.py", "stores/serial.py", "stores/sqlite*.py"),
        (
            "tests/stores/test_contract.py",
            "tests/stores/test_entry.py",
            "tests/stores/test_guard.py",
            "tests/stores/test_memory.py",
            "tests/stores/test_sqlite.py",
            "tests/stores/test_sqlite_file.py",
        ),
    ),
}


def part_of(name: str) -> tuple[str, Part]:
    """The part of that name, or the one that a file of the package belongs to, cut down to this file."""
    if name in PARTS:
        return name, PARTS[name]
    inner = Path(name).relative_to("exbo_oauth")
    for title, part in PARTS.items():
        if any(inner.match(pattern) for pattern in part.sources):
            return f"{title}-{inner.stem}", Part((str(inner),), part.tests)
    sys.exit(f"{name} belongs to no part: {', '.join(PARTS)}")


def prepared(title: str, part: Part) -> Path:
    """A copy of the tree in which mutmut may do what it likes."""
    folder = WORK / title
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("exbo_oauth", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    settings = {
        "source_paths": ["exbo_oauth"],
        "only_mutate": [f"exbo_oauth/{source}" for source in part.sources],
        "timeout_constant": 60.0,  # seconds: a busy machine is no endless loop
        "pytest_add_cli_args_test_selection": [],
        "pytest_add_cli_args": [*PYTEST, *part.tests],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), encoding="utf-8")
    return folder


def results(folder: Path) -> dict[str, int | None]:
    """How the tests of each mutant ended: 0 is a survivor, 33 (mutmut's) or None one that no test reaches."""
    found: dict[str, int | None] = {}
    for meta in sorted((folder / "mutants").rglob("*.meta")):
        found |= json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def survives_alone(folder: Path, part: Part, name: str) -> bool:
    """Whether no test notices the mutant in an interpreter of its own either."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", *PYTEST, *part.tests]
    environment = os.environ | {"MUTANT_UNDER_TEST": name, "PYTHONPATH": str(folder / "mutants")}
    try:
        done = subprocess.run(
            command, cwd=folder / "mutants", env=environment, capture_output=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def described(folder: Path, name: str) -> str:
    """The mutant as `tests/mutants.md` lists it: the function, the line as it is, and as it was made."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", name], cwd=folder, capture_output=True, text=True, check=True
    )
    changed = re.findall(r"^([-+])(?![-+]{2} )(.*)$", shown.stdout, re.MULTILINE)
    sides = [" ".join(text.strip() for sign, text in changed if sign == side) for side in "-+"]
    function = re.sub(r"__mutmut_\d+$", "", name.removeprefix("exbo_oauth.")).replace("xǁ", "").replace("ǁ", ".")
    return f"{re.sub(r'(?<=[.])x_', '', function)}: {sides[0]} -> {sides[1]}"


def tried(title: str, part: Part) -> bool:
    """Whether enough mutants of the part were killed, and every other one is explained."""
    folder = prepared(title, part)
    subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", str(WORKERS)],
        cwd=folder,
        check=False,
        stdout=subprocess.DEVNULL if os.environ.get("CI") else None,
    )
    ended = results(folder)
    if not ended:
        sys.exit(f"{title}: mutmut made no mutants, or its first run of the tests failed")
    doubtful = [name for name, code in ended.items() if code in (0, 33, None)]
    with ThreadPoolExecutor(WORKERS) as pool:
        alone = pool.map(lambda name: survives_alone(folder, part, name), doubtful)
        left = sorted(pool.map(lambda name: described(folder, name), compress(doubtful, alone)))
    explained = EXPLAINED.read_text(encoding="utf-8").splitlines()
    unexplained = [line for line in left if line not in explained]
    killed = 1 - len(left) / len(ended)
    print(f"\n{title}: {len(ended)} mutants, {killed:.1%} killed, {len(left)} left, {len(unexplained)} unexplained")
    print(*unexplained, sep="\n")
    return killed >= LEAST and not unexplained


if __name__ == "__main__":
    chosen = [part_of(name) for name in sys.argv[1:] or PARTS]
    outcomes = [tried(title, part) for title, part in chosen]  # every part, whatever comes of the first
    sys.exit(0 if all(outcomes) else 1)

"""Mutation testing: break the code in thousands of small ways, one at a time, and see whether a test notices.

``python -m tests.mutants protocol flow`` tries the parts named, or all; a file of the package in place of a part tries
that file only. mutmut makes the mutants, mypy, which CI asks as well, refuses many of them, and `trial` runs the tests
that reach each of the others. What survives is tried once more in a fresh interpreter if it ran while the tests were
collected, and so without its mutant. What is left must stand in ``tests/mutants.md`` with the reason why no test can
notice, and nothing else may stand there; fewer than 95 % of a part killed is a failure.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import compress
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define, frozen
from mutmut.mutation.file_mutation import mutate_file_contents

from .listed import explanations

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".nox" / "mutants"
PATIENCE = 600  # seconds for the tests of a mutant in an interpreter of its own
WORKERS = os.cpu_count() or 2
PYTEST = ("-q", "-p", "no:cacheprovider", "--capture=sys", "--tb=short", "--hypothesis-profile=mutants")
# What is made of an expression may be unreachable, or need no ignoring any more: that is no reason to refuse it.
MYPY = ("--strict", "--no-pretty", "--hide-error-context", "--no-warn-unused-ignores", "--no-warn-unreachable")
NO_TRACES = ("-o", "tmp_path_retention_policy=failed")


@frozen
class Part:
    """What is broken, the tests that have to notice, and the share of the mutants that must be killed at least."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    least: float = 0.95


PARTS = {
    "protocol": Part(
        ("protocol/*.py", "models.py", "errors.py", "converter.py", "moments.py"),
        (
            "tests/protocol",
            "--ignore=tests/protocol/test_any_bytes.py",  # thousands of answers; what they find has tests of its own
            "--ignore=tests/protocol/test_secrecy.py",  # looks into every frame, mutmut's among them
            "tests/flow/test_events.py",  # what headers say of a limit
        ),
    ),
    "flow": Part(
        ("flow/*.py",),
        (
            "tests/flow",
            "--ignore=tests/flow/test_invariants.py",  # walks that take seconds; so do the next ones
            "--ignore=tests/flow/test_refusing_apis.py",
        ),
    ),
    "stores": Part(
        (
            "stores/base.py",
            "stores/entry_text.py",
            "stores/guard.py",
            "stores/memory.py",
            "stores/packed.py",
            "stores/sqlite*.py",
        ),
        (
            *(
                f"tests/stores/test_{name}.py"
                for name in ("contract", "copies", "encrypted", "entry", "guard", "holder", "memory")
            ),
            *(f"tests/stores/test_{name}.py" for name in ("sqlite", "sqlite_file", "sqlite_sharing")),
            # What needs a server, a keyring or a slow moment for every passphrase is about other files.
            "-k",
            "not (redis or PostgreSQL or engine or MariaDB or keyring or TestPassphrase)",
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
            return f"{title}-{inner.stem}", Part((inner.as_posix(),), part.tests, least=0)
    sys.exit(f"{name} belongs to no part: {', '.join(PARTS)}")


@define
class Broken:
    """A copy of the tree that holds all mutants of a part; which one is alive, a variable of the environment says."""

    folder: Path
    part: Part
    lines: dict[str, str]  # of each mutant, as `tests/mutants.md` lists it

    @property
    def files(self) -> list[str]:
        """Those that are broken."""
        return sorted({line.split()[0] for line in self.lines.values()})

    @classmethod
    def made(cls, title: str, part: Part) -> "Broken":
        """The copy, in which nothing has been tried."""
        folder = WORK / title
        shutil.rmtree(folder, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in ("docs", "exbo_oauth", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder)
        package, lines = folder / "exbo_oauth", dict[str, str]()
        for path in sorted({path for source in part.sources for path in package.glob(source)}):
            lines |= break_file(path, path.relative_to(package))
        return cls(folder, part, lines)

    def pytest(self, *arguments: str, alive: str = "", **more: object) -> subprocess.CompletedProcess[bytes]:
        """Run the part's tests in the copy."""
        command = [sys.executable, "-m", "pytest", *PYTEST, *arguments, *self.part.tests]
        environment = os.environ | {"MUTANT_UNDER_TEST": alive, "PYTHONPATH": str(self.folder)}
        return subprocess.run(command, cwd=self.folder, env=environment, check=False, **more)  # type: ignore[call-overload]

    def verdicts(self) -> dict[str, str]:
        """What became of each mutant: mistyped, or in the words of `trial`."""
        mistyped = self.mistyped()
        (self.folder / "mutants.json").write_text(json.dumps(list(self.lines.keys() - mistyped)), encoding="utf-8")
        done = self.pytest("-p", "tests.mutants.trial", "-p", "no:xdist", *NO_TRACES, capture_output=True)
        if done.returncode:
            sys.exit(done.stdout.decode() + done.stderr.decode())
        verdicts: dict[str, str] = json.loads((self.folder / "verdicts.json").read_text(encoding="utf-8"))
        return verdicts | dict.fromkeys(mistyped, "mistyped")

    def mistyped(self) -> set[str]:
        """The mutants that mypy refuses, for another reason than it may have to refuse what they are made of."""
        command = [
            sys.executable,
            "-m",
            "mypy",
            *MYPY,
            f"--cache-dir={WORK / 'mypy'}",
            *(f"exbo_oauth/{file}" for file in self.files),
        ]
        done = subprocess.run(command, cwd=self.folder, check=False, capture_output=True, text=True)
        errors: dict[tuple[str, int], set[str]] = {}
        for path, line, text in re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
            errors.setdefault((path, int(line)), set()).add(text)
        refused = set()
        for file in self.files:
            path = f"exbo_oauth/{file}"
            said = {
                node.name: set[str]().union(
                    *(errors.get((path, line), ()) for line in range(node.lineno, (node.end_lineno or 0) + 1))
                )
                for node in functions((self.folder / path).read_text(encoding="utf-8"))
            }
            module = path.removesuffix(".py").replace("/", ".")
            refused |= {f"{module}.{name}" for name in said if said[name] - said.get(original(name), set())}
        return self.lines.keys() & refused

    def survives_alone(self, name: str) -> bool:
        """Whether no test notices the mutant in an interpreter of its own either."""
        with TemporaryDirectory() as place, suppress(subprocess.TimeoutExpired):
            own = ("-x", f"--basetemp={place}/tests")
            return self.pytest(*own, alive=name, capture_output=True, timeout=PATIENCE).returncode == 0
        return False


def break_file(path: Path, inner: Path) -> dict[str, str]:
    """Put mutants beside the functions of this file; they by name, each as `tests/mutants.md` lists it."""
    broken = mutate_file_contents(str(inner), undecorated(path.read_text(encoding="utf-8")))
    path.write_text(broken.code, encoding="utf-8")
    module, texts = ".".join(("exbo_oauth", *inner.with_suffix("").parts)), {}
    for node in functions(broken.code):
        own, text = plain(node.name).rpartition(".")[2], broken.code.splitlines()[node.lineno - 1 : node.end_lineno]
        texts[node.name] = [line.strip().replace(node.name, own) for line in text]
    listed = {}
    for name in broken.mutant_names:
        old, new = changed(texts[original(name)], texts[name])
        listed[f"{module}.{name}"] = f"{inner.as_posix()} {plain(name)}: {old} -> {new}"
    return listed


def functions(code: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions in this code."""
    return [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def original(name: str) -> str:
    """The name of the function that a mutant is made of."""
    return f"{name.partition('__mutmut_')[0]}__mutmut_orig"


def undecorated(source: str) -> str:
    """The same module, whose functions are decorated at its end: mutmut passes by what is decorated on the spot."""
    lines, end = source.splitlines(), []
    tree = ast.parse(source)
    for owner in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        for node in owner.body:
            if not isinstance(node, ast.FunctionDef):
                continue
            wrappers = [ast.unparse(one) for one in node.decorator_list]
            if not wrappers or wrappers in (["classmethod"], ["staticmethod"]):
                continue
            name = node.name if owner is tree else f"{owner.name}.{node.name}"
            plain = name if owner is tree else f"vars({owner.name})[{node.name!r}]"
            end.append(f"{name} = {'('.join(wrappers)}({plain}{')' * len(wrappers)}")
            for number in range(node.decorator_list[0].lineno, node.lineno):
                lines[number - 1] = ""
    return "\n".join([*lines, *end, ""])


def plain(name: str) -> str:
    """The name of a function, or of a class and a method, that mutmut has made a longer one of."""
    return name.partition("__mutmut_")[0].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")


def changed(old: list[str], new: list[str]) -> tuple[str, str]:
    """The lines in which two functions differ."""
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return " ".join(old), " ".join(new)


def tried(title: str, part: Part) -> bool:
    """Whether enough mutants of the part were killed, and what is left is what is explained."""
    broken = Broken.made(title, part)
    verdicts, listed = broken.verdicts(), explanations()
    doubtful = [name for name, verdict in verdicts.items() if verdict in {"early", "crashed"}]
    with ThreadPoolExecutor(WORKERS) as pool:
        left = set(compress(doubtful, pool.map(broken.survives_alone, doubtful)))
    left |= {name for name, verdict in verdicts.items() if verdict in {"survived", "unreached"}}
    lines = {broken.lines[name] for name in left}
    untrue = {line for line in listed - lines if line.split()[0] in broken.files}
    killed = 1 - len(left) / len(verdicts)
    print(
        f"\n{title}: {Counter(verdicts.values())}, {killed:.1%} killed", *table(broken.lines, verdicts, left), sep="\n"
    )
    print(f"\nLeft without a reason: {len(lines - listed)}", *sorted(lines - listed), sep="\n")
    print(f"\nListed, but not left: {len(untrue)}", *sorted(untrue), sep="\n")
    return killed >= part.least and not lines - listed and not untrue


def table(lines: dict[str, str], verdicts: dict[str, str], left: set[str]) -> list[str]:
    """The figures as `tests/mutants.md` shows them."""
    found: dict[str, Counter[str]] = {}
    for name, verdict in sorted(verdicts.items()):
        ended = "left" if name in left else "types" if verdict == "mistyped" else "tests"
        found.setdefault(lines[name].split()[0], Counter())[ended] += 1
    rows = [
        (f"`{file}`", ended["tests"], ended["types"], ended["left"], ended.total()) for file, ended in found.items()
    ]
    head = ("file", "killed by tests", "refused by mypy", "left", "all")
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, ("---",) * len(head), *rows)]


if __name__ == "__main__":
    chosen = [part_of(name) for name in sys.argv[1:] or PARTS]
    outcomes = [tried(title, part) for title, part in chosen]  # every part, whatever comes of the first
    sys.exit(0 if all(outcomes) else 1)

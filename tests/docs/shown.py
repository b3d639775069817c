"""The programs and sessions that README, docs and examples show. Run, it writes the programs for type checkers.

python -m tests.docs.shown FOLDER
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent

from attrs import frozen

__all__ = ["BLOCKS", "PAGES", "ROOT", "SESSIONS", "Block", "Session"]

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHER_FENCE = re.compile(r"^( *)```(?!python)([a-z]+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# What a fragment of a web view takes from the program around it.
AROUND_A_VIEW = """
from typing import Any
from exbo_oauth import LoginAttempt, SyncOAuthClient
def around(oauth: SyncOAuthClient, session: dict[str, Any], request: Any) -> None:
"""


@frozen
class Block:
    """One fenced piece of Python."""

    name: str
    source: str

    @property
    def is_a_test_module(self) -> bool:
        return "\ndef test_" in f"\n{self.source}" or "\nasync def test_" in f"\n{self.source}"

    @property
    def is_part_of_a_view(self) -> bool:
        return "request.url" in self.source

    @property
    def module(self) -> str:
        """As a module of its own, at the same lines as on the page."""
        if not self.is_part_of_a_view:
            return "\n" * int(self.name.rpartition(":")[2]) + self.source
        return AROUND_A_VIEW + indent(self.source, "    ")


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{page.relative_to(ROOT).as_posix()}:{line}", found[1])


@frozen
class Session:
    """One fenced piece of anything else: what is typed at a shell and what it answers, settings, a manifest."""

    page: str
    language: str
    source: str

    @property
    def begins(self) -> str:
        """Its page, the same in every language, and its first line without what that says to the reader."""
        first = re.sub(r"\s+#.*", "", self.source.partition("\n")[0])
        return f"{self.page.removeprefix('docs/').removeprefix('ru/').replace('.ru.', '.')}: {self.language}: {first}"


def sessions_of(page: Path) -> Iterator[Session]:
    for indented, language, body in OTHER_FENCE.findall(page.read_text(encoding="utf-8")):
        yield Session(page.relative_to(ROOT).as_posix(), language, dedent(f"{indented}{body.removeprefix(indented)}"))


SESSIONS = [session for page in PAGES for session in sessions_of(page)]
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def modules() -> Iterator[tuple[str, str]]:
    """Names and sources of all that is shown."""
    for block in BLOCKS:
        yield block.name, block.module
    for program in sorted((ROOT / "examples").glob("*.py")):
        yield program.name, program.read_text(encoding="utf-8")
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
        yield notebook.name, "async def cells() -> None:\n" + indent(code, "    ")  # where they may await


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for name, source in modules():
        (folder / (re.sub(r"\W", "_", name.removesuffix(".py")) + ".py")).write_text(source, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

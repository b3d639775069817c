"""What `tests/mutants.md` lists."""

import re
from pathlib import Path

LIST = Path(__file__).parents[1] / "mutants.md"


def explanations() -> set[str]:
    """The survivors that are explained: file and function, the line as it is, and as it was made."""
    blocks = re.findall(r"^```text\n(.*?)^```$", LIST.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return {line for block in blocks for line in block.splitlines()}

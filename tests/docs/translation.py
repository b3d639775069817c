"""What is missing or out of date in a translation, section by section.

Beneath each heading of a Russian page stands the fingerprint of the English section that it was translated from, as a
comment. When the English changes, the test fails until somebody has looked at the Russian and says so::

    python tests/docs/translation.py stores.md
"""

import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

from attrs import frozen

__all__ = ["PAGES", "Section", "mark", "problems", "sections"]

ROOT = Path(__file__).parents[2]
# Which English document a Russian one says again. The changelog is not among them: in Russian there are release notes.
PAGES = {
    ROOT / "README.ru.md": ROOT / "README.md",
    ROOT / "docs/ru/security.md": ROOT / "SECURITY.md",
    ROOT / "docs/ru/architecture.md": ROOT / "ARCHITECTURE.md",
} | {
    ROOT / "docs/ru" / page.name: page
    for page in sorted((ROOT / "docs").glob("*.md"))
    if "\n#" in page.read_text(encoding="utf-8")  # one that is only a link shows a document from above
}
FENCED = re.compile(r"^ *(```+)(.*?)\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)\n", re.MULTILINE)
MARK = re.compile(r"^<!-- translated from ([0-9a-f]{8}) -->\n", re.MULTILINE)
ANCHOR = re.compile(r'^(?:\([\w-]+\)=|<a id="[^"]+"></a>)\s*\Z', re.MULTILINE)  # belongs to the heading beneath it


@frozen
class Section:
    """A heading and what stands beneath it, up to the next heading of any level."""

    level: int
    title: str
    text: str

    @property
    def fingerprint(self) -> str:
        """Of the words, however their lines are broken."""
        return sha256(f"{self.title} {' '.join(self.text.split())}".encode()).hexdigest()[:8]

    @property
    def translated_from(self) -> str | None:
        found = MARK.search(self.text)
        return found[1] if found else None

    @property
    def programs(self) -> list[tuple[str, list[str]]]:
        """Its blocks of code by language, without what they say to the reader. One of no language is a drawing."""
        return [
            (info.strip(), [line for one in _typed(info.strip(), body) if (line := _without_words(one))])
            for _, info, body in FENCED.findall(self.text)
            if info.strip() == "{eval-rst}" or (info and not info.startswith("{"))
        ]


def _typed(info: str, body: str) -> list[str]:
    """The lines of a block; of a session only what one types, for the rest is said in the reader's language."""
    lines = body.splitlines()
    return [line for line in lines if line.startswith(("$ ", "  "))] if info == "console" else lines


def _without_words(line: str) -> str:
    return re.sub(r'"[^"]*"|\'[^\']*\'|(^|\s)#.*', "", line).rstrip()


def sections(document: str) -> list[Section]:
    """Those of a page. A line that begins with # within a block of code is no heading."""
    hidden = FENCED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), document)
    starts = list(HEADING.finditer(hidden))
    ends = [following.start() for following in starts[1:]] + [len(document)]
    return [
        Section(len(start[1]), start[2], ANCHOR.sub("", document[start.end() : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def problems(russian: Path) -> Iterator[str]:
    """What a reader of the Russian page does not get, or no longer gets right."""
    theirs = sections(PAGES[russian].read_text(encoding="utf-8"))
    for english, ours in zip_longest(theirs, sections(russian.read_text(encoding="utf-8"))):
        if ours is None or english is None or ours.level != english.level:
            yield f"no match: {english and english.title!r} and {ours and ours.title!r}"
            return
        if ours.translated_from != english.fingerprint:
            yield f"{ours.title!r} is not marked as translated from today's {english.title!r}"
        if ours.programs != english.programs:
            yield f"{ours.title!r} shows other programs than {english.title!r}"


def mark(russian: Path) -> None:
    """Say that somebody has compared every section of this page with the English one."""
    document = MARK.sub("", russian.read_text(encoding="utf-8"))
    theirs = sections(PAGES[russian].read_text(encoding="utf-8"))
    for english, ours in zip(theirs, sections(document), strict=True):
        heading = f"{'#' * ours.level} {ours.title}\n"
        assert document.count(heading) == 1, f"{heading!r} is there more than once"
        before, after = document.split(heading)
        document = f"{before}{heading}<!-- translated from {english.fingerprint} -->\n\n{after.lstrip()}"
    russian.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or [page.name for page in PAGES]:
        [page] = [page for page in PAGES if page.name == name]
        mark(page)

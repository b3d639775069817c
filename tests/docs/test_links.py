"""Links between the documents lead to what is there, and those to the repository to the one that the package names."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
HOME = URLS["Homepage"]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
FILE_HERE = re.compile(re.escape(HOME) + r"/(?:blob|tree)/main/([^#]+)")


def links(document: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def local(link: str, document: Path) -> Path | None:
    """The file that a link names, None for one that leads elsewhere."""
    if (here := FILE_HERE.match(link)) is not None:
        return ROOT / here[1]
    return None if re.match(r"[a-z]+:", link) else document.parent / (link.partition("#")[0] or document.name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_that_is_there(document: Path) -> None:
    named = {link: local(link, document) for link in links(document)}
    assert [link for link, path in named.items() if path is not None and not path.exists()] == []


def test_what_is_shown_outside_the_repository_has_whole_addresses() -> None:
    assert [link for link in links(ROOT / "README.md") if not link.startswith("https://")] == []


def test_all_addresses_of_the_project_are_in_one_place() -> None:
    assert {url for url in URLS.values() if url != HOME and not url.startswith(f"{HOME}/")} == set()
    written = {
        found
        for path in DOCUMENTS
        for found in re.findall(r"https://github\.com/[^/]+/exbo-oauth\b", path.read_text("utf-8"))
    }
    assert written == {HOME}

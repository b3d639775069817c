"""English and Russian have the same pages, the same programs, and an entry for every error."""

import re
import tomllib
from pathlib import Path

import pytest

from exbo_oauth import __version__, errors
from exbo_oauth.misuse import ERROR_INDEX

from . import translation

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH = {page.name: page for page in DOCS.glob("*.md")}
SITUATION = re.compile(r'^- <a id="([^"]+)"></a>`([^`]+)`: ', re.MULTILINE)
RUSSIAN = {page.name: page for page in (DOCS / "ru").glob("*.md")}


def test_both_languages_have_the_same_pages() -> None:
    assert ENGLISH.keys() == RUSSIAN.keys()


@pytest.mark.parametrize("russian", translation.PAGES, ids=lambda page: page.name)
def test_the_russian_page_says_what_the_english_one_says_today(russian: Path) -> None:
    """Compare the two, mend the Russian one, then: ``python tests/docs/translation.py PAGE``."""
    assert list(translation.problems(russian)) == []


@pytest.mark.parametrize("language", ["", "ru"], ids=["English", "Russian"])
def test_every_error_is_in_the_index(language: str) -> None:
    text = (DOCS / language / "errors.md").read_text(encoding="utf-8")
    found = re.findall(r'^<a id="([^"]+)"></a>\n\n### (\w+)\n(?:<!--.*-->\n)?\n`([^`]+)`', text, re.MULTILINE)
    codes = {name: getattr(errors, name).code for name in errors.__all__}
    assert found == [(codes.get(name, "").replace(".", "-"), name, codes.get(name)) for _, name, _ in found]
    assert sorted(name for _, name, _ in found) == errors.__all__


def test_both_languages_have_the_situations_of_an_error_under_the_same_anchors() -> None:
    found = [re.findall(SITUATION, (DOCS / page).read_text(encoding="utf-8")) for page in ("errors.md", "ru/errors.md")]
    assert found[0] == found[1] == [(code.replace(".", "-"), code) for _, code in found[0]]
    assert len(found[0]) > 20


def test_both_changelogs_begin_with_what_to_do_for_this_version() -> None:
    english = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = re.split(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", english, flags=re.MULTILINE)
    russian = (DOCS / "ru" / "changelog.md").read_text(encoding="utf-8").split("\n## ")
    assert len(notes) == 2
    steps = re.findall(r"^\d\. \*\*", notes[1].partition("### ")[0], re.MULTILINE)
    assert russian[1].startswith(f"{__version__}\n")
    assert re.findall(r"^\d\. \*\*", russian[1], re.MULTILINE) == steps != []


def test_errors_lead_to_the_index_of_the_documentation() -> None:
    urls = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert f"{urls['Documentation']}/errors.md" == ERROR_INDEX

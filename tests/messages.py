"""The catalogues of the command line: ``python tests/messages.py`` brings them up to date and compiles them.

Languages that it is given are begun.

What there is to translate is read from the source (`tr`, `trn`, `mark`) and from the commands, whose help is in their
docstrings. A new message has no translation then, and one whose English changed is fuzzy: the tests say which.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from exbo_oauth.cli.app import app
from exbo_oauth.cli.usage import texts_of

PACKAGE = Path(__file__).parents[1] / "exbo_oauth"
LOCALES = PACKAGE / "cli" / "locale"
CATALOGUES = sorted(LOCALES.glob("*/LC_MESSAGES/exbo_oauth.po"))

KEYWORDS = {"tr": None, "trn": (1, 2), "mark": None}


def template() -> Catalog:
    """What there is to translate."""
    catalogue = Catalog(charset="utf-8")
    found = extract_from_dir(PACKAGE, [("**.py", "python")], keywords=KEYWORDS, comment_tags=["Translators:"])
    for file, _line, message, comments, _context in found:
        catalogue.add(message, locations=[(f"exbo_oauth/{file}", 0)], auto_comments=comments)
    for text in texts_of(app):
        catalogue.add(text, locations=[("exbo_oauth/cli/app.py", 0)])
    return catalogue


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name, charset="utf-8")


def compiled(catalogue: Catalog) -> bytes:
    """The file that programs read, without what is fuzzy."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def written(catalogue: Catalog) -> bytes:
    out = BytesIO()
    write_po(
        out, catalogue, width=120, omit_header=False, include_lineno=False, sort_by_file=True, ignore_obsolete=True
    )
    return out.getvalue()


def updated(path: Path) -> Catalog:
    catalogue = read(path)
    catalogue.update(template(), update_header_comment=False, update_creation_date=False)
    return catalogue


def forms(message: Message) -> tuple[str, ...]:
    """The translation, or all of its plural forms; an empty one is missing."""
    return (message.string or "",) if isinstance(message.string, str | None) else tuple(message.string)


def begun(languages: list[str]) -> list[Path]:
    paths = [LOCALES / language / "LC_MESSAGES" / "exbo_oauth.po" for language in languages]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(written(Catalog(locale=path.parents[1].name, project="exbo-oauth")))
    return paths


def main(languages: list[str]) -> Iterator[str]:
    for path in [*CATALOGUES, *begun(languages)]:
        catalogue = updated(path)
        path.write_bytes(written(catalogue))
        path.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = sum(not all(forms(message)) for message in catalogue if message.id)
        fuzzy = sum(message.fuzzy for message in catalogue if message.id)
        yield f"{path.parents[1].name}: {len(catalogue)} messages, {missing} without a translation, {fuzzy} fuzzy"


if __name__ == "__main__":
    print(*main(sys.argv[1:]), sep="\n")

"""The language that the person at the terminal is spoken to in.

English, or one that there is a catalogue of: a folder below ``cli/locale``. What was asked for by a flag wins over
``EXBO_LANG``, and that over the locale, as GNU gettext reads it: ``LANGUAGE`` counts unless the locale is ``C``. What
the terminal's encoding cannot show is said in English. Exceptions are English always.

Nothing is loaded for English.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from gettext import GNUTranslations

__all__ = ["LANGUAGE_VARIABLE", "known", "languages", "mark", "speak", "spoken", "tr", "trn", "wanted"]

LANGUAGE_VARIABLE = "EXBO_LANG"

_PACKAGE, _FOLDER, _FILE = "exbo_oauth", "cli/locale", "LC_MESSAGES/exbo_oauth.mo"
_TAG = re.compile(r"([A-Za-z]{2,8})(?:[_-]([A-Za-z]{2,8}))?(?:[.@].*)?")
_ENGLISH = ("en", "posix")

_language: str | None = None

Text = TypeVar("Text", bound=str)


def mark(message: Text) -> Text:
    """`message` as it is, which belongs into the catalogues: `tr` is to be called where it is shown."""
    return message


def tr(message: str, /, **values: object) -> str:
    """`message` in the chosen language, with the values in place of their names in braces."""
    catalogue = _catalogue(_chosen())
    text = message if catalogue is None or not message else catalogue.gettext(message)
    return text.format(**values) if values else text


def trn(one: str, many: str, count: int, /, **values: object) -> str:
    """The form that goes with `count`, which is ``{count}`` in it, in the chosen language."""
    catalogue = _catalogue(_chosen())
    english = one if count == 1 else many
    text = english if catalogue is None else catalogue.ngettext(one, many, count)
    return text.format(count=count, **values)


def speak(language: str | None) -> None:
    """From now on speak a language that is `known`; None: what the surroundings ask for, looked at anew."""
    global _language
    _language = None if language is None else _shown(language)


def spoken() -> str:
    """The chosen language."""
    return _chosen()


def known(tag: str) -> str | None:
    """The language that we have for a tag such as ``ru_RU.UTF-8`` or ``ru``; None if there is none."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return "en" if tag.partition(".")[0] == "C" else None
    if found[1].lower() in _ENGLISH:
        return "en"
    names = [found[1].lower(), *([] if found[2] is None else [f"{found[1].lower()}_{found[2].upper()}"])]
    return next((name for name in reversed(names) if _catalogue(name) is not None), None)


def languages() -> list[str]:
    """All that we have, sorted."""
    from importlib.resources import files

    folders = files(_PACKAGE).joinpath(_FOLDER).iterdir()
    return sorted({"en", *(folder.name for folder in folders if _catalogue(folder.name) is not None)})


def wanted(variables: Mapping[str, str], platform: str = sys.platform) -> Iterator[str]:
    """The tags that the surroundings ask for, the dearest first."""
    own = variables.get(LANGUAGE_VARIABLE)
    if own:
        yield own
        return
    locale = next((found for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (found := variables.get(name))), "")
    if not locale and platform == "win32":
        locale = _of_windows()
    if locale not in ("", "C", "POSIX"):
        yield from filter(None, variables.get("LANGUAGE", "").split(":"))
        yield locale


def _of_windows() -> str:
    """The language of the user interface."""
    try:
        from ctypes import windll  # type: ignore[attr-defined,unused-ignore]  # exists on Windows only
        from locale import windows_locale  # pragma: no cover  # on Windows

        return windows_locale.get(windll.kernel32.GetUserDefaultUILanguage(), "")  # pragma: no cover  # on Windows
    except (ImportError, AttributeError, OSError):
        return ""


def _chosen() -> str:
    global _language
    if _language is None:
        _language = _shown(next(filter(None, map(known, wanted(os.environ))), "en"))
    return _language


def _shown(language: str) -> str:
    """`language`, English if standard output or error could not show it."""
    catalogue = _catalogue(language)
    if catalogue is None:
        return "en"
    # Any message in it is made of the letters in question.
    sample = catalogue.gettext("Show what the store holds.")
    try:
        for stream in (sys.stdout, sys.stderr):
            sample.encode(getattr(stream, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return "en"
    return language


@cache
def _catalogue(language: str) -> "GNUTranslations | None":
    if language == "en" or not _TAG.fullmatch(language):
        return None
    from gettext import GNUTranslations
    from io import BytesIO
    from pkgutil import get_data

    try:
        data = get_data(_PACKAGE, f"{_FOLDER}/{language}/{_FILE}")  # also out of a zip, or a frozen program
    except OSError:
        return None
    return None if data is None else GNUTranslations(BytesIO(data))

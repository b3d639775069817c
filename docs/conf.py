"""The documentation site. ``nox -s docs`` builds it twice: the English pages here, the Russian ones in ru/.

Both have the same pages under the same names, so that the switch between the languages is a link.
"""

import os
import re
import sys
from gettext import NullTranslations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from exbo_oauth import __version__

language = os.environ.get("DOCS_LANGUAGE", "en")  # what `language` is on the command line comes too late for titles

project = "exbo-oauth"
author = "авторы exbo-oauth" if language == "ru" else "the authors of exbo-oauth"
copyright = f"2026, {author}"  # noqa: A001  # the name that Sphinx asks for
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_heading_anchors = 4
exclude_patterns = ["_build", "ru"] if language == "en" else []
suppress_warnings = ["config.cache"]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
nitpicky = True
nitpick_ignore = [
    ("py:class", name)
    for name in (
        "collections.abc.Callable",
        "datetime.datetime",
        "exbo_oauth.clients.alike.AsyncClientAlike",
        "exbo_oauth.clients.alike.ClientAlike",
        "httpx.AsyncClient",
        "httpx.Client",
    )
]
default_role = "code"  # the docstrings' single backticks name Python things

html_theme = "furo"
html_title = f"exbo-oauth {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["languages.js"]
html_favicon = "_static/logo.svg"
html_logo = "_static/logo.svg"
templates_path = ["_templates"]
html_copy_source = False
html_show_sphinx = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "languages.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_context = {"languages": {"en": "English", "ru": "Русский"}, "current_language": language}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

linkcheck_ignore = [r"http://(localhost|127\.0\.0\.1).*"]

# What the theme says around a page, and has in no other language.
RUSSIAN = {
    "Skip to content": "К тексту",
    "Back to top": "К началу страницы",
    "On this page": "На этой странице",
    "Previous": "Назад",
    "Next": "Дальше",
    "Home": "Начало",
    "Made with ": "Оформление: ",
    "Languages": "Языки",
}
# What it says to those who listen to a page, and asks no catalogue for.
SPOKEN = {
    'aria-label="Toggle site navigation sidebar"': 'aria-label="Показать или скрыть оглавление сайта"',
    'aria-label="Toggle table of contents sidebar"': 'aria-label="Показать или скрыть оглавление страницы"',
    'aria-label="Toggle Light / Dark / Auto color theme"': 'aria-label="Сменить тему: светлая, тёмная, как в системе"',
    'alt="Logo"': 'alt="Логотип"',
}


class Words(NullTranslations):
    """Those of the theme in Russian."""

    def gettext(self, message: str) -> str:
        """A text that Sphinx's own catalogue lacks."""
        return RUSSIAN.get(message, message)


def speak(app: Any) -> None:
    """Have the theme speak the language of the pages."""
    if language == "ru":
        app.translator.add_fallback(Words())


def say(app: Any, _failed: Exception | None) -> None:
    """Have the pages say in their language what the theme says in its own alone."""
    for page in Path(app.outdir).glob("*.html") if language == "ru" else ():
        text = page.read_text(encoding="utf-8")
        for theirs, ours in SPOKEN.items():
            text = text.replace(theirs, ours)
        page.write_text(text, encoding="utf-8")


def label(_app: Any, _page: str, source: list[str]) -> None:
    """Have links find the headings that have an anchor of their own, which GitHub understands in HTML only."""
    source[0] = re.sub(r'^<a id="([\w-]+)"></a>\n(?=#)', r"(\1)=\n", source[0], flags=re.MULTILINE)


# What GitHub shows as ordinary lists and links, and Sphinx knows as directives.
LISTED = re.compile(r"^## (.+)\n(?:<!--.*-->\n)?\n((?:- \[.+\]\(.+\)\n)+)", re.MULTILINE)
NOTHING_BUT_A_LINK = re.compile(r"\[.+\]\((\.\./\w+\.md)\)\n")


def direct(_app: Any, page: str, source: list[str]) -> None:
    """Have the lists of the first page make up the sidebar, and a page that is only a link show where that leads."""
    if page == "index":
        for caption, links in LISTED.findall(source[0]):
            pages = "\n".join(re.findall(r"\((.+)\.md\)", links))
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
    elif (alone := NOTHING_BUT_A_LINK.fullmatch(source[0])) is not None:
        source[0] = f"```{{include}} {alone[1]}\n:relative-docs: docs/\n```\n"


def setup(app: Any) -> None:
    """Sphinx asks for this name."""
    app.connect("builder-inited", speak)
    app.connect("source-read", direct)
    app.connect("source-read", label)
    app.connect("build-finished", say)

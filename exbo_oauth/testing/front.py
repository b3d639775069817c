"""The sandbox's front page: the settings to connect with, application by application, and what has happened so far.

A client secret is not in it: the page's script fetches it when it is asked to show or to copy it, and without scripts a
link leads there.
"""

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlencode

from attrs import frozen

from .connecting import assignments, environment_of, first_steps
from .pages import Page, page
from .state import App
from .texts import TEXTS

__all__ = ["Facts", "front_page"]

_HIDDEN = "........"  # which no shell wants to have quoted


@frozen(kw_only=True)
class Facts:
    """What there is to connect to; `ends` is what a new token ends: all, access or none."""

    base_url: str
    api_url: str
    server: str
    ends: str
    logins: tuple[str, ...]


def front_page(apps: Iterable[App], facts: Facts, timeline: str, version: str, language: str) -> Page:
    """The page; `timeline` is the fragment of HTML that its script replaces when `version` is not the newest."""
    text = TEXTS[language]
    first, *others = apps
    body = f"""<h1>{text["live_connect"]}</h1>
<section class="card">
{_heading(first, text)}
{_settings(first, facts, text)}
<p>{text["live_then"]}</p>
<pre><code>{escape(chr(10).join(first_steps(facts.base_url)))}</code></pre>
</section>
{"".join(_another(app, facts, text) for app in others)}
{_server(facts, text)}
<h2>{text["live_timeline"]}</h2>
<p id="paused" class="error" role="alert" hidden>{text["live_paused"]}</p>
<p id="news" class="hidden" role="status"></p>
<div id="timeline" data-version="{escape(version)}">{timeline}</div>
<script src="/sandbox/live.js" defer></script>"""
    return page(language, text["sandbox"], body, wide=True)


def _title(app: App, text: Mapping[str, str]) -> str:
    return f"{escape(app.name)} <small>{text['live_client'].format(app=escape(app.client_id))}</small>"


def _heading(app: App, text: Mapping[str, str]) -> str:
    return f"<h2>{_title(app, text)}</h2>"


def _another(app: App, facts: Facts, text: Mapping[str, str]) -> str:
    return f'<details class="card"><summary>{_title(app, text)}</summary>{_settings(app, facts, text)}</details>'


def _settings(app: App, facts: Facts, text: Mapping[str, str]) -> str:
    lines = escape("\n".join(assignments(_masked(app, facts.base_url))))
    address = "/sandbox/settings?" + urlencode({"client_id": app.client_id})
    show = "" if app.public else f'<a class="button" data-show href="{address}">{text["live_show"]}</a>'
    uris = "".join(f"<li><code>{escape(uri)}</code></li>" for uri in app.redirect_uris)
    return f"""<div class="settings" data-address="{address}">
<pre tabindex="0"><code>{lines}</code></pre>
<div class="row"><button data-copy data-done="{text["live_copied"]}" hidden>{text["live_copy"]}</button>{show}
<a class="button" href="{address}&amp;form=dotenv" download="sandbox.env">{text["live_file"]}</a></div>
</div>
<dl><dt>{text["live_redirects"]}</dt><dd><ul class="plain">{uris}</ul></dd></dl>"""


def _masked(app: App, base_url: str) -> dict[str, str]:
    environment = environment_of(app, base_url)
    return {name: _HIDDEN if name == "EXBO_CLIENT_SECRET" else value for name, value in environment.items()}


def _server(facts: Facts, text: Mapping[str, str]) -> str:
    logins = ", ".join(f"<code>{escape(login)}</code>" for login in facts.logins)
    return f"""<dl class="card">
<dt>{text["live_api_url"]}</dt><dd><code>{escape(facts.api_url)}</code></dd>
<dt>{text["live_users"]}</dt><dd>{logins}</dd>
<dt>{text["live_server"]}</dt><dd>{escape(facts.server)}; {text[f"live_ends_{facts.ends}"]}</dd>
</dl>"""

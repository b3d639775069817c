"""The pages that a person sees on the way through a sign-in, and the frame of every page.

Plain functions from values to HTML. Nothing is loaded from elsewhere and nothing is inline: the policy in the
headers allows this server's own style sheet and script only. It has no ``form-action``: Chromium applies that to every
redirect behind a form, and where an application sends the browser from its callback is its own affair.
"""

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlsplit

from attrs import frozen

from .state import App, User
from .texts import TEXTS

__all__ = ["Page", "consent_page", "login_page", "page"]


@frozen
class Page:
    """A page and the headers that belong to it."""

    html: str
    headers: Mapping[str, str]


_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def _place(target: str) -> str:
    """Whom a browser is sent to, as short as it can be said: an origin, an app's own scheme, or all there is."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return target
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else f"{parts.scheme}:" if parts.scheme else target


def _headers(language: str) -> dict[str, str]:
    return {
        "content-security-policy": _POLICY,
        "content-language": language,
        "vary": "Accept-Language",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cache-control": "no-store, private",
    }


def page(language: str, title: str, body: str, *, wide: bool = False) -> Page:
    """A whole page around `body`, which is HTML."""
    text = TEXTS[language]
    html = f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="/sandbox/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/sandbox/sandbox.css">
</head>
<body>
<main{' class="wide"' if wide else ""}>
<header><p class="brand"><img src="/sandbox/icon.svg" alt="" width="28" height="28">{text["sandbox"]}</p>
<p class="faint">{text["sandbox_note"]}</p></header>
{body}
</main>
</body>
</html>
"""
    return Page(html, _headers(language))


def _hidden(**fields: str) -> str:
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())


def _user_button(user: User, language: str) -> str:
    text = TEXTS[language]
    name = escape(user.display_login or user.login)
    origin = f"{escape(user.login)} · {escape(user.distributor)}"
    return (
        f'<button name="login" value="{escape(user.login)}">{text["login_as"].format(name=name)}'
        f"<small>{origin}</small></button>"
    )


def login_page(
    users: Iterable[User], *, csrf: str, language: str, unknown: str | None = None, can_be_made: bool = False
) -> Page:
    """Choose who to be. `unknown` is a login that was tried in vain; if it `can_be_made`, a button does that."""
    text = TEXTS[language]
    error, described, make = "", "", ""
    if unknown is not None:
        message = text["login_unknown" if can_be_made else "login_odd"].format(login=escape(unknown))
        error = f'<p class="error" id="error" role="alert">{message}</p>'
        described = f' aria-invalid="true" aria-describedby="error" value="{escape(unknown)}"'
    if can_be_made:
        make = f'<button class="main" name="make" value="1">{text["login_make"]}</button>'
    body = f"""<h1>{text["login_title"]}</h1>
<p>{text["login_lead"]}</p>
<form class="card stack" method="post" action="/login">{_hidden(_token=csrf)}
{"".join(_user_button(user, language) for user in users)}
</form>
<form class="card" method="post" action="/login">{_hidden(_token=csrf)}
<h2>{text["login_other"]}</h2>
{error}<label for="login">{text["login_field"]}</label>
<input type="text" id="login" name="login" required autocomplete="username" spellcheck="false"{described}>
<div class="row">{make}<button>{text["login_button"]}</button></div>
</form>"""
    return page(language, text["login_title"], body)


def consent_page(
    app: App, user: User, *, scopes: Iterable[str], target: str, csrf: str, auth_token: str, language: str
) -> Page:
    """Let an application in, or not."""
    text = TEXTS[language]
    name = escape(user.display_login or user.login)
    lead = text["consent_lead"].format(app=f"<strong>{escape(app.name)}</strong>", user=f"<strong>{name}</strong>")
    listed = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    asked = f"<p>{text['consent_scopes']}</p><ul>{listed}</ul>" if listed else ""
    hidden = _hidden(_token=csrf, auth_token=auth_token)
    no = _hidden(_method="DELETE")
    body = f"""<h1>{text["consent_title"]}</h1>
<div class="card">
<p>{lead}</p>
<p>{text["consent_sees"]}</p>
{asked}<p class="faint">{text["consent_return"].format(target=f"<code>{escape(_place(target))}</code>")}</p>
<div class="row">
<form method="post" action="/oauth/authorize">{hidden}<button class="main">{text["consent_yes"]}</button></form>
<form method="post" action="/oauth/authorize">{hidden}{no}<button>{text["consent_no"]}</button></form>
</div>
</div>
<p><a href="/login">{text["consent_switch"].format(user=name)}</a></p>"""
    return page(language, text["consent_title"], body)

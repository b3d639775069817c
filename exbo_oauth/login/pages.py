"""What the browser shows: our pages, and the HTTP answers that carry them.

A page is one self-contained document in English or Russian: no script, nothing from outside, readable in light and in
dark. Its headers keep it out of caches and frames and let it load nothing (Content Security Policy level 3).
What is sent shows no code, state or token; what an unknown caller says is never repeated.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from http import HTTPStatus

from attrs import frozen

from .callback import Language

__all__ = ["Kind", "leading", "moved", "page", "refused"]

_STYLE = """
:root { color-scheme: light dark; --back: #f3f4f6; --card: #ffffff; --ink: #16191d; --soft: #59626d; --line: #d9dee4;
  --good: #19783a; --bad: #b3261e; --note: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --back: #101317; --card: #1a1f25; --ink: #e8ebee; --soft: #a0a9b3;
  --line: #303842; --good: #56c17a; --bad: #ff8a80; --note: #e5b454; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; align-items: center; justify-content: center; padding: 1.5rem;
  background: var(--back); color: var(--ink); font: 1rem/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { width: 100%; max-width: 30rem; padding: clamp(1.5rem, 7vw, 2.5rem) clamp(1.25rem, 6vw, 2.25rem);
  background: var(--card); border: 1px solid var(--line); border-radius: 1rem; text-align: center; }
svg { width: 3.5rem; height: 3.5rem; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round;
  stroke-linejoin: round; }
.good { color: var(--good); } .bad { color: var(--bad); } .note { color: var(--note); }
h1 { margin: 1rem 0 .5rem; font-size: 1.5rem; line-height: 1.25; font-weight: 650; text-wrap: balance; }
p { margin: .5rem 0 0; color: var(--soft); text-wrap: balance; }
.detail { margin-top: 1.25rem; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--back); color: var(--ink); font-size: .875rem; text-align: left; overflow-wrap: anywhere;
  text-wrap: wrap; }
"""

_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"

_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Connection": "close",
}

_SIGNS = {
    "good": '<path d="M7.5 12.4l3 3 6-6.4"/>',
    "bad": '<path d="M8.5 8.5l7 7m0-7l-7 7"/>',
    "note": '<path d="M12 7.2v5.6"/><path d="M12 16.4v.1"/>',
}


@frozen
class Kind:
    """One page: how it looks, its HTTP status, and its words by language."""

    tone: str
    status: int
    en: tuple[str, str]
    ru: tuple[str, str]


DONE = Kind(
    tone="good",
    status=200,
    en=("You are signed in", "You can close this tab and go back to the program."),
    ru=("Вход выполнен", "Эту вкладку можно закрыть и вернуться в программу."),
)
DENIED = Kind(
    tone="bad",
    status=200,
    en=(
        "Access was not granted",
        "The program got no access to the account. If that was a slip, start the sign-in anew.",
    ),
    ru=(
        "Доступ не предоставлен",
        "Программа не получила доступа к аккаунту. Если это вышло случайно, начните вход заново.",
    ),
)
FAILED = Kind(
    tone="bad",
    status=200,
    en=("The sign-in did not work", "This is what the program says:"),
    ru=("Войти не удалось", "Программа называет причину, по-английски:"),
)
STOPPED = Kind(
    tone="note",
    status=200,
    en=("The program was stopped", "It ended before it could say how the sign-in went. Start the sign-in anew."),
    ru=("Программа остановлена", "Она завершилась, не успев сообщить, чем закончился вход. Начните вход заново."),
)
STRANGE = Kind(
    tone="note",
    status=400,
    en=(
        "The program waits for another sign-in",
        "This address is not whole, or belongs to an earlier one. Open the address that the program printed.",
    ),
    ru=(
        "Программа ждёт другой вход",
        "Этот адрес неполный или остался от прежнего входа. Откройте тот адрес, который вывела программа.",
    ),
)
REPORTED = Kind(
    tone="note",
    status=400,
    en=(
        "EXBO reported a problem",
        "The program is still waiting. If its settings are the cause, stop it, correct them and start anew.",
    ),
    ru=(
        "EXBO сообщает об ошибке",
        "Программа всё ещё ждёт. Если дело в её настройках, остановите её, исправьте их и начните заново.",
    ),
)


def page(kind: Kind, language: Language, detail: str | None = None) -> bytes:
    """The whole answer with one of our pages; `detail` is a sentence in English."""
    title, text = (escape(words) for words in (kind.ru if language == "ru" else kind.en))
    said = "" if detail is None else f'<p class="detail" lang="en">{escape(detail)}</p>'
    body = (
        f'<svg class="{kind.tone}" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10.5"/>'
        f"{_SIGNS[kind.tone]}</svg>\n<h1>{title}</h1>\n<p>{text}</p>\n{said}"
    )
    html = _document(language, title, body)
    return _answer(kind.status, html.encode(), {"Content-Type": "text/html; charset=utf-8"})


def leading(url: str) -> str:
    """A page for a file of the user's own, which goes on to `url` by itself, without a word of where that was read."""
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta http-equiv="refresh" content="0; url={escape(url)}">\n'
    )
    body = (
        f'<h1>EXBO</h1>\n<p><a href="{escape(url)}">Go on to the sign-in</a></p>\n'
        f'<p lang="ru"><a href="{escape(url)}">Перейти ко входу</a></p>\n'
    )
    return _document("en", "EXBO", body, head)


def _document(language: Language, title: str, body: str, head: str = "") -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )


def moved(url: str) -> bytes:
    """Go on at `url`, and forget the address that led here (RFC 9110, section 15.4.4)."""
    return _answer(303, b"", {"Location": url})


def refused(status: int) -> bytes:
    """A few words for strangers."""
    allow = {"Allow": "GET"} if status == 405 else {}
    return _answer(status, f"{HTTPStatus(status).phrase}\n".encode(), {"Content-Type": "text/plain", **allow})


def _answer(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in {**headers, **_HEADERS, "Content-Length": len(body)}.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body

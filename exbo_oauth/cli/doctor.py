"""``exbo-oauth doctor``: what is wrong, and one sentence of cure for each."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer
from attrs import frozen

from ..language import mark, tr, trn
from ..masking import Secret
from ..meaning import meaning_of
from .checks import offline
from .findings import Finding
from .options import AsJson, configured
from .output import between_words, busy, console, say, say_json, sign
from .settings import Settings, read_secret

__all__ = ["doctor"]

_NEEDED_TO_ASK = ("credentials", "trust", "server", "redirect URI")
_CHECKS = (
    mark("settings"),
    mark("credentials"),
    mark("trust"),
    mark("server"),
    mark("redirect URI"),
    mark("store"),
    mark("secrets"),
    mark("proxy"),
    mark("connection"),
    mark("clock"),
    mark("sign-on"),
    mark("app token"),
    mark("token"),
    mark("API token"),
    mark("limits"),
)
_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@frozen
class Question:
    """What the doctor is asked about: a `token` in a `file`, an address, known hosts of the API, the server."""

    token: Secret | None
    file: str | None
    api_url: str | None
    tries_hosts: bool
    asks: bool


@configured
def doctor(
    settings: Settings,
    token_file: Annotated[
        str | None, typer.Option("--token-file", metavar="FILE", help="Another token to look at; - for stdin.")
    ] = None,
    api: Annotated[
        bool, typer.Option("--api", help="Try token and credentials at the known hosts of the API.")
    ] = False,
    api_url: Annotated[
        str | None, typer.Option("--api-url", metavar="URL", help="An address to try the application's token on.")
    ] = None,
    ask: Annotated[bool, typer.Option("--online/--offline", help="Ask the server, too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Find out what is wrong, and how to fix it.

    It looks at settings, files, stored tokens, the clock and the way to the server. It issues no token and ends none;
    two of its requests carry made-up tokens and are meant to be refused. Exit code 1 if there is a problem, 0 if there
    are only warnings.

      exbo-oauth doctor
      exbo-oauth doctor --api
      exbo-oauth doctor --api-url https://eapi.stalcraft.net/regions
      exbo-oauth doctor --token-file token.txt
    """
    token = None if token_file is None else read_secret(token_file)
    findings = []
    for finding in _findings(settings, Question(token, token_file, api_url, tries_hosts=api, asks=ask)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    counts = Counter(finding.level for finding in findings)
    if as_json:
        listed = [{"check": f.check, "level": f.level, "text": f.text, "cure": f.cure} for f in findings]
        say_json({"ok": not counts["problem"], "findings": listed})
    else:
        say(_verdict(counts["problem"], counts["warning"]))
    raise typer.Exit(1 if counts["problem"] else 0)


def _findings(settings: Settings, question: Question) -> Iterator[Finding]:
    local = list(offline(settings))
    yield from local
    pasted = list(_of_pasted(question.token, settings))
    yield from pasted
    may_live = bool(pasted) and all(finding.level != "problem" for finding in pasted)
    broken = {finding.check for finding in local if finding.level == "problem"}
    if broken.intersection(_NEEDED_TO_ASK):
        yield Finding("connection", "warning", tr("the server was not asked"), tr("Fix the problems above first."))
    elif question.asks:
        with busy(tr("Asking the server")):
            asked = list(_online(settings, question, has_store="store" not in broken, may_live=may_live))
        yield from asked
    elif may_live:
        from .pasted import AT_SERVER, NOT_ASKED

        yield Finding(AT_SERVER, "warning", tr(NOT_ASKED), tr("To ask, leave --offline out."))


def _of_pasted(token: Secret | None, settings: Settings) -> Iterator[Finding]:
    if token is not None:
        from .pasted import token_findings

        yield from token_findings(token, settings)


def _online(settings: Settings, question: Question, *, has_store: bool, may_live: bool) -> Iterator[Finding]:
    from .probing import service_findings
    from .trying import app_findings, host_findings, pasted_finding

    service = list(service_findings(settings))
    yield from service
    reachable = service[0].level == "ok"
    unknown = any(finding.check == "sign-on" and finding.level == "problem" for finding in service)
    if question.token is not None and may_live and not question.tries_hosts:
        yield pasted_finding(settings, question.token, question.api_url, reachable=reachable, has_store=has_store)
    stored = []
    if has_store:
        rival = question.token if may_live else None
        stored = list(app_findings(settings, question.api_url, reachable=reachable, rival=rival))
        yield from _of_unknown(stored) if unknown else stored
    if question.tries_hosts:
        told = unknown or any(finding.check == "app token" and finding.level == "problem" for finding in stored)
        yield from host_findings(
            settings, question.token, has_store=has_store, told=told, unknown=unknown, file=question.file
        )


def _of_unknown(stored: list[Finding]) -> Iterator[Finding]:
    """What to say of stored tokens where the credentials are refused: no cure of theirs would work before that."""
    good = [finding for finding in stored if finding.level == "ok"]
    yield from good
    others = dict.fromkeys(tr(finding.check) for finding in stored if finding.level != "ok")
    if others:
        text = tr(
            "{names}: dead or not to be tried, and with these credentials no new one can be had",
            names=", ".join(others),
        )
        yield Finding("token", "warning", text, tr("Fix the problems above first."))


def _show(finding: Finding) -> None:
    from rich.text import Text

    screen = console()
    glyph, colour = _SIGNS[finding.level]
    first, *others = _lines(finding)
    told = _broken(f"{sign(glyph)} {tr(finding.check)}: {first}", "")
    name = len(sign(glyph)) + 1
    line = Text(told)
    line.stylize(colour, 0, name)
    line.stylize("bold", name, name + len(tr(finding.check)))
    screen.print(line, soft_wrap=True)
    for text in others:
        screen.print(Text(_broken(text, "    ")), soft_wrap=True)


def _broken(text: str, indent: str) -> str:
    """A line, broken where a terminal would break it within a word."""
    screen = console()
    if not screen.is_terminal:
        return f"{indent}{text}"
    return between_words(text, max(screen.width, 20), indent, first=indent)


def _lines(finding: Finding) -> list[str]:
    """What was found and what to do; the English of an error stands on a line of its own in other languages."""
    explained, text = None if finding.error is None else meaning_of(finding.error), finding.text
    if explained is None:
        lines = [text, finding.cure]
    elif text in str(finding.error):
        lines = [explained, text, "" if finding.cure.rstrip(".") in explained else finding.cure]
    else:  # the text says what the error means
        lines = [text, str(finding.error), finding.cure]
    return [line for line in lines if line]


def _verdict(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return tr("All is well.")
    counted = trn("{count} problem", "{count} problems", problems), trn("{count} warning", "{count} warnings", warnings)
    return f"{', '.join(counted)}."

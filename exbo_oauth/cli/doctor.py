"""``exbo-oauth doctor``: what is wrong, and one sentence of cure for each."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from .checks import Finding, of_token, offline
from .options import AsJson, configured
from .output import busy, console, say, say_json, sign
from .settings import Settings, read_secret

__all__ = ["doctor"]

_NEEDED_TO_ASK = ("credentials", "trust", "server", "redirect URI", "store")
_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@configured
def doctor(
    settings: Settings,
    token_file: Annotated[
        str | None, typer.Option("--token-file", metavar="FILE", help="A token to look at, too; - for stdin.")
    ] = None,
    api_url: Annotated[
        str | None, typer.Option("--api-url", metavar="URL", help="An address to try the application's token at.")
    ] = None,
    ask: Annotated[bool, typer.Option("--online/--offline", help="Ask the server, too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Find out what is wrong, and how to mend it.

    It looks at settings, files, stored tokens, the clock and the way to the server. No token is issued and none is
    ended by it. Exit code 1 if there is a problem; warnings alone are 0.

      exbo-oauth doctor
      exbo-oauth doctor --api-url https://eapi.stalcraft.net/regions
      pbpaste | exbo-oauth doctor --token-file -
    """
    findings = []
    for finding in _findings(settings, token_file, api_url, ask):
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


def _findings(settings: Settings, token_file: str | None, api_url: str | None, ask: bool) -> Iterator[Finding]:
    local = list(offline(settings))
    yield from local
    if token_file is not None:
        yield from of_token(read_secret(token_file), settings)
    if any(finding.level == "problem" and finding.check in _NEEDED_TO_ASK for finding in local):
        yield Finding("connection", "warning", "the server was not asked", "Mend the problems above first.")
    elif ask:
        from .probing import online

        with busy("Asking the server"):
            asked = list(online(settings, api_url))
        yield from asked


def _show(finding: Finding) -> None:
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    mark, colour = _SIGNS[finding.level]
    line = Text.assemble((sign(mark), colour), " ", (finding.check, "bold"), f": {finding.text}")
    screen.print(line, soft_wrap=not screen.is_terminal)
    if finding.cure:
        cure = Padding(Text(finding.cure), (0, 0, 0, 4), expand=False)
        screen.print(
            cure if screen.is_terminal else f"    {finding.cure}", soft_wrap=not screen.is_terminal, markup=False
        )


def _verdict(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return "All is well."
    return f"{problems} problem{'s' * (problems != 1)}, {warnings} warning{'s' * (warnings != 1)}."

"""typer's part of what a user reads, in their language: help, and what is wrong with a command line.

The commands are built anew for each command line, and their texts put into the user's language then, through what
typer documents (`typer.main.get_command`, classes of contexts and formatters). Its own words are in no catalogue of
its: they are recognized as they come out, and one that is not known stays English.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import typer

from ..language import known, languages, mark, speak, tr
from .output import ROOMY, one_line

__all__ = ["WORDS", "built", "problem_of", "spoken", "texts_of"]

_LANGUAGE = "--lang"
_PREFORMATTED = "\b"  # click's own mark at the head of a paragraph

# What typer says by itself, and pydantic through it. The exact ones go before those that would take them, too.
WORDS = (
    mark("{problem} (Possible options: {names})"),
    mark("No such command {name}. Did you mean {names}?"),
    mark("No such command {name}."),
    mark("No such option: {name}"),
    mark("Missing command."),
    mark("Missing argument {name}."),
    mark("Missing option {name}."),
    mark("Option {name} requires an argument."),
    mark("Option {name} does not take a value."),
    mark("Got unexpected extra argument(s) ({names})"),
    mark("Invalid value for {name}: {problem}"),
    mark("Invalid value: {problem}"),
    mark("Input should be a valid integer, unable to parse string as an integer"),
    mark("Input should be a valid number, unable to parse string as a number"),
    mark("Input should be greater than or equal to {limit}"),
    mark("Input should be less than or equal to {limit}"),
    mark("Value error, {value} is not one of {names}"),
)
_OTHERS = (
    mark("[OPTIONS]"),
    mark("COMMAND [ARGS]..."),
    mark("Arguments"),
    mark("Options"),
    mark("Commands"),
    mark("Show this message and exit."),
    mark("Install completion for the current shell."),
    mark("Show completion for the current shell, to copy it or customize the installation."),
)

_Formatter: Any = typer.Context.formatter_class


class _Words(_Formatter):  # type: ignore[misc]  # typer names its class nowhere else
    """Help in the user's language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        prefix = tr("Usage: ") if prefix is None else prefix
        line = f"{prefix}{prog} {args}"
        if len(line) <= self.width:  # typer breaks it where less than twenty columns are left
            self.write(f"{line}\n")
        else:
            super().write_usage(prog, args, prefix)

    def write_heading(self, heading: str) -> None:
        super().write_heading(tr(heading))

    def write_dl(self, rows: Sequence[tuple[str, str]], *arguments: int, **named: int) -> None:
        if self.width < ROOMY:  # options take a line of their own rather than the room of their help
            named.setdefault("col_max", self.width // 3)
        shown = [(first.removesuffix(" <str>"), _of_option(second)) for first, second in rows]
        super().write_dl(shown, *arguments, **named)


class _Context(typer.Context):
    formatter_class = _Words


def _of_option(text: str) -> str:
    """An option's help, whose last words in brackets are typer's."""
    said, bracket, added = text.rpartition("[")
    if not bracket or not added.endswith("]"):
        return tr(text)
    added = added.replace("default: ", tr("default: ")).replace("required", tr("required"))
    return f"{said}[{added}"


def spoken(arguments: Sequence[str]) -> list[str]:
    """The command line without ``--lang``, wherever it stands; from here on its language is spoken.

    Scripts get English: what is printed with ``--json`` is the same everywhere.
    """
    speak(None)
    rest, asked = _without_language(list(arguments))
    speak("en" if "--json" in rest else asked)
    return rest


def _without_language(arguments: list[str]) -> tuple[list[str], str | None]:
    for index, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if argument == "--":
            break
        if flag == _LANGUAGE:
            taken = index + (1 if equals else 2)
            value = value if equals else "".join(arguments[index + 1 : taken])
            rest, later = _without_language(arguments[taken:])
            return [*arguments[:index], *rest], later or _checked(value)
    return arguments, None


def _checked(tag: str) -> str:
    language = known(tag)
    if language is None:
        names = ", ".join(languages())
        raise typer.BadParameter(tr("{tag!r} is not one of {names}", tag=tag, names=names), param_hint=_LANGUAGE)
    return language


def built(app: typer.Typer) -> Any:
    """The commands of `app`, to be called with arguments, in the user's language."""
    group: Any = typer.main.get_command(app)
    group.subcommand_metavar = tr(group.subcommand_metavar)
    for command in (group, *group.commands.values()):
        command.context_class = _Context
        command.options_metavar = tr(command.options_metavar)
        paragraphs = list(map(_paragraph, (command.help or "").split("\n\n")))
        command.help, command.short_help = "\n\n".join(paragraphs), paragraphs[0]  # whole, however narrow it is
        for parameter in command.params:
            text = getattr(parameter, "help", None)
            parameter.help = text and tr(text)
            parameter.metavar = parameter.metavar and tr(parameter.metavar)
    return group


def _paragraph(text: str) -> str:
    return text if text.startswith(_PREFORMATTED) else tr(one_line(text))


def texts_of(app: typer.Typer) -> Iterator[str]:
    """All that `built` puts into another language, in English: what the catalogues have to have."""
    group: Any = typer.main.get_command(app)
    for command in (group, *group.commands.values()):
        yield from (
            one_line(part) for part in (command.help or "").split("\n\n") if part[:1] not in ("", _PREFORMATTED)
        )
        shown = [parameter for parameter in command.params if not parameter.hidden]
        yield from filter(None, (getattr(parameter, "help", None) for parameter in shown))
        yield from filter(None, (parameter.metavar for parameter in shown))


def problem_of(error: Any) -> str:
    """What typer says is wrong with a command line, in the user's language."""
    if isinstance(error, typer.BadParameter) and error.param is None and error.param_hint is None:
        return error.message  # ours, and not about one value
    return _translated(error.format_message())


def _translated(problem: str) -> str:
    for template in WORDS:
        found = _pattern(template).fullmatch(problem)
        if found is not None:
            values = {
                name: _translated(value) if name == "problem" else value for name, value in found.groupdict().items()
            }
            return tr(template, **values) if values else tr(template)
    return problem


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\\\{(\w+)\\\}", re.escape(template))
    return re.compile("".join(f"(?P<{part}>.+?)" if index % 2 else part for index, part in enumerate(parts)), re.DOTALL)

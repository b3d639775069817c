"""What a check of `exbo-oauth doctor` comes to."""

from typing import Literal

from attrs import frozen

from ..language import tr
from ..misuse import OAuthError

__all__ = ["Finding", "Level", "parted"]

Level = Literal["ok", "warning", "problem"]


@frozen
class Finding:
    """What a check found, in the user's language but for the fixed names of checks; `cure` is what to do about it.

    `error` is the library's where the text quotes one, which is in English.
    """

    check: str
    level: Level
    text: str
    cure: str = ""
    error: OAuthError | None = None


def parted(error: OAuthError) -> tuple[str, str]:
    """The text of an error, and the command with which it says what to do; empty if it says none."""
    text, _, command = str(error).partition(". Run: ")
    return text, tr("Run: {command}", command=command) if command else ""

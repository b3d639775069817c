"""What a check of `exbo-oauth doctor` comes to."""

from typing import Literal

from attrs import frozen

from ..misuse import OAuthError

__all__ = ["Finding", "Level"]

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

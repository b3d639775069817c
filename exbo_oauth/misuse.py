"""The root of the error tree, and the one error that what stands below `errors` raises: the caller's mistake."""

import re
from typing import Any, TypeVar

__all__ = ["ERROR_INDEX", "ConfigurationError", "OAuthError", "kind_of", "narrowed"]

_E = TypeVar("_E", bound="OAuthError")

_VOWEL = re.compile(r"_*([aeio]|un(?!i))", re.IGNORECASE)  # a UserToken and a UUID are spoken with a y

# In the Documentation of pyproject's project.urls. Once the site is at an address of its own, this names its page.
ERROR_INDEX = "https://github.com/exbo-oauth/exbo-oauth/tree/main/docs/errors.md"


class OAuthError(Exception):
    """Anything that this library raises on purpose.

    `code` is stable from release to release, for alerts and for a program's own texts in other languages: compare it
    rather than the text, which may change. A traceback shows beneath the text where the error index has the code; in
    ``str(error)``, and so in a log line or a chat, there is the text alone. Where one class has several cures, the code
    says more than the class does: that of the class stands in front, so that
    ``error.code.startswith(InvalidGrantError.code)`` holds for each ``InvalidGrantError``.

    ::

        try:
            name = oauth.user_info("ivan").name
        except OAuthError as error:
            print(error.code, error)  # exbo-oauth.login-required.never nobody has signed in as 'ivan' yet
    """

    code = "exbo-oauth.oauth"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.add_note(_note(self.code))

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (type(self), self.args, self.__dict__)


def narrowed(error: _E, situation: str | None) -> _E:
    """`error` with `situation` behind the code of its class, and the note that leads to it; None: as it is."""
    if situation is not None:
        error.__notes__.remove(_note(error.code))
        error.code = f"{error.code}.{situation}"
        error.add_note(_note(error.code))
    return error


def _note(code: str) -> str:
    return f"{code}: {ERROR_INDEX}#{code.replace('.', '-')}"


def _revived(kind: type[OAuthError], args: tuple[Any, ...], state: dict[str, Any]) -> OAuthError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(OAuthError, ValueError):
    """The caller's mistake, found before anything was sent; the text says what to change.

    ::

        try:
            SyncOAuthClient(client_id=59, client_secret="a secret", base_url="http://exbo.example")
        except ConfigurationError as error:
            print(error)  # what is wrong, where, and what to change
    """

    code = "exbo-oauth.configuration"


def kind_of(value: object) -> str:
    """What `value` is, with its article, to be named in the place of something else: an AppToken, a str."""
    name = type(value).__name__
    return f"an {name}" if _VOWEL.match(name) else f"a {name}"

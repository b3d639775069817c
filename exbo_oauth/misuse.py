"""The root of the error tree, and the one error that what stands below `errors` raises: the caller's mistake."""

from typing import Any

__all__ = ["ERROR_INDEX", "ConfigurationError", "OAuthError"]

# In the Documentation of pyproject's project.urls. Once the site is at an address of its own, this names its page.
ERROR_INDEX = "https://github.com/exbo-oauth/exbo-oauth/tree/main/docs/errors.md"


class OAuthError(Exception):
    """Anything that this library raises on purpose.

    `code` is stable from release to release, for alerts and for a program's own texts in other languages: compare it
    rather than the text, which may change. A traceback shows beneath the text where the error index has the code; in
    ``str(error)``, and so in a log line or a chat, there is the text alone.

    ::

        try:
            name = oauth.user_info("ivan").name
        except OAuthError as error:
            print(error.code, error)  # exbo-oauth.login-required nobody has signed in as 'ivan' yet
    """

    code = "exbo-oauth.oauth"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.add_note(f"{self.code}: {ERROR_INDEX}#{self.code.replace('.', '-')}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (type(self), self.args, self.__dict__)


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

"""The root of the error tree, and the one error that what stands below `errors` raises: the caller's mistake."""

from typing import Any

__all__ = ["ConfigurationError", "OAuthError"]


class OAuthError(Exception):
    """Anything that this library raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (type(self), self.args, self.__dict__)


def _revived(kind: type[OAuthError], args: tuple[Any, ...], state: dict[str, Any]) -> OAuthError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(OAuthError, ValueError):
    """The caller's mistake, found before anything was sent; the text says what to change."""

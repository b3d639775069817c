"""A new token at its owner's wish, whatever is wrong or right with the present one."""

from ..errors import ReadOnlyError
from ..misuse import narrowed
from ..models import AppToken, UserToken
from .config import Config
from .effects import Load, Program, Recall
from .needs import Need
from .sharing import ensure_app_token, ensure_user_token

__all__ = ["replace_app_token", "replace_user_token"]


def replace_app_token(config: Config, wait: float | None = None) -> Program[AppToken]:
    """A token of the application that is newer than this call."""
    return (yield from ensure_app_token(config, (yield from _newer(config, None, wait))))


def replace_user_token(config: Config, account: str, wait: float | None = None) -> Program[UserToken]:
    """A token of the account that is newer than this call."""
    return (yield from ensure_user_token(config, account, (yield from _newer(config, account, wait))))


def _newer(config: Config, account: str | None, wait: float | None) -> Program[Need]:
    """The wish for a newer token than any that is there: what anybody replaces from now on fulfils it, too.

    Nothing is said against the present one: should no other be had, it goes on serving.
    """
    if not config.issues:
        text = 'this client only reads (issue="never"): replace tokens with the client that issues'
        raise narrowed(ReadOnlyError(text), "write")
    key = config.key(account)
    stored, cell = (yield from Load(key)), (yield from Recall(key))
    unsaved = None if cell.pending is None else cell.pending.entry
    known = [entry.revision for entry in (stored, cell.entry, unsaved) if entry is not None]
    return Need(0, newer_than=max(known, default=None), wait=wait)

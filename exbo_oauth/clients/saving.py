"""What a client saves before it is closed."""

from ..errors import OAuthError, StoreError
from ..flow.effects import Program
from ..flow.saving import saved_pending
from .cache import TokenCache

__all__ = ["GOODBYE", "all_saved"]

GOODBYE = 5.0
"""For how many seconds a client that is closed, and the end of the interpreter, wait for what is to be saved."""


def all_saved(cache: TokenCache) -> Program[list[StoreError]]:
    """Save all that `cache` has pending; what came in the way of the rest."""
    problems: list[StoreError] = []
    for key in cache.unsaved():
        try:
            yield from saved_pending(key, pauses=() if problems else (0.5,))
        except StoreError as error:
            text = f"the new token of {key!r} was not taken by the store until the end"
            problems.append(StoreError(text, token=error.token))
        except OAuthError:  # the account was forgotten meanwhile
            pass
    return problems

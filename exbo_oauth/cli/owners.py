"""Whose tokens are, by what they say themselves: one EXBO account may be kept under several names."""

from collections.abc import Iterable

from ..language import tr
from ..masking import Secret
from ..models import UserToken
from ..stores.base import Entry
from .inspection import reading_of

__all__ = ["is_newer", "shared_accounts", "user_of"]


def user_of(entry: Entry | None) -> str | None:
    """The user's id at EXBO; None for an application's token, and for one that cannot be read."""
    if entry is None or not isinstance(entry.token, UserToken):
        return None
    subject = reading_of(Secret(entry.token.access_token)).claims.get("sub")
    return None if subject in (None, "") else str(subject)


def is_newer(other: Secret, entry: Entry) -> bool:
    """Whether another token is of the same owner as a stored one and was issued after it, which ended that."""
    theirs, ours = reading_of(other), reading_of(Secret(entry.token.access_token))
    began, own = theirs.moment("iat"), ours.moment("iat")
    same = all(theirs.claims.get(name) == ours.claims.get(name) for name in ("aud", "sub"))
    return same and began is not None and own is not None and began > own


def shared_accounts(kept: Iterable[tuple[str, Entry | None]]) -> list[str]:
    """A sentence for each EXBO account that is kept under several of these names."""
    names: dict[str, list[str]] = {}
    for name, entry in kept:
        user = user_of(entry)
        if user is not None:
            names.setdefault(user, []).append(name)
    return [
        tr(
            "{names} are the same EXBO account (user id {user}): a new token of one ends those of the others.",
            names=tr(" and ").join(several),
            user=user,
        )
        for user, several in names.items()
        if len(several) > 1
    ]

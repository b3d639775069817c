"""An entry as a few bytes, for a process that keeps a hundred thousand of them in memory.

As objects, what stands around a token takes half as much room as the token itself, and the garbage collector walks
through all of it again and again; through bytes it does not. They are Python's own form of plain values, which
differs from version to version: nothing for a disk.
"""

import marshal
from datetime import UTC, datetime, timedelta
from itertools import starmap
from math import isnan
from typing import Any

from ..models import AppToken, UserToken
from .base import Entry, Issue

__all__ = ["packed", "revision_in", "unpacked"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_AHEAD = 8  # bytes in front, for the revision, which is asked for more often than the rest
_PLAIN = frozenset({type(None), bool, int, float, str})


def packed(entry: Entry) -> bytes | Entry:
    """`entry` as bytes, or as it is where it holds what is not plain: a class or an `extra` of the caller's own."""
    if type(entry) is not Entry or type(entry.token) not in (UserToken, AppToken) or type(entry.revision) is not int:
        return entry
    try:
        values = _plain(entry)
        if not _comes_back(values):
            return entry
        return entry.revision.to_bytes(_AHEAD) + marshal.dumps(values)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return entry


def revision_in(kept: bytes | Entry) -> int:
    """The revision of the entry that was `packed`."""
    return kept.revision if isinstance(kept, Entry) else int.from_bytes(kept[:_AHEAD])


def unpacked(kept: bytes | Entry) -> Entry:
    """The entry that was `packed`."""
    if isinstance(kept, Entry):
        return kept
    token, by, at, superseded, accepted, history, doubted, followed = marshal.loads(memoryview(kept)[_AHEAD:])  # noqa: S302  # our own
    return Entry(
        token=_token(*token),
        revision=revision_in(kept),
        issued_by=by,
        issued_at=_moment(at),
        superseded=tuple(map(_moment, superseded)),
        accepted_at=None if accepted is None else _moment(accepted),
        history=tuple(starmap(_issue, history)),
        doubted=tuple((host, _moment(moment)) for host, moment in doubted),
        followed=None if followed is None else _issue(*followed),
    )


def _comes_back(value: Any) -> bool:
    """Whether `value` is the same when it is read again: of what has a buffer (NumPy's numbers) marshal makes bytes."""
    kind = type(value)
    if kind is dict:
        return all(type(name) is str and _comes_back(one) for name, one in value.items())
    if kind is list or kind is tuple:
        return all(map(_comes_back, value))
    return kind in _PLAIN and not (kind is float and isnan(value))


def _plain(entry: Entry) -> tuple[Any, ...]:
    return (
        _token_plain(entry.token),
        entry.issued_by,
        _ticks(entry.issued_at),
        tuple(map(_ticks, entry.superseded)),
        None if entry.accepted_at is None else _ticks(entry.accepted_at),
        tuple(map(_issue_plain, entry.history)),
        tuple((host, _ticks(moment)) for host, moment in entry.doubted),
        None if entry.followed is None else _issue_plain(entry.followed),
    )


def _token_plain(token: AppToken | UserToken) -> tuple[Any, ...]:
    renewing = token.refresh_token if isinstance(token, UserToken) else None
    return token.token_type, token.access_token, renewing, _ticks(token.expires_in), token.extra or None


def _token(
    kind: str, access: str, renewing: str | None, ends: int, extra: dict[str, Any] | None
) -> AppToken | UserToken:
    fields: dict[str, Any] = {"token_type": kind, "access_token": access, "expires_in": _moment(ends)}
    if extra is not None:
        fields["extra"] = extra
    return AppToken(**fields) if renewing is None else UserToken(**fields, refresh_token=renewing)


def _issue_plain(issue: Issue) -> tuple[Any, ...]:
    return _ticks(issue.at), issue.by, issue.why, issue.fingerprint, issue.target, issue.taken


def _issue(at: int, by: str, why: str, fingerprint: str, target: str, taken: str) -> Issue:
    return Issue(at=_moment(at), by=by, why=why, fingerprint=fingerprint, target=target, taken=taken)


def _ticks(moment: datetime) -> int:
    if type(moment) is not datetime or moment.tzinfo is not UTC:  # in other zones an hour may come twice
        raise ValueError
    return (moment - _EPOCH) // _TICK


def _moment(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)

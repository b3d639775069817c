"""Keeping what the server knows in a file, so that it goes on where it stopped: people, programs, tokens, events.

JSON with a version, its owner's alone (tokens are in it as they are), replaced as a whole: whoever reads it finds the
old state or the new one. Not kept are the sessions of browsers, the points of rate limits, and the key that signs:
tokens are looked up here, only who verifies them by the key set has to get new ones.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..errors import ConfigurationError
from .issuing import Issuer
from .journal import Event
from .state import App, Code, IssuedToken, User

__all__ = ["Keeper"]

_FORMAT, _VERSION = "exbo-oauth sandbox", 1
_DEAD = 1000  # so many of the newest tokens are kept, dead or alive


@frozen(kw_only=True)
class _State:
    """What is in the file. The numbers are those of the last event and token, and the ids the highest ever given."""

    ahead: float
    apps: list[App]
    revoked: list[str]
    users: list[User]
    highest_user_id: int
    tokens: list[IssuedToken]
    token_number: int
    codes: dict[str, Code]
    used_codes: list[str]
    events: list[Event]
    event_number: int
    port: int | None = None  # where it was served last


def _taken_from(issuer: Issuer, port: int | None) -> _State:
    registry, vault, journal = issuer.registry, issuer.vault, issuer.journal
    newest = vault.number - _DEAD
    return _State(
        ahead=issuer.clock.ahead,
        apps=list(registry.apps.values()),
        revoked=sorted(registry.revoked),
        users=list(registry.users.values()),
        highest_user_id=registry.highest_user_id,
        tokens=[token for token in vault.issued if token.number > newest or token.is_good],
        token_number=vault.number,
        codes=dict(vault.codes),
        used_codes=sorted(vault.used_codes),
        events=list(journal.events),
        event_number=journal.event_number,
        port=port,
    )


def _given_to(issuer: Issuer, state: _State) -> None:
    issuer.clock.advance(state.ahead)
    issuer.registry.restore(state.apps, state.revoked, state.users, state.highest_user_id)
    issuer.vault.restore(state.tokens, state.token_number, state.codes, state.used_codes)
    issuer.journal.restore(state.events, state.event_number)


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(path).absolute()


@frozen
class Keeper:
    """The file at `path`; raises `ConfigurationError` for one that cannot be read, written or understood."""

    path: Path = field(converter=_absolute)

    def restore(self, issuer: Issuer) -> int | None:
        """Give `issuer` what is in the file, or nothing if there is none; the port as `port` has it."""
        state = self._kept()
        if state is not None:
            _given_to(issuer, state)
        return None if state is None else state.port

    def port(self) -> int | None:
        """The port at which the server was served last; None if it never was, or there is no file."""
        state = self._kept()
        return None if state is None else state.port

    def _kept(self) -> _State | None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise self._unfit(getattr(error, "strerror", None) or "it is not UTF-8") from None
        return self._read(text)

    def _read(self, text: str) -> _State:
        from ..converter import structured

        data = self._decoded(text)
        if data.get("version") != _VERSION:
            raise self._unfit(f"its version is {data.get('version')!r}, and this exbo-oauth knows version {_VERSION}")
        state = structured(data, _State)
        if isinstance(state, str):
            raise self._unfit(state)
        return state

    def _decoded(self, text: str) -> dict[str, Any]:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise self._unfit("it is not JSON") from None
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise self._unfit("something else is in it")
        return data

    def _unfit(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path} is not a sandbox's state: {reason}; name another file, or remove it")

    def taken(self, issuer: Issuer, port: int | None) -> dict[str, Any]:
        """What there is to keep, as JSON has it; to be called while nobody changes it."""
        from ..converter import unstructured

        return {"format": _FORMAT, "version": _VERSION, **unstructured(_taken_from(issuer, port))}

    def write(self, taken: dict[str, Any]) -> None:
        """Put it into the file."""
        target = self.path.resolve()  # what a link leads to, not the link
        temporary: Path | None = None
        try:
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
            temporary = Path(name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(taken, file, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            temporary = None
        except OSError as error:
            raise ConfigurationError(f"cannot write the sandbox's state to {self.path}: {error.strerror}") from None
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

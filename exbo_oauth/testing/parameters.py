"""The parameters of a request as the two generations of the league take them.

Version 8 takes what it gets, and then some of it has to be a string: what JSON made a number is refused, and an array
in a place where nobody looked leads to a crash. Version 9 casts every scalar to a trimmed string, in which an empty one
is missing, and refuses arrays.
"""

from collections.abc import Collection, Iterator

from attrs import frozen

from .dialect import Dialect, Refused
from .forms import basic_credentials
from .laravel import ServerCrash
from .php import Array, Value, as_text, trimmed_ascii

__all__ = ["Credentials", "Parameters"]


@frozen
class Credentials:
    """Who says to be asking. In version 8 the id may be an array: it finds an application, and then nobody copes."""

    client_id: str
    secret: str | None
    is_array: bool = False


@frozen
class Parameters:
    """`given` are the parameters that are not null, by name."""

    dialect: Dialect
    given: Array

    def value(self, name: str, default: str | None = None) -> Value:
        """A parameter; raises `Refused` for an array where arrays are refused."""
        value = self.given.get(name)
        if not self.dialect.casts_parameters:
            return default if value is None else value
        if isinstance(value, dict):
            raise Refused("parameter", name)
        text = "" if value is None else trimmed_ascii(as_text(value))
        return text or trimmed_ascii(default or "") or None

    def text(self, name: str) -> str | None:
        """A parameter that is a string if it is there; raises `Refused`."""
        value = self.value(name)
        if value is None or isinstance(value, str):
            return value
        raise Refused("parameter", name)

    def required(self, name: str) -> str:
        """A parameter that has to be there; raises `Refused`."""
        value = self.text(name)
        if value is None:
            raise Refused("parameter", name)
        return value

    def scalar(self, name: str, default: str | None = None) -> str | None:
        """A parameter that version 8 hands on to what takes any scalar and falls over arrays."""
        value = self.value(name, default)
        if isinstance(value, dict):
            raise ServerCrash
        return None if value is None else as_text(value)

    def client(self, authorization: str = "") -> Credentials:
        """Who says to be asking, in the body or else over HTTP Basic (case A04c); raises `Refused`."""
        value = self.value("client_id", self._basic(authorization)[0])
        if value is None:
            raise Refused("parameter", "client_id")
        return Credentials(_first_in(value), None, isinstance(value, dict))

    def credentials(self, authorization: str) -> Credentials:
        """`client` with its secret; raises `Refused`."""
        client = self.client(authorization)
        secret = self.value("client_secret", self._basic(authorization)[1])
        if secret is not None and not isinstance(secret, str):
            raise Refused("parameter", "client_secret")
        return Credentials(client.client_id, secret, client.is_array)

    def _basic(self, authorization: str) -> tuple[str | None, str | None]:
        return basic_credentials(authorization, strict=self.dialect.casts_parameters)

    def scopes(self, known: Collection[str], default: Collection[str] = ()) -> tuple[str, ...]:
        """The scopes that are asked for; raises `Refused` or `ServerCrash`.

        All have to be `known`; Passport knows ``*`` beside them (case S03).
        """
        value = self.value("scope", " ".join(default))
        if isinstance(value, str):
            value = {str(place): scope for place, scope in enumerate(trimmed_ascii(value).split(" ")) if scope}
        elif value is not None and not isinstance(value, dict):
            raise Refused("parameter", "scope")
        return tuple(self._scope(item, known) for item in (value or {}).values())

    def _scope(self, item: Value, known: Collection[str]) -> str:
        if isinstance(item, dict):
            raise ServerCrash
        name = "" if item is None else as_text(item)
        if name in known or name == "*":
            return name
        unnamed = name in ("", "0") and not self.dialect.casts_parameters
        raise Refused("scope_unnamed" if unnamed else "scope", name)


def _first_in(value: Value) -> str:
    """A scalar, or the first one within an array, empty or not, as a query for a database row takes it."""
    found = next(_scalars(value), None)
    return "" if found is None else as_text(found)


def _scalars(value: Value) -> Iterator["bool | int | float | str | None"]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _scalars(inner)
    else:
        yield value

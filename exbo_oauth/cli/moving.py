"""``copy``, ``rotate`` and ``backup``: what operators do with a store while programs go on using it.

Each may be called again: what was done already is left alone, and what cannot be done stops nothing else.
"""

import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import define, evolve, field

from ..environment import user_store_url
from ..errors import StoreError
from ..language import tr, trn
from ..masking import Secret
from ..meaning import in_words
from ..stores.address import StoreAddress
from ..stores.base import StoreKey, TokenStore
from ..stores.copies import copy as copied
from ..stores.guard import token_keys
from .options import AsJson, configured, refuse_password
from .output import Failure, progressing, say, say_json
from .session import address_of, existing_store
from .settings import Settings, read_secret

__all__ = ["backup", "copy", "rotate"]

_VARIABLE = re.compile(r"env:([A-Za-z_]\w*)")


@define
class Tally:
    """What became of the entries: how many were written, left as they were, and could not be dealt with."""

    written: int = 0
    left: int = 0
    problems: list[StoreError] = field(factory=list)

    def note(self, _key: StoreKey, outcome: bool | StoreError) -> None:
        """Count one."""
        if isinstance(outcome, StoreError):
            self.problems.append(outcome)
        elif outcome:
            self.written += 1
        else:
            self.left += 1

    def as_dict(self, name: str) -> dict[str, int]:
        """For scripts; `name` is what was done to those that were written."""
        return {name: self.written, "left": self.left, "failed": len(self.problems)}

    def check(self, failed: str) -> None:
        """Raise `Failure` if something could not be dealt with, which `failed` says."""
        if self.problems:
            raise Failure(f"{failed}: {in_words(self.problems[0])}", self.problems[0])


def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A store: its URL, env:NAME, or default.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Another one.")],
    source_key_file: Annotated[
        str | None, typer.Option("--source-key-file", metavar="FILE", help="What SOURCE is encrypted with.")
    ] = None,
    target_key_file: Annotated[
        str | None, typer.Option("--target-key-file", metavar="FILE", help="What TARGET is to be encrypted with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy every token into another store; nobody is signed out.

    A token that TARGET has as new or newer is left alone, so you can run it as often as you like, while programs use
    both stores: once for the bulk, and again when nothing refreshes tokens in SOURCE any more. env:NAME stands for a
    URL in an environment variable, for one with a password in it; default is the store in your data directory. Without
    keys, encrypted tokens stay encrypted with the key that they have.

      exbo-oauth copy default redis://redis.internal/0
      exbo-oauth copy sqlite:///tokens.db env:EXBO_STORE
    """
    addresses = [_address(source, source_key_file), _address(target, target_key_file)]
    with existing_store(addresses[0]) as here, closing(addresses[1].opened()) as there:
        tally = _through(here, tr("Copying"), lambda note: copied(here, there, progress=note))
    done = trn("{count} token copied", "{count} tokens copied", tally.written)
    left = tr("{done}, {count} left alone, because the target has them as new.", done=done, count=tally.left)
    _tell(tally, "copied", None if as_json else left if tally.left else f"{done}.")
    tally.check(_not_copied(tally))


@configured
def rotate(settings: Settings, as_json: AsJson = False) -> None:
    """Encrypt every token in the store with the first key.

    The file of --store-key-file, or EXBO_STORE_KEY, has one key a line: the new one first, and after it those with
    which something may be encrypted still. Give all programs these lines, call this, and then take the old ones away.
    Tokens that were not encrypted are encrypted, too. Programs may go on meanwhile. The first line below prints a key.

      python -c "from exbo_oauth.stores import EncryptedTokenStore as E; print(E.new_key())"
      exbo-oauth rotate --store-key-file keys.txt
    """
    from ..stores.encrypted import EncryptedTokenStore

    if not settings.text("store_key"):
        raise typer.BadParameter(
            tr("there is no key to encrypt with: pass --store-key-file FILE, or set EXBO_STORE_KEY")
        )
    with existing_store(address_of(settings)) as store:
        assert isinstance(store, EncryptedTokenStore)  # noqa: S101  # there is a key
        tally = _through(store, tr("Encrypting"), lambda note: store.rotate(progress=note))
    done = trn("{count} token encrypted", "{count} tokens encrypted", tally.written)
    left = tr("{done}, {count} left alone, because the first key opens them already.", done=done, count=tally.left)
    _tell(tally, "encrypted", None if as_json else left if tally.left else f"{done}.")
    failed = len(tally.problems)
    tally.check(trn("{count} token could not be encrypted", "{count} tokens could not be encrypted", failed))


@configured
def backup(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    as_json: AsJson = False,
) -> None:
    """Copy the store, as it is now, into a new file.

    The file is a SQLite store, readable by you alone; encrypted tokens stay encrypted. A SQLite store is copied as it
    is at one moment, while programs go on using it. Refreshing ends the token that was there before, so a backup is for
    moving and for accidents: do not go back to it while there is a newer store.

      exbo-oauth backup tokens-backup.db
      exbo-oauth status --store sqlite:///tokens-backup.db
    """
    from ..stores.sqlite import SQLiteTokenStore

    target = SQLiteTokenStore(file)
    address = evolve(address_of(settings), keys=Secret(""))  # as it is
    with existing_store(address) as store, closing(target):
        if os.path.exists(target.path):  # noqa: PTH110  # it does not raise, whatever cannot be looked at
            raise Failure(tr("{file} is there already, and nothing is overwritten: name a new file", file=file))
        if isinstance(store, SQLiteTokenStore):
            store.backup(file)
            tally = Tally()
        else:
            tally = _through(store, tr("Copying"), lambda note: copied(store, target, progress=note))
        count = _count(target)
    if as_json:
        say_json({"file": str(target.path), "tokens": count})
    else:
        say(trn("{count} token in {path}", "{count} tokens in {path}", count, path=target.path))
    tally.check(_not_copied(tally))


def _not_copied(tally: Tally) -> str:
    return trn("{count} token could not be copied", "{count} tokens could not be copied", len(tally.problems))


def _address(text: str, key_file: str | None) -> StoreAddress:
    key = Secret("") if key_file is None else read_secret(key_file)
    if text == "default":
        return StoreAddress(Secret(user_store_url()), key)
    variable = _VARIABLE.fullmatch(text)
    if variable is None:
        refuse_password(text, tr("put the URL into an environment variable, and write env: and its name"))
        return StoreAddress(Secret(text), key)
    url = os.environ.get(variable[1])
    if not url:
        raise Failure(tr("the environment variable {name} is not set", name=variable[1]))
    return StoreAddress(Secret(url), key)


def _through(store: TokenStore, what: str, work: Callable[[Callable[[StoreKey, Any], object]], object]) -> Tally:
    """Do `work` with every entry of `store`, with a bar for whoever looks on."""
    tally = Tally()
    with progressing(what, lambda: _count(store)) as advance:

        def note(key: StoreKey, outcome: bool | StoreError) -> None:
            tally.note(key, outcome)
            advance()

        try:
            work(note)
        except StoreError:
            if not tally.problems:  # not about an entry, so nothing has told of it
                raise
    return tally


def _tell(tally: Tally, word: str, told: str | None) -> None:
    """Say what became of the entries, as JSON unless it is `told` in words."""
    if told is None:
        say_json(tally.as_dict(word))
    else:
        say(told)


def _count(store: TokenStore) -> int:
    return sum(1 for _ in token_keys(store))

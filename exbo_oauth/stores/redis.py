"""Tokens in Redis or Valkey: for fleets on many hosts. Needs the extra ``redis``.

Compare-and-swap and the lease are scripts on the server, so nothing can come between reading and writing; a lease
runs on the server's clock. Reading is a script, too: a client that caches, or that reads from replicas, would answer
a plain read with what was true a moment ago. Entries do not expire: a refresh token outlives the access token beside
it, and the server alone knows for how long. All that belongs to one key has one hash tag, so a cluster keeps it in
one slot.

A command whose reply was lost is repeated, by the store and by some clients. Every write therefore carries a number of
its own, which the server knows for two minutes: the repeated one is told how the first went, and changes nothing.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from secrets import token_hex
from typing import Any, ClassVar, TypeVar

from ..boundary import bounded_throughout
from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .claims import UnansweredClaims
from .entry_text import entry_in, text_of
from .guard import guarded, missing
from .interrupts import interrupt
from .key_text import digest_of, keys_in, text_of_key
from .patience import PATIENCE, Impatient

__all__ = ["RedisTokenStore"]

T = TypeVar("T")

_LOAD = "return redis.call('HMGET', KEYS[1], 'revision', 'entry')"
# On a repeated write the mark is set again, so that a WAIT on this connection covers the first one.
_SWAP = """
local again = redis.call('EXISTS', KEYS[2]) == 1
if not again then
  if (redis.call('HGET', KEYS[1], 'revision') or '') ~= ARGV[1] then return 0 end
  if ARGV[2] == '' then redis.call('DEL', KEYS[1])
  else redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'key', ARGV[3], 'entry', ARGV[4]) end
end
redis.call('SET', KEYS[2], '1', 'PX', 120000)
return 1
"""
_ACQUIRE = """
local holder, free = redis.call('GET', KEYS[1]), false
for place = 2, #ARGV do free = free or not holder or holder == ARGV[place] end
if free then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1]) end
return free and 1 or 0
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

_SOCKET_TIMEOUT = 2.0
_TRIES = 3
_PAGE = 500

# In redis-py and valkey-py alike: what a second try may cure, and what looks like that and is not.
_PASSING = frozenset({"ConnectionError", "TimeoutError", "ReadOnlyError"})
_LASTING = frozenset({"AuthenticationError", "AuthorizationError", "MaxConnectionsError"})


def _connected(url: str) -> Any:
    """A client of our own for a URL: short timeouts, and no other tries than those of the store."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise missing("RedisTokenStore", "redis", error) from None

    class Pool(redis.ConnectionPool):
        def release(self, connection: Any) -> None:
            if sys.exception() is not None:  # an interrupt, say: the answer to somebody's command may be still to come
                connection.disconnect()
            super().release(connection)

    patience: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        # A server that was made a replica, while its name leads to the new master: connect anew.
        "retry_on_error": [redis.ReadOnlyError],
        "socket_timeout": _SOCKET_TIMEOUT,
        "socket_connect_timeout": _SOCKET_TIMEOUT,
    }
    try:
        return redis.Redis.from_pool(Pool.from_url(_spelt(url), **patience))
    except Exception:  # noqa: BLE001  # an option of the URL can be wrong in many ways
        text = "this is not a Redis URL: write redis://HOST:PORT/0, rediss:// for TLS"
        raise ConfigurationError(text) from None


def _spelt(url: str) -> str:
    """``VALKEYS://…`` as ``rediss://…``."""
    scheme, colon, rest = url.partition(":")
    return scheme.lower().replace("valkey", "redis") + colon + rest


def _is_blocking(client: Any) -> bool:
    """Whether this is a client that waits for its answers."""
    modules = {kind.__module__ for kind in type(client).__mro__}
    commands = hasattr(client, "eval") and hasattr(client, "scan_iter") and not isinstance(client, type)
    return commands and not any("asyncio" in name for name in modules)


@bounded_throughout
class RedisTokenStore:
    """A store on a Redis or Valkey server, or a cluster of them.

    Takes a URL of a server (``redis://``, ``rediss://`` for TLS, ``unix://``), or your own blocking client of redis-py
    or valkey-py, a cluster's or a Sentinel's, too; it stays yours to close and should have a ``socket_timeout``.
    `prefix` begins every key. With `replicas`, a write counts as done only when so many replicas have it, so that a
    failover to one of them loses nothing that was reported as done; a single server needs ``appendfsync always`` for
    the same promise across a crash.

    Raises `ConfigurationError` for what is neither a URL nor a client, `StoreError` when the server fails.

    ::

        store = RedisTokenStore("redis://127.0.0.1:6379/0", prefix="my-bot")  # connects when it is first used
    """

    blocking: ClassVar[bool] = True

    def __init__(self, url_or_client: Any, *, prefix: str = "exbo-oauth", replicas: int = 0) -> None:
        if not isinstance(prefix, str) or not prefix or {"{", "}"} & set(prefix):
            raise ConfigurationError("prefix must be the beginning of all keys, without braces: those are a cluster's")
        if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
            raise ConfigurationError("replicas must be how many replicas have to confirm a write, 0 for none")
        self._url = Secret(url_or_client) if isinstance(url_or_client, str) else None
        if self._url is None and not _is_blocking(url_or_client):
            kind = type(url_or_client).__name__
            raise ConfigurationError(f"RedisTokenStore takes a URL or a blocking Redis client, not {kind}")
        self._clients = {os.getpid(): url_or_client if self._url is None else _connected(url_or_client)}
        # A caller's client waits as long as its caller wants.
        self._limited = None if self._url is not None else Impatient()
        self._unanswered = UnansweredClaims()
        self.prefix = prefix
        self.replicas = replicas

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        stored = self._asked(self._read, key)
        return None if stored is None else entry_in(stored[1], stored[0], key, f"Redis ({self._name(key, 'entry')})")

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        names = [self._name(key, "entry"), self._name(key, f"write:{token_hex(8)}")]
        values = ["" if expected is None else str(expected), *guarded(_fields, key, entry)]
        return self._asked(self._written, names, values)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""

        def ask(owners: tuple[str, ...]) -> bool:
            return self._asked(self._run, _ACQUIRE, [self._lease(key)], [guarded(_milliseconds, ttl), *owners])

        return self._unanswered.asked(key, owner, ask)

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        self._asked(self._run, _RELEASE, [self._lease(key)], [owner])

    def holder(self, key: StoreKey) -> str | None:
        """Who has the lease of `key` now, None if nobody has."""
        owner: bytes | str | None = self._asked(self._client.get, self._lease(key))
        return owner.decode() if isinstance(owner, bytes) else owner

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry, scanned: what is written meanwhile may or may not be among them."""
        yield from keys_in(self._texts())

    def _texts(self) -> Iterator[str]:
        seen: set[str] = set()  # a scan may name a key twice
        names = self._scan()
        while page := self._asked(self._page, names):
            texts = [_str(text) for text in self._asked(self._key_texts, page) if text is not None]
            fresh = [text for text in dict.fromkeys(texts) if text not in seen]
            seen.update(fresh)
            yield from fresh

    def _scan(self) -> list[Iterator[Any]]:
        """A scan of all names of entries, in a list: one that breaks off is replaced by one from the beginning."""
        pattern = f"{_literal(self.prefix)}:{{*}}:entry".encode(errors="surrogatepass")
        return [guarded(lambda: self._client.scan_iter(match=pattern, count=_PAGE))]

    def _page(self, names: list[Iterator[Any]]) -> list[Any]:
        try:
            return list(islice(names[0], _PAGE))
        except Exception:
            names[:] = self._scan()
            raise

    def _asked(self, call: Callable[..., T], *args: Any) -> T:
        """What `call` gives; raises `StoreError`, whatever goes wrong, and in time."""
        repeated = (self._repeated, call, *args)
        done: T = guarded(*repeated) if self._limited is None else guarded(self._limited, *repeated)
        return done

    def _repeated(self, call: Callable[..., T], *args: Any) -> T:
        """What `call` gives, also if a connection is lost once or twice: nothing that it asks for is done twice."""
        latest, outer = time.monotonic() + PATIENCE - _SOCKET_TIMEOUT, sys.exception()
        for number in range(1, _TRIES):
            try:
                return call(*args)
            except Exception as error:
                if not _is_passing(error) or interrupt(error, outer) or time.monotonic() > latest:
                    raise
            time.sleep(0.1 * number * random.random())  # noqa: S311  # spreads tries, protects nothing
        return call(*args)

    def risks(self) -> list[str]:
        """What in the server's settings can lose tokens, and what to set instead; nothing if the server hides them."""
        try:
            info: dict[str, Any] = self._client.info()
            nodes = [node for node in info.values() if isinstance(node, dict) and "maxmemory_policy" in node]
            return list(dict.fromkeys(risk for node in nodes or [info] for risk in _risks_of(node)))
        except Exception:  # noqa: BLE001  # not everybody may ask
            return []

    def close(self) -> None:
        """Close the connections, unless the client is yours. A second call does nothing."""
        guarded(self._hang_up)

    @property
    def _client(self) -> Any:
        """The client. A child process makes one of its own: a thread of its parent's may have had the other's lock."""
        if self._url is None:
            [given] = self._clients.values()
            return given
        if os.getpid() not in self._clients:
            self._clients.setdefault(os.getpid(), _connected(self._url.reveal()))
        return self._clients[os.getpid()]

    def _hang_up(self) -> None:
        if self._url is not None:
            self._client.close()

    def _name(self, key: StoreKey, what: str) -> str:
        return f"{self.prefix}:{{{digest_of(text_of_key(key))}}}:{what}"

    def _lease(self, key: StoreKey) -> str:
        return self._name(key, "lease")

    def _run(self, script: str, names: list[str], values: list[str]) -> bool:
        return bool(self._client.eval(script, len(names), *_arguments(names, values)))

    def _read(self, key: StoreKey) -> tuple[int, str] | None:
        revision, stored = map(_str, self._client.eval(_LOAD, 1, *_arguments([self._name(key, "entry")], [])))
        return None if revision is None or stored is None else (int(revision), stored)

    def _key_texts(self, names: list[Any]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(name, "key")
        texts: list[Any] = pipeline.execute()
        return texts

    def _written(self, names: list[str], values: list[str]) -> bool:
        done = self._run(_SWAP, names, values)
        return self._confirmed(names, values) if done and self.replicas else done

    def _confirmed(self, names: list[str], values: list[str]) -> bool:
        """Whether a write stands, on as many replicas as there have to be.

        It is made once more, on the connection that then waits: WAIT knows of no other's writes. After a failover
        in between it may be gone, and is then made anew or found to be too late.
        """
        done, reached = self._write_and_wait(names, values)
        if done and reached < self.replicas:
            raise StoreError(f"the write reached {reached} of {self.replicas} replicas: a failover could lose it")
        return bool(done)

    def _write_and_wait(self, names: list[str], values: list[str]) -> tuple[int, int]:
        pipeline = self._node(names[0]).pipeline(transaction=False)
        pipeline.eval(_SWAP, len(names), *_arguments(names, values))
        pipeline.execute_command("WAIT", self.replicas, self._patience(names[0]))
        done, reached = pipeline.execute()
        return done, reached

    def _patience(self, name: str) -> int:
        """How long replicas may take, in milliseconds: half of the time for which the client waits for an answer."""
        seconds = self._node(name).connection_pool.connection_kwargs.get("socket_timeout") or _SOCKET_TIMEOUT
        return int(min(seconds, _SOCKET_TIMEOUT) * 1000 / 2)

    def _node(self, name: str) -> Any:
        """The server that a key lives on: in a cluster one of many."""
        if not hasattr(self._client, "get_node_from_key"):
            return self._client
        library = "redis" if hasattr(self._client, "get_redis_connection") else "valkey"
        return getattr(self._client, f"get_{library}_connection")(self._client.get_node_from_key(name))

    def __repr__(self) -> str:
        return f"RedisTokenStore(prefix={self.prefix!r})"


def _is_passing(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _PASSING) and not names & _LASTING


def _fields(key: StoreKey, entry: Entry | None) -> list[str]:
    """What the script is to write; an empty revision deletes."""
    return ["", "", ""] if entry is None else [str(entry.revision), text_of_key(key), text_of(entry)]


def _arguments(names: list[str], values: list[str]) -> Iterator[bytes]:
    """In UTF-8, whatever the client's own encoding is."""
    return (value.encode(errors="surrogatepass") for value in (*names, *values))


def _risks_of(info: dict[str, Any]) -> Iterator[str]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"a full Redis may remove tokens and leases ({policy}): set maxmemory-policy noeviction"
    if info.get("aof_enabled") == 0:
        yield "a crash of the Redis loses what was written last: set appendonly yes and appendfsync always"


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))


def _str(value: Any) -> Any:
    """What a client answers with, whatever its ``decode_responses`` says."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _literal(prefix: str) -> str:
    """A prefix as a pattern that matches only itself."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^-" else letter for letter in prefix)


RedisTokenStore.__module__ = "exbo_oauth.stores"

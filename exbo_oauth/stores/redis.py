"""Tokens in Redis or Valkey: for fleets on many hosts. Needs the extra ``redis``.

Compare-and-swap and the lease are scripts on the server, so nothing can come between reading and writing; a lease
runs on the server's clock. Entries do not expire: a refresh token outlives the access token beside it, and the
server alone knows for how long. All that belongs to one key has one hash tag, so a cluster keeps it in one slot.
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from ..errors import ConfigurationError, StoreError
from ..masking import Secret
from .base import Entry, StoreKey
from .guard import guarded
from .naming import digest_of, key_from, text_of

__all__ = ["RedisTokenStore"]

_SWAP = """
if (redis.call('HGET', KEYS[1], 'revision') or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'key', ARGV[3], 'entry', ARGV[4]) end
return 1
"""
_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

_SOCKET_TIMEOUT = 5.0


def _client(url_or_client: Any) -> Any:
    if not isinstance(url_or_client, str):
        return url_or_client
    try:
        import redis
    except ImportError:
        raise ConfigurationError("RedisTokenStore needs redis: pip install 'exbo-oauth[redis]'") from None
    url = Secret(url_or_client.replace("valkey", "redis", 1) if url_or_client.startswith("valkey") else url_or_client)
    try:
        return redis.Redis.from_url(
            url.reveal(), socket_timeout=_SOCKET_TIMEOUT, socket_connect_timeout=_SOCKET_TIMEOUT
        )
    except ValueError:
        raise ConfigurationError("this is no Redis URL: write redis://HOST:PORT/0, rediss:// for TLS") from None


class RedisTokenStore:
    """A store on a Redis or Valkey server, or a cluster of them.

    Takes a URL (``redis://``, ``rediss://`` for TLS, ``unix://``), or your own blocking client, which stays yours to
    close. `prefix` begins every key. With `replicas`, a write counts as done only when so many replicas have it, so
    that a failover loses nothing that was reported as done; a single server needs ``appendfsync always`` for the
    same promise across a crash of its machine.

    Raises `ConfigurationError` for what is no URL and no client, `StoreError` when the server fails.
    """

    blocking: ClassVar[bool] = True

    def __init__(self, url_or_client: Any, *, prefix: str = "exbo-oauth", replicas: int = 0) -> None:
        client = _client(url_or_client)
        if not hasattr(client, "register_script") or "asyncio" in type(client).__module__:
            raise ConfigurationError(
                f"RedisTokenStore takes a URL or a blocking Redis client, not {type(client).__name__}"
            )
        self._client, self.prefix, self.replicas = client, prefix, replicas
        self._owned = isinstance(url_or_client, str)
        self._swap, self._acquire, self._release = map(client.register_script, (_SWAP, _ACQUIRE, _RELEASE))

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        stored = guarded(self._read, key)
        if stored is None:
            return None
        try:
            return Entry.from_dict(json.loads(stored.reveal()))
        except (ValueError, RecursionError):
            damaged = StoreError(f"the entry of {key!r} in Redis is damaged; it was left as it is")
        raise damaged

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`."""
        return guarded(self._written, key, expected, entry)

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it."""
        milliseconds = max(1, int(ttl * 1000))
        return bool(guarded(lambda: self._acquire(keys=[self._name(key, "lease")], args=[owner, milliseconds])))

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it."""
        guarded(lambda: self._release(keys=[self._name(key, "lease")], args=[owner]))

    def keys(self) -> Iterator[StoreKey]:
        """The keys that have an entry, scanned: what is written meanwhile may or may not be among them."""
        seen: set[str] = set()  # a scan may name a key twice
        names = guarded(lambda: self._client.scan_iter(match=f"{_literal(self.prefix)}:{{*}}:entry", count=1000))
        while (name := guarded(next, names, None)) is not None:
            text = guarded(self._client.hget, name, "key")
            if text is not None and _str(text) not in seen:
                seen.add(_str(text))
                yield guarded(key_from, text)

    def close(self) -> None:
        """Close the connections, unless the client is yours. A second call does nothing."""
        if self._owned:
            guarded(self._client.close)

    def _name(self, key: StoreKey, what: str) -> str:
        return f"{self.prefix}:{{{digest_of(key)}}}:{what}"

    def _read(self, key: StoreKey) -> Secret | None:
        stored = self._client.hget(self._name(key, "entry"), "entry")
        return None if stored is None else Secret(_str(stored))

    def _written(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        name, now = self._name(key, "entry"), "" if expected is None else str(expected)
        done = bool(self._swap(keys=[name], args=[now, *_arguments(key, entry)]))
        if done and self.replicas:
            self._wait_for_replicas()
        return done

    def _wait_for_replicas(self) -> None:
        reached = self._client.wait(self.replicas, int(_SOCKET_TIMEOUT * 1000 / 2))
        if reached < self.replicas:
            raise StoreError(f"the write reached {reached} of {self.replicas} replicas: a failover could lose it")

    def __repr__(self) -> str:
        return f"RedisTokenStore(prefix={self.prefix!r})"


def _arguments(key: StoreKey, entry: Entry | None) -> list[str]:
    """What the script is to write; an empty revision deletes."""
    return ["", "", ""] if entry is None else [str(entry.revision), text_of(key), json.dumps(entry.to_dict())]


def _str(value: str | bytes) -> str:
    """What a client answers with, whatever its ``decode_responses`` says."""
    return value.decode() if isinstance(value, bytes) else value


def _literal(prefix: str) -> str:
    """A prefix as a pattern that matches only itself."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^-" else letter for letter in prefix)


RedisTokenStore.__module__ = "exbo_oauth.stores"

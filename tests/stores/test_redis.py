"""What is Redis's own: clients of every kind, lost answers, restarts, replicas, clusters."""

import itertools
import multiprocessing
import os
import re
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from queue import Queue

import httpx
import pytest
import redis as redis_library
import valkey
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis as AsyncRedis
from redis.crc import key_slot
from redis.sentinel import Sentinel

from exbo_oauth import ConfigurationError, StoreError, StoreKey, SyncOAuthClient
from exbo_oauth.stores import RedisTokenStore
from exbo_oauth.testing import FakeExbo
from exbo_oauth.testing.store_suite import APP, USER, app_entry, increment, user_entry

from ..free_ports import free_port
from .leaking import leaks
from .processes import ROOT
from .servers import RedisServer, redis_sentinel, redis_server, until
from .wires import Wire, wire

_numbers = itertools.count()

_strategies = getattr(redis_library.cluster, "LoadBalancingStrategy", None)  # new in 5.3, which deprecates the other
FROM_REPLICAS = {"load_balancing_strategy": _strategies.ROUND_ROBIN} if _strategies else {"read_from_replicas": True}


@pytest.fixture
def prefix() -> str:
    return f"redis{next(_numbers)}"


@pytest.fixture
def store(redis: RedisServer, prefix: str) -> Iterator[RedisTokenStore]:
    store = RedisTokenStore(redis.url, prefix=prefix)
    yield store
    store.close()


@pytest.fixture
def raw(redis: RedisServer) -> Iterator["redis_library.Redis"]:
    with redis_library.Redis(port=redis.port) as client:
        yield client


@pytest.fixture
def cuttable(redis: RedisServer) -> Iterator[Wire]:
    with wire(redis.port) as passing:
        yield passing


class TestClients:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"decode_responses": True},
            {"protocol": 3, "decode_responses": True},
            {"protocol": 2},
            {"encoding": "latin-1", "decode_responses": True},
            {"single_connection_client": True},
        ],
        ids=str,
    )
    def test_the_callers_client_may_be_set_up_in_any_way(self, redis, prefix, options) -> None:
        with redis_library.Redis(port=redis.port, **options) as client:
            store = RedisTokenStore(client, prefix=prefix)
            assert store.swap(USER, None, user_entry(1))
            assert store.load(USER) == user_entry(1)
            assert store.acquire(USER, "хост/1", 60)
            assert not store.acquire(USER, "другой/1", 60)
            assert list(store.keys()) == [USER]

    def test_a_client_of_valkey_py_serves_as_well(self, redis, prefix) -> None:
        with valkey.Valkey(port=redis.port) as client:
            store = RedisTokenStore(client, prefix=prefix, replicas=0)
            assert store.swap(USER, None, user_entry(1))
            assert store.load(USER) == user_entry(1)
            assert list(store.keys()) == [USER]

    def test_the_callers_client_is_not_closed(self, redis, prefix) -> None:
        with redis_library.Redis(port=redis.port, single_connection_client=True) as client:
            RedisTokenStore(client, prefix=prefix).close()
            assert client.connection is not None
            assert client.ping()

    @pytest.mark.parametrize(
        "client",
        [
            AsyncRedis(),
            AsyncRedis.from_url("redis://:hunter2@localhost"),
            type("Ours", (AsyncRedis,), {})(),
            valkey.asyncio.Valkey(),
            object(),
            None,
            5,
            b"redis://localhost",
            redis_library.Redis,
        ],
        ids=lambda client: type(client).__module__,
    )
    def test_what_is_no_blocking_client_is_refused(self, client) -> None:
        with pytest.raises(ConfigurationError, match="takes a URL or a blocking Redis client") as caught:
            RedisTokenStore(client)
        assert not leaks(caught.value, "hunter2")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "hunter2",
            "http://user:hunter2@localhost",
            "redis://user:hunter2@localhost:port/0",
            "redis://user:hunter2@[::1/0",
            "redis://user:hunter2@localhost/0?max_connections=many",
            "rediss://user:hunter2@localhost/0?socket_timeout=long",
        ],
    )
    def test_what_is_no_url_is_refused_without_showing_it(self, url) -> None:
        with pytest.raises(ConfigurationError, match="not a Redis URL") as caught:
            RedisTokenStore(url)
        assert not leaks(caught.value, "hunter2")

    def test_an_option_that_the_client_does_not_know_is_an_error_of_ours(self) -> None:
        store = RedisTokenStore("redis://user:hunter2@localhost:1/0?sockettimeout=3")
        with pytest.raises(StoreError, match="sockettimeout") as caught:
            store.load(APP)
        assert not leaks(caught.value, "hunter2")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"prefix": ""}, "prefix"),
            ({"prefix": "a{b}"}, "without braces"),
            ({"prefix": 5}, "prefix"),
            ({"replicas": -1}, "replicas"),
            ({"replicas": True}, "replicas"),
            ({"replicas": 1.5}, "replicas"),
        ],
        ids=str,
    )
    def test_arguments_are_checked(self, arguments, message) -> None:
        with pytest.raises(ConfigurationError, match=message):
            RedisTokenStore("redis://localhost", **arguments)

    @pytest.mark.parametrize("scheme", ["redis", "REDIS", "valkey"])
    def test_schemes_may_be_spelt_in_any_way(self, redis, prefix, scheme) -> None:
        store = RedisTokenStore(redis.url.replace("redis", scheme), prefix=prefix)
        assert store.load(APP) is None
        store.close()

    def test_a_wrong_password_is_an_error_that_does_not_show_it(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, "--requirepass", "correct horse") as server:
            right = RedisTokenStore(f"redis://:correct%20horse@127.0.0.1:{server.port}/0")
            assert right.swap(APP, None, app_entry(1))
            wrong = RedisTokenStore(f"redis://:hunter2@127.0.0.1:{server.port}/0")
            for call in (lambda: wrong.load(APP), lambda: wrong.swap(APP, 1, None), lambda: list(wrong.keys())):
                with pytest.raises(StoreError) as caught:
                    call()
                assert not leaks(caught.value, "hunter2", "correct horse")
            assert "hunter2" not in f"{wrong!r}"
            right.close(), wrong.close()

    def test_tls_is_spoken_to_servers_with_a_certificate_that_is_trusted(self, redis, prefix, tmp_path) -> None:
        certificate, context = tmp_path / "ca.pem", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.write_bytes(_certificate(tmp_path / "key.pem"))
        context.load_cert_chain(certificate, tmp_path / "key.pem")
        with wire(redis.port, context) as passing:
            url = f"rediss://127.0.0.1:{passing.port}/0"
            trusting = RedisTokenStore(f"{url}?ssl_ca_certs={certificate}", prefix=prefix)
            assert trusting.swap(USER, None, user_entry(1))
            assert trusting.load(USER) == user_entry(1)
            stranger = RedisTokenStore(url, prefix=prefix)
            with pytest.raises(StoreError, match=r"(?i)certificate"):
                stranger.load(USER)
            trusting.close(), stranger.close()


def _certificate(key_file: Path) -> bytes:
    """A certificate of 127.0.0.1, signed with the key that is written to a file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


class TestContents:
    def test_prefixes_keep_stores_apart(self, redis, prefix) -> None:
        stores = [RedisTokenStore(redis.url, prefix=f"{prefix}{end}") for end in ("", ":more", "*", "?", "[x]", "\\")]
        for number, store in enumerate(stores, 1):
            assert store.load(APP) is None
            assert store.swap(APP, None, app_entry(number))
            assert store.acquire(APP, "me", 60)
        for number, store in enumerate(stores, 1):
            assert list(store.keys()) == [APP]
            assert store.load(APP) == app_entry(number)
            store.close()

    def test_keys_are_found_whatever_the_clients_encoding_is(self, redis, prefix) -> None:
        with redis_library.Redis(port=redis.port, encoding="cp1251") as client:
            store = RedisTokenStore(client, prefix=f"бот {prefix}")
            store.swap(APP, None, app_entry(1))
            assert list(store.keys()) == [APP]

    def test_entries_do_not_expire(self, store, raw, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        [name] = raw.keys(f"{prefix}:*:entry")
        assert raw.pttl(name) == -1

    def test_all_that_belongs_to_a_key_has_one_hash_tag(self, store, raw, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        store.acquire(USER, "me", 60)
        names = raw.keys(f"{prefix}:*")
        assert len(names) == 3
        assert len({key_slot(name) for name in names}) == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("entry", b"no json"),
            ("entry", b"\xff\xfe"),
            ("entry", b"[" * 100_000),
            ("entry", b'{"revision": Infinity}'),
            ("entry", b"null"),
            ("revision", "7"),
            ("revision", "seven"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_damaged_entry_is_an_error_and_stays(self, store, raw, prefix, field, value) -> None:
        store.swap(USER, None, user_entry(1))
        [name] = raw.keys(f"{prefix}:*:entry")
        raw.hset(name, field, value)
        before = raw.hgetall(name)
        with pytest.raises(StoreError) as caught:
            store.load(USER)
        if field == "entry":
            assert name.decode() in str(caught.value), "nobody could find it to remove it"
        assert raw.hgetall(name) == before

    def test_a_damaged_key_is_an_error(self, store, raw, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        [name] = raw.keys(f"{prefix}:*:entry")
        raw.hset(name, "key", "nobody")
        store.swap(APP, None, app_entry(1))
        keys = store.keys()
        assert next(keys) == APP  # first the others
        with pytest.raises(StoreError, match="damaged"):
            next(keys)

    def test_a_key_that_is_deleted_while_listing_is_left_out(self, store, raw, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        raw.hset(f"{prefix}:{{0}}:entry", "revision", 1)  # as if only half of it was there
        assert list(store.keys()) == [USER]

    def test_what_is_of_another_type_is_an_error(self, store, raw, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        [name] = raw.keys(f"{prefix}:*:entry")
        raw.delete(name)
        raw.set(name, "somebody else's")
        with pytest.raises(StoreError):
            store.load(USER)
        with pytest.raises(StoreError):
            store.swap(USER, None, user_entry(1))

    def test_what_json_cannot_carry_is_an_error_and_changes_nothing(self, store) -> None:
        store.swap(USER, None, user_entry(1))
        odd = user_entry(2)
        odd.token.extra["odd"] = object()
        with pytest.raises(StoreError, match="cannot be stored"):
            store.swap(USER, 1, odd)
        assert store.load(USER) == user_entry(1)

    @pytest.mark.parametrize("ttl", [float("inf"), float("nan"), "soon"])
    def test_a_lease_of_no_length_is_an_error(self, store, ttl) -> None:
        with pytest.raises(StoreError):
            store.acquire(APP, "me", ttl)


class TestLostAnswers:
    """The server did it, the answer got lost, and the client asks again on its own."""

    @pytest.fixture
    def shaky(self, cuttable: Wire, prefix: str) -> Iterator[RedisTokenStore]:
        store = RedisTokenStore(f"redis://127.0.0.1:{cuttable.port}/0", prefix=prefix)
        store.load(APP)
        yield store
        store.close()

    def test_a_new_entry_is_reported_as_written(self, shaky, cuttable) -> None:
        cuttable.lose_answer(b"HSET")
        assert shaky.swap(APP, None, app_entry(1)) is True
        assert (cuttable.lost, shaky.load(APP)) == (1, app_entry(1))

    def test_an_update_is_reported_as_written(self, shaky, cuttable) -> None:
        shaky.swap(APP, None, app_entry(1))
        cuttable.lose_answer(b"HSET", times=2)
        assert shaky.swap(APP, 1, app_entry(2)) is True
        assert (cuttable.lost, shaky.load(APP)) == (2, app_entry(2))

    def test_a_delete_is_reported_as_done(self, shaky, cuttable) -> None:
        shaky.swap(APP, None, app_entry(1))
        cuttable.lose_answer(b"HSET")
        assert shaky.swap(APP, 1, None) is True
        assert (cuttable.lost, shaky.load(APP)) == (1, None)

    def test_a_refusal_stays_one(self, shaky, cuttable) -> None:
        shaky.swap(APP, None, app_entry(1))
        cuttable.lose_answer(b"HSET")
        assert shaky.swap(APP, 5, app_entry(6)) is False
        assert (cuttable.lost, shaky.load(APP)) == (1, app_entry(1))

    def test_what_was_deleted_meanwhile_does_not_come_back(self, cuttable, store, prefix) -> None:
        retrying = threading.Event()
        deleted = threading.Event()

        class Slow(redis_library.retry.Retry):
            def call_with_retry(self, do, fail, *args, **kwargs):
                def failed(*details):
                    retrying.set()
                    deleted.wait(120)
                    return fail(*details)

                return super().call_with_retry(do, failed, *args, **kwargs)

        retry = Slow(redis_library.backoff.NoBackoff(), 3)
        lost = [redis_library.ConnectionError]
        with redis_library.Redis(port=cuttable.port, retry=retry, retry_on_error=lost) as client:
            shaky = RedisTokenStore(client, prefix=prefix)
            shaky.load(APP)
            cuttable.lose_answer(b"HSET")
            outcome = []
            writer = threading.Thread(target=lambda: outcome.append(shaky.swap(APP, None, app_entry(1))))
            writer.start()
            assert retrying.wait(120)
            assert store.swap(APP, 1, None)
            deleted.set()
            writer.join()
        assert outcome == [True]
        assert store.load(APP) is None

    def test_a_lease_is_ours_after_asking_twice(self, shaky, cuttable) -> None:
        cuttable.lose_answer(b"holder")
        assert shaky.acquire(APP, "me", 60) is True
        assert cuttable.lost == 1

    def test_a_lease_that_nobody_knows_of_is_the_next_callers(self, shaky, cuttable, store) -> None:
        for name in ("who never heard", "who did not either"):
            cuttable.lose_answer(b"holder", times=3)
            with pytest.raises(StoreError):
                shaky.acquire(APP, name, 3600)
        assert store.acquire(APP, "somebody in another process", 60) is False
        assert shaky.acquire(APP, "who asks next", 60) is True
        assert shaky.acquire(APP, "who comes late", 60) is False
        assert shaky.acquire(APP, "who never heard", 60) is False

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_client_that_never_tries_again_is_asked_again(self, cuttable, prefix, times) -> None:
        never = redis_library.retry.Retry(redis_library.backoff.NoBackoff(), 0)
        with redis_library.Redis(port=cuttable.port, retry=never) as client:
            store = RedisTokenStore(client, prefix=prefix)
            store.load(APP)
            cuttable.lose_answer(b"HSET", times)
            assert store.swap(USER, None, user_entry(1)) is True
            cuttable.lose_answer(b"SCAN", times)
            assert list(store.keys()) == [USER]
            cuttable.lose_answer(b"HMGET", times)
            assert store.load(USER) == user_entry(1)

    def test_what_is_lost_again_and_again_is_an_error_and_the_next_call_finds_out(self, cuttable, shaky) -> None:
        cuttable.lose_answer(b"HSET", 3)
        with pytest.raises(StoreError) as caught:
            shaky.swap(USER, None, user_entry(1, "secret-access-token"))
        assert not leaks(caught.value, "secret-access-token", "def50200")
        assert shaky.load(USER) == user_entry(1, "secret-access-token")


class TestTrouble:
    def test_no_server_is_an_error_of_every_method(self) -> None:
        store = RedisTokenStore("redis://user:hunter2@127.0.0.1:1/0")
        calls = {
            "load": lambda: store.load(USER),
            "swap": lambda: store.swap(USER, None, user_entry(1, "secret-access-token")),
            "delete": lambda: store.swap(USER, 1, None),
            "acquire": lambda: store.acquire(USER, "me", 1),
            "release": lambda: store.release(USER, "me"),
            "keys": lambda: list(store.keys()),
        }
        for call in calls.values():
            with pytest.raises(StoreError) as caught:
                call()
            assert not leaks(caught.value, "hunter2", "secret-access-token", "def50200")
        store.close()

    def test_a_restart_of_the_server_costs_no_write(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, durable=True) as server:
            store = RedisTokenStore(server.url)
            store.swap(USER, None, user_entry(1))
            store.acquire(USER, "me", 3600)
            server.kill()
            with pytest.raises(StoreError):
                store.load(USER)
            with pytest.raises(StoreError):
                store.swap(USER, 1, user_entry(2))
            server.start()
            assert store.load(USER) == user_entry(1)
            assert store.swap(USER, 1, user_entry(2))
            assert not store.acquire(USER, "you", 3600)
            store.close()

    def test_a_server_that_lost_its_scripts_and_data_is_an_empty_one(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as server:
            store = RedisTokenStore(server.url)
            store.swap(USER, None, user_entry(1))
            server.kill()
            server.start()
            assert store.load(USER) is None
            assert store.swap(USER, 1, user_entry(2)) is False
            assert store.swap(USER, None, user_entry(2))
            store.close()

    def test_what_was_written_until_the_kill_is_there(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, durable=True) as server:
            store = RedisTokenStore(server.url)
            store.swap(APP, None, app_entry(1))
            reported = [1]

            def write() -> None:
                with pytest.raises(StoreError):
                    while True:
                        increment(store, APP)
                        reported[0] += 1

            writer = threading.Thread(target=write)
            writer.start()
            until(lambda: reported[0] > 50, "nothing was written")
            server.kill()
            writer.join()
            server.start()
            kept = store.load(APP)
            assert kept is not None
            assert kept.revision in (reported[0], reported[0] + 1)  # the last one may have been done, and not reported
            store.close()

    def test_a_full_server_is_an_error_and_keeps_what_it_has(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as server:
            store = RedisTokenStore(server.url)
            store.swap(USER, None, user_entry(1))
            with redis_library.Redis(port=server.port) as client:
                client.config_set("maxmemory", "1mb")
            with pytest.raises(StoreError):
                store.swap(USER, 1, user_entry(2))
            assert store.load(USER) == user_entry(1)
            store.close()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_store_may_be_used_on_both_sides_of_a_fork(self, store) -> None:
        store.swap(APP, None, app_entry(1))
        children = [multiprocessing.get_context("fork").Process(target=_count, args=[store]) for _ in range(3)]
        for child in children:
            child.start()
        _count(store)
        for child in children:
            child.join(120)
        assert [child.exitcode for child in children] == [0, 0, 0]
        assert store.load(APP) == app_entry(1 + 4 * 25)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_fork_while_another_thread_takes_a_connection_leaves_the_child_no_dead_lock(self, store) -> None:
        store.load(APP)
        taking, forked = threading.Event(), threading.Event()

        def take() -> None:
            with store._client.connection_pool._lock:
                taking.set()
                forked.wait(120)

        thread = threading.Thread(target=take)
        thread.start()
        assert taking.wait(120)
        child = multiprocessing.get_context("fork").Process(target=store.swap, args=[APP, None, app_entry(1)])
        child.start()
        child.join(120)
        forked.set()
        thread.join()
        child.kill()
        assert child.exitcode == 0
        assert store.load(APP) == app_entry(1)


def _count(store: RedisTokenStore) -> None:
    for _ in range(25):
        increment(store, APP)


def client_of(fake: FakeExbo, store: RedisTokenStore, http: httpx.Client) -> SyncOAuthClient:
    app = fake.app
    return SyncOAuthClient(client_id=app.client_id, client_secret=app.client_secret, store=store, http_client=http)


class TestRights:
    def test_the_rights_in_the_documentation_are_enough_and_needed(self, redis, raw, prefix) -> None:
        text = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
        [rights] = re.findall(r"`~my-bot:\*([^`]+)`", text)
        needed = rights.split()
        for missing in (None, *needed):
            given = " ".join(right for right in needed if right != missing)
            raw.execute_command("ACL", "SETUSER", prefix, "reset", "on", ">secret", f"~{prefix}:*", *given.split())
            url = redis.url.replace("127.0.0.1", f"{prefix}:secret@127.0.0.1")
            store = RedisTokenStore(url, prefix=f"{prefix}:{missing}")
            if missing is None:
                _use_all_of(store)
            else:
                with pytest.raises(StoreError, match=r"(?i)permission|acl|can.t run"):
                    _use_all_of(store)
            store.close()


def _use_all_of(store: RedisTokenStore) -> None:
    assert store.swap(APP, None, app_entry(1))
    assert store.swap(APP, 1, app_entry(2))
    assert store.acquire(APP, "me", 60)
    assert store.load(APP) == app_entry(2)
    assert list(store.keys()) == [APP]
    store.release(APP, "me")
    assert store.swap(APP, 2, None)


class TestRisks:
    def test_a_server_that_may_lose_tokens_is_told_of(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, "--maxmemory-policy", "volatile-lru") as server:
            store = RedisTokenStore(server.url)
            assert [risk.partition(": ")[2] for risk in store.risks()] == [
                "set maxmemory-policy noeviction",
                "set appendonly yes and appendfsync always",
            ]
            store.close()

    def test_a_server_that_keeps_everything_is_none(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, durable=True) as server:
            store = RedisTokenStore(server.url)
            assert store.risks() == []
            store.close()

    def test_a_server_that_tells_nothing_is_none_either(self) -> None:
        assert RedisTokenStore("redis://127.0.0.1:1/0").risks() == []


class TestBackInTime:
    def test_a_server_that_went_back_to_a_snapshot_costs_no_sign_in(self, tmp_path: Path) -> None:
        fake = FakeExbo()
        with (
            redis_server(tmp_path) as server,
            httpx.Client(transport=fake.transport()) as http,
            client_of(fake, RedisTokenStore(server.url), http) as oauth,
        ):
            attempt = oauth.begin_login()
            first = oauth.finish_login(attempt, fake.authorize(attempt.url), account="ivan")
            with redis_library.Redis(port=server.port) as client:
                client.save()
            second = oauth.ensure_user_token("ivan", rejected=first)
            server.kill()
            server.start()  # with the snapshot, whose refresh token was used since
            third = oauth.ensure_user_token("ivan", rejected=second)
            assert oauth.validate_user_token(third).login
            with client_of(fake, RedisTokenStore(server.url), http) as another:
                assert another.ensure_user_token("ivan") == third


class TestReplicas:
    """A master and a replica; what was reported as done survives the master."""

    @pytest.fixture
    def master(self, tmp_path: Path) -> Iterator[RedisServer]:
        with redis_server(tmp_path / "master") as server:
            yield server

    @pytest.fixture
    def replica(self, tmp_path: Path, master: RedisServer) -> Iterator[RedisServer]:
        with redis_server(tmp_path / "replica", replica_of=master) as server:
            with redis_library.Redis(port=master.port) as client:
                until(partial(_in_step, client), "the replica did not come")
            yield server

    def test_after_a_failover_everything_reported_as_done_is_there(self, master, replica) -> None:
        store = RedisTokenStore(master.url, replicas=1)
        done: dict[StoreKey, int] = {}

        def write(number: int) -> None:
            key = StoreKey("https://exbo.net/oauth", "59", f"account-{number}")
            store.swap(key, None, app_entry(1))
            done[key] = 1
            with pytest.raises(StoreError):
                while True:
                    if store.swap(key, done[key], app_entry(done[key] + 1)):
                        done[key] += 1

        writers = [threading.Thread(target=write, args=[number]) for number in range(4)]
        for writer in writers:
            writer.start()
        until(lambda: sum(done.values()) > 200, "nothing was written")
        master.kill()
        for writer in writers:
            writer.join()
        store.close()
        with redis_library.Redis(port=replica.port) as client:
            client.replicaof("NO", "ONE")
        promoted = RedisTokenStore(replica.url)
        for key, revision in done.items():
            kept = promoted.load(key)
            assert kept is not None
            assert kept.revision in (revision, revision + 1)
            assert promoted.swap(key, kept.revision, app_entry(kept.revision + 1))
        promoted.close()

    def test_a_name_that_leads_to_another_master_is_followed(self, master, replica) -> None:
        with wire(master.port) as name:
            store = RedisTokenStore(f"redis://127.0.0.1:{name.port}/0")
            assert store.swap(APP, None, app_entry(1))
            with redis_library.Redis(port=master.port) as old, redis_library.Redis(port=replica.port) as new:
                until(partial(_in_step, old), "the replica fell behind")
                new.replicaof("NO", "ONE")
                name.lead_to(replica.port)
                old.replicaof("127.0.0.1", replica.port)
            assert store.swap(APP, 1, app_entry(2))  # on its old connection it would be told: read only
            assert RedisTokenStore(replica.url).load(APP) == store.load(APP) == app_entry(2)
            store.close()

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped on this system")
    def test_an_impatient_client_hears_of_the_replicas_all_the_same(self, master, replica) -> None:
        with redis_library.Redis(port=master.port, socket_timeout=0.5) as client:
            store = RedisTokenStore(client, replicas=1)
            replica.pause()
            with pytest.raises(StoreError, match="0 of 1 replicas"):
                store.swap(APP, None, app_entry(1))
            replica.resume()

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped on this system")
    def test_a_token_that_no_replica_has_is_handed_to_nobody(self, master, replica) -> None:
        fake = FakeExbo()
        store = RedisTokenStore(master.url, replicas=1)
        with httpx.Client(transport=fake.transport()) as http, client_of(fake, store, http) as oauth:
            first = oauth.ensure_app_token()
            replica.pause()
            for _ in range(3):
                with pytest.raises(StoreError, match="0 of 1 replicas"):
                    oauth.ensure_app_token(rejected=first)
            replica.resume()
            with redis_library.Redis(port=master.port) as client:
                until(partial(_in_step, client), "the replica did not come back")
            second = oauth.ensure_app_token(rejected=first)
        assert second != first
        assert len(fake.issued) == 2
        store.close()

    def test_without_its_replica_a_write_is_an_error(self, master, replica) -> None:
        store = RedisTokenStore(master.url, replicas=1)
        assert store.swap(USER, None, user_entry(1))
        replica.kill()
        with pytest.raises(StoreError, match="0 of 1 replicas") as caught:
            store.swap(USER, 1, user_entry(2, "secret-access-token"))
        assert not leaks(caught.value, "secret-access-token", "def50200")
        assert store.swap(USER, 1, user_entry(3)) is False  # a write that is none needs nobody's word
        store.close()

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped on this system")
    def test_another_connections_writes_do_not_count_for_ours(self, master, replica) -> None:
        """To a connection that wrote nothing lately, WAIT says that all is well."""
        turns = redis_library.BlockingConnectionPool(port=master.port, max_connections=2, queue_class=Queue)
        with redis_library.Redis(connection_pool=turns) as client:
            store = RedisTokenStore(client, replicas=1)
            for revision in range(1, 5):
                assert store.swap(APP, revision - 1 or None, app_entry(revision))
            replica.pause()
            with pytest.raises(StoreError, match="0 of 1 replicas"):
                store.swap(APP, 4, app_entry(5))
            replica.resume()
        turns.disconnect()

    def test_a_replica_alone_refuses_writes_clearly(self, master, replica) -> None:
        store = RedisTokenStore(replica.url)
        with pytest.raises(StoreError, match=r"(?i)read.?only"):
            store.swap(APP, None, app_entry(1))
        store.close()


class TestSentinel:
    def test_a_failover_loses_no_update_that_was_reported_as_done(self, tmp_path: Path) -> None:
        """A master with two replicas: of those, one is promoted and one is left to confirm."""
        with ExitStack() as stack:
            master = stack.enter_context(redis_server(tmp_path / "master"))
            for name in ("one", "two"):
                stack.enter_context(redis_server(tmp_path / name, replica_of=master))
            port = stack.enter_context(redis_sentinel(tmp_path / "sentinel", master))
            watch = Sentinel([("127.0.0.1", port)], socket_timeout=2)
            client = stack.enter_context(watch.master_for("tokens", socket_timeout=2))
            store, reported = RedisTokenStore(client, replicas=1), 0

            def write() -> bool:
                """One update, of what is found there: at least all that was reported as done before."""
                nonlocal reported
                try:
                    entry = store.load(APP)
                    found = 0 if entry is None else entry.revision
                    assert found >= reported, "an update is lost"
                    if store.swap(APP, found or None, app_entry(found + 1)):
                        reported = found + 1
                        return True
                except StoreError:
                    pass
                return False

            until(lambda: write() and reported > 20, "nothing was written")
            until(partial(_in_step, client, 2), "the replicas fell behind")  # whichever is promoted
            master.kill()
            before = reported
            until(lambda: write() and reported > before + 20, "nothing is written after the failover")
            client.connection_pool.disconnect()


class TestCluster:
    """Two masters with half of the slots each; the first one has a replica."""

    @pytest.fixture
    def nodes(self, tmp_path: Path) -> Iterator[list[RedisServer]]:
        buses = [str(free_port()) for _ in range(3)]
        with ExitStack() as stack:
            nodes = [
                stack.enter_context(redis_server(tmp_path / bus, "--cluster-enabled", "yes", "--cluster-port", bus))
                for bus in buses
            ]
            first, second, third = (
                stack.enter_context(redis_library.Redis(port=node.port, decode_responses=True)) for node in nodes
            )
            first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
            second.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
            for node, bus in zip(nodes[1:], buses[1:], strict=True):
                first.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
            master = first.execute_command("CLUSTER", "MYID")
            until(lambda: f"{master} 127.0.0.1" in third.execute_command("CLUSTER", "NODES"), "they did not meet")
            third.execute_command("CLUSTER", "REPLICATE", master)
            for client in (first, second, third):
                until(partial(_is_whole, client), "the cluster did not come up")
            until(partial(_in_step, first), "the replica did not come")
            yield nodes

    @pytest.mark.parametrize(
        ("cluster", "reading"),
        [
            (
                redis_library.RedisCluster,
                FROM_REPLICAS,
            ),
            (valkey.ValkeyCluster, {"read_from_replicas": True}),
        ],
        ids=["redis-py", "valkey-py"],
    )
    def test_a_store_may_stand_on_a_cluster(self, nodes, cluster, reading) -> None:
        client = cluster(host="127.0.0.1", port=nodes[0].port, **reading)
        store, careful = RedisTokenStore(client), RedisTokenStore(client, replicas=1)
        keys = [StoreKey("https://exbo.net/oauth", "59", f"account-{number}") for number in range(40)]
        for key in keys:
            assert store.swap(key, None, user_entry(1))
            assert store.acquire(key, "me", 60)
            assert store.swap(key, 1, user_entry(2))
            assert store.load(key) == user_entry(2)  # from the master, whatever the client prefers
        assert set(store.keys()) == set(keys)
        assert len(store.risks()) == 1, "the same of all nodes is said once"
        outcomes: set[str] = set()
        while len(outcomes) < 2:  # until there was a key on either side
            outcomes.add(_outcome(careful, keys.pop()))
        assert outcomes == {"done", "the write reached 0 of 1 replicas: a failover could lose it"}
        client.close()


def _in_step(client: "redis_library.Redis", replicas: int = 1) -> bool:
    """Whether all replicas have all writes. WAIT speaks of its own connection's, so there has to be one."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.set("probe{3}", "1").execute_command("WAIT", replicas, 100)
        return bool(pipeline.execute()[1] == replicas)


def _is_whole(client: "redis_library.Redis") -> bool:
    info = client.cluster("info")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3")


def _outcome(store: RedisTokenStore, key: StoreKey) -> str:
    try:
        return "done" if store.swap(key, 2, user_entry(3)) else "refused"
    except StoreError as error:
        return str(error)

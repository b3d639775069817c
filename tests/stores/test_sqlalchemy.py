"""What is the database's own: engines and schemas of the caller's, isolation, races, refused rows, other dialects."""

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from exbo_oauth import ConfigurationError, StoreError, StoreKey
from exbo_oauth.stores import SQLAlchemyTokenStore
from exbo_oauth.testing.store_suite import APP, USER, app_entry, increment, user_entry

from .leaking import leaks
from .processes import ROOT
from .wires import Wire, wire

_numbers = itertools.count()

DAMAGED = ("no json", "[" * 100_000, "{}", '{"revision": 1e999}')
OWNERS = [("me", "ME"), ("me", "me "), ("e\u0301", "\u00e9"), ("x" * 400, "x" * 401), ("a\0b", "a\0c")]
SECRETS = ("secret-access-token", "def50200")


@pytest.fixture
def prefix() -> str:
    return f"sql{next(_numbers)}"


@pytest.fixture
def engine(postgres: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(postgres)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine, prefix: str) -> SQLAlchemyTokenStore:
    return SQLAlchemyTokenStore(engine, prefix=prefix)


def tables(engine: sa.Engine, prefix: str, schema: str | None = None) -> set[str]:
    return {name for name in sa.inspect(engine).get_table_names(schema=schema) if name.startswith(prefix)}


class TestMaking:
    def test_the_tables_are_made_when_first_needed(self, engine, prefix) -> None:
        store = SQLAlchemyTokenStore(engine, prefix=prefix)
        assert tables(engine, prefix) == set()
        store.load(APP)
        assert tables(engine, prefix) == {f"{prefix}_tokens", f"{prefix}_leases"}

    def test_without_create_they_are_the_callers_to_make(self, engine, prefix) -> None:
        store = SQLAlchemyTokenStore(engine, prefix=prefix, create=False)
        with pytest.raises(StoreError, match="UndefinedTable"):
            store.load(APP)
        with engine.begin() as connection:
            for statement in filter(str.strip, store.ddl.split(";")):
                connection.execute(sa.text(statement))
        assert store.swap(USER, None, user_entry(1))
        assert store.acquire(USER, "me", 60)
        assert store.load(USER) == user_entry(1)

    def test_the_statements_in_the_documentation_are_the_ones(self, engine) -> None:
        _, _, text = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8").partition("```sql\n")
        documented, _, _ = text.partition("```")
        assert documented.split() == SQLAlchemyTokenStore(engine).ddl.split()

    def test_a_schema_may_be_given(self, engine, prefix) -> None:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(prefix))
        there = SQLAlchemyTokenStore(engine, schema=prefix)
        assert there.swap(USER, None, user_entry(1))
        assert tables(engine, "exbo_oauth", prefix) == {"exbo_oauth_tokens", "exbo_oauth_leases"}
        assert f"{prefix}.exbo_oauth_tokens" in there.ddl
        assert list(there.keys()) == [USER]

    def test_an_engine_may_translate_schemas(self, engine, prefix) -> None:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(prefix))
        moved = engine.execution_options(schema_translate_map={None: prefix})
        store = SQLAlchemyTokenStore(moved)
        assert store.swap(USER, None, user_entry(1))
        assert tables(engine, "exbo_oauth", prefix) == {"exbo_oauth_tokens", "exbo_oauth_leases"}

    def test_a_schema_that_is_not_there_is_an_error(self, engine) -> None:
        with pytest.raises(StoreError, match="nowhere"):
            SQLAlchemyTokenStore(engine, schema="nowhere").load(APP)

    def test_threads_may_be_the_first_together(self, postgres, prefix) -> None:
        stores = [SQLAlchemyTokenStore(postgres, prefix=prefix) for _ in range(8)]
        gate = threading.Barrier(8)

        def first(number: int) -> bool:
            gate.wait()
            return stores[number].swap(APP, None, app_entry(number + 1))

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(first, range(8))) == [False] * 7 + [True]
        for store in stores:
            store.close()

    def test_processes_may_be_the_first_together(self, postgres, prefix, engine) -> None:
        program = (
            "import sys; from exbo_oauth.stores import SQLAlchemyTokenStore\n"
            "from exbo_oauth.testing.store_suite import APP, app_entry\n"
            f"store = SQLAlchemyTokenStore({postgres!r}, prefix={prefix!r}); store.ddl\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "print(store.swap(APP, None, app_entry(1)))\n"
        )
        pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
        workers = [
            subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True, env=environment)
            for _ in range(4)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        said = sorted(worker.communicate(timeout=60)[0].strip() for worker in workers)
        assert said == ["False", "False", "False", "True"]
        assert SQLAlchemyTokenStore(engine, prefix=prefix).load(APP) == app_entry(1)

    @pytest.mark.parametrize("dialect", ["mysql", "postgresql", "sqlite", "oracle", "mssql"])
    def test_every_dialect_of_sqlalchemy_gets_its_statements(self, dialect) -> None:
        engine = sa.create_mock_engine(f"{dialect}://", lambda *_: None)
        kinds = {"mysql": "TEXT(16777215)", "oracle": "CLOB"}  # a plain TEXT of MySQL's ends at 64 KiB
        store = SQLAlchemyTokenStore("sqlite:///nowhere.db")
        store._engine = engine  # only ever asked for its dialect
        assert store.ddl.count("CREATE TABLE") == 2
        assert store.ddl.count(f" {kinds.get(dialect, 'TEXT')} NOT NULL") == 2


class TestArguments:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("user:hunter2@host/tokens", "what should be the URL"),
            ("", "what should be the URL"),
            ("postgresql+psycopg://user:hunter2@host:port/tokens", "postgresql"),
            ("postgresql+nodriver://user:hunter2@host/tokens", "nodriver"),
            ("nodatabase://user:hunter2@host/tokens", "nodatabase"),
            ("mysql+mysqldb://user:hunter2@host/tokens", "driver is not installed"),
            ("postgresql+asyncpg://user:hunter2@host/tokens", "driver"),
            ("sqlite+aiosqlite:///tokens.db?password=hunter2", "driver"),
            ("sqlite://", "in memory"),
        ],
    )
    def test_what_is_no_usable_url_is_refused_without_showing_a_password(self, url, message) -> None:
        with pytest.raises(ConfigurationError, match=message) as caught:
            SQLAlchemyTokenStore(url)
        assert not leaks(caught.value, "hunter2")

    @pytest.mark.parametrize("value", [None, 5, b"sqlite:///x", object()], ids=["None", "number", "bytes", "object"])
    def test_what_is_neither_url_nor_engine_is_refused(self, value) -> None:
        with pytest.raises(ConfigurationError, match="takes a URL or an Engine"):
            SQLAlchemyTokenStore(value)

    def test_an_asynchronous_engine_is_refused(self, postgres) -> None:
        engine = create_async_engine(postgres)
        with pytest.raises(ConfigurationError, match="not AsyncEngine"):
            SQLAlchemyTokenStore(engine)
        with pytest.raises(ConfigurationError, match="blocking driver"):
            SQLAlchemyTokenStore(engine.sync_engine)

    def test_a_database_that_counts_no_rows_is_refused(self, engine) -> None:
        engine.dialect.supports_sane_rowcount = False
        with pytest.raises(ConfigurationError, match="how many rows"):
            SQLAlchemyTokenStore(engine)

    @pytest.mark.parametrize(
        "arguments",
        [{"prefix": ""}, {"prefix": "x" * 41}, {"prefix": "a b"}, {"prefix": "a;--"}, {"prefix": 5}, {"schema": 5}],
        ids=str,
    )
    def test_names_are_checked(self, engine, arguments) -> None:
        with pytest.raises(ConfigurationError, match=r"prefix|schema"):
            SQLAlchemyTokenStore(engine, **arguments)

    def test_a_url_object_serves_as_well(self, postgres, prefix) -> None:
        store = SQLAlchemyTokenStore(sa.make_url(postgres), prefix=prefix)
        assert store.swap(APP, None, app_entry(1))
        store.close()
        store.close()

    def test_the_callers_engine_is_not_disposed_of(self, engine, store) -> None:
        pool = engine.pool
        store.load(APP)
        store.close()
        assert engine.pool is pool
        assert store.load(APP) is None

    def test_the_repr_shows_no_password(self) -> None:
        store = SQLAlchemyTokenStore(
            "postgresql+psycopg://user:hunter2@host/tokens?password=hunter2&sslpassword=hunter2"
        )
        assert f"{store!r}" == "SQLAlchemyTokenStore('postgresql+psycopg://host/tokens')"

    def test_the_callers_own_time_limits_are_kept(self) -> None:
        store = SQLAlchemyTokenStore("postgresql+psycopg://127.0.0.1:1/tokens?connect_timeout=7")
        assert store._engine.url.query["connect_timeout"] == "7"
        assert store._engine.url.query["tcp_user_timeout"] == "10000"


class TestEngines:
    """Whatever the caller's engine was made for, an update finds one winner, and a wrong one finds none."""

    @pytest.mark.parametrize("level", ["AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
    def test_at_any_isolation_level_no_update_is_lost_and_none_fails(self, postgres, prefix, level) -> None:
        engine = sa.create_engine(postgres, isolation_level=level, pool_size=8)
        with engine.connect() as connection:
            before = connection.get_isolation_level()
        store = SQLAlchemyTokenStore(engine, prefix=prefix)
        store.swap(APP, None, app_entry(1))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: [increment(store, APP) for _ in range(10)], range(8)))
        assert store.load(APP) == app_entry(81)
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda number: store.acquire(APP, f"owner-{number}", 60), range(8)))
        assert sum(taken) == 1
        with engine.connect() as connection:
            assert connection.get_isolation_level() == before  # the caller's own work goes on as before
        engine.dispose()

    @pytest.mark.parametrize("pool", [NullPool, StaticPool], ids=lambda pool: pool.__name__)
    def test_any_pool_will_do(self, tmp_path, prefix, pool) -> None:
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'tokens.db'}", poolclass=pool)
        store = SQLAlchemyTokenStore(engine, prefix=prefix)
        assert store.swap(USER, None, user_entry(1))
        assert store.load(USER) == user_entry(1)
        engine.dispose()

    def test_statements_of_a_logging_engine_may_hide_their_parameters(self, postgres, prefix, caplog) -> None:
        engine = sa.create_engine(postgres, echo=True, hide_parameters=True)
        SQLAlchemyTokenStore(engine, prefix=prefix).swap(USER, None, user_entry(1, "secret-access-token"))
        assert "INSERT INTO" in caplog.text
        assert not any(secret in caplog.text for secret in SECRETS)
        engine.dispose()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    @pytest.mark.parametrize("owned", [True, False], ids=["url", "engine"])
    def test_a_store_may_be_used_on_both_sides_of_a_fork(self, postgres, engine, prefix, owned) -> None:
        store = SQLAlchemyTokenStore(postgres if owned else engine, prefix=prefix)
        store.swap(APP, None, app_entry(1))
        children = [multiprocessing.get_context("fork").Process(target=_count, args=[store]) for _ in range(3)]
        for child in children:
            child.start()
        _count(store)
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0, 0]
        assert store.load(APP) == app_entry(1 + 4 * 25)
        store.close()

    @pytest.mark.parametrize("pool", [sa.pool.QueuePool, StaticPool], ids=lambda pool: pool.__name__)
    def test_in_a_child_process_the_parents_pool_is_left_alone(self, tmp_path, pool) -> None:
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'tokens.db'}", poolclass=pool)
        store = SQLAlchemyTokenStore(engine)
        store.swap(USER, None, user_entry(1))
        inherited, store._pid = engine.pool, -1
        assert store.load(USER) == user_entry(1)
        # A pool with one connection for everybody may be all that keeps a database in memory alive.
        assert (engine.pool is inherited) is (pool is StaticPool)
        inherited.dispose()
        engine.dispose()


def _count(store: SQLAlchemyTokenStore) -> None:
    for _ in range(25):
        increment(store, APP)


class TestTrouble:
    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER TABLE {prefix}_tokens ADD CHECK (revision < 2)",
            "ALTER TABLE {prefix}_tokens ADD COLUMN tenant TEXT NOT NULL DEFAULT 'x', ADD CHECK (length(entry) < 10)",
        ],
    )
    def test_a_rule_that_somebody_added_is_an_error_that_shows_no_row(self, engine, store, prefix, statement) -> None:
        store.load(USER)
        with engine.begin() as connection:
            connection.execute(sa.text(statement.format(prefix=prefix)))
        for expected, entry in ((None, user_entry(2, "secret-access-token")),):
            with pytest.raises(StoreError, match="CheckViolation") as caught:
                store.swap(USER, expected, entry)
            assert not leaks(caught.value, *SECRETS)
        assert store.load(USER) is None

    def test_an_update_that_is_refused_is_an_error_that_shows_no_row(self, engine, store, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {prefix}_tokens ADD CHECK (revision < 2)"))
        with pytest.raises(StoreError, match="CheckViolation") as caught:
            store.swap(USER, 1, user_entry(2, "secret-access-token"))
        assert not leaks(caught.value, *SECRETS)
        assert store.load(USER) == user_entry(1)

    def test_a_token_cut_short_by_the_statements_own_text_does_not_show(self, engine, store, prefix) -> None:
        """SQLAlchemy quotes long parameters in part, so that no search for the whole token would find it."""
        store.load(USER)
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {prefix}_tokens DROP COLUMN revision"))
        with pytest.raises(StoreError, match="UndefinedColumn") as caught:
            store.swap(USER, None, user_entry(2, "secret-access-token" + "x" * 5000))
        assert not leaks(caught.value, *SECRETS)

    @pytest.mark.parametrize(
        "entry", ["no json", "[" * 100_000, "{}", '{"revision": 1e999}'], ids=lambda text: text[:9]
    )
    def test_a_damaged_entry_is_an_error_and_stays(self, engine, store, prefix, entry) -> None:
        store.swap(USER, None, user_entry(1))
        with engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE {prefix}_tokens SET entry = :entry"), {"entry": entry})
        with pytest.raises(StoreError, match="damaged"):
            store.load(USER)
        with engine.begin() as connection:
            assert connection.execute(sa.text(f"SELECT entry FROM {prefix}_tokens")).scalar() == entry

    def test_a_damaged_key_is_an_error(self, engine, store, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        with engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE {prefix}_tokens SET key = 'nobody'"))
        with pytest.raises(StoreError, match="damaged"):
            list(store.keys())

    def test_no_server_is_an_error_of_every_method(self) -> None:
        store = SQLAlchemyTokenStore("postgresql+psycopg://user:hunter2@127.0.0.1:1/tokens")
        calls = (
            lambda: store.load(USER),
            lambda: store.swap(USER, None, user_entry(1, "secret-access-token")),
            lambda: store.swap(USER, 1, user_entry(2, "secret-access-token")),
            lambda: store.swap(USER, 1, None),
            lambda: store.acquire(USER, "me", 1),
            lambda: store.release(USER, "me"),
            lambda: list(store.keys()),
        )
        for call in calls:
            with pytest.raises(StoreError) as caught:
                call()
            assert not leaks(caught.value, "hunter2", *SECRETS)
        store.close()

    def test_connections_that_a_restart_ended_are_replaced(self, postgres, engine, prefix) -> None:
        store = SQLAlchemyTokenStore(postgres, prefix=prefix)
        store.swap(APP, None, app_entry(1))
        with engine.begin() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            connection.execute(sa.text(f"{others} AND backend_type = 'client backend'"))
        assert store.swap(APP, 1, app_entry(2))
        store.close()

    def test_waiting_for_a_lease_writes_nothing_into_the_databases_log(self, engine, store, prefix) -> None:
        store.acquire(APP, "me", 60)
        with engine.connect() as connection:
            aborted = sa.text("SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()")
            before = connection.execute(aborted).scalar_one()
        for _ in range(20):
            assert not store.acquire(APP, "you", 60)
        engine.dispose()  # a backend reports its numbers at the latest when it ends
        with engine.connect() as connection:
            # Our own two looks were rolled back, too.
            assert connection.execute(aborted).scalar_one() - before < 10

    @pytest.fixture
    def cuttable(self, postgres: str) -> Iterator[tuple[Wire, str]]:
        parts = urlsplit(postgres)
        folder = parse_qs(parts.query).get("host", [None])[0]
        server: int | str = parts.port or 5432 if folder is None else f"{folder}/.s.PGSQL.5432"
        with wire(server) as passing:
            user, database = parts.username or "postgres", parts.path
            yield (
                passing,
                f"postgresql+psycopg://{user}@127.0.0.1:{passing.port}{database}?sslmode=disable&gssencmode=disable",
            )

    def test_a_commit_whose_answer_was_lost_is_an_error_and_the_next_call_finds_out(self, cuttable, prefix) -> None:
        passing, url = cuttable
        store = SQLAlchemyTokenStore(url, prefix=prefix)
        store.swap(USER, None, user_entry(1))
        passing.lose_answer(b"COMMIT")
        with pytest.raises(StoreError) as caught:
            store.swap(USER, 1, user_entry(2, "secret-access-token"))
        assert not leaks(caught.value, *SECRETS)
        assert passing.lost == 1
        assert store.load(USER) in (user_entry(2, "secret-access-token"), user_entry(1))
        store.close()


class TestOtherDatabases:
    def test_without_a_clock_of_its_own_leases_run_on_the_hosts(self, tmp_path, monkeypatch) -> None:
        monkeypatch.delitem(sys.modules["exbo_oauth.stores.sqlalchemy"]._CLOCKS, "sqlite")
        store = SQLAlchemyTokenStore(f"sqlite:///{tmp_path / 'tokens.db'}")
        assert store.acquire(APP, "me", 60)
        assert not store.acquire(APP, "you", 60)
        assert store.acquire(APP, "me", 0.0)
        assert store.acquire(APP, "you", 60)
        store.close()

    def test_owners_are_told_apart_whatever_the_databases_collation(self, store) -> None:
        for number, (one, other) in enumerate(
            [("me", "ME"), ("me", "me "), ("e\u0301", "\u00e9"), ("x" * 400, "x" * 401), ("a\0b", "a\0c")]
        ):
            key = StoreKey("https://exbo.net/oauth", "59", str(number))
            assert store.acquire(key, one, 60)
            assert not store.acquire(key, other, 60)
            store.release(key, other)
            assert not store.acquire(key, other, 60)

    def test_a_file_of_sqlite_may_have_many_writers(self, tmp_path: Path) -> None:
        stores = [SQLAlchemyTokenStore(f"sqlite:///{tmp_path / 'tokens.db'}") for _ in range(3)]
        stores[0].swap(APP, None, app_entry(1))
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda store: [increment(store, APP) for _ in range(10)], stores))
        assert stores[0].load(APP) == app_entry(31)
        for store in stores:
            store.close()

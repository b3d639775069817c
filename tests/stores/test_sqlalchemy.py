"""What is the engine's own: URLs and engines that are refused, schemas, pools, forks, rows that a database refuses."""

import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

from exbo_oauth import ConfigurationError, StoreError
from exbo_oauth.stores import Entry, SQLAlchemyTokenStore
from exbo_oauth.stores.sqlalchemy_engine import is_undone, said
from exbo_oauth.testing.store_suite import APP, USER, app_entry, increment, user_entry

from .leaking import leaks
from .processes import ROOT
from .wires import Wire, wire

_numbers = itertools.count()

DAMAGED = ("no json", "[" * 100_000, "{}", '{"revision": 1e999}')
SECRETS = ("secret-access-token", "def50200")


class DriverError(Exception):
    """An error as drivers raise them, each in its own way."""

    def __init__(self, *args: object, **attributes: str | int) -> None:
        super().__init__(*args)
        vars(self).update(attributes)


ROW = "Failing row contains (secret-access-token)."
SAID = {
    "psycopg": (DriverError(f"gone\nDETAIL:  {ROW}", sqlstate="40001"), "gone", True),
    "psycopg2": (DriverError(f"gone\nDETAIL:  {ROW}", pgcode="40P01"), "gone", True),
    "pg8000": (DriverError({"C": "40001", "M": "gone", "D": ROW}), "gone", True),
    "pg8000, no message": (DriverError({"C": "23514", "D": ROW}), "", False),
    "PyMySQL": (DriverError(1213, "gone"), "(1213, 'gone')", True),
    "MariaDB, a row that changed": (DriverError(1020, "changed"), "(1020, 'changed')", True),
    "MariaDB, a lock that was not had": (DriverError(1205, "locked"), "(1205, 'locked')", True),
    "PostgreSQL, a lock that was not had": (DriverError("locked", sqlstate="55P03"), "locked", True),
    "Connector/Python": (DriverError("gone", errno=1213), "gone", True),
    "pyodbc": (DriverError("40001", "gone"), "('40001', 'gone')", True),
    "another error": (DriverError(f"no such table\n{ROW}", sqlstate="42P01"), "no such table", False),
    "nothing": (DriverError(), "", False),
}


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
            ("postgresql+psycopg_async://user@host/tokens?password=hunter2", "blocking driver"),
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

    def test_an_engine_whose_threads_share_one_connection_is_refused(self, tmp_path) -> None:
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'tokens.db'}", poolclass=StaticPool)
        with pytest.raises(ConfigurationError, match="StaticPool"):
            SQLAlchemyTokenStore(engine)

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
        assert store._engine.url.query["tcp_user_timeout"] == "5000"
        assert store._engine.url.query["keepalives_idle"] == "5"


class TestEngines:
    def test_an_engine_may_keep_no_connections(self, tmp_path, prefix) -> None:
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'tokens.db'}", poolclass=NullPool)
        store = SQLAlchemyTokenStore(engine, prefix=prefix)
        assert store.swap(USER, None, user_entry(1))
        assert store.load(USER) == user_entry(1)
        engine.dispose()

    def test_our_own_prepares_no_statement_that_a_pooler_could_mix_up(self, postgres, prefix) -> None:
        store = SQLAlchemyTokenStore(postgres, prefix=prefix)
        for _ in range(10):
            store.load(APP)
        with store._engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").all() == []
        store.close()

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
            child.join(120)
        assert [child.exitcode for child in children] == [0, 0, 0]
        assert store.load(APP) == app_entry(1 + 4 * 25)
        store.close()

    def test_in_a_child_process_the_parents_pool_is_left_alone(self, engine, store) -> None:
        store.swap(USER, None, user_entry(1))
        inherited, store._pid = engine.pool, -1
        assert store.load(USER) == user_entry(1)
        assert engine.pool is not inherited
        assert inherited.checkedin() == 1
        inherited.dispose()


def _count(store: SQLAlchemyTokenStore) -> None:
    for _ in range(25):
        increment(store, APP)


# What is asked, and what the store holds afterwards.
LOST: dict[str, tuple[bytes, Callable[[SQLAlchemyTokenStore], object], Entry | None]] = {
    "an insert": (b"INSERT", lambda store: store.swap(APP, None, app_entry(1)), user_entry(1)),
    "an update": (b"UPDATE", lambda store: store.swap(USER, 1, user_entry(2)), user_entry(2)),
    "the same revision": (b"UPDATE", lambda store: store.swap(USER, 1, user_entry(1, "anew")), user_entry(1, "anew")),
    "a delete": (b"DELETE", lambda store: store.swap(USER, 1, None), None),
    "a look": (b"SELECT", lambda store: store.load(USER) == user_entry(1), user_entry(1)),
    "a lease": (b"UPDATE", lambda store: store.acquire(APP, "me", 60), user_entry(1)),
}


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
        with pytest.raises(StoreError, match="CheckViolation") as caught:
            store.swap(USER, None, user_entry(2, "secret-access-token"))
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

    @pytest.mark.parametrize("expected", [None, 1], ids=["insert", "update"])
    def test_a_token_cut_short_by_the_statements_own_text_does_not_show(self, engine, store, prefix, expected) -> None:
        """SQLAlchemy quotes long parameters in part, so that no search for the whole token would find it."""
        store.load(USER)
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {prefix}_tokens DROP COLUMN revision"))
        with pytest.raises(StoreError, match="UndefinedColumn") as caught:
            store.swap(USER, expected, user_entry(2, "secret-access-token" + "x" * 5000))
        assert not leaks(caught.value, *SECRETS, "SQL:")

    @pytest.mark.parametrize(("error", "text", "undone"), SAID.values(), ids=SAID)
    def test_whatever_the_driver_its_error_is_understood_and_no_row_of_it_shows(self, error, text, undone) -> None:
        wrapped = sa.exc.DBAPIError("UPDATE", {}, error)
        assert said(wrapped) == f"DriverError: {text}"
        assert is_undone(wrapped) is undone

    def test_a_statement_that_changed_two_rows_is_an_error(self, postgres, engine, prefix) -> None:
        store = SQLAlchemyTokenStore(f"{postgres}&application_name=hunter2", prefix=prefix)
        store.swap(USER, None, user_entry(1))
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {prefix}_tokens DROP CONSTRAINT {prefix}_tokens_pkey"))
            connection.execute(sa.text(f"INSERT INTO {prefix}_tokens SELECT * FROM {prefix}_tokens"))
        with pytest.raises(StoreError, match="changed 2") as caught:
            store.swap(USER, 1, user_entry(2))
        assert not leaks(caught.value, "hunter2")
        store.close()

    @pytest.mark.parametrize("entry", DAMAGED, ids=lambda text: text[:9])
    def test_a_damaged_entry_is_an_error_and_stays(self, engine, store, prefix, entry) -> None:
        store.swap(USER, None, user_entry(1))
        with engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE {prefix}_tokens SET entry = :entry"), {"entry": entry})
        with pytest.raises(StoreError, match="damaged") as caught:
            store.load(USER)
        with engine.begin() as connection:
            name, stays = connection.execute(sa.text(f"SELECT id, entry FROM {prefix}_tokens")).one()
        assert stays == entry
        assert f"in {prefix}_tokens (id {name})" in f"{caught.value}"  # for somebody to look at it, and to delete it

    def test_a_damaged_key_is_an_error(self, engine, store, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        with engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE {prefix}_tokens SET key = 'nobody'"))
        store.swap(APP, None, app_entry(1))
        keys = store.keys()
        assert next(keys) == APP  # first the others
        with pytest.raises(StoreError, match="damaged"):
            next(keys)

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

    def test_a_server_that_is_not_reached_is_tried_once(self) -> None:
        with wire(1) as nowhere:
            url = f"postgresql+psycopg://127.0.0.1:{nowhere.port}/tokens?sslmode=disable&gssencmode=disable"
            store = SQLAlchemyTokenStore(url)
            with pytest.raises(StoreError):
                store.load(USER)
            assert nowhere.connected == 1

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

    @pytest.mark.parametrize("times", [1, 3])
    @pytest.mark.parametrize(("statement", "call", "left"), LOST.values(), ids=LOST)
    def test_what_was_done_is_known_though_its_answer_was_lost(
        self, cuttable, store, prefix, statement, call, left, times
    ) -> None:
        passing, url = cuttable
        shaky = SQLAlchemyTokenStore(url, prefix=prefix)
        shaky.swap(USER, None, user_entry(1))
        shaky.acquire(APP, "earlier", 0.0)
        passing.lose_answer(statement, times)
        assert call(shaky) is True
        assert passing.lost == times if statement == b"SELECT" else passing.lost >= 1
        assert store.load(USER) == left
        shaky.close()

    def test_a_write_that_was_lost_overwrites_nobody(self, cuttable, store, prefix) -> None:
        passing, url = cuttable
        shaky = SQLAlchemyTokenStore(url, prefix=prefix)
        shaky.swap(USER, None, user_entry(1))

        @sa.event.listens_for(shaky._engine, "handle_error")
        def overtake(_) -> None:  # as soon as the answer is lost, somebody else is faster
            store.swap(USER, 2, user_entry(3))

        passing.lose_answer(b"UPDATE")
        assert shaky.swap(USER, 1, user_entry(2)) is False
        assert store.load(USER) == user_entry(3)
        shaky.close()

    def test_poolers_that_take_no_options_are_asked_for_none(self, cuttable, prefix) -> None:
        passing, url = cuttable
        text = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
        passing.refuse(b"options\0", b"E" + (len(text) + 4).to_bytes(4, "big") + text)
        store = SQLAlchemyTokenStore(url, prefix=prefix)
        assert store.swap(USER, None, user_entry(1))
        assert store.load(USER) == user_entry(1)
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

    def test_a_file_of_sqlite_may_have_many_writers(self, tmp_path: Path) -> None:
        stores = [SQLAlchemyTokenStore(f"sqlite:///{tmp_path / 'tokens.db'}") for _ in range(3)]
        stores[0].swap(APP, None, app_entry(1))
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda store: [increment(store, APP) for _ in range(10)], stores))
        assert stores[0].load(APP) == app_entry(31)
        for store in stores:
            store.close()

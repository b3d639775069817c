"""What holds in every database alike: contention is no error, a stalled client blocks nobody, no log shows a token."""

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from exbo_oauth import StoreError, StoreKey
from exbo_oauth.stores import SQLAlchemyTokenStore
from exbo_oauth.testing.store_suite import APP, USER, app_entry, increment, together, user_entry

from .processes import finished, start_program

_numbers = itertools.count()

SECRETS = ("secret-access-token", "def50200")
LEVELS = ("AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
OWNERS = [("me", "ME"), ("me", "me "), ("e\u0301", "\u00e9"), ("x" * 400, "x" * 401), ("a\0b", "a\0c")]

# So that a test that would wait for a lock fails.
IMPATIENT = {
    "postgresql": "SET lock_timeout = '1s'",
    "mysql": "SET innodb_lock_wait_timeout = 1",
    "sqlite": "PRAGMA busy_timeout = 1000",
}

# What a client does before it stalls, and what another one can do then.
STALLS: dict[str, tuple[Callable[[SQLAlchemyTokenStore], object], Callable[[SQLAlchemyTokenStore], object]]] = {
    "an insert": (lambda store: store.swap(USER, None, user_entry(1)), lambda store: store.swap(USER, 1, None)),
    "an update": (lambda store: store.swap(APP, 1, app_entry(2)), lambda store: store.swap(APP, 2, app_entry(3))),
    "a delete": (lambda store: store.swap(APP, 1, None), lambda store: store.swap(APP, None, app_entry(2))),
    "taking a lease": (lambda store: store.acquire(USER, "me", 0.0), lambda store: store.acquire(USER, "you", 60)),
    "letting one go": (lambda store: store.release(APP, "me"), lambda store: store.acquire(APP, "you", 60)),
}

# The server undoes the first updates, `times` of them.
UNDOING = {
    "postgres": (
        "CREATE SEQUENCE {prefix}_count",
        """CREATE FUNCTION {prefix}_undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('{prefix}_count') <= {times} THEN RAISE EXCEPTION 'undone' USING ERRCODE = '{code}'; END IF;
        RETURN NEW; END $$""",
        "CREATE TRIGGER undo BEFORE UPDATE ON {prefix}_tokens FOR EACH ROW EXECUTE FUNCTION {prefix}_undo()",
    ),
    "mariadb": (
        "CREATE SEQUENCE {prefix}_count",
        """CREATE TRIGGER {prefix}_undo BEFORE UPDATE ON {prefix}_tokens FOR EACH ROW
        IF NEXT VALUE FOR {prefix}_count <= {times} THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}; END IF""",
    ),
}
CODES = [("postgres", "40001"), ("postgres", "40P01"), ("postgres", "55P03")]
CODES += [("mariadb", "1213"), ("mariadb", "1205"), ("mariadb", "1020")]

# A user who may do no more with the tables than `privileges`.
GRANTING = {
    "postgresql": (
        "CREATE ROLE {prefix} LOGIN",
        "GRANT {privileges} ON {prefix}_tokens, {prefix}_leases TO {prefix}",
    ),
    "mysql": (
        "CREATE USER {prefix}@localhost",
        "GRANT {privileges} ON {prefix}_tokens TO {prefix}@localhost",
        "GRANT {privileges} ON {prefix}_leases TO {prefix}@localhost",
    ),
}


@pytest.fixture
def prefix() -> str:
    return f"db{next(_numbers)}"


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        f"sqlite:///{tmp_path / 'tokens.db'}" if request.param == "sqlite" else request.getfixturevalue(request.param)
    )


@pytest.fixture
def engine(server: str) -> Iterator[sa.Engine]:
    with made(server) as engine:
        yield engine


@pytest.fixture
def store(engine: sa.Engine, prefix: str) -> SQLAlchemyTokenStore:
    return SQLAlchemyTokenStore(engine, prefix=prefix)


@contextmanager
def made(url: str | sa.URL, **options: object) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def run(engine: sa.Engine, statements: tuple[str, ...], **names: object) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.format(**names))


def impatient(engine: sa.Engine) -> sa.Engine:
    @sa.event.listens_for(engine, "connect")
    def limit(connection, _) -> None:
        cursor = connection.cursor()
        cursor.execute(IMPATIENT[engine.dialect.name])
        cursor.close()
        connection.commit()

    return engine


@contextmanager
def stalled(engine: sa.Engine, work: Callable[[], object]) -> Iterator[Future[object]]:
    """`work` stands still as soon as the server has written something for it."""
    stands, goes_on = threading.Event(), threading.Event()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def stand(connection, cursor, statement, *_) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            stands.set()
            goes_on.wait()

    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(work)
        try:
            assert stands.wait(60)
            yield outcome
        finally:
            goes_on.set()


class TestTheFirst:
    """Those who find no tables make them, together."""

    def test_may_be_threads(self, server, prefix) -> None:
        stores = [SQLAlchemyTokenStore(server, prefix=prefix) for _ in range(8)]
        written = together(8, lambda number: stores[number].swap(APP, None, app_entry(number + 1)))
        assert sorted(written) == [False] * 7 + [True]
        for store in stores:
            store.close()

    def test_may_be_processes(self, server, engine, prefix) -> None:
        program = (
            "import sys; from exbo_oauth.stores import SQLAlchemyTokenStore\n"
            "from exbo_oauth.testing.store_suite import APP, app_entry\n"
            f"store = SQLAlchemyTokenStore({server!r}, prefix={prefix!r}); store.ddl\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "print(store.swap(APP, None, app_entry(1)))\n"
        )
        workers = [start_program(program) for _ in range(4)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        said = sorted(finished(worker).strip() for worker in workers)
        assert said == ["False", "False", "False", "True"]
        assert SQLAlchemyTokenStore(engine, prefix=prefix).load(APP) == app_entry(1)

    def test_a_database_that_was_made_anew_gets_its_tables_again(self, database: str, prefix: str) -> None:
        with made(database) as engine, closing(SQLAlchemyTokenStore(database, prefix=prefix)) as store:
            assert store.swap(APP, None, app_entry(1))
            for calls in (store.load, lambda key: store.swap(key, None, app_entry(2)), lambda key: store.holder(key)):
                run(engine, ("DROP TABLE {prefix}_tokens", "DROP TABLE {prefix}_leases"), prefix=prefix)
                calls(APP)
            assert store.acquire(APP, "me", 5)

    def test_tables_that_are_the_administrators_are_not_made_anew(self, database: str, prefix: str) -> None:
        store = SQLAlchemyTokenStore(database, prefix=prefix, create=False)
        with closing(store), pytest.raises(StoreError, match=r"(?i)no such table|does not exist|doesn.t exist"):
            store.load(APP)


class TestContention:
    @pytest.mark.parametrize("place", ["engine", "copy"])
    @pytest.mark.parametrize("level", LEVELS)
    def test_at_any_isolation_level_no_update_is_lost_and_none_fails(self, server, prefix, level, place) -> None:
        given = {"isolation_level": level}
        with made(server, pool_size=8, **(given if place == "engine" else {})) as engine:
            callers = engine if place == "engine" else engine.execution_options(**given)
            with callers.connect() as connection:
                before = connection.get_isolation_level()
            store = SQLAlchemyTokenStore(callers, prefix=prefix)
            store.swap(APP, None, app_entry(1))
            together(8, lambda _: [increment(store, APP) for _ in range(10)])
            assert store.load(APP) == app_entry(81)
            with callers.connect() as connection:
                assert connection.get_isolation_level() == before  # the caller's own work goes on as before

    def test_whatever_comes_and_goes_nothing_fails(self, store) -> None:
        def come_and_go(number: int) -> None:
            own = StoreKey("https://exbo.net/oauth", "59", str(number))
            for _ in range(40):
                store.acquire(APP, f"owner-{number}", 0.0)
                store.release(APP, f"owner-{number}")
                assert store.swap(own, None, user_entry(1))
                assert store.swap(own, 1, None)

        store.load(APP)
        together(8, come_and_go)

    @pytest.mark.parametrize(("work", "another"), STALLS.values(), ids=STALLS)
    def test_nobody_waits_for_a_client_that_stalls(self, database, prefix, work, another) -> None:
        with made(database) as stalling, made(database) as going_on:
            one = SQLAlchemyTokenStore(stalling, prefix=prefix)
            other = SQLAlchemyTokenStore(impatient(going_on), prefix=prefix)
            one.swap(APP, None, app_entry(1))
            one.acquire(APP, "me", 60)
            one.acquire(USER, "earlier", 0.0)
            with stalled(one._engine, lambda: work(one)) as outcome:
                assert another(other)
            assert outcome.result() in (True, None)

    @pytest.mark.parametrize(("name", "code"), CODES)
    @pytest.mark.parametrize(("times", "left"), [(2, None), (1000, StoreError)], ids=["twice", "always"])
    def test_what_the_server_has_undone_is_done_again(self, request, prefix, name, code, times, left) -> None:
        with made(request.getfixturevalue(name)) as engine:
            store = SQLAlchemyTokenStore(engine, prefix=prefix)
            store.swap(USER, None, user_entry(1))
            run(engine, UNDOING[name], prefix=prefix, code=code, times=times)
            if left is None:
                assert store.swap(USER, 1, user_entry(2))
            else:
                with pytest.raises(left, match="the database failed"):
                    store.swap(USER, 1, user_entry(2))
            assert store.load(USER) == user_entry(1 if left else 2)


class TestUsers:
    def test_who_writes_needs_no_more_than_these_privileges(self, server, engine, store, prefix) -> None:
        store.load(USER)
        run(engine, GRANTING[engine.dialect.name], prefix=prefix, privileges="SELECT, INSERT, UPDATE, DELETE")
        with made(sa.make_url(server).set(username=prefix)) as restricted:
            theirs = SQLAlchemyTokenStore(restricted, prefix=prefix)
            assert theirs.acquire(USER, "me", 60)
            assert theirs.swap(USER, None, user_entry(1))
            assert theirs.swap(USER, 1, user_entry(2))
            assert list(theirs.keys()) == [USER]
            assert theirs.swap(USER, 2, None)
            theirs.release(USER, "me")

    def test_who_reads_needs_no_more_than_this_one(self, server, engine, store, prefix) -> None:
        store.swap(USER, None, user_entry(1))
        run(engine, GRANTING[engine.dialect.name], prefix=prefix, privileges="SELECT")
        with made(sa.make_url(server).set(username=prefix)) as restricted:
            theirs = SQLAlchemyTokenStore(restricted, prefix=prefix)
            assert theirs.load(USER) == user_entry(1)
            assert list(theirs.keys()) == [USER]
            with pytest.raises(StoreError, match="denied"):
                theirs.swap(USER, 1, None)

    def test_owners_are_told_apart_under_any_collation(self, store) -> None:
        for number, (one, other) in enumerate(OWNERS):
            key = StoreKey("https://exbo.net/oauth", "59", str(number))
            assert store.acquire(key, one, 60)
            assert not store.acquire(key, other, 60)
            store.release(key, other)
            assert not store.acquire(key, other, 60)


class TestLogs:
    def test_whatever_the_callers_engine_logs_it_shows_no_token(self, engine, store, caplog) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="sqlalchemy.engine.Engine")
        store.load(USER)
        store.swap(USER, None, user_entry(1, "secret-access-token"))
        assert store.load(USER) == user_entry(1, "secret-access-token")
        assert "INSERT INTO" in caplog.text
        assert "Row (1, ***)" in caplog.text
        assert not any(secret in caplog.text for secret in SECRETS)
        assert not engine.hide_parameters  # the caller's own statements are logged as before


class TestMariaDB:
    def test_a_lease_ends_in_time_when_summer_time_ends(self, mariadb, prefix) -> None:
        def taken(owner: str, seconds: int) -> bool:
            """Whether `owner` gets the lease so many seconds after 3:00 became 2:00, where the server is."""
            moment = 1_792_890_000 + seconds
            with made(mariadb, connect_args={"init_command": f"SET timestamp = {moment}"}) as engine:
                return SQLAlchemyTokenStore(engine, prefix=prefix).acquire(APP, owner, 25)

        assert [taken("me", -5), taken("you", 15), taken("you", 25)] == [True, False, True]

    def test_keys_are_found_where_an_empty_string_is_null(self, mariadb, prefix) -> None:
        with made(mariadb, connect_args={"init_command": "SET sql_mode = 'EMPTY_STRING_IS_NULL'"}) as engine:
            store = SQLAlchemyTokenStore(engine, prefix=prefix)
            store.swap(APP, None, app_entry(1))
            assert list(store.keys()) == [APP]

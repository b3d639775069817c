"""The pytest plugin, used as its users use it: in test modules of their own."""

import subprocess
import sys

import pytest

# A test run within this one unloads what it has loaded, which this library does not survive.
from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: F401

pytest_plugins = ["pytester"]

CONFTEST = """
import sys
if "exbo_oauth.testing.plugin" not in sys.modules:  # registered already where the package is installed
    pytest_plugins = ["exbo_oauth.testing.plugin"]
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST)
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers -p no:cacheprovider -p no:asyncio -p no:randomly\nfilterwarnings = error"
    )
    return pytester


def run(project: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    project.makepyfile(code)
    return project.runpytest_inprocess(*arguments)


def test_the_sync_client_talks_to_the_fake(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        from exbo_oauth import AppToken, SyncOAuthClient
        from exbo_oauth.testing import FakeExbo

        def test_app_token(exbo_client, fake_exbo):
            assert isinstance(exbo_client, SyncOAuthClient)
            assert isinstance(fake_exbo, FakeExbo)
            token = exbo_client.get_app_token()
            assert isinstance(token, AppToken)
            assert fake_exbo.is_live(token)

        def test_every_test_gets_its_own(fake_exbo):
            assert fake_exbo.requests == []

        def test_sign_in(exbo_client, fake_exbo):
            attempt = exbo_client.begin_login()
            token = exbo_client.finish_login(attempt, fake_exbo.authorize(attempt.url, "steam-guest"))
            assert exbo_client.validate_user_token(token).name == "Guest"
        """,
    )
    result.assert_outcomes(passed=3)


def test_the_async_client_runs_on_asyncio_and_trio(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import pytest

        pytestmark = pytest.mark.anyio

        async def test_app_token(async_exbo_client, fake_exbo):
            first = await async_exbo_client.ensure_app_token()
            assert await async_exbo_client.ensure_app_token() == first
            assert [received.grant for received in fake_exbo.requests] == ["client_credentials"]
        """,
        "-v",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_app_token?asyncio*PASSED*", "*test_app_token?trio*PASSED*"])


def test_the_nearest_marker_wins_knob_by_knob(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import pytest
        from exbo_oauth import RateLimitError

        pytestmark = pytest.mark.exbo(dialect="league-9", throttle=7, token_ttl=60)

        @pytest.mark.exbo(throttle=2)
        class TestMarked:
            def test_class(self, exbo_client, fake_exbo):
                assert fake_exbo.dialect == "league-9"
                token = exbo_client.get_app_token()
                assert (token.expires_after().total_seconds()) <= 60
                assert exbo_client.ratelimit.limit == 2

            @pytest.mark.exbo(throttle=1, client={"max_retries": 0, "json": True})
            def test_function(self, exbo_client, fake_exbo):
                assert exbo_client.get_app_token()["expires_in"] == 60
                with pytest.raises(RateLimitError):
                    exbo_client.get_app_token()
        """,
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("exbo('league-9')", "*takes keywords only, not ('league-9',)*"),
        ("exbo(throtle=1)", "*unexpected keyword argument 'throtle'*"),
        ("exbo(dialect='league-7')", "*pass one of 'league-8', 'league-9'*"),
    ],
)
def test_a_wrong_marker_is_named(project: pytest.Pytester, marker: str, text: str) -> None:
    result = run(
        project,
        f"""
        import pytest

        @pytest.mark.{marker}
        def test_it(fake_exbo):
            pass
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([text])


NEIGHBOURS = """
import datetime
import time

import freezegun
import httpx
import pytest
import pytest_socket

from exbo_oauth import UnauthenticatedError

MOMENT = datetime.datetime(2031, 5, 17, 12, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=366)


def test_no_socket_is_needed(exbo_client, fake_exbo):
    attempt = exbo_client.begin_login()
    token = exbo_client.finish_login(attempt, fake_exbo.authorize(attempt.url))
    assert exbo_client.validate_user_token(token).name == "ivan"


async def test_no_socket_is_needed_on_asyncio(async_exbo_client, fake_exbo):
    token = await async_exbo_client.ensure_app_token()
    assert fake_exbo.is_live(token)


@pytest.mark.filterwarnings("ignore:A test tried to use socket")  # which is how they are forbidden
def test_a_socket_that_is_forbidden_is_named(fake_exbo):
    with pytest.raises(pytest_socket.SocketBlockedError), fake_exbo.serve():
        pass


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_is_among_the_hosts_that_are_allowed(fake_exbo):
    test_a_socket_that_is_allowed_serves(fake_exbo)


@pytest.mark.enable_socket
def test_a_socket_that_is_allowed_serves(fake_exbo):
    with fake_exbo.serve() as base_url:
        assert httpx.get(base_url + "/user", headers={"accept": "application/json"}).status_code == 401


def outlives(client, fake, move):
    token = client.get_app_token()
    assert fake.now == MOMENT
    assert token.claims["iat"] == MOMENT.timestamp()
    assert fake.requests[0].received_at == MOMENT
    move(YEAR)
    assert (token.is_expired(), fake.is_live(token)) == (True, False)
    assert client.ensure_app_token() != token


def test_time_machine_moves_the_server(time_machine, exbo_client, fake_exbo):
    time_machine.move_to(MOMENT, tick=False)
    outlives(exbo_client, fake_exbo, time_machine.shift)


def test_freezegun_moves_the_server(exbo_client, fake_exbo):
    with freezegun.freeze_time(MOMENT) as frozen:
        outlives(exbo_client, fake_exbo, frozen.tick)
    assert abs(fake_exbo.now.timestamp() - time.time()) < 60


@pytest.fixture
def frozen():
    with freezegun.freeze_time(MOMENT) as frozen:
        yield frozen


def test_a_server_that_was_made_in_frozen_time(frozen, exbo_client, fake_exbo):
    outlives(exbo_client, fake_exbo, frozen.tick)


async def test_frozen_time_on_asyncio(time_machine, async_exbo_client, fake_exbo):
    time_machine.move_to(MOMENT, tick=False)
    token = await async_exbo_client.ensure_app_token()
    time_machine.shift(YEAR)
    assert await async_exbo_client.ensure_app_token() != token


@pytest.mark.exbo(clock=lambda: MOMENT)
def test_a_clock_of_its_own_stays(time_machine, fake_exbo):
    time_machine.move_to("2040-01-01")
    assert fake_exbo.now == MOMENT
"""


def test_it_lives_with_the_plugins_that_others_have(pytester: pytest.Pytester) -> None:
    """In a process of its own: pytest-socket, pytest-asyncio, pytest-randomly, pytest-xdist, and frozen time."""
    pytester.makeconftest(CONFTEST)
    pytester.makeini(
        "[pytest]\nfilterwarnings = error\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "addopts = --strict-markers -p no:cacheprovider --disable-socket --allow-unix-socket"
    )
    pytester.makepyfile(NEIGHBOURS)
    result = pytester.runpytest_subprocess("-n", "1", "-p", "randomly", "-v")
    result.assert_outcomes(passed=NEIGHBOURS.count("def test_"))
    result.stdout.fnmatch_lines(["Using --randomly-seed=*", "*gw0*"])


FAILING = """
    import httpx
    import pytest

    def test_it(exbo_client, fake_exbo):
        attempt = exbo_client.begin_login()
        token = exbo_client.finish_login(attempt, fake_exbo.authorize(attempt.url))
        fake_exbo.supersede(user="ivan")
        http = httpx.Client(transport=fake_exbo.transport())
        headers = {"accept": "application/json", "authorization": token.authorization}
        http.get(fake_exbo.base_url + "/user", headers=headers)
        http.post(fake_exbo.base_url + "/token", data={"secret": fake_exbo.app.client_secret, "\\x1b[2J": "x" * 9000})
        with open("secrets.txt", "w") as file:
            print(fake_exbo.app.client_secret, token.access_token, token.refresh_token, attempt.state, file=file)
        assert not "as it should be"

    def test_nothing_asked(fake_exbo):
        assert not "as it should be"

    def test_all_is_well(exbo_client):
        exbo_client.get_app_token()
"""


def test_a_test_that_fails_shows_what_it_did_with_the_server(project: pytest.Pytester) -> None:
    result = run(project, FAILING, "--tb=line")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*- What fake_exbo was asked -*",
            "-- by hand: ivan authorized application 1.",
            "#1 * POST /oauth/token -> 200",
            "    > user-agent: exbo-oauth/*",
            "    > grant_type=authorization_code&client_id=1&client_secret=<secret of application 1>*&code=<code*",
            '    < {"token_type": "Bearer", *"<access token #1>", "refresh_token": "<refresh token #1>"}',
            "    = Token #1 was issued to ivan in application 1 (authorization_code).",
            "-- by hand: Token #2 was issued to ivan in application 1 (authorization_code).",
            "-- by hand: Token #1 of ivan in application 1 died: #2 took its place.",
            "#2 * GET /oauth/user -> 401",
            "    > authorization: Bearer <access token #1>",
            '    < {"message": "Unauthenticated."}',
            "    = Token #1 of ivan in application 1 was refused: #2 had taken its place.",
            "#3 * POST /oauth/token -> 400",
            "    > secret=<secret of application 1>&\\x1b[[]2J=xxx*x… (* characters)",
        ]
    )
    assert result.stdout.str().count("What fake_exbo was asked") == 1
    secrets = (project.path / "secrets.txt").read_text().split()
    assert not [secret for secret in secrets if secret in result.stdout.str()]


def test_what_it_did_is_not_shown_where_no_captured_output_is(project: pytest.Pytester) -> None:
    result = run(project, FAILING, "--tb=line", "--show-capture=no")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.no_fnmatch_line("*fake_exbo was asked*")


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import exbo_oauth.testing.plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = ["exbo_oauth", "exbo_oauth._version", "exbo_oauth.lazy", "exbo_oauth.testing", "exbo_oauth.testing.plugin"]
    assert done.stdout.split() == ours

"""The pytest plugin, used as its users use it: in test modules of their own."""

import subprocess
import sys

import pytest

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


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import exbo_oauth.testing.plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['exbo_oauth', 'exbo_oauth._version', 'exbo_oauth.testing', 'exbo_oauth.testing.plugin']\n"

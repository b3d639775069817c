"""The sandbox, driven by clients of other people through all flows, in both dialects."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest
import scapi
import scapi.enums
import scapi.exceptions
from attrs import evolve

from exbo_oauth.testing import FakeExbo

from .conftest import REDIRECT_URI, Provider
from .others import CLIENTS, FOR_APPLICATIONS, Other


@pytest.fixture(autouse=True)
def plain_http_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # requests-oauthlib's word for it


@pytest.fixture(params=["league-8", "league-9"])
def fake(request: pytest.FixtureRequest) -> FakeExbo:
    return FakeExbo(request.param)


@pytest.fixture
def sandbox(fake: FakeExbo) -> Iterator[Provider]:
    app = fake.app
    with fake.serve() as base_url:
        yield Provider(fake.dialect, base_url, app.client_id, app.client_secret, REDIRECT_URI, "", {"login": "ivan"})


@pytest.fixture
def made() -> Iterator[Callable[[type[Other], Provider], Other]]:
    """Makes clients, and closes them."""
    with ExitStack() as stack:

        def make(kind: type[Other], provider: Provider) -> Other:
            client = kind(provider)
            stack.callback(client.close)
            return client

        yield make


Made = Callable[[type[Other], Provider], Other]
each_client = pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.__name__)


def who(sandbox: Provider, access_token: str) -> str | None:
    headers = {"authorization": f"Bearer {access_token}", "accept": "application/json"}
    answer = httpx.get(f"{sandbox.base_url}/user", headers=headers)
    return str(answer.json()["login"]) if answer.status_code == 200 else None


@pytest.mark.parametrize("kind", FOR_APPLICATIONS, ids=lambda kind: kind.__name__)
def test_an_application_gets_a_token_that_opens_the_api(
    kind: type[Other], made: Made, fake: FakeExbo, sandbox: Provider
) -> None:
    token = made(kind, sandbox).app_token()
    headers = {"authorization": f"{token['token_type']} {token['access_token']}"}
    assert httpx.get(f"{fake.api_url}/ru/emission", headers=headers).status_code == 200


@each_client
def test_a_user_signs_in_and_stays_signed_in(kind: type[Other], made: Made, sandbox: Provider) -> None:
    client = made(kind, sandbox)
    first = client.user_token(sandbox.visit(client.authorize_url()))
    assert who(sandbox, first["access_token"]) == "ivan"
    second = client.refreshed(first["refresh_token"])
    assert who(sandbox, second["access_token"]) == "ivan"
    assert who(sandbox, first["access_token"]) is None
    assert second["refresh_token"] != first["refresh_token"]
    with pytest.raises(client.refuses_with):
        client.refreshed(first["refresh_token"])


@each_client
def test_a_code_serves_once(kind: type[Other], made: Made, sandbox: Provider) -> None:
    client = made(kind, sandbox)
    callback = sandbox.visit(client.authorize_url())
    client.user_token(callback)
    with pytest.raises(client.refuses_with):
        client.user_token(callback)


@each_client
def test_a_wrong_secret_is_refused(kind: type[Other], made: Made, sandbox: Provider) -> None:
    client = made(kind, evolve(sandbox, client_secret="x" * 40))
    callback = sandbox.visit(client.authorize_url())
    with pytest.raises(client.refuses_with):
        client.user_token(callback)


@each_client
def test_a_redirect_uri_that_is_not_registered_ends_nowhere(kind: type[Other], made: Made, sandbox: Provider) -> None:
    client = made(kind, evolve(sandbox, redirect_uri=f"{REDIRECT_URI}/"))
    answer = httpx.get(client.authorize_url(), headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


# The game API, by the reference client and its models


def test_the_reference_client_reads_all_that_an_application_may(fake: FakeExbo, sandbox: Provider) -> None:
    async def scenario() -> None:
        credentials = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        async with scapi.AppClient(**credentials, base_url=fake.api_url) as client:
            assert {region.id.lower() for region in await client.regions()} == set(scapi.enums.Region)
            for region in scapi.enums.Region:
                assert (await client.emission(region)).previous_end < datetime.now(UTC)
            lots = await client.auction("y1q9").lots(limit=200, sort="buyout_price", order="asc", additional=True)
            assert len(lots) == lots.total
            assert lots[0].item_id == "y1q9"
            history = await client.auction("y1q9").price_history(limit=50)
            assert history[0].time > history[-1].time
            clans = await client.clans(limit=3)
            assert len(clans) == 3 < clans.total
            assert (await client.clan(clans[0].uuid).info()) == clans[0]
            assert (await client.profile("Волк")).name == "Волк"
            sessions = await client.operations_sessions(map="big_cleanup")
            assert {session.map for session in sessions} == {"big_cleanup"}

    asyncio.run(scenario())


def test_the_reference_client_reads_what_a_user_may(fake: FakeExbo, sandbox: Provider) -> None:
    async def scenario(token: str) -> None:
        async with scapi.UserClient(token=token, base_url=fake.api_url) as client:
            [first, second] = await client.characters()
            assert first.clan.member.name == first.info.name
            assert second.clan is None
            members = await client.clan(first.clan.info.uuid).members()
            assert len(members) == first.clan.info.member_count
            assert first.clan.info.leader == members[0].name
            assert all(isinstance(name, str) for name in await client.friends(first.info.name))

    asyncio.run(scenario(fake.supersede(user="ivan").access_token))


def test_the_reference_client_sees_its_points_run_out(fake: FakeExbo, sandbox: Provider) -> None:
    async def scenario(token: str) -> None:
        async with scapi.UserClient(token=token, base_url=fake.api_url) as client:
            with pytest.raises(scapi.exceptions.RateLimitError):
                for _ in range(100):
                    await client.auction("y1q9").lots()
            limit = client._http.ratelimit
            assert (limit.limit, limit.remaining) == (50, 0)
            assert 0 < (limit.reset - datetime.now(UTC)).total_seconds() <= 60

    asyncio.run(scenario(fake.supersede(user="ivan").access_token))

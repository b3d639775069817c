"""The program's own tests, on the pytest plugin and nothing else."""

import httpx
import pytest
from auction import Auction, Session, Site

from exbo_oauth import AccessDeniedError, AsyncOAuthClient, InvalidGrantError, StateMismatchError, SyncOAuthClient
from exbo_oauth.testing import FakeExbo


@pytest.fixture
def auction(exbo_client: SyncOAuthClient, fake_exbo: FakeExbo) -> Auction:
    return Auction(exbo_client, httpx.Client(transport=fake_exbo.transport()), fake_exbo.api_url)


def test_one_token_serves_many_calls(auction: Auction, fake_exbo: FakeExbo) -> None:
    assert len({auction.lots("ru", "y1q9") for _ in range(5)}) == 1
    assert len(fake_exbo.issued) == 1


def test_a_token_that_somebody_replaced_is_renewed_without_the_program_noticing(
    auction: Auction, fake_exbo: FakeExbo
) -> None:
    lots = auction.lots("ru", "y1q9")
    fake_exbo.supersede()
    assert auction.lots("ru", "y1q9") == lots
    assert [token.ended for token in fake_exbo.issued] == ["superseded", "superseded", None]


@pytest.mark.exbo(app_points=3)
def test_the_points_run_out(auction: Auction) -> None:
    auction.lots("ru", "y1q9")
    with pytest.raises(httpx.HTTPStatusError, match="429"):
        auction.lots("ru", "y1q9")


@pytest.mark.anyio
class TestSite:
    @pytest.fixture
    def site(self, async_exbo_client: AsyncOAuthClient) -> Site:
        return Site(async_exbo_client)

    async def test_somebody_signs_in_and_is_known_again(self, site: Site, fake_exbo: FakeExbo) -> None:
        session: Session = {}
        account = await site.callback(session, fake_exbo.authorize(site.begin(session), "steam-guest"))
        assert account == "00000002-0000-4000-8000-000000000002"
        assert await site.name(account) == "Guest"

    async def test_strangers_are_not(self, site: Site) -> None:
        assert await site.name("somebody") is None

    async def test_somebody_says_no(self, site: Site, fake_exbo: FakeExbo) -> None:
        session: Session = {}
        with pytest.raises(AccessDeniedError):
            await site.callback(session, fake_exbo.authorize(site.begin(session), approve=False))

    async def test_another_browsers_callback_is_refused(self, site: Site, fake_exbo: FakeExbo) -> None:
        mine: Session = {}
        theirs: Session = {}
        site.begin(mine)
        with pytest.raises(StateMismatchError):
            await site.callback(mine, fake_exbo.authorize(site.begin(theirs)))

    @pytest.mark.exbo(dialect="league-9", code_ttl=30)
    async def test_who_comes_back_too_late_is_turned_away(self, site: Site, fake_exbo: FakeExbo) -> None:
        session: Session = {}
        url = fake_exbo.authorize(site.begin(session))
        fake_exbo.advance(31)
        with pytest.raises(InvalidGrantError, match="expired"):
            await site.callback(session, url)

"""A small program as its users write it: it watches an auction, and lets people sign in with EXBO."""

import httpx

from exbo_oauth import AsyncOAuthClient, LoginAttempt, LoginRequiredError, SyncOAuthClient

Session = dict[str, object]


class Auction:
    """Reads lots with the application's token, over any HTTP client."""

    def __init__(self, oauth: SyncOAuthClient, http: httpx.Client, api_url: str) -> None:
        self._http = http
        self._auth = oauth.app_auth()
        self._api_url = api_url

    def lots(self, region: str, item: str) -> int:
        """How many lots of an item are on offer."""
        response = self._http.get(f"{self._api_url}/{region}/auction/{item}/lots", auth=self._auth)
        response.raise_for_status()
        return int(response.json()["total"])


class Site:
    """“Log in with EXBO” for a web site with sessions."""

    def __init__(self, oauth: AsyncOAuthClient) -> None:
        self._oauth = oauth

    def begin(self, session: Session) -> str:
        """Where to send the browser."""
        attempt = self._oauth.begin_login()
        session["attempt"] = attempt.to_dict()
        return attempt.url

    async def callback(self, session: Session, url: str) -> str:
        """Who came back."""
        attempt = LoginAttempt.from_dict(session.pop("attempt"))  # type: ignore[arg-type]
        token = await self._oauth.finish_login(attempt, url)
        user = await self._oauth.validate_user_token(token)
        await self._oauth.save_user_token(str(user.uuid), token)
        return str(user.uuid)

    async def name(self, account: str) -> str | None:
        """The name of somebody who signed in before, None if they have to do it again."""
        try:
            token = await self._oauth.ensure_user_token(account)
        except LoginRequiredError:
            return None
        return (await self._oauth.validate_user_token(token)).name

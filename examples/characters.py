"""A trio program: signs you in with your browser once, then shows your characters in every region.

    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:9999/callback
    python characters.py

The redirect URI must be registered letter by letter. Your token stays in your data directory and is refreshed there; a
later run asks for no sign-in.
"""

import os
import sys

import httpx
import trio

from exbo_oauth import AsyncOAuthClient, LoginRequiredError, OAuthError

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")
ME = "me"


async def signed_in(oauth: AsyncOAuthClient) -> str:
    try:
        return (await oauth.user_info(ME)).name  # renews the token when it has to
    except LoginRequiredError:
        await oauth.login(ME, open_browser="EXBO_NO_BROWSER" not in os.environ)
    return (await oauth.user_info(ME)).name


async def show(api: httpx.AsyncClient, region: str) -> None:
    for character in (await api.get(f"/{region}/characters")).raise_for_status().json():
        print(region, character["information"]["name"], flush=True)


async def main() -> int:
    status = 0
    try:
        async with AsyncOAuthClient.from_env() as oauth:
            print("Signed in as", await signed_in(oauth), flush=True)
            async with httpx.AsyncClient(base_url=API, auth=oauth.user_auth(ME)) as api, trio.open_nursery() as nursery:
                for region in ("RU", "EU", "NA", "SEA"):
                    nursery.start_soon(show, api, region)
    except* (OAuthError, httpx.HTTPError) as errors:
        print(*errors.exceptions, sep="\n", file=sys.stderr)
        status = 1
    except* BrokenPipeError:  # `| head` has seen enough
        os._exit(1)  # without trying once more to write what is left
    return status


if __name__ == "__main__":
    sys.exit(trio.run(main))

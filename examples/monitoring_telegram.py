"""Tell a Telegram chat what somebody should look at: at most one message of each kind in ten minutes.

TELEGRAM_TOKEN is your bot's, TELEGRAM_CHAT the chat's id. `pip install exbo-oauth`
"""

import asyncio
import os
import sys
import time

import httpx

from exbo_oauth import AsyncOAuthClient, OAuthError
from exbo_oauth.events import ConflictFound, Event, SignInRequired, StoreFailed, TokenSuperseded

API = os.environ.get("TELEGRAM_API", "https://api.telegram.org")
QUIET = 600.0

_told: dict[str, float] = {}


def is_worth_a_message(event: Event) -> bool:
    outside = isinstance(event, TokenSuperseded) and event.issuer == "outside"
    return outside or isinstance(event, ConflictFound | SignInRequired | StoreFailed)


async def alert(event: Event) -> None:
    kind, now = type(event).__name__, time.monotonic()
    if not is_worth_a_message(event) or now - _told.get(kind, -QUIET) < QUIET:
        return
    _told[kind] = now
    message = {"chat_id": os.environ["TELEGRAM_CHAT"], "text": str(event)}
    async with httpx.AsyncClient() as telegram:
        await telegram.post(f"{API}/bot{os.environ['TELEGRAM_TOKEN']}/sendMessage", json=message)


async def main() -> None:
    api_url = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")
    async with AsyncOAuthClient.from_env(on_event=alert) as oauth, httpx.AsyncClient(auth=oauth.app_auth()) as api:
        (await api.get(f"{api_url}/regions")).raise_for_status()


if __name__ == "__main__":
    if not (os.environ.get("TELEGRAM_TOKEN") and os.environ.get("TELEGRAM_CHAT")):
        sys.exit(
            "monitoring_telegram: set TELEGRAM_TOKEN to what @BotFather gave you, and TELEGRAM_CHAT to the chat's id"
        )
    try:
        asyncio.run(main())
    except (OAuthError, httpx.HTTPError) as error:
        sys.exit(f"monitoring_telegram: {error}")

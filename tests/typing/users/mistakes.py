"""What type checkers refuse, httpx2 being installed or not. An ignore that is not needed is an error, too."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

import httpx

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient


class Ours(SyncOAuthClient):
    """What users derive."""


def made() -> Ours:
    return Ours.from_env(scope="", max_retries=0)


def mistakes(oauth: SyncOAuthClient) -> list[object]:
    from exbo_oauth import SyncOauthClient  # type: ignore[attr-defined]  # misspelt

    number: int = oauth.app_auth()  # type: ignore[assignment]
    return [
        number,
        SyncOauthClient,
        SyncOAuthClient(client_id=1, client_secret="x", http_client="nonsense"),  # type: ignore[call-overload]
        SyncOAuthClient(client_id=1, client_secret="x", http_client=httpx.AsyncClient()),  # type: ignore[call-overload]
        AsyncOAuthClient(client_id=1, client_secret="x", http_client=httpx.Client()),  # type: ignore[call-overload]
        SyncOAuthClient(client_id=1, client_secret="x", issue="sometimes"),  # type: ignore[call-overload]
        SyncOAuthClient.from_env(timout=5),  # type: ignore[call-overload]
        AsyncOAuthClient.from_env(timeout="5"),  # type: ignore[call-overload]
        httpx.Client(auth=oauth.app_auth),  # type: ignore[arg-type]
    ]

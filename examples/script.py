"""A blocking script: when the last emission was, in every region, with a token that all its runs share.

    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=…
    python script.py

``EXBO_OAUTH_URL`` and ``EXBO_API_URL`` point it elsewhere, at the sandbox for example.
"""

import os
import sys

import httpx

from exbo_oauth import OAuthError, SyncOAuthClient

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")


def emissions(api: httpx.Client) -> dict[str, str]:
    regions = [region["id"] for region in api.get("/regions").raise_for_status().json()]
    answers = {region: api.get(f"/{region}/emission").raise_for_status().json() for region in regions}
    return {region: answer["previousStart"] for region, answer in answers.items()}


def main() -> int:
    try:
        # The next run finds this run's token in your data directory, or where EXBO_STORE says.
        with SyncOAuthClient.from_env() as oauth, httpx.Client(base_url=API, auth=oauth.app_auth()) as api:
            for region, moment in emissions(api).items():
                print(region, moment, flush=True)
    except (OAuthError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        os._exit(1)  # without trying once more to write what is left
    return 0


if __name__ == "__main__":
    sys.exit(main())

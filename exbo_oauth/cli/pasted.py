"""What `exbo-oauth doctor --token-file` can see in a token that somebody copied: whose it is, and whether it lives."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ..masking import Secret
from .findings import Finding
from .hosts import API_HOSTS, DEMO_CLIENT_ID
from .inspection import Reading, bare_token, reading_of
from .settings import Settings
from .wording import moment

__all__ = ["token_findings"]

_GET = "Get one of your own: exbo-oauth token"
_HEADER = "Authorization: Bearer, a space, and the token"
_BY_ITSELF = f"{_GET} (in programs ensure_app_token(), app_auth() and user_auth() renew it by themselves)."


def token_findings(text: Secret, settings: Settings) -> Iterator[Finding]:
    """Everything that the token itself tells. Nothing is verified."""
    if re.match(r"\s*bearer\s", text.reveal(), re.IGNORECASE):
        cure = "Keep the token alone: this package writes the Bearer, and twice is refused."
        yield Finding("token", "warning", '"Bearer " is part of what was copied', cure)
    reading = reading_of(bare_token(text))
    if reading.problem is not None:
        cure = (
            "Take the access_token of a token answer, or what exbo-oauth token prints. What a browser keeps of EXBO's "
            "site is the site's own, and no API takes it."
        )
        yield Finding("token", "problem", reading.problem, cure)
        return
    problems = list(_problems(reading, settings.text("client_id")))
    yield from problems
    if not problems:
        whose = f"client {reading.audience}" if reading.audience else "nobody in particular"
        text_ok = f"a living access token of {whose}, by what it says itself. The header that takes it: {_HEADER}"
        yield Finding("token", "ok", text_ok)


def _problems(reading: Reading, client_id: str) -> Iterator[Finding]:
    now, issued = datetime.now(UTC), reading.moment("iat")
    expires, begins = reading.moment("exp"), reading.moment("nbf")
    if reading.audience not in (None, client_id):
        yield _foreign(reading.audience or "", client_id)
    if expires is not None and expires <= now:
        since = "" if issued is None else f"was issued at {moment(issued)} and "
        text = f"it {since}ended at {moment(expires)}; a token lives for a year at most, whatever the bot shows"
        yield Finding("token", "problem", text, _BY_ITSELF)
    if begins is not None and begins > now + timedelta(minutes=1):
        yield Finding("token", "problem", "it is not valid yet by this machine's clock", "Set the clock: it is slow.")


def _foreign(audience: str, client_id: str) -> Finding:
    if audience == DEMO_CLIENT_ID:
        demo = " and ".join(host.name for host in API_HOSTS if host.is_demo)
        text = f"it is the demo's (client {audience}): only {demo} take it"
        return Finding("token", "problem", text, f"For the real API use your own application's. {_GET}")
    if not client_id:
        text = f"it belongs to client {audience}, and which one is yours was not said"
        return Finding("token", "warning", text, "Set EXBO_CLIENT_ID to have the two compared.")
    text = f"it belongs to client {audience}, not to {client_id}"
    cure = f"It is the site's own or another program's token, such as one copied out of a browser. {_GET}"
    return Finding("token", "problem", text, cure)

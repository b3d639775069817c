"""What `exbo-oauth doctor --token-file` can see in a token that somebody copied: whose it is, and whether it lives."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ..language import mark, tr
from ..masking import MASK, Secret
from .findings import Finding
from .hosts import API_HOSTS, DEMO_CLIENT_ID
from .inspection import Reading, bare_token, has_scheme, reading_of
from .settings import Settings
from .wording import moment

__all__ = ["AT_SERVER", "NOT_ASKED", "token_findings"]

AT_SERVER = mark("token at the server")
NOT_ASKED = mark("whether a newer one has ended it was not asked")

_GET = mark("Get a new one: exbo-oauth token")
_BY_ITSELF = mark("{cure} (in programs ensure_app_token(), app_auth() and user_auth() renew it by themselves).")


def token_findings(text: Secret, settings: Settings) -> Iterator[Finding]:
    """Everything that the token itself tells. Nothing is verified."""
    if MASK in text.reveal():
        problem = tr("this is a token's mask: what Python prints of a token has *** in place of it")
        yield Finding("token", "problem", problem, tr("Send token.authorization as the header, or use app_auth()."))
        return
    if has_scheme(text):
        cure = tr("Keep the token alone: this package writes the Bearer, and twice is refused.")
        yield Finding("token", "warning", tr('"Bearer " is part of what was copied'), cure)
    reading = reading_of(bare_token(text))
    if reading.problem is not None:
        cure = tr(
            "Take the access_token of a token answer, or what exbo-oauth token prints. What a browser keeps of EXBO's "
            "site is the site's own, and no API takes it."
        )
        yield Finding("token", "problem", reading.problem, cure)
        return
    problems = list(_problems(reading, settings.text("client_id")))
    yield from problems
    if not problems:
        whose = tr("client {client_id}", client_id=reading.audience) if reading.audience else tr("nobody in particular")
        text_ok = tr(
            "an access token of {whose} that has not expired, by what it says itself. The header that takes it: "
            "Authorization: Bearer, a space, and the token",
            whose=whose,
        )
        yield Finding("token", "ok", text_ok)


def _problems(reading: Reading, client_id: str) -> Iterator[Finding]:
    now, issued = datetime.now(UTC), reading.moment("iat")
    expires, begins = reading.moment("exp"), reading.moment("nbf")
    if reading.audience not in (None, client_id):
        yield _foreign(reading.audience or "", client_id)
    if expires is not None and expires <= now:
        ended = (
            tr("it ended at {moment}", moment=moment(expires))
            if issued is None
            else tr("it was issued at {issued} and ended at {moment}", issued=moment(issued), moment=moment(expires))
        )
        text = tr("{ended}; a token lives for a year at most, whatever EXBO's bot shows", ended=ended)
        yield Finding("token", "problem", text, tr(_BY_ITSELF, cure=tr(_GET)))
    if begins is not None and begins > now + timedelta(minutes=1):
        yield Finding(
            "token", "problem", tr("it is not valid yet by this machine's clock"), tr("Set the clock: it is slow.")
        )


def _foreign(audience: str, client_id: str) -> Finding:
    if audience == DEMO_CLIENT_ID:
        demo = tr(" and ").join(host.name for host in API_HOSTS if host.is_demo)
        text = tr("it is the demo's (client {client_id}): only {demo} take it", client_id=audience, demo=demo)
        cure = tr("For the real API use your own application's. {cure}", cure=tr(_GET))
        return Finding("token", "problem", text, cure)
    if not client_id:
        text = tr("it belongs to client {client_id}, and which one is yours was not said", client_id=audience)
        return Finding("token", "warning", text, tr("Set EXBO_CLIENT_ID to have the two compared."))
    text = tr("it belongs to client {client_id}, not to {own}", client_id=audience, own=client_id)
    cure = tr(
        "It is the site's own or another program's token, such as one copied out of a browser. {cure}", cure=tr(_GET)
    )
    return Finding("token", "problem", text, cure)

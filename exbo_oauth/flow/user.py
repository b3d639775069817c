"""Who an account is, asked with its shared token."""

from urllib.parse import urlsplit

from ..errors import UnauthenticatedError
from ..models import AppToken, UserInfo, UserToken
from ..protocol.exchange import Exchange
from ..stores.base import StoreKey
from .config import Config
from .conversation import Answer, Request, answered_by, conversation
from .effects import Now, Program
from .evidence import Target
from .retries import repeated, sent

__all__ = ["user_info"]


def user_info(config: Config, account: str, wait: float | None = None) -> Program[UserInfo]:
    """Who `account` is. A token that is refused is replaced; its replacement's refusal is not about the token."""
    answers: list[UserInfo | UnauthenticatedError] = []

    def deliver(token: AppToken | UserToken) -> Program[Answer]:
        try:
            answers.append((yield from _asked(config, config.key(account), token.access_token)))
        except UnauthenticatedError as error:
            answers.append(error)
        return Answer(refused=isinstance(answers[-1], Exception), accepted=isinstance(answers[-1], UserInfo))

    url = urlsplit(config.protocol.user_info("x").request.url)
    target, begun = Target(url.netloc, url.path), (yield from Now())
    request = Request(config, config.key(account), target, begun, is_replayable=lambda: True, wait=wait)
    yield from answered_by(conversation(request), deliver)
    last = answers[-1]
    if isinstance(last, UnauthenticatedError):
        raise last
    return last


def _asked(config: Config, key: StoreKey, access_token: str) -> Program[UserInfo]:
    exchange: Exchange[UserInfo] = config.protocol.user_info(access_token)

    def attempt() -> Program[UserInfo]:
        return sent(exchange, lambda response, now: exchange.parse(response, now=now))

    return (yield from repeated(attempt, key, exchange.repeatable, config.max_retries))

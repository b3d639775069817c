"""Who an account is, asked with its shared token."""

from ..errors import UnauthenticatedError
from ..models import UserInfo
from .effects import Program
from .needs import Need
from .retries import repeated, sent, sleeping
from .sharing import Config, ensure_user_token

__all__ = ["user_info"]


def user_info(config: Config, account: str) -> Program[UserInfo]:
    """Who `account` is. A token that is refused is replaced; its replacement's refusal is not about the token."""
    token = yield from ensure_user_token(config, account, Need(60))
    try:
        return (yield from _asked(config, token.access_token))
    except UnauthenticatedError:
        token = yield from ensure_user_token(config, account, Need(60, token))
    return (yield from _asked(config, token.access_token))


def _asked(config: Config, access_token: str) -> Program[UserInfo]:
    exchange = config.protocol.user_info(access_token)

    def attempt() -> Program[UserInfo]:
        return sent(exchange, lambda response, now: exchange.parse(response, now=now))

    return (yield from repeated(attempt, exchange.repeatable, config.max_retries, sleeping))

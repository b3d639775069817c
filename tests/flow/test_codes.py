"""What the decisions refuse, word for word, and the code that programs tell it by."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from exbo_oauth import AttemptUsedError, ConfigurationError, LoginAttempt, OAuthError, ReadOnlyError
from exbo_oauth.flow.login import finish_login, new_attempt
from exbo_oauth.flow.replacement import replace_app_token

from .transcript import FOLLOWER, HOUSE, T0, play

STATE = "s" * 43


def attempt() -> LoginAttempt:
    return new_attempt(HOUSE.protocol, STATE, None, T0, "http://localhost", None)


def checked(age: float = 0.0, *, used: bool = False) -> Callable[[], object]:
    begun = attempt()
    begun.settle(used=used)
    return lambda: begun.check(T0 + timedelta(seconds=age))


def taken_twice() -> None:
    begun = attempt()
    begun.take()
    begun.take()


REFUSED: dict[str, tuple[Callable[[], object], str, str]] = {
    "a sign-in that is finished": (
        checked(used=True),
        f"{AttemptUsedError.code}.finished",
        "this sign-in is finished: begin a new one with begin_login()",
    ),
    "a sign-in that is too old": (
        checked(3601),
        f"{AttemptUsedError.code}.too-old",
        "this sign-in began more than an hour ago: begin a new one with begin_login()",
    ),
    "a sign-in that another finishes": (
        taken_twice,
        f"{AttemptUsedError.code}.finished",
        "this sign-in is being finished already, or is finished",
    ),
    "a saved sign-in that is none": (
        lambda: LoginAttempt.from_dict({}),
        ConfigurationError.code,
        "this is not a saved sign-in: save what LoginAttempt.to_dict() gives",
    ),
    "a sign-in of a follower": (
        lambda: play(finish_login(FOLLOWER, attempt(), f"code=c&state={STATE}", "ivan")),
        f"{ReadOnlyError.code}.write",
        'this client only reads (issue="never"): sign in with the client that issues',
    ),
    "a replacement by a follower": (
        lambda: play(replace_app_token(FOLLOWER)),
        f"{ReadOnlyError.code}.write",
        'this client only reads (issue="never"): replace tokens with the client that issues',
    ),
}


@pytest.mark.parametrize(("action", "code", "text"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_has_its_code_and_says_exactly_this(action: Callable[[], object], code: str, text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        action()
    assert (caught.value.code, str(caught.value)) == (code, text)

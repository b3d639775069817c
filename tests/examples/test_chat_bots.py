"""The bots of the recipes that need no web server: what people send them, against stand-ins for both services."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from exbo_oauth.testing import FakeExbo

from ..test_recipes import EXAMPLES, Telegram, needs, running, until
from .discord_server import Discord

TOKEN = "7:AAAA-the-token-of-the-bot"


@define
class Chat:
    """A bot that runs, and how people talk to it."""

    fake: FakeExbo
    kind: str
    server: Any
    shown: Any = None

    def says(self, user_id: int, command: str) -> str:
        if self.kind == "telegram":
            return self.server.hears(user_id, f"/{command}")["text"]
        return self.server.uses(user_id, command)["content"]

    def link(self, user_id: int) -> str:
        """The address behind the button that the bot shows."""
        if self.kind == "telegram":
            return json.loads(self.server.hears(user_id, "/link")["reply_markup"])["inline_keyboard"][0][0]["url"]
        self.shown = self.server.uses(user_id, "link")
        [address] = [button["url"] for button in self.shown["components"][0]["components"] if "url" in button]
        return address

    def sends(self, user_id: int, address: str) -> str:
        """What the bot answers to the address that a browser ended on."""
        if self.kind == "telegram":
            return self.server.hears(user_id, address)["text"]
        [button] = [button for button in self.shown["components"][0]["components"] if "custom_id" in button]
        return self.server.enters(user_id, self.server.presses(user_id, button["custom_id"]), address)["content"]


@pytest.fixture(scope="module", params=["telegram", "discord"])
def chat(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    needs(request.param, "aiohttp")
    folder, fake = tmp_path_factory.mktemp(request.param), FakeExbo()
    app = fake.add_app(redirect_uris=("http://localhost",))
    server = Telegram() if request.param == "telegram" else Discord()
    launch = [str(EXAMPLES / "telegram_bot.py")] if request.param == "telegram" else server.launch
    with fake.serve() as base_url:
        environment = {
            "BOT_TOKEN": TOKEN,
            "TELEGRAM_API": getattr(server, "url", ""),
            "EXBO_CLIENT_ID": app.client_id,
            "EXBO_CLIENT_SECRET": app.client_secret,
            "EXBO_REDIRECT_URI": "http://localhost",
            "EXBO_OAUTH_URL": base_url,
            "EXBO_STORE": f"sqlite:///{folder / 'tokens.db'}",
        }
        if request.param == "telegram":
            server.thread.start()
        try:
            with running(launch, environment, folder) as program:
                if request.param == "discord":
                    until(lambda: server.ready.is_set() or program.process.poll() is not None, "the bot is there")
                yield Chat(fake, request.param, server)
        finally:
            server.close()
    everything = "\n".join([*server.said, program.printed])
    assert not [issued for issued in fake.issued if issued.access_token in everything]


def test_a_user_links_their_account_with_the_address_of_a_page_that_cannot_be_reached(chat: Chat) -> None:
    assert "No account of yours is linked" in chat.says(1001, "me")
    back = chat.fake.authorize(chat.link(1001))
    assert chat.sends(1001, back) == "Linked: ivan"
    assert chat.says(1001, "me") == "You are ivan."
    assert "not the address of your own sign-in" in chat.sends(1001, back)  # it served once
    assert chat.says(1001, "unlink") == "Your account is no longer linked."
    assert "No account of yours is linked" in chat.says(1001, "me")


def test_a_link_that_was_sent_on_links_nobody(chat: Chat) -> None:
    """The attacker asks for a link, the victim approves: the victim's token goes to neither of them."""
    before = len(chat.fake.issued)
    back = chat.fake.authorize(chat.link(666), "steam-guest")
    assert "not the address of your own sign-in" in chat.sends(1002, back)
    assert len(chat.fake.issued) == before


def test_a_denial_is_told(chat: Chat) -> None:
    before = len(chat.fake.issued)
    back = chat.fake.authorize(chat.link(1003), approve=False)
    assert "declined" in chat.sends(1003, back)
    assert len(chat.fake.issued) == before


def test_a_dead_token_is_replaced_and_a_dead_sign_in_is_told(chat: Chat) -> None:
    chat.sends(1004, chat.fake.authorize(chat.link(1004), "steam-guest"))
    issued = chat.fake.issued[-1]
    chat.fake.revoke(issued.access_token)
    assert chat.says(1004, "me") == "You are Guest."
    chat.fake.revoke(chat.fake.issued[-1].access_token, refresh_too=True)
    assert "ended its sign-in" in chat.says(1004, "me")


def test_exbo_being_away_is_told(chat: Chat) -> None:
    chat.sends(1005, chat.fake.authorize(chat.link(1005)))
    chat.fake.fail_next(503, times=3)
    assert "did not work" in chat.says(1005, "me")


def test_what_everybody_sends_first_is_answered(chat: Chat) -> None:
    if chat.kind == "telegram":
        assert "/link" in chat.says(1006, "start")
        assert "/link" in chat.sends(1006, "hello")
    else:
        assert sorted(chat.server.commands) == ["link", "me", "unlink"]


def test_a_missing_setting_is_one_line(tmp_path: Path) -> None:
    for name in ("telegram", "discord"):
        needs(name)
        with running([str(EXAMPLES / f"{name}_bot.py")], {"BOT_TOKEN": TOKEN, "EXBO_CLIENT_ID": ""}, tmp_path) as bot:
            assert bot.process.wait(120) == 1
        assert bot.printed.startswith(f"{name}_bot: set the environment variables EXBO_CLIENT_ID")
        assert bot.printed.count("\n") == 1

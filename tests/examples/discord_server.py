"""As much of Discord as the recipe's bot needs: its REST paths, its gateway, and people who use commands."""

import asyncio
import json
import threading
import zlib
from queue import Queue
from typing import Any

from aiohttp import WSMsgType, web

LAUNCH = """
import sys, discord, yarl
discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = sys.argv[1], yarl.URL(sys.argv[2])
import discord_bot
discord_bot.main()
"""

BOT_ID = "7"
USER = {"id": BOT_ID, "username": "bot", "discriminator": "0", "avatar": None}


def as_json(data: Any) -> web.Response:
    """Discord names no charset, and its library wants exactly that."""
    return web.Response(body=json.dumps(data).encode(), content_type="application/json")


class Discord:
    """A server on loopback, on a thread of its own. `answers` holds what the bot said, `said` all of it."""

    def __init__(self) -> None:
        self.answers: Queue[dict[str, Any]] = Queue()
        self.said: list[str] = []
        self.ready = threading.Event()
        self.commands: list[str] = []
        self._started = threading.Event()
        self._number = 0
        self._socket: web.WebSocketResponse | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._started.wait()

    @property
    def launch(self) -> list[str]:
        return ["-c", LAUNCH, f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}/gateway"]

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_get("/gateway", self._gateway)
        app.router.add_route("*", "/{path:.*}", self._rest)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self._end.wait()
        await runner.cleanup()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _rest(self, request: web.Request) -> web.Response:
        path, body = request.path, await request.text()
        if path == "/users/@me":
            return as_json(USER | {"bot": True})
        if path == "/oauth2/applications/@me":
            bot = {"id": BOT_ID, "name": "bot", "icon": None, "description": "", "bot_public": True, "flags": 0}
            return as_json(bot | {"bot_require_code_grant": False, "verify_key": "", "summary": "", "owner": USER})
        if path.endswith("/commands"):
            self.commands = [command["name"] for command in json.loads(body)]
            return as_json([])
        if path.startswith(("/interactions/", "/webhooks/")):
            self._heard(json.loads(body))
            return as_json({"id": "1", "channel_id": "1", "content": "", "interaction": {"id": "1"}} | MESSAGE)
        raise web.HTTPNotFound

    def _heard(self, answer: dict[str, Any]) -> None:
        self.said.append(json.dumps(answer))
        if answer.get("type") != 5:  # "I am thinking": the answer follows
            self.answers.put(answer.get("data", answer) | {"kind": answer.get("type")})

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        self._socket, self._deflate = web.WebSocketResponse(), zlib.compressobj()
        await self._socket.prepare(request)
        await self._send(10, {"heartbeat_interval": 45_000})
        async for message in self._socket:
            if message.type == WSMsgType.TEXT and json.loads(message.data)["op"] == 2:
                ready = {"v": 10, "user": USER, "guilds": [], "session_id": "s", "resume_gateway_url": "ws://x"}
                await self._send(0, ready | {"application": {"id": BOT_ID, "flags": 0}}, "READY")
                self.ready.set()
        return self._socket

    async def _send(self, op: int, data: Any, name: str | None = None) -> None:
        assert self._socket is not None
        self._number += 1
        text = json.dumps({"op": op, "d": data, "s": self._number, "t": name}).encode()
        await self._socket.send_bytes(self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH))

    def _interact(self, user_id: int, kind: int, data: dict[str, Any]) -> dict[str, Any]:
        user = {"id": str(user_id), "username": "somebody", "discriminator": "0", "avatar": None}
        number = str(100 + self._number)
        event = {
            "id": number,
            "application_id": BOT_ID,
            "type": kind,
            "token": f"t{number}",
            "version": 1,
            "data": data,
        }
        event |= {"user": user, "channel": {"id": "1", "type": 1}, "channel_id": "1"}
        event |= {"locale": "en-US", "entitlements": [], "attachment_size_limit": 0}
        asyncio.run_coroutine_threadsafe(self._send(0, event, "INTERACTION_CREATE"), self._loop).result(120)
        return self.answers.get(timeout=120)

    def uses(self, user_id: int, command: str) -> dict[str, Any]:
        """What the bot answers to ``/command``."""
        return self._interact(user_id, 2, {"id": "5", "name": command, "type": 1})

    def presses(self, user_id: int, custom_id: str) -> dict[str, Any]:
        """What the bot answers to a button."""
        return self._interact(user_id, 3, {"custom_id": custom_id, "component_type": 2})

    def enters(self, user_id: int, form: dict[str, Any], text: str) -> dict[str, Any]:
        """What the bot answers to a form that was filled in."""
        row = form["components"][0]
        field = {"type": 4, "custom_id": row["components"][0]["custom_id"], "value": text, "id": 2}
        return self._interact(
            user_id, 5, {"custom_id": form["custom_id"], "components": [{"type": 1, "id": 1, "components": [field]}]}
        )


MESSAGE: dict[str, Any] = {
    "author": USER,
    "timestamp": "2026-01-01T00:00:00+00:00",
    "edited_timestamp": None,
    "tts": False,
    "mention_everyone": False,
    "mentions": [],
    "mention_roles": [],
    "attachments": [],
    "embeds": [],
    "pinned": False,
    "type": 0,
    "flags": 64,
}

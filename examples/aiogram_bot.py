"""A Telegram bot whose users link their EXBO account.

    pip install exbo-oauth aiogram
    export BOT_TOKEN=… EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=https://bot.example/callback PORT=8080
    python aiogram_bot.py

A reverse proxy passes https://bot.example/callback on to the port. A link can be sent on, so whoever approves in the
browser need not be the one who asked the bot for it: the callback finishes nothing, it leads the browser back into
Telegram with a ticket. Only the user who began the sign-in can redeem it.
"""

import asyncio
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiogram import Bot, Dispatcher, F, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, Message
from aiohttp import web

from exbo_oauth import AsyncOAuthClient, LoginAttempt, LoginRequiredError, OAuthError


@dataclass
class SignIn:
    """Somebody's way through the browser: `callback` is what they came back with."""

    user_id: int
    attempt: LoginAttempt
    callback: str = ""


sign_ins: dict[str, SignIn] = {}  # by state while the user is away, by ticket once the browser is back

router = Router()
router.message.filter(F.chat.type == "private")


@router.message(Command("link"))
async def link(message: Message, exbo: AsyncOAuthClient) -> None:
    forget_old_ones()
    attempt = exbo.begin_login()
    sign_ins[attempt.state] = SignIn(message.from_user.id, attempt)
    button = InlineKeyboardButton(text="Sign in with EXBO", url=attempt.url)
    await message.answer("This button is for you alone.", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))


async def callback(request: web.Request) -> web.Response:
    sign_in = sign_ins.pop(request.query.get("state", ""), None)
    if sign_in is None:
        return web.Response(text="This sign-in is not known, or too old. Ask the bot for /link.", status=400)
    ticket, sign_in.callback = secrets.token_urlsafe(24), request.query_string
    sign_ins[ticket] = sign_in
    bot = await request.app[BOT].me()
    raise web.HTTPSeeOther(f"https://t.me/{bot.username}?start={ticket}")


@router.message(CommandStart(deep_link=True))
async def finish(message: Message, command: CommandObject, exbo: AsyncOAuthClient) -> None:
    sign_in = sign_ins.get(command.args or "")
    if sign_in is None or not sign_in.callback or sign_in.user_id != message.from_user.id:
        await message.answer("This is not your sign-in, or it is too old. Send /link.")
        return
    del sign_ins[command.args]
    try:
        token = await exbo.finish_login(sign_in.attempt, sign_in.callback, account=message.from_user.id)
        user = await exbo.validate_user_token(token)
    except OAuthError as error:
        await message.answer(f"That did not work: {error}")
    else:
        await message.answer(f"Linked: {user.name}")


@router.message(Command("me"))
async def me(message: Message, exbo: AsyncOAuthClient) -> None:
    try:
        user = await exbo.validate_user_token(await exbo.ensure_user_token(message.from_user.id))
    except LoginRequiredError:
        await message.answer("You have not linked an account. Send /link.")
    else:
        await message.answer(f"You are {user.name}.")


@router.message(Command("unlink"))
async def unlink(message: Message, exbo: AsyncOAuthClient) -> None:
    await exbo.forget_user_token(message.from_user.id)
    await message.answer("Forgotten.")


def forget_old_ones() -> None:
    oldest = datetime.now(UTC) - timedelta(hours=1)
    for key in [key for key, sign_in in sign_ins.items() if sign_in.attempt.created_at < oldest]:
        del sign_ins[key]


BOT = web.AppKey("bot", Bot)


async def main() -> None:
    api = TelegramAPIServer.from_base(os.environ.get("TELEGRAM_API", "https://api.telegram.org"))
    site = web.Application()
    site.router.add_get("/callback", callback)
    async with (
        Bot(os.environ["BOT_TOKEN"], session=AiohttpSession(api=api)) as site[BOT],
        AsyncOAuthClient.from_env() as exbo,
    ):
        runner = web.AppRunner(site, access_log=None)  # its lines would hold codes
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "8080"))).start()
        dispatcher = Dispatcher(exbo=exbo)
        dispatcher.include_router(router)
        try:
            await dispatcher.start_polling(site[BOT])
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())

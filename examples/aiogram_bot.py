"""A Telegram bot whose users link their EXBO account, with aiogram.

    pip install exbo-oauth aiogram
    export BOT_TOKEN=… EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=https://bot.example/callback PORT=9999
    python aiogram_bot.py

It listens on 127.0.0.1: a reverse proxy on this machine passes https://bot.example/callback on to the port. In a
container nobody outside would reach that: set HOST=0.0.0.0, and publish the port to the proxy only. docs/bots.md shows
how to try it at your desk, with the sandbox and a redirect URI of this machine.

A link can be forwarded, so whoever approves in the browser need not be the one who asked the bot for it: the callback
finishes nothing, it leads the browser back into Telegram with a ticket. Only the user who began the sign-in can
redeem it.
"""

import asyncio
import logging
import os
import sys

from aiogram import Bot, Dispatcher, F, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import ErrorEvent, InlineKeyboardButton, InlineKeyboardMarkup, Message, User
from aiohttp import web

from exbo_oauth import (
    AccessDeniedError,
    AsyncOAuthClient,
    ConfigurationError,
    LoginRequiredError,
    OAuthError,
    PendingLogins,
)

HELP = "/link links your EXBO account, /me says who you are, /unlink forgets it."

router = Router()
router.message.filter(F.chat.type == "private", F.from_user.as_("user"))


@router.message(Command("link"))
async def link(message: Message, user: User, exbo: AsyncOAuthClient, pending: PendingLogins) -> None:
    attempt = exbo.begin_login()
    pending.add(attempt, owner=user.id)
    button = InlineKeyboardButton(text="Sign in with EXBO", url=attempt.url)
    await message.answer("This button is for you only.", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))


async def callback(request: web.Request) -> web.Response:
    ticket = request.app[PENDING].ticket(request.query_string)
    if ticket is None:
        return web.Response(text="This sign-in is unknown or too old. Send /link to the bot.", status=400)
    bot = await request.app[BOT].me()
    raise web.HTTPSeeOther(f"https://t.me/{bot.username}?start={ticket}")


@router.message(CommandStart(deep_link=True))
async def finish(
    message: Message, user: User, command: CommandObject, exbo: AsyncOAuthClient, pending: PendingLogins
) -> None:
    sign_in = pending.redeem(command.args or "", owner=user.id)
    if sign_in is None:
        await message.answer("This is not your sign-in, or it is too old. Send /link.")
        return
    await exbo.finish_login(*sign_in, account=user.id)
    await message.answer(f"Linked: {(await exbo.user_info(user.id)).name}")


@router.message(Command("me"))
async def me(message: Message, user: User, exbo: AsyncOAuthClient) -> None:
    await message.answer(f"You are {(await exbo.user_info(user.id)).name}.")


@router.message(Command("unlink"))
async def unlink(message: Message, user: User, exbo: AsyncOAuthClient) -> None:
    await exbo.forget_user_token(user.id)
    await message.answer("Your account is no longer linked.")


@router.message()
async def anything_else(message: Message) -> None:
    await message.answer(HELP)


@router.error(F.update.message.as_("message"))
async def explain(event: ErrorEvent, message: Message) -> None:
    if isinstance(event.exception, LoginRequiredError):
        await message.answer("No account of yours is linked, or EXBO has ended its sign-in. Send /link.")
    elif isinstance(event.exception, AccessDeniedError):
        await message.answer("You declined, so no account was linked. Send /link to try again.")
    elif isinstance(event.exception, OAuthError):
        logging.getLogger("aiogram_bot").warning("%s", event.exception)
        await message.answer("That did not work. Try again later.")
    else:
        raise event.exception


BOT, PENDING = web.AppKey("bot", Bot), web.AppKey("pending", PendingLogins)


async def main() -> None:
    api = TelegramAPIServer.from_base(os.environ.get("TELEGRAM_API", "https://api.telegram.org"))
    site = web.Application()
    site[PENDING] = PendingLogins()  # in memory: who is just signing in when the bot restarts asks for another link
    site.router.add_get("/callback", callback)
    async with (
        Bot(os.environ["BOT_TOKEN"], session=AiohttpSession(api=api)) as site[BOT],
        AsyncOAuthClient.from_env() as exbo,
    ):
        runner = web.AppRunner(site, access_log=None)  # its lines would hold codes
        await runner.setup()
        try:
            await web.TCPSite(runner, os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9999"))).start()
        except OSError as error:
            sys.exit(f"aiogram_bot: {error.strerror}: set PORT to a free port")
        dispatcher = Dispatcher(exbo=exbo, pending=site[PENDING])
        dispatcher.include_router(router)
        try:
            await dispatcher.start_polling(site[BOT])
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    if not os.environ.get("BOT_TOKEN"):
        sys.exit("aiogram_bot: set BOT_TOKEN to what @BotFather gave you")
    try:
        asyncio.run(main())
    except (
        ConfigurationError,
        AiogramError,
    ) as error:  # such as Telegram out of reach, or a token that it does not know
        sys.exit(f"aiogram_bot: {error}")

"""A Telegram bot whose users link their EXBO account, with python-telegram-bot and without a web server.

    pip install exbo-oauth python-telegram-bot
    export BOT_TOKEN=… EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:9999/callback
    python telegram_bot.py

Without an application of your own, `exbo-oauth sandbox --env-file .env` writes the settings of a sandbox. With
BOT_TOKEN=… at the end of that file, `dotenv run -- python telegram_bot.py` starts the bot.

Nobody listens at the redirect URI, so the browser ends on a page that cannot be reached; its address is what the user
sends to the bot. A link can be forwarded, but what the browser brought back is accepted from nobody but the user who
asked for the link.
"""

import logging
import os
import sys
from typing import Any

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message, Update, User
from telegram.error import TelegramError
from telegram.ext import Application, CommandHandler, ContextTypes, MessageHandler, filters

from exbo_oauth import (
    AccessDeniedError,
    AsyncOAuthClient,
    ConfigurationError,
    LoginRequiredError,
    OAuthError,
    PendingLogins,
)

HELP = "/link links your EXBO account, /me says who you are, /unlink forgets it."
SEND_ADDRESS = (
    "Sign in with this button, which is for you only. Then your browser shows a page that cannot be reached: "
    "copy the whole address of that page and send it to me."
)

pending = PendingLogins()  # in memory: who is just signing in when the bot restarts asks for another link


def parties(update: Update) -> tuple[Message, User]:
    """What a private chat always has: a message, perhaps an edited one, and who wrote it."""
    message, user = update.effective_message, update.effective_user
    if message is None or user is None:
        raise LookupError("this is not a message in a private chat")
    return message, user


async def help_(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    message, _user = parties(update)
    await message.reply_text(HELP)


async def link(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    message, user = parties(update)
    attempt = context.bot_data["exbo"].begin_login()
    pending.add(attempt, owner=user.id)
    button = InlineKeyboardButton("Sign in with EXBO", url=attempt.url)
    await message.reply_text(SEND_ADDRESS, reply_markup=InlineKeyboardMarkup([[button]]))


async def finish(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    exbo, (message, user) = context.bot_data["exbo"], parties(update)
    address = message.text or ""
    if "state=" not in address:  # somebody who says hello
        await message.reply_text(HELP)
        return
    sign_in = pending.redeem(pending.ticket(address) or "", owner=user.id)
    if sign_in is None:
        await message.reply_text(f"That is not the address of your own sign-in, or it is too old. {HELP}")
        return
    await exbo.finish_login(*sign_in, account=user.id)
    await message.reply_text(f"Linked: {(await exbo.user_info(user.id)).name}")


async def me(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    message, user = parties(update)
    await message.reply_text(f"You are {(await context.bot_data['exbo'].user_info(user.id)).name}.")


async def unlink(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    message, user = parties(update)
    await context.bot_data["exbo"].forget_user_token(user.id)
    await message.reply_text("Your account is no longer linked.")


async def explain(update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
    message = update.effective_message if isinstance(update, Update) else None
    if message and isinstance(context.error, LoginRequiredError):
        await message.reply_text("No account of yours is linked, or EXBO has ended its sign-in. Send /link.")
    elif message and isinstance(context.error, AccessDeniedError):
        await message.reply_text("You declined, so no account was linked. Send /link to try again.")
    else:
        logging.getLogger("telegram_bot").error("%s", context.error)
        if message and isinstance(context.error, OAuthError):
            await message.reply_text("That did not work. Try again later.")


async def close(application: Application[Any, Any, Any, Any, Any, Any]) -> None:
    await application.bot_data["exbo"].aclose()


def main() -> None:
    if not os.environ.get("BOT_TOKEN"):
        sys.exit("telegram_bot: set BOT_TOKEN to what @BotFather gave you")
    try:
        exbo = AsyncOAuthClient.from_env()
    except ConfigurationError as error:
        sys.exit(f"telegram_bot: {error}")
    api = os.environ.get("TELEGRAM_API", "https://api.telegram.org")
    bot = Application.builder().token(os.environ["BOT_TOKEN"]).base_url(f"{api}/bot").post_shutdown(close).build()
    bot.bot_data["exbo"] = exbo
    private = filters.ChatType.PRIVATE
    for command in (link, me, unlink):
        bot.add_handler(CommandHandler(command.__name__, command, private))
    bot.add_handler(MessageHandler(private & filters.TEXT & ~filters.COMMAND, finish))
    bot.add_handler(MessageHandler(private, help_))
    bot.add_error_handler(explain)
    logging.getLogger("telegram.ext").setLevel(logging.CRITICAL)  # its tracebacks: `explain` and the line below tell
    try:
        bot.run_polling(drop_pending_updates=False)
    except TelegramError as error:  # such as Telegram out of reach, or a token that it does not know
        sys.exit(f"telegram_bot: {error}")


if __name__ == "__main__":
    main()

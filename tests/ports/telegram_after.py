"""A Telegram bot that tells the status of an emission."""

import os

import httpx
from telegram.ext import Application, CommandHandler

from exbo_oauth import AsyncOAuthClient

API = os.environ["EXBO_API_URL"]

oauth = AsyncOAuthClient.from_env()


async def emission(update, _):
    async with httpx.AsyncClient(auth=oauth.app_auth()) as http:
        answer = await http.get(f"{API}/RU/emission")
    await update.message.reply_text(str(answer.status_code))


bot = Application.builder().token(os.environ["BOT_TOKEN"]).base_url(os.environ["TELEGRAM_API"] + "/bot").build()
bot.add_handler(CommandHandler("emission", emission))
bot.run_polling()

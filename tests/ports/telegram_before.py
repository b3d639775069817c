"""A Telegram bot that tells the status of an emission."""

import os

import httpx
from telegram.ext import Application, CommandHandler

API = os.environ["EXBO_API_URL"]

token = None


async def get_token(http):
    form = {
        "client_id": os.environ["EXBO_CLIENT_ID"],
        "client_secret": os.environ["EXBO_CLIENT_SECRET"],
        "grant_type": "client_credentials",
        "scope": "",
    }
    return (await http.post(os.environ["EXBO_OAUTH_URL"] + "/token", data=form)).json()["access_token"]


async def emission(update, _):
    global token
    async with httpx.AsyncClient() as http:
        if token is None:
            token = await get_token(http)
        answer = await http.get(f"{API}/RU/emission", headers={"Authorization": f"Bearer {token}"})
        if answer.status_code == 401:
            token = await get_token(http)
    await update.message.reply_text(str(answer.status_code))


bot = Application.builder().token(os.environ["BOT_TOKEN"]).base_url(os.environ["TELEGRAM_API"] + "/bot").build()
bot.add_handler(CommandHandler("emission", emission))
bot.run_polling()

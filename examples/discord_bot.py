"""A Discord bot whose users link their EXBO account, with discord.py and without a web server.

    pip install exbo-oauth discord.py
    export BOT_TOKEN=… EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:9999/callback
    python discord_bot.py

Without an application of your own, `exbo-oauth sandbox --env-file .env` writes the settings of a sandbox. With
BOT_TOKEN=… at the end of that file, `dotenv run -- python discord_bot.py` starts the bot.

Nobody listens at the redirect URI, so the browser ends on a page that cannot be reached; its address is what the user
enters into the form that the second button opens. A link can be forwarded, but what the browser brought back is
accepted from nobody but the user who asked for the link. All answers are ephemeral: the rest of the channel does not
see them.
"""

import logging
import os
import sys
from typing import Any

import discord
from discord import app_commands

from exbo_oauth import (
    AccessDeniedError,
    AsyncOAuthClient,
    ConfigurationError,
    LoginRequiredError,
    OAuthError,
    PendingLogins,
)

SEND_ADDRESS = (
    "Sign in with the first button, which is for you only. Then your browser shows a page that cannot be reached: "
    "copy the whole address of that page and enter it with the second button."
)


class Bot(discord.Client):
    """The bot, its client of EXBO, and the sign-ins that are under way."""

    def __init__(self, exbo: AsyncOAuthClient) -> None:
        super().__init__(intents=discord.Intents.none())
        self.exbo = exbo
        self.pending = PendingLogins()  # in memory: who is just signing in when the bot restarts asks for another link
        self.tree = app_commands.CommandTree(self)
        self.tree.error(explain)
        self.tree.add_command(link)
        self.tree.add_command(me)
        self.tree.add_command(unlink)

    async def setup_hook(self) -> None:
        await self.tree.sync()

    async def close(self) -> None:
        await super().close()
        await self.exbo.aclose()


class Finish(discord.ui.Modal, title="Link your EXBO account"):
    """The form for the address that the browser ended on."""

    address = discord.ui.TextInput[discord.ui.Modal](label="The address that your browser ended on", max_length=4000)

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        bot: Bot = interaction.client
        user_id = interaction.user.id
        sign_in = bot.pending.redeem(bot.pending.ticket(self.address.value) or "", owner=user_id)
        if sign_in is None:
            await answer(interaction, "That is not the address of your own sign-in, or it is too old. Use /link.")
            return
        await interaction.response.defer(ephemeral=True, thinking=True)
        await bot.exbo.finish_login(*sign_in, account=user_id)
        await answer(interaction, f"Linked: {(await bot.exbo.user_info(user_id)).name}")

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception, _: object = None) -> None:
        await explain(interaction, error)


class SignIn(discord.ui.View):
    """The two buttons: there and back."""

    def __init__(self, url: str) -> None:
        super().__init__(timeout=3600)
        self.add_item(discord.ui.Button(label="Sign in with EXBO", url=url))

    @discord.ui.button(label="Enter the address")
    async def enter(self, interaction: discord.Interaction[Bot], _: discord.ui.Button["SignIn"]) -> None:
        await interaction.response.send_modal(Finish())


@app_commands.command(description="Link your EXBO account")
async def link(interaction: discord.Interaction[Bot]) -> None:
    attempt = interaction.client.exbo.begin_login()
    if len(attempt.url) > 512:  # what Discord takes behind a button
        await answer(interaction, "The address of the sign-in is too long: use a shorter redirect URI.")
        return
    interaction.client.pending.add(attempt, owner=interaction.user.id)
    await interaction.response.send_message(SEND_ADDRESS, view=SignIn(attempt.url), ephemeral=True)


@app_commands.command(description="Say who you are")
async def me(interaction: discord.Interaction[Bot]) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)
    user = await interaction.client.exbo.user_info(interaction.user.id)
    await answer(interaction, f"You are {discord.utils.escape_markdown(user.name)}.")


@app_commands.command(description="Forget your EXBO account")
async def unlink(interaction: discord.Interaction[Bot]) -> None:
    await interaction.client.exbo.forget_user_token(interaction.user.id)
    await answer(interaction, "Your account is no longer linked.")


async def answer(interaction: discord.Interaction[Bot], text: str) -> None:
    send = interaction.followup.send if interaction.response.is_done() else interaction.response.send_message
    await send(text, ephemeral=True)


async def explain(interaction: discord.Interaction[Bot], error: Exception) -> None:
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if isinstance(cause, LoginRequiredError):
        await answer(interaction, "No account of yours is linked, or EXBO has ended its sign-in. Use /link.")
    elif isinstance(cause, AccessDeniedError):
        await answer(interaction, "You declined, so no account was linked. Use /link to try again.")
    elif isinstance(cause, OAuthError):
        logging.getLogger("discord_bot").warning("%s", cause)
        await answer(interaction, "That did not work. Try again later.")
    else:
        raise error


def main() -> None:
    if not os.environ.get("BOT_TOKEN"):
        sys.exit("discord_bot: set BOT_TOKEN to the token of your bot")
    try:
        exbo = AsyncOAuthClient.from_env()
    except ConfigurationError as error:
        sys.exit(f"discord_bot: {error}")
    Bot(exbo).run(os.environ["BOT_TOKEN"])


if __name__ == "__main__":
    main()

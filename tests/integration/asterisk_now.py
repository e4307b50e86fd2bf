"""What Asterisk holds right now, asked over ARI."""

from __future__ import annotations

import aiohttp

from scripts.stack import Asterisk
from tests.sipp.api import Item, until


async def nothing_left(asterisk: Asterisk) -> None:
    """No channel, and no bridge but the ones callers wait in."""
    credentials = aiohttp.encode_basic_auth(asterisk.ari_user, asterisk.ari_password)
    async with aiohttp.ClientSession(headers={"Authorization": credentials}) as session:

        async def ask(what: str) -> list[Item]:
            async with session.get(f"{asterisk.ari_url}/{what}") as answer:
                return await answer.json()

        await until(lambda: ask("channels"), lambda found: not found, what="no channel is left")

        async def talks() -> list[str]:
            return [bridge["id"] for bridge in await ask("bridges") if "-music-" not in bridge["id"]]

        # Whoever made a bridge takes it away once its channels have gone.
        await until(talks, lambda found: not found, what="no bridge is left")

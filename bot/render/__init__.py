"""What the bot says: values → text and blocks. Pure; Slack's limits are kept in `bot.render.limits` alone."""

"""The channels there are. A new one is one file and one line here; a user's own is named in the settings."""

CHANNELS: dict[str, str] = {
    "terminal": "opinionwatch.alerts.terminal:Terminal",
    "slack": "opinionwatch.alerts.slack:Slack",
    "email": "opinionwatch.alerts.email_smtp:Email",
}
"""Kind in the settings → import string."""

"""The channels there are. A new one is one file and one line here; a user's own is named in the settings."""

CHANNELS: dict[str, str] = {
    "terminal": "opinionwatch.alerts.terminal:Terminal",
    "slack": "opinionwatch.alerts.slack:Slack",
    "slack_bot": "opinionwatch.alerts.slack_bot:SlackBot",
    "email": "opinionwatch.alerts.email_smtp:Email",
    "webhook": "opinionwatch.alerts.webhook:Webhook",
    "teams": "opinionwatch.alerts.teams:Teams",
    "pagerduty": "opinionwatch.alerts.pagerduty:PagerDuty",
    "dingtalk": "opinionwatch.alerts.dingtalk:DingTalk",
    "feishu": "opinionwatch.alerts.feishu:Feishu",
    "wecom": "opinionwatch.alerts.wecom:WeCom",
    "apprise": "opinionwatch.alerts.apprise_urls:Apprise",
}
"""Kind in the settings → import string."""

"""Every kind of source. Adding one is one file and one line here; a user's own is named `package.module:Class`."""

CONNECTORS: dict[str, str] = {
    "csv": "opinionwatch.connectors.csv_file:Csv",
    "demo": "opinionwatch.connectors.demo:Demo",
    "jsonl": "opinionwatch.connectors.jsonl:Jsonl",
    "rss": "opinionwatch.connectors.rss:Rss",
    "webhook": "opinionwatch.connectors.webhook:Webhook",
}
"""Kind → import string. Nothing is imported before it is named in the settings."""

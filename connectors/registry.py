"""Every kind of source. Adding one is one file and one line here; a user's own is named `package.module:Class`."""

CONNECTORS: dict[str, str] = {
    "appstore": "opinionwatch.connectors.appstore:AppStore",
    "bluesky": "opinionwatch.connectors.bluesky:Bluesky",
    "bridge": "opinionwatch.connectors.bridge:Bridge",
    "csv": "opinionwatch.connectors.csv_file:Csv",
    "demo": "opinionwatch.connectors.demo:Demo",
    "discourse": "opinionwatch.connectors.discourse:Discourse",
    "elasticsearch": "opinionwatch.connectors.elastic_index:ElasticIndex",
    "folder": "opinionwatch.connectors.folder:Folder",
    "gdelt": "opinionwatch.connectors.gdelt:Gdelt",
    "hackernews": "opinionwatch.connectors.hackernews:HackerNews",
    "imap": "opinionwatch.connectors.imap:Imap",
    "jsonl": "opinionwatch.connectors.jsonl:Jsonl",
    "kafka": "opinionwatch.connectors.kafka_topic:KafkaTopic",
    "mastodon": "opinionwatch.connectors.mastodon:Mastodon",
    "mastodon_stream": "opinionwatch.connectors.mastodon_stream:MastodonStream",
    "reddit": "opinionwatch.connectors.reddit:Reddit",
    "rss": "opinionwatch.connectors.rss:Rss",
    "stackexchange": "opinionwatch.connectors.stackexchange:StackExchange",
    "telegram": "opinionwatch.connectors.telegram:Telegram",
    "webhook": "opinionwatch.connectors.webhook:Webhook",
    "x": "opinionwatch.connectors.x:X",
    "youtube": "opinionwatch.connectors.youtube:YouTube",
}
"""Kind → import string. Nothing is imported before it is named in the settings."""

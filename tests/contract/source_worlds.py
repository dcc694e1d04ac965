"""Worlds of the sources that ask services: each an imitation on this machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient, KafkaProducer

from tests.connectors.bridges import RssHub
from tests.connectors.elastic_cluster import Cluster
from tests.connectors.imitation import Answer, imitating
from tests.connectors.jetstream import jetstream, post
from tests.connectors.keyed_services import RedditApi, XApi, YouTubeApi
from tests.connectors.mail_server import Mailbox, mail, mail_server
from tests.connectors.mastodon_streaming import FromZero, mastodon_streaming
from tests.connectors.news_files import GdeltFiles
from tests.connectors.services import (
    AppStoreFeed,
    DiscourseForum,
    HackerNewsSearch,
    MastodonServer,
    StackExchangeSite,
)
from tests.connectors.telegram_api import TelegramApi
from tests.contract.source_suite import Making, World

FOREVER_H = 100_000
"""A first poll that looks back to the first post of any imitation."""
TOKEN = "t0ken-that-nobody-may-see"
STREAMED_COUNT = 1_500
URL = "URL"
"""Stands for the imitation's address."""


def service(kind: str, answer: Callable[[], Answer], **given: object) -> World:
    """A world in which a kind asks one service."""

    @contextmanager
    def world(folder: Path) -> Iterator[Making]:
        with imitating(answer()) as imitation:
            secrets = {name: str(folder / name) for name in given if name.endswith("_file")}
            for path in secrets.values():
                Path(path).write_text(TOKEN + "\n")
            where = {"url": imitation.url, "allow_hosts": ["127.0.0.1"], "history_h": FOREVER_H}
            told = {**where, **given, **secrets}
            told = {
                name: value.replace(URL, imitation.url) if isinstance(value, str) else value
                for name, value in told.items()
            }
            yield Making(kind, {name: value for name, value in told.items() if value is not None}, imitation)

    world.__name__ = f"{kind}_service"
    return world


@contextmanager
def bluesky(folder: Path, count: int = STREAMED_COUNT) -> Iterator[Making]:
    """A Jetstream host."""
    del folder
    with jetstream([post(number) for number in range(count)]) as host:
        yield Making("bluesky", {"url": host.url, "allow_hosts": ["127.0.0.1"]})


@contextmanager
def mailbox(folder: Path, count: int = 94) -> Iterator[Making]:
    """A mail folder."""
    (folder / "password").write_text("s3cret")
    told = {"security": "none", "allow_hosts": ["127.0.0.1"], "user": "help", "secret_file": str(folder / "password")}
    with mail_server(Mailbox({uid: mail(uid) for uid in range(1, count + 1)})) as box:
        yield Making("imap", {"host": "127.0.0.1", "port": box.port, **told})


@contextmanager
def bridged(folder: Path, count: int = 500) -> Iterator[Making]:
    """A bridge with a long feed."""
    del folder
    with imitating(RssHub(count)) as service:
        told = {"recipe": "weibo_keyword", "params": {"keyword": "流墨"}, "allow_hosts": ["127.0.0.1"]}
        yield Making("bridge", {"url": service.url, **told}, service)


@contextmanager
def folder_of_files(folder: Path) -> Iterator[Making]:
    """Files in two formats."""
    watched = folder / "watched"
    watched.mkdir()
    for number in range(6):
        path = watched / (f"{number}.csv" if number % 2 else f"{number}.jsonl")
        start = 400 * number
        if number % 2:
            rows = "".join(f"{n},text {n}\n" for n in range(start, start + 400))
            path.write_text(f"native_id,text\n{rows}")
        else:
            path.write_text("".join(f'{{"native_id": "{n}", "text": "text {n}"}}\n' for n in range(start, start + 400)))
    yield Making("folder", {"path": str(watched), "settle_s": 0})


OTHERS: dict[str, tuple[World, ...]] = {"imap": (mailbox,), "bridge": (bridged,), "folder": (folder_of_files,)}
"""Kinds that are polled in their own ways."""
REAL: dict[str, str] = {}
"""Addresses of the real services, once they run."""


@contextmanager
def kafka_topic(folder: Path, count: int = STREAMED_COUNT) -> Iterator[Making]:
    """A topic of the real Kafka, with three partitions."""
    del folder
    name, servers = f"posts-{uuid4().hex[:12]}", REAL["kafka"]
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1}})
    producer = KafkaProducer(bootstrap_servers=servers)
    try:
        for number in range(count):
            producer.send(name, b'{"native_id": "%d", "text": "text %d"}' % (number, number), partition=number % 3)
        producer.flush()
        yield Making("kafka", {"servers": [servers], "topic": name})
    finally:
        producer.close()
        admin.delete_topics([name])
        admin.close()


@contextmanager
def mastodon_stream(folder: Path, count: int = STREAMED_COUNT, standing: int = STREAMED_COUNT // 3) -> Iterator[Making]:
    """A Mastodon server: so many of the posts stand there, the others are written while somebody listens."""
    (folder / "token").write_text(TOKEN)
    with mastodon_streaming(standing, count - 1, TOKEN, FromZero) as server:
        assert server.rest is not None
        where = {"url": server.rest.url, "allow_hosts": ["127.0.0.1"], "history_h": FOREVER_H}
        yield Making(
            "mastodon_stream", {**where, "hashtags": ["#Lumora"], "token_file": str(folder / "token")}, server.rest
        )


STREAMED: dict[str, tuple[World, ...]] = {
    "bluesky": (bluesky,),
    "kafka": (kafka_topic,),
    "mastodon_stream": (mastodon_stream,),
}
"""Kinds that go on for ever, with worlds in which so many posts come."""


def reddit(count: int) -> RedditApi:
    """With the secret of these worlds."""
    api = RedditApi(count)
    api.secret = TOKEN
    return api


def youtube(count: int) -> YouTubeApi:
    """With the key of these worlds."""
    api = YouTubeApi(count)
    api.key = TOKEN
    return api


ASKED: dict[str, tuple[World, ...]] = {
    "hackernews": (service("hackernews", lambda: HackerNewsSearch(1_234)),),
    "mastodon": (service("mastodon", lambda: MastodonServer(234, token=TOKEN), hashtags=["#Lumora"], token_file=""),),
    "discourse": (service("discourse", lambda: DiscourseForum(234, gone={*range(60, 150)})),),
    "stackexchange": (service("stackexchange", lambda: StackExchangeSite(534), site="stackoverflow", late_s=60),),
    "appstore": (service("appstore", lambda: AppStoreFeed(333), app=310633997, countries=["us", "CN"]),),
    "reddit": (
        service(
            "reddit",
            lambda: reddit(534),
            subreddits=["lumora", "r/Phones"],
            client_id="app",
            secret_file="",
            token_url=f"{URL}/api/v1/access_token",
        ),
    ),
    "youtube": (service("youtube", lambda: youtube(333), videos=["v1"], channels=["UC9"], key_file=""),),
    "elasticsearch": (
        service(
            "elasticsearch",
            lambda: Cluster(734, token=TOKEN),
            index="posts",
            fields={"text": "message.body"},
            api_key_file="",
            page_items=100,
        ),
    ),
    "telegram": (
        service("telegram", lambda: TelegramApi(534, token=TOKEN, forgets=False), token_file="", history_h=None),
    ),
    "gdelt": (service("gdelt", lambda: GdeltFiles(files=9, rows=90), history_h=2),),
    "x": (
        service(
            "x", lambda: XApi(333, token=TOKEN), query="lumora", token_file="", reads_per_day=10**6, history_h=None
        ),
    ),
}
"""Kinds that ask a service, with worlds to ask it in."""

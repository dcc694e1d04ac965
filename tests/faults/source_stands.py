"""What the campaign over all sources reads: every kind at an imitation of its service, growing while it is read.

A stand says which documents there have been, and may drop some from its window while nobody looks.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from pydantic import BaseModel

from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.contracts import Gap
from opinionwatch.pipeline.registry import resolve
from tests.connectors.imitation import Asked, Told, imitating
from tests.connectors.mail_server import Mailbox, mail, mail_server
from tests.connectors.news_files import STEP, GdeltFiles
from tests.contract.source_suite import Making
from tests.contract.source_worlds import ASKED
from tests.faults.source_streams import Stand, bluesky, kafka, webhook, within

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
WINDOW = 150
"""Entries that a feed shows."""
DOCUMENTS = {
    "hackernews": 4_000, "mastodon": 2_000, "discourse": 2_500, "stackexchange": 3_000, "appstore": 880,
    "reddit": 1_800, "youtube": 1_500, "x": 3_000, "elasticsearch": 5_000, "telegram": 3_000, "gdelt": 40,
    "bluesky": 3_000, "kafka": 6_000, "imap": 1_500, "folder": 5_000, "jsonl": 5_000, "csv": 5_000, "webhook": 2_000,
    "rss": 2_500, "bridge": 2_500,
}  # fmt: skip
"""How many numbers each stand counts to; several are worth more than one document each."""
SHOWN = {"appstore": 500}
"""As many reviews of a country as Apple shows: what has been is asked of the service at the end."""


@dataclass
class Window:
    """A feed that shows its newest entries only."""

    count: int = 0

    def __call__(self, asked: Asked) -> Told:
        """The feed, with an ETag."""
        count = self.count
        if asked.headers.get("if-none-match") == f'"{count}"':
            return Told(b"", 304)
        items = "".join(
            f"<item><guid isPermaLink='false'>{number}</guid><title>entry {number} 很好</title>"
            f"<pubDate>{format_datetime(BEGIN + timedelta(seconds=number))}</pubDate></item>"
            for number in range(count, max(0, count - WINDOW), -1)
        )
        feed = f"<rss version='2.0'><channel><title>t</title>{items}</channel></rss>"
        return Told(feed.encode(), 200, {"ETag": f'"{count}"', "Content-Type": "application/xml"})


@contextmanager
def window(kind: str, most: int) -> Iterator[Stand]:
    """A feed, or a bridge that makes one."""
    feed = Window()
    with imitating(feed) as service:
        given: dict[str, object] = {"url": service.url, "allow_hosts": ["127.0.0.1"], "interval_s": 1}
        if kind == "bridge":
            given |= {"recipe": "weibo_keyword", "params": {"keyword": "流墨"}}

        def grow(count: int) -> None:
            feed.count = count

        yield Stand(
            kind, given, most, grow, lambda: {str(number) for number in range(1, feed.count + 1)},
            lambda there: there + WINDOW + 50,
            lambda key, gap: within(BEGIN + timedelta(seconds=int(key)), gap),
        )  # fmt: skip


def shortest(kind: str) -> float:
    """The shortest interval at which a kind may be asked, in seconds."""
    settings: type[BaseModel] = resolve(CONNECTORS, kind, kind).__dict__["Settings"]
    return next(float(rule.ge) for rule in settings.model_fields["interval_s"].metadata if hasattr(rule, "ge"))


@contextmanager
def asked(kind: str, most: int, folder: Path) -> Iterator[Stand]:
    """A service of the contract suite, made to grow."""
    [world] = ASKED[kind]
    with world(folder) as making:
        assert isinstance(making, Making)
        assert making.service is not None
        answer = making.service.answer

        def grow(count: int) -> None:
            vars(answer)["count"] = count

        grow(0)
        vars(answer)["gone"] = set[int]()  # a forum of which nothing but deleted posts is left shows nothing at all
        given = {**making.given, "interval_s": max(2, shortest(kind))}
        yield Stand(kind, given, most, grow, service=Making(kind, making.given))


@contextmanager
def telegram(most: int, folder: Path) -> Iterator[Stand]:
    """A bot, whose updates are forgotten once they were had: they are known by their numbers."""
    with asked("telegram", most, folder) as stand:
        assert stand.service is not None
        stand.ids = lambda: {f"-1001234/{number}" for number in range(1, stand.there + 1)}
        stand.service = None
        yield stand


class Files(GdeltFiles):
    """With quiet days before the first file, so that a first look may go back as far as it likes."""

    def __call__(self, asked: Asked) -> Told:
        """As the base does."""
        stamp = asked.path[1:15]
        if stamp.isdecimal() and stamp < self.stamp(0):
            quiet = GdeltFiles(files=1, rows=0)
            return Told(quiet.packed(0, translated=False))
        return super().__call__(asked)


@contextmanager
def gdelt(most: int) -> Iterator[Stand]:
    """Files, of which every seventh never comes."""
    files = Files(files=1, rows=90, missing={number for number in range(3, most - 6) if number % 7 == 3})
    with imitating(files) as service:

        def grow(count: int) -> None:
            files.files = max(1, count)

        def ids() -> set[str]:
            rows = [row for row in range(files.rows) if row % 7]
            return {f"{files.stamp(number)}-{row}" for number in range(files.files) for row in rows}

        def lost(key: str, gap: Gap) -> bool:
            at = datetime.strptime(key.partition("-")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            return gap.since == at and gap.until == at + STEP

        given = {"url": service.url, "allow_hosts": ["127.0.0.1"], "history_h": most / 4, "interval_s": 2}
        yield Stand("gdelt", given, most, grow, ids, lost=lost)


@contextmanager
def imap(most: int, folder: Path) -> Iterator[Stand]:
    """A mail folder."""
    (folder / "password").write_text("s3cret")
    with mail_server(Mailbox({})) as box:

        def grow(count: int) -> None:
            box.mails = {**box.mails, **{uid: mail(uid) for uid in range(len(box.mails) + 1, count + 1)}}

        given = {
            "host": "127.0.0.1", "port": box.port, "security": "none", "allow_hosts": ["127.0.0.1"], "user": "help",
            "secret_file": str(folder / "password"), "interval_s": 2,
        }  # fmt: skip
        yield Stand("imap", given, most, grow, lambda: {f"<{uid}@example.org>" for uid in box.mails})


@contextmanager
def files(kind: str, most: int, folder: Path) -> Iterator[Stand]:
    """A growing file, or a folder of files."""
    place = folder / ("watched" if kind == "folder" else f"posts.{kind}")
    written = 0
    if kind == "folder":
        place.mkdir()
    else:
        place.write_text("native_id,text\n" if kind == "csv" else "")

    def grow(count: int) -> None:
        nonlocal written
        numbers, start, written = range(written, count), written, max(written, count)
        rows = "".join(
            f'{n},"text {n}, 很好"\n'
            if kind == "csv"
            else json.dumps({"native_id": f"{n}", "text": f"text {n} 很好"}) + "\n"
            for n in numbers
        )
        if kind != "folder":
            with place.open("a", encoding="utf-8") as file:
                file.write(rows)
        elif rows:
            (folder / "next").write_text(rows, encoding="utf-8")
            (folder / "next").rename(place / f"{start:06}.jsonl")

    given = {"path": str(place), **({"settle_s": 0, "interval_s": 1} if kind == "folder" else {"follow": True})}
    yield Stand(kind, given, most, grow, lambda: {f"{number}" for number in range(written)})


@contextmanager
def stands(folder: Path, servers: str, port: int, part: float) -> Iterator[dict[str, Stand]]:
    """All of them, each with its part of the documents; by kind."""
    made = {kind: max(24, min(int(count * part), SHOWN.get(kind, count))) for kind, count in DOCUMENTS.items()}
    with ExitStack() as stack:
        found: dict[str, Stand] = {}
        for kind, most in made.items():
            (place := folder / kind).mkdir(parents=True)
            found[kind] = stack.enter_context(_stand(kind, most, place, servers, port))
        yield found


def _stand(kind: str, most: int, folder: Path, servers: str, port: int) -> AbstractContextManager[Stand]:
    match kind:
        case "rss" | "bridge":
            return window(kind, most)
        case "jsonl" | "csv" | "folder":
            return files(kind, most, folder)
        case "telegram":
            return telegram(most, folder)
        case "gdelt":
            return gdelt(most)
        case "bluesky":
            return bluesky(most)
        case "kafka":
            return kafka(most, servers)
        case "imap":
            return imap(most, folder)
        case "webhook":
            return webhook(most, port)
    return asked(kind, most, folder)

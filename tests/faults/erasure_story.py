"""What the erasure campaigns plant, and where people get to see it: quotes of alerts, digests, exports."""

import io
import random
from dataclasses import replace

import orjson

from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.digests import Maker
from opinionwatch.pipeline.export import write_csv, write_jsonl
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Settings
from tests.pipeline.rig import BEGIN, TODAY, story

SECRETS = (b"Wilhelmina", b"wilhelmina", b"zanzibarquux", "奇异词壹贰叁".encode())
"""What these people are called and what only they say, each with a number of his own."""
SHOWN = {"quotes of episodes", "quotes of alerts", "export by write_jsonl", "export by write_csv"}
"""Where people must have seen planted bytes before the erasure, or it proves little. Digests tell figures and names of
watchlists, aspects and sources, never what somebody wrote.
"""
DEAD = 12
"""Dead letters."""
URL = "http://127.0.0.1:8765"


def count(content: bytes) -> int:
    """How often planted bytes stand in it."""
    return sum(content.count(secret) for secret in SECRETS)


def people(documents: int) -> int:
    """How many the planted ones are: a person is one voice, so a large crowd must have many, or it quotes none."""
    return max(50, documents // 12)


def told(documents: int) -> list[Item]:
    """A planted story of about so many documents (700 at least, or quotes may miss those who are planted), with a
    crisis as large as is seen among them.
    """
    crowd = max(110, documents // 12)
    return planted(story(days=2, an_hour=max(1, (documents - crowd * 15 // 11) // 48), crowd=crowd), people(documents))


def planted(items: list[Item], people: int) -> list[Item]:
    """The story with half of its negative posts said by so many people, and a dead letter of some of them."""
    dice = random.Random(11)
    found: list[Item] = []
    for number, item in enumerate(items):
        try:
            body = orjson.loads(item.body)
        except orjson.JSONDecodeError:
            found.append(item)
            continue
        cross = any(word in body.get("text", "") for word in ("awful", "太差"))
        if cross and dice.random() < 1 / 2:
            n = number % people
            said = f"My Lumora 流墨 overheats, the battery is awful, 电池发烫 zanzibarquux{n} 奇异词壹贰叁{n} "
            body = {
                **body,
                "native_id": f"wilhelmina{n}-{number}",
                "author": f"Wilhelmina{n}",
                "text": said + " ".join(f"{dice.choice('abcdefgh')}{dice.randrange(9999)}" for _ in range(12)),
                "url": f"https://people.example/wilhelmina{n}",
            }
        found.append(replace(item, body=orjson.dumps(body)))
    last = items[-1].arrived_at
    for n in range(DEAD):
        broken = {
            "native_id": f"wilhelmina{n}-dead",
            "author": f"Wilhelmina{n}",
            "text": f"zanzibarquux{n}",
            "title": 1,
        }
        found.append(Item(orjson.dumps(broken), last))
    return found


def named(item: Item) -> str | None:
    """The native id of a planted item."""
    try:
        name: str = orjson.loads(item.body)["native_id"]
    except orjson.JSONDecodeError:
        return None
    return name if name.startswith("wilhelmina") else None


def shown(settings: Settings, archive: Archive) -> dict[str, int]:
    """What people get to see, with how often planted bytes stand in it: posts that episodes and alerts quote, digests
    in both languages, both kinds of export.
    """
    maker = Maker(settings, archive, lambda: URL)
    seen = {
        "quotes of episodes": b"".join(each.model_dump_json().encode() for each in archive.episodes(limit=1000)),
        "quotes of alerts": b"".join(each.model_dump_json().encode() for each in archive.deliveries(limit=1000)),
    }
    for language in ("en", "zh"):
        one = DigestSettings(name="all", channel="mail", every="week", language=language)
        seen[f"digest {language}"] = repr(maker.made(one, BEGIN, TODAY)).encode()  # it has a picture in it
    for write in (write_jsonl, write_csv):
        stream = io.StringIO()
        write(archive.every_document(), stream)
        seen[f"export by {write.__name__}"] = stream.getvalue().encode()
    return {name: found for name, content in seen.items() if (found := count(content))}

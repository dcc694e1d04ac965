"""A story in which people change their minds: posts are edited, taken back, liked; records repeat and come late."""

import random
from datetime import datetime, timedelta

import orjson

from opinionwatch.pipeline.ports import Item
from tests.pipeline.rig import story

TEXTS = (
    "The Lumora battery is lovely now, number {n}",
    "My Lumora overheats, the screen is awful, number {n}",
    "Nothing to see here, number {n}",
    "流墨的battery发烫 太差 第{n}次",
)


def changing(seed: int = 5, days: int = 2) -> list[Item]:
    """The story, and within hours: every eighth post edited once or twice (also into one that is about nothing, and
    back), every twelfth deleted, every sixth told again with figures; older versions and deletions repeated. In order
    of arrival.
    """
    dice = random.Random(seed)
    found: list[tuple[datetime, Item]] = []
    for number, item in enumerate(story(seed, days)):
        at = item.arrived_at
        assert at is not None
        found.append((at, item))
        try:
            body = orjson.loads(item.body)
        except orjson.JSONDecodeError:
            continue

        def later(told: dict[str, object], hours: float, start: datetime = at) -> None:
            moment = start + timedelta(hours=dice.uniform(0, hours))
            found.append((moment, Item(orjson.dumps(told), moment)))

        if dice.random() < 1 / 8:
            for edit in range(dice.randint(1, 3)):
                written = at + timedelta(minutes=1 + 40 * edit)
                text = dice.choice(TEXTS).format(n=number)
                later({**body, "text": text, "edited_at": written.isoformat(), "likes": edit}, 6, written)
        if dice.random() < 1 / 12:
            for _ in range(dice.randint(1, 2)):
                later({"native_id": body["native_id"], "deleted": True}, 6)
        if dice.random() < 1 / 6:
            later({**body, "likes": dice.randrange(50), "replies": dice.randrange(9)}, 4)
    found.sort(key=lambda pair: pair[0])
    return [item for _, item in found]

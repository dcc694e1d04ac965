"""Edits, deletions and engagement, applied to every kind whose service says them: what a later poll brings takes the
place of what an earlier one brought, or takes it away.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.walking import Walking
from opinionwatch.pipeline.accept import Accept, Arrival
from opinionwatch.pipeline.contracts import Document
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.ports import Item, Source
from opinionwatch.pipeline.settings import Limits
from tests.connectors.bridges import RssHub
from tests.connectors.elastic_cluster import Cluster
from tests.connectors.imitation import Answer
from tests.connectors.keyed_services import XApi, YouTubeApi
from tests.connectors.pushing import Desk, listening
from tests.connectors.services import Posts, iso, when
from tests.connectors.telegram_api import TelegramApi, message
from tests.contract.source_suite import Making, build, collect, items
from tests.contract.source_worlds import ASKED, OTHERS

NOW = datetime.now(UTC)
FIGURES = (12, 5, 3)
"""Likes, reposts and replies, where a service tells all of them."""
WORLDS = {**ASKED, **OTHERS}


@dataclass(frozen=True)
class Said:
    """How a service says it: what changes there, and which figures come of it."""

    change: Callable[[Answer], None]
    likes: bool = False
    reposts: bool = False
    replies: bool = False

    @property
    def figures(self) -> tuple[int | None, ...]:
        """Likes, reposts, replies; None: it does not tell."""
        told = (self.likes, self.reposts, self.replies)
        return tuple(figure if each else None for figure, each in zip(FIGURES, told, strict=True))


LATER = iso(1_000)


def post(number: int, **fields: object) -> Callable[[Answer], None]:
    """One post of a service that keeps its posts by number says something else."""

    def change(answer: Answer) -> None:
        assert isinstance(answer, Posts)
        answer.changed[number] = fields

    return change


def _x(answer: Answer) -> None:
    """An edit is a post of its own, with the first one's id in its history."""
    assert isinstance(answer, XApi)
    first = answer.id_of(answer.count)
    answer.count += 1
    answer.changed[answer.count] = {
        "text": "now better",
        "created_at": NOW.isoformat(),
        "edit_history_tweet_ids": [first, answer.id_of(answer.count)],
        "public_metrics": {"like_count": 12, "retweet_count": 5, "reply_count": 3, "quote_count": 1},
    }


def _telegram(answer: Answer) -> None:
    assert isinstance(answer, TelegramApi)
    answer.changed.append(message(answer.count, text="now better", edit_date=when(answer.count) + 60))


def _youtube(answer: Answer) -> None:
    assert isinstance(answer, YouTubeApi)
    key = f"v1-{answer.count}"
    comment = answer.comment("v1", key, answer.count)
    assert isinstance(comment["snippet"], dict)
    comment["snippet"] |= {"textOriginal": "now better", "updatedAt": LATER, "likeCount": 12}
    top = {"videoId": "v1", "topLevelComment": comment, "totalReplyCount": 3}
    answer.changed[answer.count] = {"id": key, "snippet": top}


def written_anew(answer: Answer, **fields: object) -> None:
    """The last document of an index, with a later time."""
    assert isinstance(answer, Cluster)
    answer.late[answer.count] = when(1_000)
    answer.changed[answer.count] = fields


def _elastic(answer: Answer) -> None:
    assert isinstance(answer, Cluster)
    written_anew(answer, message={"body": "now better"}, made=when(answer.count), likes=12)


def _elastic_gone(answer: Answer) -> None:
    written_anew(answer, gone=True)


def _bridge(answer: Answer) -> None:
    assert isinstance(answer, RssHub)
    counts = "<rsshub:upvotes>12</rsshub:upvotes><rsshub:comments>3</rsshub:comments>"
    answer.changed[answer.count] = ("now better", f"<updated>2026-03-01T09:00:00Z</updated>{counts}")


EDITED: dict[str, Said] = {
    "appstore": Said(
        post(333, content={"label": "now better"}, updated={"label": LATER}, **{"im:voteSum": {"label": "12"}}),
        likes=True,
    ),
    "bridge": Said(_bridge, likes=True, replies=True),
    "discourse": Said(
        post(
            234,
            version=2,
            updated_at=LATER,
            cooked="<p>now better</p>",
            actions_summary=[{"id": 8, "count": 99}, {"id": 2, "count": 12}],
            reply_count=3,
        ),
        likes=True,
        replies=True,
    ),
    "elasticsearch": Said(_elastic, likes=True),
    "reddit": Said(
        post(534, edited=when(1_000), selftext="now better", score=12, num_comments=3), likes=True, replies=True
    ),
    "stackexchange": Said(
        post(534, last_edit_date=when(1_000), body="<p>now better</p>", score=12, answer_count=3),
        likes=True,
        replies=True,
    ),
    "telegram": Said(_telegram),
    "x": Said(_x, likes=True, reposts=True, replies=True),
    "youtube": Said(_youtube, likes=True, replies=True),
}
"""Kinds that say when a text was edited, by what they say then."""
DELETED: dict[str, tuple[Callable[[Answer], None], ...]] = {
    "discourse": (post(233, user_deleted=True), post(233, deleted_at=LATER)),
    "elasticsearch": (_elastic_gone,),
    "hackernews": (post(1_234, deleted=True), post(1_234, dead=True)),
    "reddit": (post(534, removed_by_category="moderator"), post(533, body="[deleted]")),
}
"""Kinds that say when a text was taken back, by the ways in which they do."""
DELETIONS = [
    pytest.param(kind, change, id=f"{n}-{kind}") for kind, each in DELETED.items() for n, change in enumerate(each)
]


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite asks its own server faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def accepted(source: Source, found: Sequence[Item]) -> dict[str, Document | Deletion]:
    """What the pipeline makes of items, by id; the last one of an id stands."""
    accept = Accept(Limits(), "default", b"key")
    outcomes = accept([Arrival(source.name, source.kind, source.instance, item) for item in found], NOW)
    made = [each for each in outcomes if isinstance(each, Document | Deletion)]
    assert len(made) == len(found)
    return {each.id: each for each in made}


def two_polls(
    kind: str, change: Callable[[Answer], None], folder: Path
) -> tuple[dict[str, Document | Deletion], dict[str, Document | Deletion]]:
    """What a poll brings, and what the next one does after something has changed."""
    with WORLDS[kind][0](folder) as make:
        assert isinstance(make, Making)
        assert make.service is not None
        # Edits are looked for in what was published within `late_s`, where a service cannot be asked for them.
        more: dict[str, object] = {"late_s": 86_400} if isinstance(make(), Walking) else {}
        if kind == "elasticsearch":
            more = {"fields": {"text": "message.body", "published_at": "made", "edited_at": "@timestamp",
                               "deleted": "gone", "likes": "likes"}}  # fmt: skip
        making = replace(make, given={**make.given, **more})
        pages = collect(making().fetch(None))
        change(make.service.answer)
        more_pages = collect(making().fetch(pages[-1].cursor))
        assert items(collect(making().fetch(more_pages[-1].cursor))) == [], "it is told once"
        return accepted(making(), items(pages)), accepted(making(), items(more_pages))


@pytest.mark.parametrize("kind", EDITED)
def test_an_edit_takes_the_place_of_what_was_there_and_brings_its_figures(kind: str, tmp_path: Path) -> None:
    before, after = two_polls(kind, EDITED[kind].change, tmp_path)
    assert after, "an edit is handed on"
    for key, edited in after.items():
        first = before[key]
        assert isinstance(edited, Document)
        assert isinstance(first, Document)
        assert "now better" in edited.text and "now better" not in first.text
        assert edited.version > first.version
        figures = edited.engagement
        told = (None,) * 3 if figures is None else (figures.likes, figures.reposts, figures.replies)
        assert told == EDITED[kind].figures


COUNTED: dict[str, Callable[[Answer], None]] = {
    "appstore": post(333, **{"im:voteSum": {"label": "12"}}),
    "discourse": post(234, actions_summary=[{"id": 2, "count": 12}]),
    "hackernews": post(1_232, points=12, num_comments=3),
    "reddit": post(534, score=12),
    "stackexchange": post(534, score=12),
}
"""Kinds that are asked again for what was published lately, by what others have done with a text meanwhile."""


@pytest.mark.parametrize("kind", COUNTED)
def test_new_figures_without_an_edit_are_told_once_for_the_text_that_is_there(kind: str, tmp_path: Path) -> None:
    before, after = two_polls(kind, COUNTED[kind], tmp_path)
    assert after
    for key, counted in after.items():
        first = before[key]
        assert isinstance(first, Document) and isinstance(counted, Document)
        assert (counted.text, counted.version) == (first.text, first.version), "figures make no version"
        assert counted.engagement is not None and counted.engagement.likes == 12


@pytest.mark.parametrize(("kind", "change"), DELETIONS)
def test_a_deletion_is_handed_on_under_the_id_of_what_was_there(
    kind: str, change: Callable[[Answer], None], tmp_path: Path
) -> None:
    before, after = two_polls(kind, change, tmp_path)
    [(key, gone)] = after.items()
    assert isinstance(before[key], Document)
    assert isinstance(gone, Deletion)


@pytest.mark.parametrize(
    ("kind", "suffix"), [("jsonl", "jsonl"), ("csv", "csv"), ("folder", "csv"), ("folder", "jsonl")]
)
def test_files_tell_edits_deletions_and_figures_in_the_fields_of_the_input_format(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    rows: list[dict[str, str | int | bool]] = [
        {"native_id": "1", "text": "worse", "published_at": LATER, "edited_at": "", "deleted": False, "likes": 1},
        {"native_id": "2", "text": "gone", "published_at": LATER, "edited_at": "", "deleted": False, "likes": 1},
        {
            "native_id": "1",
            "text": "now better",
            "published_at": LATER,
            "edited_at": iso(2_000),
            "deleted": False,
            "likes": 12,
        },
        {"native_id": "2", "text": "", "published_at": "", "edited_at": "", "deleted": True, "likes": ""},
    ]
    path = tmp_path / f"posts.{suffix}"
    if suffix == "jsonl":
        told = [{name: value for name, value in row.items() if value != ""} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in told))
    else:
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    source = build(
        kind, path=str(tmp_path if kind == "folder" else path), **({"settle_s": 0} if kind == "folder" else {})
    )
    edited, gone = accepted(source, items(collect(source.fetch(None)))).values()
    assert isinstance(edited, Document) and isinstance(gone, Deletion)
    assert (edited.text, edited.version > 0, edited.engagement and edited.engagement.likes) == ("now better", True, 12)


@pytest.mark.parametrize("kind", ["webhook"])
def test_who_pushes_tells_edits_and_deletions_in_the_fields_of_the_input_format(kind: str) -> None:
    desk = Desk()
    first = {"native_id": "1", "text": "worse", "published_at": LATER}
    with listening(desk) as sender:
        for more in ({}, {"text": "now better", "edited_at": iso(2_000), "replies": 3}, {"deleted": True}):
            assert sender.post(json.dumps({**first, **more}).encode())[0] == 200
    accept = Accept(Limits(), "default", b"key")
    worse, better, gone = accept([Arrival("push", kind, "push", item) for item in desk.items], NOW)
    assert isinstance(worse, Document) and isinstance(better, Document) and isinstance(gone, Deletion)
    assert worse.id == better.id == gone.id
    assert better.version > worse.version
    assert better.engagement is not None and better.engagement.replies == 3

"""What later versions and deletions change in the trend hop, and what they cannot."""

import zlib
from datetime import UTC, datetime, timedelta

import numpy as np

from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.pending_before import KEYS
from opinionwatch.alerts.trend import Trend
from opinionwatch.alerts.trend_state import VERSION
from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.contracts_trend import Alert, Episode, Window
from opinionwatch.pipeline.snapshots import Arrays, Facts, pack, unpack
from opinionwatch.pipeline.ticks import Progress, tick_of
from opinionwatch.pipeline.versions import DELETED
from tests.alerts.stream import Stream

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def revised(mention: Mention, hours: float, **changes: object) -> Mention:
    """A later version of a mention."""
    at = mention.accepted_at + timedelta(hours=hours)
    return mention.model_copy(update={"version": round(hours * 1000), "revised_at": at, **changes})


def taken_back(mention: Mention, hours: float) -> Withdrawal:
    """Its deletion."""
    at = mention.accepted_at + timedelta(hours=hours)
    return Withdrawal(document_id=mention.document_id, version=DELETED, at=at)


def windows(trend: Trend, batch: list[object], up_to: datetime) -> dict[tuple[datetime, str], tuple[int, ...]]:
    """The last state of every window: posts, voices, negative, positive."""
    found = trend([*batch, Progress(up_to)], NOON)
    return {
        (each.start, each.aspect): (each.posts, each.voices, each.negative, each.positive)
        for each in found
        if isinstance(each, Window)
    }


def test_an_edit_moves_between_cells_in_its_own_window_and_keeps_its_standing() -> None:
    stream, trend = Stream(), Trend(TrendSettings(), "default")
    said = stream.say(NOON, label="negative", aspect="battery")
    windows(trend, [said], NOON + timedelta(hours=1))
    label = said.reading.sentiment.model_copy(update={"label": "positive"})
    later = revised(said, 5, aspect="screen", reading=said.reading.model_copy(update={"sentiment": label}))
    found = windows(trend, [later], NOON + timedelta(hours=8))
    assert found == {(NOON, "battery"): (0, 0, 0, 0), (NOON, "screen"): (1, 1, 0, 1)}
    assert windows(trend, [later, revised(said, 2)], NOON + timedelta(hours=9)) == {}, "told again, or older"


def test_a_state_of_the_version_before_is_read_and_what_it_counted_stays_counted() -> None:
    stream, trend = Stream(), Trend(TrendSettings(), "default")
    said = stream.say(NOON, label="negative")
    waits = stream.say(NOON + timedelta(hours=2), label="neutral")
    trend([said, Progress(NOON + timedelta(hours=1)), waits], NOON)
    arrays, facts = with_names(trend.snapshot(), said)
    old = {name: array for name, array in arrays.items() if not name.startswith(("said_", "pending"))}
    del old["suspect"]
    old["window_counts"] = np.ascontiguousarray(arrays["window_counts"][:, :7])
    facts["pending"] = [[tick_of(waits.accepted_at), [waits.model_dump(mode="json")]]]
    restored = Trend(TrendSettings(), "default")
    restored.restore(pack(2, old, facts))
    up_to = NOON + timedelta(hours=3)
    assert windows(restored, [], up_to) == windows(trend, [], up_to) != {}
    assert windows(restored, [taken_back(said, 4)], NOON + timedelta(hours=6)) == {}


def test_a_state_that_kept_what_waits_as_json_is_read() -> None:
    stream, trend = Stream(), Trend(TrendSettings(), "default")
    said, waits = stream.say(NOON, label="negative"), stream.say(NOON + timedelta(hours=2), label="neutral")
    gone = taken_back(said, 2)
    trend([said, Progress(NOON + timedelta(hours=1)), waits, gone], NOON)
    arrays, facts = with_names(trend.snapshot(), said)
    old = {name: array for name, array in arrays.items() if not name.startswith("pending")}
    told = [[isinstance(each, Mention), each.model_dump(mode="json")] for each in (waits, gone)]
    facts["pending"] = [[tick_of(waits.accepted_at), told]]
    restored, up_to = Trend(TrendSettings(), "default"), NOON + timedelta(hours=3)
    restored.restore(pack(3, old, facts))
    assert windows(restored, [], up_to) == windows(trend, [], up_to) != {}


def test_a_state_that_kept_authors_by_name_is_read() -> None:
    stream, trend = Stream(), Trend(TrendSettings(), "default")
    said, waits = stream.say(NOON, label="negative"), stream.say(NOON + timedelta(hours=3), label="neutral")
    gone = taken_back(waits, 1)
    up_to = Progress(NOON + timedelta(hours=3))
    trend([said, Progress(NOON + timedelta(hours=1)), revised(said, 2), up_to, waits, gone], NOON)
    arrays, facts = with_names(trend.snapshot(), said)
    assert arrays["said_versions"].tolist() == [2000]
    entries = [(tick_of(waits.accepted_at), b"m", waits), (tick_of(gone.at), b"w", gone)]
    packed = [letter + bytes(16) + deflated(each.model_dump_json().encode()) for _, letter, each in entries]
    arrays["pending"] = np.frombuffer(b"".join(packed), np.uint8)
    arrays["pending_sizes"] = np.array([len(each) for each in packed])
    arrays["pending_ticks"] = np.array([tick for tick, _, _ in entries])
    restored = Trend(TrendSettings(), "default")
    restored.restore(pack(4, arrays, facts))
    assert unpack(VERSION, restored.snapshot())[1] == unpack(VERSION, trend.snapshot())[1]
    again = stream.say(NOON + timedelta(minutes=30), label="negative", late=timedelta(hours=3), author=said.author)
    found = [windows(each, [revised(said, 1), again], NOON + timedelta(hours=5)) for each in (trend, restored)]
    assert found[0] == found[1]
    assert found[0][NOON + timedelta(minutes=30), again.aspect][:2] == (1, 0)


def deflated(line: bytes) -> bytes:
    """As version 4 did it."""
    deflate = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS, memLevel=5, zdict=KEYS)
    return deflate.compress(line) + deflate.flush()


def with_names(snapshot: bytes, said: Mention) -> tuple[Arrays, Facts]:
    """A state as it was kept before version 5; all that was counted is of one author."""
    arrays, facts, _ = unpack(VERSION, snapshot)
    changed = dict(zip(map(bytes, arrays.pop("version_ids")), arrays.pop("version_numbers"), strict=True))
    arrays["said_versions"] = np.array([changed.get(bytes(each), 0) for each in arrays["said_ids"]], np.int64)
    del arrays["author_ids"], facts["author_watchlists"]
    return arrays, facts | {"authors": [[said.watchlist, said.author]]}


def test_what_comes_after_the_memory_changes_no_window() -> None:
    stream, trend = Stream(), Trend(TrendSettings(window_memory_h=26), "default")
    said = stream.say(NOON, label="negative")
    windows(trend, [said], NOON + timedelta(hours=1))
    for late in (revised(said, 27), taken_back(said, 28)):
        assert windows(trend, [late], NOON + timedelta(hours=30)) == {}


def test_a_deletion_takes_the_quotation_out_of_an_open_episode_and_not_the_alarm() -> None:
    stream, trend = Stream(), Trend(TrendSettings(), "default")
    stream.talk(NOON, 24 * 9, 8)
    crisis = NOON + timedelta(days=9)
    stream.storm(crisis, 2, 100, authors=500)
    up_to = crisis + timedelta(hours=2)
    found = trend([*stream.mentions, Progress(up_to)], NOON)
    assert [each.event for each in found if isinstance(each, Alert)][:1] == ["opened"]
    episode = [each for each in found if isinstance(each, Episode)][-1]
    quoted = episode.explanation.exemplars[0].document_id
    mention = next(each for each in stream.mentions if each.document_id == quoted)
    back = mention.model_copy(update={"accepted_at": up_to})
    after = trend([taken_back(back, 0), Progress(up_to + timedelta(minutes=10))], NOON)
    told = [each for each in after if isinstance(each, Episode)]
    assert told
    assert told[-1].id == episode.id
    assert quoted not in {each.document_id for each in told[-1].explanation.exemplars}
    assert told[-1].resolved_at is None

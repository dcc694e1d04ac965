"""The worked examples do what their pages say."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from opinionwatch.pipeline import digests, wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.settings import load
from tests.pipeline.command import Command

FINANCE = Path(__file__).parents[1] / "compose" / "examples" / "finance"
SECRETS = {
    "slack.token": "xoxb-1234567890",
    "slack.signing": "0123456789abcdef0123456789abcdef",
    "feishu.url": "https://open.feishu.cn/open-apis/bot/v2/hook/0",
    "feishu.secret": "0123456789abcdef",
    "pagerduty.key": "0" * 32,
    "forum.secret": "0123456789abcdef0123456789abcdef",
}


def test_the_financial_sample_raises_the_alert_that_its_page_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "replay"
    settings = FINANCE / "opinionwatch.yaml"
    ended = Command(monkeypatch)("replay", FINANCE / "sample.jsonl", "-c", settings, "--data-dir", store)
    assert ended.code == 0, ended.said
    assert "Halden Motors: the tone has turned negative" in ended.said
    archive = SqliteArchive(store / "opinionwatch.db")
    (episode,) = archive.episodes()
    signal = episode.explanation.signal
    assert (episode.watchlist, episode.kind) == ("halden", "crisis")
    assert f"{episode.opened_at:%d %H:%M}" == "10 02:25"
    assert {"accounting", "recall"} <= {part.name for part in signal.aspects[:3]}
    assert signal.sources[0].name == "forum"
    assert {one.lang for one in episode.explanation.exemplars} == {"en", "zh"}


def test_the_sample_is_small_hand_written_and_in_both_languages() -> None:
    posts = [json.loads(line) for line in (FINANCE / "sample.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({post["native_id"] for post in posts}) == len({post["text"] for post in posts}) == len(posts) < 200
    assert {post["source"] for post in posts} == {"announcements", "newswire", "forum", "microblog"}
    chinese = sum(any("\u4e00" <= character <= "\u9fff" for character in post["text"]) for post in posts)
    assert 0.3 < chinese / len(posts) < 0.7


def uncommented() -> Mapping[str, object]:
    """The settings with their commented parts."""
    lines = []
    inside = False
    for line in (FINANCE / "opinionwatch.yaml").read_text(encoding="utf-8").splitlines():
        inside = line in ("# sources:", "# web:", "# channels:", "# notify:") or (inside and line.startswith("# "))
        lines.append(line.removeprefix("# ") if inside else line)
    parsed: dict[str, object] = yaml.safe_load("\n".join(lines))
    return parsed


def test_the_commented_settings_work_once_their_secrets_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, secret in SECRETS.items():
        Path(name).write_text(secret, encoding="utf-8")
    Path("settings.yaml").write_text(yaml.safe_dump(uncommented()), encoding="utf-8")
    settings = load(Path("settings.yaml"))
    channels = wiring.channels(settings)
    assert set(channels) == {"desk", "team", "duty", "mail"}
    assert [one.name for one in digests.chosen(settings, channels)] == ["morning"]
    assert len(wiring.sources(settings)) == 3
    notify = wiring.notify_settings(settings)
    assert notify.route is not None
    assert len(notify.quiet_hours) == 4

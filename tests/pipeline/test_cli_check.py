"""Commands that look before anything runs: config, doctor, notify test."""

import json
import socket
from pathlib import Path

import pytest
import yaml

from tests.pipeline.command import Command

CANARY = "canary-4711"
WHOLE = f"""
tenant: acme
scorer: {{kind: lexicon}}
web: {{port: 0}}
watchlists: [{{id: lumora, names: [Lumora, 流墨]}}]
sources:
  - {{name: posts, kind: jsonl, path: posts.jsonl}}
  - {{name: pushed, kind: webhook, secrets: [whsec_{CANARY.replace("-", "") + 22 * "A"}]}}
channels:
  - {{name: console, kind: terminal}}
  - {{name: team, kind: slack, url: "https://hooks.example.com/services/{CANARY}"}}
"""
SECRETS = (CANARY, CANARY.replace("-", ""))


@pytest.fixture
def config(command: Command) -> Path:
    del command
    path = Path("opinionwatch.yaml")
    path.write_text(WHOLE, encoding="utf-8")
    return path


def test_check_builds_everything_and_says_how_much(command: Command, config: Path) -> None:
    ended = command("config", "check", "-c", config)
    assert (ended.code, ended.err) == (0, "")
    assert "ok: 2 sources, 1 watchlists, 2 channels, scorer " in ended.out


def test_check_makes_nothing(command: Command, config: Path) -> None:
    command("config", "check", "-c", config)
    assert [path.name for path in Path.cwd().iterdir()] == ["opinionwatch.yaml"]


def test_show_has_every_default_and_no_secret(command: Command, config: Path) -> None:
    ended = command("config", "show", "-c", config)
    assert (ended.code, ended.err) == (0, "")
    shown = yaml.safe_load(ended.out)
    assert shown["tenant"] == "acme"
    assert shown["limits"]["batch_documents"] == 512
    assert shown["trend"]["detector"]["false_alarms_per_week"] == 0.1
    assert shown["watchlists"][0]["names"] == ["Lumora", "流墨"]
    assert [source["name"] for source in shown["sources"]] == ["posts", "pushed"]
    assert shown["channels"][1]["url"] == "**********"
    assert not any(secret in ended.out for secret in SECRETS)


def test_what_show_prints_without_secrets_is_itself_a_settings_file(command: Command, config: Path) -> None:
    shown = yaml.safe_load(command("config", "show", "-c", config).out)
    for part in (shown["sources"][1], shown["channels"][1]):
        shown["sources" if part["kind"] == "webhook" else "channels"].remove(part)
    Path("again.yaml").write_text(yaml.safe_dump(shown, allow_unicode=True), encoding="utf-8")
    again = command("config", "show", "-c", "again.yaml")
    assert (again.code, again.err) == (0, "")
    assert yaml.safe_load(again.out) == shown


@pytest.mark.parametrize("typed", ["config check", "config show", "doctor", "notify test nobody", "audit",
                                   "notify test team --dry-run"])  # fmt: skip
@pytest.mark.parametrize("mistake", ["", "web: {prot: 1}\n", "limits: [}\n", "channels: []\n"])
def test_no_command_shows_a_secret_whatever_is_wrong(command: Command, config: Path, typed: str, mistake: str) -> None:
    config.write_text(WHOLE + mistake, encoding="utf-8")
    ended = command(*typed.split(), "-c", config)
    assert not any(secret in ended.out + ended.err for secret in SECRETS)


def test_the_schema_is_json_and_knows_every_kind(command: Command) -> None:
    ended = command("config", "schema")
    assert (ended.code, ended.err) == (0, "")
    schema = json.loads(ended.out)
    assert {"sources", "watchlists", "channels", "trend", "web"} <= set(schema["properties"])
    assert {"source:jsonl", "source:rss", "channel:slack", "scorer:lexicon", "watchlist", "trend"} <= set(
        schema["$defs"]
    )
    assert schema["$defs"]["source:jsonl"]["properties"]["path"]["description"]


def test_doctor_is_content_with_a_machine_that_will_do(command: Command, config: Path) -> None:
    ended = command("doctor", "-c", config)
    assert (ended.code, ended.err) == (0, "")
    assert "BAD" not in ended.out
    for what in (
        "python",
        "store",
        "page",
        "scorer",
        "sources: posts, pushed",
        "watchlists",
        "channels: console, team",
    ):
        assert what in ended.out


def test_doctor_finds_what_is_wrong_says_the_cure_and_exits_1(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        Path("sick.yaml").write_text(
            f"data_dir: /dev/null/x\nscorer: {{kind: lexicon}}\nweb: {{port: {port}}}\n"
            "sources: [{name: a, kind: rrs}]\nwatchlists: [{id: a, nams: [x]}]\n",
            encoding="utf-8",
        )
        ended = command("doctor", "-c", "sick.yaml")
    assert ended.code == 1
    bad = [line for line in ended.out.splitlines() if line.startswith("BAD")]
    assert len(bad) == 4
    assert "set `data_dir` to a folder that can" in ended.said
    assert "set web.port to another number" in ended.said
    assert "did you mean 'rss'?" in ended.said


def test_doctor_tunes_the_neural_scorer_only(command: Command) -> None:
    Path("lexicon.yaml").write_text("data_dir: store\nscorer: {kind: lexicon}\n", encoding="utf-8")
    ended = command("doctor", "--tune", "-c", "lexicon.yaml")
    assert ended.code == 2
    assert "the settings say 'lexicon'" in ended.said


def test_a_test_message_goes_to_the_channel_and_says_that_it_is_one(command: Command, config: Path) -> None:
    ended = command("notify", "test", "console", "-c", config)
    assert ended.code == 0
    assert "console took the test message" in ended.said
    assert "TEST" in ended.said.upper()


def test_a_dry_run_prints_the_message_and_sends_nothing(command: Command, config: Path) -> None:
    ended = command("notify", "test", "team", "--dry-run", "-c", config)
    assert ended.code == 0
    message = json.loads(ended.out)
    assert message["event"] == "test"
    assert message["link"].startswith("http")


def test_a_channel_that_is_not_there_is_named_with_the_nearest(command: Command, config: Path) -> None:
    ended = command("notify", "test", "tem", "-c", config)
    assert ended.code == 2
    assert "did you mean 'team'?" in ended.said
    Path("none.yaml").write_text("scorer: {kind: lexicon}\n")
    assert "there is none under `channels:`" in command("notify", "test", "tem", "-c", "none.yaml").said


def test_a_channel_that_does_not_take_it_is_a_finding(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    Path("dead.yaml").write_text(
        f"channels: [{{name: team, kind: slack, url: 'http://127.0.0.1:{port}/{CANARY}', allow_loopback: true}}]\n"
    )
    ended = command("notify", "test", "team", "-c", "dead.yaml")
    assert ended.code == 1
    assert "team did not take it:" in ended.said
    assert CANARY not in ended.said

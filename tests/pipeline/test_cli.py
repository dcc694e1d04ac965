"""The command line as a whole: exit codes, help, and no traceback for anything a user can do wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.command import Command

PROGRAM = Path(sys.executable).parent / "opinionwatch"
LEXICON = "scorer: {kind: lexicon}\n"
WATCHED = LEXICON + "watchlists: [{id: lumora, names: [Lumora]}]\n"
MISTAKES = {
    "an unknown key": ("watchlist: []", "did you mean 'watchlists'?"),
    "an unknown key in a section": ("web: {prot: 1}", "did you mean 'port'?"),
    "not YAML": ("a: [", "not valid YAML"),
    "an unknown source": (WATCHED + "sources: [{name: a, kind: rrs}]", "sources.a: unknown kind 'rrs'; did you mean"),
    "an unknown channel": (WATCHED + "channels: [{name: a, kind: slak}]", "did you mean 'slack'?"),
    "an unknown scorer": ("scorer: {kind: lexikon}", "did you mean 'lexicon'?"),
    "an unknown setting of a source": (
        WATCHED + "sources: [{name: a, kind: jsonl, pth: x}]",
        "sources.a.pth: unknown setting; did you mean 'path'?",
    ),
    "an unknown setting of the scorer": (LEXICON.replace("}", ", speed: 1}"), "scorer.speed: unknown setting"),
    "an unknown setting of the detector": (
        WATCHED + "trend: {detector: {false_alarm_per_week: 1}}",
        "did you mean 'false_alarms_per_week'?",
    ),
    "a watchlist without an id": (LEXICON + "watchlists: [{names: [Lumora]}]", "watchlists.0.id: Field required"),
    "two watchlists of one id": (LEXICON + "watchlists: [{id: a}, {id: a}]", "the id 'a' is used twice"),
    "a broken watchlist": (LEXICON + "watchlists: [{id: a, nams: [x]}]", "did you mean 'name"),
    "an own class that is none": (WATCHED + "sources: [{name: a, kind: 'nowhere:Feed'}]", "cannot import"),
    "an own class without settings": (WATCHED + "sources: [{name: a, kind: 'pathlib:Path'}]", "sources.a"),
    "a channel without its address": (WATCHED + "channels: [{name: a, kind: slack}]", "channels.a.url"),
    "a folder that is a file": (
        "data_dir: /dev/null/data\nsources: [{name: a, kind: demo}]\n" + WATCHED,
        "data_dir",
    ),
}


@pytest.fixture
def mistaken(request: pytest.FixtureRequest, command: Command) -> tuple[Path, str]:
    text, said = MISTAKES[request.param]
    path = Path("mistaken.yaml")
    path.write_text(text, encoding="utf-8")
    return path, said


@pytest.mark.parametrize("mistaken", [name for name in MISTAKES if name != "a folder that is a file"], indirect=True)
def test_config_check_names_every_mistake_and_its_cure(command: Command, mistaken: tuple[Path, str]) -> None:
    path, said = mistaken
    ended = command("config", "check", "-c", path)
    assert ended.code == 2
    assert said in ended.said
    assert ended.out == ""


@pytest.mark.parametrize(
    "mistaken",
    [
        "an unknown key",
        "an unknown source",
        "a broken watchlist",
        "an own class without settings",
        "a channel without its address",
        "a folder that is a file",
    ],
    indirect=True,
)
@pytest.mark.parametrize(
    "typed",
    ["run", "replay nothing.jsonl", "score", "config show", "doctor", "audit", "export", "deadletters list",
     "deadletters show 1", "deadletters redrive --all", "silence add", "silence list", "silence expire 1",
     "notify test a", "evaluate nothing.jsonl"],
)  # fmt: skip
def test_no_mistake_in_the_settings_is_a_traceback(command: Command, mistaken: tuple[Path, str], typed: str) -> None:
    ended = command(*typed.split(), "-c", mistaken[0])
    # Commands that do not build a part do not mind a mistake in it.
    assert ended.code in (0, 1, 2)
    assert ended.code == 0 or ended.err or "BAD" in ended.out


@pytest.mark.parametrize("typed", ["", "nonsense", "audit --briefly", "score now", "demo --port 99999999", "silence",
                                   "silence add --hours soon", "export --format xml", "config check -c", "--nope",
                                   "evaluate", "deadletters list --limit 0"])  # fmt: skip
def test_what_is_typed_wrongly_exits_2_and_says_how_it_is_done(command: Command, typed: str) -> None:
    ended = command(*typed.split())
    assert ended.code == 2
    assert "Usage" in ended.said or "Invalid value" in ended.said or "requires an argument" in ended.said


@pytest.mark.parametrize("typed", ["audit", "export", "deadletters list", "silence list"])
def test_a_store_that_is_not_there_is_a_finding_with_a_cure(command: Command, typed: str) -> None:
    ended = command(*typed.split())
    assert ended.code == 1
    assert "there is no store at" in ended.said
    assert "`opinionwatch demo` or `opinionwatch run` makes one" in ended.said


def test_a_file_of_settings_in_the_working_folder_is_taken(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("tenant: acme\n" + LEXICON, encoding="utf-8")
    assert "tenant: acme" in command("config", "show").out
    Path("opinionwatch.yaml").write_text("tenannt: acme\n", encoding="utf-8")
    assert "did you mean 'tenant'?" in command("config", "show").said


def test_a_hostile_file_name_cannot_colour_the_terminal(command: Command) -> None:
    ended = command("config", "show", "-c", "\x1b[31m\u202eyaml.gnp")
    assert ended.code == 2
    assert "\x1b[31m" not in ended.err
    assert "\u202e" not in ended.err


def test_help_is_there_at_every_step(command: Command) -> None:
    for typed in ("--help", "demo --help", "silence --help", "silence add --help"):
        ended = command(*typed.split())
        assert (ended.code, ended.err) == (0, "")
        assert "opinionwatch" in ended.out


def test_the_program_itself_says_what_is_wrong_in_one_line_and_exits_2(tmp_path: Path) -> None:
    ended = subprocess.run(
        [PROGRAM, "config", "show", "-c", "missing.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "opinionwatch: cannot read missing.yaml: No such file or directory\n"


def test_a_reader_that_goes_away_gets_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "opinionwatch.yaml").write_text(LEXICON, encoding="utf-8")
    (tmp_path / "texts.jsonl").write_bytes(b'{"text": "Lumora is awful"}\n' * 3000)
    ended = subprocess.run(
        ["bash", "-c", f"{PROGRAM} score < texts.jsonl | head -c 10; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, 1)
    assert ended.stderr == ""


@pytest.mark.parametrize("typed", ["run", "replay posts.jsonl --data-dir /dev/null/x", "demo --data-dir /dev/null/x"])
def test_a_folder_that_cannot_be_made_is_named_with_a_cure(command: Command, typed: str) -> None:
    Path("opinionwatch.yaml").write_text(MISTAKES["a folder that is a file"][0], encoding="utf-8")
    Path("posts.jsonl").write_text("")
    ended = command(*typed.split())
    assert ended.code == 2
    assert "/dev/null" in ended.said
    assert "folder" in ended.said

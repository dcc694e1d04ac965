"""What `opinionwatch demo` and `replay` do besides running the plan: a fresh store, a judgement, a summary."""

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

import yaml
from rich.table import Table

from opinionwatch.alerts.terminal import Terminal
from opinionwatch.connectors.demo import watchlists
from opinionwatch.connectors.demo_story import CRISIS
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.cli_store import audit_table
from opinionwatch.pipeline.console import out, plain
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Channel
from opinionwatch.pipeline.settings import Settings, load
from opinionwatch.pipeline.store_lock import held

OURS = ("opinionwatch.db*", "opinionwatch.yaml", "pseudonym.key*", "answers.key*", "runtime.lock", "calibration.jsonl")


def emptied(folder: Path) -> None:
    """Make `folder` fresh. Refuses one with anything else than a store of ours, or that a runtime works on."""
    try:
        if folder.exists():
            strange = [path.name for path in folder.iterdir() if not any(map(path.match, OURS))]
            if strange:
                raise SettingsError(
                    f"--data-dir {folder} holds other files ({strange[0]}): name an empty or new folder"
                )
            with held(folder):
                rmtree(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        raise SettingsError(f"--data-dir {folder} cannot be written ({error.strerror}): name another folder") from error


def prepared(folder: Path, *, scorer: str, port: int, language: str) -> Settings:
    """A fresh store and a settings file beside it, so that every other command works on the demo too."""
    emptied(folder)
    path = folder / "opinionwatch.yaml"
    given = {
        "data_dir": str(folder),
        "language": language,
        "scorer": {"kind": scorer},
        "web": {"port": port},
        "watchlists": list(watchlists()),
        "sources": [{"name": "demo", "kind": "demo"}],
    }
    path.write_text(yaml.safe_dump(given, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load(path)


def terminal(settings: Settings) -> dict[str, Channel]:
    """The terminal as a channel of its own, unless the settings have one: the alerts are what the command is for."""
    if any(component.kind == "terminal" for component in settings.channels):
        return {}
    return {"terminal": Terminal("terminal", Terminal.Settings(stream="stdout"))}


def negative(episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes that say mood has turned; the others are information."""
    return [episode for episode in episodes if episode.kind in ("crisis", "tone shift")]


def judged(archive: SqliteArchive) -> bool:
    """Print the verdict: exactly the crisis found, for the right reason, in both languages, and nothing lost."""
    found = negative(archive.episodes())
    checks: list[tuple[str, bool]] = [("exactly one negative alert", len(found) == 1)]
    if found:
        episode = found[0]
        explanation = episode.explanation
        said = " ".join(term.term.lower() for term in explanation.terms)
        first = [part.name for part in explanation.signal.aspects[:1]]
        langs = {example.lang for example in explanation.exemplars}
        checks += [
            (f"about {CRISIS.watchlist}", episode.watchlist.lower() == CRISIS.watchlist.lower()),
            (f"during the crisis ({episode.opened_at:%H:%M})", CRISIS.onset <= episode.opened_at <= CRISIS.until),
            (f"first aspect is {CRISIS.aspect}", first == [CRISIS.aspect]),
            (f"a telling word among: {said}", any(term in said for term in CRISIS.terms)),
            ("example posts in English and Chinese", {"en", "zh"} <= langs),
        ]
        delay = (episode.opened_at - CRISIS.onset).total_seconds() / 60
        out.print(f"opened {delay:.0f} simulated minutes after the crisis began")
    table, gap = audit_table(archive, brief=True)
    out.print(table)
    checks.append(("audit: no gap", gap == 0))
    for what, right in checks:
        out.print("[green]yes[/]" if right else "[bold red]NO [/]", end=" ")
        out.print(plain(what), markup=False)
    return all(right for _, right in checks)


def summary(archive: SqliteArchive) -> None:
    """The episodes of a replay as a table, and the audit's sums."""
    table = Table("opened", "resolved", "watchlist", "kind", "share before → now", "aspects", title="episodes")
    for episode in reversed(archive.episodes(limit=1000)):
        signal = episode.explanation.signal
        table.add_row(
            f"{episode.opened_at:%Y-%m-%d %H:%M}",
            f"{episode.resolved_at:%Y-%m-%d %H:%M}" if episode.resolved_at else "still open",
            plain(episode.watchlist),
            episode.kind,
            f"{signal.share_before.value:.0%} → {signal.share_now.value:.0%}",
            plain(", ".join(part.name for part in signal.aspects[:3])),
        )
    out.print(table)
    out.print(audit_table(archive, brief=True)[0])

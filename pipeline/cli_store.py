"""Commands on a store: audit, export, dead letters, silences. They work beside a running daemon."""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.contracts import DeadLetter, Gap, content_id
from opinionwatch.pipeline.contracts_digest import NOTE, Told
from opinionwatch.pipeline.contracts_trend import Silence
from opinionwatch.pipeline.errors import DEAD_REASONS, SettingsError
from opinionwatch.pipeline.export import write_csv, write_jsonl
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_sqlite import SqliteStore

deadletters = typer.Typer(help="Records that could not be taken: list, show, try again.", no_args_is_help=True)
silence = typer.Typer(help="Ask not to be told about a watchlist for a time.", no_args_is_help=True)

MOST_DELIVERIES = 1000
MOST_REDRIVES = 1000
"""Dead letters that one command puts into the log."""


def _archive(config: Path | None) -> Archive:
    return archive_of(settings(config))


def audit_table(archive: Archive, *, brief: bool = False) -> tuple[Table, int]:
    """The ledger by source and hour (`brief`: the sums), and how many records ended nowhere or in two places."""
    table = Table(title="accepted = indexed + dead + dropped + pending", title_justify="left")
    table.add_column("source")
    table.add_column("hour")
    for column in ("accepted", "indexed", "dead", "dropped", "pending", "duplicates", "gap"):
        table.add_column(column, justify="right")
    rows = archive.ledger()
    for row in () if brief else rows:
        counts = (row.accepted, row.indexed, row.dead, row.dropped, row.pending, row.duplicates, row.gap)
        table.add_row(plain(row.source), row.hour, *map(str, counts))
    sums = [
        sum(getattr(row, name) for row in rows)
        for name in ("accepted", "indexed", "dead", "dropped", "pending", "duplicates", "gap")
    ]
    table.add_section()
    table.add_row("all", "", *map(str, sums))
    return table, sum(abs(row.gap) for row in rows) + archive.misfiled()


def audit(
    config: ConfigOption = None,
    brief: Annotated[bool, typer.Option(help="Only the sums.")] = False,
) -> None:
    """Prove that nothing accepted was lost: accepted = indexed + dead + dropped + pending, by source and hour.

    Exits 1 on a gap.   Example: opinionwatch audit -c opinionwatch.yaml
    """
    archive = _archive(config)
    table, gap = audit_table(archive, brief=brief)
    out.print(table)
    for rule, count in archive.dropped().items():
        out.print(f"dropped({rule}): {count}")
    _show_deliveries(archive, brief=brief)
    for name, kept in archive.notes(NOTE).items():
        told = Told.model_validate_json(kept)
        why = f", {told.state}: {told.detail}" if told.detail else ""
        out.print(plain(f"digest {name}: told up to {told.told_until:%Y-%m-%d %H:%M} UTC{why}"), markup=False)
    gaps = archive.gaps(limit=1000)
    for each in () if brief else gaps:
        by = f"{each.source} (in a backfill)" if each.history else each.source
        out.print(plain(f"gap upstream, {by}: {_range(each)}: {each.detail}"), markup=False)
    if gaps:
        out.print(f"gaps upstream: {len(gaps)} (never accepted, so in none of the sums)")
    if gap:
        err.print(f"[bold red]gap: {gap} records ended nowhere or in two places[/]")
        raise typer.Exit(1)
    out.print("no gap: every accepted record is accounted for")


def _show_deliveries(archive: Archive, *, brief: bool) -> None:
    """What became of the alerts: how many reached somebody, and for every other one why not."""
    deliveries = archive.deliveries(limit=MOST_DELIVERIES)
    states = Counter(one.state for one in deliveries)
    if states:
        newest = f" (the newest {MOST_DELIVERIES})" if len(deliveries) == MOST_DELIVERIES else ""
        out.print(f"alerts to channels{newest}: " + ", ".join(f"{states[one]} {one}" for one in sorted(states)))
    why = Counter((one.state, one.channel, one.detail) for one in deliveries if one.state != "sent")
    for (state, channel, detail), count in [] if brief else sorted(why.items()):
        out.print(plain(f"{count} × {state}, {channel}: {detail or 'due'}"), markup=False)


def _range(gap: Gap) -> str:
    since, until = (f"{at:%Y-%m-%d %H:%M}" if at else "?" for at in (gap.since, gap.until))
    return f"{since} – {until}" + (f", {gap.missed} records" if gap.missed is not None else "")


def export(
    format_: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="csv is formula-safe.")] = "jsonl",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; standard output without it.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write all documents with source, native id, sentiment and opinions.

    Example: opinionwatch export --format csv -o mood.csv
    """
    write = write_csv if format_ == "csv" else write_jsonl
    archive = _archive(config)
    documents = archive.every_document()
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # a text stream here
        write(documents, sys.stdout)
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as stream:
            count = write(documents, stream)
    except OSError as error:
        raise SettingsError(f"--output {output} cannot be written: {error.strerror}") from error
    archive.note_export(output, count, datetime.now(UTC))
    err.print(f"{count} documents written to {output}")


def _known_reason(reason: str | None) -> None:
    if reason is not None and reason not in DEAD_REASONS:
        raise SettingsError(f"no such reason '{reason}'; {nearest(reason, DEAD_REASONS)}")


def _letter(archive: Archive, letter_id: str) -> DeadLetter:
    letter = archive.deadletter(letter_id)
    if letter is None:
        raise SettingsError(f"no dead letter '{letter_id}': `opinionwatch deadletters list` shows their ids")
    return letter


@deadletters.command("list")
def list_deadletters(
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    config: ConfigOption = None,
) -> None:
    """List dead letters, newest first.   Example: opinionwatch deadletters list --reason malformed_json"""
    _known_reason(reason)
    table = Table()
    for column in ("id", "source", "stage", "reason", "accepted", "detail"):
        table.add_column(column, overflow="fold")
    for letter in _archive(config).deadletters(reason, limit):
        when = f"{letter.accepted_at:%Y-%m-%d %H:%M}"
        table.add_row(letter.id, plain(letter.source), letter.stage, letter.reason, when, plain(letter.detail[:120]))
    out.print(table)


@deadletters.command("show")
def show_deadletter(
    letter_id: Annotated[str, typer.Argument(help="Its id, as `deadletters list` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Show one dead letter as JSON, with its (masked) bytes.   Example: opinionwatch deadletters show 3f2a…"""
    letter = _letter(_archive(config), letter_id)
    out.print(letter.model_dump_json(indent=2, ensure_ascii=True), markup=False)


@deadletters.command("redrive")
def redrive_deadletters(
    ids: Annotated[list[str] | None, typer.Argument(help="Their ids; or use --reason or --all.")] = None,
    reason: Annotated[str | None, typer.Option(help="All of this reason.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    daemons: Annotated[
        bool, typer.Option("--daemons", help="Daemons that share a SQLite store take them, and not `opinionwatch run`.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Try dead letters again, after what broke them was mended. With `store: elasticsearch` the ingest daemon takes
    them from Kafka, else `opinionwatch run` from its store, within a second or at its next start.

    Example: opinionwatch deadletters redrive --reason stage_failed
    """
    if not (ids or reason or everything):
        raise SettingsError("name dead letters by id, --reason or --all")
    _known_reason(reason)
    archive = _archive(config)
    letters = [_letter(archive, letter_id) for letter_id in ids or ()]
    chosen = settings(config)
    if daemons or chosen.store == "elasticsearch":
        _through_the_log(chosen, letters or archive.deadletters(reason, MOST_REDRIVES))
        return
    store = SqliteStore(chosen.store_path)
    try:
        count = store.request_redrive(ids) if ids else store.request_redrive_of(reason)
    finally:
        store.close()
    out.print(f"{count} dead letters will be tried again by the running daemon, or at its next start")


def _through_the_log(chosen: Settings, letters: Sequence[DeadLetter]) -> None:
    """The ingest daemon takes them from their topic, and a letter is history once its record has another end."""
    from opinionwatch.pipeline.kafka_log import KafkaLog  # what speaks to Kafka takes a while to load
    from opinionwatch.pipeline.log import Entry
    from opinionwatch.pipeline.log_records import encode

    log = KafkaLog(chosen.kafka)
    try:
        log.append([Entry("redrives", 0, encode(letter)) for letter in letters])
    finally:
        log.close()
    out.print(f"{len(letters)} dead letters will be tried again by the ingest daemon")
    if len(letters) == MOST_REDRIVES:
        out.print(
            f"these are the newest {MOST_REDRIVES:,}, as many as one command takes: when they have ended, do it again"
        )


@silence.command("add")
def add_silence(
    watchlist: Annotated[str | None, typer.Option(help="Id of the watchlist; without it, all.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 90, help="For how long.")] = 8,
    comment: Annotated[str, typer.Option(help="Why; it is shown beside what was not sent.")] = "",
    by: Annotated[str, typer.Option(help="Who asks.")] = "command line",
    config: ConfigOption = None,
) -> None:
    """Silence a watchlist from now on.   Example: opinionwatch silence add --watchlist lumora --hours 4"""
    chosen = settings(config)
    known = [str(entry.get("id")) for entry in chosen.watchlists]
    if watchlist is not None and known and watchlist not in known:
        raise SettingsError(f"no watchlist '{watchlist}'; {nearest(watchlist, known)}")
    archive = archive_of(chosen)
    now = datetime.now(UTC)
    made = Silence(
        id=content_id(watchlist or "*", now.isoformat(), by)[:12],
        watchlist=watchlist,
        starts_at=now,
        ends_at=now + timedelta(hours=hours),
        created_by=by,
        comment=comment,
    )
    archive.add_silence(made)
    out.print(f"{made.id}: {watchlist or 'all watchlists'} silent until {made.ends_at:%Y-%m-%d %H:%M} UTC")


@silence.command("list")
def list_silences(config: ConfigOption = None) -> None:
    """List silences, newest first.   Example: opinionwatch silence list"""
    table = Table("id", "watchlist", "from", "until", "by", "comment")
    for entry in _archive(config).silences():
        period = (f"{entry.starts_at:%Y-%m-%d %H:%M}", f"{entry.ends_at:%Y-%m-%d %H:%M}")
        table.add_row(entry.id, entry.watchlist or "all", *period, plain(entry.created_by), plain(entry.comment))
    out.print(table)


@silence.command("expire")
def expire_silence(
    silence_id: Annotated[str, typer.Argument(help="Its id, as `silence list` shows it.")], config: ConfigOption = None
) -> None:
    """End a silence now.   Example: opinionwatch silence expire 1f2e3d4c5b6a"""
    archive = _archive(config)
    found = next((entry for entry in archive.silences() if entry.id == silence_id), None)
    if found is None:
        raise SettingsError(f"no silence '{silence_id}': `opinionwatch silence list` shows their ids")
    archive.add_silence(found.model_copy(update={"ends_at": max(found.starts_at, datetime.now(UTC))}))
    out.print(f"{silence_id} has ended")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(audit)
    app.command()(export)
    app.add_typer(deadletters, name="deadletters")
    app.add_typer(silence, name="silence")
